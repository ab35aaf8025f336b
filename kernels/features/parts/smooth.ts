/**
 * Exponential smoothing: average += k · (x - average), with the convention of its start as an option. A constant series
 * stays exactly what it is.
 *
 * - `sma`: the mean of the first `window` values, given out at the last of them (TA-Lib).
 * - `first`: the first value (Metastock, TradingView's `ta.ema`, pandas `adjust=False`).
 * - `adjust`: weights (1-k)^i over all values so far, divided by their sum (pandas `adjust=True`).
 *
 * A missing value gives a missing output. `skip` then goes on as if the bar had not been (pandas `ignore_na=True`);
 * `decay` lets the weight of the past fall once more for every missing bar (pandas `ignore_na=False`).
 *
 * State at `at`: 0 k, 1 seed, 2 window, 3 minPeriods, 4 gaps, 5 values so far, 6 average (while the seed fills: sum), 7
 * what the sum's rounding lost, 8 weight of the past relative to a new value's.
 */
export const smoothRoom = 9;

export type Seed = "sma" | "first" | "adjust";
export type Gaps = "skip" | "decay";
const bySma = 0;
const byFirst = 1;
const byAdjust = 2;

export function openSmooth(
  state: Float64Array,
  at: number,
  options: {
    readonly k: number;
    readonly seed: Seed;
    readonly window: number;
    readonly minPeriods: number;
    readonly gaps?: Gaps;
  },
): void {
  state[at] = options.k;
  state[at + 1] = options.seed === "sma" ? bySma : options.seed === "first" ? byFirst : byAdjust;
  state[at + 2] = options.window;
  state[at + 3] = options.minPeriods;
  state[at + 4] = options.gaps === "decay" ? 1 : 0;
}

/** The average with the next value; NaN if the value is missing, during the seed, and below minPeriods values. */
export function pushSmooth(state: Float64Array, at: number, x: number): number {
  if (x - x !== 0) {
    if (state[at + 4] === 1) state[at + 8] = (state[at + 8] as number) * (1 - (state[at] as number));
    return Number.NaN;
  }
  const k = state[at] as number;
  const seed = state[at + 1] as number;
  const count = (state[at + 5] as number) + 1;
  state[at + 5] = count;
  if (seed === bySma && count <= (state[at + 2] as number)) return seedWithMean(state, at, x, count);
  const past = state[at + 8] as number;
  let average = state[at + 6] as number;
  if (count === 1) average = x;
  else if (seed === byAdjust) average += (x - average) / (past + 1);
  else average += (past === 1 - k ? k : k / (k + past)) * (x - average);
  state[at + 6] = average;
  state[at + 8] = seed === byAdjust ? (past + 1) * (1 - k) : 1 - k;
  return count >= (state[at + 3] as number) ? average : Number.NaN;
}

function seedWithMean(state: Float64Array, at: number, x: number, count: number): number {
  const window = state[at + 2] as number;
  const sum = state[at + 6] as number;
  const total = sum + x;
  const part = total - sum;
  const lost = (state[at + 7] as number) + (sum - (total - part) + (x - part));
  state[at + 7] = lost;
  state[at + 6] = total;
  if (count < window) return Number.NaN;
  const mean = (total + lost) / window;
  state[at + 6] = mean;
  state[at + 8] = 1 - (state[at] as number);
  return mean;
}
