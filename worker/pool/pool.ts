/** The slots of a worker, by number. What each executes is for the worker's core to say (worker/core/slots.ts). */
import type { SharedMemory } from "../store/memory.js";
import { regionsOf } from "./kernel-engines.js";
import { explainedBytes, type MemoryProbe, starvation, systemMemory } from "./memory-watch.js";
import { type RoomSource, roomFor } from "./result-room.js";
import type { Run, RunListener, RunSpec } from "./run-spec.js";
import { Slot } from "./slot.js";

export interface SlotPoolOptions {
  readonly slots: number;
  readonly memory: SharedMemory | null;
  /** Of that memory, for the slots' kernels: `kernelBytes(slots)`. Without it kernels work on memory of their own. */
  readonly reserved?: { readonly offset: number; readonly bytes: number };
  /** That memory's store, which large results are written into. Without it threads post them. */
  readonly store?: RoomSource["store"] & { readonly budgetBytes: number };
  readonly heapBytesMax: number;
  /** Says when memory runs out. */
  readonly probe?: MemoryProbe;
  /** What user code prints. `dropped` lines before it were over the rate. */
  onLog?(line: { level: "info" | "warn" | "error"; where: string; text: string; dropped: number }): void;
  /** A fault of the pool's own. */
  onError?(error: unknown): void;
}

/** The agent reads the rings by itself this often, for results that wait behind a long task. */
const harvestMs = 50;

export class SlotPool {
  readonly #slots: readonly Slot[];
  readonly #harvest: NodeJS.Timeout;
  readonly #probe: MemoryProbe;
  readonly #explained: number;

  constructor(options: SlotPoolOptions) {
    const { memory, heapBytesMax, store } = options;
    const room = memory && store ? roomFor(store, store.budgetBytes, options.slots) : undefined;
    const regions = regionsOf(options.reserved, options.slots);
    this.#slots = Array.from(
      { length: options.slots },
      (_, i) =>
        new Slot({
          memory,
          region: regions[i],
          room,
          heapBytesMax,
          onLog: (line) => options.onLog?.(line),
          onError: (error) => options.onError?.(error),
        }),
    );
    this.#probe = options.probe ?? systemMemory;
    this.#explained = explainedBytes(options.slots, heapBytesMax, store?.budgetBytes ?? 0);
    this.#harvest = setInterval(() => {
      for (const slot of this.#slots) slot.collect();
      this.#watchMemory();
    }, harvestMs).unref();
  }

  get busy(): number {
    return this.#slots.filter((slot) => slot.busy).length;
  }

  /** Threads replaced because user code ended them or made them unfit. */
  get threadsReplaced(): number {
    return this.#slots.reduce((sum, slot) => sum + slot.threadsReplaced, 0);
  }

  /** Which task each busy slot executes. */
  executing(): { job: string; stage: number; task: number }[] {
    return this.#slots.flatMap((slot) => slot.executing() ?? []);
  }

  /** On this slot, at once or behind the run that it has; the caller knows that it has not two. */
  run(slot: number, spec: RunSpec, listener: RunListener): Run {
    const named = this.#slots[slot];
    if (!named) throw new RangeError(`there is no slot ${slot} of ${this.#slots.length}`);
    return named.run(spec, listener);
  }

  /** Where memory runs out, the task that began last ends: it has the least to lose. */
  #watchMemory(): void {
    const executing = this.#slots
      .flatMap((slot) => ({ slot, ms: slot.executingMs() }))
      .filter((one): one is { slot: Slot; ms: number } => one.ms !== undefined)
      .sort((a, b) => a.ms - b.ms);
    const error = starvation(this.#probe, this.#explained, executing.length);
    if (error) executing[0]?.slot.starve(error);
  }

  /** Ends every thread. Runs under way end without results for what they had not finished. */
  async close(): Promise<void> {
    clearInterval(this.#harvest);
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }
}
