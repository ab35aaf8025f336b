/** Kernels whose dates are independent: any cut between dates, any batches and any types of the axes give the same bits. */
import { DateDay, Dictionary, Int32, Int64, Table, Timestamp, TimeUnit, Utf8, type Vector, vectorFromArray } from "apache-arrow";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeValue, encodeValue } from "../../../proto/value.js";
import { float64Vector } from "../columns.js";
import { requireKernel } from "../registry.js";
import { type PanelRow, panels, tableOfRows, valuesOf } from "./cases.js";

const run = (kernel: string, ...args: unknown[]): Table => requireKernel(`panel.${kernel}`, 1).run(...args) as Table;
const day = (date: number): Date => new Date(date * 86_400_000);
const days = (dates: readonly number[]): Vector => vectorFromArray(dates.map(day), new DateDay());
const texts = (values: readonly string[]): Vector => vectorFromArray(values, new Utf8());
const overTheWire = (value: Table): Table => {
  const { kind, data } = encodeValue(value);
  return decodeValue({ kind, data: data.slice() }) as Table;
};

/** All that tables say, behind one another. NaN does not come out of kernels; -0 is not 0. */
const contents = (tables: readonly Table[]): string => {
  const columns = (tables[0] as Table).schema.fields.map(({ name, type }) => {
    const values = tables.flatMap((table) => [...(table.getChild(name) ?? [])] as unknown[]);
    return [name, String(type), ...values.map((value) => (Object.is(value, -0) ? "-0" : value))];
  });
  return JSON.stringify(columns);
};
const same = (made: readonly Table[], expected: Table): void => {
  if (contents(made) !== contents([expected])) expect(contents(made)).toBe(contents([expected]));
};

const factorOptions = { factor: "x", buckets: 3, meaning: "count" };
const dateLocal: readonly (readonly [string, Record<string, unknown>])[] = [
  ["rank", { columns: ["x", "y"], group: "sector" }],
  ["quantile", { columns: ["x"], buckets: 3, meaning: "qcut", duplicates: "drop", mask: "use" }],
  ["select", { columns: ["x"], side: "top", fraction: 0.3, meaning: "numpy-linear" }],
  ["zscore", { columns: ["x", "y"] }],
  ["demean", { columns: ["x"], group: "sector", keep: ["price"] }],
  ["winsorize", { columns: ["x"], method: "mad" }],
  ["neutralise", { columns: ["x"], method: "regress", exposures: ["y"], group: "sector" }],
  ["ic", { factor: "x", returns: ["y", "z"] }],
  ["quantile_returns", { ...factorOptions, returns: ["y"], weight: "price" }],
  ["pivot", { columns: ["x", "y"], symbols: ["A", "600519", "nobody"] }],
];

/** Before the first row of a date; a date after the last cuts off nothing. */
const placeOf = (rows: readonly PanelRow[], date: number): number => {
  const at = rows.findIndex((row) => row.date >= 3 * date);
  return at < 0 ? rows.length : at;
};

describe("partitions between dates", () => {
  const halves = [dateLocal.slice(0, 5), dateLocal.slice(5)].map((some) => [some.map(([kernel]) => kernel).join(", "), some] as const);

  it.each(halves)("of %s are the whole, bit for bit", (_, kernels) => {
    fc.assert(
      fc.property(panels, fc.nat(6), (rows, date) => {
        const whole = tableOfRows(rows);
        const at = placeOf(rows, date);
        // A slice shares the buffers of the whole, at an offset; over the wire it has its own.
        const [head, tail] = [overTheWire(whole.slice(0, at)), whole.slice(at)];
        for (const [kernel, params] of kernels) same([run(kernel, head, params), run(kernel, tail, params)], run(kernel, whole, params));
      }),
      { numRuns: 1_000 },
    );
  });

  it("batches of a table are no partitions", () => {
    fc.assert(
      fc.property(panels, fc.nat(50), fc.nat(50), (rows, one, two) => {
        const whole = tableOfRows(rows);
        const cuts = [0, Math.min(one, rows.length), Math.min(two, rows.length), rows.length].sort((a, b) => a - b);
        const [first, ...others] = cuts.slice(1).flatMap((to, i) => ((cuts[i] as number) < to ? [whole.slice(cuts[i], to)] : []));
        if (!first) return;
        const batches = first.concat(...others);
        for (const [kernel, params] of dateLocal) same([run(kernel, batches, params)], run(kernel, whole, params));
      }),
      { numRuns: 200 },
    );
  });

  it("dates and symbols of any type make the same cross-sections", () => {
    fc.assert(
      fc.property(panels, (given) => {
        const rows = given.filter(({ symbol }) => symbol.startsWith("6"));
        const values = { x: float64Vector(Float64Array.from(rows, ({ x }) => x)) };
        const dates: Vector[] = [
          days(rows.map(({ date }) => date)),
          vectorFromArray(
            rows.map(({ date }) => date * 86_400_000),
            new Timestamp(TimeUnit.MILLISECOND),
          ),
          texts(rows.map(({ date }) => day(date).toISOString().slice(0, 10))),
          float64Vector(Float64Array.from(rows, ({ date }) => date / 7)),
        ];
        const names = rows.map(({ symbol }) => symbol);
        const symbols: Vector[] = [
          texts(names),
          vectorFromArray(names, new Dictionary(new Utf8(), new Int32())),
          vectorFromArray(names.map(Number), new Int32()),
          vectorFromArray(names.map(BigInt), new Int64()),
        ];
        const ranks = dates.flatMap((date) =>
          symbols.map((symbol) => valuesOf(run("rank", new Table({ date, symbol, ...values }), { method: "ordinal" }), "x")),
        );
        for (const rank of ranks) expect(rank).toEqual(ranks[0]);
      }),
      { numRuns: 200 },
    );
  });
});
