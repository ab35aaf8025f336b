import type { Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { requireKernel } from "../registry.js";
import { readOracle } from "../sweep/testing/real-prices.js";
import { deflatedSharpe, expectedMaxSharpe, probabilisticSharpe } from "./deflated-sharpe.js";
import { momentsOf, varianceOf } from "./moments.js";
import { estimateOf } from "./sharpe-kernels.js";
import { faultOf, readStatisticsOracle, rowsOf, type StatisticsOracle, tableOf } from "./testing/statistics-oracle.js";

const oracle = readStatisticsOracle();
const run = (kernel: string, ...args: unknown[]): Table => requireKernel(kernel, 1).run(...args) as Table;
const returns = oracle.series.normal?.returns as number[];
const table = tableOf({ r: returns });

describe("stats.sharpe_probabilistic", () => {
  it.each(Object.keys(oracle.series))("%s: scipy's value of the formula, and the track record it needs", (name) => {
    const {
      probabilistic,
      minTrackRecord,
      bars,
      returns: values,
    } = oracle.series[name] as StatisticsOracle["series"][string];
    const [row] = rowsOf(
      run("stats.sharpe_probabilistic", tableOf({ r: values }), { benchmark: 0.01, confidence: 0.9 }),
    );
    expect(row?.bars).toBe(bars);
    if (probabilistic === null || probabilistic === undefined) expect(row?.probability).toBeNull();
    else expect(Math.abs((row?.probability as number) - probabilistic)).toBeLessThan(1e-10);
    if (minTrackRecord === null || minTrackRecord === undefined) expect(row?.minTrackRecord).toBeNull();
    else expect((row?.minTrackRecord as number) / minTrackRecord).toBeCloseTo(1, 8);
  });

  it("after exactly the track record it needs, the probability is the confidence", () => {
    const [row] = rowsOf(run("stats.sharpe_probabilistic", table, { confidence: 0.95 }));
    const estimate = estimateOf(returns);
    expect(probabilisticSharpe({ ...estimate, observations: row?.minTrackRecord as number })).toBeCloseTo(0.95, 12);
  });
});

describe("stats.sharpe_deflated", () => {
  const sharpes = [[0.5, 1.1, null], [-0.3, 0.9], [1.6]];
  const trials = sharpes.map((sharpeIn) => tableOf({ sharpeIn }));
  const params = { sharpeColumn: "sharpeIn", periodsPerYear: 252 };

  it("counts every trial that was run, and takes the variance of those that have a Sharpe ratio", () => {
    const variance = varianceOf(momentsOf([0.5, 1.1, -0.3, 0.9, 1.6])) / 252;
    const [row] = rowsOf(run("stats.sharpe_deflated", table, trials, params));
    expect(row).toMatchObject({ column: "r", bars: 1000, trials: 6, luckSharpe: expectedMaxSharpe(6, variance) });
    expect(row?.deflated).toBe(deflatedSharpe(estimateOf(returns), 6, variance));
    expect(row?.probabilistic).toBe(probabilisticSharpe(estimateOf(returns)));
    expect(row?.deflated as number).toBeLessThan(row?.probabilistic as number);
  });

  it("gives the same from the number and variance of the trials, however the tables are cut", () => {
    const variance = varianceOf(momentsOf([0.5, 1.1, -0.3, 0.9, 1.6])) / 252;
    const whole = rowsOf(run("stats.sharpe_deflated", table, tableOf({ sharpeIn: sharpes.flat() }), params));
    expect(rowsOf(run("stats.sharpe_deflated", table, trials, params))).toEqual(whole);
    expect(rowsOf(run("stats.sharpe_deflated", table, null, { trials: 6, variance }))).toEqual(whole);
  });

  it("agrees with scipy on the luck of many trials", () => {
    for (const c of readOracle().sharpe) {
      const [row] = rowsOf(run("stats.sharpe_deflated", table, null, { trials: c.trials, variance: c.variance }));
      expect(row?.luckSharpe as number).toBeCloseTo(c.expectedMax, 11);
    }
  });

  it("a single trial is not deflated", () => {
    const [row] = rowsOf(run("stats.sharpe_deflated", table, null, { trials: 1 }));
    expect(row?.deflated).toBe(row?.probabilistic);
  });

  it.each([
    ["neither tables nor numbers", [null, {}], /params\.trials is missing: give tables/],
    ["no variance", [null, { trials: 5 }], /params\.variance is missing/],
    ["both", [trials, { ...params, trials: 5 }], /given beside tables of trials/],
    ["no rows", [tableOf({ sharpeIn: [] }), params], /trials has no rows/],
    ["another column", [trials, { sharpeColumn: "sharpe" }], /column "sharpe" is missing; the table has sharpeIn/],
    ["half a trial", [null, { trials: 0.5, variance: 1 }], /params\.trials is 0\.5/],
    ["a negative variance", [null, { trials: 2, variance: -1 }], /params\.variance is -1/],
  ])("refuses %s", (_, args, message) => {
    const fault = faultOf(() => run("stats.sharpe_deflated", table, ...args));
    expect(fault.code).toBe("INVALID_ARGUMENT");
    expect(fault.message).toMatch(message);
  });
});
