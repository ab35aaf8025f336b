/** Two columns side by side: a v128 holds the same bar of both. */

/**
 * Bars of a window kernel that are checked and then run; their values stay in the first-level cache between the two.
 */
export const chunkRows: i32 = 2048;

/** One bar of two columns. */
// @ts-ignore: decorator
@inline
export function bar(a: usize, b: usize): v128 {
  return v128.load_lane<f64>(b, v128.load_zero<f64>(a), 1);
}

// @ts-ignore: decorator
@inline
export function putBar(a: usize, b: usize, value: v128): void {
  v128.store_lane<f64>(a, value, 0);
  v128.store_lane<f64>(b, value, 1);
}

/** Of two bars each of two columns: the first bar of both. */
// @ts-ignore: decorator
@inline
export function firstBar(a: v128, b: v128): v128 {
  return v128.shuffle<f64>(a, b, 0, 2);
}

// @ts-ignore: decorator
@inline
export function secondBar(a: v128, b: v128): v128 {
  return v128.shuffle<f64>(a, b, 1, 3);
}

/** Bars that a fast form must at least have before it, or its start costs more than it saves. */
// @ts-ignore: decorator
@inline
export function worthwhile(rows: i32, window: i32): bool {
  return rows >= 8 && rows + rows >= window;
}
