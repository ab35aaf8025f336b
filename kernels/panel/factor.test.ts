/** Factor analysis against its definitions; the values of scipy and pandas are in peers.test.ts. */
import type { Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { requireKernel } from "../registry.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { type PanelRow, panels, tableOfRows, valuesOf } from "./testing/cases.js";

const runs = { numRuns: casesPerKernel };
const run = (kernel: string, ...args: unknown[]): Table => requireKernel(`panel.${kernel}`, 1).run(...args) as Table;
const datesOf = (rows: readonly PanelRow[]): number[] => [...new Set(rows.map(({ date }) => date))];
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

function correlation(x: readonly number[], y: readonly number[]): number {
  if (x.length < 3 || new Set(x).size < 2 || new Set(y).size < 2) return Number.NaN;
  const [mx, my] = [mean(x), mean(y)];
  const sum = (of: (i: number) => number): number => x.reduce((total, _, i) => total + of(i), 0);
  const [dx, dy] = [(i: number) => (x[i] as number) - mx, (i: number) => (y[i] as number) - my];
  return sum((i) => dx(i) * dy(i)) / Math.sqrt(sum((i) => dx(i) ** 2) * sum((i) => dy(i) ** 2));
}
const ranks = (values: readonly number[]): number[] =>
  values.map((v) => values.filter((w) => w < v).length + (values.filter((w) => w === v).length + 1) / 2);

function close(ours: readonly number[], theirs: readonly number[]): void {
  expect(ours.length).toBe(theirs.length);
  ours.forEach((value, i) => {
    const other = theirs[i] as number;
    if (Number.isNaN(value) && Number.isNaN(other)) return;
    if (!(Math.abs(value - other) <= 1e-9 * Math.max(1, Math.abs(other))))
      expect({ i, value }).toEqual({ i, value: other });
  });
}

describe("information coefficients", () => {
  it("are correlations by date of the rows that have both, and are summarised over dates", () => {
    fc.assert(
      fc.property(panels, fc.constantFrom("spearman", "pearson"), fc.boolean(), (rows, method, mask) => {
        const pairs = datesOf(rows).map((date) =>
          rows
            .filter((row) => row.date === date && !Number.isNaN(row.x) && !Number.isNaN(row.y) && (!mask || row.use))
            .map(({ x, y }) => [x, y] as const),
        );
        const expected = pairs.map((given) => {
          const [x, y] = [given.map(([a]) => a), given.map(([, b]) => b)];
          return method === "pearson" ? correlation(x, y) : correlation(ranks(x), ranks(y));
        });
        const table = run("ic", tableOfRows(rows), {
          factor: "x",
          returns: ["y"],
          correlation: method,
          ...(mask ? { mask: "use" } : {}),
        });
        close(valuesOf(table, "ic_y"), expected);
        expect(valuesOf(table, "n_y")).toEqual(pairs.map((given) => given.length));

        const summary = run("ic_summary", table);
        const there = valuesOf(table, "ic_y").filter((ic) => !Number.isNaN(ic));
        const n = there.length;
        const std =
          n > 1 ? Math.sqrt(there.reduce((total, ic) => total + (ic - mean(there)) ** 2, 0) / (n - 1)) : Number.NaN;
        const at = (name: string): number[] => valuesOf(summary, name);
        expect(at("n")).toEqual([n]);
        close([...at("mean"), ...at("std"), ...at("hit")], [mean(there), std, there.filter((ic) => ic > 0).length / n]);
        if (std > 1e-6) close([...at("ir"), ...at("t")], [mean(there) / std, (mean(there) / std) * Math.sqrt(n)]);
      }),
      runs,
    );
  });

  it("decay is the summary of the coefficients with each horizon's forward returns", () => {
    fc.assert(
      fc.property(panels, (rows) => {
        const table = tableOfRows(rows);
        const horizons = [1, 2, 3];
        const decay = run("ic_decay", table, { factor: "x", price: "price", horizons, ended: "last" });
        const forward = run("forward_returns", table, { price: "price", horizons, ended: "last", keep: ["x"] });
        const summary = run(
          "ic_summary",
          run("ic", forward, { factor: "x", returns: horizons.map((h) => `forward_${h}`) }),
        );
        expect(valuesOf(decay, "horizon")).toEqual(horizons);
        for (const name of ["n", "mean", "std", "ir", "t", "hit"])
          expect(valuesOf(decay, name)).toEqual(valuesOf(summary, name));
      }),
      runs,
    );
  });
});

describe("buckets of a factor", () => {
  const buckets = 3;
  const options = { factor: "x", buckets, meaning: "numpy-linear" };
  const bucketOf = (rows: readonly PanelRow[]): number[] =>
    valuesOf(run("quantile", tableOfRows(rows), { columns: ["x"], buckets, meaning: "numpy-linear" }), "x");

  it("returns are means over the members that have one, weighted or not", () => {
    fc.assert(
      fc.property(panels, fc.boolean(), (rows, weighted) => {
        const bucket = bucketOf(rows);
        const members = (date: number, b: number): PanelRow[] =>
          rows.filter((row, i) => row.date === date && bucket[i] === b);
        const cells = datesOf(rows).flatMap((date) => [1, 2, 3].map((b) => members(date, b)));
        const expected = cells.map((cell) => {
          const used = cell.filter(({ y, price }) => !Number.isNaN(y) && (!weighted || price > 0));
          const weight = ({ price }: PanelRow): number => (weighted ? price : 1);
          return (
            used.reduce((sum, row) => sum + weight(row) * row.y, 0) / used.reduce((sum, row) => sum + weight(row), 0)
          );
        });
        const params = { ...options, returns: ["y"], ...(weighted ? { weight: "price" } : {}) };
        const table = run("quantile_returns", tableOfRows(rows), params);
        close(valuesOf(table, "y"), expected);
        expect(valuesOf(table, "n")).toEqual(cells.map((cell) => cell.length));
        expect(valuesOf(table, "bucket")).toEqual(cells.map((_, i) => (i % 3) + 1));
        const spread = run("quantile_returns", tableOfRows(rows), { ...params, output: "spread" });
        close(
          valuesOf(spread, "y"),
          datesOf(rows).map((_, d) => (expected[3 * d + 2] as number) - (expected[3 * d] as number)),
        );
      }),
      runs,
    );
  });

  it("turnover is the share of names that were not in the bucket before", () => {
    fc.assert(
      fc.property(panels, fc.integer({ min: 1, max: 3 }), (rows, lag) => {
        const bucket = bucketOf(rows);
        const names = (date: number | undefined, b: number): string[] =>
          rows.filter((row, i) => row.date === date && bucket[i] === b).map(({ symbol }) => symbol);
        const dates = datesOf(rows);
        const expected = dates.flatMap((date, d) =>
          [1, 2, 3].map((b) => {
            const [now, before] = [names(date, b), names(dates[d - lag], b)];
            return d < lag ? Number.NaN : now.filter((symbol) => !before.includes(symbol)).length / now.length;
          }),
        );
        expect(valuesOf(run("turnover", tableOfRows(rows), { ...options, lag }), "turnover")).toEqual(expected);
      }),
      runs,
    );
  });

  it("rank autocorrelation is over the symbols of both dates", () => {
    fc.assert(
      fc.property(panels, fc.integer({ min: 1, max: 2 }), (rows, lag) => {
        const dates = datesOf(rows);
        const pairs = dates.map((date, d) =>
          rows.flatMap((row) => {
            const before = rows.find((other) => other.symbol === row.symbol && other.date === dates[d - lag]);
            return row.date === date && before && !Number.isNaN(row.x) && !Number.isNaN(before.x)
              ? [[row.x, before.x] as const]
              : [];
          }),
        );
        const table = run("rank_autocorrelation", tableOfRows(rows), { factor: "x", lag });
        expect(valuesOf(table, "n")).toEqual(pairs.map((given) => given.length));
        close(
          valuesOf(table, "autocorrelation"),
          pairs.map((given) => correlation(ranks(given.map(([x]) => x)), ranks(given.map(([, y]) => y)))),
        );
      }),
      runs,
    );
  });
});
