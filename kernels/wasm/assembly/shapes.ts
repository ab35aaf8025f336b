/**
 * Skewness and kurtosis of two columns at a time; window-shape.ts says what is computed, this is its form without
 * missing values.
 */
import { get, getPair, pointer, put, putPair } from "./cells.ts";
import { bar, putBar } from "./lanes.ts";
import { eachPair } from "./pair-driver.ts";
import { excessKurtosis, kurtFactor, kurtOffset, pushShape, shapeHead, skewFactor, skewness } from "./window-shape.ts";

/** What comes out. */
export const skew: i32 = 0;
export const kurt: i32 = 1;

/**
 * Of a place in scratch: the mean (until the block is full, the value) and the three sums of powers, for both lanes.
 */
const slotBytes: usize = 64;
/** Of a place in the table: what merge of window-shape.ts makes of the counts alone, in the order of its use. */
const entryBytes: usize = 64;

/** `scratch` has room for window + 1 slots and entries. */
// @ts-ignore: decorator
@inline
export function shapes(
  kind: i32,
  count: i32,
  states: usize,
  inputs: usize,
  rows: i32,
  outputs: usize,
  scratch: usize,
): void {
  eachPair<Shapes>(kind, 1, 1, count, states, inputs, rows, outputs, scratch);
}

/** The parameter behind the moments. */
// @ts-ignore: decorator
@inline
function isCorrected(state: usize, window: i32): bool {
  return get(state, shapeHead + 5 * (window + 1)) == 1;
}

// @ts-ignore: decorator
@unmanaged
class Shapes {
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
      kind,
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
    runOne(kind, state, window, pointer(a, 0) + at, rows, pointer(out, 0) + at);
  }

  // @ts-ignore: decorator
  @inline
  begin(window: i32, scratch: usize): void {
    fillTable(scratch, window);
  }
}

/** Has no bar of the window been missing, and none of the block before it, and are there values enough for any form? */
function hasWindow(state: usize, window: i32): bool {
  const place = get(state, 2);
  return (
    window >= 4 &&
    get(state, 8) == place &&
    get(state, shapeHead + 4 * (window + 1) + 1 + <i32>place) == <f64>(window - 1) - place
  );
}

// @ts-ignore: decorator
@inline
function runOne(kind: i32, state: usize, window: i32, x: usize, rows: i32, out: usize): void {
  const corrected = isCorrected(state, window);
  const end = x + ((<usize>rows) << 3);
  for (; x < end; x += 8, out += 8) {
    const enough = pushShape(state, 0, load<f64>(x));
    if (!enough) store<f64>(out, NaN);
    else store<f64>(out, kind == skew ? skewness(state, 0, corrected) : excessKurtosis(state, 0, corrected));
  }
}

function fillTable(table: usize, window: i32): void {
  const n = <f64>window;
  for (let place = 0; place < window; place++, table += entryBytes) {
    const nb = <f64>(place + 1);
    const p = (n - nb) / n;
    const q = nb / n;
    store<f64>(table, 1 / nb);
    store<f64>(table, p, 8);
    store<f64>(table, q, 16);
    store<f64>(table, p * nb, 24);
    store<f64>(table, p - q, 32);
    store<f64>(table, p * p - p * q + q * q, 40);
    store<f64>(table, p * p, 48);
    store<f64>(table, q * q, 56);
  }
}

// @ts-ignore: decorator
@inline
function times(factor: f64, x: v128): v128 {
  return f64x2.mul(f64x2.splat(factor), x);
}

// @ts-ignore: decorator
@inline
function central2(s1: v128, s2: v128, mean: v128): v128 {
  return f64x2.pmax(f64x2.sub(s2, f64x2.mul(s1, mean)), f64x2.splat(0));
}

// @ts-ignore: decorator
@inline
function central3(s1: v128, s2: v128, s3: v128, mean: v128): v128 {
  return f64x2.sub(s3, f64x2.mul(mean, f64x2.sub(times(3, s2), f64x2.mul(times(2, mean), s1))));
}

// @ts-ignore: decorator
@inline
function central4(s1: v128, s2: v128, s3: v128, s4: v128, mean: v128): v128 {
  const inner = f64x2.sub(times(6, s2), f64x2.mul(times(3, mean), s1));
  return f64x2.sub(s4, f64x2.mul(mean, f64x2.sub(times(4, s3), f64x2.mul(mean, inner))));
}

// @ts-ignore: decorator
@inline
function merged3(slot: usize, entry: usize, b2: v128, b3: v128, delta: v128, d2: v128): v128 {
  const a2 = v128.load(slot, 80);
  const spread = f64x2.mul(f64x2.mul(d2, v128.load_splat<f64>(entry, 24)), v128.load_splat<f64>(entry, 32));
  const shift = times(
    3,
    f64x2.sub(f64x2.mul(v128.load_splat<f64>(entry, 8), b2), f64x2.mul(v128.load_splat<f64>(entry, 16), a2)),
  );
  return f64x2.add(f64x2.add(v128.load(slot, 96), b3), f64x2.mul(delta, f64x2.add(spread, shift)));
}

// @ts-ignore: decorator
@inline
function merged4(slot: usize, entry: usize, b2: v128, b3: v128, b4: v128, delta: v128, d2: v128): v128 {
  const spread = f64x2.mul(f64x2.mul(d2, v128.load_splat<f64>(entry, 24)), v128.load_splat<f64>(entry, 40));
  const squares = times(
    6,
    f64x2.add(
      f64x2.mul(v128.load_splat<f64>(entry, 48), b2),
      f64x2.mul(v128.load_splat<f64>(entry, 56), v128.load(slot, 80)),
    ),
  );
  const cubes = f64x2.sub(
    f64x2.mul(v128.load_splat<f64>(entry, 8), b3),
    f64x2.mul(v128.load_splat<f64>(entry, 16), v128.load(slot, 96)),
  );
  const even = f64x2.add(f64x2.add(v128.load(slot, 112), b4), f64x2.mul(d2, f64x2.add(spread, squares)));
  return f64x2.add(even, f64x2.mul(times(4, delta), cubes));
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
  oa: usize,
  ob: usize,
  table: usize,
): bool {
  const ring = table + <usize>window * entryBytes;
  loadRing(sa, sb, window, ring);
  const zero = f64x2.splat(0);
  const corrected = isCorrected(sa, window);
  const factor = f64x2.splat(kind == skew ? skewFactor(<f64>window, corrected) : kurtFactor(<f64>window, corrected));
  const offset = f64x2.splat(kurtOffset(<f64>window, corrected));
  let place = <i32>get(sa, 2);
  let anchor = getPair(sa, sb, 3);
  let s1 = getPair(sa, sb, 4);
  let s2 = getPair(sa, sb, 5);
  let s3 = getPair(sa, sb, 6);
  let s4 = getPair(sa, sb, 7);
  let oldAnchor = getPair(sa, sb, 9);
  let m2 = zero;
  let m3 = zero;
  let m4 = zero;
  let closed = false;
  let bad = zero;
  while (rows > 0) {
    const n = min(rows, window - place);
    if (place == 0) anchor = bar(xa, xb);
    const apart = f64x2.sub(anchor, oldAnchor);
    let slot = ring + <usize>place * slotBytes;
    let entry = table + <usize>place * entryBytes;
    for (
      const stop = xa + ((<usize>n) << 3);
      xa < stop;
      xa += 8, xb += 8, oa += 8, ob += 8, slot += slotBytes, entry += entryBytes
    ) {
      const x = bar(xa, xb);
      bad = v128.or(bad, f64x2.sub(x, x));
      const d = f64x2.sub(x, anchor);
      const dd = f64x2.mul(d, d);
      s1 = f64x2.add(s1, d);
      s2 = f64x2.add(s2, dd);
      s3 = f64x2.add(s3, f64x2.mul(dd, d));
      s4 = f64x2.add(s4, f64x2.mul(dd, dd));
      const mean = f64x2.mul(s1, v128.load_splat<f64>(entry));
      const delta = f64x2.add(apart, f64x2.sub(mean, v128.load(slot, 64)));
      const d2 = f64x2.mul(delta, delta);
      const b2 = central2(s1, s2, mean);
      const b3 = central3(s1, s2, s3, mean);
      m2 = f64x2.add(f64x2.add(v128.load(slot, 80), b2), f64x2.mul(d2, v128.load_splat<f64>(entry, 24)));
      // Of the last bar the state has all three, whatever comes out.
      if (kind == skew || rows == n) m3 = merged3(slot, entry, b2, b3, delta, d2);
      if (kind == kurt || rows == n) m4 = merged4(slot, entry, b2, b3, central4(s1, s2, s3, s4, mean), delta, d2);
      v128.store(slot, x);
      let out: v128;
      if (kind == skew) out = f64x2.div(f64x2.mul(factor, m3), f64x2.mul(m2, f64x2.sqrt(m2)));
      else out = f64x2.sub(f64x2.div(f64x2.mul(factor, m4), f64x2.mul(m2, m2)), offset);
      putBar(oa, ob, v128.bitselect(out, f64x2.splat(NaN), f64x2.gt(m2, zero)));
    }
    rows -= n;
    place += n;
    if (place < window) continue;
    oldAnchor = v128.load(slot - slotBytes);
    closeBlock(ring, table, window);
    closed = true;
    place = 0;
    anchor = zero;
    s1 = zero;
    s2 = zero;
    s3 = zero;
    s4 = zero;
  }
  // x - x is 0 for a finite x, else NaN.
  if (v128.any_true(bad)) return false;
  putPair(sa, sb, 3, anchor);
  putPair(sa, sb, 4, s1);
  putPair(sa, sb, 5, s2);
  putPair(sa, sb, 6, s3);
  putPair(sa, sb, 7, s4);
  putPair(sa, sb, 9, oldAnchor);
  putPair(sa, sb, 11, m2);
  putPair(sa, sb, 12, m3);
  putPair(sa, sb, 13, m4);
  putRing(sa, sb, window, place, closed, ring);
  return true;
}

function loadRing(sa: usize, sb: usize, window: i32, ring: usize): void {
  for (let p = 0; p <= window; p++) {
    for (let k = 0; k < 4; k++)
      v128.store(ring + <usize>p * slotBytes + ((<usize>k) << 4), getPair(sa, sb, shapeHead + k * (window + 1) + p));
  }
}

/** The cells of the blocks, place and counts. */
function putRing(sa: usize, sb: usize, window: i32, place: i32, closed: bool, ring: usize): void {
  for (let p = 0; p < window; p++) {
    for (let k = 0; k < 4; k++)
      putPair(sa, sb, shapeHead + k * (window + 1) + p, v128.load(ring + <usize>p * slotBytes + ((<usize>k) << 4)));
  }
  for (let which = 0; which < 2; which++) {
    const state = which == 0 ? sa : sb;
    put(state, 2, <f64>place);
    put(state, 8, <f64>place);
    put(state, 10, <f64>window);
    if (closed) for (let p = 0; p < window; p++) put(state, shapeHead + 4 * (window + 1) + p, <f64>(window - p));
  }
}

function closeBlock(ring: usize, table: usize, window: i32): void {
  let slot = ring + <usize>(window - 1) * slotBytes;
  const anchor = v128.load(slot);
  let s1 = f64x2.splat(0);
  let s2 = s1;
  let s3 = s1;
  let s4 = s1;
  // The n-th bar of the way back divides by n.
  for (let entry = table; slot >= ring; slot -= slotBytes, entry += entryBytes) {
    const d = f64x2.sub(v128.load(slot), anchor);
    const dd = f64x2.mul(d, d);
    s1 = f64x2.add(s1, d);
    s2 = f64x2.add(s2, dd);
    s3 = f64x2.add(s3, f64x2.mul(dd, d));
    s4 = f64x2.add(s4, f64x2.mul(dd, dd));
    const mean = f64x2.mul(s1, v128.load_splat<f64>(entry));
    v128.store(slot, mean);
    v128.store(slot, central2(s1, s2, mean), 16);
    v128.store(slot, central3(s1, s2, s3, mean), 32);
    v128.store(slot, central4(s1, s2, s3, s4, mean), 48);
  }
}
