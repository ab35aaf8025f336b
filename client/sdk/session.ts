/**
 * The client's session: what was submitted, what came back, and what is done when messages or schedulers are lost.
 *
 * S1 Stages leave in the order of their indexes, all of one tick in as few messages as their bytes allow; a stage waits
 * for its uploads and for
 *    the stages it reads.
 * S2 A stage's specification is kept until every result is here: it is sent again after a reconnect, when the scheduler
 * says that it does not
 *    know it (SESSION_LOST of that stage), and after the session was opened again on a new scheduler (M1).
 * S3 What this client was shown stays (I1): a scheduler that does not know a stage is told its results before anything
 * that reads them is sent, and
 *    executes only what is open (retelling.ts). So nothing can read a second execution of what was shown.
 * S4 Nothing waits for ever: when the cluster is not heard, or the session cannot be opened again, for `unreachableMs`,
 * every wait ends with
 *    DISCONNECTED. Time in which this process itself stood still does not count.
 * S5 An opening counts when all of it has succeeded; one that fails half-way is tried again, whole.
 * S6 At most a window of stages and bytes is at the scheduler unsettled; the rest waits here, in order (window.ts).
 */
import { stageBase } from "../../proto/address.js";
import { decodeMessage, encodeMessage } from "../../proto/codec.js";
import { isVolleyError, toWireError, VolleyError, type WireError } from "../../proto/errors.js";
import { type ClientId, type JobId, type ObjectId, stageBaseOf, type TenantId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { clientUpdate } from "../../proto/messages/client.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { subjects } from "../../proto/subjects.js";
import { sleep, Timer } from "../../proto/timer.js";
import type { Subscription, Transport } from "../../proto/transport/transport.js";
import { GivenBack } from "./given-back.js";
import { Liveness, type LivenessOptions } from "./liveness.js";
import { Requests } from "./requests.js";
import { Retelling } from "./retelling.js";
import { endReadUnseen, noteReads } from "./shown-inputs.js";
import { specBytes } from "./spec.js";
import { ClientStage, StageHandle } from "./stage.js";
import { waitingOf } from "./waiting.js";
import { SendWindow } from "./window.js";

export interface SessionOptions extends Pick<LivenessOptions, "keepAlive"> {
  readonly transport: Transport;
  readonly client: ClientId;
  readonly session: JobId;
  readonly tenant: TenantId;
  /** After this long without a word from the scheduler, waits end with DISCONNECTED. Default 60 s. */
  readonly unreachableMs?: number;
  /** What must be told again to a scheduler that does not know this session, before stages are sent to it. */
  onReopen?(): Promise<void>;
  /** Objects that this session has put and that nobody has any more. */
  onMissing?(ids: readonly ObjectId[]): void;
  /** Once a beat. */
  onTurn?(): void;
  /** Faults that no caller can be told of. */
  onError?(error: unknown): void;
}

/** Stages the scheduler says it does not know are sent again this often. */
const resendsMax = 5;
const cancelled: WireError = { code: "CANCELLED", message: "cancelled by its owner" };

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
  readonly #window = new SendWindow();
  #flushing = false;
  #nextIndex = 0;
  /** Whether the scheduler knows this session. */
  readonly live: Liveness;
  readonly #retelling: Retelling;
  readonly #givenBack = new GivenBack(() => this.live.beatSoon());
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
    this.requests.onReply = ({ epoch }) => this.live.heard(epoch);
    this.live = new Liveness({
      ...options,
      requests: this.requests,
      reopen: async () => this.#options.onReopen?.(),
      onReopened: () => this.#reopened(),
      beat: () => ({
        ...waitingOf(this.#stages.values(), this.live.opening, performance.now() - this.live.intervalMs),
        ...this.#givenBack.list(),
      }),
      onBeat: (sent, { missing }) => {
        this.#givenBack.listed(sent);
        if (missing) this.#options.onMissing?.(missing);
      },
      onTurn: () => {
        void this.#retelling.run();
        this.#options.onTurn?.();
      },
      giveUp: (error) => this.#failWaiters(error),
    });
    this.#handles = new FinalizationRegistry((index) => this.#unreferenced(index));
    this.#retelling = new Retelling({
      requests: this.requests,
      session: this.id,
      client: this.client,
      opening: () => this.live.opening,
      onTold: (stage) => this.#sent(stage),
      onRefused: (stage, error) => this.#refused(stage, error),
      onLost: () => this.live.lose(),
      onIdle: () => this.flush(),
    });
  }

  /** Rejects with NO_SCHEDULER, DISCONNECTED, VERSION_MISMATCH. */
  async open(timeoutMs: number = limits.requestTimeoutMs): Promise<void> {
    this.#subscription = this.#transport.subscribe(subjects.client(this.client), (message) =>
      this.#onUpdate(message.data),
    );
    await this.live.open(timeoutMs);
    this.#stopStatus = this.#transport.onStatus((status) => {
      if (status === "connected") this.#resendIncomplete();
    });
    this.flush();
  }

  /**
   * The scheduler does not know yet all that this session has; what it says it does not know may be known in a moment.
   */
  get unsettled(): boolean {
    return this.live.lost || this.#retelling.pending > 0;
  }

  /** Throws CLOSED after `close`. */
  assertOpen(): void {
    if (this.#closed) throw this.#closed;
  }

  // ---------------------------------------------------------------------------------------------- sending

  /** A new stage, to be sent at the end of this tick. `build` is called then; `reads` are the stages it reads. */
  add(build: (index: number) => StageSpec, reads: StageHandle[] = []): StageHandle {
    this.assertOpen();
    this.live.stayAlive();
    const index = this.#nextIndex++;
    const stage = new ClientStage(this.id, index, () => {
      const spec = this.live.addressed(build(index));
      if (spec.options.pure)
        stage.pureBase = stageBase(
          this.id,
          spec,
          (read) => this.#stages.get(read)?.base() ?? stageBaseOf(this.id, read),
        );
      return spec;
    });
    stage.reads = reads;
    this.#stages.set(index, stage);
    const handle = new StageHandle(this.id, stage);
    this.#handles.register(handle, index);
    this.#outbox.push(stage);
    this.#flushLater();
    return handle;
  }

  /** After every microtask of this tick: continuations of one batch of results submit again in one message. */
  #flushLater(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(() => this.flush());
  }

  /** S1. */
  flush(): void {
    this.#flushing = false;
    if (this.#closed) return;
    for (const stage of this.#outbox) this.#finish(stage);
    if (this.live.opening === 0 || this.live.lost || this.#transport.status !== "connected") return;
    const taken = this.#window.take();
    const ready = taken.length > 0 ? [...taken, ...this.#outbox] : this.#outbox;
    if (ready.length === 0) return;
    const held: ClientStage[] = [];
    let batch: StageSpec[] = [];
    let bytes = 0;
    for (const [i, stage] of ready.entries()) {
      if (stage.complete || !this.#sendable(stage)) {
        if (!stage.complete) held.push(stage);
        continue;
      }
      if (this.#window.isFull && !this.#window.has(stage)) {
        this.#window.hold(stage, i < taken.length);
        continue;
      }
      const spec = stage.spec as StageSpec;
      const size = specBytes(spec);
      this.#window.add(stage, size);
      if (bytes + size > limits.messageBytesMax && batch.length > 0) {
        this.#publish(batch);
        batch = [];
        bytes = 0;
      }
      batch.push(spec);
      bytes += size;
      this.#sent(stage);
    }
    this.#outbox = held;
    if (batch.length > 0) this.#publish(batch);
    void this.#retelling.run();
  }

  /**
   * Whether the stage can go out as it is. What must be told before is on its way then; a stage that cannot be sent at
   * all is ended.
   */
  #sendable(stage: ClientStage): boolean {
    if (stage.uploads > 0 || this.#retelling.has(stage)) return false;
    let ready = true;
    for (const { stage: read } of stage.reads) {
      if (read.sentIn === this.live.opening) continue;
      ready = false;
      if (!read.complete) continue;
      if (read.untold) {
        // Not as an answer of the scheduler: sending again (S2) would not find the inputs either.
        this.#end(stage, {
          code: "SESSION_LOST",
          message: `the scheduler restarted and an input of this task is not there any more: ${read.untold.message}`,
        });
        return false;
      }
      this.#retelling.add(read);
    }
    // Partly settled: as what it is, and not whole.
    if (ready && stage.results.settled > 0) this.#retelling.add(stage);
    return ready && stage.results.settled === 0;
  }

  #sent(stage: ClientStage): void {
    stage.sentIn = this.live.opening;
    stage.sentAtMs = performance.now();
  }

  #refused(stage: ClientStage, error: WireError): void {
    if (stage.complete) stage.untold = error;
    else this.#end(stage, error);
  }

  /** What is open of the stage ends with this error. */
  #end(stage: ClientStage, error: WireError): void {
    this.#finish(stage);
    stage.fail(error);
    this.#completed(stage);
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
      this.#completed(stage);
    }
  }

  #publish(stages: StageSpec[]): void {
    try {
      this.#transport.publish(
        subjects.schedulerClient,
        encodeMessage({ t: "stages", session: this.id, client: this.client, stages }),
      );
    } catch (error) {
      // Over the transport's limit, or closed: nothing was sent. One stage too many must not fail the others.
      if (stages.length > 1) for (const stage of stages) this.#publish([stage]);
      else
        for (const stage of stages)
          this.#apply({ r: "failed", stage: stage.index, from: 0, to: stage.count, error: toWireError(error) });
    }
  }

  /** To be called when an upload of the stage has ended; with an error the stage fails. */
  uploaded(stage: ClientStage, error?: unknown): void {
    stage.uploads--;
    if (error !== undefined && !stage.complete) this.#end(stage, toWireError(error));
    if (stage.uploads === 0) this.flush();
  }

  #resendIncomplete(): void {
    const waiting = new Set(this.#outbox);
    for (const stage of this.#stages.values()) {
      // Of what has results here the scheduler that sent them knows.
      if (!stage.complete && (stage.sentIn !== this.live.opening || stage.results.settled === 0)) waiting.add(stage);
    }
    this.#window.forgetHeld();
    this.#outbox = [...waiting].sort((a, b) => a.index - b.index);
    this.flush();
  }

  // ---------------------------------------------------------------------------------------------- results

  #onUpdate(data: Uint8Array): void {
    const update = decodeMessage(clientUpdate, data);
    if (update.session !== this.id || !this.requests.epochs.admits(update.epoch)) return;
    this.live.heard(update.epoch);
    for (const segment of update.segments) this.#apply(segment);
  }

  #apply(segment: ResultSegment): void {
    const stage = this.#stages.get(segment.stage);
    if (!stage || stage.build) return;
    if (segment.r === "failed" && segment.error.code === "SESSION_LOST") {
      this.#unknown(stage, segment.error);
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

  /** The scheduler does not know the stage: it is sent again, a few times. */
  #unknown(stage: ClientStage, error: WireError): void {
    if (stage.complete || this.#outbox.includes(stage) || this.#retelling.has(stage)) return;
    if (++stage.resends > resendsMax) {
      this.#end(stage, error);
      return;
    }
    this.#outbox.push(stage);
    this.#outbox.sort((a, b) => a.index - b.index);
    new Timer(() => this.flush(), 50 * stage.resends).unref();
  }

  /**
   * Ends those of the tasks that have not ended. Resolves when nothing of them will run, or they have ended; rejects
   * when the scheduler cannot be asked.
   */
  async cancel({ stage }: StageHandle, from: number, to: number): Promise<void> {
    this.flush();
    const deadline = performance.now() + limits.requestTimeoutMs;
    for (const open = () => stage.results.open(from, to).next(); !open().done && !this.#closed; ) {
      if (this.#retelling.has(stage)) {
        if (performance.now() > deadline)
          throw new VolleyError(
            "TIMEOUT",
            `the scheduler could not be told of stage ${stage.index} within ${limits.requestTimeoutMs} ms`,
          );
        await sleep(20);
      } else if (this.live.lost || stage.sentIn !== this.live.opening) {
        // The scheduler has not heard of it, and what is ended here is not sent (S3).
        for (const run of [...stage.results.open(from, to)])
          stage.results.accept({ r: "failed", stage: stage.index, ...run, error: cancelled });
        if (stage.complete) this.#completed(stage);
      } else if (await this.#askCancel(stage, from, to)) return;
    }
  }

  /** False: the scheduler did not know the stage, and will not hear of these tasks. */
  async #askCancel(stage: ClientStage, from: number, to: number): Promise<boolean> {
    const { known } = await this.requests
      .ask({ t: "cancel", job: this.id, stage: stage.index, from, to }, "cancelled")
      .catch((error: unknown) => {
        if (!isVolleyError(error) || error.code !== "JOB_NOT_FOUND") throw error;
        this.live.lose();
        return { known: false };
      });
    if (known) return true;
    stage.sentIn = 0;
    if (!this.#outbox.includes(stage)) this.#outbox.push(stage);
    return false;
  }

  #completed(stage: ClientStage): void {
    noteReads(stage);
    stage.settle();
    if (this.#window.settle(stage)) this.#flushLater();
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
    this.#givenBack.stage(index);
  }

  /** An object that was put is not needed any more. */
  dropObject(object: { readonly id: ObjectId; readonly generation: number; readonly bytes: number }): void {
    if (!this.#closed) this.#givenBack.object(object);
  }

  #reopened(): void {
    this.#retelling.clear();
    for (const stage of endReadUnseen(this.#stages.values())) this.#completed(stage);
    for (const stage of this.#stages.values()) {
      stage.resends = 0;
      // Refs to large results must stay good; of small ones the values are here, and they are told when something reads
      // them.
      if (stage.complete && stage.results.hasStored) this.#retelling.add(stage);
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
    this.live.close();
    this.#stopStatus?.();
    this.#failWaiters(this.#closed);
    if (this.live.opening > 0)
      await this.requests
        .ask({ t: "close", client: this.client, session: this.id }, "ok", { timeoutMs: 1_000 })
        .catch(() => undefined);
    this.#subscription?.unsubscribe();
  }
}
