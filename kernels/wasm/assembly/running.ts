/**
 * Running totals and the last value present, of two columns at a time. A missing value is put in as what changes
 * nothing (0 to a sum, 1 to a product), so that there is no branch: the cells stay what the TypeScript form leaves
 * them.
 */
import { getPair, pointer, putPair } from "./cells.ts";
import { bar, putBar } from "./lanes.ts";

export const sum: i32 = 0;
export const product: i32 = 1;
export const largest: i32 = 2;
export const smallest: i32 = 3;
export const last: i32 = 4;

// @ts-ignore: decorator
@inline
export function running(kind: i32, count: i32, states: usize, inputs: usize, rows: i32, outputs: usize): void {
  for (let c = 0; c < count; c += 2) {
    const d = min(c + 1, count - 1);
    const sa = pointer(states, c);
    const sb = pointer(states, d);
    if (kind == sum)
      runSum(sa, sb, pointer(inputs, c), pointer(inputs, d), rows, pointer(outputs, c), pointer(outputs, d));
    else if (kind == last)
      runLast(sa, sb, pointer(inputs, c), pointer(inputs, d), rows, pointer(outputs, c), pointer(outputs, d));
    else runTotal(kind, sa, sb, pointer(inputs, c), pointer(inputs, d), rows, pointer(outputs, c), pointer(outputs, d));
  }
}

function runSum(sa: usize, sb: usize, xa: usize, xb: usize, rows: i32, oa: usize, ob: usize): void {
  let high = getPair(sa, sb, 0);
  let low = getPair(sa, sb, 1);
  for (const end = xa + ((<usize>rows) << 3); xa < end; xa += 8, xb += 8, oa += 8, ob += 8) {
    const value = bar(xa, xb);
    // 0 or NaN, whose bits make every other bits NaN.
    const missing = f64x2.sub(value, value);
    const x = v128.and(value, f64x2.eq(missing, f64x2.splat(0)));
    const total = f64x2.add(high, x);
    const part = f64x2.sub(total, high);
    low = f64x2.add(low, f64x2.add(f64x2.sub(high, f64x2.sub(total, part)), f64x2.sub(x, part)));
    high = total;
    putBar(oa, ob, v128.or(f64x2.add(total, low), missing));
  }
  putPair(sa, sb, 0, high);
  putPair(sa, sb, 1, low);
}

/** What changes nothing. */
// @ts-ignore: decorator
@inline
function neutral(kind: i32): v128 {
  return f64x2.splat(kind == product ? 1 : kind == largest ? -Infinity : Infinity);
}

/** Of 0 and -0, which are equal, either may come out of pmax first; both orders together have the bits of Math.max. */
// @ts-ignore: decorator
@inline
function next(kind: i32, total: v128, x: v128): v128 {
  if (kind == product) return f64x2.mul(total, x);
  if (kind == largest) return v128.and(f64x2.pmax(total, x), f64x2.pmax(x, total));
  return v128.or(f64x2.pmin(total, x), f64x2.pmin(x, total));
}

// @ts-ignore: decorator
@inline
function runTotal(kind: i32, sa: usize, sb: usize, xa: usize, xb: usize, rows: i32, oa: usize, ob: usize): void {
  let total = getPair(sa, sb, 0);
  const none = neutral(kind);
  for (const end = xa + ((<usize>rows) << 3); xa < end; xa += 8, xb += 8, oa += 8, ob += 8) {
    const x = bar(xa, xb);
    const missing = f64x2.sub(x, x);
    total = next(kind, total, v128.bitselect(x, none, f64x2.eq(missing, f64x2.splat(0))));
    putBar(oa, ob, v128.or(total, missing));
  }
  putPair(sa, sb, 0, total);
}

function runLast(sa: usize, sb: usize, xa: usize, xb: usize, rows: i32, oa: usize, ob: usize): void {
  const limit = getPair(sa, sb, 0);
  let value = getPair(sa, sb, 1);
  let since = getPair(sa, sb, 2);
  for (const end = xa + ((<usize>rows) << 3); xa < end; xa += 8, xb += 8, oa += 8, ob += 8) {
    const x = bar(xa, xb);
    const present = f64x2.eq(f64x2.sub(x, x), f64x2.splat(0));
    value = v128.bitselect(x, value, present);
    since = v128.andnot(f64x2.add(since, f64x2.splat(1)), present);
    putBar(oa, ob, v128.bitselect(value, f64x2.splat(NaN), f64x2.le(since, limit)));
  }
  putPair(sa, sb, 1, value);
  putPair(sa, sb, 2, since);
}
