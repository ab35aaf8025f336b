/** What is due when: a heap. Entries are not taken out; whoever is called looks whether it is still wanted. */
export interface Due<T> {
  readonly atMs: number;
  readonly what: T;
}

export class Timers<T> {
  readonly #heap: Due<T>[] = [];

  get nextMs(): number {
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  add(atMs: number, what: T): void {
    const heap = this.#heap;
    const entry = { atMs, what };
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const up = (at - 1) >>> 1;
      if ((heap[up] as Due<T>).atMs <= atMs) break;
      heap[at] = heap[up] as Due<T>;
      at = up;
    }
    heap[at] = entry;
  }

  /** The next that is due by `nowMs`. */
  take(nowMs: number): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (!first || first.atMs > nowMs) return undefined;
    const last = heap.pop() as Due<T>;
    if (heap.length > 0) this.#sink(last);
    return first.what;
  }

  #sink(entry: Due<T>): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Due<T>).atMs < (heap[child] as Due<T>).atMs) child++;
      if ((heap[child] as Due<T>).atMs >= entry.atMs) break;
      heap[at] = heap[child] as Due<T>;
      at = child;
    }
    heap[at] = entry;
  }
}
