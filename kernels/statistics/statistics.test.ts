import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { readOracle } from "../sweep/testing/real-prices.js";
import { deflatedSharpe, expectedMaxSharpe, probabilisticSharpe } from "./deflated-sharpe.js";
import { kurtosisOf, mergeVariance, momentsFromSums, momentsOf, skewnessOf, varianceOf } from "./moments.js";
import { normalCdf, normalQuantile } from "./normal.js";
import { calmarRatio, compoundAnnualGrowth, maxDrawdown, sharpeRatio, sortinoRatio, volatility } from "./returns.js";

const oracle = readOracle();
const relative = (ours: number, theirs: number): number =>
  ours === theirs ? 0 : Math.abs(ours - theirs) / Math.abs(theirs);

describe("normal distribution", () => {
  it("has scipy's cdf to 14 digits, less in the far tails where x² magnifies the rounding of x", () => {
    for (const [x, p] of oracle.normal.cdf)
      expect(relative(normalCdf(x), p), `cdf(${x})`).toBeLessThan(2e-14 + 4e-16 * x * x);
  });
  it("has scipy's quantile to 14 digits", () => {
    for (const [p, x] of oracle.normal.quantile)
      expect(Math.abs(normalQuantile(p) - x), `quantile(${p})`).toBeLessThan(1e-14 * Math.max(1, Math.abs(x)));
  });
  it("is exact at the ends and not defined beyond them", () => {
    expect([
      normalQuantile(0),
      normalQuantile(1),
      normalQuantile(0.5),
      normalCdf(-Infinity),
      normalCdf(Infinity),
      normalCdf(0),
    ]).toEqual([-Infinity, Infinity, 0, 0, 1, 0.5]);
    expect([normalQuantile(-0.1), normalQuantile(1.1), normalQuantile(Number.NaN), normalCdf(Number.NaN)]).toEqual([
      Number.NaN,
      Number.NaN,
      Number.NaN,
      Number.NaN,
    ]);
  });
});

describe("Sharpe ratios under many trials", () => {
  it("agree with scipy on random cases", () => {
    for (const c of oracle.sharpe) {
      expect(relative(expectedMaxSharpe(c.trials, c.variance), c.expectedMax)).toBeLessThan(1e-12);
      expect(relative(probabilisticSharpe(c), c.probabilistic)).toBeLessThan(1e-10);
      expect(relative(deflatedSharpe(c, c.trials, c.variance), c.deflated)).toBeLessThan(1e-9);
    }
  });
  it("give the worked example of Bailey and López de Prado (2014)", () => {
    // Annual Sharpe 2.5 over five years of 250 days, skewness -3, kurtosis 10; 100 trials whose annual Sharpe ratios
    // have variance 1/2.
    const estimate = { sharpe: 2.5 / Math.sqrt(250), observations: 1250, skewness: -3, kurtosis: 10 };
    const variance = 0.5 / 250;
    expect(expectedMaxSharpe(100, variance)).toBeCloseTo(0.1132, 4);
    expect(deflatedSharpe(estimate, 100, variance)).toBeCloseTo(0.9004, 4);
    // With 46 trials the same strategy would have passed the 95 % level.
    expect(deflatedSharpe(estimate, 46, variance)).toBeCloseTo(0.9505, 3);
  });
  it("a single trial needs no deflation", () => {
    const estimate = { sharpe: 0.05, observations: 1000, skewness: 0, kurtosis: 3 };
    expect(deflatedSharpe(estimate, 1, 0.01)).toBe(probabilisticSharpe(estimate));
  });
});

describe("moments", () => {
  const values = fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 2, maxLength: 200 });
  it("are those of the textbook's two passes", () => {
    fc.assert(
      fc.property(values, (xs) => {
        const n = xs.length;
        const mean = xs.reduce((a, b) => a + b, 0) / n;
        const power = (k: number): number => xs.reduce((a, x) => a + (x - mean) ** k, 0);
        const m = momentsOf(xs);
        const scale = Math.max(1, ...xs.map(Math.abs));
        expect(Math.abs(m.mean - mean)).toBeLessThan(1e-12 * scale);
        expect(Math.abs(m.m2 - power(2))).toBeLessThan(1e-10 * n * scale ** 2);
        expect(Math.abs(m.m3 - power(3))).toBeLessThan(1e-10 * n * scale ** 3);
        expect(Math.abs(m.m4 - power(4))).toBeLessThan(1e-10 * n * scale ** 4);
      }),
    );
  });
  it("come out the same from sums of powers while the mean is small, and as nothing where only rounding varies", () => {
    const returns = Array.from({ length: 5000 }, (_, i) => Math.sin(i * i) * 0.02 + 0.0003);
    const sums = [1, 2, 3, 4].map((k) => returns.reduce((sum, r) => sum + r ** k, 0)) as [
      number,
      number,
      number,
      number,
    ];
    const [a, b] = [momentsFromSums(5000, ...sums), momentsOf(returns)];
    for (const key of ["mean", "m2", "m3", "m4"] as const) expect(relative(a[key], b[key]), key).toBeLessThan(1e-11);
    expect(momentsFromSums(3, 0.3, 0.03, 0.003, 0.0003).m2).toBe(0);
    expect(momentsFromSums(0, 0, 0, 0, 0).count).toBe(0);
  });
  it("keep their digits beside a large mean", () => {
    const noise = [0.1, -0.2, 0.3, 0.05, -0.25];
    expect(relative(varianceOf(momentsOf(noise.map((x) => x + 1e6))), varianceOf(momentsOf(noise)))).toBeLessThan(1e-8);
  });
  it("merge as if taken together", () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        const together = momentsOf([...a, ...b]);
        const merged = mergeVariance(momentsOf(a), momentsOf(b));
        expect(merged.count).toBe(together.count);
        expect(Math.abs(merged.mean - together.mean)).toBeLessThan(1e-9);
        expect(Math.abs(merged.m2 - together.m2)).toBeLessThan(1e-9 * Math.max(1, together.m2));
      }),
    );
  });
  it("are missing where nothing varies", () => {
    const flat = momentsOf([0, 0, 0]);
    expect([sharpeRatio(flat, 252), skewnessOf(flat), kurtosisOf(flat)]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect(varianceOf(momentsOf([1]))).toBeNaN();
    expect(mergeVariance(momentsOf([]), momentsOf([]))).toEqual({ count: 0, mean: 0, m2: 0 });
  });
});

describe("return statistics", () => {
  it("anchors the maximum drawdown at the starting value", () => {
    expect(maxDrawdown([-0.5, 0])).toBe(-0.5);
    expect(maxDrawdown([0.1, -0.5, 1, 0.1])).toBeCloseTo(-0.5, 12);
    expect(maxDrawdown([0.1, 0.2])).toBe(0);
  });
  it("computes by hand what it says it computes", () => {
    const returns = [0.01, -0.02, 0.03, 0];
    const m = momentsOf(returns);
    const deviation = Math.sqrt((0.005 ** 2 + 0.025 ** 2 + 0.025 ** 2 + 0.005 ** 2) / 3);
    expect(sharpeRatio(m, 252)).toBeCloseTo((0.005 / deviation) * Math.sqrt(252), 12);
    expect(volatility(m, 252)).toBeCloseTo(deviation * Math.sqrt(252), 12);
    expect(sortinoRatio(returns, 252)).toBeCloseTo((0.005 / Math.sqrt(0.02 ** 2 / 4)) * Math.sqrt(252), 12);
    expect(sortinoRatio([0.01, 0.02], 252)).toBeNaN();
    expect(compoundAnnualGrowth(1.21, 504, 252)).toBeCloseTo(0.1, 12);
    expect(calmarRatio(0.1, -0.2)).toBeCloseTo(0.5, 12);
    expect(calmarRatio(0.1, 0)).toBeNaN();
  });
});
