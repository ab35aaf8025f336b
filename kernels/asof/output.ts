/** The joined table: the left table's columns as they are, beside the right table's rows by index. */
import { type Data, Field, makeData, RecordBatch, Schema, Struct, Table } from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";
import { canGather, gather } from "../columns/gather.js";
import { mistypedFault, type NamedColumn, namedColumn } from "../columns/named-column.js";
import type { OutputOptions } from "./options.js";

export interface OutputPlan {
  /** Left columns that go through; undefined: all. */
  readonly keep: readonly string[] | undefined;
  readonly taken: readonly { readonly column: NamedColumn; readonly name: string }[];
}

/** Throws INVALID_ARGUMENT for a column that is missing or a name that would be there twice. */
export function planOutput(
  kernel: string,
  left: Table,
  right: Table,
  keys: readonly string[],
  options: OutputOptions,
): OutputPlan {
  const wanted =
    options.columns ?? right.schema.fields.map((field) => field.name).filter((name) => !keys.includes(name));
  const leftNames = new Set(options.keep ?? left.schema.fields.map((field) => field.name));
  for (const name of leftNames) namedColumn(kernel, "left", left, name, "a column to keep");
  const names = new Set(leftNames);
  const taken = wanted.map((wantedName) => {
    const column = namedColumn(kernel, "right", right, wantedName, "a column to take");
    if (!canGather(column.vector.type))
      throw mistypedFault(column, "a column of this type cannot be taken: cast it, or leave it out of params.columns");
    const prefixed = options.prefix + wantedName;
    const name = leftNames.has(prefixed) ? prefixed + options.suffix : prefixed;
    if (names.has(name))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${kernel}: the result would have two columns ${JSON.stringify(name)}; choose another params.prefix or params.suffix`,
        {
          details: { kernel, column: name },
        },
      );
    names.add(name);
    return { column, name };
  });
  return { keep: options.keep, taken };
}

/** `rows[i]` is the right table's row beside the left table's row i, -1 for none. */
export function joinedTable({ keep, taken }: OutputPlan, left: Table, rows: Int32Array): Table {
  const kept = keep ? left.select([...keep]) : left;
  const gathered = taken.map(({ column }) => gather(column.vector, rows));
  const batches: Data[][] = [];
  let at = 0;
  for (const batch of kept.batches) {
    const { numRows } = batch;
    if (numRows === 0) continue;
    const whole = numRows === rows.length;
    batches.push([...batch.data.children, ...gathered.map((data) => (whole ? data : data.slice(at, numRows)))]);
    at += numRows;
  }
  const fields = [
    ...kept.schema.fields,
    ...taken.map(({ name }, i) => new Field(name, (gathered[i] as Data).type, true)),
  ];
  const schema = new Schema(fields, kept.schema.metadata);
  const made = batches.map((children) => {
    const length = children[0]?.length ?? 0;
    return new RecordBatch(schema, makeData({ type: new Struct(fields), length, nullCount: 0, children }));
  });
  return new Table(schema, made);
}
