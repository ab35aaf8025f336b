/** Links between stages as the upstream keeps them. */
import type { Picks } from "./picks.js";

interface Facts<S> {
  readonly stage: S;
  /**
   * What it waits for is there; else it is one of its stage's blockers. (One-to-one links and those of `each` are the
   * tasks' own matter.)
   */
  met: boolean;
  /** Its stage has tasks to go; else the upstream owes it nothing. */
  open: boolean;
}

/**
 * all: the stage waits for every task of the upstream; task: for one of them; one-to-one: task i for task i; each: its
 * tasks for those that `picks` says.
 */
export type DependentOf<S> = Facts<S> &
  (
    | { readonly kind: "one-to-one" | "all" | "task"; readonly task: number }
    | { readonly kind: "each"; readonly task: number; readonly picks: Picks }
  );

/**
 * Who waits for a stage: all of it, or one of its tasks. Found by task, so that a stage of n tasks with n readers costs
 * n to work through, not n².
 */
export class Dependents<E extends { readonly kind: "one-to-one" | "all" | "task" | "each"; readonly task: number }> {
  /** Most have one reader; a stage of one task may be one of 100,000 that a map reads. */
  #whole: E | Set<E> | undefined;
  #byTask: Map<number, E | Set<E>> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(entry: E): void {
    if (entry.kind !== "task") {
      if (this.#whole === undefined) this.#whole = entry;
      else if (this.#whole === entry) return;
      else if (!(this.#whole instanceof Set)) this.#whole = new Set([this.#whole, entry]);
      else if (this.#whole.has(entry)) return;
      else this.#whole.add(entry);
      this.#size++;
      return;
    }
    this.#byTask ??= new Map();
    const present = this.#byTask.get(entry.task);
    if (present === entry) return;
    if (present === undefined) this.#byTask.set(entry.task, entry);
    else if (present instanceof Set) {
      if (present.has(entry)) return;
      present.add(entry);
    } else this.#byTask.set(entry.task, new Set([present, entry]));
    this.#size++;
  }

  delete(entry: E): void {
    if (entry.kind !== "task") {
      if (this.#whole instanceof Set) {
        if (this.#whole.delete(entry)) this.#size--;
      } else if (this.#whole === entry) {
        this.#whole = undefined;
        this.#size--;
      }
      return;
    }
    const present = this.#byTask?.get(entry.task);
    if (present instanceof Set) {
      if (present.delete(entry)) this.#size--;
      if (present.size === 0) this.#byTask?.delete(entry.task);
    } else if (present === entry) {
      this.#byTask?.delete(entry.task);
      this.#size--;
    }
  }

  /** Those that read any task of [from, to). Entries may be taken out while this runs. */
  *of(from: number, to: number): IterableIterator<E> {
    yield* entriesOf(this.#whole);
    if (!this.#byTask || this.#byTask.size === 0) return;
    // Walks the shorter of the two: the tasks, or those that are read.
    if (to - from <= this.#byTask.size)
      for (let task = from; task < to; task++) yield* entriesOf(this.#byTask.get(task));
    else for (const [task, entries] of this.#byTask) if (task >= from && task < to) yield* entriesOf(entries);
  }

  *[Symbol.iterator](): IterableIterator<E> {
    yield* entriesOf(this.#whole);
    for (const entries of this.#byTask?.values() ?? []) yield* entriesOf(entries);
  }
}

function* entriesOf<E>(entries: E | Set<E> | undefined): IterableIterator<E> {
  if (entries instanceof Set) yield* entries;
  else if (entries !== undefined) yield entries;
}
