import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { exactExponential, exactPower } from "./exact.js";
import { exponential, power } from "./power.js";

const finite = { noNaN: true, noDefaultInfinity: true } as const;
const positive = fc
  .tuple(fc.double({ min: 1, max: 2, ...finite }), fc.integer({ min: -1074, max: 1023 }))
  .map(([m, e]) => m * 2 ** e);
/** Exponents for which the result is mostly a number between 0 and infinity. */
const within = (x: number, share: number): number => (share * 745) / Math.max(Math.abs(Math.log(x)), 1e-3);
const share = fc.double({ min: -1.02, max: 1.02, ...finite });

describe("x^y", () => {
  it("is rounded correctly, as whole numbers of any length say: of any x, of x near 1, of growth to the year, of small results", () => {
    const anywhere = fc.tuple(positive, share).map(([x, s]) => [x, within(x, s)] as const);
    const near = fc
      .tuple(fc.double({ min: -1e-3, max: 1e-3, ...finite }), fc.double({ min: -1e6, max: 1e6, ...finite }))
      .map(([d, y]) => [1 + d, y] as const);
    const growth = fc
      .tuple(fc.double({ min: 0.01, max: 100, ...finite }), fc.integer({ min: 2, max: 100_000 }))
      .map(([g, n]) => [g, 252 / n] as const);
    const below = fc
      .tuple(positive, fc.double({ min: -1.002, max: -0.949, ...finite }))
      .map(([x, s]) => [x, within(x, Math.log(x) > 0 ? s : -s)] as const);
    fc.assert(
      fc.property(fc.oneof(anywhere, near, growth, below), ([x, y]) => {
        if (x > 0 && Number.isFinite(x)) expect(power(x, y), `${x} ** ${y}`).toBe(exactPower(x, y));
      }),
      { numRuns: 20_000 },
    );
  });

  it("is exact where it can be, and even between two numbers", () => {
    const short = fc.integer({ min: 1, max: 2 ** 27 });
    fc.assert(
      fc.property(short, fc.integer({ min: -60, max: 60 }), (m, e) => {
        const x = m * 2 ** e;
        expect(power(x, 2)).toBe(x * x);
        expect(power(x * x, 0.5)).toBe(Math.sqrt(x * x));
        expect(power(x, -1)).toBe(1 / x);
        expect(power(x, 1)).toBe(x);
        expect(power(x, 3)).toBe(exactPower(x, 3));
      }),
      { numRuns: 5_000 },
    );
    for (let n = -1074; n < 1024; n++) expect(power(2, n)).toBe(2 ** n);
    // 3^2 · 2^-1076 and 5^2 · 2^-1076 lie in the middle of two of the smallest numbers or beside it.
    for (const m of [1, 3, 5, 6, 7, 9, 10])
      expect(power(m * 2 ** -538, 2), String(m)).toBe(Number(exactPower(m * 2 ** -538, 2)));
  });

  it("has the special values of the standard, and its signs", () => {
    const special = [
      0,
      -0,
      1,
      -1,
      0.5,
      -0.5,
      2,
      -2,
      3,
      -3,
      1e300,
      -1e300,
      5e-324,
      -5e-324,
      Number.MAX_VALUE,
      Infinity,
      -Infinity,
      Number.NaN,
      2 ** 53,
      -(2 ** 53),
    ];
    // Of these pairs every engine has the same: signs, zeros, infinities, NaN, and whole powers that are exact.
    for (const x of special) {
      for (const y of special) {
        const ours = power(x, y);
        const theirs = x ** y;
        if (Number.isFinite(theirs) && theirs !== 0 && Math.abs(theirs) !== 1)
          expect(Math.abs(ours / theirs - 1), `${x} ** ${y}`).toBeLessThan(1e-15);
        else expect(ours, `${x} ** ${y}`).toBe(theirs);
      }
    }
  });

  it("is within a unit in the last place of this engine's own", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 100, ...finite }), fc.double({ min: -4, max: 4, ...finite }), (x, y) => {
        const [a = 0n, b = 0n] = new BigInt64Array(Float64Array.of(power(x, y), x ** y).buffer);
        expect(Math.abs(Number(a - b)), `${x} ** ${y}`).toBeLessThanOrEqual(1);
      }),
      { numRuns: 20_000 },
    );
  });
});

describe("e^x", () => {
  it("is rounded correctly, as whole numbers of any length say", () => {
    const any = fc.double({ min: -746, max: 711, ...finite });
    const small = fc
      .tuple(fc.double({ min: -1, max: 1, ...finite }), fc.integer({ min: -70, max: 2 }))
      .map(([x, e]) => x * 2 ** e);
    const below = fc.double({ min: -746, max: -707, ...finite });
    fc.assert(
      fc.property(fc.oneof(any, small, below), (x) => {
        expect(exponential(x), `e^${x}`).toBe(exactExponential(x));
      }),
      { numRuns: 20_000 },
    );
  });

  it("has the known values", () => {
    expect(exponential(0)).toBe(1);
    expect(exponential(-0)).toBe(1);
    expect(exponential(1)).toBe(Math.E);
    expect(exponential(Number.NEGATIVE_INFINITY)).toBe(0);
    expect(exponential(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
    expect(exponential(-1e308)).toBe(0);
    expect(exponential(Number.NaN)).toBeNaN();
  });
});
