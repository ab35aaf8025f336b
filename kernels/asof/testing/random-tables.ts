/**
 * Tables for property tests of the joins: every type of time and key, nulls, ties, empty sides, several batches; sorted
 * within groups.
 */
import {
  type DataType,
  DateDay,
  DateMillisecond,
  Dictionary,
  Field,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint64,
  Utf8,
  type Vector,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";

/** How a small number becomes a time of a column, and a tick count that all columns of its family share. */
export interface TimeType {
  readonly name: string;
  vector(values: readonly (number | null)[]): Vector;
  ticks(value: number): bigint;
  /** A distance of `value` small numbers, as the kernels' tolerance. */
  tolerance(value: number): number;
}

const day = 86_400_000n;

function stored(type: DataType, values: readonly (number | null)[], of: (value: number) => bigint): Vector {
  const wide =
    (type as { ArrayType: unknown }).ArrayType === BigInt64Array ||
    (type as { ArrayType: unknown }).ArrayType === BigUint64Array;
  const numbers = values.map((value) => (value === null ? 0n : of(value)));
  const data = wide ? BigInt64Array.from(numbers) : Int32Array.from(numbers, Number);
  const nullBitmap = new Uint8Array((values.length + 7) >> 3);
  values.forEach((value, i) => {
    if (value !== null) nullBitmap[i >> 3] = (nullBitmap[i >> 3] as number) | (1 << (i & 7));
  });
  const given =
    type instanceof Uint64
      ? new BigUint64Array(data.buffer)
      : type instanceof Int16
        ? Int16Array.from(data as Int32Array)
        : data;
  return vectorOf(
    makeData({
      type,
      length: values.length,
      nullCount: values.filter((value) => value === null).length,
      nullBitmap,
      data: given,
    } as never),
  );
}

const vectorOf = (data: ReturnType<typeof makeData>): Vector =>
  new Table(new Schema([new Field("x", data.type, true)]), [batchOf([data])]).getChildAt(0) as Vector;

function batchOf(children: ReturnType<typeof makeData>[]): RecordBatch {
  const fields = children.map((child, i) => new Field(i === 0 ? "x" : `x${i}`, child.type, true));
  return new RecordBatch(
    new Schema(fields),
    makeData({ type: new Struct(fields), length: children[0]?.length ?? 0, nullCount: 0, children }),
  );
}

const of = (
  name: string,
  type: DataType,
  unit: (value: number) => bigint,
  ticks: (value: number) => bigint,
  tolerance: (value: number) => number,
): TimeType => ({
  name,
  vector: (values) => stored(type, values, unit),
  ticks,
  tolerance,
});

// Instants: the small number counts days, so that dates and timestamps of all units meet; ticks are nanoseconds,
// tolerance milliseconds.
const now = 19_000n;
const instant = (name: string, type: DataType, perDay: bigint): TimeType =>
  of(
    name,
    type,
    (value) => (now + BigInt(value)) * perDay,
    (value) => (now + BigInt(value)) * day * 1_000_000n,
    (value) => value * Number(day),
  );
const plain = (name: string, type: DataType, base: bigint): TimeType =>
  of(
    name,
    type,
    (value) => base + BigInt(value),
    (value) => base + BigInt(value),
    (value) => value,
  );

const instants: readonly TimeType[] = [
  instant("date32", new DateDay(), 1n),
  instant("date64", new DateMillisecond(), day),
  instant("timestamp[s]", new TimestampSecond(), day / 1_000n),
  instant("timestamp[ms]", new TimestampMillisecond(), day),
  instant("timestamp[us]", new TimestampMicrosecond(), day * 1_000n),
  instant("timestamp[ns]", new TimestampNanosecond(), day * 1_000_000n),
];

/** Seven hours apart: times of day that wrap. */
const hourly = (name: string, type: DataType, perSecond: bigint): TimeType =>
  of(
    name,
    type,
    (value) => BigInt(value - 9) * 25_200n * perSecond,
    (value) => BigInt(value - 9) * 25_200n,
    (value) => value * 25_200_000,
  );
const hours: readonly TimeType[] = [
  hourly("timestamp[s], hours", new TimestampSecond(), 1n),
  hourly("timestamp[us], hours", new TimestampMicrosecond(), 1_000_000n),
  hourly("timestamp[ns], hours", new TimestampNanosecond(), 1_000_000_000n),
];

/** Nanoseconds of today, one apart: beyond what float64 can tell apart. */
const closeNanoseconds = of(
  "timestamp[ns], close",
  new TimestampNanosecond(),
  (value) => 1_700_000_000_000_000_000n + BigInt(value),
  (value) => 1_700_000_000_000_000_000n + BigInt(value),
  (value) => value / 1e6,
);

const integers: readonly TimeType[] = [
  plain("int16", new Int16(), -5n),
  plain("int32", new Int32(), -7n),
  plain("int64", new Int64(), -3n),
];
const bigIntegers: readonly TimeType[] = [
  plain("int64, big", new Int64(), 2n ** 62n),
  plain("uint64, big", new Uint64(), 2n ** 62n),
];

const floats: readonly TimeType[] = [Float32, Float64].map((Type) => ({
  name: new Type().toString(),
  vector: (values) =>
    vectorFromArray(
      // NaN is a missing time as null is.
      values.map((value, i) => (value === null ? ([null, Number.NaN][i % 2] as number | null) : value / 2 - 2)),
      new Type(),
    ),
  ticks: (value) => BigInt(value),
  tolerance: (value) => value / 2,
}));

/** Families within which both sides may choose freely. */
export const families: readonly (readonly TimeType[])[] = [
  instants,
  hours,
  [closeNanoseconds],
  integers,
  bigIntegers,
  floats,
];

export type KeyType = "int32" | "int64" | "utf8" | "dictionary";
const names = ["", "A", "BB", "600519.SH", "ключ"];

export function keyVector(type: KeyType, values: readonly (number | null)[]): Vector {
  const text = values.map((value) => (value === null ? null : (names[value] as string)));
  if (type === "utf8") return vectorFromArray(text, new Utf8());
  if (type === "dictionary") return vectorFromArray(text, new Dictionary(new Utf8(), new Int32()));
  // Negative and large keys too.
  if (type === "int32")
    return vectorFromArray(
      values.map((value) => (value === null ? null : value * 70_000 - 70_000)),
      new Int32(),
    );
  return vectorFromArray(
    values.map((value) => (value === null ? null : BigInt(value * 70_000 - 70_000))),
    new Int64(),
  );
}

export interface RandomRow {
  readonly keys: readonly (number | null)[];
  readonly time: number | null;
  readonly other: number | null;
}

export const keyText = ({ keys }: RandomRow): string | null => (keys.includes(null) ? null : keys.join());

export const rowsArbitrary = (keys: number, maxLength: number): fc.Arbitrary<RandomRow[]> =>
  fc.array(
    fc.record({
      keys: fc.array(fc.option(fc.nat(4), { freq: 12 }), { minLength: keys, maxLength: keys }),
      time: fc.option(fc.nat(20), { freq: 15 }),
      other: fc.option(fc.nat(20), { freq: 15 }),
    }),
    { maxLength },
  );

/** The same rows, with the times of each group ascending. */
export function sortedInGroups(rows: readonly RandomRow[]): RandomRow[] {
  const times = new Map<string | null, number[]>();
  for (const row of rows)
    if (row.time !== null) times.set(keyText(row), [...(times.get(keyText(row)) ?? []), row.time]);
  for (const list of times.values()) list.sort((a, b) => b - a);
  return rows.map((row) => (row.time === null ? row : { ...row, time: times.get(keyText(row))?.pop() as number }));
}

/** The same table in batches that begin at these rows. */
export function inBatches(table: Table, cuts: readonly number[]): Table {
  const edges = [0, ...[...new Set(cuts.map((cut) => cut % (table.numRows + 1)))].sort((a, b) => a - b), table.numRows];
  return new Table(
    table.schema,
    edges.slice(1).flatMap((to, i) => table.slice(edges[i], to).batches),
  );
}
