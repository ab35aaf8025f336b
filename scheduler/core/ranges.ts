/**
 * A set of task indices as sorted, disjoint, non-adjacent ranges [from, to). A stage of a million queued tasks is one
 * range.
 */
export class RangeSet {
  #from: number[] = [];
  #to: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** At most one range. */
  get isContiguous(): boolean {
    return this.#from.length <= 1;
  }

  /** The first range whose end is beyond `index`. */
  #find(index: number): number {
    let low = 0;
    let high = this.#from.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.#to[mid] as number) > index) high = mid;
      else low = mid + 1;
    }
    return low;
  }

  has(index: number): boolean {
    const at = this.#find(index);
    return at < this.#from.length && (this.#from[at] as number) <= index;
  }

  add(from: number, to: number): void {
    if (from >= to) return;
    let at = this.#find(from);
    // A range that ends exactly at `from` is merged too.
    if (at > 0 && this.#to[at - 1] === from) at--;
    let end = at;
    let low = from;
    let high = to;
    while (end < this.#from.length && (this.#from[end] as number) <= to) {
      low = Math.min(low, this.#from[end] as number);
      high = Math.max(high, this.#to[end] as number);
      this.#size -= (this.#to[end] as number) - (this.#from[end] as number);
      end++;
    }
    this.#from.splice(at, end - at, low);
    this.#to.splice(at, end - at, high);
    this.#size += high - low;
  }

  delete(from: number, to: number): void {
    if (from >= to) return;
    let at = this.#find(from);
    while (at < this.#from.length && (this.#from[at] as number) < to) {
      const low = this.#from[at] as number;
      const high = this.#to[at] as number;
      const cutFrom = Math.max(low, from);
      const cutTo = Math.min(high, to);
      this.#size -= cutTo - cutFrom;
      const left = low < cutFrom;
      const right = cutTo < high;
      if (left && right) {
        this.#to[at] = cutFrom;
        this.#from.splice(at + 1, 0, cutTo);
        this.#to.splice(at + 1, 0, high);
        return;
      }
      if (left) {
        this.#to[at] = cutFrom;
        at++;
      } else if (right) {
        this.#from[at] = cutTo;
        return;
      } else {
        this.#from.splice(at, 1);
        this.#to.splice(at, 1);
      }
    }
  }

  first(): { from: number; to: number } | undefined {
    return this.#from.length === 0 ? undefined : { from: this.#from[0] as number, to: this.#to[0] as number };
  }

  *[Symbol.iterator](): IterableIterator<{ from: number; to: number }> {
    for (let i = 0; i < this.#from.length; i++) yield { from: this.#from[i] as number, to: this.#to[i] as number };
  }
}
