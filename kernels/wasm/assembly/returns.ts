/**
 * Logarithmic returns of one column, and realized volatility of two: their returns go into scratch, and from there
 * through moments.ts.
 */
import { get, pointer, present, put } from "./cells.ts";
import { logarithm, logarithms } from "./logarithm.ts";
import { deviation, moments } from "./moments.ts";
import { momentsHead } from "./window-moments.ts";

const head: i32 = 2;

export function logReturns(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize): void {
  for (let c = 0; c < count; c++) logReturnsOf(pointer(states, c), pointer(inputs, c), rows, pointer(outputs, c));
}

function logReturnsOf(state: usize, x: usize, rows: i32, out: usize): void {
  const bars = <i32>get(state, 0);
  const place = <i32>get(state, 1);
  const start = min(bars, rows);
  for (let row = 0; row < start; row++) {
    const before = place + row < bars ? place + row : place + row - bars;
    store<f64>(out + ((<usize>row) << 3), logReturn(load<f64>(x + ((<usize>row) << 3)), get(state, head + before)));
  }
  const back = (<usize>bars) << 3;
  const end = (<usize>rows) << 3;
  let at = (<usize>start) << 3;
  for (; at + 16 <= end; at += 16) {
    const value = v128.load(x + at);
    const before = v128.load(x + at - back);
    // 0 if both are finite, else NaN: infinite ends are missing.
    const missing = v128.or(f64x2.sub(value, value), f64x2.sub(before, before));
    v128.store(out + at, logarithms(v128.or(f64x2.div(value, before), missing)));
  }
  if (at < end) store<f64>(out + at, logReturn(load<f64>(x + at), load<f64>(x + at - back)));
  // The ring as if every value had gone through it.
  for (let row = max(rows - bars, 0); row < rows; row++) {
    const value = load<f64>(x + ((<usize>row) << 3));
    put(state, head + ((place + row) % bars), present(value) ? value : NaN);
  }
  put(state, 1, <f64>((place + rows) % bars));
}

function logReturn(x: f64, before: f64): f64 {
  return present(x) && present(before) ? logarithm(x / before) : NaN;
}

/** Bars whose returns are in scratch together. */
const partRows: i32 = 1024;
const partBytes: usize = 8 * 1024 + 64;
/** Of scratch: tables of two pointers each for moments.ts, then the returns, then what moments.ts needs. */
const tables: usize = 32;

export function realizedVolatility(
  count: i32,
  states: usize,
  inputs: usize,
  rows: i32,
  outputs: usize,
  scratch: usize,
): void {
  for (let c = 0; c < count; c += 2) {
    // An odd one alone.
    const columns = min(count - c, 2);
    for (let row = 0; row < rows; row += partRows) {
      const n = min(rows - row, partRows);
      const offset = (<usize>row) << 3;
      for (let d = 0; d < columns; d++) {
        const state = pointer(states, c + d);
        const returns = scratch + tables + <usize>d * partBytes;
        fillReturns(state, pointer(inputs, c + d) + offset, n, returns);
        const cell = (<usize>d) << 2;
        store<u32>(scratch + cell, <u32>state);
        store<u32>(scratch + cell, <u32>returns, 8);
        store<u32>(scratch + cell, <u32>(pointer(outputs, c + d) + offset), 16);
      }
      moments(deviation, columns, scratch, scratch + 8, n, scratch + 16, scratch + tables + 2 * partBytes);
      for (let d = 0; d < columns; d++)
        scale(parameter(pointer(states, c + d), 1), pointer(outputs, c + d) + offset, n);
    }
  }
}

/** Behind the moments: ddof, root of the periods of a year, 1 for logarithmic returns, the last price. */
// @ts-ignore: decorator
@inline
function parameterCell(state: usize, i: i32): i32 {
  return momentsHead + 3 * (<i32>get(state, 0) + 1) + i;
}

// @ts-ignore: decorator
@inline
function parameter(state: usize, i: i32): f64 {
  return get(state, parameterCell(state, i));
}

/** Infinite prices are left as they are: their returns are missing. */
function fillReturns(state: usize, x: usize, rows: i32, returns: usize): void {
  const log = parameter(state, 2) == 1;
  const first = load<f64>(x) / parameter(state, 3);
  store<f64>(returns, log ? logarithm(first) : first - 1);
  const end = (<usize>rows) << 3;
  let at: usize = 8;
  for (; at + 16 <= end; at += 16) {
    const ratio = f64x2.div(v128.load(x + at), v128.load(x + at - 8));
    v128.store(returns + at, log ? logarithms(ratio) : f64x2.sub(ratio, f64x2.splat(1)));
  }
  if (at < end) {
    const ratio = load<f64>(x + at) / load<f64>(x + at - 8);
    store<f64>(returns + at, log ? logarithm(ratio) : ratio - 1);
  }
  put(state, parameterCell(state, 3), load<f64>(x + end - 8));
}

function scale(factor: f64, out: usize, rows: i32): void {
  const by = f64x2.splat(factor);
  const end = (<usize>rows) << 3;
  let at: usize = 0;
  for (; at + 16 <= end; at += 16) v128.store(out + at, f64x2.mul(by, v128.load(out + at)));
  if (at < end) store<f64>(out + at, factor * load<f64>(out + at));
}
