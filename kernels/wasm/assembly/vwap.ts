/**
 * Volume-weighted average price since the beginning of the session, of two columns at a time and without branches, as
 * in running.ts.
 */
import { get, getPair, pointer, putPair } from "./cells.ts";
import { bar, putBar } from "./lanes.ts";

/** Columns of an application: high, low, close, volume, session. */
const parts: i32 = 5;

// @ts-ignore: decorator
@inline
function part(inputs: usize, column: i32, which: i32): usize {
  return pointer(inputs, column * parts + which);
}

export function vwaps(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize): void {
  for (let c = 0; c < count; c += 2) {
    const d = min(c + 1, count - 1);
    const a = inputs + ((<usize>(c * parts)) << 2);
    const b = inputs + ((<usize>(d * parts)) << 2);
    if (get(pointer(states, c), 5) == 1)
      runPair(true, pointer(states, c), pointer(states, d), a, b, rows, pointer(outputs, c), pointer(outputs, d));
    else runPair(false, pointer(states, c), pointer(states, d), a, b, rows, pointer(outputs, c), pointer(outputs, d));
  }
}

// @ts-ignore: decorator
@inline
function priceOf(typical: bool, high: v128, low: v128, close: v128): v128 {
  return typical ? f64x2.div(f64x2.add(f64x2.add(high, low), close), f64x2.splat(3)) : close;
}

/** What rounding took from the sum: Knuth's two-sum. */
// @ts-ignore: decorator
@inline
function lost(sum: v128, x: v128, total: v128): v128 {
  const part = f64x2.sub(total, sum);
  return f64x2.add(f64x2.sub(sum, f64x2.sub(total, part)), f64x2.sub(x, part));
}

// @ts-ignore: decorator
@inline
function runPair(typical: bool, sa: usize, sb: usize, a: usize, b: usize, rows: i32, oa: usize, ob: usize): void {
  const highA = part(a, 0, 0);
  const highB = part(b, 0, 0);
  const lowA = part(a, 0, 1);
  const lowB = part(b, 0, 1);
  const closeA = part(a, 0, 2);
  const closeB = part(b, 0, 2);
  const volumeA = part(a, 0, 3);
  const volumeB = part(b, 0, 3);
  const sessionA = part(a, 0, 4);
  const sessionB = part(b, 0, 4);
  const zero = f64x2.splat(0);
  let session = getPair(sa, sb, 0);
  let traded = getPair(sa, sb, 1);
  let tradedLow = getPair(sa, sb, 2);
  let weight = getPair(sa, sb, 3);
  let weightLow = getPair(sa, sb, 4);
  const end = (<usize>rows) << 3;
  for (let at: usize = 0; at < end; at += 8) {
    const day = bar(sessionA + at, sessionB + at);
    const fresh = v128.and(f64x2.eq(f64x2.sub(day, day), zero), f64x2.ne(day, session));
    if (v128.any_true(fresh)) {
      session = v128.bitselect(day, session, fresh);
      traded = v128.andnot(traded, fresh);
      tradedLow = v128.andnot(tradedLow, fresh);
      weight = v128.andnot(weight, fresh);
      weightLow = v128.andnot(weightLow, fresh);
    }
    const price = priceOf(
      typical,
      bar(highA + at, highB + at),
      bar(lowA + at, lowB + at),
      bar(closeA + at, closeB + at),
    );
    const volume = bar(volumeA + at, volumeB + at);
    const product = f64x2.mul(price, volume);
    const present = f64x2.eq(f64x2.sub(product, product), zero);
    const x = v128.and(product, present);
    const y = v128.and(volume, present);
    const total = f64x2.add(traded, x);
    tradedLow = f64x2.add(tradedLow, lost(traded, x, total));
    traded = total;
    const heavier = f64x2.add(weight, y);
    weightLow = f64x2.add(weightLow, lost(weight, y, heavier));
    weight = heavier;
    const divisor = f64x2.add(weight, weightLow);
    const quotient = f64x2.div(f64x2.add(traded, tradedLow), divisor);
    putBar(oa + at, ob + at, v128.bitselect(quotient, f64x2.splat(NaN), v128.and(present, f64x2.gt(divisor, zero))));
  }
  putPair(sa, sb, 0, session);
  putPair(sa, sb, 1, traded);
  putPair(sa, sb, 2, tradedLow);
  putPair(sa, sb, 3, weight);
  putPair(sa, sb, 4, weightLow);
}
