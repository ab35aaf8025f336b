/**
 * One thread: a piscina pool of one, so that what is given to it stays with it. Its heap is capped, it sees the
 * environment that it is given, and it can be ended whatever it executes: a fresh one takes its place.
 */
import type { ResourceLimits, Worker } from "node:worker_threads";
import { Piscina } from "piscina";

export interface OwnedThreadOptions {
  /** The module that runs in it, and its export that is called with each message. */
  readonly file: URL;
  readonly name: string;
  /** Of JavaScript's heap. Buffers are not in it. */
  readonly heapMb: number;
  /** Beside the heap's. */
  readonly limits?: Omit<ResourceLimits, "maxOldGenerationSizeMb">;
  /** Messages that it may have at once. */
  readonly messagesMax: number;
  readonly env: Readonly<Record<string, string>>;
  /** Default: as this process. */
  readonly execArgv?: readonly string[];
  readonly workerData?: unknown;
  /** What it posts by itself. */
  onMessage?(message: unknown): void;
  /** An error while it executed nothing. */
  onError?(error: unknown): void;
}

export class OwnedThread {
  readonly #piscina: Piscina;
  readonly #exits = new WeakMap<Worker, Promise<void>>();
  #closed = false;
  /** Threads that ended, or were ended, and another took their place. */
  replaced = 0;

  constructor(options: OwnedThreadOptions) {
    const { file, name, heapMb, messagesMax, env, execArgv, workerData } = options;
    this.#piscina = new Piscina({
      filename: file.href,
      name,
      minThreads: 1,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      concurrentTasksPerWorker: messagesMax,
      atomics: "sync",
      recordTiming: false,
      resourceLimits: { ...options.limits, maxOldGenerationSizeMb: heapMb },
      env: { ...env },
      ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
      ...(workerData === undefined ? {} : { workerData }),
    });
    this.#piscina.on("message", (message) => options.onMessage?.(message));
    this.#piscina.on("error", (error) => options.onError?.(error));
  }

  /**
   * Gives the message to the thread. Rejects when the thread has failed or ended, or `signal` has ended it; all that it
   * posted has been heard by then.
   */
  async execute<Reply>(
    message: unknown,
    options: { transfer?: ArrayBuffer[]; signal?: AbortSignal } = {},
  ): Promise<Reply> {
    const [thread] = this.#piscina.threads;
    if (thread) this.#watch(thread);
    const { transfer, signal } = options;
    try {
      return (await this.#piscina.run(message, {
        ...(transfer ? { transferList: transfer } : {}),
        ...(signal ? { signal } : {}),
      })) as Reply;
    } catch (error) {
      // What a thread has posted arrives before its exit is told. One that failed and lives on is ended.
      if (thread) {
        await thread.terminate();
        await this.#exits.get(thread);
      }
      throw error;
    }
  }

  /** Ends the thread with whatever it executes. Resolves when another has its place. */
  async end(): Promise<void> {
    await this.#piscina.threads[0]?.terminate();
  }

  /** Ends it for good. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#piscina.destroy();
  }

  #watch(thread: Worker): void {
    if (this.#exits.has(thread)) return;
    const exit = new Promise<void>((resolve) => {
      thread.once("exit", () => {
        if (!this.#closed) this.replaced++;
        resolve();
      });
    });
    this.#exits.set(thread, exit);
  }
}
