/**
 * One run: a lease, or what is left of it, over as many threads as it needs.
 *
 * When user code ends its thread (exit, heap exhaustion, a kill after its time limit), exactly the task that was
 * executing fails, every result made before it is kept (channel.ts), and the rest goes on in a fresh thread. A run that
 * was staged behind another when the thread died has not begun, and is given to the fresh thread behind it.
 */
import { toWireError, VolleyError, type WireError } from "../../proto/errors.js";
import type { PlacedResult, SlotChannel } from "./channel.js";
import { monotonicMs } from "./clock.js";
import { collect } from "./collector.js";
import { ResultRoom, type RoomSource } from "./result-room.js";
import { causeOfDeath } from "./run-failure.js";
import type { RunMessage, RunReply, ThreadMessage } from "./run-message.js";
import type { Run, RunListener, RunSpec } from "./run-spec.js";

/** A cancelled task may still end by itself within this time; killing a thread costs more. */
const killGraceMs = 20;
/** A thread that dies without executing anything gets this many chances. */
const idleDeathsMax = 3;

/** A channel, and what of its large results has not been stored yet. */
export interface Lane {
  readonly index: number;
  readonly channel: SlotChannel;
  largeBytes: number;
  /** Room for large results that the next run finds granted. */
  roomBytes: number;
  /** Settles when the thread has no more to do with the run that had the lane last. */
  free: Promise<void>;
  run: SlotRun | undefined;
}

/** What a run needs of its slot. */
export interface RunHost {
  readonly heapBytesMax: number;
  readonly room: RoomSource | undefined;
  readonly closed: boolean;
  /** Gives the message to the thread. Rejects when the thread has ended, and all that it posted has been heard. */
  execute(message: RunMessage): Promise<RunReply>;
  /** Ends the thread. */
  endThread(): void;
  /** A fault of ours, or of the listener. */
  onError(error: unknown): void;
}

type LargeMessage = Extract<ThreadMessage, { t: "large" }>;

const signal = (): { promise: Promise<void>; give: () => void } => {
  let give = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { promise, give };
};

export class SlotRun implements Run {
  readonly id: number;
  readonly #host: RunHost;
  readonly #lane: Lane;
  readonly #channel: SlotChannel;
  readonly #spec: RunSpec;
  readonly #listener: RunListener;
  /** The run that was given to the slot before. */
  #before: Run | undefined;
  readonly #vacated = signal();
  readonly #done = signal();
  /** No task from here on starts. */
  #to: number;
  /** The channel is this run's: the thread has been told of it. */
  #given = false;
  #isVacated = false;
  #killedFor: "timeout" | "cancel" | "memory" | undefined;
  #starved: WireError | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The last task with a result, for the strike after a death. */
  #lastResult: number;
  #larges = 0;
  #room: ResultRoom | undefined;
  /**
   * Where a heap was exhausted by decoding; a thread that had nothing else in its heap gets a second chance. -1: before
   * the first task.
   */
  #decodedInVain: number | undefined;
  #largeReceived: (() => void) | undefined;
  readonly vacated: Promise<void>;
  readonly done: Promise<void>;

  constructor(id: number, host: RunHost, lane: Lane, spec: RunSpec, listener: RunListener, before: Run | undefined) {
    this.id = id;
    this.#host = host;
    this.#lane = lane;
    this.#channel = lane.channel;
    this.#spec = spec;
    this.#listener = listener;
    this.#before = before;
    this.#to = spec.to;
    this.#lastResult = spec.from - 1;
    this.vacated = this.#vacated.promise;
    this.done = this.#done.promise;
    const { free } = lane;
    lane.free = this.#drive(free)
      .catch((error: unknown) => host.onError(error))
      .finally(() => {
        this.#closeRoom();
        if (lane.run === this) lane.run = undefined;
        this.#over();
      });
  }

  /** What it executes now, -1 for nothing. */
  get executing(): { job: string; stage: number; task: number } | undefined {
    const task = this.#given && !this.#isVacated ? this.#channel.executing : -1;
    return task < 0 ? undefined : { job: this.#spec.job, stage: this.#spec.stage, task };
  }

  get executingMs(): number {
    return this.#channel.executingMs(monotonicMs());
  }

  /** The number of its lane. */
  get lane(): number {
    return this.#lane.index;
  }

  get isVacated(): boolean {
    return this.#isVacated;
  }

  limit(to: number): number {
    // Its functions have returned: everything below the limit that counted has begun.
    if (this.#isVacated) return this.#to;
    const wanted = Math.max(this.#spec.from, Math.min(to, this.#to));
    this.#to = this.#given ? Math.min(this.#to, this.#channel.limit(wanted)) : wanted;
    // Nothing of it has begun or will: it need not wait for its turn.
    if (this.#to === this.#spec.from && (!this.#given || this.#channel.threadId === 0)) this.#over();
    return this.#to;
  }

  /** A thread that has entered a run may load its function, or have executed all of it unheard: too late. */
  recall(): boolean {
    if (this.#isVacated || (this.#given && this.#channel.threadId !== 0)) return false;
    this.limit(this.#spec.from);
    return this.#isVacated;
  }

  kill(): void {
    if (this.#isVacated || this.#killedFor) return;
    this.limit(this.#spec.from);
    if (this.#isVacated) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#endThread("cancel"), killGraceMs);
  }

  /** Ends the task that is executing with `error`. */
  starve(error: WireError): void {
    if (this.#killedFor || !this.executing) return;
    this.#starved = error;
    this.#endThread("memory");
  }

  #endThread(why: "timeout" | "cancel" | "memory"): void {
    if (this.#isVacated) return;
    this.#killedFor = why;
    this.#host.endThread();
  }

  #vacate(): void {
    this.#isVacated = true;
    clearTimeout(this.#timer);
    this.#vacated.give();
  }

  #over(): void {
    if (!this.#isVacated) this.#vacate();
    this.#done.give();
  }

  // ---------------------------------------------------------------------------------------------- over its threads

  async #drive(free: Promise<void>): Promise<void> {
    // The lane is free, unless a run that was recalled waits in the thread's queue.
    if (this.#lane.run) await free;
    this.#lane.run = this;
    let next = this.#spec.from;
    let idleDeaths = 0;
    while (next < this.#to && !this.#host.closed && !this.#isVacated) {
      this.#channel.reset(next, this.#to, this.#lane.largeBytes);
      this.#openRoom();
      this.#given = true;
      this.#larges = 0;
      this.#armTimeout();
      try {
        const reply = await this.#once(next);
        if (reply.fault) {
          this.#failRest(reply.next, { ...reply.fault });
          return;
        }
        // A limit may have come between; a thread that ended unfit leaves the rest to another.
        if (this.#channel.retiredAt === undefined) return;
        next = reply.next;
      } catch (error) {
        if (this.#killedFor === "cancel" || this.#host.closed || this.#isVacated) return;
        if (this.#channel.threadId === 0 && this.#before) {
          // The run before it ended the thread; this one has not begun, and keeps its place behind it.
          await this.#before.vacated;
          this.#before = undefined;
          continue;
        }
        const last = next;
        next = this.#strike(next, error);
        idleDeaths = next === last ? idleDeaths + 1 : 0;
        if (idleDeaths >= idleDeathsMax) {
          this.#failRest(next, {
            code: "INTERNAL",
            message: `the slot's thread ended ${idleDeaths} times before it could execute a task: ${String(error)}`,
          });
          return;
        }
        this.#killedFor = undefined;
      }
    }
  }

  async #once(next: number): Promise<RunReply> {
    const { timeoutMs: _, lease: __, ...spec } = this.#spec;
    const message: RunMessage = { ...spec, channel: this.#lane.index, run: this.id, from: next, to: this.#to };
    try {
      const reply = await this.#host.execute(message);
      this.collect();
      if (!reply.fault) this.#vacate();
      if (this.#larges < this.#channel.larges) await this.#receivedAllLarges();
      return reply;
    } catch (error) {
      this.collect();
      const retiredAt = this.#channel.retiredAt;
      if (retiredAt !== undefined) return { next: retiredAt };
      throw error;
    }
  }

  #receivedAllLarges(): Promise<void> {
    return new Promise((resolve) => {
      this.#largeReceived = () => {
        if (this.#larges >= this.#channel.larges) resolve();
      };
    });
  }

  /** After a death: fails the task that was executing and returns the one after it. */
  #strike(next: number, error: unknown): number {
    const channel = this.#channel;
    const timeoutMs = this.#killedFor === "timeout" ? this.#spec.timeoutMs : undefined;
    const wire = { ...(this.#starved ?? causeOfDeath(error, timeoutMs, this.#host.heapBytesMax)) };
    this.#starved = undefined;
    const culprit = channel.executing;
    const phase = channel.loading ?? (culprit >= 0 && channel.decoding ? "task" : undefined);
    // What the heap held besides was not this run's.
    if (phase !== undefined && wire.code === "TASK_OUT_OF_MEMORY" && this.#decodedInVain !== culprit) {
      this.#decodedInVain = culprit;
      return Math.max(next, culprit);
    }
    let emitted = wire.message;
    if (phase === "module" || phase === "arguments") {
      const what =
        phase === "module" ? "while its module was loading" : "while the arguments that its tasks share were decoded";
      this.#failRest(next, { ...wire, message: `${emitted} (${what})` });
      return this.#to;
    }
    if (phase === "task") emitted += " (while its arguments were decoded, before the function was called)";
    if (culprit < 0) return Math.max(next, this.#lastResult + 1);
    // Its result is there: it died after the task had ended.
    if (culprit <= this.#lastResult) return culprit + 1;
    this.#listener.results(
      { r: "failed", stage: this.#spec.stage, from: culprit, to: culprit + 1, error: { ...wire, message: emitted } },
      Math.round(channel.executingMs(monotonicMs()) * 1000),
    );
    this.#lastResult = culprit;
    return culprit + 1;
  }

  #failRest(from: number, error: WireError): void {
    if (from >= this.#to) return;
    this.#listener.results({ r: "failed", stage: this.#spec.stage, from, to: this.#to, error }, 0);
  }

  // ---------------------------------------------------------------------------------------------- time limits

  #armTimeout(): void {
    clearTimeout(this.#timer);
    const { timeoutMs } = this.#spec;
    const check = (): void => {
      const left = timeoutMs - this.#channel.executingMs(monotonicMs());
      if (left <= 0) this.#endThread("timeout");
      else arm(left);
    };
    // Timers are at most 2^31 ms; a longer limit is looked at again on the way.
    const arm = (ms: number): void => {
      this.#timer = setTimeout(check, Math.min(ms + 1, 2 ** 30));
    };
    arm(timeoutMs);
  }

  // ---------------------------------------------------------------------------------------------- what it has made

  /** Reads the ring. */
  collect(): void {
    if (!this.#given) return;
    collect(
      this.#channel,
      this.#spec.stage,
      (segment, slotTimeUs) => {
        this.#lastResult = Math.max(this.#lastResult, segment.to - 1);
        this.#listener.results(segment, slotTimeUs);
      },
      (task, placed, slotTimeUs) => this.#placed(task, placed, slotTimeUs),
    );
    this.#room?.serve();
  }

  #openRoom(): void {
    // The thread that wrote into what was granted before is gone.
    this.#room?.close();
    const { room } = this.#host;
    this.#room = room && new ResultRoom(room, this.#channel.room, this.#lane.roomBytes);
  }

  #closeRoom(): void {
    if (!this.#room) return;
    this.#room.close();
    this.#lane.roomBytes = this.#room.nextBytes;
    this.#room = undefined;
  }

  /** A large result that lies in the store. */
  #placed(task: number, { kind, offset, bytes, digest, sha256 }: PlacedResult, slotTimeUs: number): void {
    const stored = this.#underWay(task, bytes);
    const room = this.#room?.written(offset, bytes);
    if (room) {
      this.#listener.large({ task, kind, data: room.view, room, digest, sha256, slotTimeUs, stored });
      return;
    }
    stored();
    const error = toWireError(new VolleyError("INTERNAL", `task ${task} wrote its result where it had no room`));
    this.#listener.results({ r: "failed", stage: this.#spec.stage, from: task, to: task + 1, error }, slotTimeUs);
  }

  /** A large result that was posted. */
  large({ task, kind, data, digest, sha256, timeUs }: LargeMessage): void {
    this.#larges++;
    const stored = this.#underWay(task, data.byteLength);
    this.#listener.large({ task, kind, data, digest, sha256, slotTimeUs: timeUs, stored });
    this.#largeReceived?.();
  }

  #underWay(task: number, bytes: number): () => void {
    const lane = this.#lane;
    this.#lastResult = Math.max(this.#lastResult, task);
    lane.largeBytes += bytes;
    return () => {
      lane.largeBytes -= bytes;
      lane.channel.largeStored(bytes);
    };
  }
}
