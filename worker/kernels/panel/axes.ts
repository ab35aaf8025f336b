/**
 * A long table as a (date, symbol) panel: one row for each symbol present on a date.
 *
 * P1  Rows ascend by date, and within a date by symbol; no pair is there twice. A table that is not so is refused, never re-sorted: a panel
 *     that arrives in another order was joined or appended wrongly, and ties would be broken otherwise than its owner thinks.
 * P2  Symbols are in the order of their code points (text), which is the order of their UTF-8 bytes, or of their values (integers).
 * P3  Dates are instants of any precision, integers, floats, or ISO text; each distinct one is a cross-section.
 */
import { DataType, type Table, Vector } from "apache-arrow";
import { ByKeys } from "../asof/by-keys.js";
import { columnFault, mistypedFault, type NamedColumn, namedColumn, shownValue } from "../asof/faults.js";
import { gather } from "../asof/gather.js";
import { type Axis, axisOf, scaleOf } from "../asof/time-axis.js";
import { dayColumn, dayVector } from "../columns.js";

export interface AxisNames {
  readonly date: string;
  readonly symbol: string;
}

export interface Panel {
  readonly kernel: string;
  readonly table: Table;
  readonly date: NamedColumn;
  readonly symbol: NamedColumn;
  /** Rows of date d: [starts[d], starts[d + 1]). */
  readonly starts: Int32Array;
  /** Number of distinct dates. */
  readonly dates: number;
  /** Id of the symbol in every row; ids are in the order of first appearance. */
  readonly symbolIds: Int32Array;
  /** Number of distinct symbols. */
  readonly symbols: number;
  /** Symbols by id, in the order of P2. */
  readonly sortedIds: Int32Array;
  /** A row of every symbol, by id. */
  readonly symbolRows: Int32Array;
}

/** A column of dates; ISO text is read as days. Nulls are refused where `required`. */
export function dateColumn(kernel: string, side: string, table: Table, name: string, required = true): NamedColumn {
  const column = namedColumn(kernel, side, table, name, "dates, timestamps, integers or ISO text");
  if (required) refuseNull(column, "a date");
  return DataType.isUtf8(column.vector.type) ? { ...column, vector: dayVector(dayColumn(table, name)) } : column;
}

function refuseNull(column: NamedColumn, what: string): void {
  if (column.vector.nullCount === 0) return;
  for (let row = 0; row < column.vector.length; row++)
    if (!column.vector.isValid(row)) throw columnFault(column, `is null in row ${row}; every row has ${what}`, { row });
}

export const compareTimes = (a: Axis, i: number, b: Axis, j: number): number =>
  (a.hi[i] as number) - (b.hi[j] as number) || (a.lo.length > 0 ? (a.lo[i] as number) - (b.lo[j] as number) : 0);

/** Throws INVALID_ARGUMENT that names table, column, row and value if dates go back or, with `unique`, one comes twice. First rows of the dates. */
export function dateStarts(column: NamedColumn, unique = false): Int32Array {
  const axis = axisOf(column, scaleOf([column]));
  const rows = column.vector.length;
  const starts: number[] = [];
  for (let row = 0; row < rows; row++) {
    if (Number.isNaN(axis.hi[row])) throw columnFault(column, `is NaN in row ${row}; every row has a date`, { row });
    const step = row === 0 ? 1 : compareTimes(axis, row, axis, row - 1);
    if (step < 0) {
      const value = shownValue(column, row);
      throw columnFault(column, `is not ascending: row ${row} is ${value}, before ${shownValue(column, row - 1)} in row ${row - 1}; sort the table by it`, {
        row,
        value,
      });
    }
    if (unique && step === 0) throw columnFault(column, `has ${shownValue(column, row)} in rows ${row - 1} and ${row}; a date comes once`, { row });
    if (step > 0) starts.push(row);
  }
  starts.push(rows);
  return Int32Array.from(starts);
}

/** UTF-8 order of two strings, without encoding them: in UTF-16 surrogates sort before U+E000..U+FFFF. */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const lifted = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);
    return lifted(x) - lifted(y);
  }
  return a.length - b.length;
}

function sortedSymbols(symbol: NamedColumn, symbolRows: Int32Array): Int32Array {
  const values = Array.from(symbolRows, (row) => symbol.vector.get(row) as string | number | bigint);
  const order = values.map((_, id) => id);
  order.sort((a, b) => {
    const [x, y] = [values[a], values[b]];
    if (typeof x === "string") return byCodePoint(x, y as string);
    return (x as bigint) < (y as bigint) ? -1 : (x as bigint) > (y as bigint) ? 1 : 0;
  });
  return Int32Array.from(order);
}

/** Throws INVALID_ARGUMENT unless the column holds text or whole numbers (or dictionaries of those). */
export function symbolColumn(kernel: string, side: string, table: Table, name: string): NamedColumn {
  const column = namedColumn(kernel, side, table, name, "text or whole numbers");
  const type: DataType = DataType.isDictionary(column.vector.type) ? column.vector.type.dictionary : column.vector.type;
  if (!DataType.isUtf8(type) && !DataType.isLargeUtf8(type) && !DataType.isInt(type))
    throw mistypedFault(column, "a symbol is text or a whole number, or a dictionary of those");
  refuseNull(column, "a symbol");
  return column;
}

/** Throws INVALID_ARGUMENT as P1 says, naming table, column, row and value. */
export function panelOf(kernel: string, table: Table, names: AxisNames): Panel {
  const date = dateColumn(kernel, "panel", table, names.date);
  const symbol = symbolColumn(kernel, "panel", table, names.symbol);
  const starts = dateStarts(date);
  const { rightIds: symbolIds, count: symbols } = new ByKeys([symbol], table.numRows);
  const symbolRows = new Int32Array(symbols).fill(-1);
  for (let row = symbolIds.length - 1; row >= 0; row--) {
    const id = symbolIds[row] as number;
    if (id < 0) throw columnFault(symbol, `is null in row ${row}; every row has a symbol`, { row });
    symbolRows[id] = row;
  }
  const sortedIds = sortedSymbols(symbol, symbolRows);
  const panel: Panel = { kernel, table, date, symbol, starts, dates: starts.length - 1, symbolIds, symbols, sortedIds, symbolRows };
  checkSymbolOrder(panel);
  return panel;
}

function checkSymbolOrder({ date, symbol, starts, dates, symbolIds, sortedIds }: Panel): void {
  const place = new Int32Array(sortedIds.length);
  for (let i = 0; i < sortedIds.length; i++) place[sortedIds[i] as number] = i;
  for (let d = 0; d < dates; d++) {
    for (let row = (starts[d] as number) + 1; row < (starts[d + 1] as number); row++) {
      const step = (place[symbolIds[row] as number] as number) - (place[symbolIds[row - 1] as number] as number);
      if (step > 0) continue;
      const value = shownValue(symbol, row);
      const on = shownValue(date, row);
      if (step === 0) throw columnFault(symbol, `has ${value} twice on ${on}, in rows ${row - 1} and ${row}; a symbol has one row a date`, { row, value });
      throw columnFault(
        symbol,
        `is not ascending on ${on}: row ${row} is ${value}, after ${shownValue(symbol, row - 1)}; sort the table by ${date.name}, then ${symbol.name}`,
        { row, value },
      );
    }
  }
}

/** The date of every cross-section, in the column's own type. */
export const datesOf = ({ date, starts, dates }: Panel): Vector => new Vector([gather(date.vector, starts.subarray(0, dates))]);

/** Date number of every row. */
export function dateOfRows({ starts, dates, symbolIds }: Panel): Int32Array {
  const out = new Int32Array(symbolIds.length);
  for (let d = 0; d < dates; d++) out.fill(d, starts[d], starts[d + 1]);
  return out;
}

/** Rows by symbol id, ascending in date: of symbol s, rows[starts[s]..starts[s + 1]). */
export function rowsBySymbol({ symbolIds, symbols }: Panel): { readonly starts: Int32Array; readonly rows: Int32Array } {
  const starts = new Int32Array(symbols + 1);
  for (const id of symbolIds) starts[id + 1] = (starts[id + 1] as number) + 1;
  for (let s = 0; s < symbols; s++) starts[s + 1] = (starts[s + 1] as number) + (starts[s] as number);
  const next = starts.slice();
  const rows = new Int32Array(symbolIds.length);
  for (let row = 0; row < symbolIds.length; row++) {
    const id = symbolIds[row] as number;
    const at = next[id] as number;
    rows[at] = row;
    next[id] = at + 1;
  }
  return { starts, rows };
}
