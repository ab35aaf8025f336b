import { describe, expect, it } from "vitest";
import { sma } from "./averages.js";
import { cumsum } from "./changes.js";
import { rollingSum, rollingVar } from "./rolling.js";
import { rollingCov } from "./rolling-pairs.js";

/**
 * A million large prices with all 53 bits in use. Times 2^shift each is a whole number, so every window's sums are
 * exact in BigInt, and are compared as fractions with the kernels' float64.
 */
const rows = 1_000_000;

interface Series {
  readonly whole: BigInt64Array;
  readonly values: Float64Array;
  /** 2^shift. */
  readonly unit: bigint;
}

function walk(seed: number, start: number, shift: number): Series {
  const whole = new BigInt64Array(rows);
  const values = new Float64Array(rows);
  let state = seed;
  let at = start;
  for (let i = 0; i < rows; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    at += ((state >>> 0) - 2 ** 31) / 2 ** 28 / 3;
    values[i] = at;
    // A product with a power of two: exact, and whole as long as `at` is not below 2^(52 - shift).
    whole[i] = BigInt(at * 2 ** shift);
  }
  return { whole, values, unit: 1n << BigInt(shift) };
}

/** |got - numerator / denominator| / |numerator / denominator|, the fraction taken exactly to 2^-80 of it. */
function relativeError(got: number, numerator: bigint, denominator: bigint): number {
  if (numerator === 0n) return Math.abs(got) === 0 ? 0 : Number.POSITIVE_INFINITY;
  // got = mantissa · 2^exponent exactly, with a whole mantissa.
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(got) || 1)) - 60, -1_000);
  const scaled = exponent < 0 ? got * 2 ** -exponent : got / 2 ** exponent;
  const mantissa = BigInt(scaled);
  const [a, b] =
    exponent < 0
      ? [mantissa * denominator, numerator << BigInt(-exponent)]
      : [(mantissa << BigInt(exponent)) * denominator, numerator];
  const difference = a > b ? a - b : b - a;
  const size = b < 0n ? -b : b;
  return Number((difference << 80n) / size) / 2 ** 80;
}

const price = walk(88_172_645, 1_000_000_000 / 3, 24);
const other = walk(521_288_629, 50_000 / 3, 40);

/** The worst relative error over the bars, of what `exact` gives as a fraction for a window that ends at a bar. */
function worst(
  got: Float64Array,
  window: number,
  exact: (sums: { x: bigint; y: bigint; xx: bigint; xy: bigint }, n: bigint) => readonly [bigint, bigint],
): number {
  const sums = { x: 0n, y: 0n, xx: 0n, xy: 0n };
  const add = (i: number, sign: bigint): void => {
    const x = price.whole[i] as bigint;
    const y = other.whole[i] as bigint;
    sums.x += sign * x;
    sums.y += sign * y;
    sums.xx += sign * x * x;
    sums.xy += sign * x * y;
  };
  let most = 0;
  for (let i = 0; i < rows; i++) {
    add(i, 1n);
    if (i >= window) add(i - window, -1n);
    if (i >= window - 1 && (i % 487 === 0 || i > rows - 50))
      most = Math.max(most, relativeError(got[i] as number, ...exact(sums, BigInt(window))));
  }
  return most;
}

describe("a million bars of large prices against exact arithmetic", () => {
  const g = price.unit;

  it.each([20, 500])("sum and mean of %i bars are within two units in the last place", (window) => {
    const [sum] = rollingSum.batch({ window }, price.values) as [Float64Array];
    const [mean] = sma.batch({ window }, price.values) as [Float64Array];
    expect(worst(sum, window, ({ x }) => [x, g])).toBeLessThan(4.5e-16);
    expect(worst(mean, window, ({ x }, n) => [x, g * n])).toBeLessThan(4.5e-16);
  });

  it.each([20, 500])(
    "variance of %i bars keeps 14 digits, though the mean is a million times the deviation",
    (window) => {
      const [variance] = rollingVar.batch({ window }, price.values) as [Float64Array];
      expect(worst(variance, window, ({ x, xx }, n) => [n * xx - x * x, g * g * n * (n - 1n)])).toBeLessThan(1e-14);
    },
  );

  it("covariance of 20 bars keeps 10 digits where it nearly vanishes", () => {
    const [covariance] = rollingCov.batch({ window: 20 }, price.values, other.values) as [Float64Array];
    // A covariance may nearly vanish: its relative error is that of its cancellation.
    expect(worst(covariance, 20, ({ x, y, xy }, n) => [n * xy - x * y, g * other.unit * n * (n - 1n)])).toBeLessThan(
      1e-10,
    );
  });

  it("keeps every bit of the prices in the oracle", () => {
    for (const { whole, values, unit } of [price, other])
      expect(values.every((value, i) => Number(whole[i]) / Number(unit) === value)).toBe(true);
    expect(price.whole.some((value) => value % 2n !== 0n)).toBe(true);
  });

  it("the running total of all bars", () => {
    const [total] = cumsum.batch({}, price.values) as [Float64Array];
    expect(worst(total, rows, ({ x }) => [x, g])).toBeLessThan(4.5e-16);
  });

  it("leaves nothing behind of a price that was a billion times larger", () => {
    const values = Float64Array.from({ length: 200 }, (_, i) => (i === 50 ? 1e18 : 1 + (i % 7) / 8));
    const [variance] = rollingVar.batch({ window: 14 }, values) as [Float64Array];
    const [sum] = rollingSum.batch({ window: 14 }, values) as [Float64Array];
    expect(sum.subarray(70)).toEqual(new Float64Array(130).fill(2 * (7 + 21 / 8)));
    for (const got of variance.subarray(70)) expect(Math.abs(got - 7 / 8 / 13 / 1) / got).toBeLessThan(1e-14);
  });
});
