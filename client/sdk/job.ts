/**
 * A durable job as its client sees it: everything is asked of the scheduler, so any client may ask, and scheduler
 * restarts are waited out.
 */

import { VolleyError } from "../../proto/errors.js";
import { type JobId, objectIdOf } from "../../proto/ids.js";
import type { ClientReplyOf } from "../../proto/messages/client.js";
import type { Explanation } from "../../proto/messages/explanation.js";
import type { JobStatus } from "../../proto/messages/status.js";
import { type ValueKind, valueKind } from "../../proto/values/kind.js";
import { PackReader } from "../../proto/values/pack.js";
import type { Job, StreamOptions } from "./api.js";
import { type Shape, valueOfShape } from "./durable-job.js";
import type { Objects } from "./objects.js";
import { type Patience, within } from "./patience.js";
import type { Requests } from "./requests.js";
import type { StackTraces } from "./stack-traces.js";
import { decodeFetched } from "./value-of.js";

/** The scheduler sends what changes; asking again renews that, and brings what was lost on the way. */
const askAgainMs = 2_000;
/** How long a scheduler may be away while a job is followed. */
const absenceMs = 60_000;
const fetchesAhead = 8;
const bytesAheadDefault = 64 * 1024 * 1024;
const anyTask = 0xffff_ffff;

export class RemoteJob<V = unknown[]> implements Job<V> {
  readonly id: JobId;
  readonly #requests: Requests;
  readonly #objects: Objects;
  readonly #stacks: StackTraces;
  readonly #shape: Shape | undefined;

  /** `shape`: of the value of a job that was described by its calls; else the value is the first output's results. */
  constructor(id: JobId, requests: Requests, objects: Objects, stacks: StackTraces, shape?: Shape) {
    this.id = id;
    this.#requests = requests;
    this.#objects = objects;
    this.#stacks = stacks;
    this.#shape = shape;
  }

  async status(): Promise<JobStatus> {
    return (await this.#requests.ask({ t: "status", job: this.id }, "status")).status;
  }

  progress(): AsyncIterable<JobStatus> {
    return this.#progress();
  }

  async *#progress(patience?: Patience): AsyncIterable<JobStatus> {
    const { watches, runtime, client } = this.#requests;
    const watch = watches.open(this.id, runtime);
    try {
      let last = "";
      let status: JobStatus | undefined;
      for (;;) {
        status ??= (await this.#requests.ask({ t: "watch", job: this.id, client }, "status", { timeoutMs: absenceMs }))
          .status;
        const face = JSON.stringify(status);
        if (face !== last) yield status;
        last = face;
        if (hasEnded(status)) return;
        const shown = status.succeeded;
        status = await watch.next(askAgainMs);
        patience?.check();
        // Sent before the last answer.
        if (status?.state === "running" && status.succeeded < shown) status = undefined;
      }
    } finally {
      watches.close(this.id, watch);
    }
  }

  done(options: { timeoutMs?: number } = {}): Promise<JobStatus> {
    return within(options.timeoutMs, `job ${this.id}`, (patience) => this.#done(patience));
  }

  async #done(patience?: Patience): Promise<JobStatus> {
    for await (const status of this.#progress(patience)) {
      if (status.state === "succeeded") return status;
      if (!hasEnded(status)) continue;
      if (status.error) throw this.#stacks.errorOf(status.error);
      throw new VolleyError(
        status.state === "cancelled" ? "CANCELLED" : "TASK_FAILED",
        `job ${this.id} (${status.name}) was ${status.state}`,
      );
    }
    throw new VolleyError("INTERNAL", `progress of job ${this.id} ended without an end`);
  }

  async value(options: { timeoutMs?: number } = {}): Promise<V> {
    await this.done(options);
    const value = this.#shape ? valueOfShape(this.#shape, (stage) => this.results(stage)) : this.results();
    return (await value) as V;
  }

  async results<T = unknown>(stage?: number): Promise<T[]> {
    const values: T[] = [];
    for await (const value of this.stream<T>(stage)) values.push(value);
    return values;
  }

  async *stream<T = unknown>(stage?: number, options: StreamOptions = {}): AsyncIterable<T> {
    const { bytesAhead = bytesAheadDefault, admit } = options;
    const status = await this.#done();
    const index = stage ?? status.outputs[0] ?? 0;
    const ahead: { value: Promise<T>; bytes: number }[] = [];
    let held = 0;
    const next = (): Promise<T> => {
      const first = ahead.shift() as { value: Promise<T>; bytes: number };
      held -= first.bytes;
      return first.value;
    };
    for await (const { bytes, kind, fetch } of this.#fetches<T>(index)) {
      while (ahead.length > 0 && (ahead.length >= fetchesAhead || held + bytes > bytesAhead)) yield await next();
      // Before it is begun, so that one who may hold no more has no more under way.
      await admit?.(bytes, kind);
      const value = fetch();
      value.catch(() => undefined); // Reported when its turn comes.
      ahead.push({ value, bytes });
      held += bytes;
    }
    while (ahead.length > 0) yield await next();
  }

  async *#fetches<T>(stage: number): AsyncIterable<{ bytes: number; kind: ValueKind; fetch: () => Promise<T> }> {
    for (let from: number | undefined = 0; from !== undefined; ) {
      const page: ClientReplyOf<"results"> = await this.#requests.ask(
        { t: "results", job: this.id, stage, from, to: anyTask },
        "results",
        {
          timeoutMs: absenceMs,
        },
      );
      for (const segment of page.segments) {
        if (segment.r === "failed") throw this.#stacks.errorOf(segment.error);
        const pack = segment.r === "inline" ? new PackReader(segment.pack) : undefined;
        for (let task = segment.from; task < segment.to; task++) {
          const item = pack?.at(task - segment.from);
          const stored = segment.r === "stored" ? segment.stored[task - segment.from] : undefined;
          yield {
            bytes: item?.data.byteLength ?? stored?.bytes ?? 0,
            kind: item?.kind ?? ((stored?.kind ?? valueKind.msgpack) as ValueKind),
            fetch: async () => {
              const encoded = item ? Promise.resolve(item) : this.#objects.fetch(objectIdOf(page.base, task));
              return (await decodeFetched(this.#objects, encoded)) as T;
            },
          };
        }
      }
      from = page.next;
    }
  }

  async cancel(): Promise<void> {
    await this.#requests.ask({ t: "cancel", job: this.id }, "ok");
  }

  async explain(stage = 0, task = 0): Promise<Explanation> {
    return (await this.#requests.ask({ t: "explain", job: this.id, stage, task }, "explanation")).explanation;
  }
}

const hasEnded = (status: JobStatus): boolean => status.state !== "running";
