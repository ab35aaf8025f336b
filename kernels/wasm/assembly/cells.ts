/** Cells of a feature's state, numbered as in the TypeScript form: float64 behind each other. */

// @ts-ignore: decorator
@inline
export function get(state: usize, cell: i32): f64 {
  return load<f64>(state + ((<usize>cell) << 3));
}

// @ts-ignore: decorator
@inline
export function put(state: usize, cell: i32, value: f64): void {
  store<f64>(state + ((<usize>cell) << 3), value);
}

/** Two states' cells as lanes. */
// @ts-ignore: decorator
@inline
export function getPair(a: usize, b: usize, cell: i32): v128 {
  const offset = (<usize>cell) << 3;
  return v128.load_lane<f64>(b + offset, v128.load_zero<f64>(a + offset), 1);
}

// @ts-ignore: decorator
@inline
export function putPair(a: usize, b: usize, cell: i32, value: v128): void {
  const offset = (<usize>cell) << 3;
  v128.store_lane<f64>(a + offset, value, 0);
  v128.store_lane<f64>(b + offset, value, 1);
}

/** The i-th pointer of a table. */
// @ts-ignore: decorator
@inline
export function pointer(table: usize, index: i32): usize {
  return <usize>load<u32>(table + ((<usize>index) << 2));
}

// @ts-ignore: decorator
@inline
export function present(x: f64): bool {
  return x - x == 0;
}
