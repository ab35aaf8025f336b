/** features/parts/window-linear.ts, a bar at a time: the same cells, the same operations in the same order. */
import { get, present, put } from "./cells.ts";

export const linearHead: i32 = 7;

export function pushLinear(state: usize, at: i32, x: f64): f64 {
  const window = <i32>get(state, at);
  const place = <i32>get(state, at + 2);
  const weighted = at + linearHead;
  const counts = weighted + window + 1;
  const weights = counts + window + 1;
  const older = <f64>(window - 1 - place);
  if (present(x)) {
    put(state, at + 3, get(state, at + 3) + x);
    put(state, at + 4, get(state, at + 4) + <f64>(place + 1) * x);
    put(state, at + 5, get(state, at + 5) + 1);
    put(state, at + 6, get(state, at + 6) + <f64>(place + 1));
  }
  const seen = get(state, at + 5);
  const count = get(state, counts + place + 1) + seen;
  const sum = get(state, weighted + place + 1) + (get(state, at + 4) + older * get(state, at + 3));
  const weight = get(state, weights + place + 1) + (get(state, at + 6) + older * seen);
  put(state, weighted + place, x);
  if (place + 1 == window) closeBlock(state, at, window);
  else put(state, at + 2, <f64>(place + 1));
  return count >= get(state, at + 1) ? sum * (1 / weight) : NaN;
}

function closeBlock(state: usize, at: i32, window: i32): void {
  const weighted = at + linearHead;
  const counts = weighted + window + 1;
  const weights = counts + window + 1;
  let sum: f64 = 0;
  let total: f64 = 0;
  let count: f64 = 0;
  let weight: f64 = 0;
  for (let place = window - 1; place >= 0; place--) {
    const x = get(state, weighted + place);
    if (present(x)) {
      sum += x;
      count += 1;
    }
    total += sum;
    weight += count;
    put(state, weighted + place, total);
    put(state, counts + place, count);
    put(state, weights + place, weight);
  }
  for (let cell = 2; cell <= 6; cell++) put(state, at + cell, 0);
}
