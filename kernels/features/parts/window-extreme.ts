/**
 * The largest (or smallest) value present in the last `window` bars, in the blocks of window-sum.ts: three comparisons
 * a bar, whatever the window. -0 is below 0, as for Math.max.
 *
 * State at `at`: 0 window, 1 minPeriods, 2 place in the block, 3 sign (1 largest, -1 smallest), 4 the extreme of the
 * block so far, 5 values present in it, then `window + 1` extremes and `window + 1` counts from a place to the block's
 * end. All extremes are of sign · value.
 */
const head = 6;

export const extremeRoom = (window: number): number => head + 2 * (window + 1);

export function openExtreme(
  state: Float64Array,
  at: number,
  window: number,
  minPeriods: number,
  which: "max" | "min",
): void {
  state[at] = window;
  state[at + 1] = minPeriods;
  state[at + 3] = which === "max" ? 1 : -1;
  state.fill(Number.NEGATIVE_INFINITY, at + head, at + head + window + 1);
  state[at + 4] = Number.NEGATIVE_INFINITY;
}

/** The extreme with the next value; NaN while fewer than minPeriods values are present. */
export function pushExtreme(state: Float64Array, at: number, value: number): number {
  const window = state[at] as number;
  const place = state[at + 2] as number;
  const sign = state[at + 3] as number;
  const extremes = at + head;
  const counts = extremes + window + 1;
  const x = sign * value;
  if (x - x === 0) {
    state[at + 4] = Math.max(state[at + 4] as number, x);
    state[at + 5] = (state[at + 5] as number) + 1;
  }
  const extreme = Math.max(state[extremes + place + 1] as number, state[at + 4] as number);
  const count = (state[counts + place + 1] as number) + (state[at + 5] as number);
  state[extremes + place] = x;
  if (place + 1 === window) closeBlock(state, at, window);
  else state[at + 2] = place + 1;
  return count >= (state[at + 1] as number) ? sign * extreme : Number.NaN;
}

function closeBlock(state: Float64Array, at: number, window: number): void {
  const extremes = at + head;
  const counts = extremes + window + 1;
  let extreme = Number.NEGATIVE_INFINITY;
  let count = 0;
  for (let place = window - 1; place >= 0; place--) {
    const x = state[extremes + place] as number;
    if (x - x === 0) {
      extreme = Math.max(extreme, x);
      count++;
    }
    state[extremes + place] = extreme;
    state[counts + place] = count;
  }
  state[at + 2] = 0;
  state[at + 4] = Number.NEGATIVE_INFINITY;
  state[at + 5] = 0;
}
