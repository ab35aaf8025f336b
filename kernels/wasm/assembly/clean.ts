/**
 * How far the fast forms may go. They leave out every test for missing values, so they run over bars that are clean:
 * finite, and so far from the largest float64 that no difference of two of them overflows.
 */

/** 2^1022. */
const largest: f64 = 4.49423283715579e307;
/** Bars that are looked at together. */
const step: i32 = 8;

// @ts-ignore: decorator
@inline
export function isClean(x: f64): bool {
  return abs(x) <= largest;
}

// @ts-ignore: decorator
@inline
function goodPair(at: usize, notZero: bool): v128 {
  const size = f64x2.abs(v128.load(at));
  const small = f64x2.le(size, f64x2.splat(largest));
  return notZero ? v128.and(small, f64x2.gt(size, f64x2.splat(0))) : small;
}

// @ts-ignore: decorator
@inline
function leading(a: usize, b: usize, rows: i32, notZero: bool): i32 {
  let row = 0;
  for (; row + step <= rows; row += step, a += step << 3, b += step << 3) {
    let good = v128.and(goodPair(a, notZero), goodPair(b, notZero));
    for (let i: usize = 16; i < (<usize>step) << 3; i += 16)
      good = v128.and(good, v128.and(goodPair(a + i, notZero), goodPair(b + i, notZero)));
    if (!v128.all_true<i64>(good)) return row;
  }
  for (; row < rows; row++, a += 8, b += 8) {
    const x = load<f64>(a);
    const y = load<f64>(b);
    if (!isClean(x) || !isClean(y) || (notZero && (x == 0 || y == 0))) return row;
  }
  return row;
}

/**
 * Bars, of `rows` from `a` and `b` on, before the first that is not clean in both; a few less if that is quicker to
 * find.
 */
export function cleanRows(a: usize, b: usize, rows: i32): i32 {
  return leading(a, b, rows, false);
}

/** The same, and none of them is 0 (0 and -0 are equal, but not the same bits). */
export function cleanRowsNotZero(a: usize, b: usize, rows: i32): i32 {
  return leading(a, b, rows, true);
}
