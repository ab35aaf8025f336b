/**
 * The slots: one piscina thread each. A run is one lease, or what is left of it, on one thread.
 *
 * When user code ends its thread (exit, heap exhaustion, a kill after its time limit), exactly the task that was
 * executing fails, every result made before it is kept (channel.ts), and the rest goes on in a fresh thread. The caller
 * sees none of that but the failed task.
 */
import type { Worker } from "node:worker_threads";
import { Piscina } from "piscina";
import type { ErrorCode, WireError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { SharedMemory } from "../store/memory.js";
import { SlotChannel } from "./channel.js";
import { monotonicMs } from "./clock.js";
import { collect } from "./collector.js";
import { regionsOf } from "./kernel-engines.js";
import type { RunMessage, RunReply, ThreadData, ThreadMessage } from "./run-message.js";

export interface LargeResult {
  readonly task: number;
  readonly kind: number;
  readonly data: Uint8Array<ArrayBuffer>;
  /** 16 bytes over kind and payload, computed in the thread. */
  readonly digest: Uint8Array;
  readonly slotTimeUs: number;
  /** To be called when the bytes have been stored: threads wait while too many are under way. */
  stored(): void;
}

export interface RunListener {
  results(segment: ResultSegment, slotTimeUs: number): void;
  /** A result above inlineBytesMax. */
  large(result: LargeResult): void;
}

export type RunSpec = Omit<RunMessage, "channel" | "run"> & { readonly timeoutMs: number };

export interface Run {
  /** Starts nothing from `to` on; returns the first task that surely will not start. */
  limit(to: number): number;
  /** Stops now, also in the middle of a task. */
  kill(): void;
  /** Resolves when the slot is free and the listener has heard everything. */
  readonly done: Promise<void>;
}

export interface SlotPoolOptions {
  readonly slots: number;
  readonly memory: SharedMemory | null;
  /** Of that memory, for the slots' kernels: `kernelBytes(slots)`. Without it kernels work on memory of their own. */
  readonly reserved?: { readonly offset: number; readonly bytes: number };
  readonly heapBytesMax: number;
  /** What user code prints. `dropped` lines before it were over the rate. */
  onLog?(line: { level: "info" | "warn" | "error"; where: string; text: string; dropped: number }): void;
  /** A fault of the pool's own. */
  onError?(error: unknown): void;
}

/** The agent reads the rings by itself this often, for results that wait behind a long task. */
const harvestMs = 50;
/** A cancelled task may still end by itself within this time; killing a thread costs more. */
const killGraceMs = 20;
/** A thread that dies without executing anything gets this many chances. */
const idleDeathsMax = 3;

interface Slot {
  readonly index: number;
  readonly channel: SlotChannel;
  active: ActiveRun | undefined;
  /** Of large results that have not been stored yet. */
  largeBytes: number;
}

interface ActiveRun {
  readonly id: number;
  readonly spec: RunSpec;
  readonly listener: RunListener;
  /** No task from here on starts. */
  to: number;
  abort: AbortController;
  killedFor: "timeout" | "cancel" | undefined;
  timer: NodeJS.Timeout | undefined;
  /** Tasks with a result, for the blame after a death. */
  lastResult: number;
  larges: number;
  /**
   * Where a heap was exhausted by decoding; a thread that had nothing else in its heap gets a second chance. -1: before
   * the first task.
   */
  decodedInVain: number | undefined;
  largeHeard: (() => void) | undefined;
}

export class SlotPool {
  readonly #options: SlotPoolOptions;
  readonly #piscina: Piscina;
  readonly #slots: Slot[];
  readonly #exits = new Map<number, Promise<void>>();
  readonly #known = new WeakSet<Worker>();
  readonly #harvest: NodeJS.Timeout;
  #nextRun = 1;
  #closed = false;
  /** Threads replaced because user code ended them or made them unfit. */
  threadsReplaced = 0;

  constructor(options: SlotPoolOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.slots }, (_, index) => ({
      index,
      channel: new SlotChannel(),
      active: undefined,
      largeBytes: 0,
    }));
    const workerData: ThreadData = {
      memory: options.memory,
      regions: regionsOf(options.reserved, options.slots),
      channels: this.#slots.map((slot) => slot.channel.buffer),
      inlineBytesMax: limits.inlineBytesMax,
      heapBytes: options.heapBytesMax,
    };
    this.#piscina = new Piscina({
      filename: new URL("./thread.js", import.meta.url).href,
      name: "run",
      minThreads: options.slots,
      maxThreads: options.slots,
      idleTimeout: Number.POSITIVE_INFINITY,
      concurrentTasksPerWorker: 1,
      atomics: "sync",
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(options.heapBytesMax / 2 ** 20) },
      env: threadEnv(process.env),
      workerData,
    });
    this.#piscina.on("message", (message: ThreadMessage) => this.#hear(message));
    this.#piscina.on("error", (error) => options.onError?.(error));
    this.#harvest = setInterval(() => {
      for (const slot of this.#slots) if (slot.active) this.#collect(slot);
    }, harvestMs).unref();
  }

  get busy(): number {
    return this.#slots.filter((slot) => slot.active).length;
  }

  /** Which task each busy slot executes. */
  executing(): { job: string; stage: number; task: number }[] {
    return this.#slots.flatMap(({ active, channel }) =>
      active && channel.executing >= 0
        ? [{ job: active.spec.job, stage: active.spec.stage, task: channel.executing }]
        : [],
    );
  }

  /** Takes a free slot; the caller knows that there is one. */
  run(spec: RunSpec, listener: RunListener): Run {
    const slot = this.#slots.find((candidate) => !candidate.active);
    if (!slot) throw new RangeError(`all ${this.#slots.length} slots are busy`);
    const active: ActiveRun = {
      id: this.#nextRun++,
      spec,
      listener,
      to: spec.to,
      abort: new AbortController(),
      killedFor: undefined,
      timer: undefined,
      lastResult: spec.from - 1,
      larges: 0,
      decodedInVain: undefined,
      largeHeard: undefined,
    };
    slot.active = active;
    const done = this.#drive(slot, active).finally(() => {
      clearTimeout(active.timer);
      slot.active = undefined;
    });
    return {
      done,
      limit: (to) => {
        if (slot.active !== active) return Math.min(to, active.to);
        active.to = Math.min(active.to, slot.channel.limit(Math.min(to, active.to)));
        return active.to;
      },
      kill: () => {
        if (slot.active !== active || active.killedFor) return;
        active.to = Math.min(active.to, slot.channel.limit(spec.from));
        clearTimeout(active.timer);
        active.timer = setTimeout(() => {
          active.killedFor = "cancel";
          active.abort.abort();
        }, killGraceMs);
      },
    };
  }

  /** Ends every thread. Runs under way end without results for what they had not finished. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#harvest);
    for (const { active } of this.#slots) {
      if (!active) continue;
      active.killedFor = "cancel";
      active.abort.abort();
    }
    await this.#piscina.destroy();
  }

  // ---------------------------------------------------------------------------------------------- one run, over as
  // many threads as it needs

  async #drive(slot: Slot, active: ActiveRun): Promise<void> {
    let next = active.spec.from;
    let idleDeaths = 0;
    while (next < active.to && !this.#closed) {
      slot.channel.reset(active.to, slot.largeBytes);
      active.larges = 0;
      this.#armTimeout(slot, active);
      try {
        const reply = await this.#once(slot, active, next);
        if (reply.fault) {
          this.#failRest(active, reply.next, { ...reply.fault });
          return;
        }
        next = reply.next;
        // A limit may have come between; a thread that ended unfit leaves the rest to another.
        if (next < active.to && slot.channel.retiredAt === undefined) return;
      } catch (error) {
        if (active.killedFor === "cancel" || this.#closed) return;
        const before = next;
        next = this.#blame(slot, active, next, error);
        idleDeaths = next === before ? idleDeaths + 1 : 0;
        if (idleDeaths >= idleDeathsMax) {
          this.#failRest(active, next, {
            code: "INTERNAL",
            message: `the slot's thread ended ${idleDeaths} times before it could execute a task: ${String(error)}`,
          });
          return;
        }
        active.killedFor = undefined;
        active.abort = new AbortController();
      }
    }
  }

  async #once(slot: Slot, active: ActiveRun, next: number): Promise<RunReply> {
    this.#watchThreads();
    const { timeoutMs: _, ...spec } = active.spec;
    const message: RunMessage = { ...spec, channel: slot.index, run: active.id, from: next, to: active.to };
    try {
      const reply = (await this.#piscina.run(message, { signal: active.abort.signal })) as RunReply;
      this.#collect(slot);
      if (active.larges < slot.channel.larges) await this.#heardAllLarges(slot, active);
      return reply;
    } catch (error) {
      this.threadsReplaced++;
      await this.#ended(slot.channel.threadId);
      this.#collect(slot);
      const retiredAt = slot.channel.retiredAt;
      if (retiredAt !== undefined) return { next: retiredAt };
      throw error;
    }
  }

  #heardAllLarges(slot: Slot, active: ActiveRun): Promise<void> {
    return new Promise((resolve) => {
      active.largeHeard = () => {
        if (active.larges >= slot.channel.larges) resolve();
      };
    });
  }

  /** After a death: fails the task that was executing and returns the one after it. */
  #blame(slot: Slot, active: ActiveRun, next: number, error: unknown): number {
    const { channel } = slot;
    const wire: { -readonly [K in keyof WireError]: WireError[K] } = { ...this.#causeOf(active, error) };
    const culprit = channel.executing;
    const phase = channel.loading ?? (culprit >= 0 && channel.decoding ? "task" : undefined);
    // What the heap held besides was not this run's.
    if (phase !== undefined && wire.code === "TASK_OUT_OF_MEMORY" && active.decodedInVain !== culprit) {
      active.decodedInVain = culprit;
      return Math.max(next, culprit);
    }
    if (phase === "module" || phase === "arguments") {
      const what =
        phase === "module" ? "while its module was loading" : "while the arguments that its tasks share were decoded";
      this.#failRest(active, next, { ...wire, message: `${wire.message} (${what})` });
      return active.to;
    }
    if (phase === "task") wire.message += " (while its arguments were decoded, before the function was called)";
    if (culprit < 0) return Math.max(next, active.lastResult + 1);
    // Its result is there: it died after the task had ended.
    if (culprit <= active.lastResult) return culprit + 1;
    active.listener.results(
      { r: "failed", stage: active.spec.stage, from: culprit, to: culprit + 1, error: wire },
      Math.round(channel.executingMs(monotonicMs()) * 1000),
    );
    active.lastResult = culprit;
    return culprit + 1;
  }

  #causeOf(active: ActiveRun, error: unknown): WireError {
    if (active.killedFor === "timeout") {
      const { timeoutMs } = active.spec;
      const whose =
        timeoutMs === limits.taskTimeoutMsDefault
          ? " (the default of an hour; with({ timeoutMs }) sets another, up to 366 days)"
          : "";
      return {
        code: "TASK_TIMEOUT",
        message: `the task ran longer than its timeoutMs of ${timeoutMs}${whose}; its thread was ended`,
      };
    }
    const code = (error as { code?: unknown } | null)?.code;
    const message = error instanceof Error ? error.message : String(error);
    if (code === "ERR_WORKER_OUT_OF_MEMORY") {
      return {
        code: "TASK_OUT_OF_MEMORY",
        message: `the task exhausted the heap of its thread (${Math.ceil(this.#options.heapBytesMax / 2 ** 20)} MiB; VOLLEY_THREAD_HEAP_BYTES)`,
      };
    }
    const exit = /exited with code: (-?\d+)/.exec(message);
    const kind: ErrorCode = "TASK_EXITED";
    return {
      code: kind,
      message: exit
        ? `the function ended its thread: exit code ${exit[1]}`
        : `the function's thread crashed: ${message}`,
    };
  }

  #failRest(active: ActiveRun, from: number, error: WireError): void {
    if (from < active.to)
      active.listener.results({ r: "failed", stage: active.spec.stage, from, to: active.to, error }, 0);
  }

  // ---------------------------------------------------------------------------------------------- time limits

  #armTimeout(slot: Slot, active: ActiveRun): void {
    clearTimeout(active.timer);
    const { timeoutMs } = active.spec;
    const check = (): void => {
      const left = timeoutMs - slot.channel.executingMs(monotonicMs());
      if (left <= 0) {
        active.killedFor = "timeout";
        active.abort.abort();
        return;
      }
      arm(left);
    };
    // Timers are at most 2^31 ms; a longer limit is looked at again on the way.
    const arm = (ms: number): void => {
      active.timer = setTimeout(check, Math.min(ms + 1, 2 ** 30));
    };
    arm(timeoutMs);
  }

  // ---------------------------------------------------------------------------------------------- threads

  /** piscina replaces threads by itself; their exits are watched, because what they posted is complete only then. */
  #watchThreads(): void {
    for (const thread of this.#piscina.threads) {
      if (this.#known.has(thread)) continue;
      this.#known.add(thread);
      const id = thread.threadId;
      this.#exits.set(id, new Promise((resolve) => thread.once("exit", () => resolve())));
      thread.once("exit", () => setImmediate(() => this.#exits.delete(id)));
    }
  }

  /** What a thread has posted arrives before its exit is told. One that failed and lives on is ended. */
  async #ended(threadId: number): Promise<void> {
    if (threadId === 0) return;
    await this.#piscina.threads.find((thread) => thread.threadId === threadId)?.terminate();
    await this.#exits.get(threadId);
  }

  #hear(message: ThreadMessage): void {
    if (typeof message === "number") {
      const slot = this.#slots[message];
      if (slot) this.#collect(slot);
      return;
    }
    if (message.t === "log") {
      this.#options.onLog?.(message);
      return;
    }
    const slot = this.#slots[message.channel];
    const active = slot?.active;
    if (!slot || !active || active.id !== message.run) {
      slot?.channel.largeStored(message.data.byteLength);
      return;
    }
    active.larges++;
    const { task, kind, data, digest, timeUs } = message;
    const bytes = data.byteLength;
    active.lastResult = Math.max(active.lastResult, task);
    slot.largeBytes += bytes;
    const stored = (): void => {
      slot.largeBytes -= bytes;
      slot.channel.largeStored(bytes);
    };
    active.listener.large({ task, kind, data, digest, slotTimeUs: timeUs, stored });
    active.largeHeard?.();
  }

  #collect(slot: Slot): void {
    const { active } = slot;
    if (!active) return;
    collect(slot.channel, active.spec.stage, (segment, slotTimeUs) => {
      active.lastResult = Math.max(active.lastResult, segment.to - 1);
      active.listener.results(segment, slotTimeUs);
    });
  }
}

/** User code does not see the cluster's credentials. */
function threadEnv(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith("VOLLEY_"),
    ),
  );
}
