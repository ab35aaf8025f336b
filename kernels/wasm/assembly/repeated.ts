/**
 * features/averages.ts, dema and tema: averages each of the one before. A bar at a time, and turns of two columns as in
 * turns.ts.
 */
import { get, pointer, present, put } from "./cells.ts";
import { bar, firstBar, putBar, secondBar } from "./lanes.ts";
import { isSteady, pushSmooth, smoothRoom } from "./smooth.ts";
import { badAt } from "./turns.ts";

export const repeatedHead: i32 = 2;

// @ts-ignore: decorator
@inline
export function pushRepeated(stages: i32, state: usize, x: f64): f64 {
  const e1 = pushSmooth(state, repeatedHead, x);
  const e2 = pushSmooth(state, repeatedHead + smoothRoom, e1);
  const e3: f64 = stages == 3 ? pushSmooth(state, repeatedHead + 2 * smoothRoom, e2) : 0;
  if (!present(x)) return NaN;
  const count = get(state, 1) + 1;
  put(state, 1, count);
  if (count < get(state, 0)) return NaN;
  return stages == 3 ? 3 * (e1 - e2) + e3 : 2 * e1 - e2;
}

// @ts-ignore: decorator
@inline
export function isRepeatedSteady(stages: i32, state: usize): bool {
  if (get(state, 1) + 1 < get(state, 0)) return false;
  for (let i = 0; i < stages; i++) if (!isSteady(state, repeatedHead + i * smoothRoom)) return false;
  return true;
}

// @ts-ignore: decorator
@inline
function smooth(average: v128, k: v128, x: v128): v128 {
  return f64x2.add(average, f64x2.mul(k, f64x2.sub(x, average)));
}

// @ts-ignore: decorator
@inline
function together(stages: i32, e1: v128, e2: v128, e3: v128): v128 {
  if (stages == 3) return f64x2.add(f64x2.mul(f64x2.splat(3), f64x2.sub(e1, e2)), e3);
  return f64x2.sub(f64x2.mul(f64x2.splat(2), e1), e2);
}

/**
 * An average that is not finite makes the one after it so too: the second is watched, and with it the first and the
 * value.
 */
// @ts-ignore: decorator
@inline
function repeatedTurn(
  stages: i32,
  state: usize,
  a: usize,
  b: usize,
  offset: usize,
  rows: i32,
  outsA: usize,
  outsB: usize,
  slot: usize,
): void {
  let xa = pointer(a, 0) + offset;
  let xb = pointer(b, 0) + offset;
  let oa = pointer(outsA, 0) + offset;
  let ob = pointer(outsB, 0) + offset;
  const k = f64x2.splat(get(state, repeatedHead));
  let e1 = v128.load(slot);
  let e2 = v128.load(slot, 16);
  let e3 = v128.load(slot, 32);
  let bad = v128.load(slot + badAt);
  for (const end = xa + ((<usize>rows & ~1) << 3); xa < end; xa += 16, xb += 16, oa += 16, ob += 16) {
    const ra = v128.load(xa);
    const rb = v128.load(xb);
    e1 = smooth(e1, k, firstBar(ra, rb));
    e2 = smooth(e2, k, e1);
    bad = v128.or(bad, f64x2.sub(e2, e2));
    if (stages == 3) e3 = smooth(e3, k, e2);
    const first = together(stages, e1, e2, e3);
    e1 = smooth(e1, k, secondBar(ra, rb));
    e2 = smooth(e2, k, e1);
    bad = v128.or(bad, f64x2.sub(e2, e2));
    if (stages == 3) e3 = smooth(e3, k, e2);
    const second = together(stages, e1, e2, e3);
    v128.store(oa, firstBar(first, second));
    v128.store(ob, secondBar(first, second));
  }
  if (rows & 1) {
    e1 = smooth(e1, k, bar(xa, xb));
    e2 = smooth(e2, k, e1);
    bad = v128.or(bad, f64x2.sub(e2, e2));
    if (stages == 3) e3 = smooth(e3, k, e2);
    putBar(oa, ob, together(stages, e1, e2, e3));
  }
  v128.store(slot, e1);
  v128.store(slot, e2, 16);
  v128.store(slot, e3, 32);
  v128.store(slot + badAt, bad);
}

export function demaTurn(
  state: usize,
  a: usize,
  b: usize,
  offset: usize,
  rows: i32,
  outsA: usize,
  outsB: usize,
  slot: usize,
): void {
  repeatedTurn(2, state, a, b, offset, rows, outsA, outsB, slot);
}

export function temaTurn(
  state: usize,
  a: usize,
  b: usize,
  offset: usize,
  rows: i32,
  outsA: usize,
  outsB: usize,
  slot: usize,
): void {
  repeatedTurn(3, state, a, b, offset, rows, outsA, outsB, slot);
}
