/**
 * Sum and count of the values present in the last `window` bars, without ever subtracting what left: bars come in
 * blocks of `window`; a window is the end of the previous block (sums from each bar to the block's end, made once when
 * the block is full) and the beginning of the current one (a running sum). van Herk 1992, Gil and Werman 1993. Both
 * sums are compensated (Knuth's two-sum), so a result is within two units in the last place of the exact sum, after any
 * number of bars.
 *
 * State at `at`: 0 window, 1 minPeriods, 2 place in the block, 3 running sum, 4 what its rounding lost, 5 values
 * present in the block, 6 the last sum, 7 the last count, then `window + 1` sums and `window + 1` counts from a place
 * to the block's end. Places that the current block has passed hold its values, NaN where missing.
 */
const head = 8;

export const sumRoom = (window: number): number => head + 2 * (window + 1);

export function openSum(state: Float64Array, at: number, window: number, minPeriods: number): void {
  state[at] = window;
  state[at + 1] = minPeriods;
}

/** The sum with the next value; NaN while fewer than minPeriods values are present. */
export function pushSum(state: Float64Array, at: number, x: number): number {
  const window = state[at] as number;
  const place = state[at + 2] as number;
  const sums = at + head;
  const counts = sums + window + 1;
  let high = state[at + 3] as number;
  let present = state[at + 5] as number;
  // True for finite numbers only.
  if (x - x === 0) {
    const total = high + x;
    const part = total - high;
    state[at + 4] = (state[at + 4] as number) + (high - (total - part) + (x - part));
    high = total;
    present++;
    state[at + 3] = high;
    state[at + 5] = present;
  }
  const sum = (state[sums + place + 1] as number) + high + (state[at + 4] as number);
  const count = (state[counts + place + 1] as number) + present;
  state[sums + place] = x;
  state[at + 6] = sum;
  state[at + 7] = count;
  if (place + 1 === window) closeBlock(state, at, window);
  else state[at + 2] = place + 1;
  return count >= (state[at + 1] as number) ? sum : Number.NaN;
}

/** The mean with the next value; NaN while fewer than minPeriods values are present. */
export const pushMean = (state: Float64Array, at: number, x: number): number =>
  pushSum(state, at, x) / (state[at + 7] as number);

function closeBlock(state: Float64Array, at: number, window: number): void {
  const sums = at + head;
  const counts = sums + window + 1;
  let high = 0;
  let low = 0;
  let count = 0;
  for (let place = window - 1; place >= 0; place--) {
    const x = state[sums + place] as number;
    if (x - x === 0) {
      const total = high + x;
      const part = total - high;
      low += high - (total - part) + (x - part);
      high = total;
      count++;
    }
    state[sums + place] = high + low;
    state[counts + place] = count;
  }
  state[at + 2] = 0;
  state[at + 3] = 0;
  state[at + 4] = 0;
  state[at + 5] = 0;
}
