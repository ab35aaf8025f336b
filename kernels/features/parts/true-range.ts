/**
 * Average true range: max(high - low, |high - previous close|, |low - previous close|), averaged.
 *
 * State at `at`: 0 window, 1 smoothing (0 Wilder, 1 simple), 2 whether the first bar counts with high - low, 3 bars so
 * far, 4 the last close, then the average: smooth.ts for Wilder, window-sum.ts for simple.
 */
import { openSmooth, pushSmooth, smoothRoom } from "./smooth.js";
import { openSum, pushMean, sumRoom } from "./window-sum.js";

const head = 5;

export interface RangeOptions {
  readonly window: number;
  readonly smoothing: "wilder" | "sma";
  readonly firstRange: "skip" | "high-low";
}

export const rangeRoom = ({ window, smoothing }: RangeOptions): number =>
  head + (smoothing === "sma" ? sumRoom(window) : smoothRoom);

export function openRange(state: Float64Array, at: number, { window, smoothing, firstRange }: RangeOptions): void {
  state[at] = window;
  state[at + 1] = smoothing === "sma" ? 1 : 0;
  state[at + 2] = firstRange === "high-low" ? 1 : 0;
  if (smoothing === "sma") openSum(state, at + head, window, window);
  else openSmooth(state, at + head, { k: 1 / window, seed: "sma", window, minPeriods: window });
}

/** The average with the next bar; NaN if a price of it is missing, and until `window` ranges are there. */
export function pushRange(state: Float64Array, at: number, high: number, low: number, close: number): number {
  if (high - high !== 0 || low - low !== 0 || close - close !== 0) return Number.NaN;
  const before = state[at + 4] as number;
  const count = (state[at + 3] as number) + 1;
  state[at + 3] = count;
  state[at + 4] = close;
  if (count === 1 && state[at + 2] === 0) return Number.NaN;
  const range = count === 1 ? high - low : Math.max(high - low, Math.abs(high - before), Math.abs(low - before));
  return state[at + 1] === 1 ? pushMean(state, at + head, range) : pushSmooth(state, at + head, range);
}
