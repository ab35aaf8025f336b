import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { exactExponential, exactLog, exactPower, logInTwo, rootInTwo } from "./exact.js";
import { exponential, power } from "./power.js";

type Numbers = readonly (number | "Infinity")[];
/** By mpmath, of 600 bits: bench/peers/powers.py. */
const fixture = JSON.parse(readFileSync(new URL("../../../kernels/fixtures/powers.json", import.meta.url), "utf8")) as {
  power: readonly Numbers[];
  exponential: readonly Numbers[];
};

describe("powers and exponentials that another program rounded correctly", () => {
  it("are what both forms give, also in the middle between two numbers, and within 2^-100 of it", () => {
    expect(fixture.power.length).toBeGreaterThan(1_000);
    for (const [x, y, result] of fixture.power.map((row) => row.map(Number)) as [number, number, number][]) {
      expect(exactPower(x, y), `exactly ${x} ** ${y}`).toBe(result);
      expect(power(x, y), `${x} ** ${y}`).toBe(result);
    }
    for (const [x, result] of fixture.exponential.map((row) => row.map(Number)) as [number, number][]) {
      expect(exactExponential(x), `exactly e^${x}`).toBe(result);
      expect(exponential(x), `e^${x}`).toBe(result);
    }
  });
});

describe("values in two numbers", () => {
  it("have 100 bits: ln 2, ln 10 and the root of 2", () => {
    expect(logInTwo(2)).toEqual([Math.LN2, 2.3190468138462996e-17]);
    expect(logInTwo(10)).toEqual([Math.LN10, -2.1707562233822494e-16]);
    expect(rootInTwo(0.5)).toEqual([Math.SQRT2, -9.667293313452913e-17]);
    expect(rootInTwo(0)).toEqual([1, 0]);
    expect(exactLog(1)).toBe(0n);
    expect(exactLog(8)).toBe(3n * exactLog(2));
  });
});
