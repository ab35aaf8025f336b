/**
 * Relative strength of gains and losses between present values.
 *
 * State at `at`: 0 window, 1 smoothing (0 Wilder, 1 simple), 2 the value where nothing has moved, 3 values so far, 4
 * the last value, then the averages of gains and of losses: two of smooth.ts for Wilder, two of window-sum.ts for
 * simple.
 */
import { openSmooth, pushSmooth, smoothRoom } from "./smooth.js";
import { openSum, pushMean, sumRoom } from "./window-sum.js";

const head = 5;

export interface StrengthOptions {
  readonly window: number;
  readonly smoothing: "wilder" | "sma";
  readonly flat: 0 | 100 | "null";
}

const partRoom = ({ window, smoothing }: Pick<StrengthOptions, "window" | "smoothing">): number =>
  smoothing === "sma" ? sumRoom(window) : smoothRoom;

export const rsiRoom = (options: StrengthOptions): number => head + 2 * partRoom(options);

export function openRsi(state: Float64Array, at: number, options: StrengthOptions): void {
  const { window, smoothing, flat } = options;
  state[at] = window;
  state[at + 1] = smoothing === "sma" ? 1 : 0;
  state[at + 2] = flat === "null" ? Number.NaN : flat;
  for (const part of [at + head, at + head + partRoom(options)]) {
    if (smoothing === "sma") openSum(state, part, window, window);
    else openSmooth(state, part, { k: 1 / window, seed: "sma", window, minPeriods: window });
  }
}

/** The index with the next value; NaN if it is missing and before `window` changes. */
export function pushRsi(state: Float64Array, at: number, x: number): number {
  if (x - x !== 0) return Number.NaN;
  const before = state[at + 4] as number;
  const count = (state[at + 3] as number) + 1;
  state[at + 3] = count;
  state[at + 4] = x;
  if (count === 1) return Number.NaN;
  const change = x - before;
  const up = Math.max(change, 0);
  const down = Math.max(-change, 0);
  let gain: number;
  let loss: number;
  if (state[at + 1] === 1) {
    gain = pushMean(state, at + head, up);
    loss = pushMean(state, at + head + sumRoom(state[at] as number), down);
  } else {
    gain = pushSmooth(state, at + head, up);
    loss = pushSmooth(state, at + head + smoothRoom, down);
  }
  const moved = gain + loss;
  return moved === 0 ? (state[at + 2] as number) : (100 * gain) / moved;
}
