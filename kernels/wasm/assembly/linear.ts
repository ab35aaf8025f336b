/**
 * Weighted moving average of two columns at a time; window-linear.ts says what is computed, this is its form without
 * missing values.
 */
import { get, getPair, pointer, put, putPair } from "./cells.ts";
import { bar, putBar } from "./lanes.ts";
import { eachPair } from "./pair-driver.ts";
import { linearHead, pushLinear } from "./window-linear.ts";

/** `scratch` has room for window + 1 pairs. */
export function linear(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  eachPair<Linear>(0, 1, 1, count, states, inputs, rows, outputs, scratch);
}

// @ts-ignore: decorator
@unmanaged
class Linear {
  // @ts-ignore: decorator
  @inline
  isFull(kind: i32, state: usize, window: i32): bool {
    return hasWindow(state, window);
  }

  // @ts-ignore: decorator
  @inline
  runClean(
    kind: i32,
    sa: usize,
    sb: usize,
    window: i32,
    a: usize,
    b: usize,
    at: usize,
    rows: i32,
    oa: usize,
    ob: usize,
    scratch: usize,
  ): bool {
    return runClean(
      sa,
      sb,
      window,
      pointer(a, 0) + at,
      pointer(b, 0) + at,
      rows,
      pointer(oa, 0) + at,
      pointer(ob, 0) + at,
      scratch,
    );
  }

  // @ts-ignore: decorator
  @inline
  runOne(kind: i32, state: usize, window: i32, a: usize, at: usize, rows: i32, out: usize): void {
    runOne(state, pointer(a, 0) + at, rows, pointer(out, 0) + at);
  }
}

/** Has no bar of the window been missing, and none of the block before it? */
function hasWindow(state: usize, window: i32): bool {
  const place = get(state, 2);
  return get(state, 5) == place && get(state, linearHead + window + 2 + <i32>place) == <f64>(window - 1) - place;
}

function runOne(state: usize, x: usize, rows: i32, out: usize): void {
  const end = x + ((<usize>rows) << 3);
  for (; x < end; x += 8, out += 8) store<f64>(out, pushLinear(state, 0, load<f64>(x)));
}

/** False, and nothing changed, if a value was missing. */
function runClean(
  sa: usize,
  sb: usize,
  window: i32,
  xa: usize,
  xb: usize,
  rows: i32,
  oa: usize,
  ob: usize,
  ring: usize,
): bool {
  let place = <i32>get(sa, 2);
  let sum = getPair(sa, sb, 3);
  let weighted = getPair(sa, sb, 4);
  const zero = f64x2.splat(0);
  const one = f64x2.splat(1);
  const inverse = f64x2.splat(1 / (<f64>window * <f64>(window + 1) * 0.5));
  let closed = false;
  let bad = zero;
  for (let p = 0; p <= window; p++) v128.store(ring + ((<usize>p) << 4), getPair(sa, sb, linearHead + p));
  while (rows > 0) {
    const n = min(rows, window - place);
    let older = f64x2.splat(<f64>(window - 1 - place));
    let place1 = f64x2.splat(<f64>(place + 1));
    let slot = ring + ((<usize>place) << 4);
    for (const stop = slot + ((<usize>n) << 4); slot < stop; slot += 16, xa += 8, xb += 8, oa += 8, ob += 8) {
      const x = bar(xa, xb);
      bad = v128.or(bad, f64x2.sub(x, x));
      sum = f64x2.add(sum, x);
      weighted = f64x2.add(weighted, f64x2.mul(place1, x));
      const total = f64x2.add(v128.load(slot, 16), f64x2.add(weighted, f64x2.mul(older, sum)));
      v128.store(slot, x);
      putBar(oa, ob, f64x2.mul(total, inverse));
      place1 = f64x2.add(place1, one);
      older = f64x2.sub(older, one);
    }
    rows -= n;
    place += n;
    if (place < window) continue;
    closeBlock(ring, window);
    closed = true;
    place = 0;
    sum = zero;
    weighted = zero;
  }
  // x - x is 0 for a finite x, else NaN.
  if (v128.any_true(bad)) return false;
  putState(sa, sb, window, place, closed, ring);
  putPair(sa, sb, 3, sum);
  putPair(sa, sb, 4, weighted);
  return true;
}

function closeBlock(ring: usize, window: i32): void {
  let sum = f64x2.splat(0);
  let total = sum;
  for (let slot = ring + ((<usize>(window - 1)) << 4); slot >= ring; slot -= 16) {
    sum = f64x2.add(sum, v128.load(slot));
    total = f64x2.add(total, sum);
    v128.store(slot, total);
  }
}

/** Place, counts and weights, and the cells of the blocks. */
function putState(sa: usize, sb: usize, window: i32, place: i32, closed: bool, ring: usize): void {
  for (let p = 0; p < window; p++) putPair(sa, sb, linearHead + p, v128.load(ring + ((<usize>p) << 4)));
  for (let which = 0; which < 2; which++) {
    const state = which == 0 ? sa : sb;
    put(state, 2, <f64>place);
    put(state, 5, <f64>place);
    put(state, 6, <f64>place * <f64>(place + 1) * 0.5);
    if (!closed) continue;
    for (let p = 0; p < window; p++) {
      const behind = <f64>(window - p);
      put(state, linearHead + window + 1 + p, behind);
      put(state, linearHead + 2 * (window + 1) + p, behind * (behind + 1) * 0.5);
    }
  }
}
