/**
 * Who waits for a stage: all of it, or one of its tasks. Found by task, so that a stage of n tasks with n readers costs
 * n to work through, not n².
 */
export class Dependents<E extends { readonly kind: "one-to-one" | "all" | "task"; readonly task: number }> {
  readonly #whole = new Set<E>();
  /** Most tasks have one reader. */
  readonly #byTask = new Map<number, E | Set<E>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(entry: E): void {
    if (entry.kind !== "task") {
      const before = this.#whole.size;
      this.#whole.add(entry);
      this.#size += this.#whole.size - before;
      return;
    }
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
      if (this.#whole.delete(entry)) this.#size--;
      return;
    }
    const present = this.#byTask.get(entry.task);
    if (present instanceof Set) {
      if (present.delete(entry)) this.#size--;
      if (present.size === 0) this.#byTask.delete(entry.task);
    } else if (present === entry) {
      this.#byTask.delete(entry.task);
      this.#size--;
    }
  }

  /** Those that read any task of [from, to). Entries may be taken out while this runs. */
  *of(from: number, to: number): IterableIterator<E> {
    yield* this.#whole;
    if (this.#byTask.size === 0) return;
    // Walks the shorter of the two: the tasks, or those that are read.
    if (to - from <= this.#byTask.size)
      for (let task = from; task < to; task++) yield* entriesOf(this.#byTask.get(task));
    else for (const [task, entries] of this.#byTask) if (task >= from && task < to) yield* entriesOf(entries);
  }

  *[Symbol.iterator](): IterableIterator<E> {
    yield* this.#whole;
    for (const entries of this.#byTask.values()) yield* entriesOf(entries);
  }
}

function* entriesOf<E>(entries: E | Set<E> | undefined): IterableIterator<E> {
  if (entries instanceof Set) yield* entries;
  else if (entries !== undefined) yield entries;
}
