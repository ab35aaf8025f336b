/** Writing Parquet: Arrow tables of flat columns, with statistics, so that readers can prune. Same table and options, same bytes. */
import { randomUUID } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Data, DataType, type Table, TimeUnit, type Vector } from "apache-arrow";
import type { SchemaElement } from "hyparquet";
import { ByteWriter, type ColumnSource, ParquetWriter } from "hyparquet-writer";
import { VolleyError } from "../../proto/errors.js";
import type { FixedArray } from "./column-type.js";
import { dictionariesKey } from "./footer.js";

export interface ParquetWriteOptions {
  /** Default 100,000. */
  readonly rowGroupRows?: number;
  /** Default snappy. */
  readonly codec?: "snappy" | "uncompressed";
}

type Values = FixedArray | (number | bigint | boolean | string | Uint8Array | null)[];

interface Column {
  readonly element: SchemaElement;
  readonly values: Values;
}

/** The table as a Parquet file. Throws INVALID_ARGUMENT for a column of a type that has no Parquet form here, or a table without columns. */
export function encodeParquet(table: Table, options: ParquetWriteOptions = {}): Uint8Array {
  const { rowGroupRows = 100_000, codec = "snappy" } = options;
  if (!Number.isInteger(rowGroupRows) || rowGroupRows < 1)
    throw new VolleyError("INVALID_ARGUMENT", `rowGroupRows is ${rowGroupRows}; expected a whole number from 1`);
  const { fields } = table.schema;
  if (fields.length === 0) throw new VolleyError("INVALID_ARGUMENT", "a table without columns cannot be written as Parquet");
  const columns = fields.map((field, i) => columnOf(field.name, table.getChildAt(i) as Vector));
  const dictionaries = fields.filter((field) => DataType.isDictionary(field.type)).map((field) => field.name);
  const writer = new ByteWriter(1 << 16);
  const parquet = new ParquetWriter({
    writer,
    schema: [{ name: "schema", num_children: columns.length }, ...columns.map(({ element }) => element)],
    codec: codec === "snappy" ? "SNAPPY" : "UNCOMPRESSED",
    createdBy: "volley",
    ...(dictionaries.length > 0 ? { kvMetadata: [{ key: dictionariesKey, value: JSON.stringify(dictionaries) }] } : {}),
  });
  // Narrow integers were widened to plain numbers, so every array is of a kind that the writer knows.
  const columnData = columns.map(({ element, values }) => ({ name: element.name, data: values }) as ColumnSource);
  if (table.numRows > 0) void parquet.write({ columnData, rowGroupSize: rowGroupRows });
  void parquet.finish();
  return Uint8Array.from(writer.getBytes());
}

/** Writes a file, whole or not at all; makes its folder. See {@link encodeParquet}. */
export async function writeParquet(file: string | URL, table: Table, options: ParquetWriteOptions = {}): Promise<{ bytes: number }> {
  const target = file instanceof URL ? fileURLToPath(file) : file;
  const bytes = encodeParquet(table, options);
  await mkdir(path.dirname(target), { recursive: true });
  const part = `${target}.${randomUUID()}.part`;
  try {
    await writeFile(part, bytes);
    await rename(part, target);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  return { bytes: bytes.byteLength };
}

function columnOf(name: string, vector: Vector): Column {
  const repetition_type = vector.nullCount === 0 ? ("REQUIRED" as const) : ("OPTIONAL" as const);
  const element = (rest: Omit<SchemaElement, "name" | "repetition_type">): SchemaElement => ({ name, repetition_type, ...rest });
  const type: DataType = vector.type;
  if (DataType.isBool(type)) return { element: element({ type: "BOOLEAN" }), values: gotten(vector) };
  if (DataType.isUtf8(type) || (DataType.isDictionary(type) && DataType.isUtf8(type.dictionary)))
    return { element: element({ type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } }), values: gotten(vector) };
  if (DataType.isBinary(type)) return { element: element({ type: "BYTE_ARRAY" }), values: gotten(vector) };
  if (DataType.isFixedSizeBinary(type)) return { element: element({ type: "FIXED_LEN_BYTE_ARRAY", type_length: type.byteWidth }), values: gotten(vector) };
  if (DataType.isFloat(type) && type.precision > 0) return { element: element({ type: type.precision === 1 ? "FLOAT" : "DOUBLE" }), values: raw(vector) };
  if (DataType.isInt(type)) return { element: element(integer(type.bitWidth, type.isSigned)), values: raw(vector, type.bitWidth < 32 ? Number : undefined) };
  if (DataType.isDate(type)) {
    // DateMillisecond holds whole days too.
    const days = type.unit === 0 ? undefined : (value: number | bigint) => Math.floor(Number(value) / 86_400_000);
    return { element: element({ type: "INT32", converted_type: "DATE", logical_type: { type: "DATE" } }), values: raw(vector, days) };
  }
  if (DataType.isTimestamp(type)) {
    const unit = ({ [TimeUnit.SECOND]: "MILLIS", [TimeUnit.MILLISECOND]: "MILLIS", [TimeUnit.MICROSECOND]: "MICROS", [TimeUnit.NANOSECOND]: "NANOS" } as const)[
      type.unit
    ];
    const isAdjustedToUTC = (type.timezone ?? "") !== "";
    const widen = type.unit === TimeUnit.SECOND ? (value: number | bigint) => BigInt(value) * 1_000n : undefined;
    return { element: element({ type: "INT64", logical_type: { type: "TIMESTAMP", isAdjustedToUTC, unit } }), values: raw(vector, widen) };
  }
  throw new VolleyError("INVALID_ARGUMENT", `column ${JSON.stringify(name)} is ${type}, which cannot be written as Parquet here; cast it first`, {
    details: { column: name },
  });
}

function integer(bits: number, signed: boolean): Omit<SchemaElement, "name"> {
  const type = bits === 64 ? ("INT64" as const) : ("INT32" as const);
  if (signed && bits >= 32) return { type };
  const converted_type = `${signed ? "" : "U"}INT_${bits as 8 | 16 | 32 | 64}` as const;
  // hyparquet-writer 0.17 writes the newer annotation (INTEGER) with a width that pyarrow refuses; the older one says the same.
  return { type, converted_type };
}

const gotten = (vector: Vector): Values => Array.from({ length: vector.length }, (_, i) => vector.get(i) as string | null);

/** The values as they lie in Arrow, not as apache-arrow shows them (dates as milliseconds). */
function raw(vector: Vector, convert?: (value: number | bigint) => number | bigint): Values {
  const parts = vector.data.map((data: Data) => (data.values as FixedArray).subarray(0, data.length) as FixedArray);
  const [only] = parts;
  if (parts.length === 1 && only && vector.nullCount === 0 && !convert) return only;
  const out: (number | bigint | null)[] = [];
  for (const data of vector.data) {
    const values = data.values as FixedArray;
    for (let i = 0; i < data.length; i++) {
      const value = values[i] as number | bigint;
      out.push(data.nullCount > 0 && !data.getValid(i) ? null : convert ? convert(value) : value);
    }
  }
  return out;
}
