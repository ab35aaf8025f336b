/**
 * A few bars of one pair of columns, without a test for missing values: they are watched for, and whoever called finds
 * in the slot whether there was one. Slots are described in recurrences.ts.
 */
import { get, pointer } from "./cells.ts";
import { bar, firstBar, putBar, secondBar } from "./lanes.ts";
import { macdHead, rangeHead, strengthHead } from "./oscillators.ts";
import { smoothRoom } from "./smooth.ts";

/** Of a slot: 0 while everything that came by was finite. */
export const badAt: usize = 48;

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

/**
 * Two bars of each column are read and written together; an odd one is left for the end. Not inlined, so that registers
 * suffice.
 */
export function emaTurn(
  state: usize,
  a: usize,
  b: usize,
  offset: usize,
  rows: i32,
  outsA: usize,
  outsB: usize,
  slot: usize,
): void {
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

export function rsiTurn(
  state: usize,
  a: usize,
  b: usize,
  offset: usize,
  rows: i32,
  outsA: usize,
  outsB: usize,
  slot: usize,
): void {
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

export function macdTurn(
  state: usize,
  a: usize,
  b: usize,
  offset: usize,
  rows: i32,
  outsA: usize,
  outsB: usize,
  slot: usize,
): void {
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

/**
 * True range. Of equals the first argument comes out of pmax: an absolute value, so never -0. `spread` is high - low.
 */
// @ts-ignore: decorator
@inline
function range(high: v128, low: v128, before: v128, spread: v128): v128 {
  const reach = f64x2.pmax(f64x2.abs(f64x2.sub(high, before)), f64x2.abs(f64x2.sub(low, before)));
  return f64x2.pmax(reach, spread);
}

export function atrTurn(
  state: usize,
  a: usize,
  b: usize,
  offset: usize,
  rows: i32,
  outsA: usize,
  outsB: usize,
  slot: usize,
): void {
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
    // pmax may lose a missing low, the spread does not; a missing close stays in the average, which is looked at in the
    // end.
    bad = watch(watch(bad, spread0), spread1);
    before = secondBar(ca, cb);
    putBar(oa + at, ob + at, first);
    putBar(oa + at + 8, ob + at + 8, average);
  }
  if (rows & 1) {
    const high = bar(highA + at, highB + at);
    const low = bar(lowA + at, lowB + at);
    const spread = f64x2.sub(high, low);
    const reach = range(high, low, before, spread);
    bad = watch(bad, spread);
    average = smooth(average, k, reach);
    before = bar(closeA + at, closeB + at);
    putBar(oa + at, ob + at, average);
  }
  v128.store(slot, average);
  v128.store(slot, before, 32);
  v128.store(slot + badAt, watch(watch(bad, before), average));
}
