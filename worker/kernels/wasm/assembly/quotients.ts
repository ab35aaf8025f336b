/**
 * Quotients of two rolling sums of one application: the two sums are the two columns that sums.ts takes at a time. What they add up is
 * put into scratch, a chunk at a time, and so are the sums.
 */
import { get, pointer } from "./cells.ts";
import { sums } from "./sums.ts";
import { sumHead } from "./window-sum.ts";

/** What is divided by what. */
export const prices: i32 = 0;
export const powers: i32 = 1;

/** Bars of a chunk: their four series stay in the first-level cache. */
const partRows: i32 = 512;
const partBytes: usize = 8 * 512 + 64;
/** Of scratch: tables of two pointers each for sums.ts, then the chunk's series, then what sums.ts needs. */
const tables: usize = 32;

// @ts-ignore: decorator
@inline
export function quotients(kind: i32, count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  const parts = kind == prices ? 4 : 2;
  for (let c = 0; c < count; c++) runOne(kind, pointer(states, c), inputs + ((<usize>(c * parts)) << 2), rows, pointer(outputs, c), scratch);
}

// @ts-ignore: decorator
@inline
function runOne(kind: i32, state: usize, inputs: usize, rows: i32, out: usize, scratch: usize): void {
  const window = <i32>get(state, 0);
  const room = sumHead + 2 * (window + 1);
  const option = get(state, 2 * room);
  const top = scratch + tables;
  const bottom = top + partBytes;
  const sumTop = bottom + partBytes;
  const sumBottom = sumTop + partBytes;
  store<u32>(scratch, <u32>state);
  store<u32>(scratch, <u32>(state + ((<usize>room) << 3)), 4);
  store<u32>(scratch, <u32>top, 8);
  store<u32>(scratch, <u32>bottom, 12);
  store<u32>(scratch, <u32>sumTop, 16);
  store<u32>(scratch, <u32>sumBottom, 20);
  // Whole blocks, so that all chunks but the first begin with a block.
  const most = window < partRows ? partRows - (partRows % window) : partRows;
  for (let row = 0; row < rows; ) {
    const place = <i32>get(state, 2);
    const n = min(rows - row, window < partRows && place > 0 ? window - place : most);
    const offset = (<usize>row) << 3;
    if (kind == powers) fillPowers(pointer(inputs, 0) + offset, pointer(inputs, 1) + offset, n, top, bottom);
    else if (option == 1) fillPrices(true, inputs, offset, n, top, bottom);
    else fillPrices(false, inputs, offset, n, top, bottom);
    sums(false, 2, scratch, scratch + 8, n, scratch + 16, sumBottom + partBytes);
    divide(kind == powers ? option : 1, sumTop, sumBottom, n, out + offset);
    row += n;
  }
}

// @ts-ignore: decorator
@inline
function fillPrices(typical: bool, inputs: usize, offset: usize, rows: i32, top: usize, bottom: usize): void {
  const high = pointer(inputs, 0) + offset;
  const low = pointer(inputs, 1) + offset;
  const close = pointer(inputs, 2) + offset;
  const volume = pointer(inputs, 3) + offset;
  const end = (<usize>(rows & ~1)) << 3;
  let at: usize = 0;
  for (; at < end; at += 16) {
    const weight = v128.load(volume + at);
    let price = v128.load(close + at);
    if (typical) price = f64x2.div(f64x2.add(f64x2.add(v128.load(high + at), v128.load(low + at)), price), f64x2.splat(3));
    const value = f64x2.mul(price, weight);
    v128.store(top + at, value);
    // 0 if it is finite, else NaN, whose bits make every other bits NaN.
    v128.store(bottom + at, v128.or(weight, f64x2.sub(value, value)));
  }
  if (rows & 1) {
    const weight = load<f64>(volume + at);
    let price = load<f64>(close + at);
    if (typical) price = (load<f64>(high + at) + load<f64>(low + at) + price) / 3;
    const value = price * weight;
    store<f64>(top + at, value);
    store<f64>(bottom + at, value - value == 0 ? weight : NaN);
  }
}

function fillPowers(buy: usize, sell: usize, rows: i32, top: usize, bottom: usize): void {
  const end = (<usize>(rows & ~1)) << 3;
  let at: usize = 0;
  for (; at < end; at += 16) {
    const bought = v128.load(buy + at);
    const sold = v128.load(sell + at);
    const missing = v128.or(f64x2.sub(bought, bought), f64x2.sub(sold, sold));
    v128.store(top + at, v128.or(bought, missing));
    v128.store(bottom + at, v128.or(sold, missing));
  }
  if (rows & 1) {
    const bought = load<f64>(buy + at);
    const sold = load<f64>(sell + at);
    const both = bought - bought == 0 && sold - sold == 0;
    store<f64>(top + at, both ? bought : NaN);
    store<f64>(bottom + at, both ? sold : NaN);
  }
}

/** (scale · top) / bottom where the divisor is positive. A sum is NaN where values are too few, and then both are. */
function divide(scale: f64, top: usize, bottom: usize, rows: i32, out: usize): void {
  const factor = f64x2.splat(scale);
  const end = (<usize>(rows & ~1)) << 3;
  let at: usize = 0;
  for (; at < end; at += 16) {
    const divisor = v128.load(bottom + at);
    const quotient = f64x2.div(f64x2.mul(factor, v128.load(top + at)), divisor);
    v128.store(out + at, v128.bitselect(quotient, f64x2.splat(NaN), f64x2.gt(divisor, f64x2.splat(0))));
  }
  if (rows & 1) {
    const divisor = load<f64>(bottom + at);
    store<f64>(out + at, divisor > 0 ? (scale * load<f64>(top + at)) / divisor : NaN);
  }
}
