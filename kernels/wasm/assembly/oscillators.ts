/**
 * features/parts/strength.ts, true-range.ts and convergence.ts, a bar at a time: the same cells, the same operations in
 * the same order.
 */
import { get, present, put } from "./cells.ts";
import { pushSmooth, smoothRoom } from "./smooth.ts";
import { pushMean, sumHead } from "./window-sum.ts";

export const strengthHead: i32 = 5;
export const rangeHead: i32 = 5;
export const macdHead: i32 = 6;

export function pushRsi(state: usize, x: f64): f64 {
  if (!present(x)) return NaN;
  const before = get(state, 4);
  const count = get(state, 3) + 1;
  put(state, 3, count);
  put(state, 4, x);
  if (count == 1) return NaN;
  const change = x - before;
  const up = max(change, 0);
  const down = max(-change, 0);
  let gain: f64;
  let loss: f64;
  if (get(state, 1) == 1) {
    const room = sumHead + 2 * (<i32>get(state, 0) + 1);
    gain = pushMean(state, strengthHead, up);
    loss = pushMean(state, strengthHead + room, down);
  } else {
    gain = pushSmooth(state, strengthHead, up);
    loss = pushSmooth(state, strengthHead + smoothRoom, down);
  }
  const moved = gain + loss;
  return moved == 0 ? get(state, 2) : (100 * gain) / moved;
}

export function pushRange(state: usize, high: f64, low: f64, close: f64): f64 {
  if (!present(high) || !present(low) || !present(close)) return NaN;
  const before = get(state, 4);
  const count = get(state, 3) + 1;
  put(state, 3, count);
  put(state, 4, close);
  if (count == 1 && get(state, 2) == 0) return NaN;
  const range = count == 1 ? high - low : max(max(high - low, abs(high - before)), abs(low - before));
  return get(state, 1) == 1 ? pushMean(state, rangeHead, range) : pushSmooth(state, rangeHead, range);
}

export function pushMacd(state: usize, x: f64): void {
  put(state, 4, NaN);
  put(state, 5, NaN);
  if (!present(x)) return;
  const count = get(state, 3) + 1;
  put(state, 3, count);
  const fast = count > get(state, 0) ? pushSmooth(state, macdHead, x) : NaN;
  const line = fast - pushSmooth(state, macdHead + smoothRoom, x);
  const signal = pushSmooth(state, macdHead + 2 * smoothRoom, line);
  if (count >= get(state, 1)) put(state, 4, line);
  if (count >= get(state, 2)) put(state, 5, signal);
}
