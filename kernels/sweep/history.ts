/**
 * What any run of bars holds, answered without walking it: sums of the powers of the market's returns, and the lowest
 * close, the highest close and the deepest fall within the run. Made once for a table of bars and shared by every
 * combination that holds a position over it.
 *
 * Sums are differences of running sums: returns are small beside one, so nothing is lost that a statistic to 1e-9 would
 * miss. Closes are in a disjoint sparse table: level k keeps, for blocks of 2^(k+1) bars, the answer from each bar to
 * the middle of its block, so that a run is two of them put together. Falls compose: the least of close / highest close
 * before is the least of either half's and of (lowest of the right) / (highest of the left).
 */
export class History {
  /** Sums of r, r², r³, r⁴ over bars before i, at [4 i, 4 i + 3]. */
  readonly powers: Float64Array;
  readonly #close: Float64Array;
  /**
   * Lowest, highest and fall (the least close / highest close before it, ≤ 1) of bar i at level k, at [3 (k bars + i),
   * …].
   */
  readonly #table: Float64Array;
  /** The answer of `look`: fields and not an object, because a sweep asks once per trade. */
  low = 0;
  high = 0;
  fall = 1;

  constructor(close: Float64Array, returns: Float64Array) {
    const bars = close.length;
    this.#close = close;
    this.powers = new Float64Array(4 * (bars + 1));
    for (let i = 0; i < bars; i++) {
      let power = 1;
      for (let k = 0; k < 4; k++) {
        power *= returns[i] as number;
        this.powers[4 * (i + 1) + k] = (this.powers[4 * i + k] as number) + power;
      }
    }
    const levels = bars > 1 ? 32 - Math.clz32(bars - 1) : 0;
    this.#table = new Float64Array(3 * levels * bars);
    for (let level = 0; level < levels; level++) this.#fill(level);
  }

  #fill(level: number): void {
    const close = this.#close;
    const bars = close.length;
    const half = 1 << level;
    for (let middle = half; middle < bars; middle += 2 * half) {
      let low = Number.POSITIVE_INFINITY;
      let high = 0;
      let fall = 1;
      for (let i = middle - 1; i >= middle - half; i--) {
        const value = close[i] as number;
        fall = Math.min(fall, low / value);
        low = Math.min(low, value);
        high = Math.max(high, value);
        this.#put(level, i, low, high, fall);
      }
      low = Number.POSITIVE_INFINITY;
      high = 0;
      fall = 1;
      for (let i = middle; i < Math.min(bars, middle + half); i++) {
        const value = close[i] as number;
        high = Math.max(high, value);
        low = Math.min(low, value);
        fall = Math.min(fall, value / high);
        this.#put(level, i, low, high, fall);
      }
    }
  }

  #put(level: number, bar: number, low: number, high: number, fall: number): void {
    const at = 3 * (level * this.#close.length + bar);
    this.#table[at] = low;
    this.#table[at + 1] = high;
    this.#table[at + 2] = fall;
  }

  /** The closes of bars [first, last] into low, high and fall. */
  look(first: number, last: number): void {
    if (first === last) {
      this.low = this.high = this.#close[first] as number;
      this.fall = 1;
      return;
    }
    const table = this.#table;
    const row = 3 * (31 - Math.clz32(first ^ last)) * this.#close.length;
    const a = row + 3 * first;
    const b = row + 3 * last;
    const lowRight = table[b] as number;
    const highLeft = table[a + 1] as number;
    this.low = Math.min(table[a] as number, lowRight);
    this.high = Math.max(highLeft, table[b + 1] as number);
    this.fall = Math.min(table[a + 2] as number, table[b + 2] as number, lowRight / highLeft);
  }
}
