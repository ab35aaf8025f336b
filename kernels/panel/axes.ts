/**
 * A long table as a (date, symbol) panel: one row for each symbol present on a date.
 *
 * P1  Rows ascend by date, and within a date by symbol; no pair is there twice. A table that is not so is refused,
 * never re-sorted: a panel
 *     that arrives in another order was joined or appended wrongly, and ties would be broken otherwise than its owner
 * thinks. P2  Symbols are in the order of their code points (text), which is the order of their UTF-8 bytes, or of
 * their values (integers). P3  Dates are instants of any precision, integers, floats, or ISO text; each distinct one is
 * a cross-section.
 */
import { DataType, DateUnit, type Table, Vector } from "apache-arrow";
import type { VolleyError } from "../../proto/errors.js";
import { dayVector } from "../columns/building.js";
import { gather } from "../columns/gather.js";
import { columnFault, mistypedFault, type NamedColumn, namedColumn, shownValue } from "../columns/named-column.js";
import { dayColumn } from "../columns/reading.js";
import { type Axis, axisOf, scaleOf } from "../columns/time-axis.js";
import { firstUnsorted, type Symbols } from "./symbols.js";

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

/**
 * Throws INVALID_ARGUMENT that names table, column, row and value if dates go back or, with `unique`, one comes twice.
 * First rows of the dates.
 */
export function dateStarts(column: NamedColumn, unique = false): Int32Array {
  const starts = startsOfIntegers(column.vector) ?? startsOnAxis(column);
  for (let d = 0; unique && d < starts.length - 1; d++) {
    const row = (starts[d] as number) + 1;
    if (row < (starts[d + 1] as number))
      throw columnFault(column, `has ${shownValue(column, row)} in rows ${row - 1} and ${row}; a date comes once`, {
        row,
      });
  }
  return starts;
}

/**
 * Of days and small integers in one batch, read where they are stored. Undefined for other columns, and where dates go
 * back: they are told slowly.
 */
function startsOfIntegers({ type, data, nullCount }: Vector): Int32Array | undefined {
  const [only] = data;
  const small = (DataType.isDate(type) && type.unit === DateUnit.DAY) || (DataType.isInt(type) && type.bitWidth < 64);
  if (!small || !only || data.length !== 1 || nullCount > 0) return undefined;
  const values = (only.values as Int32Array).subarray(0, only.length);
  const size = values.BYTES_PER_ELEMENT;
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const starts: number[] = [];
  let width = 1;
  for (let row = 0; row < values.length; ) {
    const value = values[row] as number;
    if (row > 0 && value < (values[row - 1] as number)) return undefined;
    starts.push(row);
    let next = row + 1;
    // Most dates are as long as the one before: their values are all equal if, read a row on, they are the same bytes.
    const last = row + width - 1;
    if (values[last] === value && bytes.compare(bytes, next * size, (last + 1) * size, row * size, last * size) === 0)
      next = last + 1;
    while (next < values.length && values[next] === value) next++;
    width = next - row;
    row = next;
  }
  starts.push(values.length);
  return Int32Array.from(starts);
}

function startsOnAxis(column: NamedColumn): Int32Array {
  const axis = axisOf(column, scaleOf([column]));
  const rows = column.vector.length;
  const starts: number[] = [];
  for (let row = 0; row < rows; row++) {
    if (Number.isNaN(axis.hi[row])) throw columnFault(column, `is NaN in row ${row}; every row has a date`, { row });
    const step = row === 0 ? 1 : compareTimes(axis, row, axis, row - 1);
    if (step < 0) {
      const value = shownValue(column, row);
      throw columnFault(
        column,
        `is not ascending: row ${row} is ${value}, before ${shownValue(column, row - 1)} in row ${row - 1}; sort the table by it`,
        {
          row,
          value,
        },
      );
    }
    if (step > 0) starts.push(row);
  }
  starts.push(rows);
  return Int32Array.from(starts);
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
  const row = firstUnsorted(symbol, starts);
  if (row >= 0) throw unsortedSymbol(date, symbol, row);
  return { kernel, table, date, symbol, starts, dates: starts.length - 1 };
}

function unsortedSymbol(date: NamedColumn, symbol: NamedColumn, row: number): VolleyError {
  const value = shownValue(symbol, row);
  const before = shownValue(symbol, row - 1);
  const on = shownValue(date, row);
  if (value === before)
    return columnFault(
      symbol,
      `has ${value} twice on ${on}, in rows ${row - 1} and ${row}; a symbol has one row a date`,
      { row, value },
    );
  const why = `is not ascending on ${on}: row ${row} is ${value}, after ${before}; sort the table by ${date.name}, then ${symbol.name}`;
  return columnFault(symbol, why, { row, value });
}

/** The date of every cross-section, in the column's own type. */
export const datesOf = ({ date, starts, dates }: Panel): Vector =>
  new Vector([gather(date.vector, starts.subarray(0, dates))]);

/** Date number of every row. */
export function dateOfRows({ starts, dates, table }: Panel): Int32Array {
  const out = new Int32Array(table.numRows);
  for (let d = 0; d < dates; d++) out.fill(d, starts[d], starts[d + 1]);
  return out;
}

/** Rows by symbol id, ascending in date: of symbol s, rows[starts[s]..starts[s + 1]). */
export function rowsBySymbol({ ids, count }: Symbols): { readonly starts: Int32Array; readonly rows: Int32Array } {
  const starts = new Int32Array(count + 1);
  for (const id of ids) starts[id + 1] = (starts[id + 1] as number) + 1;
  for (let s = 0; s < count; s++) starts[s + 1] = (starts[s + 1] as number) + (starts[s] as number);
  const next = starts.slice();
  const rows = new Int32Array(ids.length);
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row] as number;
    const at = next[id] as number;
    rows[at] = row;
    next[id] = at + 1;
  }
  return { starts, rows };
}
