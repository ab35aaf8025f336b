/**
 * Means, squared deviations and products of deviations of two series over the last `window` bars, bars with either
 * missing left out: window-moments.ts for pairs. Counts divide by their reciprocals, as there.
 *
 * State at `at`: 0 window, 1 minPeriods, 2 place in the block, 3 and 4 anchors, 5 and 6 sums, 7 and 8 sums of squares,
 * 9 sum of products of the differences to them, 10 pairs present in the block, 11 and 12 anchors of the previous
 * block's end; of the last window 13 count, 14 and 15 squared deviations, 16 products of deviations; then `window + 1`
 * each of the two means (less the anchors), the two squared deviations, the products, and counts from a place to the
 * block's end.
 */
const head = 17;
/** Of the last window: offsets into the state. */
export const pairCount = 13;
export const pairXx = 14;
export const pairYy = 15;
export const pairXy = 16;

export const pairRoom = (window: number): number => head + 6 * (window + 1);

export function openPair(state: Float64Array, at: number, window: number, minPeriods: number): void {
  state[at] = window;
  state[at + 1] = minPeriods;
}

/** Takes the next pair; true if at least minPeriods pairs are present. */
export function pushPair(state: Float64Array, at: number, x: number, y: number): boolean {
  const window = state[at] as number;
  const place = state[at + 2] as number;
  const step = window + 1;
  const older = at + head + place + 1;
  if (x - x === 0 && y - y === 0) addPair(state, at, x, y);
  const na = state[older + 5 * step] as number;
  const nb = state[at + 10] as number;
  const count = na + nb;
  state[at + 13] = count;
  if (nb === 0) for (let k = 0; k < 3; k++) state[at + 14 + k] = state[older + (2 + k) * step] as number;
  else merge(state, at, older, step, na, nb);
  state[at + head + place] = x;
  state[at + head + place + step] = y;
  if (place + 1 === window) closeBlock(state, at, window);
  else state[at + 2] = place + 1;
  return count >= (state[at + 1] as number);
}

function addPair(state: Float64Array, at: number, x: number, y: number): void {
  if (state[at + 10] === 0) {
    state[at + 3] = x;
    state[at + 4] = y;
  }
  const dx = x - (state[at + 3] as number);
  const dy = y - (state[at + 4] as number);
  state[at + 5] = (state[at + 5] as number) + dx;
  state[at + 6] = (state[at + 6] as number) + dy;
  state[at + 7] = (state[at + 7] as number) + dx * dx;
  state[at + 8] = (state[at + 8] as number) + dy * dy;
  state[at + 9] = (state[at + 9] as number) + dx * dy;
  state[at + 10] = (state[at + 10] as number) + 1;
}

function merge(state: Float64Array, at: number, older: number, step: number, na: number, nb: number): void {
  const sx = state[at + 5] as number;
  const sy = state[at + 6] as number;
  const inverse = 1 / nb;
  const mx = sx * inverse;
  const my = sy * inverse;
  const dx = (state[at + 11] as number) - (state[at + 3] as number) + ((state[older] as number) - mx);
  const dy = (state[at + 12] as number) - (state[at + 4] as number) + ((state[older + step] as number) - my);
  const weight = (na / (na + nb)) * nb;
  state[at + 14] =
    (state[older + 2 * step] as number) + Math.max((state[at + 7] as number) - sx * mx, 0) + dx * dx * weight;
  state[at + 15] =
    (state[older + 3 * step] as number) + Math.max((state[at + 8] as number) - sy * my, 0) + dy * dy * weight;
  state[at + 16] = (state[older + 4 * step] as number) + ((state[at + 9] as number) - sx * my) + dx * dy * weight;
}

function closeBlock(state: Float64Array, at: number, window: number): void {
  const step = window + 1;
  state.fill(0, at + 3, at + 11);
  for (let place = window - 1; place >= 0; place--) {
    const slot = at + head + place;
    const x = state[slot] as number;
    const y = state[slot + step] as number;
    if (x - x === 0 && y - y === 0) addPair(state, at, x, y);
    const count = state[at + 10] as number;
    const sx = state[at + 5] as number;
    const sy = state[at + 6] as number;
    const inverse = count === 0 ? 0 : 1 / count;
    const mx = sx * inverse;
    const my = sy * inverse;
    state[slot] = mx;
    state[slot + step] = my;
    state[slot + 2 * step] = Math.max((state[at + 7] as number) - sx * mx, 0);
    state[slot + 3 * step] = Math.max((state[at + 8] as number) - sy * my, 0);
    state[slot + 4 * step] = (state[at + 9] as number) - sx * my;
    state[slot + 5 * step] = count;
  }
  state[at + 11] = state[at + 3] as number;
  state[at + 12] = state[at + 4] as number;
  state.fill(0, at + 2, at + 11);
}
