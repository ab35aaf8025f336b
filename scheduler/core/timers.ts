/** A binary heap of things that are due at a time; ties in order of arrival, so that replays agree. */
export class Timers<T> {
  readonly #heap: { atMs: number; order: number; item: T }[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  get nextMs(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  add(atMs: number, item: T): void {
    const heap = this.#heap;
    heap.push({ atMs, order: this.#order++, item });
    let child = heap.length - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!this.#before(child, parent)) break;
      this.#swap(child, parent);
      child = parent;
    }
  }

  /** Takes the first item that is due, if any. */
  take(nowMs: number): T | undefined {
    const heap = this.#heap;
    const top = heap[0];
    if (!top || top.atMs > nowMs) return undefined;
    const last = heap.pop();
    if (last && heap.length > 0) {
      heap[0] = last;
      this.#sink();
    }
    return top.item;
  }

  *[Symbol.iterator](): IterableIterator<{ atMs: number; item: T }> {
    yield* this.#heap;
  }

  #sink(): void {
    let parent = 0;
    for (;;) {
      const left = 2 * parent + 1;
      const right = left + 1;
      let least = parent;
      if (left < this.#heap.length && this.#before(left, least)) least = left;
      if (right < this.#heap.length && this.#before(right, least)) least = right;
      if (least === parent) return;
      this.#swap(parent, least);
      parent = least;
    }
  }

  #before(a: number, b: number): boolean {
    const x = this.#heap[a];
    const y = this.#heap[b];
    if (!x || !y) return false;
    return x.atMs < y.atMs || (x.atMs === y.atMs && x.order < y.order);
  }

  #swap(a: number, b: number): void {
    const x = this.#heap[a];
    const y = this.#heap[b];
    if (!x || !y) return;
    this.#heap[a] = y;
    this.#heap[b] = x;
  }
}
