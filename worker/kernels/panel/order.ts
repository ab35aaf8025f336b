/** Order within a cross-section: a stable sort of numbers that says where each came from, and what is read off the sorted numbers. */

const runLength = 8;

/** Sorts ascending; equal numbers stay in the order they came in, which in a panel is the order of symbols. Reuses its memory. */
export class Sorter {
  #keys = new Float64Array(0);
  #places = new Int32Array(0);
  #otherKeys = new Float64Array(0);
  #otherPlaces = new Int32Array(0);

  /** `descending`: the keys come out negated. The views are good until the next call. No NaN. */
  sort(values: Float64Array, descending = false): { readonly keys: Float64Array; readonly places: Int32Array } {
    const n = values.length;
    if (this.#keys.length < n) {
      this.#keys = new Float64Array(n);
      this.#places = new Int32Array(n);
      this.#otherKeys = new Float64Array(n);
      this.#otherPlaces = new Int32Array(n);
    }
    const keys = this.#keys;
    const places = this.#places;
    for (let i = 0; i < n; i++) {
      keys[i] = descending ? -(values[i] as number) : (values[i] as number);
      places[i] = i;
    }
    for (let from = 0; from < n; from += runLength) insertionSort(keys, places, from, Math.min(from + runLength, n));
    for (let width = runLength; width < n; width *= 2) this.#mergeRuns(width, n);
    return { keys: this.#keys.subarray(0, n), places: this.#places.subarray(0, n) };
  }

  #mergeRuns(width: number, n: number): void {
    for (let from = 0; from < n; from += 2 * width) {
      const middle = Math.min(from + width, n);
      merge(this.#keys, this.#places, this.#otherKeys, this.#otherPlaces, from, middle, Math.min(from + 2 * width, n));
    }
    [this.#keys, this.#otherKeys] = [this.#otherKeys, this.#keys];
    [this.#places, this.#otherPlaces] = [this.#otherPlaces, this.#places];
  }
}

function insertionSort(keys: Float64Array, places: Int32Array, from: number, to: number): void {
  for (let i = from + 1; i < to; i++) {
    const key = keys[i] as number;
    const place = places[i] as number;
    let at = i - 1;
    while (at >= from && (keys[at] as number) > key) {
      keys[at + 1] = keys[at] as number;
      places[at + 1] = places[at] as number;
      at--;
    }
    keys[at + 1] = key;
    places[at + 1] = place;
  }
}

function merge(keys: Float64Array, places: Int32Array, toKeys: Float64Array, toPlaces: Int32Array, from: number, middle: number, to: number): void {
  let left = from;
  let right = middle;
  for (let at = from; at < to; at++) {
    // Not strictly: of equals the left one goes first.
    const takeLeft = left < middle && (right >= to || (keys[left] as number) <= (keys[right] as number));
    const source = takeLeft ? left++ : right++;
    toKeys[at] = keys[source] as number;
    toPlaces[at] = places[source] as number;
  }
}

/** numpy's `linear` quantile of sorted numbers, in numpy's own order of operations; NaN of none. */
export function linearQuantile(sorted: Float64Array, p: number): number {
  const n = sorted.length;
  if (n === 0) return Number.NaN;
  const position = (n - 1) * p;
  const low = Math.min(Math.floor(position), n - 1);
  const share = position - low;
  const a = sorted[low] as number;
  const b = sorted[Math.min(low + 1, n - 1)] as number;
  const difference = b - a;
  if (difference === 0) return a;
  return share >= 0.5 ? b - difference * (1 - share) : a + difference * share;
}

export type RankMethod = "average" | "min" | "max" | "dense" | "ordinal";

/** Ranks 1..n of sorted keys into `out` at their places. The largest rank given (dense: how many distinct numbers). */
export function ranksInto(out: Float64Array, keys: Float64Array, places: Int32Array, method: RankMethod): number {
  const n = keys.length;
  let dense = 0;
  for (let from = 0; from < n; ) {
    let to = from + 1;
    while (to < n && keys[to] === keys[from]) to++;
    dense++;
    if (method === "ordinal") for (let i = from; i < to; i++) out[places[i] as number] = i + 1;
    else {
      const rank = method === "average" ? (from + 1 + to) / 2 : method === "min" ? from + 1 : method === "max" ? to : dense;
      for (let i = from; i < to; i++) out[places[i] as number] = rank;
    }
    from = to;
  }
  return method === "dense" ? dense : n;
}
