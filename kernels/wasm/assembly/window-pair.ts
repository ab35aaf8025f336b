/** features/parts/window-pair.ts, a bar at a time: the same cells, the same operations in the same order. */
import { get, present, put } from "./cells.ts";

export const pairHead: i32 = 17;

export function pushPair(state: usize, at: i32, x: f64, y: f64): bool {
  const window = <i32>get(state, at);
  const place = <i32>get(state, at + 2);
  const step = window + 1;
  const older = at + pairHead + place + 1;
  if (present(x) && present(y)) addPair(state, at, x, y);
  const na = get(state, older + 5 * step);
  const nb = get(state, at + 10);
  const count = na + nb;
  put(state, at + 13, count);
  if (nb == 0) for (let k = 0; k < 3; k++) put(state, at + 14 + k, get(state, older + (2 + k) * step));
  else merge(state, at, older, step, na, nb);
  put(state, at + pairHead + place, x);
  put(state, at + pairHead + place + step, y);
  if (place + 1 == window) closeBlock(state, at, window);
  else put(state, at + 2, <f64>(place + 1));
  return count >= get(state, at + 1);
}

function addPair(state: usize, at: i32, x: f64, y: f64): void {
  if (get(state, at + 10) == 0) {
    put(state, at + 3, x);
    put(state, at + 4, y);
  }
  const dx = x - get(state, at + 3);
  const dy = y - get(state, at + 4);
  put(state, at + 5, get(state, at + 5) + dx);
  put(state, at + 6, get(state, at + 6) + dy);
  put(state, at + 7, get(state, at + 7) + dx * dx);
  put(state, at + 8, get(state, at + 8) + dy * dy);
  put(state, at + 9, get(state, at + 9) + dx * dy);
  put(state, at + 10, get(state, at + 10) + 1);
}

function merge(state: usize, at: i32, older: i32, step: i32, na: f64, nb: f64): void {
  const sx = get(state, at + 5);
  const sy = get(state, at + 6);
  const inverse = 1 / nb;
  const mx = sx * inverse;
  const my = sy * inverse;
  const dx = get(state, at + 11) - get(state, at + 3) + (get(state, older) - mx);
  const dy = get(state, at + 12) - get(state, at + 4) + (get(state, older + step) - my);
  const weight = (na / (na + nb)) * nb;
  put(state, at + 14, get(state, older + 2 * step) + max(get(state, at + 7) - sx * mx, 0) + dx * dx * weight);
  put(state, at + 15, get(state, older + 3 * step) + max(get(state, at + 8) - sy * my, 0) + dy * dy * weight);
  put(state, at + 16, get(state, older + 4 * step) + (get(state, at + 9) - sx * my) + dx * dy * weight);
}

function closeBlock(state: usize, at: i32, window: i32): void {
  const step = window + 1;
  for (let cell = 3; cell <= 10; cell++) put(state, at + cell, 0);
  for (let place = window - 1; place >= 0; place--) {
    const slot = at + pairHead + place;
    const x = get(state, slot);
    const y = get(state, slot + step);
    if (present(x) && present(y)) addPair(state, at, x, y);
    const count = get(state, at + 10);
    const sx = get(state, at + 5);
    const sy = get(state, at + 6);
    const inverse: f64 = count == 0 ? 0 : 1 / count;
    const mx = sx * inverse;
    const my = sy * inverse;
    put(state, slot, mx);
    put(state, slot + step, my);
    put(state, slot + 2 * step, max(get(state, at + 7) - sx * mx, 0));
    put(state, slot + 3 * step, max(get(state, at + 8) - sy * my, 0));
    put(state, slot + 4 * step, get(state, at + 9) - sx * my);
    put(state, slot + 5 * step, count);
  }
  put(state, at + 11, get(state, at + 3));
  put(state, at + 12, get(state, at + 4));
  for (let cell = 2; cell <= 10; cell++) put(state, at + cell, 0);
}
