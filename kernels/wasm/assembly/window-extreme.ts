/** features/parts/window-extreme.ts, a bar at a time: the same cells, the same operations in the same order. */
import { get, present, put } from "./cells.ts";

export const extremeHead: i32 = 6;

export function pushExtreme(state: usize, at: i32, value: f64): f64 {
  const window = <i32>get(state, at);
  const place = <i32>get(state, at + 2);
  const sign = get(state, at + 3);
  const extremes = at + extremeHead;
  const counts = extremes + window + 1;
  const x = sign * value;
  if (present(x)) {
    put(state, at + 4, max(get(state, at + 4), x));
    put(state, at + 5, get(state, at + 5) + 1);
  }
  const extreme = max(get(state, extremes + place + 1), get(state, at + 4));
  const count = get(state, counts + place + 1) + get(state, at + 5);
  put(state, extremes + place, x);
  if (place + 1 == window) closeBlock(state, at, window);
  else put(state, at + 2, <f64>(place + 1));
  return count >= get(state, at + 1) ? sign * extreme : NaN;
}

function closeBlock(state: usize, at: i32, window: i32): void {
  const extremes = at + extremeHead;
  const counts = extremes + window + 1;
  let extreme = -Infinity;
  let count: f64 = 0;
  for (let place = window - 1; place >= 0; place--) {
    const x = get(state, extremes + place);
    if (present(x)) {
      extreme = max(extreme, x);
      count += 1;
    }
    put(state, extremes + place, extreme);
    put(state, counts + place, count);
  }
  put(state, at + 2, 0);
  put(state, at + 4, -Infinity);
  put(state, at + 5, 0);
}
