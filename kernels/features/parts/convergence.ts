/**
 * MACD. With the seed `sma` both averages start so that their seed windows end on the same bar, as in TA-Lib: the fast
 * one leaves out the first slow - fast values; the signal line is seeded by the mean of the line's first values. With
 * other seeds all three run from the first value on, and outputs are withheld until `slow` (signal: slow + signal - 1)
 * values.
 *
 * State at `at`: 0 values that the fast average leaves out, 1 slow, 2 slow + signal - 1, 3 values so far, then the
 * fast, slow and signal averages; of the last bar 4 the line, 5 the signal.
 */
import { openSmooth, pushSmooth, type Seed, smoothRoom } from "./smooth.js";

const head = 6;
export const macdLine = 4;
export const macdSignal = 5;
export const macdRoom = head + 3 * smoothRoom;

export interface MacdOptions {
  readonly fast: number;
  readonly slow: number;
  readonly signal: number;
  readonly seed: Seed;
}

export function openMacd(state: Float64Array, at: number, { fast, slow, signal, seed }: MacdOptions): void {
  state[at] = seed === "sma" ? slow - fast : 0;
  state[at + 1] = slow;
  state[at + 2] = slow + signal - 1;
  [fast, slow, signal].forEach((window, i) => {
    openSmooth(state, at + head + i * smoothRoom, { k: 2 / (window + 1), seed, window, minPeriods: 1 });
  });
}

/** Takes the next value and leaves line and signal in the state, NaN where not defined. */
export function pushMacd(state: Float64Array, at: number, x: number): void {
  state[at + 4] = Number.NaN;
  state[at + 5] = Number.NaN;
  if (x - x !== 0) return;
  const count = (state[at + 3] as number) + 1;
  state[at + 3] = count;
  const fast = count > (state[at] as number) ? pushSmooth(state, at + head, x) : Number.NaN;
  const line = fast - pushSmooth(state, at + head + smoothRoom, x);
  const signal = pushSmooth(state, at + head + 2 * smoothRoom, line);
  if (count >= (state[at + 1] as number)) state[at + 4] = line;
  if (count >= (state[at + 2] as number)) state[at + 5] = signal;
}
