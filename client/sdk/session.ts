/**
 * Drives the session core (session/): moves its messages, keeps its one timer, and turns what it says into promises.
 * What is done when messages, workers or schedulers are lost is decided there; nothing here knows the protocol.
 *
 * D1 Events are taken one at a time, also when a command is carried out at once and gives another event.
 * D2 What is submitted in one tick is handed over at its end, after every microtask: continuations of one batch of
 *    results submit again in one message.
 */
import { stageBase } from "../../proto/address.js";
import { decodeMessage, encodeMessage } from "../../proto/codec.js";
import { isVolleyError, toWireError, VolleyError } from "../../proto/errors.js";
import type { ClientId, JobId, TenantId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { type ClientRequest, type ClientRequestOf, clientMessage, clientReply } from "../../proto/messages/client.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { nextTurn, type Runtime, realRuntime, type Stop } from "../../proto/runtime.js";
import { subjects } from "../../proto/subjects.js";
import type { Subscription, Transport } from "../../proto/transport/transport.js";
import {
  addressed,
  baseOf,
  closedBy,
  type KnownStage,
  newSession,
  nextWakeMs,
  type SessionCommand,
  type SessionEvent,
  type SessionState,
  sessionStep,
  stageOf,
} from "../../session/session.js";
import type { KeepAliveHandle, KeepAliveMessages } from "./keep-alive.js";
import { Requests } from "./requests.js";
import { ClientStage, StageHandle } from "./stage.js";

export interface SessionOptions {
  readonly transport: Transport;
  readonly client: ClientId;
  readonly session: JobId;
  readonly tenant: TenantId;
  /** After this long without a word from the scheduler, waits end with DISCONNECTED. Default 60 s. */
  readonly unreachableMs?: number;
  /** Says that this process lives while the event loop is busy. */
  keepAlive?(messages: KeepAliveMessages): KeepAliveHandle;
  /** Faults that no caller can be told of. */
  onError?(error: unknown): void;
  /** Default: this process. */
  readonly runtime?: Runtime | undefined;
}

type CommandOf<C extends SessionCommand["c"]> = Extract<SessionCommand, { c: C }>;

/** Carries the bytes of what is put. */
export interface PutCarrier {
  upload(put: number, worker: WorkerId): void;
  uploadOver(put: number): void;
  done(put: number, error: VolleyError | undefined): void;
  forgotten(put: number): void;
}

/** Carries the bytes of what is got. */
export interface GetCarrier {
  fetch(get: number, location: ObjectLocation): void;
  failed(get: number, error: CommandOf<"get-failed">["error"]): void;
}

interface Settle {
  resolve(): void;
  reject(error: VolleyError): void;
}

export class Session {
  readonly id: JobId;
  readonly client: ClientId;
  readonly tenant: TenantId;
  readonly requests: Requests;
  readonly state: SessionState;
  readonly #options: SessionOptions;
  readonly #transport: Transport;
  readonly #runtime: Runtime;
  readonly #handles = new FinalizationRegistry<number>((index) => this.#unreferenced(index));
  readonly #stages = new Map<number, ClientStage>();
  /** Stages that grow until the tick ends. */
  #growing: ClientStage[] = [];
  #flushing = false;
  #nextIndex = 0;
  /** D1. */
  #events: SessionEvent[] | undefined;
  #timer: { readonly atMs: number; readonly stop: Stop } | undefined;
  #puts: PutCarrier | undefined;
  #gets: GetCarrier | undefined;
  #opened: Settle | undefined;
  #closed: Settle | undefined;
  readonly #cancels = new Map<number, Settle>();
  #nextCancel = 1;
  #subscription: Subscription | undefined;
  #stopStatus: (() => void) | undefined;
  #alive: KeepAliveHandle | undefined;

  constructor(options: SessionOptions) {
    const { transport, client, session, tenant, unreachableMs } = options;
    this.#options = options;
    this.#transport = transport;
    this.#runtime = options.runtime ?? realRuntime;
    this.id = session;
    this.client = client;
    this.tenant = tenant;
    this.state = newSession({ client, session, tenant, unreachableMs });
    this.requests = new Requests(client, transport.payloadBytesMax, this.#runtime, (event) => {
      this.take(event);
      if (event.e === "locate") this.#flushLater();
    });
  }

  /** Who carries bytes. */
  carry({ puts, gets }: { puts: PutCarrier; gets: GetCarrier }): void {
    this.#puts = puts;
    this.#gets = gets;
  }

  /** Rejects with NO_SCHEDULER, DISCONNECTED, VERSION_MISMATCH. */
  async open(timeoutMs: number = limits.requestTimeoutMs): Promise<void> {
    this.#subscription = this.#transport.subscribe(subjects.client(this.client), ({ data }) => {
      const message = decodeMessage(clientMessage, data);
      if (message.t === "job") this.requests.watches.changed(message);
      else this.take({ e: "update", update: message });
    });
    this.#stopStatus = this.#transport.onStatus((status) => this.take({ e: "link", up: status === "connected" }));
    await new Promise<void>((resolve, reject) => {
      this.#opened = { resolve, reject };
      this.take({ e: "start", timeoutMs, up: this.#transport.status === "connected" });
    });
  }

  /** Throws CLOSED after `close`. */
  assertOpen(): void {
    const closed = closedBy(this.state);
    if (closed) throw closed;
  }

  // ---------------------------------------------------------------------------------------------- the core

  /** D1. */
  take(event: SessionEvent): void {
    if (this.#events) {
      this.#events.push(event);
      return;
    }
    const events = [event];
    this.#events = events;
    try {
      for (const one of events)
        for (const command of sessionStep(this.state, one, this.#runtime.nowMs())) this.#carryOut(command);
    } finally {
      this.#events = undefined;
    }
    this.#arm();
  }

  /** One timer, which is set anew only when it would come too late. */
  #arm(): void {
    const atMs = nextWakeMs(this.state);
    if (this.#timer && this.#timer.atMs <= atMs && atMs !== Number.POSITIVE_INFINITY) return;
    this.#timer?.stop();
    this.#timer = undefined;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const stop = this.#runtime.after(Math.max(0, Math.ceil(atMs - this.#runtime.nowMs())), () => {
      this.#timer = undefined;
      this.take({ e: "ticked" });
    });
    this.#timer = { atMs, stop };
  }

  #carryOut(command: SessionCommand): void {
    switch (command.c) {
      case "settled":
        this.#stages.get(command.index)?.waits.notify(command.from, command.to, command.failed);
        return;
      case "publish":
        this.#publish(command.message);
        return;
      case "request":
        void this.#request(command.ask, command.request, command.timeoutMs);
        return;
      case "answered":
        this.requests.answered(command.question, command.reply);
        return;
      case "located":
        this.requests.answered(command.question, command.location);
        return;
      case "not-answered":
        this.requests.failed(command.question, command.error);
        return;
      case "cancelled":
        settle(this.#cancels.get(command.cancel), command.error);
        this.#cancels.delete(command.cancel);
        return;
      case "fault":
        this.#options.onError?.(command.error);
        return;
      case "give-up":
        for (const { waits } of this.#stages.values()) if (waits.awaited) waits.failAll(command.error);
        return;
      case "opened":
        this.#opened?.resolve();
        return;
      case "not-opened":
        this.#opened?.reject(command.error);
        return;
      case "closed":
        this.#closed?.resolve();
        return;
      default:
        this.#carryBytes(command);
    }
  }

  #carryBytes(
    command: CommandOf<"upload" | "upload-over" | "put-done" | "put-forgotten" | "fetch" | "get-failed">,
  ): void {
    if (command.c === "upload") this.#puts?.upload(command.put, command.worker);
    else if (command.c === "upload-over") this.#puts?.uploadOver(command.put);
    else if (command.c === "put-done") this.#puts?.done(command.put, command.error);
    else if (command.c === "put-forgotten") this.#puts?.forgotten(command.put);
    else if (command.c === "fetch") this.#gets?.fetch(command.get, command.location);
    else this.#gets?.failed(command.get, command.error);
  }

  #publish(message: ClientRequestOf<"stages">): void {
    try {
      this.#transport.publish(subjects.schedulerClient, encodeMessage(message));
    } catch (error) {
      // Over the transport's limit, or closed: nothing was sent.
      const indexes = message.stages.map(({ index }) => index);
      this.take({ e: "unsent", indexes, error: toWireError(error) });
    }
  }

  async #request(ask: number, request: ClientRequest, timeoutMs: number): Promise<void> {
    try {
      const data = await this.#transport.request(subjects.schedulerClient, encodeMessage(request), { timeoutMs });
      this.take({ e: "replied", ask, reply: decodeMessage(clientReply, data) });
    } catch (error) {
      this.take({ e: "unanswered", ask, error: this.failureOf(error) });
    }
  }

  /** Faults that are not the protocol's are told to whoever watches for such, too. */
  failureOf(error: unknown): VolleyError {
    if (isVolleyError(error)) return error;
    this.#options.onError?.(error);
    return new VolleyError("INTERNAL", String(error), { cause: error });
  }

  // ---------------------------------------------------------------------------------------------- stages

  /** A new stage that grows until this tick ends; `build` is called then. */
  grow(build: (index: number) => StageSpec): StageHandle {
    this.assertOpen();
    this.stayAlive();
    const index = this.#nextIndex++;
    this.take({ e: "began", index });
    const handle = this.#known(index, () => build(index));
    this.#growing.push(handle.stage);
    this.#flushLater();
    return handle;
  }

  /** A new stage, to be sent at the end of this tick. `puts`: what it needs in the cluster. */
  add(
    build: (index: number) => StageSpec,
    reads: readonly StageHandle[] = [],
    puts: readonly number[] = [],
  ): StageHandle {
    this.assertOpen();
    this.stayAlive();
    const index = this.#nextIndex;
    const { spec, base } = this.#addressed(build(index));
    this.#nextIndex++;
    this.take({
      e: "submitted",
      stage: { index, spec, base, reads: reads.map(({ stage }) => stage.index), puts },
    });
    this.#flushLater();
    return this.#known(index);
  }

  #addressed(given: StageSpec): { spec: StageSpec; base: ReturnType<typeof stageBase> } {
    const spec = addressed(this.state, given);
    return { spec, base: stageBase(this.id, spec, (read) => baseOf(this.state, read)) };
  }

  #known(index: number, build?: () => StageSpec): StageHandle {
    const stage = new ClientStage(stageOf(this.state, index) as KnownStage, build);
    const handle = new StageHandle(this.id, stage);
    this.#stages.set(index, stage);
    this.#handles.register(handle, index);
    return handle;
  }

  /** D2. */
  #flushLater(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#runtime.atTickEnd(() => this.flush());
  }

  /** Hands over what this tick has submitted so far. */
  flush(): void {
    this.#flushing = false;
    const growing = this.#growing;
    this.#growing = [];
    for (const stage of growing) this.#built(stage);
    this.take({ e: "flush" });
  }

  #built(stage: ClientStage): void {
    const { index, build } = stage;
    stage.build = undefined;
    if (!build) return;
    try {
      this.take({ e: "submitted", stage: { index, ...this.#addressed(build()), reads: [], puts: [] } });
    } catch (error) {
      this.take({ e: "unbuilt", index, error: toWireError(error) });
    }
  }

  /** The owner of the refs is done with tasks [from, to), before the garbage collector finds that. */
  release({ stage }: StageHandle, from: number, to: number): void {
    this.flush();
    if (stage.release(from, to)) this.take({ e: "released", index: stage.index });
  }

  #unreferenced(index: number): void {
    this.#stages.delete(index);
    this.take({ e: "released", index });
  }

  /**
   * Ends those of the tasks that have not ended. Resolves when nothing of them will run, or they have ended; rejects
   * when the scheduler cannot be asked.
   */
  async cancel({ stage: { index } }: StageHandle, from: number, to: number): Promise<void> {
    this.flush();
    await new Promise<void>((resolve, reject) => {
      const cancel = this.#nextCancel++;
      this.#cancels.set(cancel, { resolve, reject });
      this.take({ e: "cancel", cancel, index, from, to });
    });
  }

  // ---------------------------------------------------------------------------------------------- bytes

  /** A turn of the event loop. */
  turn(): Promise<void> {
    return nextTurn(this.#runtime);
  }

  /** A put or a get: what else is said of it in this tick belongs to it, and what is asked travels at its end. */
  takeUntilFlush(event: Extract<SessionEvent, { e: "put" | "get" }>): void {
    this.take(event);
    this.#flushLater();
  }

  // ---------------------------------------------------------------------------------------------- life

  /** From now on there is something to lose. Started late, because a thread costs some milliseconds and megabytes. */
  stayAlive(): void {
    const { client, session, keepAlive } = this.#options;
    if (this.#alive || !keepAlive || closedBy(this.state)) return;
    const epoch = 0 as ClientRequestOf<"heartbeat">["epoch"];
    const heartbeat: ClientRequest = { t: "heartbeat", client, session, epoch, waiting: [], released: [] };
    const close: ClientRequest = { t: "close", client, session };
    this.#alive = keepAlive({
      subject: subjects.schedulerClient,
      alive: encodeMessage(heartbeat),
      deregister: encodeMessage(close),
    });
  }

  /** Ends the session here and, if it can be reached within a second, at the scheduler. */
  async close(): Promise<void> {
    if (closedBy(this.state)) return;
    this.flush();
    this.#alive?.stop();
    this.#stopStatus?.();
    await new Promise<void>((resolve, reject) => {
      this.#closed = { resolve, reject };
      this.take({ e: "close" });
    });
    this.#subscription?.unsubscribe();
  }
}

function settle(waiter: Settle | undefined, error: VolleyError | undefined): void {
  if (error) waiter?.reject(error);
  else waiter?.resolve();
}
