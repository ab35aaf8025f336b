import { Table, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { dayVector, textVector } from "../columns/building.js";
import { requireKernel } from "../registry.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { drawdownsOf } from "./drawdowns.js";
import { mergeMoments, momentsOf } from "./moments.js";
import { quantileOf } from "./quantile.js";
import { maxDrawdown } from "./returns.js";
import { faultOf, readStatisticsOracle, rowsOf, tableOf } from "./testing/statistics-oracle.js";

const oracle = readStatisticsOracle();
const run = (kernel: string, ...args: unknown[]): Table => requireKernel(kernel, 1).run(...args) as Table;
/** Relative; absolute below 1e-5, because 1 + r keeps no more of a tiny r. */
const close = (ours: unknown, theirs: number | null | undefined, what: string, digits = 1e-9): void => {
  if (theirs === null || theirs === undefined) expect(ours, what).toBe(theirs ?? null);
  else
    expect(Math.abs((ours as number) - theirs), `${what}: ${ours} and ${theirs}`).toBeLessThanOrEqual(
      digits * Math.max(Math.abs(theirs), 1e-5),
    );
};
const columnsOf = (table: Table) =>
  Object.fromEntries(
    table.schema.fields.map(({ name }) => [name, table.getChild(name) as NonNullable<ReturnType<Table["getChild"]>>]),
  );
const names = Object.keys(oracle.series);
const one = (name: string, params: Record<string, unknown> = {}): Record<string, unknown> =>
  rowsOf(
    run("stats.returns", tableOf({ r: oracle.series[name]?.returns ?? [] }), { periodsPerYear: 252, ...params }),
  )[0] ?? {};

describe("stats.returns against empyrical and scipy", () => {
  const plain = [
    "mean",
    "totalReturn",
    "cagr",
    "volatility",
    "sharpe",
    "sortino",
    "maxDrawdown",
    "skewness",
    "kurtosis",
    "hitRate",
    "profitFactor",
    "var",
    "cvar",
    "best",
    "worst",
  ];
  it.each(names)("%s", (name) => {
    const theirs = oracle.series[name];
    const ours = one(name);
    expect(ours.bars).toBe(theirs?.bars);
    for (const key of plain)
      close(ours[key], theirs?.[key], key, key === "skewness" || key === "kurtosis" ? 1e-8 : 1e-9);
    close(ours.calmar, theirs?.calmar, "calmar", 1e-7);
    close(one(name, { riskFree: 0.0001 }).sharpe, theirs?.sharpeRiskFree, "Sharpe over a risk-free rate");
    close(
      one(name, { minimumAcceptable: 0.0002 }).sortino,
      theirs?.sortinoAcceptable,
      "Sortino over a minimum acceptable return",
    );
  });

  it("gives a row for every column of numbers, or for those asked for, as if each stood alone", () => {
    const length = 500;
    const cut = (name: string) => (oracle.series[name]?.returns ?? []).slice(0, length);
    const table = new Table({
      ...columnsOf(tableOf({ a: cut("normal"), b: cut("gaps") })),
      label: textVector(Array.from({ length }, () => "x")),
    });
    const rows = rowsOf(run("stats.returns", table, { periodsPerYear: 252 }));
    expect(rows.map(({ column }) => column)).toEqual(["a", "b"]);
    expect(rows[1]).toEqual(rowsOf(run("stats.returns", tableOf({ b: cut("gaps") }), { periodsPerYear: 252 }))[0]);
    expect(rowsOf(run("stats.returns", table, { periodsPerYear: 252, columns: ["b"] }))).toEqual([rows[1]]);
  });

  it("is null where nothing is defined", () => {
    expect(rowsOf(run("stats.returns", tableOf({ r: [null, null] }), { periodsPerYear: 252 }))[0]).toMatchObject({
      bars: 0,
      mean: null,
      sharpe: null,
      maxDrawdown: null,
      totalReturn: null,
      var: null,
    });
    expect(rowsOf(run("stats.returns", tableOf({ r: [0, 0, 0] }), { periodsPerYear: 252 }))[0]).toMatchObject({
      bars: 3,
      volatility: 0,
      sharpe: null,
      sortino: null,
      calmar: null,
      hitRate: null,
      profitFactor: null,
    });
    // More than everything lost: no growth rate.
    expect(rowsOf(run("stats.returns", tableOf({ r: [-1.5, 0.1] }), { periodsPerYear: 252 }))[0]).toMatchObject({
      cagr: null,
    });
  });
});

describe("stats.drawdowns", () => {
  it.each(names.filter((name) => name !== "gaps"))("%s: the five deepest of pandas", (name) => {
    const rows = rowsOf(run("stats.drawdowns", tableOf({ r: oracle.series[name]?.returns ?? [] }), { top: 5 }));
    const theirs = oracle.series[name]?.drawdowns ?? [];
    expect(rows).toHaveLength(theirs.length);
    rows.forEach((row, i) => {
      const [depth, peak, valley, recovery] = theirs[i] ?? [];
      close(row.depth, depth, `depth ${i}`);
      expect([row.peak, row.valley, row.recovery], `places of ${i}`).toEqual([
        peak === -1 ? null : peak,
        valley,
        recovery,
      ]);
    });
  });

  it("names rows and dates of the table, missing bars counted", () => {
    const table = new Table({
      ...columnsOf(tableOf({ r: [0.1, null, -0.5, 0.2, null, 1] })),
      date: dayVector(Int32Array.from([0, 1, 2, 3, 4, 5])),
    });
    expect(rowsOf(run("stats.drawdowns", table, { columns: ["r"], date: "date" }))).toEqual([
      {
        column: "r",
        depth: -0.5,
        peak: 0,
        valley: 2,
        recovery: 5,
        fallBars: 1,
        bars: 3,
        peakDate: 0,
        valleyDate: 2 * 86_400_000,
        recoveryDate: 5 * 86_400_000,
      },
    ]);
  });

  it("the deepest is the maximum drawdown, and together they cover every bar below its peak", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -0.5, max: 0.5, noNaN: true }), { maxLength: 60 }), (returns) => {
        const found = drawdownsOf(returns);
        expect(Math.min(0, ...found.map(({ depth }) => depth))).toBe(maxDrawdown(returns));
        let value = 1;
        let peak = 1;
        returns.forEach((r, bar) => {
          value *= 1 + r;
          peak = Math.max(peak, value);
          const inside = found.some((d) => bar > d.peak && bar < (d.recovery ?? returns.length));
          expect(inside, `bar ${bar}`).toBe(value < peak);
        });
      }),
      { numRuns: casesPerKernel },
    );
  });
});

describe("the parts", () => {
  it("quantiles between the smallest and the largest, as numpy's", () => {
    const ascending = Float64Array.of(1, 2, 4, 8);
    expect([0, 0.25, 0.5, 1].map((p) => quantileOf(ascending, p))).toEqual([1, 1.75, 3, 8]);
    expect(quantileOf(new Float64Array(0), 0.5)).toBeNaN();
  });

  it("moments merged are those of all together", () => {
    const values = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { maxLength: 50 });
    fc.assert(
      fc.property(values, values, (a, b) => {
        const [merged, whole] = [mergeMoments(momentsOf(a), momentsOf(b)), momentsOf([...a, ...b])];
        expect(merged.count).toBe(whole.count);
        for (const [key, power] of [
          ["mean", 1],
          ["m2", 2],
          ["m3", 3],
          ["m4", 4],
        ] as const)
          expect(Math.abs(merged[key] - whole[key]), key).toBeLessThan(1e-11 * 100 * 10 ** power);
      }),
      { numRuns: casesPerKernel },
    );
  });
});

describe("wrong returns", () => {
  const good = tableOf({ r: [0.1, -0.1] });
  it.each([
    [
      "an infinite value",
      tableOf({ r: [0.1, Number.POSITIVE_INFINITY] }),
      { periodsPerYear: 252 },
      /column "r" is Infinity in row 1; a return must be finite/,
    ],
    [
      "a column that is not there",
      good,
      { periodsPerYear: 252, columns: ["x"] },
      /column "x" is missing; the table has r/,
    ],
    [
      "text",
      new Table({ r: vectorFromArray(["a"]) }),
      { periodsPerYear: 252, columns: ["r"] },
      /column "r" is Dictionary.*expected numbers/,
    ],
    [
      "no column of numbers",
      new Table({ r: textVector(["a"]) }),
      { periodsPerYear: 252 },
      /no column of numbers; it has r: Utf8/,
    ],
    ["no periods per year", good, {}, /stats\.returns: params\.periodsPerYear is undefined/],
    ["a tail of 1", good, { periodsPerYear: 252, tail: 1 }, /params\.tail is 1/],
    ["an unknown option", good, { periodsPerYear: 252, ddof: 1 }, /Unrecognized key: "ddof"/],
  ])("%s", (_, table, params, message) => {
    const fault = faultOf(() => run("stats.returns", table, params));
    expect(fault.code).toBe("INVALID_ARGUMENT");
    expect(fault.message).toMatch(message);
  });
});
