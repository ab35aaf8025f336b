/**
 * Disposable threads. A thread has a capped heap and a deadline; when either is passed, or its work breaks in a way it
 * did not foresee, the thread is ended and another takes its place. A thread that answered, with a result or a refusal,
 * is used again, up to `reuseMax` times. What runs in the thread is serve.ts with a function that keeps no state.
 */
import { fromWireError, VolleyError } from "../../proto/errors.js";
import { checkTimeoutMs, Timer } from "../../proto/timer.js";
import { OwnedThread } from "../../threads/owned-thread.js";
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
  /** The thread's file: what it exports as `answer` is called with each request (serve.ts). */
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
  readonly thread: OwnedThread;
  /** Since its thread was started. */
  served: number;
  request: Request<W, R> | undefined;
  /** Ends the thread in the middle of its request. */
  abort: AbortController;
}

export class ThreadPool<W, R> {
  readonly #options: ThreadPoolOptions;
  readonly #prepare: (work: W) => { message: W; transfer: ArrayBuffer[] };
  readonly #slots = new Set<Slot<W, R>>();
  #queue: Request<W, R>[] = [];
  #closed = false;

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
    return [...this.#slots].reduce((sum, { thread }) => sum + 1 + thread.replaced, 0);
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
    for (const { request } of this.#slots)
      if (request) this.#fail(request, new VolleyError("CLOSED", "this ingest pool was closed during decoding"));
    await Promise.all([...this.#slots].map((slot) => slot.thread.close()));
  }

  #dispatch(): void {
    while (this.#queue.length > 0 && !this.#closed) {
      const slot =
        [...this.#slots].find((candidate) => !candidate.request) ??
        (this.#slots.size < this.#options.threads ? this.#start() : undefined);
      if (!slot) return;
      void this.#serve(slot, this.#queue.shift() as Request<W, R>);
    }
  }

  #start(): Slot<W, R> {
    const { heapMb, thread } = this.#options;
    const slot: Slot<W, R> = {
      thread: new OwnedThread({
        file: thread,
        name: "answer",
        heapMb,
        limits: { maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
        messagesMax: 1,
        execArgv: [],
        env: {},
      }),
      served: 0,
      request: undefined,
      abort: new AbortController(),
    };
    this.#slots.add(slot);
    return slot;
  }

  async #serve(slot: Slot<W, R>, request: Request<W, R>): Promise<void> {
    const { thread } = slot;
    slot.request = request;
    slot.abort = new AbortController();
    try {
      const { message, transfer } = this.#prepare(request.work);
      const reply = await thread.execute<ThreadReply<R>>(message, { transfer, signal: slot.abort.signal });
      request.timer?.stop();
      if (reply.t === "done") request.resolve(reply.result);
      else request.reject(fromWireError(reply.error));
      slot.served++;
    } catch (error) {
      slot.served = 0;
      this.#fail(request, this.#fault(error as NodeJS.ErrnoException));
    }
    if (slot.served >= this.#options.reuseMax) {
      slot.served = 0;
      await thread.end();
    }
    slot.request = undefined;
    this.#dispatch();
  }

  #fault(error: NodeJS.ErrnoException): VolleyError {
    if (error.code === "ERR_WORKER_OUT_OF_MEMORY")
      return invalidData(
        `the bytes need more than ${this.#options.heapMb} MiB of heap to decode; send them in smaller parts`,
      );
    if (/exited with code/.test(error.message)) return invalidData("decoding ended its thread");
    return invalidData(`the bytes could not be decoded: ${error.message}`);
  }

  #expire(request: Request<W, R>): void {
    this.#queue = this.#queue.filter((waiting) => waiting !== request);
    this.#fail(request, new VolleyError("TIMEOUT", `the upload was not decoded within ${request.timeoutMs} ms`));
    for (const slot of this.#slots) if (slot.request === request) slot.abort.abort();
  }

  /** What has been answered already stays so. */
  #fail(request: Request<W, R>, error: VolleyError): void {
    request.timer?.stop();
    request.reject(error);
  }
}
