/**
 * Arrow's Message, Schema, RecordBatch and DictionaryBatch tables (format/Message.fbs, Schema.fbs), read into plain
 * records and checked.
 */
import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  DateMillisecond,
  Decimal,
  Duration,
  FixedSizeBinary,
  Float16,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  Null,
  TimeMicrosecond,
  TimeMillisecond,
  TimeNanosecond,
  TimeSecond,
  Timestamp,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from "apache-arrow";
import { type Budget, FlatTable } from "./flat-buffer.js";
import { columnsMax, invalidData } from "./ingested.js";

/** How a column's values lie in memory. */
export type Layout =
  | { readonly kind: "null" }
  | { readonly kind: "bits" }
  | { readonly kind: "fixed"; readonly width: number }
  /** Offsets of 4 or 8 bytes; `text`: must be UTF-8. */
  | { readonly kind: "variable"; readonly offsetBytes: 4 | 8; readonly text: boolean };

/** A type as it comes in, and the Arrow type it is given out as (large text becomes text: one batch is below 2 GiB). */
export interface FlatType {
  readonly layout: Layout;
  readonly type: DataType;
}

export interface FieldSpec extends FlatType {
  readonly name: string;
  readonly nullable: boolean;
  /** Dictionary-encoded: `layout` and `type` are those of the dictionary's values. */
  readonly dictionary?: { readonly id: number; readonly index: { readonly width: number; readonly signed: boolean } };
}

export interface BatchSpec {
  readonly rows: number;
  /** [length, null count] of each column. */
  readonly nodes: readonly [number, number][];
  /** [offset, length] in the body. */
  readonly buffers: readonly [number, number][];
}

export type MessageSpec = { readonly bodyBytes: number } & (
  | { readonly header: "schema"; readonly fields: readonly FieldSpec[] }
  | { readonly header: "batch"; readonly batch: BatchSpec }
  | { readonly header: "dictionary"; readonly id: number; readonly delta: boolean; readonly batch: BatchSpec }
);

const typeNames = [
  "none",
  "Null",
  "Int",
  "FloatingPoint",
  "Binary",
  "Utf8",
  "Bool",
  "Decimal",
  "Date",
  "Time",
  "Timestamp",
  "Interval",
  "List",
  "Struct",
  "Union",
  "FixedSizeBinary",
  "FixedSizeList",
  "Map",
  "Duration",
  "LargeBinary",
  "LargeUtf8",
  "LargeList",
  "RunEndEncoded",
  "BinaryView",
  "Utf8View",
  "ListView",
  "LargeListView",
];
const versionV4 = 3;
const versionV5 = 4;

const reading = <T>(metadata: Uint8Array, read: (root: FlatTable) => T): T => {
  const budget: Budget = { tables: 4 * columnsMax };
  try {
    return read(FlatTable.root(metadata, budget));
  } catch (cause) {
    if (cause instanceof RangeError) throw invalidData("Arrow metadata points outside of itself");
    throw cause;
  }
};

export const readMessage = (metadata: Uint8Array): MessageSpec => reading(metadata, readHeader);

/** Where a message of an Arrow file is. */
export interface Block {
  readonly offset: number;
  /** Metadata and body. */
  readonly bytes: number;
}

/** The index of an Arrow file. */
export interface Index {
  readonly fields: readonly FieldSpec[];
  readonly dictionaries: readonly Block[];
  readonly batches: readonly Block[];
}

export const readIndex = (index: Uint8Array): Index =>
  reading(index, (footer) => {
    const schema = footer.table(1);
    if (!schema) throw invalidData("the index of the Arrow file has no schema");
    const blocks = (slot: number): Block[] =>
      footer
        .blocks(slot, "a place in the index of the Arrow file")
        .map(([offset, metadata, body]) => ({ offset, bytes: metadata + body }));
    return { fields: readSchema(schema), dictionaries: blocks(2), batches: blocks(3) };
  });

function readHeader(message: FlatTable): MessageSpec {
  const version = message.i16(0);
  if (version !== versionV4 && version !== versionV5)
    throw invalidData(`Arrow metadata version ${version} is not V4 or V5`);
  const bodyBytes = message.size(3, "the length of an Arrow message body");
  const kind = message.u8(1);
  const header = message.table(2);
  if (!header) throw invalidData("an Arrow message has no header");
  switch (kind) {
    case 1:
      return { header: "schema", bodyBytes, fields: readSchema(header) };
    case 2: {
      const data = header.table(1);
      if (!data) throw invalidData("an Arrow dictionary batch has no data");
      return {
        header: "dictionary",
        bodyBytes,
        id: header.size(0, "an Arrow dictionary id"),
        delta: header.flag(2),
        batch: readBatch(data),
      };
    }
    case 3:
      return { header: "batch", bodyBytes, batch: readBatch(header) };
    default:
      throw invalidData(`an Arrow message of kind ${kind} is not a schema, a dictionary or a record batch`);
  }
}

function readBatch(batch: FlatTable): BatchSpec {
  if (batch.has(3))
    throw invalidData(
      "the Arrow stream is compressed; write it without compression (for pyarrow: IpcWriteOptions(compression=None))",
    );
  return {
    rows: batch.size(0, "the row count of an Arrow batch"),
    nodes: batch.pairs(1, "the length or null count of an Arrow column"),
    buffers: batch.pairs(2, "the offset or length of an Arrow buffer"),
  };
}

function readSchema(schema: FlatTable): FieldSpec[] {
  if (schema.i16(0) !== 0) throw invalidData("the Arrow stream is big-endian; only little-endian is taken");
  const fields = schema.tables(1).map(readField);
  if (fields.length === 0) throw invalidData("the Arrow schema has no columns");
  if (fields.length > columnsMax)
    throw invalidData(`the Arrow schema has ${fields.length} columns; at most ${columnsMax} are taken`);
  const names = new Set<string>();
  for (const { name } of fields) {
    if (names.has(name)) throw invalidData(`two columns of the Arrow schema are named ${JSON.stringify(name)}`);
    names.add(name);
  }
  return fields;
}

function readField(field: FlatTable): FieldSpec {
  const name = field.text(0, "the name of an Arrow column");
  const kind = field.u8(2);
  const type = field.table(3);
  if (!type) throw invalidData(`Arrow column ${JSON.stringify(name)} has no type`);
  const flat = readType(kind, type, name);
  if (field.tables(5).length > 0)
    throw invalidData(
      `Arrow column ${JSON.stringify(name)} of type ${typeNames[kind]} has children; only flat columns are taken`,
    );
  const encoding = field.table(4);
  const spec = { ...flat, name, nullable: field.flag(1) };
  if (!encoding) return spec;
  if (flat.layout.kind === "null" || flat.layout.kind === "bits")
    throw invalidData(`Arrow column ${JSON.stringify(name)} is a dictionary of ${typeNames[kind]}, which is not taken`);
  const indexType = encoding.table(1);
  const bits = indexType?.i32(0) ?? 32;
  if (bits !== 8 && bits !== 16 && bits !== 32 && bits !== 64)
    throw invalidData(`Arrow column ${JSON.stringify(name)} has dictionary indices of ${bits} bits`);
  if (encoding.i16(3) !== 0)
    throw invalidData(`Arrow column ${JSON.stringify(name)} has a dictionary of unknown kind ${encoding.i16(3)}`);
  return {
    ...spec,
    dictionary: {
      id: encoding.size(0, "an Arrow dictionary id"),
      index: { width: bits / 8, signed: indexType?.flag(1) ?? true },
    },
  };
}

const fixed = (width: number, type: DataType): FlatType => ({ layout: { kind: "fixed", width }, type });

function readType(kind: number, type: FlatTable, name: string): FlatType {
  const column = `Arrow column ${JSON.stringify(name)}`;
  switch (kind) {
    case 1:
      return { layout: { kind: "null" }, type: new Null() };
    case 2:
      return readInt(type, column);
    case 3: {
      const made = [fixed(2, new Float16()), fixed(4, new Float32()), fixed(8, new Float64())][type.i16(0)];
      if (!made) throw invalidData(`${column} has the floating-point precision ${type.i16(0)}`);
      return made;
    }
    case 4:
    case 19:
      return { layout: { kind: "variable", offsetBytes: kind === 4 ? 4 : 8, text: false }, type: new Binary() };
    case 5:
    case 20:
      return { layout: { kind: "variable", offsetBytes: kind === 5 ? 4 : 8, text: true }, type: new Utf8() };
    case 6:
      return { layout: { kind: "bits" }, type: new Bool() };
    case 7: {
      const [precision, scale, bits] = [type.i32(0), type.i32(1), type.i32(2, 128)];
      if (bits !== 128 || precision < 1 || precision > 38 || Math.abs(scale) > 38)
        throw invalidData(`${column} is a decimal of precision ${precision}, scale ${scale} and ${bits} bits`);
      return fixed(16, new Decimal(scale, precision, bits));
    }
    case 8: {
      const made = [fixed(4, new DateDay()), fixed(8, new DateMillisecond())][type.i16(0, 1)];
      if (!made) throw invalidData(`${column} has the date unit ${type.i16(0, 1)}`);
      return made;
    }
    case 9:
      return readTime(type, column);
    case 10: {
      const zone = type.text(1, `the time zone of ${column}`);
      return fixed(8, new Timestamp(unitOf(type.i16(0), column), zone === "" ? null : zone));
    }
    case 15: {
      const width = type.i32(0);
      if (width < 1 || width > 65_536) throw invalidData(`${column} has a fixed size of ${width} bytes`);
      return fixed(width, new FixedSizeBinary(width));
    }
    case 18:
      return fixed(8, new Duration(unitOf(type.i16(0, 1), column)));
    default:
      throw invalidData(
        `${column} is of type ${typeNames[kind] ?? kind}, which is not taken; taken are Null, Bool, Int, FloatingPoint, Decimal128, Date, Time, Timestamp, Duration, Utf8, Binary (also Large), FixedSizeBinary and dictionaries of these`,
      );
  }
}

const unitOf = (unit: number, column: string): 0 | 1 | 2 | 3 => {
  if (unit === 0 || unit === 1 || unit === 2 || unit === 3) return unit;
  throw invalidData(`${column} has the time unit ${unit}`);
};

function readInt(type: FlatTable, column: string): FlatType {
  const [bits, signed] = [type.i32(0), type.flag(1)];
  switch (bits) {
    case 8:
      return fixed(1, signed ? new Int8() : new Uint8());
    case 16:
      return fixed(2, signed ? new Int16() : new Uint16());
    case 32:
      return fixed(4, signed ? new Int32() : new Uint32());
    case 64:
      return fixed(8, signed ? new Int64() : new Uint64());
    default:
      throw invalidData(`${column} has integers of ${bits} bits`);
  }
}

function readTime(type: FlatTable, column: string): FlatType {
  const [unit, bits] = [unitOf(type.i16(0, 1), column), type.i32(1, 32)];
  const made = [
    fixed(4, new TimeSecond()),
    fixed(4, new TimeMillisecond()),
    fixed(8, new TimeMicrosecond()),
    fixed(8, new TimeNanosecond()),
  ][unit];
  if (made?.layout.kind !== "fixed" || made.layout.width * 8 !== bits)
    throw invalidData(`${column} is a time of unit ${unit} in ${bits} bits`);
  return made;
}
