import type { Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { optionalFloat64Column } from "../columns/reading.js";
import { requireKernel } from "../registry.js";
import { faultOf, readStatisticsOracle, rowsOf, tableOf } from "../statistics/testing/statistics-oracle.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { resample } from "./bootstrap.js";

const oracle = readStatisticsOracle();
const { seed, meanBlock, rows: drawn, sharpe, maxDrawdown, interval } = oracle.bootstrap;
const returns = ((oracle.series.normal as { returns: readonly (number | null)[] }).returns as number[]).slice(0, 200);
const run = (table: Table, params: Record<string, unknown>): Table =>
  requireKernel("validation.bootstrap", 1).run(table, { periodsPerYear: 252, seed: 1, ...params }) as Table;
const intervals = (tables: readonly Table[], params: unknown = {}): Table =>
  requireKernel("validation.bootstrap_interval", 1).run(tables, params) as Table;

describe("validation.bootstrap", () => {
  it("draws the bars that Python's integers draw", () => {
    const rows = new Int32Array(200);
    drawn.forEach((expected, replicate) => {
      resample(seed, replicate, meanBlock, rows);
      expect([...rows]).toEqual(expected);
    });
  });

  it("has empyrical's statistics of each replicate, and numpy's interval over them", () => {
    const table = run(tableOf({ r: returns }), {
      seed,
      meanBlock,
      replicates: sharpe.length,
      statistics: ["sharpe", "maxDrawdown"],
    });
    const rows = rowsOf(table);
    expect(rows.map(({ replicate }) => replicate)).toEqual([...sharpe.keys()]);
    rows.forEach((row, i) => {
      expect(row.sharpe as number, `sharpe ${i}`).toBeCloseTo(sharpe[i] as number, 9);
      expect(row.maxDrawdown as number, `maxDrawdown ${i}`).toBeCloseTo(maxDrawdown[i] as number, 9);
    });
    const [first, second] = rowsOf(intervals([table], { confidence: 0.9 }));
    expect(first).toMatchObject({ column: "r", statistic: "sharpe", replicates: sharpe.length, undefined: 0 });
    for (const key of ["mean", "standardError", "lower", "median", "upper"])
      expect(first?.[key] as number, key).toBeCloseTo(interval[key] as number, 9);
    expect(second).toMatchObject({ statistic: "maxDrawdown", belowZero: 1 });
  });

  it("gives the same rows bit for bit however the replicates are cut, and the same intervals in any order of the tables", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -0.2, max: 0.2, noNaN: true }), { minLength: 2, maxLength: 30 }),
        fc.nat(Number.MAX_SAFE_INTEGER),
        fc.uniqueArray(fc.integer({ min: 1, max: 11 }), { maxLength: 4 }),
        fc.integer({ min: 1, max: 20 }),
        (values, seed, cuts, meanBlock) => {
          const table = tableOf({ a: values, b: [...values].reverse() });
          const edges = [0, ...cuts.sort((a, b) => a - b), 12];
          const part = (from: number, to: number): Table =>
            run(table, { seed, meanBlock, first: from, replicates: to - from });
          const whole = part(0, 12);
          const parts = edges.slice(1).map((to, i) => part(edges[i] as number, to));
          for (const name of ["replicate", "mean", "sharpe", "cagr", "maxDrawdown"])
            expect(parts.flatMap((piece) => [...optionalFloat64Column(piece, name)])).toEqual([
              ...optionalFloat64Column(whole, name),
            ]);
          const [mixed, straight] = [intervals([...parts].reverse()), intervals([whole])];
          for (const name of ["mean", "standardError", "lower", "upper"])
            expect(optionalFloat64Column(mixed, name)).toEqual(optionalFloat64Column(straight, name));
        },
      ),
      { numRuns: casesPerKernel },
    );
  });

  it("draws every bar equally often, in blocks of the mean length that was asked for", () => {
    const bars = 40;
    const rows = new Int32Array(bars);
    const times = new Float64Array(bars);
    let joins = 0;
    const replicates = 2_000;
    for (let r = 0; r < replicates; r++) {
      resample(5, r, 8, rows);
      for (const [i, row] of rows.entries()) {
        times[row] = (times[row] as number) + 1;
        if (i > 0 && row === ((rows[i - 1] as number) + 1) % bars) joins++;
      }
    }
    // Each count is about 2,000 with a spread of some 120 (blocks); the share of steps that go on is 7/8 and chance
    // hits of 1/8 · 1/40.
    for (const [row, count] of times.entries()) expect(Math.abs(count - replicates), `bar ${row}`).toBeLessThan(600);
    expect(joins / (replicates * (bars - 1))).toBeCloseTo(7 / 8 + 1 / 8 / bars, 2);
  });

  it("the mean over replicates is the mean of the sample, with the spread of independent draws where blocks are single bars", () => {
    const [row] = rowsOf(
      intervals([run(tableOf({ r: returns }), { meanBlock: 1, replicates: 4_000, statistics: ["mean"] })]),
    );
    const mean = returns.reduce((sum, r) => sum + r, 0) / returns.length;
    const standardError = Math.sqrt(returns.reduce((sum, r) => sum + (r - mean) ** 2, 0) / returns.length ** 2);
    expect(Math.abs((row?.mean as number) - mean)).toBeLessThan((5 * standardError) / Math.sqrt(4_000));
    expect((row?.standardError as number) / standardError).toBeCloseTo(1, 1);
  });

  it("gives each statistic the same value whichever others are asked for with it", () => {
    const both = rowsOf(run(tableOf({ r: returns }), { replicates: 5, statistics: ["sharpe", "cvar", "worst"] }));
    const alone = rowsOf(run(tableOf({ r: returns }), { replicates: 5, statistics: ["sharpe"] }));
    const tail = rowsOf(run(tableOf({ r: returns }), { replicates: 5, statistics: ["cvar"] }));
    both.forEach((row, i) => expect([row.sharpe, row.cvar]).toEqual([alone[i]?.sharpe, tail[i]?.cvar]));
    for (const row of both) expect(row.worst as number).toBeLessThanOrEqual(row.cvar as number);
  });

  it("draws the same bars for all columns of a replicate", () => {
    const rows = rowsOf(run(tableOf({ a: returns, b: returns }), { replicates: 20 }));
    for (let i = 0; i < rows.length; i += 2) expect({ ...rows[i], column: "b" }).toEqual(rows[i + 1]);
  });

  it.each<[string, Table, Record<string, unknown>, RegExp]>([
    ["no seed", tableOf({ r: returns }), { seed: undefined }, /params\.seed is undefined/],
    ["a seed that is not a whole number", tableOf({ r: returns }), { seed: 1.5 }, /params\.seed is 1\.5/],
    ["a block of less than a bar", tableOf({ r: returns }), { meanBlock: 0.5 }, /params\.meanBlock is 0\.5/],
    ["an unknown statistic", tableOf({ r: returns }), { statistics: ["alpha"] }, /params\.statistics\.0 is "alpha"/],
    [
      "a missing return",
      tableOf({ r: [0.1, null, 0.2] }),
      {},
      /column "r" is null or NaN in row 1; every bar needs a finite return/,
    ],
    ["a single bar", tableOf({ r: [0.1] }), {}, /a table of 1 rows; at least 2 bars/],
  ])("refuses %s", (_, table, params, message) => {
    const fault = faultOf(() => run(table, params));
    expect(fault.code).toBe("INVALID_ARGUMENT");
    expect(fault.message).toMatch(message);
  });

  it("refuses a replicate that is there twice", () => {
    const table = run(tableOf({ r: returns }), { replicates: 2 });
    expect(faultOf(() => intervals([table, table])).message).toMatch(/replicate 0 of column "r" is there twice/);
  });
});
