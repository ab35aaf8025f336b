/**
 * Disposable threads. A thread has a capped heap and a deadline; when either is passed, or its work breaks in a way it
 * did not foresee, the thread is ended and never used again. A thread that answered, with a result or a refusal, is
 * used again, up to `reuseMax` times. What runs in the thread is serve.ts with a function that keeps no state.
 */
import { Worker } from "node:worker_threads";
import { fromWireError, VolleyError } from "../../proto/errors.js";
import { checkTimeoutMs, Timer } from "../../proto/timer.js";
import { invalidData } from "./ingested.js";
import type { ThreadReply } from "./serve.js";

export interface ThreadPoolOptions {
  /** Threads at once. */
  readonly threads: number;
  /** JavaScript heap of a thread. Buffers are not in it; the decoders keep those in proportion to the input. */
  readonly heapMb: number;
  /** Requests a thread serves before it is replaced. */
  readonly reuseMax: number;
  /** Requests that may wait for a thread; one more is RATE_LIMITED. */
  readonly queueMax: number;
  /** The thread's file. */
  readonly thread: URL;
}

interface Request<W, R> {
  readonly work: W;
  readonly timeoutMs: number;
  readonly resolve: (result: R) => void;
  readonly reject: (error: VolleyError) => void;
  timer: Timer | undefined;
}

interface Slot<W, R> {
  readonly worker: Worker;
  served: number;
  request: Request<W, R> | undefined;
}

export class ThreadPool<W, R> {
  readonly #options: ThreadPoolOptions;
  readonly #prepare: (work: W) => { message: W; transfer: ArrayBuffer[] };
  readonly #slots = new Set<Slot<W, R>>();
  #queue: Request<W, R>[] = [];
  #closed = false;
  #threadsStarted = 0;

  /**
   * `prepare` makes, when a thread is free, the message of a request and says which of its buffers move to the thread.
   */
  constructor(
    options: ThreadPoolOptions,
    prepare: (work: W) => { message: W; transfer: ArrayBuffer[] } = (message) => ({ message, transfer: [] }),
  ) {
    this.#options = options;
    this.#prepare = prepare;
  }

  /** Threads started since the beginning; one more for each that was ended. */
  get threadsStarted(): number {
    return this.#threadsStarted;
  }

  /** Starts a thread before the first request needs it. */
  warm(): void {
    if (this.#slots.size === 0 && !this.#closed) this.#start();
  }

  /** `timeoutMs` bounds waiting and working together. */
  run(work: W, timeoutMs: number): Promise<R> {
    checkTimeoutMs(timeoutMs);
    if (this.#closed) return Promise.reject(new VolleyError("CLOSED", "this ingest pool has been closed"));
    if (this.#queue.length >= this.#options.queueMax) {
      return Promise.reject(
        new VolleyError(
          "RATE_LIMITED",
          `${this.#queue.length} uploads wait to be decoded already; try again in a moment`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      const request: Request<W, R> = { work, timeoutMs, resolve, reject, timer: undefined };
      request.timer = new Timer(() => this.#expire(request), timeoutMs);
      this.#queue.push(request);
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const request of this.#queue.splice(0))
      this.#fail(request, new VolleyError("CLOSED", "this ingest pool was closed while the request waited"));
    await Promise.all(
      [...this.#slots].map((slot) =>
        this.#end(slot, new VolleyError("CLOSED", "this ingest pool was closed during decoding")),
      ),
    );
  }

  #dispatch(): void {
    while (this.#queue.length > 0 && !this.#closed) {
      const slot =
        [...this.#slots].find((candidate) => !candidate.request) ??
        (this.#slots.size < this.#options.threads ? this.#start() : undefined);
      if (!slot) return;
      const request = this.#queue.shift() as Request<W, R>;
      slot.request = request;
      slot.worker.ref();
      const { message, transfer } = this.#prepare(request.work);
      slot.worker.postMessage(message, transfer);
    }
  }

  #start(): Slot<W, R> {
    const { heapMb, thread } = this.#options;
    const worker = new Worker(thread, {
      resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
      execArgv: [],
      env: {},
      stdin: false,
    });
    const slot: Slot<W, R> = { worker, served: 0, request: undefined };
    this.#threadsStarted++;
    this.#slots.add(slot);
    worker.unref();
    worker.on("message", (reply: ThreadReply<R>) => this.#answered(slot, reply));
    worker.on("error", (error: NodeJS.ErrnoException) => void this.#end(slot, this.#fault(error)));
    worker.on("exit", () => void this.#end(slot, invalidData("decoding ended its thread")));
    return slot;
  }

  #fault(error: NodeJS.ErrnoException): VolleyError {
    if (error.code === "ERR_WORKER_OUT_OF_MEMORY")
      return invalidData(
        `the bytes need more than ${this.#options.heapMb} MiB of heap to decode; send them in smaller parts`,
      );
    return invalidData(`the bytes could not be decoded: ${error.message}`);
  }

  #answered(slot: Slot<W, R>, reply: ThreadReply<R>): void {
    const { request } = slot;
    if (!request) return;
    if (reply.t === "broke")
      return void this.#end(slot, invalidData(`the bytes could not be decoded: ${reply.message}`));
    slot.request = undefined;
    slot.worker.unref();
    request.timer?.stop();
    if (reply.t === "done") request.resolve(reply.result);
    else request.reject(fromWireError(reply.error));
    if (++slot.served >= this.#options.reuseMax) void this.#end(slot, undefined);
    this.#dispatch();
  }

  #expire(request: Request<W, R>): void {
    const error = new VolleyError("TIMEOUT", `the upload was not decoded within ${request.timeoutMs} ms`);
    const slot = [...this.#slots].find((candidate) => candidate.request === request);
    if (slot) return void this.#end(slot, error);
    this.#queue = this.#queue.filter((waiting) => waiting !== request);
    this.#fail(request, error);
  }

  /** Ends a thread, fails what it was doing, and lets a fresh one take what waits. */
  async #end(slot: Slot<W, R>, error: VolleyError | undefined): Promise<void> {
    if (!this.#slots.delete(slot)) return;
    const { request } = slot;
    slot.request = undefined;
    if (request && error) this.#fail(request, error);
    if (!this.#closed) {
      this.warm();
      this.#dispatch();
    }
    await slot.worker.terminate();
  }

  #fail(request: Request<W, R>, error: VolleyError): void {
    request.timer?.stop();
    request.reject(error);
  }
}
