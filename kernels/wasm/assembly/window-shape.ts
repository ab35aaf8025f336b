/** features/parts/window-shape.ts, a bar at a time: the same cells, the same operations in the same order. */
import { get, present, put } from "./cells.ts";

export const shapeHead: i32 = 14;

export function pushShape(state: usize, at: i32, x: f64): bool {
  const window = <i32>get(state, at);
  const place = <i32>get(state, at + 2);
  const step = window + 1;
  const older = at + shapeHead + place + 1;
  if (present(x)) addPowers(state, at, x);
  const na = get(state, older + 4 * step);
  const nb = get(state, at + 8);
  const count = na + nb;
  put(state, at + 10, count);
  if (nb == 0) for (let k = 1; k <= 3; k++) put(state, at + 10 + k, get(state, older + k * step));
  else merge(state, at, older, step, na, nb);
  put(state, at + shapeHead + place, x);
  if (place + 1 == window) closeBlock(state, at, window);
  else put(state, at + 2, <f64>(place + 1));
  return count >= get(state, at + 1);
}

function addPowers(state: usize, at: i32, x: f64): void {
  if (get(state, at + 8) == 0) put(state, at + 3, x);
  const d = x - get(state, at + 3);
  const d2 = d * d;
  put(state, at + 4, get(state, at + 4) + d);
  put(state, at + 5, get(state, at + 5) + d2);
  put(state, at + 6, get(state, at + 6) + d2 * d);
  put(state, at + 7, get(state, at + 7) + d2 * d2);
  put(state, at + 8, get(state, at + 8) + 1);
}

// @ts-ignore: decorator
@inline
function central2(s1: f64, s2: f64, mean: f64): f64 {
  return max(s2 - s1 * mean, 0);
}

// @ts-ignore: decorator
@inline
function central3(s1: f64, s2: f64, s3: f64, mean: f64): f64 {
  return s3 - mean * (3 * s2 - 2 * mean * s1);
}

// @ts-ignore: decorator
@inline
function central4(s1: f64, s2: f64, s3: f64, s4: f64, mean: f64): f64 {
  return s4 - mean * (4 * s3 - mean * (6 * s2 - 3 * mean * s1));
}

function merge(state: usize, at: i32, older: i32, step: i32, na: f64, nb: f64): void {
  const s1 = get(state, at + 4);
  const s2 = get(state, at + 5);
  const s3 = get(state, at + 6);
  const mean = s1 * (1 / nb);
  const a2 = get(state, older + step);
  const a3 = get(state, older + 2 * step);
  const b2 = central2(s1, s2, mean);
  const b3 = central3(s1, s2, s3, mean);
  const b4 = central4(s1, s2, s3, get(state, at + 7), mean);
  const delta = get(state, at + 3) - get(state, at + 9) + (mean - get(state, older));
  const n = na + nb;
  const p = na / n;
  const q = nb / n;
  const d2 = delta * delta;
  put(state, at + 11, a2 + b2 + d2 * (p * nb));
  put(state, at + 12, a3 + b3 + delta * (d2 * (p * nb) * (p - q) + 3 * (p * b2 - q * a2)));
  const a4 = get(state, older + 3 * step);
  put(
    state,
    at + 13,
    a4 +
      b4 +
      d2 * (d2 * (p * nb) * (p * p - p * q + q * q) + 6 * (p * p * b2 + q * q * a2)) +
      4 * delta * (p * b3 - q * a3),
  );
}

function closeBlock(state: usize, at: i32, window: i32): void {
  const step = window + 1;
  for (let cell = 3; cell <= 8; cell++) put(state, at + cell, 0);
  for (let place = window - 1; place >= 0; place--) {
    const slot = at + shapeHead + place;
    const x = get(state, slot);
    if (present(x)) addPowers(state, at, x);
    const count = get(state, at + 8);
    const s1 = get(state, at + 4);
    const s2 = get(state, at + 5);
    const s3 = get(state, at + 6);
    const mean: f64 = count == 0 ? 0 : s1 * (1 / count);
    put(state, slot, mean);
    put(state, slot + step, central2(s1, s2, mean));
    put(state, slot + 2 * step, central3(s1, s2, s3, mean));
    put(state, slot + 3 * step, central4(s1, s2, s3, get(state, at + 7), mean));
    put(state, slot + 4 * step, count);
  }
  put(state, at + 9, get(state, at + 3));
  for (let cell = 2; cell <= 8; cell++) put(state, at + cell, 0);
}

/** What the third moment is multiplied by: of the count alone. */
export function skewFactor(n: f64, corrected: bool): f64 {
  return corrected ? (sqrt(n) * sqrt(n * (n - 1))) / (n - 2) : sqrt(n);
}

export function kurtFactor(n: f64, corrected: bool): f64 {
  return corrected ? ((n - 1) * (n + 1) * n) / ((n - 2) * (n - 3)) : n;
}

export function kurtOffset(n: f64, corrected: bool): f64 {
  return corrected ? (3 * (n - 1) * (n - 1)) / ((n - 2) * (n - 3)) : 3;
}

export function skewness(state: usize, at: i32, corrected: bool): f64 {
  const n = get(state, at + 10);
  const m2 = get(state, at + 11);
  if (!(m2 > 0) || (corrected && n < 3)) return NaN;
  return (skewFactor(n, corrected) * get(state, at + 12)) / (m2 * sqrt(m2));
}

export function excessKurtosis(state: usize, at: i32, corrected: bool): f64 {
  const n = get(state, at + 10);
  const m2 = get(state, at + 11);
  if (!(m2 > 0) || (corrected && n < 4)) return NaN;
  return (kurtFactor(n, corrected) * get(state, at + 13)) / (m2 * m2) - kurtOffset(n, corrected);
}
