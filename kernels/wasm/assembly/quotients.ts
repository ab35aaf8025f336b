/**
 * Quotients of two rolling sums of one application, the two sums side by side; window-sum.ts says what is computed,
 * this is its form without missing values.
 */
import { get, getPair, pointer, present, put, putPair } from "./cells.ts";
import { cleanRows } from "./clean.ts";
import { chunkRows, firstBar, secondBar, worthwhile } from "./lanes.ts";
import { pushSum, sumHead } from "./window-sum.ts";

/** What is divided by what: typical price · volume or close · volume by volume, bought by sold volume. */
export const typical: i32 = 0;
export const close: i32 = 1;
export const power: i32 = 2;

/** rolling_vwap; `scratch` has room for window + 1 pairs. */
export function averagePrices(
  count: i32,
  states: usize,
  inputs: usize,
  rows: i32,
  outputs: usize,
  scratch: usize,
): void {
  for (let c = 0; c < count; c++) {
    const state = pointer(states, c);
    const own = inputs + ((<usize>(4 * c)) << 2);
    if (option(state) == 1) runAll(typical, state, own, rows, pointer(outputs, c), scratch);
    else runAll(close, state, own, rows, pointer(outputs, c), scratch);
  }
}

/** volume_power; `scratch` as above. */
export function powers(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  for (let c = 0; c < count; c++)
    runAll(power, pointer(states, c), inputs + ((<usize>(2 * c)) << 2), rows, pointer(outputs, c), scratch);
}

// @ts-ignore: decorator
@inline
function roomOf(state: usize): i32 {
  return sumHead + 2 * (<i32>get(state, 0) + 1);
}

/** The parameter behind the two sums. */
// @ts-ignore: decorator
@inline
function option(state: usize): f64 {
  return get(state, 2 * roomOf(state));
}

/** The i-th input from this bar on. */
// @ts-ignore: decorator
@inline
function part(inputs: usize, i: i32, offset: usize): usize {
  return pointer(inputs, i) + offset;
}

// @ts-ignore: decorator
@inline
function runAll(kind: i32, state: usize, inputs: usize, rows: i32, out: usize, scratch: usize): void {
  const window = <i32>get(state, 0);
  const most = max(chunkRows, window);
  const other = state + ((<usize>roomOf(state)) << 3);
  let offset: usize = 0;
  /** Chunks to go before one is run without a look at it first. */
  let pause = 0;
  while (rows > 0) {
    let n = min(rows, most);
    const full = isFull(state, window) && isFull(other, window);
    const tried = full && pause == 0 && worthwhile(n, window);
    let done = tried && runClean(kind, state, other, window, inputs, offset, n, out, scratch);
    pause = tried && !done ? 4 : max(pause - 1, 0);
    if (full && !done) {
      const clean =
        kind == power
          ? cleanRows(part(inputs, 0, offset), part(inputs, 1, offset), n)
          : cleanBars(kind, inputs, offset, n);
      if (worthwhile(clean, window)) {
        n = clean;
        // Products of clean numbers may still be too large.
        done = runClean(kind, state, other, window, inputs, offset, n, out, scratch);
      }
    }
    if (!done) {
      n = min(n, window - <i32>get(state, 2));
      runOne(kind, state, inputs, offset, n, out);
    }
    rows -= n;
    offset += (<usize>n) << 3;
  }
}

// @ts-ignore: decorator
@inline
function cleanBars(kind: i32, inputs: usize, offset: usize, rows: i32): i32 {
  const clean = cleanRows(part(inputs, 2, offset), part(inputs, 3, offset), rows);
  return kind == typical ? cleanRows(part(inputs, 0, offset), part(inputs, 1, offset), clean) : clean;
}

/** Has no bar of the window been missing, and none of the block before it? */
function isFull(sum: usize, window: i32): bool {
  const place = get(sum, 2);
  return get(sum, 5) == place && get(sum, sumHead + window + 2 + <i32>place) == <f64>(window - 1) - place;
}

// @ts-ignore: decorator
@inline
function runOne(kind: i32, state: usize, inputs: usize, offset: usize, rows: i32, out: usize): void {
  const room = roomOf(state);
  const scale: f64 = kind == power ? option(state) : 1;
  for (const end = offset + ((<usize>rows) << 3); offset < end; offset += 8) {
    let top: f64;
    let bottom: f64;
    let both: bool;
    if (kind == power) {
      top = load<f64>(part(inputs, 0, offset));
      bottom = load<f64>(part(inputs, 1, offset));
      both = present(top) && present(bottom);
    } else {
      let price = load<f64>(part(inputs, 2, offset));
      if (kind == typical)
        price = (load<f64>(part(inputs, 0, offset)) + load<f64>(part(inputs, 1, offset)) + price) / 3;
      bottom = load<f64>(part(inputs, 3, offset));
      top = price * bottom;
      both = present(top);
    }
    // A product that is missing is kept as what it is, infinite or NaN.
    const above = pushSum(state, 0, both || kind != power ? top : NaN);
    const below = pushSum(state, room, both ? bottom : NaN);
    store<f64>(out + offset, below > 0 ? (kind == power ? scale * above : above) / below : NaN);
  }
}

// @ts-ignore: decorator
@inline
function lost(high: v128, x: v128, total: v128): v128 {
  const part = f64x2.sub(total, high);
  return f64x2.add(f64x2.sub(high, f64x2.sub(total, part)), f64x2.sub(x, part));
}

/** False, and nothing changed, if a value was missing. Lanes: the sum above and the sum below. */
// @ts-ignore: decorator
@inline
function runClean(
  kind: i32,
  state: usize,
  other: usize,
  window: i32,
  inputs: usize,
  offset: usize,
  rows: i32,
  out: usize,
  ring: usize,
): bool {
  for (let p = 0; p <= window; p++) v128.store(ring + ((<usize>p) << 4), getPair(state, other, sumHead + p));
  const first = part(inputs, 0, offset);
  const second = part(inputs, 1, offset) - first;
  const third = (kind == power ? 0 : part(inputs, 2, offset)) - first;
  const fourth = (kind == power ? 0 : part(inputs, 3, offset)) - first;
  const toOut = out + offset - first;
  const zero = f64x2.splat(0);
  const scale = f64x2.splat(kind == power ? option(state) : 1);
  let place = <i32>get(state, 2);
  let high = getPair(state, other, 3);
  let low = getPair(state, other, 4);
  let sum = zero;
  let closed = false;
  let bad = zero;
  let at = first;
  while (rows > 0) {
    const n = min(rows, window - place);
    let slot = ring + ((<usize>place) << 4);
    for (const stop = slot + ((<usize>n & ~1) << 4); slot < stop; slot += 32, at += 16) {
      // Two bars of each series.
      let top: v128;
      let bottom: v128;
      if (kind == power) {
        top = v128.load(at);
        bottom = v128.load(at + second);
      } else {
        let price = v128.load(at + third);
        if (kind == typical)
          price = f64x2.div(f64x2.add(f64x2.add(v128.load(at), v128.load(at + second)), price), f64x2.splat(3));
        bottom = v128.load(at + fourth);
        top = f64x2.mul(price, bottom);
      }
      bad = v128.or(bad, v128.or(f64x2.sub(top, top), f64x2.sub(bottom, bottom)));
      const x0 = firstBar(top, bottom);
      const x1 = secondBar(top, bottom);
      const total0 = f64x2.add(high, x0);
      const low0 = f64x2.add(low, lost(high, x0, total0));
      high = f64x2.add(total0, x1);
      low = f64x2.add(low0, lost(total0, x1, high));
      const sum0 = f64x2.add(f64x2.add(v128.load(slot, 16), total0), low0);
      sum = f64x2.add(f64x2.add(v128.load(slot, 32), high), low);
      v128.store(slot, x0);
      v128.store(slot, x1, 16);
      const below = secondBar(sum0, sum);
      const above = firstBar(sum0, sum);
      const quotient = f64x2.div(kind == power ? f64x2.mul(scale, above) : above, below);
      v128.store(at + toOut, v128.bitselect(quotient, f64x2.splat(NaN), f64x2.gt(below, zero)));
    }
    if (n & 1) {
      let top = load<f64>(at);
      let bottom: f64;
      if (kind == power) bottom = load<f64>(at + second);
      else {
        let price = load<f64>(at + third);
        if (kind == typical) price = (top + load<f64>(at + second) + price) / 3;
        bottom = load<f64>(at + fourth);
        top = price * bottom;
      }
      const x = f64x2.replace_lane(f64x2.splat(top), 1, bottom);
      bad = v128.or(bad, f64x2.sub(x, x));
      const total = f64x2.add(high, x);
      low = f64x2.add(low, lost(high, x, total));
      high = total;
      sum = f64x2.add(f64x2.add(v128.load(slot, 16), high), low);
      v128.store(slot, x);
      const above = f64x2.extract_lane(kind == power ? f64x2.mul(scale, sum) : sum, 0);
      const below = f64x2.extract_lane(sum, 1);
      store<f64>(at + toOut, below > 0 ? above / below : NaN);
      at += 8;
    }
    rows -= n;
    place += n;
    if (place < window) continue;
    closeBlock(ring, window);
    closed = true;
    place = 0;
    high = zero;
    low = zero;
  }
  // x - x is 0 for a finite x, else NaN.
  if (v128.any_true(bad)) return false;
  putPair(state, other, 3, high);
  putPair(state, other, 4, low);
  putPair(state, other, 6, sum);
  for (let p = 0; p < window; p++) putPair(state, other, sumHead + p, v128.load(ring + ((<usize>p) << 4)));
  putCounts(state, window, place, closed);
  putCounts(other, window, place, closed);
  return true;
}

function putCounts(sum: usize, window: i32, place: i32, closed: bool): void {
  put(sum, 2, <f64>place);
  put(sum, 5, <f64>place);
  put(sum, 7, <f64>window);
  if (closed) for (let p = 0; p < window; p++) put(sum, sumHead + window + 1 + p, <f64>(window - p));
}

function closeBlock(ring: usize, window: i32): void {
  let high = f64x2.splat(0);
  let low = high;
  for (let slot = ring + ((<usize>(window - 1)) << 4); slot >= ring; slot -= 16) {
    const x = v128.load(slot);
    const total = f64x2.add(high, x);
    low = f64x2.add(low, lost(high, x, total));
    high = total;
    v128.store(slot, f64x2.add(high, low));
  }
}
