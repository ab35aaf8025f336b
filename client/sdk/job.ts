/** A durable job as its client sees it: everything is asked of the scheduler, so any client may ask, and scheduler restarts are waited out. */

import { VolleyError } from "../../proto/errors.js";
import { type JobId, objectIdOf } from "../../proto/ids.js";
import type { ClientReplyOf, Explanation, JobStatus } from "../../proto/messages.js";
import { PackReader } from "../../proto/pack.js";
import { sleep } from "../../proto/timer.js";
import type { Job } from "./api.js";
import type { Objects } from "./objects.js";
import { type Patience, within } from "./patience.js";
import type { Requests } from "./requests.js";
import type { StackTraces } from "./stack-traces.js";
import { decodeAligned } from "./value-of.js";

const pollMsFirst = 10;
const pollMsMax = 200;
/** How long a scheduler may be away while a job is followed. */
const absenceMs = 60_000;
const fetchesAhead = 8;
const anyTask = 0xffff_ffff;

export class RemoteJob implements Job {
  readonly id: JobId;
  readonly #requests: Requests;
  readonly #objects: Objects;
  readonly #stacks: StackTraces;

  constructor(id: JobId, requests: Requests, objects: Objects, stacks: StackTraces) {
    this.id = id;
    this.#requests = requests;
    this.#objects = objects;
    this.#stacks = stacks;
  }

  status(): Promise<JobStatus> {
    return this.#status();
  }

  async #status(timeoutMs?: number): Promise<JobStatus> {
    return (await this.#requests.ask({ t: "status", job: this.id }, "status", timeoutMs === undefined ? {} : { timeoutMs })).status;
  }

  progress(): AsyncIterable<JobStatus> {
    return this.#progress();
  }

  async *#progress(patience?: Patience): AsyncIterable<JobStatus> {
    let last = "";
    for (let pauseMs = pollMsFirst; ; pauseMs = Math.min(pauseMs * 2, pollMsMax)) {
      const status = await this.#status(absenceMs);
      const face = JSON.stringify(status);
      if (face !== last) yield status;
      last = face;
      if (hasEnded(status)) return;
      await sleep(pauseMs);
      patience?.check();
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
      throw new VolleyError(status.state === "cancelled" ? "CANCELLED" : "TASK_FAILED", `job ${this.id} (${status.name}) was ${status.state}`);
    }
    throw new VolleyError("INTERNAL", `progress of job ${this.id} ended without an end`);
  }

  async results<T = unknown>(stage?: number): Promise<T[]> {
    const values: T[] = [];
    for await (const value of this.stream<T>(stage)) values.push(value);
    return values;
  }

  async *stream<T = unknown>(stage?: number): AsyncIterable<T> {
    const status = await this.#done();
    const index = stage ?? status.outputs[0] ?? 0;
    const ahead: Promise<T>[] = [];
    for await (const fetch of this.#fetches<T>(index)) {
      const value = fetch();
      value.catch(() => undefined); // Reported when its turn comes.
      ahead.push(value);
      if (ahead.length >= fetchesAhead) yield await (ahead.shift() as Promise<T>);
    }
    for (const value of ahead) yield await value;
  }

  async *#fetches<T>(stage: number): AsyncIterable<() => Promise<T>> {
    for (let from: number | undefined = 0; from !== undefined; ) {
      const page: ClientReplyOf<"results"> = await this.#requests.ask({ t: "results", job: this.id, stage, from, to: anyTask }, "results", {
        timeoutMs: absenceMs,
      });
      for (const segment of page.segments) {
        if (segment.r === "failed") throw this.#stacks.errorOf(segment.error);
        const pack = segment.r === "inline" ? new PackReader(segment.pack) : undefined;
        for (let task = segment.from; task < segment.to; task++) {
          const item = task - segment.from;
          yield async () => decodeAligned(pack ? pack.at(item) : await this.#objects.fetch(objectIdOf(page.base, task))) as T;
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
