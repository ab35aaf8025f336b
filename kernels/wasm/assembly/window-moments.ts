/** features/parts/window-moments.ts, a bar at a time: the same cells, the same operations in the same order. */
import { get, present, put } from "./cells.ts";

export const momentsHead: i32 = 11;

export function pushMoments(state: usize, at: i32, x: f64): bool {
  const window = <i32>get(state, at);
  const place = <i32>get(state, at + 2);
  const means = at + momentsHead;
  const squares = means + window + 1;
  const counts = squares + window + 1;
  let seen = get(state, at + 6);
  if (present(x)) {
    if (seen == 0) put(state, at + 3, x);
    const d = x - get(state, at + 3);
    put(state, at + 4, get(state, at + 4) + d);
    put(state, at + 5, get(state, at + 5) + d * d);
    seen += 1;
    put(state, at + 6, seen);
  }
  const oldCount = get(state, counts + place + 1);
  const oldMean = get(state, means + place + 1);
  const oldSquares = get(state, squares + place + 1);
  const oldAnchor = get(state, at + 7);
  const count = oldCount + seen;
  put(state, at + 8, count);
  if (seen == 0) {
    put(state, at + 9, oldAnchor + oldMean);
    put(state, at + 10, oldSquares);
  } else {
    const anchor = get(state, at + 3);
    const sum = get(state, at + 4);
    const mean = sum * (1 / seen);
    const ownSquares = max(get(state, at + 5) - sum * mean, 0);
    const delta = oldAnchor - anchor + (oldMean - mean);
    const share = oldCount / count;
    put(state, at + 9, anchor + (mean + delta * share));
    put(state, at + 10, oldSquares + ownSquares + delta * delta * (share * seen));
  }
  put(state, means + place, x);
  if (place + 1 == window) closeBlock(state, at, window);
  else put(state, at + 2, <f64>(place + 1));
  return count >= get(state, at + 1);
}

export function momentVariance(state: usize, at: i32, ddof: f64): f64 {
  const count = get(state, at + 8);
  return count > ddof ? get(state, at + 10) * (1 / (count - ddof)) : NaN;
}

function closeBlock(state: usize, at: i32, window: i32): void {
  const means = at + momentsHead;
  const squares = means + window + 1;
  const counts = squares + window + 1;
  let anchor: f64 = 0;
  let sum: f64 = 0;
  let sum2: f64 = 0;
  let count: f64 = 0;
  for (let place = window - 1; place >= 0; place--) {
    const x = get(state, means + place);
    if (present(x)) {
      if (count == 0) anchor = x;
      const d = x - anchor;
      sum += d;
      sum2 += d * d;
      count += 1;
    }
    const mean: f64 = count == 0 ? 0 : sum * (1 / count);
    put(state, means + place, mean);
    put(state, squares + place, max(sum2 - sum * mean, 0));
    put(state, counts + place, count);
  }
  put(state, at + 7, anchor);
  for (let cell = 2; cell <= 6; cell++) put(state, at + cell, 0);
}
