/**
 * Averages that feed on themselves: ema, rsi, macd, atr. A bar waits for the bar before it, so several pairs of columns go forward in
 * turns of a few bars: the processor then works on one pair while another waits.
 *
 * A turn keeps its averages in a slot of scratch, two columns side by side; before the start is over, and where values are missing, the
 * forms of smooth.ts and oscillators.ts run instead, a column at a time.
 */
import { get, getPair, pointer, put, putPair } from "./cells.ts";
import { cleanRows, isClean } from "./clean.ts";
import { bar, putBar } from "./lanes.ts";
import { macdHead, pushMacd, pushRange, pushRsi, rangeHead, strengthHead } from "./oscillators.ts";
import { countSteady, isSteady, pushSmooth, smoothRoom } from "./smooth.ts";

export const ema: i32 = 0;
export const rsi: i32 = 1;
export const macd: i32 = 2;
export const atr: i32 = 3;

/** Pairs of columns that take turns, bars of a turn, bars between two looks at what is missing. */
const pairsMax: i32 = 4;
const turnRows: i32 = 8;
const spanRows: i32 = 128;
/** Three vectors per pair. */
const slotBytes: usize = 48;

// @ts-ignore: decorator
@inline
function inputsOf(kind: i32): i32 {
  return kind == atr ? 3 : 1;
}

// @ts-ignore: decorator
@inline
function outputsOf(kind: i32): i32 {
  return kind == macd ? 3 : 1;
}

// @ts-ignore: decorator
@inline
export function recurrence(kind: i32, count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  for (let from = 0; from < count; from += 2 * pairsMax) {
    const columns = min(count - from, 2 * pairsMax);
    for (let row = 0; row < rows; row += spanRows) span(kind, from, from + columns, states, inputs, row, min(rows - row, spanRows), outputs, scratch);
  }
}

/** Some bars of some columns: fast where the pair allows, else a column at a time. */
// @ts-ignore: decorator
@inline
function span(kind: i32, from: i32, to: i32, states: usize, inputs: usize, row: i32, rows: i32, outputs: usize, scratch: usize): void {
  const offset = (<usize>row) << 3;
  let fast = 0;
  for (let c = from; c < to; c += 2) {
    const d = min(c + 1, to - 1);
    const sa = pointer(states, c);
    const sb = pointer(states, d);
    const ready = steady(kind, sa) && steady(kind, sb) && clean(kind, inputs, c, d, offset, rows);
    if (ready) {
      open(kind, sa, sb, scratch + <usize>(c - from) * slotBytes);
      fast |= 1 << (c - from);
    } else {
      runOne(kind, sa, inputs, c, offset, rows, outputs);
      if (d != c) runOne(kind, sb, inputs, d, offset, rows, outputs);
    }
  }
  for (let done = 0; done < rows; done += turnRows) {
    const n = min(rows - done, turnRows);
    for (let c = from; c < to; c += 2) {
      if (!(fast & (1 << (c - from)))) continue;
      turn(kind, pointer(states, c), inputs, c, min(c + 1, to - 1), offset + ((<usize>done) << 3), n, outputs, scratch + <usize>(c - from) * slotBytes);
    }
  }
  for (let c = from; c < to; c += 2) {
    if (fast & (1 << (c - from))) close(kind, pointer(states, c), pointer(states, min(c + 1, to - 1)), rows, scratch + <usize>(c - from) * slotBytes);
  }
}

// @ts-ignore: decorator
@inline
function steady(kind: i32, state: usize): bool {
  if (kind == ema) return isSteady(state, 0);
  if (kind == macd) {
    // The line of an average that leaves out values is there once the signal is.
    return get(state, 3) >= get(state, 2) && isSteady(state, macdHead) && isSteady(state, macdHead + smoothRoom) && isSteady(state, macdHead + 2 * smoothRoom);
  }
  if (get(state, 1) != 0 || get(state, 3) < 1 || !isClean(get(state, 4))) return false;
  if (kind == atr) return isSteady(state, rangeHead);
  return isSteady(state, strengthHead) && isSteady(state, strengthHead + smoothRoom);
}

// @ts-ignore: decorator
@inline
function clean(kind: i32, inputs: usize, c: i32, d: i32, offset: usize, rows: i32): bool {
  const width = inputsOf(kind);
  for (let i = 0; i < width; i++) {
    if (cleanRows(pointer(inputs, c * width + i) + offset, pointer(inputs, d * width + i) + offset, rows) < rows) return false;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function runOne(kind: i32, state: usize, inputs: usize, column: i32, offset: usize, rows: i32, outputs: usize): void {
  const end = offset + ((<usize>rows) << 3);
  const x = pointer(inputs, column * inputsOf(kind));
  const out = pointer(outputs, column * outputsOf(kind));
  for (; offset < end; offset += 8) {
    const value = load<f64>(x + offset);
    if (kind == ema) store<f64>(out + offset, pushSmooth(state, 0, value));
    else if (kind == rsi) store<f64>(out + offset, pushRsi(state, value));
    else if (kind == atr) {
      const low = load<f64>(pointer(inputs, column * 3 + 1) + offset);
      const close = load<f64>(pointer(inputs, column * 3 + 2) + offset);
      store<f64>(out + offset, pushRange(state, value, low, close));
    } else {
      pushMacd(state, value);
      store<f64>(out + offset, get(state, 4));
      store<f64>(pointer(outputs, column * 3 + 1) + offset, get(state, 5));
      store<f64>(pointer(outputs, column * 3 + 2) + offset, get(state, 4) - get(state, 5));
    }
  }
}

/** Slots: ema the average; rsi gain, loss, last value; macd fast, slow, signal; atr the average, last close. */
// @ts-ignore: decorator
@inline
function open(kind: i32, sa: usize, sb: usize, slot: usize): void {
  if (kind == ema) v128.store(slot, getPair(sa, sb, 6));
  else if (kind == macd) {
    for (let i = 0; i < 3; i++) v128.store(slot + ((<usize>i) << 4), getPair(sa, sb, macdHead + i * smoothRoom + 6));
  } else {
    v128.store(slot, getPair(sa, sb, strengthHead + 6));
    if (kind == rsi) v128.store(slot, getPair(sa, sb, strengthHead + smoothRoom + 6), 16);
    v128.store(slot, getPair(sa, sb, 4), 32);
  }
}

// @ts-ignore: decorator
@inline
function close(kind: i32, sa: usize, sb: usize, rows: i32, slot: usize): void {
  const averages = kind == macd ? 3 : kind == rsi ? 2 : 1;
  const head = kind == ema ? 0 : kind == macd ? macdHead : strengthHead;
  for (let i = 0; i < averages; i++) {
    putPair(sa, sb, head + i * smoothRoom + 6, v128.load(slot + ((<usize>i) << 4)));
    countSteady(sa, head + i * smoothRoom, rows);
    if (sb != sa) countSteady(sb, head + i * smoothRoom, rows);
  }
  if (kind == ema) return;
  put(sa, 3, get(sa, 3) + <f64>rows);
  if (sb != sa) put(sb, 3, get(sb, 3) + <f64>rows);
  if (kind != macd) {
    putPair(sa, sb, 4, v128.load(slot, 32));
    return;
  }
  const line = f64x2.sub(v128.load(slot), v128.load(slot, 16));
  putPair(sa, sb, 4, line);
  putPair(sa, sb, 5, v128.load(slot, 32));
}

// @ts-ignore: decorator
@inline
function smooth(average: v128, k: v128, x: v128): v128 {
  return f64x2.add(average, f64x2.mul(k, f64x2.sub(x, average)));
}

// @ts-ignore: decorator
@inline
function turn(kind: i32, state: usize, inputs: usize, c: i32, d: i32, offset: usize, rows: i32, outputs: usize, slot: usize): void {
  const xa = pointer(inputs, c * inputsOf(kind)) + offset;
  const xb = pointer(inputs, d * inputsOf(kind)) + offset;
  const oa = pointer(outputs, c * outputsOf(kind)) + offset;
  const ob = pointer(outputs, d * outputsOf(kind)) + offset;
  if (kind == ema) emaTurn(f64x2.splat(get(state, 0)), xa, xb, rows, oa, ob, slot);
  else if (kind == rsi) rsiTurn(f64x2.splat(get(state, strengthHead)), f64x2.splat(get(state, 2)), xa, xb, rows, oa, ob, slot);
  else if (kind == macd) macdTurn(state, xa, xb, rows, outputs, c, d, offset, slot);
  else atrTurn(f64x2.splat(get(state, rangeHead)), inputs, c, d, offset, rows, oa, ob, slot);
}

// @ts-ignore: decorator
@inline
function emaTurn(k: v128, xa: usize, xb: usize, rows: i32, oa: usize, ob: usize, slot: usize): void {
  let average = v128.load(slot);
  for (const end = xa + ((<usize>rows) << 3); xa < end; xa += 8, xb += 8, oa += 8, ob += 8) {
    average = smooth(average, k, bar(xa, xb));
    putBar(oa, ob, average);
  }
  v128.store(slot, average);
}

// @ts-ignore: decorator
@inline
function rsiTurn(k: v128, flat: v128, xa: usize, xb: usize, rows: i32, oa: usize, ob: usize, slot: usize): void {
  const zero = f64x2.splat(0);
  const hundred = f64x2.splat(100);
  let gain = v128.load(slot);
  let loss = v128.load(slot, 16);
  let before = v128.load(slot, 32);
  for (const end = xa + ((<usize>rows) << 3); xa < end; xa += 8, xb += 8, oa += 8, ob += 8) {
    const x = bar(xa, xb);
    const change = f64x2.sub(x, before);
    before = x;
    // The arguments' order makes 0 of -0, as Math.max does.
    gain = smooth(gain, k, f64x2.pmax(zero, change));
    loss = smooth(loss, k, f64x2.pmax(zero, f64x2.neg(change)));
    const moved = f64x2.add(gain, loss);
    const index = f64x2.div(f64x2.mul(hundred, gain), moved);
    putBar(oa, ob, v128.bitselect(flat, index, f64x2.eq(moved, zero)));
  }
  v128.store(slot, gain);
  v128.store(slot, loss, 16);
  v128.store(slot, before, 32);
}

// @ts-ignore: decorator
@inline
function macdTurn(state: usize, xa: usize, xb: usize, rows: i32, outputs: usize, c: i32, d: i32, offset: usize, slot: usize): void {
  const kFast = f64x2.splat(get(state, macdHead));
  const kSlow = f64x2.splat(get(state, macdHead + smoothRoom));
  const kSignal = f64x2.splat(get(state, macdHead + 2 * smoothRoom));
  let fast = v128.load(slot);
  let slow = v128.load(slot, 16);
  let signal = v128.load(slot, 32);
  const lineA = pointer(outputs, 3 * c) + offset;
  const lineB = pointer(outputs, 3 * d) + offset;
  const signalA = pointer(outputs, 3 * c + 1) + offset;
  const signalB = pointer(outputs, 3 * d + 1) + offset;
  const histA = pointer(outputs, 3 * c + 2) + offset;
  const histB = pointer(outputs, 3 * d + 2) + offset;
  const bytes = (<usize>rows) << 3;
  for (let at: usize = 0; at < bytes; at += 8) {
    const x = bar(xa + at, xb + at);
    fast = smooth(fast, kFast, x);
    slow = smooth(slow, kSlow, x);
    const line = f64x2.sub(fast, slow);
    signal = smooth(signal, kSignal, line);
    putBar(lineA + at, lineB + at, line);
    putBar(signalA + at, signalB + at, signal);
    putBar(histA + at, histB + at, f64x2.sub(line, signal));
  }
  v128.store(slot, fast);
  v128.store(slot, slow, 16);
  v128.store(slot, signal, 32);
}

// @ts-ignore: decorator
@inline
function atrTurn(k: v128, inputs: usize, c: i32, d: i32, offset: usize, rows: i32, oa: usize, ob: usize, slot: usize): void {
  const highA = pointer(inputs, 3 * c) + offset;
  const highB = pointer(inputs, 3 * d) + offset;
  const lowA = pointer(inputs, 3 * c + 1) + offset;
  const lowB = pointer(inputs, 3 * d + 1) + offset;
  const closeA = pointer(inputs, 3 * c + 2) + offset;
  const closeB = pointer(inputs, 3 * d + 2) + offset;
  let average = v128.load(slot);
  let before = v128.load(slot, 32);
  const bytes = (<usize>rows) << 3;
  for (let at: usize = 0; at < bytes; at += 8) {
    const high = bar(highA + at, highB + at);
    const low = bar(lowA + at, lowB + at);
    const reach = f64x2.pmax(f64x2.abs(f64x2.sub(high, before)), f64x2.abs(f64x2.sub(low, before)));
    // Of equals the first: an absolute value, so never -0.
    average = smooth(average, k, f64x2.pmax(reach, f64x2.sub(high, low)));
    before = bar(closeA + at, closeB + at);
    putBar(oa + at, ob + at, average);
  }
  v128.store(slot, average);
  v128.store(slot, before, 32);
}
