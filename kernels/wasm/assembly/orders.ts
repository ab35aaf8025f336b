/**
 * Order statistics of two columns at a time; window-order.ts says what is computed. Where the window is full and
 * nothing is missing, all its values in order are passed once, without a branch: one leaves, one comes in, and the
 * others move up, down or not at all. For a wide window a search is quicker.
 */
import { get, getPair, pointer, present, put, putPair } from "./cells.ts";
import { bar, chunkRows, putBar } from "./lanes.ts";
import { eachPair } from "./pair-driver.ts";
import {
  goesDown,
  higher,
  least,
  linear,
  lower,
  midpoint,
  most,
  orderHead,
  orderQuantile,
  orderRank,
  pushOrder,
} from "./window-order.ts";

/** What comes out. */
export const median: i32 = 0;
export const quantile: i32 = 1;
export const rank: i32 = 2;

/** A wider window is searched. */
const windowMax: i32 = 224;
/** Values that are passed together; behind the last there is Infinity. */
const step: i32 = 4;

/** `scratch` has room for 2 · windowMax + 2 · step pairs. */
// @ts-ignore: decorator
@inline
export function orders(
  kind: i32,
  count: i32,
  states: usize,
  inputs: usize,
  rows: i32,
  outputs: usize,
  scratch: usize,
): void {
  eachPair<Orders>(kind, 1, 1, count, states, inputs, rows, outputs, scratch);
}

// @ts-ignore: decorator
@unmanaged
class Orders {
  // @ts-ignore: decorator
  @inline
  isFull(kind: i32, state: usize, window: i32): bool {
    return window <= windowMax && hasWindow(state, window);
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
  most(_window: i32): i32 {
    return chunkRows;
  }

  // @ts-ignore: decorator
  @inline
  untilNext(_state: usize, window: i32): i32 {
    return window;
  }
}

/** Are all values of the window present? */
function hasWindow(state: usize, window: i32): bool {
  return get(state, 3) == <f64>window;
}

/** The i-th parameter, behind the sorted window. */
// @ts-ignore: decorator
@inline
function parameter(state: usize, window: i32, i: i32): f64 {
  return get(state, orderHead + 2 * window + i);
}

// @ts-ignore: decorator
@inline
function runOne(kind: i32, state: usize, window: i32, x: usize, rows: i32, out: usize): void {
  const end = x + ((<usize>rows) << 3);
  for (; x < end; x += 8, out += 8) {
    const value = load<f64>(x);
    const enough = pushOrder(state, 0, value);
    if (!enough) store<f64>(out, NaN);
    else if (kind == median) store<f64>(out, orderQuantile(state, 0, 0.5, midpoint));
    else if (kind == quantile)
      store<f64>(out, orderQuantile(state, 0, parameter(state, window, 0), <i32>parameter(state, window, 1)));
    else if (!present(value)) store<f64>(out, NaN);
    else {
      const place = orderRank(state, 0, value, <i32>parameter(state, window, 0), parameter(state, window, 1) == 1);
      store<f64>(out, parameter(state, window, 2) == 1 ? place / get(state, 3) : place);
    }
  }
}

/** A small whole number in each lane as float64. */
// @ts-ignore: decorator
@inline
function toFloat(count: v128): v128 {
  // In the mantissa of 2^52.
  return f64x2.sub(v128.or(count, i64x2.splat(0x4330000000000000)), f64x2.splat(4503599627370496));
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
  ring: usize,
): bool {
  const sorted = ring + ((<usize>window) << 4);
  const end = sorted + ((<usize>((window + step - 1) / step) * step) << 4);
  for (let p = 0; p < window; p++) {
    v128.store(ring + ((<usize>p) << 4), getPair(sa, sb, orderHead + p));
    v128.store(sorted + ((<usize>p) << 4), getPair(sa, sb, orderHead + window + p));
  }
  for (let slot = sorted + ((<usize>window) << 4); slot <= end; slot += 16) v128.store(slot, f64x2.splat(Infinity));
  const position = <f64>(window - 1) * (kind == quantile ? parameter(sa, window, 0) : 0.5);
  const low = floor(position);
  const fraction = position - low;
  const below = sorted + ((<usize>low) << 4);
  const interpolation = kind == quantile ? <i32>parameter(sa, window, 1) : midpoint;
  const zero = f64x2.splat(0);
  const first = ring;
  const last = ring + ((<usize>(window - 1)) << 4);
  let slot = ring + ((<usize>get(sa, 2)) << 4);
  let bad = zero;
  for (const stop = xa + ((<usize>rows) << 3); xa < stop; xa += 8, xb += 8, oa += 8, ob += 8) {
    // -0 becomes 0.
    const x = f64x2.add(bar(xa, xb), zero);
    bad = v128.or(bad, f64x2.sub(x, x));
    const old = v128.load(slot);
    v128.store(slot, x);
    slot = slot == last ? first : slot + 16;
    if (kind == rank) putBar(oa, ob, rankOf(sa, window, pass(true, sorted, end, old, x)));
    else {
      pass(false, sorted, end, old, x);
      putBar(oa, ob, between(below, low, fraction, interpolation));
    }
  }
  // x - x is 0 for a finite x, else NaN.
  if (v128.any_true(bad)) return false;
  const place = <f64>((slot - ring) >> 4);
  put(sa, 2, place);
  put(sb, 2, place);
  for (let p = 0; p < window; p++) {
    putPair(sa, sb, orderHead + p, v128.load(ring + ((<usize>p) << 4)));
    putPair(sa, sb, orderHead + window + p, v128.load(sorted + ((<usize>p) << 4)));
  }
  return true;
}

/**
 * Takes `old` out of the sorted values and puts x in. Of those that stay, the n-th is the n-th of before if that was
 * below `old`, else the one behind it; the n-th of all is the greater of the one before and the lesser of the n-th and
 * x. If it counts, it returns those below x in the lower half of each lane and those equal to it in the upper, x itself
 * among them.
 */
// @ts-ignore: decorator
@inline
function pass(counts: bool, sorted: usize, end: usize, old: v128, x: v128): v128 {
  let before = f64x2.splat(-Infinity);
  let value = v128.load(sorted);
  let count = i64x2.splat(0x100000000);
  for (let slot = sorted; slot < end; slot += (<usize>step) << 4) {
    for (let i: usize = 0; i < (<usize>step) << 4; i += 16) {
      const next = v128.load(slot + i + 16);
      // NaN where the value is not below `old`: pmin then gives its first argument.
      const stays = f64x2.pmin(next, v128.or(value, f64x2.ge(value, old)));
      v128.store(slot + i, f64x2.pmax(before, f64x2.pmin(stays, x)));
      if (counts) {
        count = i64x2.sub(count, f64x2.lt(stays, x));
        count = i64x2.add(count, v128.and(f64x2.eq(stays, x), i64x2.splat(0x100000000)));
      }
      before = stays;
      value = next;
    }
  }
  return count;
}

// @ts-ignore: decorator
@inline
function between(below: usize, low: f64, fraction: f64, interpolation: i32): v128 {
  const a = v128.load(below);
  if (fraction == 0 || interpolation == lower) return a;
  const b = v128.load(below, 16);
  if (interpolation == linear) return f64x2.add(a, f64x2.mul(f64x2.sub(b, a), f64x2.splat(fraction)));
  if (interpolation == higher) return b;
  if (interpolation == midpoint) return f64x2.add(a, f64x2.div(f64x2.sub(b, a), f64x2.splat(2)));
  return goesDown(low, fraction) ? a : b;
}

// @ts-ignore: decorator
@inline
function rankOf(state: usize, window: i32, counts: v128): v128 {
  const below = toFloat(v128.and(counts, i64x2.splat(0xffffffff)));
  const notAbove = f64x2.add(below, toFloat(i64x2.shr_u(counts, 32)));
  const count = f64x2.splat(<f64>window);
  const one = f64x2.splat(1);
  const ties = <i32>parameter(state, window, 0);
  const ascending = parameter(state, window, 1) == 1;
  const first = ascending ? f64x2.add(below, one) : f64x2.add(f64x2.sub(count, notAbove), one);
  const last = ascending ? notAbove : f64x2.sub(count, below);
  const place = ties == least ? first : ties == most ? last : f64x2.div(f64x2.add(first, last), f64x2.splat(2));
  return parameter(state, window, 2) == 1 ? f64x2.div(place, count) : place;
}
