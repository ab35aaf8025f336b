/**
 * Two outputs up to a cut, bit for bit: the whole computation's, and the one that was made without (or with a spoilt)
 * future.
 */
import { DataType, type Table, type Vector } from "apache-arrow";
import { z } from "zod";
import { namedColumn } from "../columns/named-column.js";
import { defineKernel, tableArg } from "../kernel.js";
import { knownAt } from "./knowledge.js";

export interface AuditDifference {
  /** Name of the column, or `(rows)` when the number of rows differs. */
  readonly column: string;
  /** Row of the whole computation's output. */
  readonly row: number;
  /** Values as text: with the future, and without it. */
  readonly withFuture: string;
  readonly withoutFuture: string;
}

const bits = new BigUint64Array(1);
const float = new Float64Array(bits.buffer);
const bitsOf = (value: number): bigint => {
  float[0] = Number.isNaN(value) ? Number.NaN : value;
  return bits[0] as bigint;
};

function isSame(a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number") return bitsOf(a) === bitsOf(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array)
    return a.length === b.length && a.every((byte, i) => byte === b[i]);
  if (typeof a === "object" && a !== null)
    return typeof b === "object" && b !== null && JSON.stringify(a) === JSON.stringify(b);
  return a === b;
}

const shown = (value: unknown): string =>
  value === undefined
    ? "(no row)"
    : value === null
      ? "null"
      : typeof value === "object"
        ? JSON.stringify(value)
        : String(value);

/**
 * Rows of an output that are due by the cut. Without a time column, output rows belong to input rows one to one and the
 * first `rows` are due.
 */
function dueRows(table: Table, time: string | undefined, at: number, rows: number): number[] {
  if (time === undefined) return Array.from({ length: Math.min(rows, table.numRows) }, (_, i) => i);
  const times = knownAt("audit.compare", table, time);
  const due: number[] = [];
  for (let i = 0; i < times.length; i++) if ((times[i] as number) <= at) due.push(i);
  return due;
}

/** The first difference in row order; undefined: none. Throws INVALID_ARGUMENT if the outputs have other columns. */
export function firstDifference(
  full: Table,
  part: Table,
  spec: { time?: string | undefined; at: number; rows: number },
): AuditDifference | undefined {
  const fullRows = dueRows(full, spec.time, spec.at, spec.rows);
  const partRows = dueRows(part, spec.time, spec.at, spec.rows);
  const columns = full.schema.fields.map((field) => ({
    name: field.name,
    full: full.getChild(field.name) as Vector,
    part: namedColumn("audit.compare", "cut", part, field.name, "the columns of the other output").vector,
    isTime: DataType.isDate(field.type) || DataType.isTimestamp(field.type),
  }));
  const both = Math.min(fullRows.length, partRows.length);
  for (let i = 0; i < both; i++) {
    for (const column of columns) {
      const a: unknown = column.full.get(fullRows[i] as number);
      const b: unknown = column.part.get(partRows[i] as number);
      if (isSame(a, b)) continue;
      const text = (value: unknown): string =>
        column.isTime && typeof value === "number" ? new Date(value).toISOString() : shown(value);
      return { column: column.name, row: fullRows[i] as number, withFuture: text(a), withoutFuture: text(b) };
    }
  }
  if (fullRows.length === partRows.length) return undefined;
  return {
    column: "(rows)",
    row: fullRows[both] ?? full.numRows,
    withFuture: `${fullRows.length} rows`,
    withoutFuture: `${partRows.length} rows`,
  };
}

export const auditCompare = defineKernel({
  name: "audit.compare",
  version: 1,
  causality: "tool",
  doc: "The first value up to a cut that differs, bit for bit, between an output made with the future and one made without; null if there is none.",
  family: "Look-ahead check",
  nulls: "Null equals null; every NaN is one NaN.",
  args: [
    ["part", tableArg],
    ["full", tableArg],
    [
      "cut",
      z.strictObject({
        time: z
          .string()
          .min(1)
          .optional()
          .describe(
            "Column of the output that says which bar a row belongs to. Default: row i belongs to row i of the first input.",
          ),
        at: z.number(),
        rows: z.number().int().min(0).describe("Rows of the first input that are known at the cut."),
      }),
    ],
  ],
  run: ({ part, full, cut }) => firstDifference(full, part, cut) ?? null,
});
