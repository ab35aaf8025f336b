/**
 * Memory that V8's limits do not see: buffers, typed arrays, native code. When the machine (or the container) has
 * almost none left and this worker has more than its heaps and its store explain, one of its tasks ends, before the
 * kernel ends the process with everything that it holds.
 */
import type { WireError } from "../../proto/errors.js";

export interface MemoryProbe {
  /** What the machine or the container could still give. */
  availableBytes(): number;
  /** What this process has. */
  ownBytes(): number;
}

const MiB = 2 ** 20;
const mib = (bytes: number): string => `${Math.round(bytes / MiB)} MiB`;

/** What a worker takes in ordinary use: its heaps, its store, and the program itself. */
export const explainedBytes = (slots: number, heapBytesMax: number, storeBytes: number): number =>
  slots * heapBytesMax + storeBytes + 256 * MiB;

/** Kept free: a task that fills buffers takes some 250 MiB between two looks. */
const reserveBytes = (explained: number): number => Math.min(1024 * MiB, Math.floor(explained / 4));

export const systemMemory: MemoryProbe = {
  availableBytes: () => process.availableMemory(),
  ownBytes: () => process.memoryUsage.rss(),
};

/**
 * What a task is to end with now, if one must. With one task executing it is that task's doing and final; of several
 * nobody can say whose, so that the one that goes is tried again elsewhere.
 */
export function starvation(probe: MemoryProbe, explained: number, executing: number): WireError | undefined {
  if (executing === 0) return undefined;
  const available = probe.availableBytes();
  if (available >= reserveBytes(explained)) return undefined;
  const own = probe.ownBytes();
  if (own <= explained) return undefined;
  const state = `its worker has ${mib(own)}, and ${mib(available)} are left on the machine`;
  return executing === 1
    ? { code: "TASK_OUT_OF_MEMORY", message: `the task took too much memory in buffers and typed arrays: ${state}` }
    : { code: "OUT_OF_MEMORY", message: `the tasks of this worker took too much memory together: ${state}` };
}
