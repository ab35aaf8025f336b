/**
 * Averages that feed on themselves: ema, dema, tema, rsi, macd, atr. A bar waits for the bar before it, so several
 * pairs of columns go forward in turns of a few bars: the processor then works on one pair while another waits.
 *
 * A turn keeps its averages in a slot of scratch, two columns side by side; before the start is over, and where values
 * are missing, the forms of smooth.ts and oscillators.ts run instead, a column at a time.
 */
import { get, getPair, pointer, put, putPair } from "./cells.ts";
import { macdHead, pushMacd, pushRange, pushRsi, rangeHead, strengthHead } from "./oscillators.ts";
import { demaTurn, isRepeatedSteady, pushRepeated, repeatedHead, temaTurn } from "./repeated.ts";
import { countSteady, isSteady, pushSmooth, smoothRoom } from "./smooth.ts";
import { atrTurn, badAt, emaTurn, macdTurn, rsiTurn } from "./turns.ts";

export const ema: i32 = 0;
export const rsi: i32 = 1;
export const macd: i32 = 2;
export const atr: i32 = 3;
export const dema: i32 = 4;
export const tema: i32 = 5;

/** Pairs of columns that take turns, bars of a turn, bars between two looks at what is missing. */
const pairsMax: i32 = 4;
const turnRows: i32 = 32;
const spanRows: i32 = 1024;
/** While the start of a column is not over, so that it is left behind soon. */
const startRows: i32 = 16;

/** How many averages, each of the one before; 0 for the other kinds. */
// @ts-ignore: decorator
@inline
function stagesOf(kind: i32): i32 {
  return kind == dema ? 2 : kind == tema ? 3 : 0;
}

/** Four vectors per pair; the slot of every second column is used. */
const slotBytes: usize = 32;

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
export function recurrence(
  kind: i32,
  count: i32,
  states: usize,
  inputs: usize,
  rows: i32,
  outputs: usize,
  scratch: usize,
): void {
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
 * Some bars of some columns. The fast form goes first where the start is over; whether anything was missing or
 * overflowed is known at the end, and then these bars are done again from the states, which it has not touched.
 */
// @ts-ignore: decorator
@inline
function span(
  kind: i32,
  from: i32,
  to: i32,
  states: usize,
  inputs: usize,
  row: i32,
  rows: i32,
  outputs: usize,
  scratch: usize,
): void {
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
      turn(
        kind,
        pointer(states, c),
        inputs,
        c,
        min(c + 1, to - 1),
        offset + ((<usize>done) << 3),
        n,
        outputs,
        scratch + <usize>(c - from) * slotBytes,
      );
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
  if (stagesOf(kind) > 0) return isRepeatedSteady(stagesOf(kind), state);
  if (kind == macd) {
    // The line of an average that leaves out values is there once the signal is.
    return (
      get(state, 3) >= get(state, 2) &&
      isSteady(state, macdHead) &&
      isSteady(state, macdHead + smoothRoom) &&
      isSteady(state, macdHead + 2 * smoothRoom)
    );
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
    else if (stagesOf(kind) > 0) store<f64>(out + offset, pushRepeated(stagesOf(kind), state, value));
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

/**
 * Slots: ema, dema, tema the averages; rsi gain, loss, last value; macd fast, slow, signal; atr the average, last
 * close.
 */
// @ts-ignore: decorator
@inline
function open(kind: i32, sa: usize, sb: usize, slot: usize): void {
  v128.store(slot + badAt, f64x2.splat(0));
  if (kind == ema) v128.store(slot, getPair(sa, sb, 6));
  else if (stagesOf(kind) > 0) {
    for (let i = 0; i < stagesOf(kind); i++)
      v128.store(slot + ((<usize>i) << 4), getPair(sa, sb, repeatedHead + i * smoothRoom + 6));
  } else if (kind == macd) {
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
  const averages = stagesOf(kind) > 0 ? stagesOf(kind) : kind == macd ? 3 : kind == rsi ? 2 : 1;
  const head = stagesOf(kind) > 0 ? repeatedHead : kind == ema ? 0 : kind == macd ? macdHead : strengthHead;
  for (let i = 0; i < averages; i++) {
    putPair(sa, sb, head + i * smoothRoom + 6, v128.load(slot + ((<usize>i) << 4)));
    countSteady(sa, head + i * smoothRoom, rows);
    if (sb != sa) countSteady(sb, head + i * smoothRoom, rows);
  }
  if (kind == ema) return;
  if (stagesOf(kind) > 0) {
    put(sa, 1, get(sa, 1) + <f64>rows);
    if (sb != sa) put(sb, 1, get(sb, 1) + <f64>rows);
    return;
  }
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
function turn(
  kind: i32,
  state: usize,
  inputs: usize,
  c: i32,
  d: i32,
  offset: usize,
  rows: i32,
  outputs: usize,
  slot: usize,
): void {
  const ins = inputsOf(kind);
  const outs = outputsOf(kind);
  const a = inputs + ((<usize>(c * ins)) << 2);
  const b = inputs + ((<usize>(d * ins)) << 2);
  const outsA = outputs + ((<usize>(c * outs)) << 2);
  const outsB = outputs + ((<usize>(d * outs)) << 2);
  if (kind == ema) emaTurn(state, a, b, offset, rows, outsA, outsB, slot);
  else if (kind == dema) demaTurn(state, a, b, offset, rows, outsA, outsB, slot);
  else if (kind == tema) temaTurn(state, a, b, offset, rows, outsA, outsB, slot);
  else if (kind == rsi) rsiTurn(state, a, b, offset, rows, outsA, outsB, slot);
  else if (kind == macd) macdTurn(state, a, b, offset, rows, outsA, outsB, slot);
  else atrTurn(state, a, b, offset, rows, outsA, outsB, slot);
}
