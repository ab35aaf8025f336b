/** features/parts/smooth.ts, a bar at a time: the same cells, the same operations in the same order. */
import { get, present, put } from "./cells.ts";

export const smoothRoom: i32 = 9;

export function pushSmooth(state: usize, at: i32, x: f64): f64 {
  const k = get(state, at);
  if (!present(x)) {
    if (get(state, at + 4) == 1) put(state, at + 8, get(state, at + 8) * (1 - k));
    return NaN;
  }
  const seed = get(state, at + 1);
  const count = get(state, at + 5) + 1;
  put(state, at + 5, count);
  if (seed == 0 && count <= get(state, at + 2)) return seedWithMean(state, at, x, count);
  const past = get(state, at + 8);
  let average = get(state, at + 6);
  if (count == 1) average = x;
  else if (seed == 2) average += (x - average) / (past + 1);
  else average += (past == 1 - k ? k : k / (k + past)) * (x - average);
  put(state, at + 6, average);
  put(state, at + 8, seed == 2 ? (past + 1) * (1 - k) : 1 - k);
  return count >= get(state, at + 3) ? average : NaN;
}

function seedWithMean(state: usize, at: i32, x: f64, count: f64): f64 {
  const window = get(state, at + 2);
  const sum = get(state, at + 6);
  const total = sum + x;
  const part = total - sum;
  const lost = get(state, at + 7) + (sum - (total - part) + (x - part));
  put(state, at + 7, lost);
  put(state, at + 6, total);
  if (count < window) return NaN;
  const mean = (total + lost) / window;
  put(state, at + 6, mean);
  put(state, at + 8, 1 - get(state, at));
  return mean;
}

/** Is the start behind us, so that from now on each clean value gives an output of average + k · (x - average)? */
export function isSteady(state: usize, at: i32): bool {
  const seed = get(state, at + 1);
  const count = get(state, at + 5);
  if (seed == 2 || count < 1 || count + 1 < get(state, at + 3)) return false;
  if (seed == 0 && count < get(state, at + 2)) return false;
  return get(state, at + 8) == 1 - get(state, at) && abs(get(state, at + 6)) <= 4.49423283715579e307;
}

/** What `rows` steady values do to the cells besides the average. */
// @ts-ignore: decorator
@inline
export function countSteady(state: usize, at: i32, rows: i32): void {
  put(state, at + 5, get(state, at + 5) + <f64>rows);
}
