import { Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { requireKernel } from "../registry.js";
import { faultOf, readStatisticsOracle, rowsOf, tableOf } from "../statistics/testing/statistics-oracle.js";
import { casesPerKernel } from "../testing/property-cases.js";

const oracle = readStatisticsOracle();
const run = (tables: unknown, params: unknown = {}): Table =>
  requireKernel("validation.pbo", 1).run(tables, params) as Table;
const trials = (returns: readonly (readonly number[])[]): Table =>
  tableOf(Object.fromEntries(returns.map((values, i) => [`trial${i}`, values])));
const noise = (seed: number, bars: number): number[] =>
  Array.from({ length: bars }, (_, i) => Math.sin((seed * 7919 + i) ** 2 * 0.7) / 100);

describe("validation.pbo", () => {
  it.each(oracle.overfitting)("is the paper's on arrays: $blocks blocks", ({ blocks, returns, ...theirs }) => {
    const [row] = rowsOf(run(trials(returns), { blocks }));
    expect(row).toMatchObject({
      trials: returns.length,
      bars: returns[0]?.length,
      choices: theirs.choices,
      pbo: theirs.pbo,
      lossProbability: theirs.lossProbability,
    });
    for (const key of ["logitMean", "slope", "intercept"])
      expect(Math.abs((row?.[key] as number) - (theirs[key] as number)), key).toBeLessThan(1e-9);
  });

  it("gives the choices that its summary is made of", () => {
    const { blocks, returns, pbo, choices } = oracle.overfitting[0] as (typeof oracle.overfitting)[number];
    const rows = rowsOf(run(trials(returns), { blocks, detail: "choices" }));
    expect(rows).toHaveLength(choices as number);
    expect(rows.filter(({ logit }) => (logit as number) <= 0).length / rows.length).toBe(pbo);
    for (const { relativeRank, logit } of rows)
      expect(Math.exp(logit as number) / (1 + Math.exp(logit as number))).toBeCloseTo(relativeRank as number, 12);
  });

  it("is 0 for a trial that is better on every block, and 1 where what wins inside loses outside", () => {
    const base = noise(1, 120);
    const better = [base.map((r) => r + 0.05), base, base.map((r) => -r)];
    expect(rowsOf(run(trials(better), { blocks: 6 }))[0]).toMatchObject({ pbo: 0, lossProbability: 0 });
    // Each trial wins on one half of the blocks and loses as much on the other: the winner inside is the last outside.
    const seesaw = [0, 1, 2, 3].map((block) =>
      Array.from(
        { length: 80 },
        (_, i) => (Math.floor(i / 20) === block ? 0.03 : -0.01) + (noise(block, 80)[i] as number) / 1e3,
      ),
    );
    expect(rowsOf(run(trials(seesaw), { blocks: 2 }))[0]).toMatchObject({ pbo: 1 });
  });

  it("about half of all worthless trials that are best inside are below the median outside", () => {
    let sum = 0;
    const rounds = 30;
    for (let k = 0; k < rounds; k++)
      sum += rowsOf(run(trials(Array.from({ length: 10 }, (_, i) => noise(k * 10 + i + 1, 160))), { blocks: 8 }))[0]
        ?.pbo as number;
    expect(sum / rounds).toBeGreaterThan(0.35);
    expect(sum / rounds).toBeLessThan(0.65);
  });

  it("does not depend on how the trials are cut into tables, nor on their scale", () => {
    const returns = fc.array(fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 24, maxLength: 24 }), {
      minLength: 2,
      maxLength: 6,
    });
    fc.assert(
      fc.property(returns, fc.nat(6), (raw, cut) => {
        const columns = raw.map((values) => values.map((value) => value / 1_024));
        const named = columns.map((values, i) => [`trial${i}`, values] as const);
        const part = (from: number, to: number): Table =>
          from < to ? tableOf(Object.fromEntries(named.slice(from, to))) : new Table({});
        const at = Math.min(cut, columns.length);
        const whole = rowsOf(run(trials(columns), { blocks: 4, detail: "choices" }));
        expect(rowsOf(run([part(0, at), part(at, columns.length)], { blocks: 4, detail: "choices" }))).toEqual(whole);
        const scaled = rowsOf(
          run(trials(columns.map((values) => values.map((value) => value * 4))), { blocks: 4, detail: "choices" }),
        );
        expect(scaled.map(({ best, relativeRank }) => [best, relativeRank])).toEqual(
          whole.map(({ best, relativeRank }) => [best, relativeRank]),
        );
        for (const { relativeRank } of whole) {
          expect(relativeRank).toBeGreaterThanOrEqual(1 / (columns.length + 1));
          expect(relativeRank).toBeLessThanOrEqual(columns.length / (columns.length + 1));
        }
      }),
      { numRuns: casesPerKernel },
    );
  });

  it.each<[string, unknown, unknown, RegExp]>([
    [
      "an odd number of blocks",
      trials([noise(1, 40), noise(2, 40)]),
      { blocks: 5 },
      /params\.blocks is 5: expected an even number/,
    ],
    ["one trial", trials([noise(1, 40)]), {}, /1 trial; at least 2/],
    [
      "too few bars",
      trials([noise(1, 6), noise(2, 6)]),
      { blocks: 4 },
      /params\.blocks is 4: 6 bars are fewer than two in each block/,
    ],
    [
      "a missing return",
      tableOf({ a: noise(1, 40), b: [...noise(2, 39), null] }),
      { blocks: 4 },
      /column "b" is null or NaN in row 39/,
    ],
    [
      "tables of other lengths",
      [trials([noise(1, 40)]), trials([noise(1, 41)])],
      { blocks: 4 },
      /tables\.1 has 41 bars, the first table has 40/,
    ],
    [
      "a column that is not there",
      trials([noise(1, 40), noise(2, 40)]),
      { columns: ["trial0", "x"] },
      /column "x" is missing/,
    ],
  ])("refuses %s", (_, tables, params, message) => {
    const fault = faultOf(() => run(tables, params));
    expect(fault.code).toBe("INVALID_ARGUMENT");
    expect(fault.message).toMatch(message);
  });
});
