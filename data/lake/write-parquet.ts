/**
 * Writing Parquet: Arrow tables of flat columns, with statistics, so that readers can prune. Same table and options,
 * same bytes.
 */
import { randomUUID } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Data, DataType, type Field, type Schema, Table, TimeUnit, type Vector } from "apache-arrow";
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

const rowGroupRowsDefault = 100_000;

/**
 * A Parquet file in parts: what it has written, and the footer, which comes last. Between two parts nothing is kept but
 * the footer's content.
 */
export class ParquetEncoder {
  readonly #fields: readonly Field[];
  readonly #writer = new ByteWriter(1 << 16);
  readonly #parquet: ParquetWriter;

  /**
   * `nullable`: whether the column of this index may have nulls. Throws INVALID_ARGUMENT for a type that has no Parquet
   * form here, or no columns.
   */
  constructor(schema: Schema, nullable: (index: number) => boolean, codec: ParquetWriteOptions["codec"] = "snappy") {
    this.#fields = schema.fields;
    if (this.#fields.length === 0)
      throw new VolleyError("INVALID_ARGUMENT", "a table without columns cannot be written as Parquet");
    const dictionaries = this.#fields.filter((field) => DataType.isDictionary(field.type)).map((field) => field.name);
    const elements = this.#fields.map(({ name, type }, i): SchemaElement => {
      return { name, repetition_type: nullable(i) ? "OPTIONAL" : "REQUIRED", ...elementOf(name, type) };
    });
    this.#parquet = new ParquetWriter({
      writer: this.#writer,
      schema: [{ name: "schema", num_children: elements.length }, ...elements],
      codec: codec === "snappy" ? "SNAPPY" : "UNCOMPRESSED",
      createdBy: "volley",
      ...(dictionaries.length > 0
        ? { kvMetadata: [{ key: dictionariesKey, value: JSON.stringify(dictionaries) }] }
        : {}),
    });
  }

  /** The table's row groups. Its columns are those of the schema. */
  push(given: Table, rowGroupRows: number): Uint8Array {
    if (given.numRows === 0) return this.#taken();
    // A batch without rows may be without columns too.
    const table = new Table(
      given.schema,
      given.batches.filter(({ numRows }) => numRows > 0),
    );
    // Narrow integers are widened to plain numbers, so every array is of a kind that the writer knows.
    const columnData = this.#fields.map(
      ({ name }, i) => ({ name, data: valuesOf(table.getChildAt(i) as Vector) }) as ColumnSource,
    );
    void this.#parquet.write({ columnData, rowGroupSize: rowGroupRows });
    return this.#taken();
  }

  finish(): Uint8Array {
    void this.#parquet.finish();
    return this.#taken();
  }

  #taken(): Uint8Array {
    const bytes = Uint8Array.from(this.#writer.getBytes());
    this.#writer.index = 0;
    return bytes;
  }
}

/**
 * The table as a Parquet file. Throws INVALID_ARGUMENT for a column of a type that has no Parquet form here, or a table
 * without columns.
 */
export function encodeParquet(table: Table, options: ParquetWriteOptions = {}): Uint8Array {
  const { rowGroupRows = rowGroupRowsDefault, codec } = options;
  if (!Number.isInteger(rowGroupRows) || rowGroupRows < 1)
    throw new VolleyError("INVALID_ARGUMENT", `rowGroupRows is ${rowGroupRows}; expected a whole number from 1`);
  const encoder = new ParquetEncoder(
    table.schema,
    (i) => table.numRows > 0 && (table.getChildAt(i)?.nullCount ?? 0) > 0,
    codec,
  );
  const [body, footer] = [encoder.push(table, rowGroupRows), encoder.finish()];
  const bytes = new Uint8Array(body.length + footer.length);
  bytes.set(body);
  bytes.set(footer, body.length);
  return bytes;
}

/** Writes a file, whole or not at all; makes its folder. See {@link encodeParquet}. */
export async function writeParquet(
  file: string | URL,
  table: Table,
  options: ParquetWriteOptions = {},
): Promise<{ bytes: number }> {
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

const isText = (type: DataType): boolean =>
  DataType.isUtf8(type) || (DataType.isDictionary(type) && DataType.isUtf8(type.dictionary));

function elementOf(name: string, type: DataType): Omit<SchemaElement, "name" | "repetition_type"> {
  if (DataType.isBool(type)) return { type: "BOOLEAN" };
  if (isText(type)) return { type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } };
  if (DataType.isBinary(type)) return { type: "BYTE_ARRAY" };
  if (DataType.isFixedSizeBinary(type)) return { type: "FIXED_LEN_BYTE_ARRAY", type_length: type.byteWidth };
  if (DataType.isFloat(type) && type.precision > 0) return { type: type.precision === 1 ? "FLOAT" : "DOUBLE" };
  if (DataType.isInt(type)) return integer(type.bitWidth, type.isSigned);
  if (DataType.isDate(type)) return { type: "INT32", converted_type: "DATE", logical_type: { type: "DATE" } };
  if (DataType.isTimestamp(type)) {
    const unit = (
      {
        [TimeUnit.SECOND]: "MILLIS",
        [TimeUnit.MILLISECOND]: "MILLIS",
        [TimeUnit.MICROSECOND]: "MICROS",
        [TimeUnit.NANOSECOND]: "NANOS",
      } as const
    )[type.unit];
    return { type: "INT64", logical_type: { type: "TIMESTAMP", isAdjustedToUTC: (type.timezone ?? "") !== "", unit } };
  }
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `column ${JSON.stringify(name)} is ${type}, which cannot be written as Parquet here; cast it first`,
    {
      details: { column: name },
    },
  );
}

/** Of a column whose type has an element. */
function valuesOf(vector: Vector): Values {
  const type: DataType = vector.type;
  if (DataType.isInt(type)) return raw(vector, type.bitWidth < 32 ? Number : undefined);
  // DateMillisecond holds whole days too.
  if (DataType.isDate(type))
    return raw(vector, type.unit === 0 ? undefined : (value) => Math.floor(Number(value) / 86_400_000));
  if (DataType.isTimestamp(type))
    return raw(vector, type.unit === TimeUnit.SECOND ? (value) => BigInt(value) * 1_000n : undefined);
  return DataType.isFloat(type)
    ? raw(vector)
    : Array.from({ length: vector.length }, (_, i) => vector.get(i) as string | null);
}

function integer(bits: number, signed: boolean): Omit<SchemaElement, "name"> {
  const type = bits === 64 ? ("INT64" as const) : ("INT32" as const);
  if (signed && bits >= 32) return { type };
  const converted_type = `${signed ? "" : "U"}INT_${bits as 8 | 16 | 32 | 64}` as const;
  // hyparquet-writer 0.17 writes the newer annotation (INTEGER) with a width that pyarrow refuses; the older one says
  // the same.
  return { type, converted_type };
}

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
