/**
 * What this process may use, which in a container is less than the machine has: default sizes follow the limit, or the
 * container is killed.
 */
import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";

const MiB = 2 ** 20;
const heapBytesMin = 64 * MiB;
const heapBytesMax = 1024 * MiB;

/**
 * Bytes of memory. `constrained`: what process.constrainedMemory says, which is 0 or more than there is where nothing
 * is limited.
 */
export function memoryBytes(constrained = process.constrainedMemory(), total = totalmem()): number {
  return constrained > 0 && constrained < total ? constrained : total;
}

/**
 * Cores. `quota`: the text of cgroup's cpu.max, "200000 100000" for two; Node 20 knows only how many the process may
 * run on.
 */
export function cores(available = availableParallelism(), quota = cpuMax()): number {
  const [most, period] = quota.split(/\s+/).map(Number);
  if (most === undefined || !(most > 0) || period === undefined || !(period > 0)) return available;
  return Math.max(1, Math.min(available, Math.ceil(most / period)));
}

/** Empty where there is none: no cgroup of version 2, or another system. */
function cpuMax(): string {
  try {
    return readFileSync("/sys/fs/cgroup/cpu.max", "utf8");
  } catch {
    return "";
  }
}

/** JavaScript heap of one slot: the slots share half of the memory, as the store has a quarter of it. */
export const slotHeapBytes = (memory: number, slots: number): number =>
  Math.min(heapBytesMax, Math.max(heapBytesMin, Math.floor(memory / 2 / slots / MiB) * MiB));
