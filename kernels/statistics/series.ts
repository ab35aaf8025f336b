/** Columns of per-bar simple returns, as the statistics read them. */
import { DataType, type Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { optionalFloat64Column } from "../columns/reading.js";

export const columnsOption = z
  .array(z.string())
  .min(1)
  .optional()
  .describe("Columns of per-bar simple returns; default: every column of numbers.");
export const periodsOption = z.number().positive().max(1_000_000).describe("Bars per year, A: 252 for daily equities.");

export const returnsIn = { name: "value", type: "number", doc: "per-bar simple returns: 0.01 is 1 %" } as const;
export const returnsNulls = "Null and NaN are left out, as if the bar were not there; infinite values are refused.";

export interface ReturnSeries {
  readonly name: string;
  /** Those that are present. */
  readonly values: Float64Array;
  /** The row of each value. */
  readonly rows: Int32Array;
}

/** Throws INVALID_ARGUMENT: a missing column, one that is not of numbers, an infinite value; none at all. */
export function returnSeries(table: Table, columns: readonly string[] | undefined): ReturnSeries[] {
  return namesIn(table, columns).map((name) => {
    const all = optionalFloat64Column(table, name);
    refuse(name, all, (value) => Math.abs(value) === Number.POSITIVE_INFINITY, "a return must be finite");
    const rows = Int32Array.from(all.keys()).filter((row) => !Number.isNaN(all[row]));
    return {
      name,
      values: rows.length === all.length ? all : Float64Array.from(rows, (row) => all[row] as number),
      rows,
    };
  });
}

/** As returnSeries, for those to whom a gap matters. Throws INVALID_ARGUMENT also for a missing value. */
export function fullSeries(
  table: Table,
  columns: readonly string[] | undefined,
): { readonly name: string; readonly values: Float64Array }[] {
  return namesIn(table, columns).map((name) => {
    const values = optionalFloat64Column(table, name);
    refuse(
      name,
      values,
      (value) => !Number.isFinite(value),
      "every bar needs a finite return; fill or drop the row first",
    );
    return { name, values };
  });
}

function namesIn(table: Table, columns: readonly string[] | undefined): readonly string[] {
  const names =
    columns ??
    table.schema.fields.filter(({ type }) => DataType.isFloat(type) || DataType.isInt(type)).map(({ name }) => name);
  if (names.length > 0) return names;
  const have = table.schema.fields.map(({ name, type }) => `${name}: ${type}`).join(", ");
  throw new VolleyError("INVALID_ARGUMENT", `the table has no column of numbers; it has ${have || "no columns"}`);
}

function refuse(column: string, values: Float64Array, bad: (value: number) => boolean, why: string): void {
  const row = values.findIndex(bad);
  if (row < 0) return;
  const shown = Number.isNaN(values[row]) ? "null or NaN" : values[row];
  throw new VolleyError("INVALID_ARGUMENT", `column ${JSON.stringify(column)} is ${shown} in row ${row}; ${why}`, {
    details: { column, row },
  });
}
