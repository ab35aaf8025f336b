/** Which Arrow type a Parquet column becomes, and how the values as hyparquet reads them become its values. */
import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Dictionary,
  FixedSizeBinary,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from "apache-arrow";
import type { SchemaElement } from "hyparquet";

export type NumberArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Float32Array
  | Float64Array;
export type FixedArray = NumberArray | BigInt64Array | BigUint64Array;

/**
 * How a column's values are laid out in Arrow. `narrow`: the file holds them in more bits, and what does not fit is
 * refused.
 */
export type ValueLayout =
  | {
      readonly kind: "fixed";
      readonly make: (length: number) => FixedArray;
      readonly from?: (raw: unknown) => number | bigint;
      readonly narrow?: boolean;
    }
  | { readonly kind: "bool" | "text" | "dictionary" | "bytes" }
  | { readonly kind: "fixed-bytes"; readonly width: number };

export interface ColumnType {
  readonly type: DataType;
  readonly layout: ValueLayout;
  /** The element as hyparquet is to read it: logical types whose meaning is given here are left out. */
  readonly element: SchemaElement;
}

const fixed = (
  type: DataType,
  make: (length: number) => FixedArray,
  more: { from?: (raw: unknown) => number | bigint; narrow?: boolean } = {},
): [DataType, ValueLayout] => [type, { kind: "fixed", make, ...more }];
const int64s = (length: number): FixedArray => new BigInt64Array(length);

/** Undefined if there is no Arrow type for it here. `dictionary`: text was a dictionary when it was written. */
export function columnType(element: SchemaElement, dictionary: boolean): ColumnType | undefined {
  const found = typeOf(element, dictionary);
  if (!found) return undefined;
  const [type, layout] = found;
  const { converted_type: _, logical_type: __, ...bare } = element;
  const text = layout.kind === "text" || layout.kind === "dictionary";
  return { type, layout, element: text ? { ...bare, converted_type: "UTF8" } : bare };
}

function typeOf(element: SchemaElement, dictionary: boolean): [DataType, ValueLayout] | undefined {
  const { type, converted_type: converted, logical_type: logical, type_length: width = 0 } = element;
  const integer = integerOf(element);
  if (
    logical?.type === "VARIANT" ||
    logical?.type === "GEOMETRY" ||
    logical?.type === "GEOGRAPHY" ||
    converted === "INTERVAL"
  )
    return undefined;
  if (converted === "DECIMAL") return decimal(element);
  switch (type) {
    case "BOOLEAN":
      return [new Bool(), { kind: "bool" }];
    case "INT32":
      if (converted === "DATE" || logical?.type === "DATE") return fixed(new DateDay(), (n) => new Int32Array(n));
      if (converted === "TIME_MILLIS" || logical?.type === "TIME") return undefined;
      return int32(integer);
    case "INT64":
      if (converted === "TIME_MICROS" || logical?.type === "TIME") return undefined;
      return (
        timestamp(element) ??
        (integer === "u64" ? fixed(new Uint64(), (n) => new BigUint64Array(n)) : fixed(new Int64(), int64s))
      );
    case "INT96":
      return fixed(new TimestampNanosecond(), int64s, { from: int96Nanos });
    case "FLOAT":
      return fixed(new Float32(), (n) => new Float32Array(n));
    case "DOUBLE":
      return fixed(new Float64(), (n) => new Float64Array(n));
    case "BYTE_ARRAY": {
      const text =
        converted === "UTF8" ||
        converted === "ENUM" ||
        converted === "JSON" ||
        ["STRING", "ENUM", "JSON"].includes(logical?.type ?? "");
      if (!text) return [new Binary(), { kind: "bytes" }];
      // The dictionary is made anew from the values, in the order of first use.
      return dictionary
        ? [new Dictionary(new Utf8(), new Int32(), 0), { kind: "dictionary" }]
        : [new Utf8(), { kind: "text" }];
    }
    case "FIXED_LEN_BYTE_ARRAY":
      if (logical?.type === "FLOAT16") return fixed(new Float32(), (n) => new Float32Array(n), { from: halfFloat });
      return width > 0 && width <= 65_536 ? [new FixedSizeBinary(width), { kind: "fixed-bytes", width }] : undefined;
    default:
      return undefined;
  }
}

function integerOf({ converted_type: converted, logical_type: logical }: SchemaElement): string {
  if (logical?.type === "INTEGER") return `${logical.isSigned ? "i" : "u"}${logical.bitWidth}`;
  const match = /^(U?)INT_(8|16|32|64)$/.exec(converted ?? "");
  return match ? `${match[1] === "U" ? "u" : "i"}${match[2]}` : "";
}

function int32(integer: string): [DataType, ValueLayout] {
  switch (integer) {
    case "i8":
      return fixed(new Int8(), (n) => new Int8Array(n), { narrow: true });
    case "i16":
      return fixed(new Int16(), (n) => new Int16Array(n), { narrow: true });
    case "u8":
      return fixed(new Uint8(), (n) => new Uint8Array(n), { narrow: true });
    case "u16":
      return fixed(new Uint16(), (n) => new Uint16Array(n), { narrow: true });
    case "u32":
      return fixed(new Uint32(), (n) => new Uint32Array(n));
    default:
      return fixed(new Int32(), (n) => new Int32Array(n));
  }
}

function timestamp({
  converted_type: converted,
  logical_type: logical,
}: SchemaElement): [DataType, ValueLayout] | undefined {
  const given = logical?.type === "TIMESTAMP" ? logical : undefined;
  const unit =
    given?.unit ??
    (converted === "TIMESTAMP_MILLIS" ? "MILLIS" : converted === "TIMESTAMP_MICROS" ? "MICROS" : undefined);
  if (unit === undefined) return undefined;
  // The older annotation has no flag and means UTC.
  const zone = (given?.isAdjustedToUTC ?? true) ? "UTC" : null;
  const types = { MILLIS: TimestampMillisecond, MICROS: TimestampMicrosecond, NANOS: TimestampNanosecond };
  return fixed(new types[unit](zone), int64s);
}

/** Decimals become float64: the nearest number to the decimal value. */
function decimal({ type, scale = 0 }: SchemaElement): [DataType, ValueLayout] | undefined {
  if (scale < 0 || scale > 22) return undefined;
  const divisor = 10 ** scale;
  const from = (raw: unknown): number =>
    (raw instanceof Uint8Array ? Number(bigEndian(raw)) : Number(raw as number | bigint)) / divisor;
  return type === "INT32" || type === "INT64" || type === "BYTE_ARRAY" || type === "FIXED_LEN_BYTE_ARRAY"
    ? fixed(new Float64(), (n) => new Float64Array(n), { from })
    : undefined;
}

function bigEndian(bytes: Uint8Array): bigint {
  return bytes.byteLength === 0
    ? 0n
    : BigInt.asIntN(bytes.byteLength * 8, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
}

/** Nanoseconds of the day below, the Julian day above. */
function int96Nanos(raw: unknown): bigint {
  const value = raw as bigint;
  return ((value >> 64n) - 2_440_588n) * 86_400_000_000_000n + (value & 0xffff_ffff_ffff_ffffn);
}

function halfFloat(raw: unknown): number {
  const [low, high] = raw as Uint8Array as unknown as [number, number];
  const bits = (high << 8) | low;
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1_023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (exponent === 0 ? 2 ** -14 * (fraction / 1_024) : 2 ** (exponent - 15) * (1 + fraction / 1_024));
}
