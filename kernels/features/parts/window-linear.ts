/**
 * Mean of the last `window` bars weighted 1, 2, … window from the oldest to the newest, in the blocks of window-sum.ts;
 * weights of missing bars are left out of the divisor. An older part of weighted sum A and a newer one of weighted sum
 * B and sum S behind `a` bars give A + B + a · S. The weights divide by their reciprocal, which is the same for every
 * full window.
 *
 * State at `at`: 0 window, 1 minPeriods, 2 place in the block; of the block so far 3 sum, 4 weighted sum, 5 count, 6
 * sum of weights; then `window + 1` each of weighted sums, counts and sums of weights from a place to the block's end.
 */
const head = 7;

export const linearRoom = (window: number): number => head + 3 * (window + 1);

export function openLinear(state: Float64Array, at: number, window: number, minPeriods: number): void {
  state[at] = window;
  state[at + 1] = minPeriods;
}

/** The weighted mean with the next value; NaN while fewer than minPeriods values are present. */
export function pushLinear(state: Float64Array, at: number, x: number): number {
  const window = state[at] as number;
  const place = state[at + 2] as number;
  const weighted = at + head;
  const counts = weighted + window + 1;
  const weights = counts + window + 1;
  const older = window - 1 - place;
  if (x - x === 0) {
    state[at + 3] = (state[at + 3] as number) + x;
    state[at + 4] = (state[at + 4] as number) + (place + 1) * x;
    state[at + 5] = (state[at + 5] as number) + 1;
    state[at + 6] = (state[at + 6] as number) + (place + 1);
  }
  const present = state[at + 5] as number;
  const count = (state[counts + place + 1] as number) + present;
  const sum = (state[weighted + place + 1] as number) + ((state[at + 4] as number) + older * (state[at + 3] as number));
  const weight = (state[weights + place + 1] as number) + ((state[at + 6] as number) + older * present);
  state[weighted + place] = x;
  if (place + 1 === window) closeBlock(state, at, window);
  else state[at + 2] = place + 1;
  return count >= (state[at + 1] as number) ? sum * (1 / weight) : Number.NaN;
}

function closeBlock(state: Float64Array, at: number, window: number): void {
  const weighted = at + head;
  const counts = weighted + window + 1;
  const weights = counts + window + 1;
  let sum = 0;
  let total = 0;
  let count = 0;
  let weight = 0;
  for (let place = window - 1; place >= 0; place--) {
    const x = state[weighted + place] as number;
    if (x - x === 0) {
      sum += x;
      count++;
    }
    // Every value of the part moves up by one, and the new one has weight 1.
    total += sum;
    weight += count;
    state[weighted + place] = total;
    state[counts + place] = count;
    state[weights + place] = weight;
  }
  state.fill(0, at + 2, at + 7);
}
