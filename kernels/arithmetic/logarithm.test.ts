import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { logarithmError } from "./exact.js";
import { logarithm } from "./logarithm.js";

describe("the logarithm", () => {
  it("is within one unit in the last place of the exact one, over all exponents and around 1", () => {
    const anywhere = fc
      .tuple(fc.double({ min: 1, max: 2, noNaN: true }), fc.integer({ min: -1074, max: 1023 }))
      .map(([m, e]) => m * 2 ** e);
    const around = fc.double({ min: -0.6, max: 0.6, noNaN: true }).map((x) => 1 + x);
    const near = fc.double({ min: -1e-6, max: 1e-6, noNaN: true }).map((x) => 1 + x);
    fc.assert(
      fc.property(fc.oneof(anywhere, around, near), (x) => {
        if (x === 0 || !Number.isFinite(x)) return;
        expect(Math.abs(logarithmError(x, logarithm(x))), `ln ${x}`).toBeLessThan(0.95);
      }),
      { numRuns: 20_000 },
    );
  });

  it("has the known values, to the last digit", () => {
    expect(logarithm(1)).toBe(0);
    expect(logarithm(2)).toBe(Math.LN2);
    expect(logarithm(0.5)).toBe(-Math.LN2);
    expect(logarithm(10)).toBe(Math.LN10);
    expect(logarithm(Math.E)).toBe(1);
    expect(logarithm(5e-324)).toBe(-744.4400719213812);
    expect(logarithm(Number.MAX_VALUE)).toBe(709.782712893384);
  });

  it("has none of numbers that are not positive and finite", () => {
    for (const x of [0, -0, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      expect(logarithm(x)).toBeNaN();
  });
});
