/**
 * Rolling minimum and maximum of two columns at a time; window-extreme.ts says what is computed, this is its form
 * without missing values and zeros.
 */
import { get, getPair, pointer, put, putPair } from "./cells.ts";
import { cleanRowsNotZero } from "./clean.ts";
import { bar, firstBar, putBar, secondBar } from "./lanes.ts";
import { eachPair } from "./pair-driver.ts";
import { extremeHead, pushExtreme } from "./window-extreme.ts";

/** `scratch` has room for window + 1 pairs. */
export function extremes(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  eachPair<Extremes>(0, 1, 1, count, states, inputs, rows, outputs, scratch);
}

// @ts-ignore: decorator
@unmanaged
class Extremes {
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
    return run(
      get(sa, 3) < 0,
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

  // @ts-ignore: decorator
  @inline
  clean(a: usize, b: usize, at: usize, rows: i32): i32 {
    return cleanRowsNotZero(pointer(a, 0) + at, pointer(b, 0) + at, rows);
  }
}

/** Has no bar of the window been missing, and none of the block before it; and is nothing in it 0? */
function hasWindow(state: usize, window: i32): bool {
  const place = get(state, 2);
  if (get(state, 5) != place || get(state, extremeHead + window + 2 + <i32>place) != <f64>(window - 1) - place)
    return false;
  if (get(state, 4) == 0) return false;
  for (let p = 0; p < window; p++) if (get(state, extremeHead + p) == 0) return false;
  return true;
}

function runOne(state: usize, x: usize, rows: i32, out: usize): void {
  const end = x + ((<usize>rows) << 3);
  for (; x < end; x += 8, out += 8) store<f64>(out, pushExtreme(state, 0, load<f64>(x)));
}

/** False, and nothing changed, if a value was missing or 0. */
function run(
  least: bool,
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
  if (least) return runClean(true, sa, sb, window, xa, xb, rows, oa, ob, ring);
  return runClean(false, sa, sb, window, xa, xb, rows, oa, ob, ring);
}

/** `bad`, and other bits if x is not finite (x - x is NaN) or 0. */
// @ts-ignore: decorator
@inline
function watch(bad: v128, x: v128): v128 {
  return v128.or(bad, v128.or(f64x2.sub(x, x), f64x2.eq(x, f64x2.splat(0))));
}

/** Of numbers that are neither NaN nor 0. */
// @ts-ignore: decorator
@inline
function better(least: bool, a: v128, b: v128): v128 {
  return least ? f64x2.pmin(a, b) : f64x2.pmax(a, b);
}

/** The state has sign · value, the ring the values. */
// @ts-ignore: decorator
@inline
function signed(least: bool, x: v128): v128 {
  return least ? f64x2.neg(x) : x;
}

// @ts-ignore: decorator
@inline
function runClean(
  least: bool,
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
  const none = f64x2.splat(least ? Infinity : -Infinity);
  let best = signed(least, getPair(sa, sb, 4));
  let closed = false;
  let bad = f64x2.splat(0);
  for (let p = 0; p <= window; p++)
    v128.store(ring + ((<usize>p) << 4), signed(least, getPair(sa, sb, extremeHead + p)));
  while (rows > 0) {
    const n = min(rows, window - place);
    let slot = ring + ((<usize>place) << 4);
    const stop = slot + ((<usize>n & ~1) << 4);
    for (; slot < stop; slot += 32, xa += 16, xb += 16, oa += 16, ob += 16) {
      const a = v128.load(xa);
      const b = v128.load(xb);
      bad = watch(watch(bad, a), b);
      const x0 = firstBar(a, b);
      const x1 = secondBar(a, b);
      const best0 = better(least, best, x0);
      best = better(least, best0, x1);
      const out0 = better(least, v128.load(slot, 16), best0);
      const out1 = better(least, v128.load(slot, 32), best);
      v128.store(slot, x0);
      v128.store(slot, x1, 16);
      v128.store(oa, firstBar(out0, out1));
      v128.store(ob, secondBar(out0, out1));
    }
    if (n & 1) {
      const x = bar(xa, xb);
      bad = watch(bad, x);
      best = better(least, best, x);
      putBar(oa, ob, better(least, v128.load(slot, 16), best));
      v128.store(slot, x);
      xa += 8;
      xb += 8;
      oa += 8;
      ob += 8;
    }
    rows -= n;
    place += n;
    if (place < window) continue;
    let extreme = none;
    for (slot = ring + ((<usize>(window - 1)) << 4); slot >= ring; slot -= 16) {
      extreme = better(least, extreme, v128.load(slot));
      v128.store(slot, extreme);
    }
    closed = true;
    place = 0;
    best = none;
  }
  if (v128.any_true(bad)) return false;
  put(sa, 2, <f64>place);
  put(sb, 2, <f64>place);
  putPair(sa, sb, 4, signed(least, best));
  put(sa, 5, <f64>place);
  put(sb, 5, <f64>place);
  for (let p = 0; p < window; p++) {
    putPair(sa, sb, extremeHead + p, signed(least, v128.load(ring + ((<usize>p) << 4))));
    if (!closed) continue;
    put(sa, extremeHead + window + 1 + p, <f64>(window - p));
    put(sb, extremeHead + window + 1 + p, <f64>(window - p));
  }
  return true;
}
