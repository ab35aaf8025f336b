/** Tables of bars for the tests of backtests: the fixture's, and any of columns. */
import { readFileSync } from "node:fs";
import { Bool, DateDay, Float64, Table, Utf8, type Vector, vectorFromArray } from "apache-arrow";
import { optionalFloat64Column } from "../columns.js";

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
  JSON.parse(readFileSync(new URL("../../../../worker/kernels/fixtures/backtest.json", import.meta.url), "utf8")) as Fixture;

const flagNames = new Set(["entries", "exits", "shortEntries", "shortExits", "delisted"]);

/** Columns of each symbol behind one another, with a day per bar. */
export function tableOf(symbols: readonly string[], columns: Readonly<Record<string, readonly Series[]>>): Table {
  const bars = Object.values(columns)[0]?.map((column) => column.length) ?? [];
  const vectors: Record<string, Vector> = {
    date: vectorFromArray(
      bars.flatMap((count) => Array.from({ length: count }, (_, i) => new Date(i * 86_400_000))),
      new DateDay(),
    ),
    symbol: vectorFromArray(
      symbols.flatMap((symbol, s) => Array.from({ length: bars[s] as number }, () => symbol)),
      new Utf8(),
    ),
  };
  for (const [name, values] of Object.entries(columns)) {
    vectors[name] = flagNames.has(name)
      ? vectorFromArray(
          values.flatMap((series) => [...series].map((value) => Number(value) === 1)),
          new Bool(),
        )
      : vectorFromArray(
          values.flatMap((series) => [...(series as (number | null)[])]),
          new Float64(),
        );
  }
  return new Table(vectors);
}

export const tableOfCase = (fixture: Fixture, one: Case): Table => tableOf(fixture.symbols, { ...fixture.markets[one.market], ...one.columns });

export const floats = (table: Table, column: string): Float64Array => optionalFloat64Column(table, column);

export const words = (table: Table, column: string): string[] => Array.from(table.getChild(column) as Vector, String);

/** Days of a date column. */
export const days = (table: Table, column: string): number[] => Array.from(table.getChild(column) as Vector, (ms) => Number(ms) / 86_400_000);
