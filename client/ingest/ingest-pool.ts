/**
 * Threads that decode bytes from outside. A thread has a capped heap and a deadline; when either is passed, or the decoder breaks in a way
 * it did not foresee, the thread is ended and never used again. A thread whose decoder answered, with a table or a refusal, is used again
 * (decode.ts keeps no state), up to `reuseMax` times.
 */
import { Worker } from "node:worker_threads";
import { fromWireError, VolleyError } from "../../proto/errors.js";
import { type Ingested, type IngestOptions, ingestDefaults, invalidData } from "./ingested.js";
import type { ThreadReply, ThreadRequest } from "./thread.js";

export interface IngestPoolOptions {
  /** Threads at once. Default 2. */
  readonly threads?: number;
  /** JavaScript heap of a thread. Default 256. Buffers are not in it; the decoders keep those in proportion to the input. */
  readonly heapMb?: number;
  /** Requests a thread serves before it is replaced. Default 1,000. */
  readonly reuseMax?: number;
  /** Requests that may wait for a thread; one more is RATE_LIMITED. Default 64. */
  readonly queueMax?: number;
  /** The thread's file, for tests of threads that misbehave. */
  readonly thread?: URL;
}

interface Request {
  readonly bytes: Uint8Array;
  readonly options: IngestOptions;
  readonly timeoutMs: number;
  readonly resolve: (result: Ingested) => void;
  readonly reject: (error: VolleyError) => void;
  timer: NodeJS.Timeout | undefined;
}

interface Slot {
  readonly worker: Worker;
  served: number;
  request: Request | undefined;
}

export class IngestPool {
  readonly #options: Required<IngestPoolOptions>;
  readonly #slots = new Set<Slot>();
  #queue: Request[] = [];
  #closed = false;
  #threadsStarted = 0;

  constructor(options: IngestPoolOptions = {}) {
    this.#options = { threads: 2, heapMb: 256, reuseMax: 1_000, queueMax: 64, thread: new URL("./thread.js", import.meta.url), ...options };
  }

  /** Threads started since the beginning; one more for each that was ended. */
  get threadsStarted(): number {
    return this.#threadsStarted;
  }

  /** Starts a thread before the first request needs it. */
  warm(): void {
    if (this.#slots.size === 0 && !this.#closed) this.#start();
  }

  /** See {@link ingest} in index.ts. `bytes` is copied. */
  ingest(bytes: Uint8Array, options: IngestOptions): Promise<Ingested> {
    if (this.#closed) return Promise.reject(new VolleyError("CLOSED", "this ingest pool has been closed"));
    if (this.#queue.length >= this.#options.queueMax) {
      return Promise.reject(new VolleyError("RATE_LIMITED", `${this.#queue.length} uploads wait to be decoded already; try again in a moment`));
    }
    return new Promise((resolve, reject) => {
      const timeoutMs = options.timeoutMs ?? ingestDefaults.timeoutMs;
      const request: Request = { bytes, options, timeoutMs, resolve, reject, timer: undefined };
      request.timer = setTimeout(() => this.#expire(request), timeoutMs);
      this.#queue.push(request);
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const request of this.#queue.splice(0)) this.#settle(request, new VolleyError("CLOSED", "this ingest pool was closed while the request waited"));
    await Promise.all([...this.#slots].map((slot) => this.#end(slot, new VolleyError("CLOSED", "this ingest pool was closed during decoding"))));
  }

  #dispatch(): void {
    while (this.#queue.length > 0 && !this.#closed) {
      const slot = [...this.#slots].find((candidate) => !candidate.request) ?? (this.#slots.size < this.#options.threads ? this.#start() : undefined);
      if (!slot) return;
      const request = this.#queue.shift() as Request;
      slot.request = request;
      slot.worker.ref();
      const bytes = Uint8Array.from(request.bytes);
      const message: ThreadRequest = { bytes, options: request.options };
      slot.worker.postMessage(message, [bytes.buffer]);
    }
  }

  #start(): Slot {
    const { heapMb, thread } = this.#options;
    const worker = new Worker(thread, {
      resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
      execArgv: [],
      env: {},
      stdin: false,
    });
    const slot: Slot = { worker, served: 0, request: undefined };
    this.#threadsStarted++;
    this.#slots.add(slot);
    worker.unref();
    worker.on("message", (reply: ThreadReply) => this.#answered(slot, reply));
    worker.on("error", (error: NodeJS.ErrnoException) => void this.#end(slot, this.#fault(error)));
    worker.on("exit", () => void this.#end(slot, invalidData("decoding ended its thread")));
    return slot;
  }

  #fault(error: NodeJS.ErrnoException): VolleyError {
    if (error.code === "ERR_WORKER_OUT_OF_MEMORY")
      return invalidData(`the bytes need more than ${this.#options.heapMb} MiB of heap to decode; send them in smaller parts`);
    return invalidData(`the bytes could not be decoded: ${error.message}`);
  }

  #answered(slot: Slot, reply: ThreadReply): void {
    const { request } = slot;
    if (!request) return;
    if (reply.t === "broke") return void this.#end(slot, invalidData(`the bytes could not be decoded: ${reply.message}`));
    slot.request = undefined;
    slot.worker.unref();
    this.#settle(request, reply.t === "done" ? reply.result : fromWireError(reply.error));
    if (++slot.served >= this.#options.reuseMax) void this.#end(slot, undefined);
    this.#dispatch();
  }

  #expire(request: Request): void {
    const error = new VolleyError("TIMEOUT", `the upload was not decoded within ${request.timeoutMs} ms`);
    const slot = [...this.#slots].find((candidate) => candidate.request === request);
    if (slot) return void this.#end(slot, error);
    this.#queue = this.#queue.filter((waiting) => waiting !== request);
    this.#settle(request, error);
  }

  /** Ends a thread, fails what it was doing, and lets a fresh one take what waits. */
  async #end(slot: Slot, error: VolleyError | undefined): Promise<void> {
    if (!this.#slots.delete(slot)) return;
    const { request } = slot;
    slot.request = undefined;
    if (request && error) this.#settle(request, error);
    if (!this.#closed) {
      this.warm();
      this.#dispatch();
    }
    await slot.worker.terminate();
  }

  #settle(request: Request, outcome: Ingested | VolleyError): void {
    clearTimeout(request.timer);
    if (outcome instanceof Error) request.reject(outcome);
    else request.resolve(outcome);
  }
}
