/**
 * The values present in the last `window` bars in order. A bar costs a binary search and a move of a third of the
 * window on average, which for windows of any practical size is faster than a tree. -0 is 0.
 *
 * State at `at`: 0 window, 1 minPeriods, 2 place in the ring, 3 count, then `window` values as they came (NaN where
 * missing and before the first bar), then the values in order.
 */
const head = 4;

export const orderRoom = (window: number): number => head + 2 * window;

export function openOrder(state: Float64Array, at: number, window: number, minPeriods: number): void {
  state[at] = window;
  state[at + 1] = minPeriods;
  state.fill(Number.NaN, at + head, at + head + window);
}

/** Takes the next value; true if at least minPeriods values are present. */
export function pushOrder(state: Float64Array, at: number, value: number): boolean {
  // -0 becomes 0: which of two equal zeros stands where would otherwise depend on bars long gone.
  const x = value + 0;
  const window = state[at] as number;
  const place = state[at + 2] as number;
  const ring = at + head;
  const sorted = ring + window;
  let count = state[at + 3] as number;
  const old = state[ring + place] as number;
  const leaves = old - old === 0;
  if (x - x === 0) {
    // The newcomer takes the place of what leaves, or of nothing at the end, and moves from there to its own.
    const from = leaves ? firstNotBelow(state, sorted, count, old) : count++;
    settle(state, sorted, from, count, x);
  } else if (leaves) {
    const index = sorted + firstNotBelow(state, sorted, count, old);
    state.copyWithin(index, index + 1, sorted + count);
    count--;
  }
  state[ring + place] = x;
  state[at + 2] = place + 1 === window ? 0 : place + 1;
  state[at + 3] = count;
  return count >= (state[at + 1] as number);
}

/** Values that move by more places than this are found by a search and moved together. */
const near = 24;

/** Puts x in order; the place `from` is free, the others are in order. */
function settle(state: Float64Array, sorted: number, from: number, count: number, x: number): void {
  let slot = sorted + from;
  const end = sorted + count - 1;
  if (slot + near <= end && (state[slot + near] as number) < x) {
    const to = slot + near + firstNotBelow(state, slot + near, count - from - near, x);
    state.copyWithin(slot, slot + 1, to);
    slot = to - 1;
  } else if (slot - near >= sorted && (state[slot - near] as number) > x) {
    const to = sorted + firstAbove(state, sorted, from - near, x);
    state.copyWithin(to + 1, to, slot);
    slot = to;
  }
  while (slot < end && (state[slot + 1] as number) < x) {
    state[slot] = state[slot + 1] as number;
    slot++;
  }
  while (slot > sorted && (state[slot - 1] as number) > x) {
    state[slot] = state[slot - 1] as number;
    slot--;
  }
  state[slot] = x;
}

/** How many of the sorted numbers are below x. */
function firstNotBelow(state: Float64Array, sorted: number, count: number, x: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((state[sorted + middle] as number) < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

function firstAbove(state: Float64Array, sorted: number, count: number, x: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((state[sorted + middle] as number) <= x) low = middle + 1;
    else high = middle;
  }
  return low;
}

export type Interpolation = "linear" | "lower" | "higher" | "midpoint" | "nearest";

/**
 * The quantile q of the window as numpy and pandas name them: at (count - 1) · q in order. "nearest" goes to the even
 * neighbour at one half.
 */
export function orderQuantile(state: Float64Array, at: number, q: number, interpolation: Interpolation): number {
  const sorted = at + head + (state[at] as number);
  const position = ((state[at + 3] as number) - 1) * q;
  const low = Math.floor(position);
  const fraction = position - low;
  const below = state[sorted + low] as number;
  if (fraction === 0) return below;
  const above = state[sorted + low + 1] as number;
  switch (interpolation) {
    case "linear":
      return below + (above - below) * fraction;
    case "lower":
      return below;
    case "higher":
      return above;
    case "midpoint":
      return below + (above - below) / 2;
    case "nearest":
      return fraction < 0.5 || (fraction === 0.5 && low % 2 === 0) ? below : above;
  }
}

export type TieRule = "average" | "min" | "max";

/** Rank from 1 of the value `x`, which must be in the window. */
export function orderRank(state: Float64Array, at: number, x: number, ties: TieRule, ascending: boolean): number {
  const sorted = at + head + (state[at] as number);
  const count = state[at + 3] as number;
  const below = firstNotBelow(state, sorted, count, x);
  const notAbove = firstAbove(state, sorted, count, x);
  const first = ascending ? below + 1 : count - notAbove + 1;
  const last = ascending ? notAbove : count - below;
  return ties === "min" ? first : ties === "max" ? last : (first + last) / 2;
}

export const orderCount = (state: Float64Array, at: number): number => state[at + 3] as number;
