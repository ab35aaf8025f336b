/**
 * "Task i takes object i": objects that tasks take one by one, as runs. Refs that follow each other in one stage are
 * one run, whatever their number; any other ref is a run of its own.
 */
import { type ObjectBase, type ObjectId, objectIdOf } from "./ids.js";

/** The next `count` tasks take the outputs `task`, `task + 1`, … of a stage of the same job; or one takes an object. */
export type EachRun = readonly [stage: number, task: number, count: number] | ObjectId;

/** What one task takes. */
export type Taken = { readonly stage: number; readonly task: number } | { readonly id: ObjectId };

export const runLength = (run: EachRun): number => (typeof run === "string" ? 1 : run[2]);

/** Bytes of a run in a message, about. */
export const runBytes = (run: EachRun): number => (typeof run === "string" ? 48 : 12);

/** Runs are looked up by task, of which there may be many: where each begins, worked out once. */
const beginnings = new WeakMap<readonly EachRun[], Uint32Array>();

export function beginningsOf(of: readonly EachRun[]): Uint32Array {
  const known = beginnings.get(of);
  if (known) return known;
  const found = new Uint32Array(of.length + 1);
  for (const [i, run] of of.entries()) found[i + 1] = (found[i] as number) + runLength(run);
  beginnings.set(of, found);
  return found;
}

/** How many tasks the runs are for. */
export const eachCount = (of: readonly EachRun[]): number => of.reduce((sum, run) => sum + runLength(run), 0);

/** The position of the run that task i takes from. */
export function runAt(of: readonly EachRun[], i: number): number {
  const starts = beginningsOf(of);
  let low = 0;
  let high = of.length - 1;
  while (low < high) {
    const mid = (low + high + 1) >> 1;
    if ((starts[mid] as number) <= i) low = mid;
    else high = mid - 1;
  }
  return low;
}

export function takenBy(of: readonly EachRun[], i: number): Taken {
  const at = runAt(of, i);
  const run = of[at] as EachRun;
  if (typeof run === "string") return { id: run };
  return { stage: run[0], task: run[1] + i - (beginningsOf(of)[at] as number) };
}

/** The runs of tasks [from, to), as if `from` were the first. */
export function cutEach(of: readonly EachRun[], from: number, to: number): EachRun[] {
  const cut: EachRun[] = [];
  const starts = beginningsOf(of);
  for (let at = runAt(of, from); at < of.length && (starts[at] as number) < to; at++) {
    const run = of[at] as EachRun;
    if (typeof run === "string") {
      cut.push(run);
      continue;
    }
    const low = Math.max(from, starts[at] as number);
    const high = Math.min(to, starts[at + 1] as number);
    cut.push([run[0], run[1] + low - (starts[at] as number), high - low]);
  }
  return cut;
}

/** The ids of what the runs name, in order. */
export function* idsOfEach(of: readonly EachRun[], baseOf: (stage: number) => ObjectBase): IterableIterator<ObjectId> {
  for (const run of of) {
    if (typeof run === "string") yield run;
    else for (let i = 0; i < run[2]; i++) yield objectIdOf(baseOf(run[0]), run[1] + i);
  }
}

/** Puts runs together from one ref after the other. */
export class EachRuns {
  readonly of: EachRun[] = [];
  /** Of all runs in a message, about. */
  bytes = 0;

  /** Outputs [task, task + count) of a stage. */
  tasks(stage: number, task: number, count = 1): void {
    const last = this.of.at(-1);
    if (last !== undefined && typeof last !== "string" && last[0] === stage && last[1] + last[2] === task)
      this.of[this.of.length - 1] = [stage, last[1], last[2] + count];
    else this.#add([stage, task, count]);
  }

  object(id: ObjectId): void {
    this.#add(id);
  }

  #add(run: EachRun): void {
    this.of.push(run);
    this.bytes += runBytes(run);
  }
}
