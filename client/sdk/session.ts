/**
 * The client's session: what was submitted, what came back, and what is done when messages or schedulers are lost.
 *
 * S1 Stages leave in the order of their indexes, all of one tick in as few messages as their bytes allow; a stage waits for its uploads and for
 *    the stages it reads.
 * S2 A stage's specification is kept until every result is here: it is sent again after a reconnect, when the scheduler says that it does not
 *    know it (SESSION_LOST of that stage), and after the session was opened again on a new scheduler (M1).
 * S3 On a new scheduler, arguments that name stages it cannot know are replaced by the results this client holds (inline) or by their object ids.
 * S4 Nothing waits for ever: when the cluster is not heard for `unreachableMs`, every wait ends with DISCONNECTED.
 */
import { stageBase } from "../../proto/address.js";
import { decodeMessage, encodeMessage } from "../../proto/codec.js";
import { isVolleyError, toWireError, VolleyError } from "../../proto/errors.js";
import { type ClientId, type JobId, type ObjectBase, type ObjectId, stageBaseOf, type TenantId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { clientUpdate, type ResultSegment, type StageSpec } from "../../proto/messages.js";
import { subjects } from "../../proto/subjects.js";
import { Timer } from "../../proto/timer.js";
import type { Subscription, Transport } from "../../proto/transport/transport.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";
import { Requests } from "./requests.js";
import { collectObjects, rewriteReads, specBytes } from "./spec.js";
import { ClientStage, StageHandle } from "./stage.js";

export interface SessionOptions {
  readonly transport: Transport;
  readonly client: ClientId;
  readonly session: JobId;
  readonly tenant: TenantId;
  /** After this long without a word from the scheduler, waits end with DISCONNECTED. Default 60 s. */
  readonly unreachableMs?: number;
  /** What must be told again to a scheduler that does not know this session, before stages that read `objects` are sent to it. */
  onReopen?(objects: ReadonlySet<ObjectId>): Promise<void>;
  /** Faults that no caller can be told of. */
  onError?(error: unknown): void;
}

/** Stages the scheduler says it does not know are sent again this often. */
const resendsMax = 5;
const listedPerBeatMax = 10_000;

export class Session {
  readonly id: JobId;
  readonly client: ClientId;
  readonly tenant: TenantId;
  readonly requests: Requests;
  readonly #options: SessionOptions;
  readonly #transport: Transport;
  readonly #stages = new Map<number, ClientStage>();
  readonly #handles: FinalizationRegistry<number>;
  #outbox: ClientStage[] = [];
  #flushing = false;
  #nextIndex = 0;
  #epoch = 0;
  /** Counts openings; 0 until the first. */
  #opening = 0;
  #reopening = false;
  #beating = false;
  #released: number[] = [];
  #heardMs = performance.now();
  #intervalMs: number = limits.heartbeatIntervalMs;
  #timer: NodeJS.Timeout | undefined;
  #subscription: Subscription | undefined;
  #stopStatus: (() => void) | undefined;
  #closed: VolleyError | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#transport = options.transport;
    this.id = options.session;
    this.client = options.client;
    this.tenant = options.tenant;
    this.requests = new Requests(options.transport);
    this.requests.onReply = ({ epoch }) => this.#heard(epoch);
    this.#handles = new FinalizationRegistry((index) => this.#unreferenced(index));
  }

  /** Rejects with NO_SCHEDULER, DISCONNECTED, VERSION_MISMATCH. */
  async open(timeoutMs: number = limits.requestTimeoutMs): Promise<void> {
    this.#subscription = this.#transport.subscribe(subjects.client(this.client), (message) => this.#onUpdate(message.data));
    await this.#sendOpen(timeoutMs);
    this.#stopStatus = this.#transport.onStatus((status) => {
      if (status === "connected") this.#resendIncomplete();
    });
    this.#timer = setInterval(() => this.#onTimer(), this.#intervalMs);
    this.flush();
  }

  async #sendOpen(timeoutMs: number): Promise<void> {
    const { client, id: session, tenant } = this;
    const { heartbeatIntervalMs } = await this.requests.ask({ t: "open", client, session, tenant, version: PROTOCOL_VERSION }, "opened", { timeoutMs });
    this.#intervalMs = Math.max(10, heartbeatIntervalMs);
    this.#opening++;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get stageCount(): number {
    return this.#stages.size;
  }

  /** Throws CLOSED after `close`. */
  assertOpen(): void {
    if (this.#closed) throw this.#closed;
  }

  // ---------------------------------------------------------------------------------------------- sending

  /** A new stage, to be sent at the end of this tick. `build` is called then; `reads` are the stages it reads. */
  add(build: (index: number) => StageSpec, reads: StageHandle[] = []): StageHandle {
    this.assertOpen();
    const index = this.#nextIndex++;
    const stage = new ClientStage(this.id, index, () => {
      const spec = build(index);
      if (spec.options.pure) stage.pureBase = stageBase(this.id, spec, (upstream) => this.#baseOf(upstream));
      return spec;
    });
    stage.reads = reads;
    this.#stages.set(index, stage);
    const handle = new StageHandle(this.id, stage);
    this.#handles.register(handle, index);
    this.#outbox.push(stage);
    // After every microtask of this tick: continuations of one batch of results submit again in one message.
    if (!this.#flushing) {
      this.#flushing = true;
      process.nextTick(() => this.flush());
    }
    return handle;
  }

  #baseOf(index: number): ObjectBase {
    return this.#stages.get(index)?.base() ?? stageBaseOf(this.id, index);
  }

  /** Sends what can be sent (S1). */
  flush(): void {
    this.#flushing = false;
    if (this.#outbox.length === 0 || this.#closed) return;
    for (const stage of this.#outbox) this.#finish(stage);
    if (this.#opening === 0 || this.#reopening || this.#transport.status !== "connected") return;
    const held: ClientStage[] = [];
    let batch: StageSpec[] = [];
    let bytes = 0;
    for (const stage of this.#outbox) {
      if (stage.complete) continue;
      if (stage.uploads > 0 || stage.reads.some((read) => read.stage.sentIn !== this.#opening && !read.stage.complete)) {
        held.push(stage);
        continue;
      }
      const spec = this.#prepare(stage);
      if (!spec) continue;
      const size = specBytes(spec);
      if (bytes + size > limits.messageBytesMax && batch.length > 0) {
        this.#publish(batch);
        batch = [];
        bytes = 0;
      }
      batch.push(spec);
      bytes += size;
      stage.sentIn = this.#opening;
      stage.sentAtMs = performance.now();
    }
    this.#outbox = held;
    if (batch.length > 0) this.#publish(batch);
  }

  #finish(stage: ClientStage): void {
    if (!stage.build) return;
    try {
      stage.finish();
    } catch (error) {
      stage.build = undefined;
      stage.count = 1;
      stage.results.setCount(1);
      stage.fail(toWireError(error));
    }
  }

  /** The specification as this scheduler can understand it (S3); undefined: the stage was ended instead. */
  #prepare(stage: ClientStage): StageSpec | undefined {
    const { spec } = stage;
    if (!spec || stage.reads.every((read) => read.stage.sentIn === this.#opening)) return spec;
    const rewritten = rewriteReads(spec, (index) => {
      const read = stage.reads.find((handle) => handle.stage.index === index)?.stage;
      return read && read.sentIn !== this.#opening ? read : undefined;
    });
    if ("error" in rewritten) {
      // Not as an answer of the scheduler: sending again (S2) would not find the inputs either.
      stage.fail(rewritten.error);
      this.#completed(stage);
      return undefined;
    }
    stage.spec = rewritten.spec;
    if (rewritten.spec.options.pure) stage.pureBase = stageBase(this.id, rewritten.spec, (upstream) => this.#baseOf(upstream));
    return rewritten.spec;
  }

  #publish(stages: StageSpec[]): void {
    try {
      this.#transport.publish(subjects.schedulerClient, encodeMessage({ t: "stages", session: this.id, client: this.client, stages }));
    } catch (error) {
      // Over the transport's limit, or closed: nothing was sent. One stage too many must not fail the others.
      if (stages.length > 1) for (const stage of stages) this.#publish([stage]);
      else for (const stage of stages) this.#apply({ r: "failed", stage: stage.index, from: 0, to: stage.count, error: toWireError(error) });
    }
  }

  /** To be called when an upload of the stage has ended; with an error the stage fails. */
  uploaded(stage: ClientStage, error?: unknown): void {
    stage.uploads--;
    if (error !== undefined && !stage.complete) {
      this.#finish(stage);
      this.#apply({ r: "failed", stage: stage.index, from: 0, to: stage.count, error: toWireError(error) });
    }
    if (stage.uploads === 0) this.flush();
  }

  #resendIncomplete(): void {
    const waiting = new Set(this.#outbox);
    for (const stage of this.#stages.values()) if (!stage.complete) waiting.add(stage);
    this.#outbox = [...waiting].sort((a, b) => a.index - b.index);
    this.flush();
  }

  // ---------------------------------------------------------------------------------------------- results

  #onUpdate(data: Uint8Array): void {
    const update = decodeMessage(clientUpdate, data);
    if (update.session !== this.id || update.epoch < this.#epoch) return;
    this.#heard(update.epoch);
    for (const segment of update.segments) this.#apply(segment);
  }

  #apply(segment: ResultSegment): void {
    const stage = this.#stages.get(segment.stage);
    if (!stage || stage.build) return;
    if (segment.r === "failed" && segment.error.code === "SESSION_LOST" && stage.resends < resendsMax) {
      stage.resends++;
      if (!this.#outbox.includes(stage)) this.#outbox.push(stage);
      this.#outbox.sort((a, b) => a.index - b.index);
      new Timer(() => this.flush(), 50 * stage.resends).unref();
      return;
    }
    try {
      stage.results.accept(segment);
    } catch (error) {
      this.#options.onError?.(error); // Dropped; the next beat asks for it again.
      return;
    }
    if (stage.complete) this.#completed(stage);
  }

  #completed(stage: ClientStage): void {
    stage.spec = undefined;
    stage.reads = [];
    if (stage.orphan) this.#release(stage.index);
  }

  #unreferenced(index: number): void {
    const stage = this.#stages.get(index);
    if (!stage) return;
    stage.orphan = true;
    if (stage.complete) this.#release(index);
  }

  #release(index: number): void {
    this.#stages.delete(index);
    this.#released.push(index);
  }

  // ---------------------------------------------------------------------------------------------- liveness

  #heard(epoch: number): void {
    this.#heardMs = performance.now();
    if (epoch > this.#epoch) this.#epoch = epoch;
  }

  #onTimer(): void {
    const silentMs = performance.now() - this.#heardMs;
    if (silentMs > (this.#options.unreachableMs ?? 60_000)) {
      this.#failWaiters(
        new VolleyError(
          "DISCONNECTED",
          `nothing was heard from the scheduler for ${Math.round(silentMs / 1000)} s; the tasks may still run: wait for their refs again when the cluster is back`,
        ),
      );
      this.#heardMs = performance.now(); // Later waits have the same patience.
    }
    if (!this.#beating && !this.#reopening) void this.#beat();
  }

  async #beat(): Promise<void> {
    this.#beating = true;
    try {
      const waiting = this.#waiting();
      const released = this.#released.slice(0, listedPerBeatMax);
      const message = { t: "beat", client: this.client, session: this.id, epoch: this.#epoch as never, waiting, released } as const;
      const reply = await this.requests.ask(message, "beat", { timeoutMs: this.#intervalMs });
      this.#released = this.#released.slice(released.length);
      if (!reply.known) await this.#reopen();
    } catch (error) {
      // The next beat tries again; S4 ends the waits if none gets through.
      if (!isVolleyError(error)) this.#options.onError?.(error);
    } finally {
      this.#beating = false;
    }
  }

  /** Stages whose results are due: those sent in this tick's neighbourhood have had no time. */
  #waiting(): number[] {
    const sentBefore = performance.now() - this.#intervalMs;
    const waiting: number[] = [];
    for (const stage of this.#stages.values()) {
      if (!stage.complete && stage.sentIn === this.#opening && stage.sentAtMs < sentBefore) waiting.push(stage.index);
      if (waiting.length === listedPerBeatMax) break;
    }
    return waiting;
  }

  async #reopen(): Promise<void> {
    if (this.#closed) return;
    this.#reopening = true;
    try {
      await this.#sendOpen(limits.requestTimeoutMs);
      const objects = new Set<ObjectId>();
      for (const stage of this.#stages.values()) for (const arg of stage.spec?.args ?? []) collectObjects(arg, objects);
      await this.#options.onReopen?.(objects);
    } finally {
      this.#reopening = false;
    }
    this.#resendIncomplete();
  }

  #failWaiters(error: VolleyError): void {
    for (const stage of this.#stages.values()) if (stage.results.awaited) stage.results.failWaiters(error);
  }

  /** Ends the session here and, if it can be reached within a second, at the scheduler. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.flush();
    this.#closed = new VolleyError("CLOSED", "this connection to the cluster has been closed");
    clearInterval(this.#timer);
    this.#stopStatus?.();
    this.#failWaiters(this.#closed);
    if (this.#opening > 0) await this.requests.ask({ t: "close", client: this.client, session: this.id }, "ok", { timeoutMs: 1_000 }).catch(() => undefined);
    this.#subscription?.unsubscribe();
  }
}
