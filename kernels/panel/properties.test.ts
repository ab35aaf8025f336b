/** Every kernel against its definition, written out without care for speed. */
import type { Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { requireKernel } from "../registry.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { bySection, type PanelRow, panels, tableOfRows, valuesOf } from "./testing/cases.js";

const runs = { numRuns: casesPerKernel };
const run = (kernel: string, ...args: unknown[]): Table => requireKernel(`panel.${kernel}`, 1).run(...args) as Table;
const rules = fc.record({ group: fc.boolean(), mask: fc.boolean() });
type Rules = { readonly group: boolean; readonly mask: boolean };
const wire = ({ group, mask }: Rules) => ({
  columns: ["x"],
  ...(group ? { group: "sector" } : {}),
  ...(mask ? { mask: "use" } : {}),
});
const share = fc.constantFrom(0.01, 0.1, 0.2, 0.25, 0.29, 1 / 3, 0.5, 0.6, 0.7, 0.9);

function near(ours: readonly number[], theirs: readonly number[], tolerance: number): void {
  expect(ours.length).toBe(theirs.length);
  ours.forEach((value, i) => {
    const other = theirs[i] as number;
    if (
      Number.isNaN(other) !== Number.isNaN(value) ||
      Math.abs(value - other) > tolerance * Math.max(1, Math.abs(other))
    )
      expect({ row: i, value }).toEqual({ row: i, value: other });
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const mean = (values: readonly number[]): number => sum(values) / values.length;
const deviation = (values: readonly number[], ddof: number): number =>
  Math.sqrt(sum(values.map((v) => (v - mean(values)) ** 2)) / (values.length - ddof));
const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

function quantile(values: readonly number[], p: number): number {
  const sorted = ascending(values);
  const at = (sorted.length - 1) * p;
  const [a, b] = [sorted[Math.floor(at)] as number, sorted[Math.min(Math.floor(at) + 1, sorted.length - 1)] as number];
  const rest = at - Math.floor(at);
  return rest >= 0.5 ? b - (b - a) * (1 - rest) : a + (b - a) * rest;
}

/** How many come before value i: smaller ones, and equal ones that stand earlier. */
const placeOf = (values: readonly number[], i: number): number =>
  values.filter((v, k) => v < (values[i] as number) || (v === values[i] && k < i)).length;

function naiveRank(values: readonly number[], i: number, method: string): number {
  const value = values[i] as number;
  const below = values.filter((v) => v < value).length;
  const equal = values.filter((v) => v === value).length;
  const ranks: Record<string, number> = {
    average: below + (equal + 1) / 2,
    min: below + 1,
    max: below + equal,
    dense: new Set(values.filter((v) => v < value)).size + 1,
    ordinal: placeOf(values, i) + 1,
  };
  return ranks[method] as number;
}

describe("panel kernels against their definitions", () => {
  it("rank", () => {
    const methods = fc.constantFrom("average", "min", "max", "dense", "ordinal");
    fc.assert(
      fc.property(
        panels,
        rules,
        methods,
        fc.boolean(),
        fc.constantFrom("rank", "percent", "unit", "middle"),
        (rows, rule, method, up, scale) => {
          const expected = bySection(rows, rule, (given) => {
            const values = up ? given : given.map((v) => -v);
            const n = method === "dense" ? new Set(values).size : values.length;
            return values.map((_, i) => {
              const rank = naiveRank(values, i, method);
              if (scale === "percent") return rank / n;
              if (scale === "middle") return (rank - 0.5) / n;
              return scale === "rank" ? rank : n === 1 ? 0.5 : (rank - 1) / (n - 1);
            });
          });
          expect(
            valuesOf(run("rank", tableOfRows(rows), { ...wire(rule), method, ascending: up, scale }), "x"),
          ).toEqual(expected);
        },
      ),
      runs,
    );
  });

  it("quantile, in the meanings numpy-linear and count", () => {
    const edges = fc.uniqueArray(share, { minLength: 1, maxLength: 4 }).map(ascending);
    fc.assert(
      fc.property(panels, rules, edges, fc.constantFrom("numpy-linear", "count"), (rows, rule, cuts, meaning) => {
        const expected = bySection(rows, rule, (values) =>
          values.map((value, i) => {
            const above = (p: number): boolean =>
              meaning === "count" ? placeOf(values, i) >= Math.trunc(p * values.length) : value > quantile(values, p);
            return 1 + cuts.filter(above).length;
          }),
        );
        expect(valuesOf(run("quantile", tableOfRows(rows), { ...wire(rule), edges: cuts, meaning }), "x")).toEqual(
          expected,
        );
      }),
      runs,
    );
  });

  it("quantile in the meaning of qcut: equal cuts are refused, dropped or null", () => {
    const duplicates = fc.constantFrom("error", "drop", "null");
    fc.assert(
      fc.property(
        panels,
        rules,
        fc.uniqueArray(share, { minLength: 1, maxLength: 4 }).map(ascending),
        duplicates,
        (rows, rule, edges, policy) => {
          let refused = false;
          const expected = bySection(rows, rule, (values) => {
            const cuts = [0, ...edges, 1].map((p) => quantile(values, p));
            const distinct = [...new Set(cuts)];
            if (distinct.length < cuts.length && policy === "error") refused = true;
            if (distinct.length < 2 || (distinct.length < cuts.length && policy === "null"))
              return values.map(() => Number.NaN);
            return values.map((value) => Math.max(1, distinct.filter((cut) => cut < value).length));
          });
          const made = (): number[] =>
            valuesOf(
              run("quantile", tableOfRows(rows), { ...wire(rule), edges, meaning: "qcut", duplicates: policy }),
              "x",
            );
          if (refused)
            expect(made).toThrow(
              /panel\.quantile: column "x" of the panel table has equal quantile cuts \(.*\) among \d+ values; choose .* on 1970-01-\d\d/,
            );
          else expect(made()).toEqual(expected);
        },
      ),
      runs,
    );
  });

  it("select: by n, and by fraction in each meaning", () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 10 }).map((n) => ({ n })),
      fc.tuple(share, fc.constantFrom("numpy-linear", "count")).map(([fraction, meaning]) => ({ fraction, meaning })),
    );
    fc.assert(
      fc.property(panels, rules, size, fc.constantFrom("top", "bottom"), (rows, rule, given, side) => {
        const { n, fraction = 0, meaning } = given as { n?: number; fraction?: number; meaning?: string };
        const expected = bySection(rows, rule, (values) => {
          const turned = side === "top" ? values.map((v) => -v) : values;
          if (meaning === "numpy-linear") {
            const cut = quantile(values, side === "top" ? 1 - fraction : fraction);
            return values.map((v) => Number(side === "top" ? v >= cut : v <= cut));
          }
          return turned.map((_, i) => Number(placeOf(turned, i) < (n ?? Math.trunc(fraction * values.length))));
        }).map((flag) => flag || 0);
        expect(valuesOf(run("select", tableOfRows(rows), { ...wire(rule), side, ...given }), "x_selected")).toEqual(
          expected,
        );
      }),
      runs,
    );
  });

  it("zscore, demean, and neutralise, which within groups is the same", () => {
    fc.assert(
      fc.property(panels, rules, fc.constantFrom(0, 1), (rows, rule, ddof) => {
        const table = tableOfRows(rows);
        const demeaned = bySection(rows, rule, (values) => values.map((v) => v - mean(values)));
        near(valuesOf(run("demean", table, wire(rule)), "x"), demeaned, 1e-11);
        const scored = bySection(rows, rule, (values) => {
          const spread = new Set(values).size > 1 && values.length > ddof ? deviation(values, ddof) : Number.NaN;
          return values.map((v) => (v - mean(values)) / spread);
        });
        const made = valuesOf(run("zscore", table, { ...wire(rule), ddof }), "x");
        near(made, scored, 1e-9);
        expect(valuesOf(run("neutralise", table, { ...wire(rule), ddof, method: "zscore" }), "x")).toEqual(made);
      }),
      runs,
    );
  });

  it("winsorize: by quantile, count, standard deviation and median absolute deviation", () => {
    const tails = fc.tuple(fc.constantFrom(0, 0.01, 0.1, 0.25, 0.45), fc.constantFrom(0, 0.05, 0.2, 0.5));
    fc.assert(
      fc.property(
        panels,
        rules,
        tails,
        fc.constantFrom("quantile", "count", "std", "mad"),
        (rows, rule, [lower, upper], method) => {
          const expected = bySection(rows, rule, (values) => {
            const sorted = ascending(values);
            const n = values.length;
            const median = quantile(values, 0.5);
            const wide =
              method === "std"
                ? 1.5 * (n > 1 ? deviation(values, 1) : Infinity)
                : 1.5 *
                  1.482602218505602 *
                  quantile(
                    values.map((v) => Math.abs(v - median)),
                    0.5,
                  );
            const middle = method === "std" ? mean(values) : median;
            const [low, high] =
              method === "quantile"
                ? [quantile(values, lower), quantile(values, 1 - upper)]
                : method === "count"
                  ? [sorted[Math.trunc(n * lower)] as number, sorted[n - 1 - Math.trunc(n * upper)] as number]
                  : [middle - wide, middle + wide];
            return values.map((v) => Math.min(Math.max(v, low), high));
          });
          near(
            valuesOf(run("winsorize", tableOfRows(rows), { ...wire(rule), lower, upper, method, k: 1.5 }), "x"),
            expected,
            1e-11,
          );
        },
      ),
      runs,
    );
  });

  it("neutralise by regression: nothing of an exposure or a group is left, nothing else is gone", () => {
    fc.assert(
      fc.property(panels, fc.boolean(), fc.boolean(), (rows, group, mask) => {
        const table = tableOfRows(rows);
        const params = { ...wire({ group, mask }), method: "regress", exposures: ["y", "z"] };
        const left = valuesOf(run("neutralise", table, params), "x");
        // What is left of x + 2 y - z + a constant is the same as what is left of x.
        const shifted = rows.map((row) => ({ ...row, x: row.x + 2 * row.y - row.z + 5 }));
        const again = valuesOf(run("neutralise", tableOfRows(shifted), params), "x");
        near(again, left, 1e-8);
        for (const date of new Set(rows.map((row) => row.date))) {
          const used = rows.flatMap((row, i) =>
            row.date === date && !Number.isNaN(left[i]) ? [{ ...row, left: left[i] as number }] : [],
          );
          const against = (weight: (row: PanelRow) => number): number => sum(used.map((row) => row.left * weight(row)));
          const scale = Math.max(1, ...used.map(({ x, y, z }) => Math.max(Math.abs(x), Math.abs(y), Math.abs(z)))) ** 2;
          const leftovers = [against((row) => row.y), against((row) => row.z)];
          for (const sector of group ? ["tech", "bank"] : [undefined])
            leftovers.push(against((row) => (sector === undefined || row.sector === sector ? 1 : 0)));
          for (const leftover of leftovers) expect(Math.abs(leftover)).toBeLessThanOrEqual(1e-9 * scale);
        }
      }),
      runs,
    );
  });

  it("neutralise by regression: null where there are as many unknowns as values; an exposure that others determine is none", () => {
    const row = (symbol: string, x: number, y: number, z: number): PanelRow => ({
      date: 0,
      symbol,
      x,
      y,
      z,
      price: 1,
      sector: "s",
      use: true,
    });
    const left = (rows: PanelRow[], params: Record<string, unknown> = {}): number[] =>
      valuesOf(
        run("neutralise", tableOfRows(rows), { columns: ["x"], method: "regress", exposures: ["y", "z"], ...params }),
        "x",
      );
    const three = [row("A", 1, 1, 0), row("B", 5, 2, 1), row("C", 2, 4, 5)];
    expect(left(three)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect(left(three, { intercept: false }).some(Number.isNaN)).toBe(false);
    const doubled = three.map((one) => ({ ...one, z: 2 * one.y + 3 }));
    near(left(doubled), left(doubled, { exposures: ["y"] }), 1e-12);
    // x on 1 and y: the line through (7/3, 8/3) with slope 1/14.
    near(
      left(doubled),
      [1 - 8 / 3 + (1 / 14) * (4 / 3), 5 - 8 / 3 + (1 / 14) * (1 / 3), 2 - 8 / 3 - (1 / 14) * (5 / 3)],
      1e-12,
    );
  });
});
