/**
 * A slot: one thread of its own, and the runs it has.
 *
 * A run may be given while another executes: it waits in the thread, which goes on with it the moment the one before
 * has returned. So that each of them can be limited, read and given a strike by itself, they take two channels in turn.
 */
import type { WireError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import { OwnedThread } from "../../threads/owned-thread.js";
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
  readonly #thread: OwnedThread;
  readonly #lanes: readonly Lane[];
  /** In the order in which they were given; those that are vacated leave with the next one that is given. */
  #runs: readonly SlotRun[] = [];
  #nextRun = 1;
  closed = false;

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
    this.#thread = new OwnedThread({
      file: new URL("./thread.js", import.meta.url),
      name: "run",
      heapMb: Math.ceil(options.heapBytesMax / 2 ** 20),
      // The runs of both channels, and one that was recalled and has not been passed over yet.
      messagesMax: 4,
      env: threadEnv(process.env),
      workerData,
      onMessage: (message) => this.#receive(message),
      onError: (error) => this.onError(error),
    });
  }

  /** Threads that user code ended or made unfit. */
  get threadsReplaced(): number {
    return this.#thread.replaced;
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
    await this.#thread.close();
  }

  // ---------------------------------------------------------------------------------------------- the thread

  #hasHeardStray = false;

  execute(message: RunMessage): Promise<RunReply> {
    return this.#thread.execute(message);
  }

  endThread(): void {
    void this.#thread.end();
  }

  onError(error: unknown): void {
    this.#options.onError(error);
  }

  /** The thread's own messages, and what user code posts to a parent it takes for its own. */
  #receive(message: unknown): void {
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
