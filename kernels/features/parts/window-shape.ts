/**
 * The first four central moments of the values present in the last `window` bars: window-moments.ts to the fourth
 * power. The parts are put together by P. Pébay's formulas (Sandia report SAND2008-6212, 2008). Counts divide by their
 * reciprocals, as in window-moments.ts.
 *
 * State at `at`: 0 window, 1 minPeriods, 2 place in the block, 3 anchor, 4…7 sums of the powers of the differences to
 * it, 8 values present in the block, 9 anchor of the previous block's end; of the last window 10 count, 11…13 sums of
 * the second to fourth powers of the deviations; then `window + 1` each of means (less the anchor), the three sums, and
 * counts from a place to the block's end.
 */
const head = 14;

export const shapeRoom = (window: number): number => head + 5 * (window + 1);

export function openShape(state: Float64Array, at: number, window: number, minPeriods: number): void {
  state[at] = window;
  state[at + 1] = minPeriods;
}

/** Takes the next value; true if at least minPeriods values are present. */
export function pushShape(state: Float64Array, at: number, x: number): boolean {
  const window = state[at] as number;
  const place = state[at + 2] as number;
  const step = window + 1;
  const older = at + head + place + 1;
  if (x - x === 0) addPowers(state, at, x);
  const na = state[older + 4 * step] as number;
  const nb = state[at + 8] as number;
  const count = na + nb;
  state[at + 10] = count;
  if (nb === 0) for (let k = 1; k <= 3; k++) state[at + 10 + k] = state[older + k * step] as number;
  else merge(state, at, older, step, na, nb);
  state[at + head + place] = x;
  if (place + 1 === window) closeBlock(state, at, window);
  else state[at + 2] = place + 1;
  return count >= (state[at + 1] as number);
}

function addPowers(state: Float64Array, at: number, x: number): void {
  if (state[at + 8] === 0) state[at + 3] = x;
  const d = x - (state[at + 3] as number);
  const d2 = d * d;
  state[at + 4] = (state[at + 4] as number) + d;
  state[at + 5] = (state[at + 5] as number) + d2;
  state[at + 6] = (state[at + 6] as number) + d2 * d;
  state[at + 7] = (state[at + 7] as number) + d2 * d2;
  state[at + 8] = (state[at + 8] as number) + 1;
}

/** Sums of the powers of deviations, from sums of powers about another value. */
const central2 = (s1: number, s2: number, mean: number): number => Math.max(s2 - s1 * mean, 0);
const central3 = (s1: number, s2: number, s3: number, mean: number): number => s3 - mean * (3 * s2 - 2 * mean * s1);
const central4 = (s1: number, s2: number, s3: number, s4: number, mean: number): number =>
  s4 - mean * (4 * s3 - mean * (6 * s2 - 3 * mean * s1));

/** The older part at `older` (sums `step` apart) and the current block's, as the moments of the window. */
function merge(state: Float64Array, at: number, older: number, step: number, na: number, nb: number): void {
  const s1 = state[at + 4] as number;
  const s2 = state[at + 5] as number;
  const s3 = state[at + 6] as number;
  const mean = s1 * (1 / nb);
  const a2 = state[older + step] as number;
  const a3 = state[older + 2 * step] as number;
  const b2 = central2(s1, s2, mean);
  const b3 = central3(s1, s2, s3, mean);
  const b4 = central4(s1, s2, s3, state[at + 7] as number, mean);
  const delta = (state[at + 3] as number) - (state[at + 9] as number) + (mean - (state[older] as number));
  const n = na + nb;
  const p = na / n;
  const q = nb / n;
  const d2 = delta * delta;
  state[at + 11] = a2 + b2 + d2 * (p * nb);
  state[at + 12] = a3 + b3 + delta * (d2 * (p * nb) * (p - q) + 3 * (p * b2 - q * a2));
  state[at + 13] =
    (state[older + 3 * step] as number) +
    b4 +
    d2 * (d2 * (p * nb) * (p * p - p * q + q * q) + 6 * (p * p * b2 + q * q * a2)) +
    4 * delta * (p * b3 - q * a3);
}

function closeBlock(state: Float64Array, at: number, window: number): void {
  const step = window + 1;
  state.fill(0, at + 3, at + 9);
  for (let place = window - 1; place >= 0; place--) {
    const slot = at + head + place;
    const x = state[slot] as number;
    if (x - x === 0) addPowers(state, at, x);
    const count = state[at + 8] as number;
    const s1 = state[at + 4] as number;
    const s2 = state[at + 5] as number;
    const s3 = state[at + 6] as number;
    const mean = count === 0 ? 0 : s1 * (1 / count);
    state[slot] = mean;
    state[slot + step] = central2(s1, s2, mean);
    state[slot + 2 * step] = central3(s1, s2, s3, mean);
    state[slot + 3 * step] = central4(s1, s2, s3, state[at + 7] as number, mean);
    state[slot + 4 * step] = count;
  }
  state[at + 9] = state[at + 3] as number;
  state.fill(0, at + 2, at + 9);
}

/**
 * g1 = m3 / m2^1.5 of the last window, or G1, corrected for the sample's size (pandas). NaN where nothing varies or
 * values are too few.
 */
export function skewness(state: Float64Array, at: number, corrected: boolean): number {
  const n = state[at + 10] as number;
  const m2 = state[at + 11] as number;
  if (!(m2 > 0) || (corrected && n < 3)) return Number.NaN;
  // What depends on the count alone comes first: it is the same for every full window.
  const factor = corrected ? (Math.sqrt(n) * Math.sqrt(n * (n - 1))) / (n - 2) : Math.sqrt(n);
  return (factor * (state[at + 12] as number)) / (m2 * Math.sqrt(m2));
}

/** Excess kurtosis g2 = m4 / m2² - 3 of the last window, or G2, corrected for the sample's size (pandas). */
export function excessKurtosis(state: Float64Array, at: number, corrected: boolean): number {
  const n = state[at + 10] as number;
  const m2 = state[at + 11] as number;
  if (!(m2 > 0) || (corrected && n < 4)) return Number.NaN;
  const freedom = (n - 2) * (n - 3);
  const factor = corrected ? ((n - 1) * (n + 1) * n) / freedom : n;
  const offset = corrected ? (3 * (n - 1) * (n - 1)) / freedom : 3;
  return (factor * (state[at + 13] as number)) / (m2 * m2) - offset;
}
