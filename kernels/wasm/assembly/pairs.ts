/**
 * Covariance, correlation and beta of two applications at a time, each of two columns; window-pair.ts says what is
 * computed, this is its form without missing values.
 */
import { get, getPair, pointer, put, putPair } from "./cells.ts";
import { cleanRows } from "./clean.ts";
import { bar, putBar } from "./lanes.ts";
import { eachPair } from "./pair-driver.ts";
import { pairHead, pushPair } from "./window-pair.ts";

/** What comes out. */
export const covariance: i32 = 0;
export const correlation: i32 = 1;
export const beta: i32 = 2;

/**
 * Of a place in scratch: the two means (until the block is full, the values), the two squared deviations, the products;
 * for both lanes.
 */
const slotBytes: usize = 80;
/**
 * Of a place in the table: the reciprocal of the bars in the block, and the weight of what is between the two parts'
 * means.
 */
const entryBytes: usize = 16;

/** `scratch` has room for (window + 1) slots and entries. */
// @ts-ignore: decorator
@inline
export function pairs(
  kind: i32,
  count: i32,
  states: usize,
  inputs: usize,
  rows: i32,
  outputs: usize,
  scratch: usize,
): void {
  eachPair<Pairs>(kind, 2, 1, count, states, inputs, rows, outputs, scratch);
}

/** The parameter behind the pairs, ddof; 0 where there is none. */
// @ts-ignore: decorator
@inline
function ddofOf(kind: i32, state: usize, window: i32): f64 {
  return kind == covariance ? get(state, pairHead + 6 * (window + 1)) : 0;
}

// @ts-ignore: decorator
@unmanaged
class Pairs {
  // @ts-ignore: decorator
  @inline
  isFull(kind: i32, state: usize, window: i32): bool {
    return hasWindow(kind, state, window);
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
      kind,
      sa,
      sb,
      window,
      pointer(a, 0) + at,
      pointer(a, 1) + at,
      pointer(b, 0) + at,
      pointer(b, 1) + at,
      rows,
      pointer(oa, 0) + at,
      pointer(ob, 0) + at,
      scratch,
    );
  }

  // @ts-ignore: decorator
  @inline
  runOne(kind: i32, state: usize, window: i32, a: usize, at: usize, rows: i32, out: usize): void {
    runOne(kind, state, window, pointer(a, 0) + at, pointer(a, 1) + at, rows, pointer(out, 0) + at);
  }

  // @ts-ignore: decorator
  @inline
  begin(window: i32, scratch: usize): void {
    fillTable(scratch, window);
  }

  // @ts-ignore: decorator
  @inline
  clean(a: usize, b: usize, at: usize, rows: i32): i32 {
    const other = cleanRows(pointer(b, 0) + at, pointer(b, 1) + at, rows);
    return cleanRows(pointer(a, 0) + at, pointer(a, 1) + at, other);
  }
}

/** Has no bar of the window been missing, and none of the block before it, and does the covariance have a value? */
function hasWindow(kind: i32, state: usize, window: i32): bool {
  const place = get(state, 2);
  if (!(<f64>window > ddofOf(kind, state, window))) return false;
  return (
    get(state, 10) == place && get(state, pairHead + 5 * (window + 1) + 1 + <i32>place) == <f64>(window - 1) - place
  );
}

// @ts-ignore: decorator
@inline
function runOne(kind: i32, state: usize, window: i32, x: usize, y: usize, rows: i32, out: usize): void {
  const ddof = ddofOf(kind, state, window);
  const end = x + ((<usize>rows) << 3);
  for (; x < end; x += 8, y += 8, out += 8) {
    const enough = pushPair(state, 0, load<f64>(x), load<f64>(y));
    const xy = get(state, 16);
    if (kind == covariance) {
      const count = get(state, 13);
      store<f64>(out, enough && count > ddof ? xy * (1 / (count - ddof)) : NaN);
    } else if (kind == beta) {
      const spread = get(state, 15);
      store<f64>(out, enough && spread > 0 ? xy / spread : NaN);
    } else {
      const scale = f64x2.extract_lane(rootOfProduct(f64x2.splat(get(state, 14)), f64x2.splat(get(state, 15))), 0);
      const corr = xy / scale;
      store<f64>(out, enough && scale > 0 ? min(max(corr, -1), 1) : NaN);
    }
  }
}

// @ts-ignore: decorator
@inline
function rootOfProduct(a: v128, b: v128): v128 {
  const product = f64x2.mul(a, b);
  const safe = v128.and(f64x2.gt(product, f64x2.splat(1e-250)), f64x2.lt(product, f64x2.splat(Infinity)));
  if (v128.all_true<i64>(safe)) return f64x2.sqrt(product);
  return v128.bitselect(f64x2.sqrt(product), f64x2.mul(f64x2.sqrt(a), f64x2.sqrt(b)), safe);
}

function fillTable(table: usize, window: i32): void {
  for (let p = 0; p < window; p++, table += entryBytes) {
    const newer = <f64>(p + 1);
    store<f64>(table, 1 / newer);
    store<f64>(table + 8, (<f64>(window - 1 - p) / <f64>window) * newer);
  }
}

// @ts-ignore: decorator
@inline
function squares(older: v128, sum2: v128, sum: v128, mean: v128, delta: v128, weight: v128): v128 {
  const own = f64x2.pmax(f64x2.sub(sum2, f64x2.mul(sum, mean)), f64x2.splat(0));
  return f64x2.add(f64x2.add(older, own), f64x2.mul(f64x2.mul(delta, delta), weight));
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
  ya: usize,
  xb: usize,
  yb: usize,
  rows: i32,
  oa: usize,
  ob: usize,
  table: usize,
): bool {
  const ring = table + <usize>window * entryBytes;
  loadRing(sa, sb, window, ring);
  const zero = f64x2.splat(0);
  const factor = f64x2.splat(kind == covariance ? 1 / (<f64>window - ddofOf(kind, sa, window)) : 1);
  const toYa = ya - xa;
  const toXb = xb - xa;
  const toYb = yb - xa;
  const toA = oa - xa;
  const toB = ob - xa;
  let place = <i32>get(sa, 2);
  let anchorX = getPair(sa, sb, 3);
  let anchorY = getPair(sa, sb, 4);
  let sx = getPair(sa, sb, 5);
  let sy = getPair(sa, sb, 6);
  let sxx = getPair(sa, sb, 7);
  let syy = getPair(sa, sb, 8);
  let sxy = getPair(sa, sb, 9);
  let oldX = getPair(sa, sb, 11);
  let oldY = getPair(sa, sb, 12);
  let xx = zero;
  let yy = zero;
  let xy = zero;
  let closed = false;
  let bad = zero;
  while (rows > 0) {
    const n = min(rows, window - place);
    if (place == 0) {
      anchorX = bar(xa, xa + toXb);
      anchorY = bar(xa + toYa, xa + toYb);
    }
    const apartX = f64x2.sub(oldX, anchorX);
    const apartY = f64x2.sub(oldY, anchorY);
    let slot = ring + <usize>place * slotBytes;
    let entry = table + <usize>place * entryBytes;
    for (const stop = xa + ((<usize>n) << 3); xa < stop; xa += 8, slot += slotBytes, entry += entryBytes) {
      const x = bar(xa, xa + toXb);
      const y = bar(xa + toYa, xa + toYb);
      const dx = f64x2.sub(x, anchorX);
      const dy = f64x2.sub(y, anchorY);
      bad = v128.or(bad, v128.or(f64x2.sub(x, x), f64x2.sub(y, y)));
      sx = f64x2.add(sx, dx);
      sy = f64x2.add(sy, dy);
      sxx = f64x2.add(sxx, f64x2.mul(dx, dx));
      syy = f64x2.add(syy, f64x2.mul(dy, dy));
      sxy = f64x2.add(sxy, f64x2.mul(dx, dy));
      const inverse = v128.load_splat<f64>(entry);
      const weight = v128.load_splat<f64>(entry, 8);
      const mx = f64x2.mul(sx, inverse);
      const my = f64x2.mul(sy, inverse);
      const deltaX = f64x2.add(apartX, f64x2.sub(v128.load(slot, 80), mx));
      const deltaY = f64x2.add(apartY, f64x2.sub(v128.load(slot, 96), my));
      // Of the last bar the state has all three, whatever comes out.
      if (kind == correlation || rows == n) xx = squares(v128.load(slot, 112), sxx, sx, mx, deltaX, weight);
      if (kind != covariance || rows == n) yy = squares(v128.load(slot, 128), syy, sy, my, deltaY, weight);
      const own = f64x2.sub(sxy, f64x2.mul(sx, my));
      xy = f64x2.add(f64x2.add(v128.load(slot, 144), own), f64x2.mul(f64x2.mul(deltaX, deltaY), weight));
      v128.store(slot, x);
      v128.store(slot, y, 16);
      if (kind == covariance) putBar(xa + toA, xa + toB, f64x2.mul(xy, factor));
      else if (kind == beta)
        putBar(xa + toA, xa + toB, v128.bitselect(f64x2.div(xy, yy), f64x2.splat(NaN), f64x2.gt(yy, zero)));
      else {
        const scale = rootOfProduct(xx, yy);
        const corr = f64x2.pmin(f64x2.pmax(f64x2.div(xy, scale), f64x2.splat(-1)), f64x2.splat(1));
        putBar(xa + toA, xa + toB, v128.bitselect(corr, f64x2.splat(NaN), f64x2.gt(scale, zero)));
      }
    }
    rows -= n;
    place += n;
    if (place < window) continue;
    oldX = v128.load(slot - slotBytes);
    oldY = v128.load(slot - slotBytes, 16);
    closeBlock(ring, table, window);
    closed = true;
    place = 0;
    anchorX = zero;
    anchorY = zero;
    sx = zero;
    sy = zero;
    sxx = zero;
    syy = zero;
    sxy = zero;
  }
  // x - x is 0 for a finite x, else NaN.
  if (v128.any_true(bad)) return false;
  putPair(sa, sb, 3, anchorX);
  putPair(sa, sb, 4, anchorY);
  putPair(sa, sb, 5, sx);
  putPair(sa, sb, 6, sy);
  putPair(sa, sb, 7, sxx);
  putPair(sa, sb, 8, syy);
  putPair(sa, sb, 9, sxy);
  putPair(sa, sb, 11, oldX);
  putPair(sa, sb, 12, oldY);
  putPair(sa, sb, 14, xx);
  putPair(sa, sb, 15, yy);
  putPair(sa, sb, 16, xy);
  putRing(sa, sb, window, place, closed, ring);
  return true;
}

function loadRing(sa: usize, sb: usize, window: i32, ring: usize): void {
  for (let p = 0; p <= window; p++) {
    for (let k = 0; k < 5; k++)
      v128.store(ring + <usize>p * slotBytes + ((<usize>k) << 4), getPair(sa, sb, pairHead + k * (window + 1) + p));
  }
}

/** The cells of the blocks, place and counts. */
function putRing(sa: usize, sb: usize, window: i32, place: i32, closed: bool, ring: usize): void {
  for (let p = 0; p < window; p++) {
    for (let k = 0; k < 5; k++)
      putPair(sa, sb, pairHead + k * (window + 1) + p, v128.load(ring + <usize>p * slotBytes + ((<usize>k) << 4)));
  }
  for (let which = 0; which < 2; which++) {
    const state = which == 0 ? sa : sb;
    put(state, 2, <f64>place);
    put(state, 10, <f64>place);
    put(state, 13, <f64>window);
    if (closed) for (let p = 0; p < window; p++) put(state, pairHead + 5 * (window + 1) + p, <f64>(window - p));
  }
}

function closeBlock(ring: usize, table: usize, window: i32): void {
  let slot = ring + <usize>(window - 1) * slotBytes;
  const anchorX = v128.load(slot);
  const anchorY = v128.load(slot, 16);
  const zero = f64x2.splat(0);
  let sx = zero;
  let sy = zero;
  let sxx = zero;
  let syy = zero;
  let sxy = zero;
  // The n-th bar of the way back divides by n.
  for (let entry = table; slot >= ring; slot -= slotBytes, entry += entryBytes) {
    const dx = f64x2.sub(v128.load(slot), anchorX);
    const dy = f64x2.sub(v128.load(slot, 16), anchorY);
    sx = f64x2.add(sx, dx);
    sy = f64x2.add(sy, dy);
    sxx = f64x2.add(sxx, f64x2.mul(dx, dx));
    syy = f64x2.add(syy, f64x2.mul(dy, dy));
    sxy = f64x2.add(sxy, f64x2.mul(dx, dy));
    const inverse = v128.load_splat<f64>(entry);
    const mx = f64x2.mul(sx, inverse);
    const my = f64x2.mul(sy, inverse);
    v128.store(slot, mx);
    v128.store(slot, my, 16);
    v128.store(slot, f64x2.pmax(f64x2.sub(sxx, f64x2.mul(sx, mx)), zero), 32);
    v128.store(slot, f64x2.pmax(f64x2.sub(syy, f64x2.mul(sy, my)), zero), 48);
    v128.store(slot, f64x2.sub(sxy, f64x2.mul(sx, my)), 64);
  }
}
