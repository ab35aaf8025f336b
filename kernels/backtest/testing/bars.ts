/** Tables of bars for the tests of backtests: the fixture's, and any of columns. */
import { readFileSync } from "node:fs";
import { Table, type Vector } from "apache-arrow";
import { boolVector, dayVector, float64Vector, textVector } from "../../columns/building.js";
import { optionalFloat64Column } from "../../columns/reading.js";

/** Numbers, or flags as a text of 0 and 1. */
export type Series = readonly (number | null)[] | string;

export interface Case {
  readonly name: string;
  readonly peer: "vectorbt" | "oracle";
  readonly kernel: string;
  readonly market: string;
  readonly params: Record<string, unknown>;
  readonly columns: Record<string, Series[]>;
  /** symbol, bar, side, size, price, fees. */
  readonly orders: number[][];
  /** symbol, entry bar, exit bar, side, closed, size, entry price, exit price, profit. */
  readonly trades?: number[][];
  readonly value: number[][];
}

export interface Fixture {
  readonly symbols: string[];
  readonly bars: number;
  readonly markets: Record<string, Record<string, Series[]>>;
  readonly cases: Case[];
}

/** Fixtures are not copied to dist. */
export const readFixture = (): Fixture =>
  JSON.parse(readFileSync(new URL("../../../../kernels/fixtures/backtest.json", import.meta.url), "utf8")) as Fixture;

const flagNames = new Set(["entries", "exits", "shortEntries", "shortExits", "delisted"]);

/** Columns of each symbol behind one another, with a day per bar. */
export function tableOf(symbols: readonly string[], columns: Readonly<Record<string, readonly Series[]>>): Table {
  const bars = Object.values(columns)[0]?.map((column) => column.length) ?? [];
  const vectors: Record<string, Vector> = {
    date: dayVector(Int32Array.from(bars.flatMap((count) => Array.from({ length: count }, (_, i) => i)))),
    symbol: textVector(symbols.flatMap((symbol, s) => new Array<string>(bars[s] as number).fill(symbol))),
  };
  for (const [name, values] of Object.entries(columns)) {
    const all = values.flatMap((series) => [...series]);
    vectors[name] = flagNames.has(name)
      ? boolVector(all.map((value) => Number(value) === 1))
      : float64Vector(Float64Array.from(all, (value) => (value === null ? Number.NaN : Number(value))));
  }
  return new Table(vectors);
}

export const tableOfCase = (fixture: Fixture, one: Case): Table =>
  tableOf(fixture.symbols, { ...fixture.markets[one.market], ...one.columns });

export const floats = (table: Table, column: string): Float64Array => optionalFloat64Column(table, column);

export const words = (table: Table, column: string): string[] => Array.from(table.getChild(column) as Vector, String);

/** Days of a date column. */
export const days = (table: Table, column: string): number[] =>
  Array.from(table.getChild(column) as Vector, (ms) => Number(ms) / 86_400_000);
