/** pct_change and diff of one column: value against the value of some bars ago, which is read where it lies. */
import { get, pointer, present, put } from "./cells.ts";

const head: i32 = 2;

/** What comes out. */
export const ratio: i32 = 0;
export const difference: i32 = 1;

export function changesOf(kind: i32, count: i32, states: usize, inputs: usize, rows: i32, outputs: usize): void {
  for (let c = 0; c < count; c++)
    runOne(kind == ratio, pointer(states, c), pointer(inputs, c), rows, pointer(outputs, c));
}

// @ts-ignore: decorator
@inline
function change(relative: bool, x: f64, before: f64): f64 {
  return relative ? x / before - 1 : x - before;
}

function runOne(relative: bool, state: usize, x: usize, rows: i32, out: usize): void {
  const bars = <i32>get(state, 0);
  let place = <i32>get(state, 1);
  const start = min(bars, rows);
  for (let row = 0; row < start; row++) {
    const value = load<f64>(x + ((<usize>row) << 3));
    const before = place + row < bars ? place + row : place + row - bars;
    store<f64>(out + ((<usize>row) << 3), change(relative, present(value) ? value : NaN, get(state, head + before)));
  }
  runRest(relative, x, bars, start, rows, out);
  // The ring as if every value had gone through it.
  for (let row = max(rows - bars, 0); row < rows; row++) {
    const value = load<f64>(x + ((<usize>row) << 3));
    put(state, head + ((place + row) % bars), present(value) ? value : NaN);
  }
  put(state, 1, <f64>((place + rows) % bars));
}

// @ts-ignore: decorator
@inline
function runRest(relative: bool, x: usize, bars: i32, from: i32, to: i32, out: usize): void {
  const back = (<usize>bars) << 3;
  const one = f64x2.splat(1);
  let at = (<usize>from) << 3;
  const end = (<usize>to) << 3;
  for (; at + 16 <= end; at += 16) {
    const value = v128.load(x + at);
    const before = v128.load(x + at - back);
    // 0 if both are finite, else NaN, whose bits make every other bits NaN.
    const missing = v128.or(f64x2.sub(value, value), f64x2.sub(before, before));
    const result = relative ? f64x2.sub(f64x2.div(value, before), one) : f64x2.sub(value, before);
    v128.store(out + at, v128.or(result, missing));
  }
  if (at < end) {
    const value = load<f64>(x + at);
    const before = load<f64>(x + at - back);
    store<f64>(out + at, present(value) && present(before) ? change(relative, value, before) : NaN);
  }
}
