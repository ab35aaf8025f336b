/** Errors that name the kernel, the table, the column, and, where one is at fault, row and value. */
import { DataType, type Table, type Vector } from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";
import { columnNames } from "./reading.js";

/** One column of one of the tables of a join, as messages speak of it. */
export interface NamedColumn {
  readonly kernel: string;
  /** `left`, `right` or `calendar`. */
  readonly side: string;
  readonly name: string;
  readonly vector: Vector;
  /** Names of the columns of its table. */
  readonly beside: string;
}

/** Throws INVALID_ARGUMENT that names the columns there are, and what is expected of this one ("a time: …"). */
export function namedColumn(kernel: string, side: string, table: Table, name: string, expected: string): NamedColumn {
  const vector = table.getChild(name);
  const beside = columnNames(table);
  if (vector) return { kernel, side, name, vector, beside };
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `${kernel}: column ${JSON.stringify(name)} is missing in the ${side} table, which has ${beside}; expected ${expected}`,
    {
      details: { kernel, table: side, column: name },
    },
  );
}

/** A column of a type that will not do; `why` follows the type: "a time is a timestamp, …". */
export const mistypedFault = (column: NamedColumn, why: string): VolleyError =>
  columnFault(column, `is ${column.vector.type}; ${why}; the table has ${column.beside}`);

/** `why` follows the column's name: "is Utf8; expected …". */
export function columnFault(
  column: Omit<NamedColumn, "vector" | "beside">,
  why: string,
  details: Record<string, unknown> = {},
): VolleyError {
  return new VolleyError(
    "INVALID_ARGUMENT",
    `${column.kernel}: column ${JSON.stringify(column.name)} of the ${column.side} table ${why}`,
    {
      details: { kernel: column.kernel, table: column.side, column: column.name, ...details },
    },
  );
}

/** The value as a person would write it: instants as ISO text in UTC. */
export function shownValue({ vector }: NamedColumn, row: number): string {
  const value: unknown = vector.get(row);
  if (value === null) return "null";
  if (DataType.isDate(vector.type) || DataType.isTimestamp(vector.type)) {
    const ms = Number(value);
    return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`;
  }
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** Kinds of columns, as messages name them. */
export const kinds = {
  time: "a timestamp, date, integer or float (32 or 64 bits)",
  key: "text, an integer, a boolean, a day or a timestamp, or a dictionary of those",
} as const;

/**
 * Rows of one group that go back in time. `earlier` is the row before it in its group; absent if that was in an earlier
 * partition.
 */
export function unsortedFault(column: NamedColumn, row: number, earlier: number | undefined): VolleyError {
  const value = shownValue(column, row);
  const before =
    earlier === undefined ? "the last row of the partition before" : `row ${earlier} (${shownValue(column, earlier)})`;
  return columnFault(
    column,
    `is not sorted within its group: row ${row} is ${value}, earlier than ${before}; sort the table by this column first`,
    {
      row,
      value,
    },
  );
}
