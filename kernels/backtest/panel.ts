/**
 * A table of bars as a backtest reads it: rows of one symbol behind one another, ascending in time. A table sorted by
 * symbol, then time, is read in place; one sorted otherwise is gathered once. Every check is one pass over a column.
 */

import { type Bool, type Data, DataType, type Table, type Vector } from "apache-arrow";
import type { z } from "zod";
import type { VolleyError } from "../../proto/errors.js";
import { columnName } from "../columns/column-name.js";
import {
  columnFault,
  columnOf,
  dayColumn,
  isText,
  mistyped,
  optionalFloat64Column,
  storedValues,
} from "../columns/reading.js";

/** Which columns of the table are what; the defaults are the roles' own names. */
export const barColumns = {
  date: columnName.default("date"),
  symbol: columnName.default("symbol").describe("Absent from the table: it is all one symbol."),
  open: columnName.default("open"),
  high: columnName.default("high"),
  low: columnName.default("low"),
  close: columnName.default("close"),
  volume: columnName.default("volume"),
  split: columnName
    .default("split")
    .describe(
      "New shares for one old, on the bar whose prices are the first in new shares; null or 1: none. See `splits`.",
    ),
  delisted: columnName
    .default("delisted")
    .describe(
      "True on the last bar: what is held is closed at its close (or the last one known), with fees, without slippage.",
    ),
};

export type BarColumns = z.output<z.ZodObject<typeof barColumns>>;

export interface Panel {
  readonly rows: number;
  /** In the order of their first rows. */
  readonly symbols: readonly string[];
  /** Rows of symbol s: [starts[s], starts[s + 1]). */
  readonly starts: Int32Array;
  /** Row of the table in each row of the panel; undefined: the same. */
  readonly order: Int32Array | undefined;
  /** Comparable times: days of a date column, ticks of a timestamp. */
  readonly times: Int32Array | Float64Array;
  readonly dates: Vector;
  readonly symbolVector: Vector | undefined;
}

export const hasColumn = (table: Table, name: string): boolean =>
  table.schema.fields.some((field) => field.name === name);

/** Throws INVALID_ARGUMENT: a missing column or one of another type, times of a symbol that do not ascend. */
export function panelOf(table: Table, columns: { readonly date: string; readonly symbol: string }): Panel {
  const dates = columnOf(table, columns.date, "dates or timestamps");
  const symbolVector = hasColumn(table, columns.symbol) ? columnOf(table, columns.symbol, symbols) : undefined;
  const rows = table.numRows;
  const { codes, names } = symbolVector
    ? codesOf(table, symbolVector, columns.symbol)
    : { codes: new Int32Array(rows), names: rows > 0 ? ["all"] : [] };
  const { starts, order } = groupsOf(codes, names.length);
  const times = gather(timesOf(table, columns.date), order);
  const panel: Panel = { rows, symbols: names, starts, order, times, dates, symbolVector };
  for (let s = 0; s < names.length; s++) {
    const end = starts[s + 1] as number;
    let before = Number.NEGATIVE_INFINITY;
    for (let row = starts[s] as number; row < end; row++) {
      const time = times[row] as number;
      if (!(time > before)) throw unsorted(panel, columns.date, s, row);
      before = time;
    }
  }
  return panel;
}

function unsorted(panel: Panel, column: string, symbol: number, row: number): VolleyError {
  const at = (r: number): string => {
    const tableRow = panel.order ? (panel.order[r] as number) : r;
    return `row ${tableRow} (${textOf(panel.dates, tableRow)})`;
  };
  return columnFault(
    column,
    `is not ascending: ${at(row)} of symbol ${JSON.stringify(panel.symbols[symbol])} does not come after ${at(row - 1)}; sort the rows by time`,
  );
}

/** A moment as a person reads it. */
function textOf(dates: Vector, row: number): string {
  const value: unknown = dates.get(row);
  if (typeof value === "number" && (DataType.isDate(dates.type) || DataType.isTimestamp(dates.type))) {
    const text = new Date(value).toISOString();
    return text.endsWith("T00:00:00.000Z") ? text.slice(0, 10) : text;
  }
  return String(value);
}

function timesOf(table: Table, name: string): Int32Array | Float64Array {
  const vector = columnOf(table, name, "dates or timestamps");
  const { type } = vector;
  if (!DataType.isTimestamp(type)) return dayColumn(table, name);
  if (vector.nullCount > 0) dayColumn(table, name); // throws, naming the row
  // Ticks of a nanosecond clock lose their last 8 bits as doubles: enough to order bars.
  return Float64Array.from(storedValues(vector) as ArrayLike<bigint>, Number);
}

// ------------------------------------------------------------------------------------------------ symbols

const symbols = "text or whole numbers";

function codesOf(table: Table, vector: Vector, name: string): { codes: Int32Array; names: string[] } {
  const { type } = vector;
  if (!isText(type) && !DataType.isInt(type)) throw mistyped(table, name, symbols);
  if (vector.nullCount > 0)
    for (let i = 0; i < vector.length; i++)
      if (!vector.isValid(i)) throw columnFault(name, `is null in row ${i}; every bar has a symbol`);
  const codes = new Int32Array(vector.length);
  const known = new Map<string, number>();
  const codeOf = (value: unknown): number => {
    const text = String(value);
    const found = known.get(text);
    if (found !== undefined) return found;
    known.set(text, known.size);
    return known.size - 1;
  };
  let at = 0;
  for (const data of vector.data) {
    codesOfBatch(data, codes.subarray(at, at + data.length), codeOf, (i) => vector.get(i), at);
    at += data.length;
  }
  return { codes, names: [...known.keys()] };
}

/** Neighbouring rows mostly have one symbol, so only where the stored value changes is a string made. */
function codesOfBatch(
  data: Data,
  codes: Int32Array,
  codeOf: (value: unknown) => number,
  valueAt: (row: number) => unknown,
  offset: number,
): void {
  const { valueOffsets, values } = data as { valueOffsets?: Int32Array; values: ArrayLike<number | bigint> };
  const texts = valueOffsets && DataType.isUtf8(data.type) ? valueOffsets : undefined;
  let code = -1;
  let before: number | bigint | undefined;
  for (let i = 0; i < codes.length; i++) {
    if (texts) {
      if (i === 0 || !sameText(texts, values as Uint8Array, i)) code = codeOf(valueAt(offset + i));
    } else if (valueOffsets || values[i] !== before) {
      before = values[i];
      code = codeOf(valueAt(offset + i));
    }
    codes[i] = code;
  }
}

function sameText(offsets: Int32Array, bytes: Uint8Array, i: number): boolean {
  const a = offsets[i - 1] as number;
  const b = offsets[i] as number;
  const length = (offsets[i + 1] as number) - b;
  if (b - a !== length) return false;
  for (let k = length - 1; k >= 0; k--) if (bytes[a + k] !== bytes[b + k]) return false;
  return true;
}

function groupsOf(codes: Int32Array, count: number): { starts: Int32Array; order: Int32Array | undefined } {
  const starts = new Int32Array(count + 1);
  let ascending = true;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] as number;
    starts[code + 1] = (starts[code + 1] as number) + 1;
    if (i > 0 && code < (codes[i - 1] as number)) ascending = false;
  }
  for (let s = 0; s < count; s++) starts[s + 1] = (starts[s + 1] as number) + (starts[s] as number);
  if (ascending) return { starts, order: undefined };
  const next = starts.slice();
  const order = new Int32Array(codes.length);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] as number;
    const at = next[code] as number;
    order[at] = i;
    next[code] = at + 1;
  }
  return { starts, order };
}

function gather<A extends Int32Array | Float64Array | Uint8Array>(values: A, order: Int32Array | undefined): A {
  if (!order) return values;
  const out = new (values.constructor as new (length: number) => A)(order.length);
  for (let i = 0; i < order.length; i++) out[i] = values[order[i] as number] as number;
  return out;
}

// ------------------------------------------------------------------------------------------------ columns

/** Numbers with null as NaN, in the panel's order. */
export const numbersIn = (table: Table, panel: Panel, name: string): Float64Array =>
  gather(optionalFloat64Column(table, name), panel.order);

/** Prices: missing, or positive and finite. */
export function pricesIn(table: Table, panel: Panel, name: string): Float64Array {
  const values = numbersIn(table, panel, name);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value <= 0 || value === Number.POSITIVE_INFINITY)
      throw refused(panel, name, i, value, "a price is a positive number, or missing");
  }
  return values;
}

/** Volumes and split ratios: missing, or finite and not below `least`. */
export function countsIn(table: Table, panel: Panel, name: string, least: number, what: string): Float64Array {
  const values = numbersIn(table, panel, name);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value < least || value === Number.POSITIVE_INFINITY) throw refused(panel, name, i, value, what);
  }
  return values;
}

export const refused = (panel: Panel, name: string, row: number, value: number, why: string): VolleyError =>
  columnFault(name, `is ${value} in row ${panel.order ? panel.order[row] : row}; ${why}`);

/** Adds `bit` to the flags of every row where the column is true; null is false. */
export function flagRows(table: Table, panel: Panel, name: string, bit: number, flags: Uint8Array): void {
  const vector = columnOf(table, name, "booleans");
  if (!DataType.isBool(vector.type)) throw mistyped(table, name, "booleans");
  const own = panel.order ? new Uint8Array(flags.length) : flags;
  let at = 0;
  for (const data of (vector as Vector<Bool>).data) {
    const { values, nullBitmap, nullCount, offset, length } = data;
    // A byte is eight rows, most of them false.
    for (let byte = offset >> 3; byte << 3 < offset + length; byte++) {
      let set = values[byte] as number;
      if (nullCount > 0) set &= nullBitmap[byte] as number;
      const first = at - offset + (byte << 3);
      for (; set !== 0; set &= set - 1) {
        const row = first + 31 - Math.clz32(set & -set);
        if (row >= at && row < at + length) own[row] = (own[row] as number) | bit;
      }
    }
    at += length;
  }
  if (panel.order)
    for (let i = 0; i < flags.length; i++) flags[i] = (flags[i] as number) | (own[panel.order[i] as number] as number);
}
