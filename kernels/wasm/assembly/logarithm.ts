/** arithmetic/logarithm.ts: the same operations in the same order, of one number and of two. */

const lowest: u64 = 0x3fe6a09e00000000;
const rest: u64 = 0x3ff0000000000000 - lowest;
const ln2High: f64 = 0.6931471803691238;
const ln2Low: f64 = 1.9082149292705877e-10;
/** 2^-1022, the smallest normal number. */
const smallest: f64 = 2.2250738585072014e-308;

/** NaN unless x is positive and finite. */
export function logarithm(x: f64): f64 {
  if (!(x > 0 && x < Infinity)) return NaN;
  return x < smallest
    ? f64x2.extract_lane(ofNormal(f64x2.splat(x * 18014398509481984), -54), 0)
    : f64x2.extract_lane(ofNormal(f64x2.splat(x), 0), 0);
}

/** Of both lanes. */
export function logarithms(x: v128): v128 {
  const inside = v128.and(f64x2.ge(x, f64x2.splat(smallest)), f64x2.lt(x, f64x2.splat(Infinity)));
  if (v128.all_true<i64>(inside)) return ofNormal(x, 0);
  return f64x2.replace_lane(f64x2.splat(logarithm(f64x2.extract_lane(x, 0))), 1, logarithm(f64x2.extract_lane(x, 1)));
}

// @ts-ignore: decorator
@inline
function term(sum: v128, w: v128, factor: f64): v128 {
  return f64x2.add(f64x2.splat(factor), f64x2.mul(w, sum));
}

// @ts-ignore: decorator
@inline
function ofNormal(x: v128, exponent: f64): v128 {
  const word = i64x2.add(x, i64x2.splat(rest));
  // The exponent in the mantissa of 2^52.
  const k = f64x2.sub(
    v128.or(i64x2.shr_u(word, 52), i64x2.splat(0x4330000000000000)),
    f64x2.splat(4503599627370496 + 1023 - exponent),
  );
  const m = i64x2.add(v128.and(word, i64x2.splat(0x000fffffffffffff)), i64x2.splat(lowest));
  const f = f64x2.sub(m, f64x2.splat(1));
  const s = f64x2.div(f, f64x2.add(f64x2.splat(2), f));
  const z = f64x2.mul(s, s);
  const w = f64x2.mul(z, z);
  const odd = term(
    term(term(f64x2.splat(0.14616449685043406), w, 0.18182889125261723), w, 0.28571428625975487),
    w,
    0.666666666666667,
  );
  const even = term(term(f64x2.splat(0.15331721600556042), w, 0.2222221113479508), w, 0.39999999999899505);
  const r = f64x2.add(f64x2.mul(z, odd), f64x2.mul(w, even));
  const small = f64x2.sub(f64x2.sub(f64x2.mul(s, f64x2.sub(f, r)), f64x2.mul(k, f64x2.splat(ln2Low))), f);
  return f64x2.sub(f64x2.mul(k, f64x2.splat(ln2High)), small);
}
