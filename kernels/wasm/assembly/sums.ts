/**
 * Rolling sum and mean of two columns at a time; window-sum.ts says what is computed, this is its form without missing
 * values.
 */
import { get, getPair, pointer, put, putPair } from "./cells.ts";
import { bar, chunkRows, firstBar, putBar, secondBar } from "./lanes.ts";
import { eachPair } from "./pair-driver.ts";
import { pushMean, pushSum, sumHead } from "./window-sum.ts";

/** What comes out. */
export const sum: i32 = 0;
export const mean: i32 = 1;

/** `scratch` has room for window + 1 pairs. */
// @ts-ignore: decorator
@inline
export function sums(
  kind: i32,
  count: i32,
  states: usize,
  inputs: usize,
  rows: i32,
  outputs: usize,
  scratch: usize,
): void {
  eachPair<Sums>(kind, 1, 1, count, states, inputs, rows, outputs, scratch);
}

// @ts-ignore: decorator
@unmanaged
class Sums {
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
      kind == mean,
      false,
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
    runOne(kind == mean, state, pointer(a, 0) + at, rows, pointer(out, 0) + at);
  }

  /** Whole blocks, so that all chunks but the first begin with a block. */
  // @ts-ignore: decorator
  @inline
  most(window: i32): i32 {
    return max(chunkRows - (chunkRows % window), window);
  }

  // @ts-ignore: decorator
  @inline
  isTried(state: usize): bool {
    return get(state, 2) == 0;
  }

  // @ts-ignore: decorator
  @inline
  runTried(
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
      kind == mean,
      true,
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
}

/** Has no bar of the window been missing, and none of the block before it? */
function hasWindow(state: usize, window: i32): bool {
  const place = get(state, 2);
  return get(state, 5) == place && get(state, sumHead + window + 2 + <i32>place) == <f64>(window - 1) - place;
}

function runOne(mean: bool, state: usize, x: usize, rows: i32, out: usize): void {
  const end = x + ((<usize>rows) << 3);
  for (; x < end; x += 8, out += 8)
    store<f64>(out, mean ? pushMean(state, 0, load<f64>(x)) : pushSum(state, 0, load<f64>(x)));
}

/** What rounding took from the sum: Knuth's two-sum. */
// @ts-ignore: decorator
@inline
function lost(high: v128, x: v128, total: v128): v128 {
  const part = f64x2.sub(total, high);
  return f64x2.add(f64x2.sub(high, f64x2.sub(total, part)), f64x2.sub(x, part));
}

/** The same number where `high` is not smaller than x: Dekker's fast two-sum. Both are exact, so they are equal. */
// @ts-ignore: decorator
@inline
function lostNear(high: v128, x: v128, total: v128): v128 {
  return f64x2.sub(x, f64x2.sub(total, high));
}

/**
 * Given the least and the largest first half of values' bits, which are in lanes 1 and 3: are all values positive and
 * normal, none so large that a window's sum overflows, and none more than three times another? Then a sum of any four
 * is not below a fifth, however the additions round. Of bits and not of numbers, because these ports of the processor
 * are idle; 2^20 of them are an exponent, and one and a half exponents are a factor of at most 3.01.
 */
// @ts-ignore: decorator
@inline
function areNear(least: v128, most: v128): bool {
  return (
    isNear(i32x4.extract_lane(least, 1), i32x4.extract_lane(most, 1)) &&
    isNear(i32x4.extract_lane(least, 3), i32x4.extract_lane(most, 3))
  );
}

// @ts-ignore: decorator
@inline
function isNear(least: i32, most: i32): bool {
  return least >= 0x00100000 && most < 0x7e000000 && most - least < 0x00180000;
}

/**
 * With `near`, for a chunk that begins with a block, the short form of the sums: false, and nothing changed, if the
 * values do not allow it.
 */
// @ts-ignore: decorator
@inline
function runClean(
  mean: bool,
  near: bool,
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
  let high = getPair(sa, sb, 3);
  let low = getPair(sa, sb, 4);
  let sum = f64x2.splat(0);
  const divisor = f64x2.splat(mean ? <f64>window : 1);
  let least = i32x4.splat(i32.MAX_VALUE);
  let most = i32x4.splat(i32.MIN_VALUE);
  let closed = false;
  for (let p = 0; p <= window; p++) v128.store(ring + ((<usize>p) << 4), getPair(sa, sb, sumHead + p));
  while (rows > 0) {
    const n = min(rows, window - place);
    let slot = ring + ((<usize>place) << 4);
    const stop = slot + ((<usize>n & ~1) << 4);
    // The first four of a block are not yet larger than what follows.
    const start = ring + (near ? 64 : 0);
    for (; slot < stop; slot += 32, xa += 16, xb += 16, oa += 16, ob += 16) {
      const a = v128.load(xa);
      const b = v128.load(xb);
      const x0 = firstBar(a, b);
      const x1 = secondBar(a, b);
      if (near) {
        least = i32x4.min_s(i32x4.min_s(least, x0), x1);
        most = i32x4.max_s(i32x4.max_s(most, x0), x1);
      }
      const total0 = f64x2.add(high, x0);
      const total1 = f64x2.add(total0, x1);
      let low0: v128;
      if (near && slot >= start) {
        low0 = f64x2.add(low, lostNear(high, x0, total0));
        low = f64x2.add(low0, lostNear(total0, x1, total1));
      } else {
        low0 = f64x2.add(low, lost(high, x0, total0));
        low = f64x2.add(low0, lost(total0, x1, total1));
      }
      high = total1;
      const sum0 = f64x2.add(f64x2.add(v128.load(slot, 16), total0), low0);
      sum = f64x2.add(f64x2.add(v128.load(slot, 32), high), low);
      v128.store(slot, x0);
      v128.store(slot, x1, 16);
      const out0 = mean ? f64x2.div(sum0, divisor) : sum0;
      const out1 = mean ? f64x2.div(sum, divisor) : sum;
      putBar(oa, ob, out0);
      putBar(oa + 8, ob + 8, out1);
    }
    if (n & 1) {
      const x = bar(xa, xb);
      if (near) {
        least = i32x4.min_s(least, x);
        most = i32x4.max_s(most, x);
      }
      const total = f64x2.add(high, x);
      low = f64x2.add(low, lost(high, x, total));
      high = total;
      sum = f64x2.add(f64x2.add(v128.load(slot, 16), high), low);
      v128.store(slot, x);
      putBar(oa, ob, mean ? f64x2.div(sum, divisor) : sum);
      xa += 8;
      xb += 8;
      oa += 8;
      ob += 8;
    }
    rows -= n;
    place += n;
    if (place < window) continue;
    closeBlock(near, ring, window);
    closed = true;
    place = 0;
    high = f64x2.splat(0);
    low = f64x2.splat(0);
  }
  if (near && !areNear(least, most)) return false;
  put(sa, 2, <f64>place);
  put(sb, 2, <f64>place);
  putPair(sa, sb, 3, high);
  putPair(sa, sb, 4, low);
  put(sa, 5, <f64>place);
  put(sb, 5, <f64>place);
  putPair(sa, sb, 6, sum);
  put(sa, 7, <f64>window);
  put(sb, 7, <f64>window);
  for (let p = 0; p < window; p++) {
    putPair(sa, sb, sumHead + p, v128.load(ring + ((<usize>p) << 4)));
    if (!closed) continue;
    put(sa, sumHead + window + 1 + p, <f64>(window - p));
    put(sb, sumHead + window + 1 + p, <f64>(window - p));
  }
  return true;
}

// @ts-ignore: decorator
@inline
function closeBlock(near: bool, ring: usize, window: i32): void {
  let high = f64x2.splat(0);
  let low = f64x2.splat(0);
  let slot = ring + ((<usize>(window - 1)) << 4);
  const careful = near ? max(<isize>slot - 64, <isize>ring - 16) : <isize>ring - 16;
  for (; <isize>slot > careful; slot -= 16) {
    const x = v128.load(slot);
    const total = f64x2.add(high, x);
    low = f64x2.add(low, lost(high, x, total));
    high = total;
    v128.store(slot, f64x2.add(high, low));
  }
  if (!near) return;
  for (; slot >= ring + 16; slot -= 32) {
    const x0 = v128.load(slot);
    const x1 = v128.load(slot - 16);
    const total0 = f64x2.add(high, x0);
    const total1 = f64x2.add(total0, x1);
    const low0 = f64x2.add(low, lostNear(high, x0, total0));
    low = f64x2.add(low0, lostNear(total0, x1, total1));
    high = total1;
    v128.store(slot, f64x2.add(total0, low0));
    v128.store(slot - 16, f64x2.add(high, low));
  }
  if (slot >= ring) {
    const x = v128.load(slot);
    const total = f64x2.add(high, x);
    v128.store(slot, f64x2.add(total, f64x2.add(low, lost(high, x, total))));
  }
}
