/** Rolling sum and mean of two columns at a time; window-sum.ts says what is computed, this is its form without missing values. */
import { get, getPair, pointer, put, putPair } from "./cells.ts";
import { cleanRows } from "./clean.ts";
import { bar, chunkRows, firstBar, putBar, secondBar, worthwhile } from "./lanes.ts";
import { pushMean, pushSum, sumHead } from "./window-sum.ts";

/** `scratch` has room for window + 1 pairs. */
export function sums(mean: bool, count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  for (let c = 0; c < count; c += 2) {
    const d = min(c + 1, count - 1);
    runPair(mean, pointer(states, c), pointer(states, d), pointer(inputs, c), pointer(inputs, d), rows, pointer(outputs, c), pointer(outputs, d), scratch);
  }
}

function runPair(mean: bool, sa: usize, sb: usize, xa: usize, xb: usize, rows: i32, oa: usize, ob: usize, scratch: usize): void {
  const window = <i32>get(sa, 0);
  const most = max(chunkRows, window);
  while (rows > 0) {
    let n = min(rows, most);
    const full = isFull(sa, window) && isFull(sb, window) && get(sa, 2) == get(sb, 2);
    const clean = full ? cleanRows(xa, xb, n) : 0;
    if (worthwhile(clean, window)) {
      n = clean;
      runClean(mean, sa, sb, window, xa, xb, n, oa, ob, scratch);
    } else {
      n = min(rows, window - <i32>get(sa, 2));
      runOne(mean, sa, xa, n, oa);
      if (sb != sa) runOne(mean, sb, xb, n, ob);
    }
    rows -= n;
    const bytes = (<usize>n) << 3;
    xa += bytes;
    xb += bytes;
    oa += bytes;
    ob += bytes;
  }
}

/** Has no bar of the window been missing, and none of the block before it? */
function isFull(state: usize, window: i32): bool {
  const place = get(state, 2);
  return get(state, 5) == place && get(state, sumHead + window + 2 + <i32>place) == <f64>(window - 1) - place;
}

function runOne(mean: bool, state: usize, x: usize, rows: i32, out: usize): void {
  const end = x + ((<usize>rows) << 3);
  for (; x < end; x += 8, out += 8) store<f64>(out, mean ? pushMean(state, 0, load<f64>(x)) : pushSum(state, 0, load<f64>(x)));
}

// @ts-ignore: decorator
@inline
function lost(high: v128, x: v128, total: v128): v128 {
  const part = f64x2.sub(total, high);
  return f64x2.add(f64x2.sub(high, f64x2.sub(total, part)), f64x2.sub(x, part));
}

function runClean(mean: bool, sa: usize, sb: usize, window: i32, xa: usize, xb: usize, rows: i32, oa: usize, ob: usize, ring: usize): void {
  let place = <i32>get(sa, 2);
  let high = getPair(sa, sb, 3);
  let low = getPair(sa, sb, 4);
  let sum = f64x2.splat(0);
  const divisor = f64x2.splat(mean ? <f64>window : 1);
  let closed = false;
  for (let p = 0; p <= window; p++) v128.store(ring + ((<usize>p) << 4), getPair(sa, sb, sumHead + p));
  while (rows > 0) {
    const n = min(rows, window - place);
    let slot = ring + ((<usize>place) << 4);
    const stop = slot + ((<usize>n & ~1) << 4);
    for (; slot < stop; slot += 32, xa += 16, xb += 16, oa += 16, ob += 16) {
      const a = v128.load(xa);
      const b = v128.load(xb);
      const x0 = firstBar(a, b);
      const total0 = f64x2.add(high, x0);
      low = f64x2.add(low, lost(high, x0, total0));
      const sum0 = f64x2.div(f64x2.add(f64x2.add(v128.load(slot, 16), total0), low), divisor);
      v128.store(slot, x0);
      const x1 = secondBar(a, b);
      high = f64x2.add(total0, x1);
      low = f64x2.add(low, lost(total0, x1, high));
      sum = f64x2.add(f64x2.add(v128.load(slot, 32), high), low);
      v128.store(slot, x1, 16);
      const sum1 = f64x2.div(sum, divisor);
      v128.store(oa, firstBar(sum0, sum1));
      v128.store(ob, secondBar(sum0, sum1));
    }
    if (n & 1) {
      const x = bar(xa, xb);
      const total = f64x2.add(high, x);
      low = f64x2.add(low, lost(high, x, total));
      high = total;
      sum = f64x2.add(f64x2.add(v128.load(slot, 16), high), low);
      v128.store(slot, x);
      putBar(oa, ob, f64x2.div(sum, divisor));
      xa += 8;
      xb += 8;
      oa += 8;
      ob += 8;
    }
    rows -= n;
    place += n;
    if (place < window) continue;
    closeBlock(ring, window);
    closed = true;
    place = 0;
    high = f64x2.splat(0);
    low = f64x2.splat(0);
  }
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
}

// @ts-ignore: decorator
@inline
function closeBlock(ring: usize, window: i32): void {
  let high = f64x2.splat(0);
  let low = f64x2.splat(0);
  for (let slot = ring + ((<usize>(window - 1)) << 4); slot >= ring; slot -= 16) {
    const x = v128.load(slot);
    const total = f64x2.add(high, x);
    low = f64x2.add(low, lost(high, x, total));
    high = total;
    v128.store(slot, f64x2.add(high, low));
  }
}
