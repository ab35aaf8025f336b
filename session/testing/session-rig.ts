/** For tests: a session driven by a script, event by event, on a clock of the test's own. */
import type { VolleyError } from "../../proto/errors.js";
import {
  type ClientId,
  type Epoch,
  type JobId,
  type ObjectBase,
  type ObjectId,
  stageBaseOf,
  type TenantId,
  type WorkerId,
} from "../../proto/ids.js";
import type { ClientReply, ClientRequest, ClientRequestOf } from "../../proto/messages/client.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { ArgSpec, StageSpec } from "../../proto/messages/stage.js";
import { PackWriter } from "../../proto/values/pack.js";
import type { PutName } from "../events.js";
import { newSession, nextWakeMs, type SessionCommand, type SessionEvent, sessionStep } from "../session.js";

type Answer = ClientReply extends infer R ? (R extends { epoch: unknown } ? Omit<R, "epoch"> : never) : never;

const session = "session" as JobId;
const client = "client" as ClientId;

export class SessionRig {
  readonly state = newSession({ client, session, tenant: "acme" as TenantId, unreachableMs: 10_000 });
  nowMs = 0;
  epoch = 1;
  /** Everything it gave out. */
  readonly given: SessionCommand[] = [];
  /** Requests that wait for their answer, oldest first. */
  readonly waiting: { readonly ask: number; readonly request: ClientRequest }[] = [];

  take(event: SessionEvent): SessionCommand[] {
    const commands = sessionStep(this.state, event, this.nowMs);
    for (const command of commands) {
      this.given.push(command);
      if (command.c === "request") this.waiting.push(command);
    }
    return commands;
  }

  /** Time passes, and every timer is served when it is due. */
  advance(ms: number): void {
    const until = this.nowMs + ms;
    for (let at = nextWakeMs(this.state); at <= until; at = nextWakeMs(this.state)) {
      this.nowMs = Math.max(this.nowMs, at);
      this.take({ e: "ticked" });
    }
    this.nowMs = until;
  }

  open(): this {
    this.take({ e: "start", timeoutMs: 1_000, up: true });
    this.answer("open", { t: "opened", heartbeatIntervalMs: 1_000 });
    return this;
  }

  /** The oldest request of this kind that waits. */
  asked<T extends ClientRequest["t"]>(t: T): ClientRequestOf<T> {
    const found = this.waiting.find(({ request }) => request.t === t);
    if (!found)
      throw new Error(`no ${t} waits for an answer, only ${this.waiting.map(({ request }) => request.t).join(" ")}`);
    return found.request as ClientRequestOf<T>;
  }

  isAsked(t: ClientRequest["t"]): boolean {
    return this.waiting.some(({ request }) => request.t === t);
  }

  answer(t: ClientRequest["t"], answer: Answer, epoch = this.epoch): SessionCommand[] {
    const { ask } = this.#taken(t);
    return this.take({ e: "replied", ask, reply: { ...answer, epoch: epoch as Epoch } as ClientReply });
  }

  /** The request of this kind gets no answer. */
  lose(t: ClientRequest["t"], error: VolleyError): SessionCommand[] {
    return this.take({ e: "unanswered", ask: this.#taken(t).ask, error });
  }

  #taken(t: ClientRequest["t"]): { ask: number; request: ClientRequest } {
    this.asked(t);
    const [found] = this.waiting.splice(
      this.waiting.findIndex(({ request }) => request.t === t),
      1,
    );
    return found as { ask: number; request: ClientRequest };
  }

  /** Submits stages, and ends the tick. */
  submit(...stages: (Partial<StageSpec> & { reads?: number[]; puts?: number[]; pure?: boolean })[]): SessionCommand[] {
    for (const { reads = [], puts = [], pure = false, ...given } of stages) {
      const index = given.index ?? 0;
      const options = { retries: 0, timeoutMs: 1_000, pure, priority: 0 };
      const spec: StageSpec = {
        count: 1,
        args: reads.map((stage): ArgSpec => ({ a: "stage", stage, edge: "one-to-one" })),
        fn: { bundle: "b" as never, export: "f" },
        options,
        ...given,
        index,
      };
      const base: ObjectBase = stageBaseOf(session, index);
      this.take({ e: "submitted", stage: { index, spec, base, reads, puts } });
    }
    return this.take({ e: "flush" });
  }

  put(put: number, bytes: number): ObjectId {
    const { id } = this.nameOf(put);
    const inline = bytes <= 4_096 ? new Uint8Array(bytes) : undefined;
    this.take({ e: "put", put: { put, name: this.nameOf(put), kind: 3, bytes, inline } });
    return id;
  }

  nameOf(put: number): PutName {
    return { id: `c${String(put).padStart(32, "0")}-0` as ObjectId, digest: new Uint8Array(16).fill(put) };
  }

  /** A large put goes to a worker, which takes it; `content`: whose bytes it has. */
  place(put: number, content = put): void {
    this.answer("place", { t: "placed", worker: "w1" as WorkerId });
    this.take({ e: "uploaded", put, name: this.nameOf(content) });
    this.answer("hold", { t: "held", missing: [] });
  }

  update(...segments: ResultSegment[]): SessionCommand[] {
    return this.updateOf(this.epoch, ...segments);
  }

  updateOf(epoch: number, ...segments: ResultSegment[]): SessionCommand[] {
    return this.take({ e: "update", update: { t: "update", epoch: epoch as Epoch, session, segments } });
  }

  /** Another scheduler speaks: it answers the next heartbeat. */
  restart(): void {
    this.epoch++;
    this.advance(1_000);
    this.answer("heartbeat", { t: "heartbeat", known: false });
    this.answer("open", { t: "opened", heartbeatIntervalMs: 1_000 });
  }

  /** Stages that left in messages, in order. */
  get published(): number[] {
    return this.given.flatMap((one) => (one.c === "publish" ? one.message.stages.map(({ index }) => index) : []));
  }

  of<C extends SessionCommand["c"]>(c: C): Extract<SessionCommand, { c: C }>[] {
    return this.given.filter((one): one is Extract<SessionCommand, { c: C }> => one.c === c);
  }
}

/** Results of tasks [from, to), each one byte. */
export function results(stage: number, from: number, to: number, value = 0): ResultSegment {
  const pack = new PackWriter();
  for (let task = from; task < to; task++) pack.add({ kind: 3, data: Uint8Array.of(value) });
  return { r: "inline", stage, from, to, pack: pack.finish() };
}

export const stored = (stage: number, from: number, to: number): ResultSegment => ({
  r: "stored",
  stage,
  from,
  to,
  stored: Array.from({ length: to - from }, () => ({ bytes: 5_000, kind: 1, digest: new Uint8Array(16).fill(7) })),
});

export const unknown = (stage: number): ResultSegment => ({
  r: "failed",
  stage,
  from: 0,
  to: 0,
  error: { code: "SESSION_LOST", message: "not known" },
});
