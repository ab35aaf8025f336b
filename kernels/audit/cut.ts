/**
 * The past as it was known at a cut: `truncate` takes away every row known later, `poison` keeps them and spoils what
 * they say. A computation that does not look ahead gives the same bits for everything up to the cut in both
 * (kernels/audit/compare.ts).
 */

import {
  type Data,
  DataType,
  type Field,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  type Vector,
} from "apache-arrow";
import { z } from "zod";
import { boolVector } from "../columns/building.js";
import { columnName } from "../columns/column-name.js";
import { gather } from "../columns/gather.js";
import { defineKernel, tableArg } from "../kernel.js";
import { knownAt } from "./knowledge.js";

export const cutOptions = z.strictObject({
  known: columnName.describe("Column that says when a row could be known. A row without a time was never known."),
  at: z
    .number()
    .describe("The cut: milliseconds since 1970 for dates and timestamps, the column's own number otherwise."),
  mode: z.enum(["truncate", "poison"]),
});

const tableOf = (schema: Schema, columns: readonly Data[], length: number): Table =>
  new Table(schema, [
    new RecordBatch(
      schema,
      makeData({ type: new Struct(schema.fields), length, nullCount: 0, children: [...columns] }),
    ),
  ]);

export function truncateAt(table: Table, known: Float64Array, at: number): Table {
  const rows: number[] = [];
  for (let i = 0; i < known.length; i++) if ((known[i] as number) <= at) rows.push(i);
  const picked = Int32Array.from(rows);
  const columns = table.schema.fields.map((field) => gather(table.getChild(field.name) as Vector, picked));
  const schema = new Schema(table.schema.fields, table.schema.metadata);
  return tableOf(schema, columns, picked.length);
}

/**
 * Numbers and booleans of rows known after the cut become others, in a way that no plausible computation takes for a
 * value. Times, texts and keys stay.
 */
export function poisonAfter(table: Table, known: Float64Array, at: number, keep: string): Table {
  const all = Int32Array.from({ length: table.numRows }, (_, i) => i);
  const columns = table.schema.fields.map((field) => {
    const vector = table.getChild(field.name) as Vector;
    if (DataType.isBool(field.type))
      return boolVector(Array.from(all, (i) => ((known[i] as number) <= at ? Boolean(vector.get(i)) : !vector.get(i))))
        .data[0] as Data;
    const data = gather(vector, all);
    if (field.name !== keep) spoil(field, data, known, at);
    return data;
  });
  return tableOf(new Schema(table.schema.fields, table.schema.metadata), columns, table.numRows);
}

/** Works on a copy that `gather` made. */
function spoil(field: Field, data: Data, known: Float64Array, at: number): void {
  const { type } = field;
  const values: unknown = data.values;
  const late = (i: number): boolean => !((known[i] as number) <= at);
  if (DataType.isFloat(type) && (values instanceof Float64Array || values instanceof Float32Array)) {
    // The sign stays: a negative price would be refused instead of being taken.
    for (let i = 0; i < known.length; i++) {
      const value = values[i] as number;
      if (late(i))
        values[i] = (value < 0 ? -1 : 1) * (3 * (Number.isNaN(value) ? 1 : Math.abs(value)) + 1e6 * (1 + (i % 7)));
    }
  } else if (DataType.isInt(type) && values instanceof BigInt64Array) {
    for (let i = 0; i < known.length; i++) if (late(i)) values[i] = -3n * (values[i] as bigint) - 1_000_000n;
  } else if (
    DataType.isInt(type) &&
    (values instanceof Int32Array || values instanceof Int16Array || values instanceof Int8Array)
  ) {
    for (let i = 0; i < known.length; i++) if (late(i)) values[i] = ~(values[i] as number);
  }
}

export const auditCut = defineKernel({
  name: "audit.cut",
  version: 1,
  causality: "tool",
  doc: "The table as it was known at a time: later rows taken away (truncate) or spoilt (poison). For the look-ahead check.",
  family: "Look-ahead check",
  nulls: "A row whose knowledge time is missing counts as never known.",
  args: [
    ["table", tableArg],
    ["cut", cutOptions],
  ],
  run: ({ table, cut }) => {
    const known = knownAt("audit.cut", table, cut.known);
    return cut.mode === "truncate" ? truncateAt(table, known, cut.at) : poisonAfter(table, known, cut.at, cut.known);
  },
});

export const auditCuts = defineKernel({
  name: "audit.cuts",
  version: 1,
  causality: "tool",
  doc: "The distinct times of a column in order, without the last (there is no future to take away): every cut, or `count` of them evenly spread.",
  family: "Look-ahead check",
  args: [
    ["table", tableArg],
    ["params", z.strictObject({ known: columnName, count: z.number().int().min(1).optional() })],
  ],
  run: ({ table, params }) => {
    const known = knownAt("audit.cuts", table, params.known)
      .filter((time) => !Number.isNaN(time))
      .sort();
    const cuts: { at: number; rows: number }[] = [];
    // Rows known by a time: how many of the sorted times are not later. The last time has no future to take away.
    for (let i = 0; i < known.length; i++)
      if ((known[i] as number) < (known[i + 1] ?? Number.NEGATIVE_INFINITY))
        cuts.push({ at: known[i] as number, rows: i + 1 });
    const { count } = params;
    if (count === undefined || cuts.length <= count) return { of: cuts.length, cuts };
    const picked = new Set(
      Array.from({ length: count }, (_, i) =>
        count === 1 ? cuts.length - 1 : Math.round((i * (cuts.length - 1)) / (count - 1)),
      ),
    );
    return { of: cuts.length, cuts: [...picked].map((i) => cuts[i]) };
  },
});
