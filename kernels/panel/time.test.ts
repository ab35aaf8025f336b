/** What reads more than one date: membership, reshaping, forward returns, factor analysis. */
import { DateDay, Table, Timestamp, TimeUnit, Utf8, type Vector, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { float64Vector } from "../columns/building.js";
import { requireKernel } from "../registry.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { contents, type PanelRow, panels, tableOfRows, valuesOf } from "./testing/cases.js";

const runs = { numRuns: casesPerKernel };
const run = (kernel: string, ...args: unknown[]): Table => requireKernel(`panel.${kernel}`, 1).run(...args) as Table;
const day = (date: number): Date => new Date(date * 86_400_000);
const days = (dates: readonly (number | null)[]): Vector =>
  vectorFromArray(
    dates.map((date) => (date === null ? null : day(date))),
    new DateDay(),
  );
const texts = (values: readonly string[]): Vector => vectorFromArray(values, new Utf8());

// ------------------------------------------------------------------------------------------------ universe

const date = fc.integer({ min: -2, max: 20 });
const name = fc.constantFrom("600519", "A", "AA", "gone");
const intervalArbitrary = fc
  .tuple(name, fc.option(date, { freq: 4 }), fc.option(fc.integer({ min: 0, max: 12 }), { freq: 4 }))
  .map(([symbol, from, length]) => ({ symbol, from, to: length === null ? null : (from ?? 0) + length }));

describe("panel.universe", () => {
  it("holds a row if an interval holds its date that no delisting ended before", () => {
    const delisting = fc.record({ symbol: name, date });
    const options = fc.record({
      bounds: fc.constantFrom("half-open", "closed"),
      delistingDay: fc.constantFrom("member", "not-member"),
    });
    fc.assert(
      fc.property(
        panels,
        fc.array(intervalArbitrary, { maxLength: 6 }),
        fc.array(delisting, { maxLength: 4 }),
        options,
        (rows, intervals, ends, params) => {
          const expected = rows.map((row) =>
            intervals.some(({ symbol, from, to }) => {
              const since = from ?? -Infinity;
              const held =
                symbol === row.symbol &&
                row.date >= since &&
                (to === null || row.date < to || (params.bounds === "closed" && row.date === to));
              const ended = ends.some(
                (end) =>
                  end.symbol === symbol &&
                  since <= end.date &&
                  (row.date > end.date || (row.date === end.date && params.delistingDay === "not-member")),
              );
              return held && !ended;
            }),
          );
          const intervalTable = new Table({
            symbol: texts(intervals.map((s) => s.symbol)),
            from: days(intervals.map((s) => s.from)),
            to: days(intervals.map((s) => s.to)),
          });
          const endTable = new Table({ symbol: texts(ends.map((e) => e.symbol)), date: days(ends.map((e) => e.date)) });
          const flagged = run("universe", tableOfRows(rows), intervalTable, ends.length > 0 ? endTable : null, params);
          expect([...(flagged.getChild("member") ?? [])]).toEqual(expected);
          const members = run("universe", tableOfRows(rows), intervalTable, ends.length > 0 ? endTable : null, {
            ...params,
            output: "rows",
          });
          expect(contents(members)).toEqual(contents(tableOfRows(rows.filter((_, i) => expected[i]))));
        },
      ),
      runs,
    );
  });

  it("a mask is the same as taking the other rows away", () => {
    fc.assert(
      fc.property(panels, (rows) => {
        const kept = rows.filter(({ use }) => use);
        const masked = valuesOf(run("zscore", tableOfRows(rows), { columns: ["x"], mask: "use" }), "x");
        expect(masked.filter((_, i) => rows[i]?.use)).toEqual(
          valuesOf(run("zscore", tableOfRows(kept), { columns: ["x"] }), "x"),
        );
        expect(masked.filter((_, i) => !rows[i]?.use).every(Number.isNaN)).toBe(true);
      }),
      runs,
    );
  });

  it("days and timestamps of a session compare as instants", () => {
    const at = (hour: number): number => 86_400_000 + hour * 3_600_000;
    const bars = new Table({
      date: vectorFromArray([at(0), at(10), at(24)], new Timestamp(TimeUnit.MILLISECOND)),
      symbol: texts(["A", "A", "A"]),
    });
    const intervals = new Table({ symbol: texts(["A"]), from: days([1]), to: days([2]) });
    const member = (bounds: string): unknown[] => [
      ...(run("universe", bars, intervals, null, { bounds }).getChild("member") ?? []),
    ];
    expect(member("half-open")).toEqual([true, true, false]);
    expect(member("closed")).toEqual([true, true, true]);
  });
});

// ------------------------------------------------------------------------------------------------ shape and returns

describe("wide and long", () => {
  it("there and back again is the same table without its missing values", () => {
    fc.assert(
      fc.property(panels, (rows) => {
        const there = rows.filter(({ x }) => !Number.isNaN(x));
        const wide = run("pivot", tableOfRows(rows), { columns: ["x"] });
        const names = wide.schema.fields.map((field) => field.name);
        expect(names[0]).toBe("date");
        expect(names.slice(1)).toEqual(
          [...new Set(rows.map(({ symbol }) => symbol))].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
        );
        const long = run("unpivot", wide, { value: "x" });
        expect(contents(long)).toEqual(contents(tableOfRows(there).select(["date", "symbol", "x"])));
        expect(run("unpivot", wide, { missing: "keep" }).numRows).toBe(wide.numRows * (names.length - 1));
      }),
      runs,
    );
  });

  it("names of several columns, and symbols that partitions agree on", () => {
    const table = new Table({
      date: days([1, 1, 2]),
      symbol: texts(["A", "B", "A"]),
      x: float64Vector(Float64Array.of(1, 2, 3)),
      y: float64Vector(Float64Array.of(4, 5, 6)),
    });
    const wide = run("pivot", table, { columns: ["x", "y"], symbols: ["B", "Z"] });
    expect(wide.schema.fields.map((field) => field.name)).toEqual(["date", "x_B", "x_Z", "y_B", "y_Z"]);
    expect(valuesOf(wide, "x_B")).toEqual([2, Number.NaN]);
    expect(valuesOf(wide, "x_Z")).toEqual([Number.NaN, Number.NaN]);
    expect(() => run("pivot", table, { columns: ["x"], as: "{column}" })).toThrow(
      /panel\.pivot: two columns of the result are named "x"/,
    );
  });
});

/**
 * Price of the symbol on the h-th date (or its own h-th row) after a row; `ended`: or the last there was, if the panel
 * goes on.
 */
function laterPrice(rows: readonly PanelRow[], row: PanelRow, h: number, step: string, ended: string): number {
  const own = rows.filter(({ symbol }) => symbol === row.symbol);
  if (step === "row") return own[own.indexOf(row) + h]?.price ?? Number.NaN;
  const dates = [...new Set(rows.map((one) => one.date))];
  const target = dates[dates.indexOf(row.date) + h];
  const found = own.find((one) => one.date === target);
  if (found || target === undefined) return found?.price ?? Number.NaN;
  const last = own.filter((one) => one.date >= row.date && !Number.isNaN(one.price)).at(-1);
  return ended === "last" && own.every((one) => one.date < target) ? (last?.price ?? Number.NaN) : Number.NaN;
}

describe("panel.forward_returns", () => {
  it("goes from a row to the h-th date or row after it", () => {
    const options = fc.record({
      method: fc.constantFrom("simple", "log"),
      step: fc.constantFrom("date", "row"),
      ended: fc.constantFrom("null", "last"),
    });
    fc.assert(
      fc.property(panels, options, fc.integer({ min: 1, max: 4 }), (rows, { method, step, ended }, h) => {
        const expected = rows.map((row) => {
          const ratio = laterPrice(rows, row, h, step, ended) / row.price;
          return method === "log" ? Math.log(ratio) : ratio - 1;
        });
        const made = run("forward_returns", tableOfRows(rows), {
          price: "price",
          horizons: [h, h + 1],
          method,
          step,
          ended,
        });
        const got = valuesOf(made, `forward_${h}`);
        // The logarithm is our own, Math.log the engine's: two units in the last place between them at most.
        if (method === "log") {
          expect(got.map(Number.isNaN)).toEqual(expected.map(Number.isNaN));
          got.forEach((value, i) => {
            const size = Math.abs(expected[i] as number);
            if (!Number.isNaN(value))
              expect(Math.abs(value - (expected[i] as number)), `ln ${i}`).toBeLessThanOrEqual(2 ** -51 * size);
          });
        } else expect(got).toEqual(expected);
      }),
      runs,
    );
  });
});
