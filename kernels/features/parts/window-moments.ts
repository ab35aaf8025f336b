/**
 * Mean and sum of squared deviations of the values present in the last `window` bars, in the blocks of window-sum.ts.
 * Each part is summed in powers about a value of its own (the end of a block about its last value, the beginning of the
 * next about its first), so a large mean costs no digits; the two are put together by Chan, Golub and LeVeque's
 * formula. A constant window gives exactly 0. Counts divide by their reciprocals, which the WebAssembly form has in a
 * table: the divider is what it would wait for.
 *
 * State at `at`: 0 window, 1 minPeriods, 2 place in the block, 3 anchor, 4 sum and 5 sum of squares of the differences
 * to it, 6 values present in the block, 7 anchor of the previous block's end; of the last window 8 count, 9 mean, 10
 * sum of squared deviations; then `window + 1` each of means (less the anchor), squared deviations and counts from a
 * place to the block's end. Means of places that the current block has passed hold its values, NaN where missing.
 */
const head = 11;
/** The last mean: offset into the state. */
export const momentMean = 9;

export const momentsRoom = (window: number): number => head + 3 * (window + 1);

export function openMoments(state: Float64Array, at: number, window: number, minPeriods: number): void {
  state[at] = window;
  state[at + 1] = minPeriods;
}

/** Takes the next value; true if at least minPeriods values are present. */
export function pushMoments(state: Float64Array, at: number, x: number): boolean {
  const window = state[at] as number;
  const place = state[at + 2] as number;
  const means = at + head;
  const squares = means + window + 1;
  const counts = squares + window + 1;
  let present = state[at + 6] as number;
  // True for finite numbers only.
  if (x - x === 0) {
    if (present === 0) state[at + 3] = x;
    const d = x - (state[at + 3] as number);
    state[at + 4] = (state[at + 4] as number) + d;
    state[at + 5] = (state[at + 5] as number) + d * d;
    present++;
    state[at + 6] = present;
  }
  const oldCount = state[counts + place + 1] as number;
  const oldMean = state[means + place + 1] as number;
  const oldSquares = state[squares + place + 1] as number;
  const oldAnchor = state[at + 7] as number;
  const count = oldCount + present;
  state[at + 8] = count;
  if (present === 0) {
    state[at + 9] = oldAnchor + oldMean;
    state[at + 10] = oldSquares;
  } else {
    const anchor = state[at + 3] as number;
    const sum = state[at + 4] as number;
    const mean = sum * (1 / present);
    const ownSquares = Math.max((state[at + 5] as number) - sum * mean, 0);
    const delta = oldAnchor - anchor + (oldMean - mean);
    const share = oldCount / count;
    state[at + 9] = anchor + (mean + delta * share);
    state[at + 10] = oldSquares + ownSquares + delta * delta * (share * present);
  }
  state[means + place] = x;
  if (place + 1 === window) closeBlock(state, at, window);
  else state[at + 2] = place + 1;
  return count >= (state[at + 1] as number);
}

/** Variance of the last window; NaN below ddof + 1 values. */
export const momentVariance = (state: Float64Array, at: number, ddof: number): number =>
  (state[at + 8] as number) > ddof ? (state[at + 10] as number) * (1 / ((state[at + 8] as number) - ddof)) : Number.NaN;

function closeBlock(state: Float64Array, at: number, window: number): void {
  const means = at + head;
  const squares = means + window + 1;
  const counts = squares + window + 1;
  let anchor = 0;
  let sum = 0;
  let sum2 = 0;
  let count = 0;
  for (let place = window - 1; place >= 0; place--) {
    const x = state[means + place] as number;
    if (x - x === 0) {
      if (count === 0) anchor = x;
      const d = x - anchor;
      sum += d;
      sum2 += d * d;
      count++;
    }
    const mean = count === 0 ? 0 : sum * (1 / count);
    state[means + place] = mean;
    state[squares + place] = Math.max(sum2 - sum * mean, 0);
    state[counts + place] = count;
  }
  state[at + 7] = anchor;
  state.fill(0, at + 2, at + 7);
}
