import { DateDay, Float64, Int32, Table, Utf8, type Vector, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { decodeValue, encodeValue } from "../../proto/values/value.js";
import { requireKernel } from "../registry.js";
import type { WireResult } from "./carry.js";

const floats = (...values: (number | null)[]): Vector => vectorFromArray(values, new Float64());
const run = (name: string, ...args: unknown[]): Table => requireKernel(`feature.${name}`, 1).run(...args) as Table;
const column = (table: Table, name: string): unknown[] => [...(table.getChild(name) ?? [])];
/** What is sent between two tasks, and comes out at the other. */
const overTheWire = (value: unknown): unknown => {
  const { kind, data } = encodeValue(value);
  return decodeValue({ kind, data: data.slice() });
};

describe("a feature on a table", () => {
  const prices = new Table({
    date: vectorFromArray(
      [0, 1, 2, 3].map((day) => new Date(day * 86_400_000)),
      new DateDay(),
    ),
    name: vectorFromArray(["a", "b", "c", "d"], new Utf8()),
    close: floats(1, 2, null, 4),
    volume: vectorFromArray([10, 20, 30, 40], new Int32()),
  });

  it("applies to every column of numbers, nulls missing, and keeps what it is told to", () => {
    const table = run("sma", prices, { window: 2, minPeriods: 1, keep: ["date"] });
    expect(table.schema.fields.map(({ name }) => name)).toEqual(["date", "close", "volume"]);
    expect(column(table, "close")).toEqual([1, 1.5, 2, 4]);
    expect(column(table, "volume")).toEqual([10, 15, 25, 35]);
    expect(column(run("sma", prices, { window: 2 }), "close")).toEqual([null, 1.5, null, null]);
  });

  it("names outputs by column and output, or as told", () => {
    const names = (table: Table): string[] => table.schema.fields.map(({ name }) => name);
    expect(names(run("bollinger", prices, { window: 2, columns: ["close"] }))).toEqual([
      "close_upper",
      "close_middle",
      "close_lower",
    ]);
    expect(names(run("sma", prices, { window: 2, as: "{column}_{output}_2" }))).toEqual([
      "close_sma_2",
      "volume_sma_2",
    ]);
    expect(names(run("volume_power", prices, { window: 2, columns: { buy: "volume", sell: "close" } }))).toEqual([
      "volume_power",
    ]);
    expect(() => run("bollinger", prices, { as: "band" })).toThrow(
      /feature\.bollinger: two output columns are named band/,
    );
    expect(() => run("sma", prices, { window: 2, keep: ["close"], columns: ["close"] })).toThrow(
      /two output columns are named close/,
    );
  });

  it("reads the columns of its inputs by their names or by those given; one that is optional may be absent", () => {
    const bars = new Table({
      high: floats(3, 4),
      low: floats(1, 2),
      adjusted: floats(2, 3),
      volume: floats(1, 3),
      day: floats(1, 2),
    });
    expect(column(run("atr", bars, { window: 1, columns: { close: "adjusted" } }), "atr")).toEqual([null, 2]);
    expect(column(run("vwap", bars, { columns: { close: "adjusted" } }), "vwap")).toEqual([2, 2.75]);
    expect(column(run("vwap", bars, { columns: { close: "adjusted", session: "day" } }), "vwap")).toEqual([2, 3]);
    expect(() => run("atr", bars)).toThrow(/column "close" is missing; the table has high, low, adjusted/);
  });

  it("refuses wrong parameters and columns with their names and values", () => {
    expect(() => run("shift", prices, { periods: -1 })).toThrow(
      /feature\.shift: params\.periods is -1: a negative shift would bring values from the future/,
    );
    expect(() => run("sma", prices, { window: 0 })).toThrow(/params\.window is 0/);
    expect(() => run("sma", prices, { window: 2, minPeriods: 3 })).toThrow(
      /params\.minPeriods is 3: minPeriods is above the window/,
    );
    expect(() => run("sma", prices, { window: 2, widow: 3 })).toThrow(/widow/);
    expect(() => run("macd", prices, { fast: 26, slow: 12 })).toThrow(/params\.fast is 26: fast is not below slow/);
    expect(() => run("realized_volatility", prices, { window: 20 })).toThrow(/params\.periodsPerYear is undefined/);
    expect(() => run("sma", prices, { window: 2, columns: ["name"] })).toThrow(
      /column "name" is .*Utf8.*; expected numbers/,
    );
    expect(() => run("sma", new Table({ name: prices.getChild("name") as Vector }), { window: 2 })).toThrow(
      /no column of numbers; it has name/,
    );
    expect(() => run("sma", [1, 2], { window: 2 })).toThrow(/feature\.sma: table is \[1,2\]: expected an Arrow table/);
  });

  it("an empty table gives an empty table", () => {
    const table = run("rsi", new Table({ close: floats() }));
    expect(table.numRows).toBe(0);
    expect(table.schema.fields.map(({ name }) => name)).toEqual(["close"]);
  });
});

describe("partitions in order", () => {
  // That partitions of any feature are one table, bit for bit, is for kernels/every-kernel.test.ts.
  it("refuses the carry of another feature, other parameters or other columns", () => {
    const table = new Table({ a: floats(1, 2, 3), b: floats(1, 2, 3) });
    const { carry } = run("sma", table, { window: 2, withCarry: true }) as unknown as WireResult;
    const { carry: other } = run("ema", table, { window: 2, withCarry: true }) as unknown as WireResult;
    expect(() => run("sma", table, { window: 2 }, other)).toThrow(
      /carry\.feature is feature\.ema, this partition has feature\.sma/,
    );
    expect(() => run("sma", table, { window: 3 }, carry)).toThrow(
      /carry\.params is {"window":2}, this partition has {"window":3}/,
    );
    expect(() => run("sma", table, { window: 2, columns: ["a"] }, carry)).toThrow(
      /carry\.columns is a,b, this partition has a/,
    );
    expect(() => run("sma", table, { window: 2 }, { ...carry, state: new Float64Array(3) })).toThrow(
      /carry\.state is of 3 numbers, this partition has 1 series of 28/,
    );
    expect(() => run("sma", table, { window: 2 }, { state: 1 })).toThrow(
      /carry is .*expected what the previous partition returned with withCarry/,
    );
  });
});

describe("many series in one table", () => {
  const symbols = ["a", "b", "a", "b", "c", "a", "b", "a"];
  const long = new Table({
    symbol: vectorFromArray(symbols, new Utf8()),
    close: floats(1, 10, 2, null, 5, 4, 30, 8),
    volume: floats(1, 1, 1, 1, 1, 1, 1, 1),
  });

  it("each key has its own state, and every row stays where it was", () => {
    const table = run("diff", long, { by: "symbol", columns: ["close"], keep: ["symbol"] });
    expect(column(table, "symbol")).toEqual(symbols);
    expect(column(table, "close")).toEqual([null, null, 1, null, null, 2, null, 4]);
    expect(column(run("rolling_sum", long, { window: 2, by: "symbol" }), "volume")).toEqual([
      null,
      null,
      2,
      2,
      null,
      2,
      2,
      2,
    ]);
  });

  it("partitions hand on the states of all keys, also of those that a partition does not have", () => {
    const kernel = requireKernel("feature.ema", 1);
    const params = { window: 2, by: "symbol", columns: ["close"], withCarry: true };
    const whole = column((kernel.run(long, params) as WireResult).table, "close");
    let before: unknown;
    const parts = [long.slice(0, 3), long.slice(3, 3), long.slice(3, 5), long.slice(5, 6), long.slice(6)].flatMap(
      (part) => {
        const result = kernel.run(part, params, before) as WireResult;
        before = overTheWire(result);
        return column(result.table, "close");
      },
    );
    expect(parts).toEqual(whole);
    expect((before as WireResult).carry.keys).toEqual(["a", "b", "c"]);
    expect(() => kernel.run(long, { ...params, by: undefined }, before)).toThrow(/carry\.by is symbol/);
  });

  it("refuses a key that is null, naming the row", () => {
    const table = new Table({ symbol: vectorFromArray(["a", null], new Utf8()), close: floats(1, 2) });
    expect(() => run("diff", table, { by: "symbol" })).toThrow(/feature\.diff: column "symbol" is null in row 1/);
    expect(() => run("diff", table, { by: "ticker" })).toThrow(/column "ticker" is missing/);
  });
});
