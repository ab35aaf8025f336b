/**
 * Rolling variance and what follows from it, of two columns at a time; window-moments.ts says what is computed, this is
 * its form without missing values.
 */
import { get, getPair, pointer, put, putPair } from "./cells.ts";
import { bar, putBar } from "./lanes.ts";
import { eachPair } from "./pair-driver.ts";
import { momentsHead, momentVariance, pushMoments } from "./window-moments.ts";

/** What comes out. */
export const variance: i32 = 0;
export const deviation: i32 = 1;
export const zscore: i32 = 2;
/** Upper, middle and lower band. */
export const bands: i32 = 3;

/** `scratch` has room for 4 · (window + 1) pairs. */
// @ts-ignore: decorator
@inline
export function moments(
  kind: i32,
  count: i32,
  states: usize,
  inputs: usize,
  rows: i32,
  outputs: usize,
  scratch: usize,
): void {
  eachPair<Moments>(kind, 1, kind == bands ? 3 : 1, count, states, inputs, rows, outputs, scratch);
}

/** Parameters lie behind the moments: ddof, and for the bands their distance. */
// @ts-ignore: decorator
@inline
function parameters(window: i32): i32 {
  return momentsHead + 3 * (window + 1);
}

// @ts-ignore: decorator
@unmanaged
class Moments {
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
    return runClean(kind, sa, sb, window, pointer(a, 0) + at, pointer(b, 0) + at, rows, oa, ob, at, scratch);
  }

  // @ts-ignore: decorator
  @inline
  runOne(kind: i32, state: usize, window: i32, a: usize, at: usize, rows: i32, out: usize): void {
    runOne(kind, state, window, pointer(a, 0) + at, rows, out, at);
  }
}

/** Has no bar of the window been missing, and none of the block before it, and does the variance have a value? */
function hasWindow(state: usize, window: i32): bool {
  const place = get(state, 2);
  if (!(<f64>window > get(state, parameters(window)))) return false;
  return (
    get(state, 6) == place && get(state, momentsHead + 2 * (window + 1) + 1 + <i32>place) == <f64>(window - 1) - place
  );
}

// @ts-ignore: decorator
@inline
function runOne(kind: i32, state: usize, window: i32, x: usize, rows: i32, outs: usize, offset: usize): void {
  const ddof = get(state, parameters(window));
  const end = x + ((<usize>rows) << 3);
  for (; x < end; x += 8, offset += 8) {
    const value = load<f64>(x);
    const enough = pushMoments(state, 0, value);
    const spread = momentVariance(state, 0, ddof);
    const out = pointer(outs, 0) + offset;
    if (kind == variance) store<f64>(out, enough ? spread : NaN);
    else if (kind == deviation) store<f64>(out, enough ? sqrt(spread) : NaN);
    else if (kind == zscore) {
      const root = sqrt(spread);
      store<f64>(out, enough && value - value == 0 && root > 0 ? (value - get(state, 9)) / root : NaN);
    } else {
      const mean = enough ? get(state, 9) : NaN;
      const distance = get(state, parameters(window) + 1) * sqrt(spread);
      store<f64>(out, mean + distance);
      store<f64>(pointer(outs, 1) + offset, mean);
      store<f64>(pointer(outs, 2) + offset, mean - distance);
    }
  }
}

/**
 * What depends on the place in a block alone. Weights of the older part: its share of the window, and that times the
 * bars in the block; and the reciprocals of the bars in the block, once for each lane.
 */
function fillTables(shares: usize, inverses: usize, window: i32): void {
  for (let p = 0; p < window; p++) {
    const share = <f64>(window - 1 - p) / <f64>window;
    store<f64>(shares + ((<usize>p) << 4), share);
    store<f64>(shares + ((<usize>p) << 4) + 8, share * <f64>(p + 1));
    v128.store(inverses + ((<usize>p) << 4), f64x2.splat(1 / <f64>(p + 1)));
  }
}

/** False, and nothing changed, if a value was missing. */
// @ts-ignore: decorator
@inline
function runClean(
  kind: i32,
  sa: usize,
  sb: usize,
  window: i32,
  xa: usize,
  xb: usize,
  rows: i32,
  outsA: usize,
  outsB: usize,
  offset: usize,
  scratch: usize,
): bool {
  const means = scratch;
  const squares = means + ((<usize>(window + 1)) << 4);
  const shares = squares + ((<usize>(window + 1)) << 4);
  for (let p = 0; p <= window; p++) {
    v128.store(means + ((<usize>p) << 4), getPair(sa, sb, momentsHead + p));
    v128.store(squares + ((<usize>p) << 4), getPair(sa, sb, momentsHead + window + 1 + p));
  }
  const inverses = shares + ((<usize>(window + 1)) << 4);
  fillTables(shares, inverses, window);
  const freedom = f64x2.splat(1 / (<f64>window - get(sa, parameters(window))));
  const reach = f64x2.splat(kind == bands ? get(sa, parameters(window) + 1) : 0);
  const zero = f64x2.splat(0);
  const toSquares = squares - means;
  const toShares = shares - means;
  const toInverses = inverses - means;
  const oa = pointer(outsA, 0) + offset - xa;
  const ob = pointer(outsB, 0) + offset - xb;
  const middleA = (kind == bands ? pointer(outsA, 1) : 0) + offset - xa;
  const middleB = (kind == bands ? pointer(outsB, 1) : 0) + offset - xb;
  const lowerA = (kind == bands ? pointer(outsA, 2) : 0) + offset - xa;
  const lowerB = (kind == bands ? pointer(outsB, 2) : 0) + offset - xb;
  let place = <i32>get(sa, 2);
  let anchor = getPair(sa, sb, 3);
  let sum = getPair(sa, sb, 4);
  let sum2 = getPair(sa, sb, 5);
  let oldAnchor = getPair(sa, sb, 7);
  let mean = zero;
  let spread = zero;
  let closed = false;
  let bad = zero;
  while (rows > 0) {
    const n = min(rows, window - place);
    if (place == 0) anchor = bar(xa, xb);
    const apart = f64x2.sub(oldAnchor, anchor);
    let slot = means + ((<usize>place) << 4);
    let own = zero;
    let delta = zero;
    for (const stop = slot + ((<usize>n) << 4); slot < stop; slot += 16, xa += 8, xb += 8) {
      const x = bar(xa, xb);
      bad = v128.or(bad, f64x2.sub(x, x));
      const d = f64x2.sub(x, anchor);
      sum = f64x2.add(sum, d);
      sum2 = f64x2.add(sum2, f64x2.mul(d, d));
      own = f64x2.mul(sum, v128.load(slot + toInverses));
      const ownSquares = f64x2.pmax(f64x2.sub(sum2, f64x2.mul(sum, own)), zero);
      delta = f64x2.add(apart, f64x2.sub(v128.load(slot, 16), own));
      const old = f64x2.add(v128.load(slot + toSquares, 16), ownSquares);
      if (kind == zscore || kind == bands) mean = meanOf(anchor, own, delta, slot + toShares);
      spread = f64x2.add(old, f64x2.mul(f64x2.mul(delta, delta), v128.load_splat<f64>(slot + toShares, 8)));
      v128.store(slot, x);
      const value = f64x2.mul(spread, freedom);
      if (kind == variance) putBar(xa + oa, xb + ob, value);
      else if (kind == deviation) putBar(xa + oa, xb + ob, f64x2.sqrt(value));
      else if (kind == zscore) {
        const root = f64x2.sqrt(value);
        const score = f64x2.div(f64x2.sub(x, mean), root);
        putBar(xa + oa, xb + ob, v128.bitselect(score, f64x2.splat(NaN), f64x2.gt(root, zero)));
      } else {
        const distance = f64x2.mul(reach, f64x2.sqrt(value));
        putBar(xa + oa, xb + ob, f64x2.add(mean, distance));
        putBar(xa + middleA, xb + middleB, mean);
        putBar(xa + lowerA, xb + lowerB, f64x2.sub(mean, distance));
      }
    }
    if (kind == variance || kind == deviation) mean = meanOf(anchor, own, delta, slot - 16 + toShares);
    rows -= n;
    place += n;
    if (place < window) continue;
    oldAnchor = closeBlock(means, toSquares, toInverses, window);
    closed = true;
    place = 0;
    anchor = zero;
    sum = zero;
    sum2 = zero;
  }
  // x - x is 0 for a finite x, else NaN.
  if (v128.any_true(bad)) return false;
  put(sa, 2, <f64>place);
  put(sb, 2, <f64>place);
  putPair(sa, sb, 3, anchor);
  putPair(sa, sb, 4, sum);
  putPair(sa, sb, 5, sum2);
  put(sa, 6, <f64>place);
  put(sb, 6, <f64>place);
  putPair(sa, sb, 7, oldAnchor);
  put(sa, 8, <f64>window);
  put(sb, 8, <f64>window);
  putPair(sa, sb, 9, mean);
  putPair(sa, sb, 10, spread);
  for (let p = 0; p < window; p++) {
    putPair(sa, sb, momentsHead + p, v128.load(means + ((<usize>p) << 4)));
    if (!closed) continue;
    putPair(sa, sb, momentsHead + window + 1 + p, v128.load(squares + ((<usize>p) << 4)));
    put(sa, momentsHead + 2 * (window + 1) + p, <f64>(window - p));
    put(sb, momentsHead + 2 * (window + 1) + p, <f64>(window - p));
  }
  return true;
}

// @ts-ignore: decorator
@inline
function meanOf(anchor: v128, own: v128, delta: v128, share: usize): v128 {
  return f64x2.add(anchor, f64x2.add(own, f64x2.mul(delta, v128.load_splat<f64>(share))));
}

/** Returns the anchors. */
// @ts-ignore: decorator
@inline
function closeBlock(means: usize, toSquares: usize, toInverses: usize, window: i32): v128 {
  let slot = means + ((<usize>(window - 1)) << 4);
  const anchor = v128.load(slot);
  const zero = f64x2.splat(0);
  let sum = zero;
  let sum2 = zero;
  // The n-th value of the way back divides by n.
  let inverse = means + toInverses;
  for (; slot >= means; slot -= 16, inverse += 16) {
    const d = f64x2.sub(v128.load(slot), anchor);
    sum = f64x2.add(sum, d);
    sum2 = f64x2.add(sum2, f64x2.mul(d, d));
    const mean = f64x2.mul(sum, v128.load(inverse));
    v128.store(slot, mean);
    v128.store(slot + toSquares, f64x2.pmax(f64x2.sub(sum2, f64x2.mul(sum, mean)), zero));
  }
  return anchor;
}
