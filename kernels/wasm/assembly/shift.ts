/** The value of some bars ago, which is read where it lies. The ring of the state holds what came as it came. */
import { get, pointer, put } from "./cells.ts";

const head: i32 = 2;

export function shifts(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize): void {
  for (let c = 0; c < count; c++) runOne(pointer(states, c), pointer(inputs, c), rows, pointer(outputs, c));
}

function runOne(state: usize, x: usize, rows: i32, out: usize): void {
  const bars = <i32>get(state, 0);
  const start = min(bars, rows);
  const place = bars == 0 ? 0 : <i32>get(state, 1);
  for (let row = 0; row < start; row++) {
    const before = place + row < bars ? place + row : place + row - bars;
    store<f64>(out + ((<usize>row) << 3), finite(get(state, head + before)));
  }
  let at = (<usize>start) << 3;
  const end = (<usize>rows) << 3;
  const back = (<usize>bars) << 3;
  for (; at + 16 <= end; at += 16) {
    const value = v128.load(x + at - back);
    v128.store(out + at, v128.or(value, f64x2.sub(value, value)));
  }
  if (at < end) store<f64>(out + at, finite(load<f64>(x + at - back)));
  if (bars == 0) return;
  // The ring as if every value had gone through it.
  for (let row = max(rows - bars, 0); row < rows; row++)
    put(state, head + ((place + row) % bars), load<f64>(x + ((<usize>row) << 3)));
  put(state, 1, <f64>((place + rows) % bars));
}

// @ts-ignore: decorator
@inline
function finite(x: f64): f64 {
  return x - x == 0 ? x : NaN;
}
