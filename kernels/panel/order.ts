/**
 * Order within a cross-section: a stable sort of numbers that says where each came from, and what is read off the
 * sorted numbers.
 */
import { Beginnings } from "./beginnings.js";

const runLength = 8;
/** Ranges up to here are sorted by insertion. */
const shortMax = 24;
/** Buckets for every number: the more there are, the fewer share one. */
const bucketsEach = 2;

/**
 * Sorts ascending; equal numbers stay in the order they came in, which in a panel is the order of symbols. Reuses its
 * memory.
 *
 * Numbers go to buckets of equal width between the smallest and the largest first, in their order, so that what is left
 * to do is within a bucket: of numbers that lie anyhow like a bell or evenly, next to nothing. A bucket that many share
 * is sorted by merging, so the worst case is that of a merge sort.
 */
export class Sorter {
  #keys = new Float64Array(0);
  #places = new Int32Array(0);
  #otherKeys = new Float64Array(0);
  #otherPlaces = new Int32Array(0);
  #bucketOf = new Int32Array(0);
  #ends = new Int32Array(0);
  #keyViews = new Beginnings(this.#keys);
  #placeViews = new Beginnings(this.#places);

  #reserve(n: number): void {
    this.#keys = new Float64Array(n);
    this.#places = new Int32Array(n);
    this.#otherKeys = new Float64Array(n);
    this.#otherPlaces = new Int32Array(n);
    this.#bucketOf = new Int32Array(n);
    this.#ends = new Int32Array(bucketsEach * n + 2);
    this.#keyViews = new Beginnings(this.#keys);
    this.#placeViews = new Beginnings(this.#places);
  }

  /** `descending`: the keys come out negated. The views are good until the next call. No NaN. */
  sort(values: Float64Array, descending = false): { readonly keys: Float64Array; readonly places: Int32Array } {
    const n = values.length;
    if (this.#keys.length < n) this.#reserve(Math.max(n, 2 * this.#keys.length));
    const sign = descending ? -1 : 1;
    let [low, high] = [Infinity, -Infinity];
    for (let i = 0; i < n; i++) {
      const key = sign * (values[i] as number);
      if (key < low) low = key;
      if (key > high) high = key;
    }
    const buckets = bucketsEach * n;
    const scale = buckets / (high - low);
    // All equal, infinite, or so close or so far apart that there are no widths.
    if (n > shortMax && scale > 0 && scale < Infinity) this.#intoBuckets(values, sign, low, scale, buckets);
    else {
      for (let i = 0; i < n; i++) {
        this.#keys[i] = sign * (values[i] as number);
        this.#places[i] = i;
      }
      this.#sortRange(0, n);
    }
    return { keys: this.#keyViews.of(n), places: this.#placeViews.of(n) };
  }

  #intoBuckets(values: Float64Array, sign: number, low: number, scale: number, buckets: number): void {
    const bucketOf = this.#bucketOf;
    const ends = this.#ends;
    const keys = this.#keys;
    const places = this.#places;
    const n = values.length;
    // The largest number has a bucket of its own.
    ends.fill(0, 0, buckets + 1);
    for (let i = 0; i < n; i++) {
      const bucket = ((sign * (values[i] as number) - low) * scale) | 0;
      bucketOf[i] = bucket;
      ends[bucket] = (ends[bucket] as number) + 1;
    }
    let start = 0;
    for (let bucket = 0; bucket <= buckets; bucket++) {
      const count = ends[bucket] as number;
      ends[bucket] = start;
      start += count;
    }
    for (let i = 0; i < n; i++) {
      const bucket = bucketOf[i] as number;
      const at = ends[bucket] as number;
      ends[bucket] = at + 1;
      keys[at] = sign * (values[i] as number);
      places[at] = i;
    }
    let from = 0;
    for (let at = 0; at < n; ) {
      // Buckets one after another, as long as the range is short.
      let bucket = bucketOf[places[at] as number] as number;
      from = at;
      at = ends[bucket] as number;
      while (at < n && at - from <= shortMax) {
        bucket = bucketOf[places[at] as number] as number;
        const end = ends[bucket] as number;
        if (end - at > shortMax) break;
        at = end;
      }
      this.#sortRange(from, at);
    }
  }

  #sortRange(from: number, to: number): void {
    if (to - from <= 2 * shortMax) {
      insertionSort(this.#keys, this.#places, from, to);
      return;
    }
    if (isSorted(this.#keys, from, to)) return;
    for (let at = from; at < to; at += runLength)
      insertionSort(this.#keys, this.#places, at, Math.min(at + runLength, to));
    for (let width = runLength; width < to - from; width *= 2) {
      for (let at = from; at < to; at += 2 * width) {
        const middle = Math.min(at + width, to);
        merge(this.#keys, this.#places, this.#otherKeys, this.#otherPlaces, at, middle, Math.min(at + 2 * width, to));
      }
      this.#keys.set(this.#otherKeys.subarray(from, to), from);
      this.#places.set(this.#otherPlaces.subarray(from, to), from);
    }
  }
}

function isSorted(keys: Float64Array, from: number, to: number): boolean {
  for (let i = from + 1; i < to; i++) if ((keys[i] as number) < (keys[i - 1] as number)) return false;
  return true;
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

function merge(
  keys: Float64Array,
  places: Int32Array,
  toKeys: Float64Array,
  toPlaces: Int32Array,
  from: number,
  middle: number,
  to: number,
): void {
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
      const rank =
        method === "average" ? (from + 1 + to) / 2 : method === "min" ? from + 1 : method === "max" ? to : dense;
      for (let i = from; i < to; i++) out[places[i] as number] = rank;
    }
    from = to;
  }
  return method === "dense" ? dense : n;
}
