/**
 * A slot: one thread (a piscina pool of one, so that what is given to it stays with it) and the runs it has.
 *
 * A run may be given while another executes: it waits in the thread, which goes on with it the moment the one before
 * has returned. So that each of them can be limited, read and blamed by itself, they take two channels in turn.
 */
import type { Worker } from "node:worker_threads";
import { Piscina } from "piscina";
import type { WireError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import type { SharedMemory } from "../store/memory.js";
import { SlotChannel } from "./channel.js";
import type { RoomSource } from "./result-room.js";
import { isThreadMessage, type RunMessage, type RunReply, type ThreadData, type ThreadMessage } from "./run-message.js";
import type { Run, RunListener, RunSpec } from "./run-spec.js";
import { type Lane, type RunHost, SlotRun } from "./slot-run.js";

export interface SlotOptions {
  readonly memory: SharedMemory | null;
  /** Of that memory, for the slot's kernels. */
  readonly region: { readonly offset: number; readonly bytes: number } | undefined;
  /** Of that memory, for large results. */
  readonly room: RoomSource | undefined;
  readonly heapBytesMax: number;
  onLog(line: Extract<ThreadMessage, { t: "log" }>): void;
  onError(error: unknown): void;
}

export class Slot implements RunHost {
  readonly heapBytesMax: number;
  readonly room: RoomSource | undefined;
  readonly #options: SlotOptions;
  readonly #piscina: Piscina;
  readonly #lanes: readonly Lane[];
  readonly #exits = new WeakMap<Worker, Promise<void>>();
  /** In the order in which they were given; those that are vacated leave with the next one that is given. */
  #runs: readonly SlotRun[] = [];
  #nextRun = 1;
  closed = false;
  /** Threads that user code ended or made unfit. */
  threadsReplaced = 0;

  constructor(options: SlotOptions) {
    this.#options = options;
    this.heapBytesMax = options.heapBytesMax;
    this.room = options.room;
    this.#lanes = [0, 1].map((index) => ({
      index,
      channel: new SlotChannel(),
      largeBytes: 0,
      roomBytes: 0,
      free: Promise.resolve(),
      run: undefined,
    }));
    const workerData: ThreadData = {
      memory: options.memory,
      hasRoom: options.room !== undefined,
      region: options.region,
      channels: this.#lanes.map((lane) => lane.channel.buffer),
      inlineBytesMax: limits.inlineBytesMax,
      heapBytes: options.heapBytesMax,
    };
    this.#piscina = new Piscina({
      filename: new URL("./thread.js", import.meta.url).href,
      name: "run",
      minThreads: 1,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      // The runs of both channels, and one that was recalled and has not been passed over yet.
      concurrentTasksPerWorker: 4,
      atomics: "sync",
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(options.heapBytesMax / 2 ** 20) },
      env: threadEnv(process.env),
      workerData,
    });
    this.#piscina.on("message", (message: unknown) => this.#hear(message));
    this.#piscina.on("error", (error) => this.onError(error));
  }

  get busy(): boolean {
    return this.#runs.some((run) => !run.isVacated);
  }

  /** How long its task has been executing; undefined if none is. */
  executingMs(): number | undefined {
    return this.#runs.find((run) => run.executing)?.executingMs;
  }

  /** Ends the task that is executing with `error`. */
  starve(error: WireError): void {
    this.#runs.find((run) => run.executing)?.starve(error);
  }

  executing(): { job: string; stage: number; task: number } | undefined {
    for (const run of this.#runs) if (run.executing) return run.executing;
    return undefined;
  }

  /** At once, or behind the run that the slot has; the caller knows that it has not two. */
  run(spec: RunSpec, listener: RunListener): Run {
    const open = this.#runs.filter((run) => !run.isVacated);
    const unclaimed = this.#lanes.filter(({ index }) => !open.some((run) => run.lane === index));
    // Better one that the thread has left already.
    const lane = unclaimed.find((one) => !one.run) ?? unclaimed[0];
    if (!lane) throw new RangeError("the slot has a run, and another behind it");
    const run = new SlotRun(this.#nextRun++, this, lane, spec, listener, open.at(-1));
    this.#runs = [...open, run];
    return run;
  }

  /** Reads what the runs have made so far. */
  collect(): void {
    for (const { run } of this.#lanes) run?.collect();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.#piscina.destroy();
  }

  // ---------------------------------------------------------------------------------------------- the thread

  #hasHeardStray = false;

  async execute(message: RunMessage): Promise<RunReply> {
    const [thread] = this.#piscina.threads;
    if (thread) this.#watch(thread);
    try {
      return (await this.#piscina.run(message)) as RunReply;
    } catch (error) {
      // What a thread has posted arrives before its exit is told. One that failed and lives on is ended.
      if (thread) {
        await thread.terminate();
        await this.#exits.get(thread);
      }
      throw error;
    }
  }

  endThread(): void {
    void this.#piscina.threads[0]?.terminate();
  }

  onError(error: unknown): void {
    this.#options.onError(error);
  }

  #watch(thread: Worker): void {
    if (this.#exits.has(thread)) return;
    const exit = new Promise<void>((resolve) => {
      thread.once("exit", () => {
        if (!this.closed) this.threadsReplaced++;
        resolve();
      });
    });
    this.#exits.set(thread, exit);
  }

  /** The thread's own messages, and what user code posts to a parent it takes for its own. */
  #hear(message: unknown): void {
    if (typeof message === "number") {
      this.#lanes[message]?.run?.collect();
      return;
    }
    if (!isThreadMessage(message)) {
      // Once: a task may post in a loop.
      if (!this.#hasHeardStray) this.#options.onLog(strayMessage);
      this.#hasHeardStray = true;
      return;
    }
    if (message.t === "log") {
      this.#options.onLog(message);
      return;
    }
    const lane = this.#lanes[message.channel];
    if (lane?.run?.id === message.run) lane.run.large(message);
    else lane?.channel.largeStored(message.data.byteLength);
  }
}

const strayMessage = {
  t: "log",
  level: "warn",
  where: "thread",
  text: "a task posted a message to its thread's parent, which nobody listens to: return what others need",
  dropped: 0,
} as const;

/** User code does not see the cluster's credentials. */
function threadEnv(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith("VOLLEY_"),
    ),
  );
}
