/** features/parts/window-sum.ts, a bar at a time: the same cells, the same operations in the same order. */
import { get, present, put } from "./cells.ts";

export const sumHead: i32 = 8;

export function pushSum(state: usize, at: i32, x: f64): f64 {
  const window = <i32>get(state, at);
  const place = <i32>get(state, at + 2);
  const sums = at + sumHead;
  const counts = sums + window + 1;
  let high = get(state, at + 3);
  let seen = get(state, at + 5);
  if (present(x)) {
    const total = high + x;
    const part = total - high;
    put(state, at + 4, get(state, at + 4) + (high - (total - part) + (x - part)));
    high = total;
    seen += 1;
    put(state, at + 3, high);
    put(state, at + 5, seen);
  }
  const sum = get(state, sums + place + 1) + high + get(state, at + 4);
  const count = get(state, counts + place + 1) + seen;
  put(state, sums + place, x);
  put(state, at + 6, sum);
  put(state, at + 7, count);
  if (place + 1 == window) closeBlock(state, at, window);
  else put(state, at + 2, <f64>(place + 1));
  return count >= get(state, at + 1) ? sum : NaN;
}

// @ts-ignore: decorator
@inline
export function pushMean(state: usize, at: i32, x: f64): f64 {
  const sum = pushSum(state, at, x);
  return sum / get(state, at + 7);
}

function closeBlock(state: usize, at: i32, window: i32): void {
  const sums = at + sumHead;
  const counts = sums + window + 1;
  let high: f64 = 0;
  let low: f64 = 0;
  let count: f64 = 0;
  for (let place = window - 1; place >= 0; place--) {
    const x = get(state, sums + place);
    if (present(x)) {
      const total = high + x;
      const part = total - high;
      low += high - (total - part) + (x - part);
      high = total;
      count += 1;
    }
    put(state, sums + place, high + low);
    put(state, counts + place, count);
  }
  for (let cell = 2; cell <= 5; cell++) put(state, at + cell, 0);
}
