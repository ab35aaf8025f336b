/** features/parts/window-order.ts, a bar at a time: the same cells with the same numbers. */
import { get, present, put } from "./cells.ts";

export const orderHead: i32 = 4;

export function pushOrder(state: usize, at: i32, value: f64): bool {
  // -0 becomes 0, as in the TypeScript form.
  const x = value + 0;
  const window = <i32>get(state, at);
  const place = <i32>get(state, at + 2);
  const ring = at + orderHead;
  const sorted = state + ((<usize>(ring + window)) << 3);
  let count = <i32>get(state, at + 3);
  const old = get(state, ring + place);
  const leaves = present(old);
  if (present(x)) {
    const from = leaves ? firstNotBelow(sorted, count, old) : count++;
    settle(sorted, from, count, x);
  } else if (leaves) {
    const last = sorted + ((<usize>(count - 1)) << 3);
    for (let slot = sorted + ((<usize>firstNotBelow(sorted, count, old)) << 3); slot < last; slot += 8)
      store<f64>(slot, load<f64>(slot, 8));
    count--;
  }
  put(state, ring + place, x);
  put(state, at + 2, place + 1 == window ? 0 : <f64>(place + 1));
  put(state, at + 3, <f64>count);
  return <f64>count >= get(state, at + 1);
}

/** Puts x in order; the place `from` is free, the others are in order. */
function settle(sorted: usize, from: i32, count: i32, x: f64): void {
  let slot = sorted + ((<usize>from) << 3);
  const end = sorted + ((<usize>(count - 1)) << 3);
  // Eight at a time: if the last of them goes before x, all do.
  for (; slot + 64 <= end && load<f64>(slot, 64) < x; slot += 64) {
    const a = v128.load(slot, 8);
    const b = v128.load(slot, 24);
    const c = v128.load(slot, 40);
    const d = v128.load(slot, 56);
    v128.store(slot, a);
    v128.store(slot, b, 16);
    v128.store(slot, c, 32);
    v128.store(slot, d, 48);
  }
  for (; slot >= sorted + 64 && load<f64>(slot - 64) > x; slot -= 64) {
    const a = v128.load(slot - 16);
    const b = v128.load(slot - 32);
    const c = v128.load(slot - 48);
    const d = v128.load(slot - 64);
    v128.store(slot - 8, a);
    v128.store(slot - 24, b);
    v128.store(slot - 40, c);
    v128.store(slot - 56, d);
  }
  while (slot < end && load<f64>(slot, 8) < x) {
    store<f64>(slot, load<f64>(slot, 8));
    slot += 8;
  }
  while (slot > sorted && load<f64>(slot - 8) > x) {
    store<f64>(slot, load<f64>(slot - 8));
    slot -= 8;
  }
  store<f64>(slot, x);
}

/** How many of the sorted numbers are below x (with `or`: not above it), without a branch that depends on them. */
// @ts-ignore: decorator
@inline
function search(or: bool, sorted: usize, count: i32, x: f64): i32 {
  if (count == 0) return 0;
  let base = sorted;
  let left = count;
  while (left > 1) {
    const half = left >>> 1;
    const next = base + ((<usize>half) << 3);
    const value = load<f64>(next - 8);
    base = select(next, base, or ? value <= x : value < x);
    left -= half;
  }
  const value = load<f64>(base);
  return <i32>((base - sorted) >> 3) + <i32>(or ? value <= x : value < x);
}

function firstNotBelow(sorted: usize, count: i32, x: f64): i32 {
  return search(false, sorted, count, x);
}

function firstAbove(sorted: usize, count: i32, x: f64): i32 {
  return search(true, sorted, count, x);
}

/** Interpolations, by their place in the list of features/rolling-order.ts. */
export const linear: i32 = 0;
export const lower: i32 = 1;
export const higher: i32 = 2;
export const midpoint: i32 = 3;
export const nearest: i32 = 4;

export function orderQuantile(state: usize, at: i32, q: f64, interpolation: i32): f64 {
  const sorted = at + orderHead + <i32>get(state, at);
  const position = (get(state, at + 3) - 1) * q;
  const low = floor(position);
  const fraction = position - low;
  const below = get(state, sorted + <i32>low);
  if (fraction == 0) return below;
  const above = get(state, sorted + <i32>low + 1);
  if (interpolation == linear) return below + (above - below) * fraction;
  if (interpolation == lower) return below;
  if (interpolation == higher) return above;
  if (interpolation == midpoint) return below + (above - below) / 2;
  return goesDown(low, fraction) ? below : above;
}

/** "nearest" at this fraction above the place `low`. */
export function goesDown(low: f64, fraction: f64): bool {
  return fraction < 0.5 || (fraction == 0.5 && (<i32>low & 1) == 0);
}

/** Rules for ties, by their place in the list of features/rolling-order.ts; the average is what is neither. */
export const least: i32 = 1;
export const most: i32 = 2;

export function orderRank(state: usize, at: i32, x: f64, ties: i32, ascending: bool): f64 {
  const sorted = state + ((<usize>(at + orderHead + <i32>get(state, at))) << 3);
  const count = <i32>get(state, at + 3);
  const below = firstNotBelow(sorted, count, x);
  const notAbove = firstAbove(sorted, count, x);
  const first = <f64>(ascending ? below + 1 : count - notAbove + 1);
  const last = <f64>(ascending ? notAbove : count - below);
  return ties == least ? first : ties == most ? last : (first + last) / 2;
}
