/** The threads that decode uploads: Arrow, CSV and JSON from bytes. */
import { type Ingested, type IngestOptions, ingestDefaults } from "./ingested.js";
import type { ThreadRequest } from "./thread.js";
import { ThreadPool, type ThreadPoolOptions } from "./thread-pool.js";

/**
 * Defaults: 2 threads, 256 MiB of heap, replaced after 1,000 requests, 64 requests in the queue. `thread` is for tests
 * of threads that misbehave.
 */
export type IngestPoolOptions = Partial<ThreadPoolOptions>;

export class IngestPool {
  readonly #pool: ThreadPool<ThreadRequest, Ingested>;

  constructor(options: IngestPoolOptions = {}) {
    const defaults = {
      threads: 2,
      heapMb: 256,
      reuseMax: 1_000,
      queueMax: 64,
      thread: new URL("./thread.js", import.meta.url),
    };
    this.#pool = new ThreadPool({ ...defaults, ...options }, ({ bytes, options: given }) => {
      const copy = Uint8Array.from(bytes);
      return { message: { bytes: copy, options: given }, transfer: [copy.buffer] };
    });
  }

  /** Threads started since the beginning; one more for each that was ended. */
  get threadsStarted(): number {
    return this.#pool.threadsStarted;
  }

  /** Starts a thread before the first request needs it. */
  warm(): void {
    this.#pool.warm();
  }

  /** See {@link ingest} in index.ts. `bytes` is copied. */
  ingest(bytes: Uint8Array, options: IngestOptions): Promise<Ingested> {
    return this.#pool.run({ bytes, options }, options.timeoutMs ?? ingestDefaults.timeoutMs);
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}
