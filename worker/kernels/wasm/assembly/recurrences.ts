/**
 * Averages that feed on themselves: ema, rsi, macd, atr. A bar waits for the bar before it, so several pairs of columns go forward in
 * turns of a few bars: the processor then works on one pair while another waits.
 *
 * A turn keeps its averages in a slot of scratch, two columns side by side; before the start is over, and where values are missing, the
 * forms of smooth.ts and oscillators.ts run instead, a column at a time.
 */
import { get, getPair, pointer, put, putPair } from "./cells.ts";
import { bar, firstBar, putBar, secondBar } from "./lanes.ts";
import { macdHead, pushMacd, pushRange, pushRsi, rangeHead, strengthHead } from "./oscillators.ts";
import { countSteady, isSteady, pushSmooth, smoothRoom } from "./smooth.ts";

export const ema: i32 = 0;
export const rsi: i32 = 1;
export const macd: i32 = 2;
export const atr: i32 = 3;

/** Pairs of columns that take turns, bars of a turn, bars between two looks at what is missing. */
const pairsMax: i32 = 4;
const turnRows: i32 = 16;
const spanRows: i32 = 1024;
/** While the start of a column is not over, so that it is left behind soon. */
const startRows: i32 = 16;
/** Four vectors per pair; the slot of every second column is used. */
const slotBytes: usize = 32;
/** Of a slot: 0 while everything that came by was finite. */
const badAt: usize = 48;

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
    for (let row = 0; row < rows; ) {
      const n = min(rows - row, allSteady(kind, from, from + columns, states) ? spanRows : startRows);
      span(kind, from, from + columns, states, inputs, row, n, outputs, scratch);
      row += n;
    }
  }
}

// @ts-ignore: decorator
@inline
function allSteady(kind: i32, from: i32, to: i32, states: usize): bool {
  for (let c = from; c < to; c++) if (!steady(kind, pointer(states, c))) return false;
  return true;
}

/**
 * Some bars of some columns. The fast form goes first where the start is over; whether anything was missing or overflowed is known at the
 * end, and then these bars are done again from the states, which it has not touched.
 */
// @ts-ignore: decorator
@inline
function span(kind: i32, from: i32, to: i32, states: usize, inputs: usize, row: i32, rows: i32, outputs: usize, scratch: usize): void {
  const offset = (<usize>row) << 3;
  let fast = 0;
  for (let c = from; c < to; c += 2) {
    const d = min(c + 1, to - 1);
    const sa = pointer(states, c);
    const sb = pointer(states, d);
    if (steady(kind, sa) && steady(kind, sb)) {
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
    if (!(fast & (1 << (c - from)))) continue;
    const d = min(c + 1, to - 1);
    const slot = scratch + <usize>(c - from) * slotBytes;
    if (!v128.any_true(v128.load(slot + badAt))) close(kind, pointer(states, c), pointer(states, d), rows, slot);
    else {
      runOne(kind, pointer(states, c), inputs, c, offset, rows, outputs);
      if (d != c) runOne(kind, pointer(states, d), inputs, d, offset, rows, outputs);
    }
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
  if (get(state, 1) != 0 || get(state, 3) < 1) return false;
  if (kind == atr) return isSteady(state, rangeHead);
  return isSteady(state, strengthHead) && isSteady(state, strengthHead + smoothRoom);
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
  v128.store(slot + badAt, f64x2.splat(0));
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

/** `bad`, and every bit that NaN has if x is not finite: for a finite x, x - x is 0. */
// @ts-ignore: decorator
@inline
function watch(bad: v128, x: v128): v128 {
  return v128.or(bad, f64x2.sub(x, x));
}

// @ts-ignore: decorator
@inline
function smooth(average: v128, k: v128, x: v128): v128 {
  return f64x2.add(average, f64x2.mul(k, f64x2.sub(x, average)));
}

// @ts-ignore: decorator
@inline
function turn(kind: i32, state: usize, inputs: usize, c: i32, d: i32, offset: usize, rows: i32, outputs: usize, slot: usize): void {
  const ins = inputsOf(kind);
  const outs = outputsOf(kind);
  const a = inputs + ((<usize>(c * ins)) << 2);
  const b = inputs + ((<usize>(d * ins)) << 2);
  const outsA = outputs + ((<usize>(c * outs)) << 2);
  const outsB = outputs + ((<usize>(d * outs)) << 2);
  if (kind == ema) emaTurn(state, a, b, offset, rows, outsA, outsB, slot);
  else if (kind == rsi) rsiTurn(state, a, b, offset, rows, outsA, outsB, slot);
  else if (kind == macd) macdTurn(state, a, b, offset, rows, outsA, outsB, slot);
  else atrTurn(state, a, b, offset, rows, outsA, outsB, slot);
}

/** Two bars of each column are read and written together; an odd one is left for the end. Not inlined, so that registers suffice. */
function emaTurn(state: usize, a: usize, b: usize, offset: usize, rows: i32, outsA: usize, outsB: usize, slot: usize): void {
  let xa = pointer(a, 0) + offset;
  let xb = pointer(b, 0) + offset;
  let oa = pointer(outsA, 0) + offset;
  let ob = pointer(outsB, 0) + offset;
  const k = f64x2.splat(get(state, 0));
  let average = v128.load(slot);
  let bad = v128.load(slot + badAt);
  for (const end = xa + ((<usize>rows & ~1) << 3); xa < end; xa += 16, xb += 16, oa += 16, ob += 16) {
    const ra = v128.load(xa);
    const rb = v128.load(xb);
    bad = watch(watch(bad, ra), rb);
    const first = smooth(average, k, firstBar(ra, rb));
    average = smooth(first, k, secondBar(ra, rb));
    v128.store(oa, firstBar(first, average));
    v128.store(ob, secondBar(first, average));
  }
  if (rows & 1) {
    const x = bar(xa, xb);
    bad = watch(bad, x);
    average = smooth(average, k, x);
    putBar(oa, ob, average);
  }
  v128.store(slot, average);
  v128.store(slot + badAt, bad);
}

/** The index of the averages. */
// @ts-ignore: decorator
@inline
function strength(gain: v128, loss: v128, flat: v128): v128 {
  const moved = f64x2.add(gain, loss);
  return v128.bitselect(flat, f64x2.div(f64x2.mul(f64x2.splat(100), gain), moved), f64x2.eq(moved, f64x2.splat(0)));
}

/** In the order of arguments that makes 0 of -0, as Math.max does. */
// @ts-ignore: decorator
@inline
function positive(x: v128): v128 {
  return f64x2.pmax(f64x2.splat(0), x);
}

function rsiTurn(state: usize, a: usize, b: usize, offset: usize, rows: i32, outsA: usize, outsB: usize, slot: usize): void {
  let xa = pointer(a, 0) + offset;
  let xb = pointer(b, 0) + offset;
  let oa = pointer(outsA, 0) + offset;
  let ob = pointer(outsB, 0) + offset;
  const k = f64x2.splat(get(state, strengthHead));
  const flat = f64x2.splat(get(state, 2));
  let gain = v128.load(slot);
  let loss = v128.load(slot, 16);
  let before = v128.load(slot, 32);
  let bad = v128.load(slot + badAt);
  for (const end = xa + ((<usize>rows & ~1) << 3); xa < end; xa += 16, xb += 16, oa += 16, ob += 16) {
    const ra = v128.load(xa);
    const rb = v128.load(xb);
    const x0 = firstBar(ra, rb);
    const x1 = secondBar(ra, rb);
    const change0 = f64x2.sub(x0, before);
    const change1 = f64x2.sub(x1, x0);
    before = x1;
    bad = watch(watch(bad, change0), change1);
    const gain0 = smooth(gain, k, positive(change0));
    const loss0 = smooth(loss, k, positive(f64x2.neg(change0)));
    gain = smooth(gain0, k, positive(change1));
    loss = smooth(loss0, k, positive(f64x2.neg(change1)));
    const out0 = strength(gain0, loss0, flat);
    const out1 = strength(gain, loss, flat);
    v128.store(oa, firstBar(out0, out1));
    v128.store(ob, secondBar(out0, out1));
  }
  if (rows & 1) {
    const x = bar(xa, xb);
    const change = f64x2.sub(x, before);
    before = x;
    bad = watch(bad, change);
    gain = smooth(gain, k, positive(change));
    loss = smooth(loss, k, positive(f64x2.neg(change)));
    putBar(oa, ob, strength(gain, loss, flat));
  }
  v128.store(slot, gain);
  v128.store(slot, loss, 16);
  v128.store(slot, before, 32);
  v128.store(slot + badAt, bad);
}

// @ts-ignore: decorator
@inline
function putTwo(a: usize, b: usize, first: v128, second: v128): void {
  v128.store(a, firstBar(first, second));
  v128.store(b, secondBar(first, second));
}

function macdTurn(state: usize, a: usize, b: usize, offset: usize, rows: i32, outsA: usize, outsB: usize, slot: usize): void {
  const xa = pointer(a, 0) + offset;
  const xb = pointer(b, 0) + offset;
  const kFast = f64x2.splat(get(state, macdHead));
  const kSlow = f64x2.splat(get(state, macdHead + smoothRoom));
  const kSignal = f64x2.splat(get(state, macdHead + 2 * smoothRoom));
  const lineA = pointer(outsA, 0) + offset;
  const lineB = pointer(outsB, 0) + offset;
  const signalA = pointer(outsA, 1) + offset;
  const signalB = pointer(outsB, 1) + offset;
  const histA = pointer(outsA, 2) + offset;
  const histB = pointer(outsB, 2) + offset;
  let fast = v128.load(slot);
  let slow = v128.load(slot, 16);
  let signal = v128.load(slot, 32);
  let bad = v128.load(slot + badAt);
  let at: usize = 0;
  for (const end = (<usize>rows & ~1) << 3; at < end; at += 16) {
    const ra = v128.load(xa + at);
    const rb = v128.load(xb + at);
    const x0 = firstBar(ra, rb);
    const x1 = secondBar(ra, rb);
    fast = smooth(fast, kFast, x0);
    slow = smooth(slow, kSlow, x0);
    const line0 = f64x2.sub(fast, slow);
    const signal0 = smooth(signal, kSignal, line0);
    fast = smooth(fast, kFast, x1);
    slow = smooth(slow, kSlow, x1);
    const line1 = f64x2.sub(fast, slow);
    signal = smooth(signal0, kSignal, line1);
    bad = watch(watch(bad, line0), line1);
    putTwo(lineA + at, lineB + at, line0, line1);
    putTwo(signalA + at, signalB + at, signal0, signal);
    putTwo(histA + at, histB + at, f64x2.sub(line0, signal0), f64x2.sub(line1, signal));
  }
  if (rows & 1) {
    const x = bar(xa + at, xb + at);
    fast = smooth(fast, kFast, x);
    slow = smooth(slow, kSlow, x);
    const line = f64x2.sub(fast, slow);
    signal = smooth(signal, kSignal, line);
    bad = watch(bad, line);
    putBar(lineA + at, lineB + at, line);
    putBar(signalA + at, signalB + at, signal);
    putBar(histA + at, histB + at, f64x2.sub(line, signal));
  }
  v128.store(slot, fast);
  v128.store(slot, slow, 16);
  v128.store(slot, signal, 32);
  v128.store(slot + badAt, bad);
}

/** True range. Of equals the first argument comes out of pmax: an absolute value, so never -0. `spread` is high - low. */
// @ts-ignore: decorator
@inline
function range(high: v128, low: v128, before: v128, spread: v128): v128 {
  const reach = f64x2.pmax(f64x2.abs(f64x2.sub(high, before)), f64x2.abs(f64x2.sub(low, before)));
  return f64x2.pmax(reach, spread);
}

function atrTurn(state: usize, a: usize, b: usize, offset: usize, rows: i32, outsA: usize, outsB: usize, slot: usize): void {
  const highA = pointer(a, 0) + offset;
  const highB = pointer(b, 0) + offset;
  const lowA = pointer(a, 1) + offset;
  const lowB = pointer(b, 1) + offset;
  const closeA = pointer(a, 2) + offset;
  const closeB = pointer(b, 2) + offset;
  const oa = pointer(outsA, 0) + offset;
  const ob = pointer(outsB, 0) + offset;
  const k = f64x2.splat(get(state, rangeHead));
  let average = v128.load(slot);
  let before = v128.load(slot, 32);
  let bad = v128.load(slot + badAt);
  let at: usize = 0;
  for (const end = (<usize>rows & ~1) << 3; at < end; at += 16) {
    const ha = v128.load(highA + at);
    const hb = v128.load(highB + at);
    const la = v128.load(lowA + at);
    const lb = v128.load(lowB + at);
    const ca = v128.load(closeA + at);
    const cb = v128.load(closeB + at);
    const close0 = firstBar(ca, cb);
    const high0 = firstBar(ha, hb);
    const low0 = firstBar(la, lb);
    const spread0 = f64x2.sub(high0, low0);
    const range0 = range(high0, low0, before, spread0);
    const first = smooth(average, k, range0);
    const high1 = secondBar(ha, hb);
    const low1 = secondBar(la, lb);
    const spread1 = f64x2.sub(high1, low1);
    const range1 = range(high1, low1, close0, spread1);
    average = smooth(first, k, range1);
    // pmax may lose a missing low; the spread does not.
    bad = watch(watch(bad, f64x2.add(range0, spread0)), f64x2.add(range1, spread1));
    before = secondBar(ca, cb);
    putTwo(oa + at, ob + at, first, average);
  }
  if (rows & 1) {
    const high = bar(highA + at, highB + at);
    const low = bar(lowA + at, lowB + at);
    const spread = f64x2.sub(high, low);
    const reach = range(high, low, before, spread);
    bad = watch(bad, f64x2.add(reach, spread));
    average = smooth(average, k, reach);
    before = bar(closeA + at, closeB + at);
    putBar(oa + at, ob + at, average);
  }
  v128.store(slot, average);
  v128.store(slot, before, 32);
  v128.store(slot + badAt, watch(bad, before));
}
