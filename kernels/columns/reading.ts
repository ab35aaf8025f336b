/**
 * Arrow columns as typed arrays. Reading a Float64 column of one batch copies nothing.
 *
 * What is refused is told as column, what it is, what was expected and which columns there are; the kernel's name is
 * put before it in one place for all, `defineKernel`.
 */
import { DataType, DateUnit, type Dictionary, type Table, TimeUnit, type Vector } from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";

const dayMs = 86_400_000;

/** `why` follows the column's name: "is -1 in row 3; a price is a positive number". */
export const columnFault = (column: string, why: string): VolleyError =>
  new VolleyError("INVALID_ARGUMENT", `column ${JSON.stringify(column)} ${why}`, { details: { column } });

/** How many columns a message names: of a lake's table of thousands it would be nothing but names. */
const namesMax = 30;

/** The names of a table's columns, as messages list them. */
export function columnNames({ schema: { fields } }: Table): string {
  if (fields.length === 0) return "no columns";
  const names = fields.slice(0, namesMax).map(({ name }) => name);
  return names.join(", ") + (fields.length > namesMax ? ` and ${fields.length - namesMax} more` : "");
}

/** Throws INVALID_ARGUMENT that names the column, what is expected of it ("numbers") and what the table has instead. */
export function columnOf(table: Table, name: string, expected: string): Vector {
  const vector = table.getChild(name);
  if (vector) return vector;
  throw columnFault(name, `is missing; the table has ${columnNames(table)}; expected ${expected}`);
}

/** A column that is there, but of a type that is not `expected`. */
export const mistyped = (table: Table, name: string, expected: string): VolleyError =>
  columnFault(name, `is ${table.getChild(name)?.type}; expected ${expected}; the table has ${columnNames(table)}`);

const numbers = "numbers";
const dates = "dates, timestamps or ISO text such as 2008-09-15";

export const isText = (type: DataType): boolean =>
  DataType.isUtf8(type) ||
  DataType.isLargeUtf8(type) ||
  (DataType.isDictionary(type) && isText((type as Dictionary).dictionary));

function refuseNulls(vector: Vector, name: string): void {
  if (vector.nullCount === 0) return;
  for (let i = 0; i < vector.length; i++)
    if (!vector.isValid(i)) throw columnFault(name, `is null in row ${i}; fill or drop the row first`);
}

/** A numeric column as float64, in place where it is float64 in one batch. Nulls are refused. */
export function float64Column(table: Table, name: string): Float64Array {
  const vector = columnOf(table, name, numbers);
  const values = floatsOf(table, vector, name);
  refuseNulls(vector, name);
  return values;
}

/** A numeric column with null as NaN. */
export function optionalFloat64Column(table: Table, name: string): Float64Array {
  const vector = columnOf(table, name, numbers);
  const values = floatsOf(table, vector, name);
  if (vector.nullCount === 0) return values;
  const out = values.slice();
  let row = 0;
  for (const { length, offset, nullBitmap, nullCount } of vector.data) {
    if (nullCount > 0)
      for (let i = offset; i < offset + length; i++) {
        const bits = nullBitmap[i >> 3] as number;
        // Eight at a time where none is missing.
        if (bits === 255) i |= 7;
        else if (!(bits & (1 << (i & 7)))) out[row + i - offset] = Number.NaN;
      }
    row += length;
  }
  return out;
}

function floatsOf(table: Table, vector: Vector, name: string): Float64Array {
  const { type } = vector;
  if (!DataType.isFloat(type) && !DataType.isInt(type)) throw mistyped(table, name, numbers);
  const values: unknown = vector.toArray();
  if (values instanceof Float64Array) return values;
  return Float64Array.from(values as ArrayLike<number | bigint>, Number);
}

/** A date column as days since 1970-01-01: Arrow dates, timestamps (the day in UTC) or ISO text. Nulls are refused. */
export function dayColumn(table: Table, name: string): Int32Array {
  const vector = columnOf(table, name, dates);
  const { type } = vector;
  if (!DataType.isDate(type) && !DataType.isTimestamp(type) && !isText(type)) throw mistyped(table, name, dates);
  refuseNulls(vector, name);
  if (DataType.isDate(type) && type.unit === DateUnit.DAY) return storedValues(vector) as Int32Array;
  if (DataType.isDate(type) || DataType.isTimestamp(type)) {
    const perDay = DataType.isTimestamp(type) ? ticksPerDay(type.unit) : BigInt(dayMs);
    return Int32Array.from(storedValues(vector) as ArrayLike<bigint>, (tick) =>
      Number((tick - (((tick % perDay) + perDay) % perDay)) / perDay),
    );
  }
  const days = new Int32Array(vector.length);
  for (let i = 0; i < days.length; i++) {
    const value: unknown = vector.get(i);
    const day = typeof value === "string" ? dayOf(value) : undefined;
    if (day === undefined)
      throw columnFault(name, `is ${JSON.stringify(value)} (${type}) in row ${i}; expected a date such as 2008-09-15`);
    days[i] = day;
  }
  return days;
}

/**
 * The values as they are stored; of a column of one batch they are not copied. (`toArray` of a date column converts
 * each to milliseconds.)
 */
export function storedValues(vector: Vector): ArrayLike<number | bigint> {
  const batches = vector.data.map((data) =>
    (data.values as { subarray(from: number, to: number): Int32Array }).subarray(0, data.length),
  );
  const [first = new Int32Array(0)] = batches;
  if (batches.length <= 1) return first;
  const all = new (first.constructor as new (length: number) => Int32Array)(vector.length);
  let at = 0;
  for (const batch of batches) {
    all.set(batch, at);
    at += batch.length;
  }
  return all;
}

function ticksPerDay(unit: TimeUnit): bigint {
  const perSecond = {
    [TimeUnit.SECOND]: 1n,
    [TimeUnit.MILLISECOND]: 1_000n,
    [TimeUnit.MICROSECOND]: 1_000_000n,
    [TimeUnit.NANOSECOND]: 1_000_000_000n,
  }[unit];
  return perSecond * 86_400n;
}

/** Days since 1970-01-01 of an ISO date (or the date part of an ISO time in UTC); undefined for anything else. */
export function dayOf(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}(T[\d:.]+Z?)?$/.test(text)) return undefined;
  const ms = Date.parse(`${text.slice(0, 10)}T00:00:00Z`);
  return Number.isNaN(ms) ? undefined : ms / dayMs;
}
