/**
 * Results as JSON. What JSON lacks is written so: NaN and infinities as null, whole numbers beyond 2^53 as text, dates
 * as YYYY-MM-DD, times as ISO 8601 UTC, bytes as base64, typed arrays and sets as arrays, maps as objects, tables as
 * arrays of row objects.
 */
import { DataType, type Field, Table, TimeUnit } from "apache-arrow";

export type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

export const isoDate = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

const unitsPerSecond: Readonly<Record<TimeUnit, bigint>> = {
  [TimeUnit.SECOND]: 1n,
  [TimeUnit.MILLISECOND]: 1_000n,
  [TimeUnit.MICROSECOND]: 1_000_000n,
  [TimeUnit.NANOSECOND]: 1_000_000_000n,
};

/** Every digit of the unit is kept: 2020-01-02T03:04:05.000001Z for microseconds; without a zone, no Z. */
export function isoTime(raw: bigint, unit: TimeUnit, zoned: boolean): string {
  const per = unitsPerSecond[unit];
  const fraction = ((raw % per) + per) % per;
  const seconds = (raw - fraction) / per;
  const whole = new Date(Number(seconds) * 1_000);
  if (Number.isNaN(whole.getTime())) return String(raw);
  const digits = per === 1n ? "" : `.${String(fraction).padStart(String(per).length - 1, "0")}`;
  return `${whole.toISOString().slice(0, -5)}${digits}${zoned ? "Z" : ""}`;
}

/** How a column's raw values are written. Built once per column, so that rows cost no look at types. */
export function cellWriter(field: Field): (value: unknown, raw: () => bigint) => Plain {
  const type = field.type as DataType;
  if (DataType.isDate(type)) return (value) => isoDate(Number(value));
  if (DataType.isTimestamp(type)) {
    const { unit, timezone } = type;
    return (_, raw) => isoTime(raw(), unit, timezone !== null && timezone !== undefined && timezone !== "");
  }
  return (value) => plain(value);
}

/** Rows of a table as plain objects, one at a time. */
export function* plainRows(table: Table): Generator<{ [key: string]: Plain }> {
  const writers = table.schema.fields.map((field) => ({ name: field.name, write: cellWriter(field) }));
  for (const batch of table.batches) {
    const columns = writers.map(({ name, write }, i) => ({
      name,
      write,
      vector: batch.getChildAt(i),
      values: batch.data.children[i]?.values as BigInt64Array | undefined,
    }));
    for (let row = 0; row < batch.numRows; row++) {
      const out: { [key: string]: Plain } = {};
      for (const { name, write, vector, values } of columns) {
        const value = vector?.get(row) as unknown;
        const cell = value === null || value === undefined ? null : write(value, () => values?.[row] ?? 0n);
        if (name === "__proto__") Object.defineProperty(out, name, { value: cell, enumerable: true });
        else out[name] = cell;
      }
      yield out;
    }
  }
}

export function plain(value: unknown): Plain {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? value : null;
    case "string":
    case "boolean":
      return value;
    case "bigint":
      return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
        ? Number(value)
        : String(value);
    case "object":
      return value === null ? null : plainObject(value);
    default:
      return null;
  }
}

function plainObject(value: object): Plain {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Table) return [...plainRows(value)];
  if (value instanceof Error) return { name: value.name, message: value.message };
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString("base64");
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return Array.from(value as unknown as ArrayLike<number | bigint>, plain);
  if (value instanceof Set) return [...value].map(plain);
  const entries =
    value instanceof Map
      ? [...value].map(([key, inner]): [string, unknown] => [String(key), inner])
      : Object.entries(value);
  return Object.fromEntries(entries.map(([key, inner]) => [key, plain(inner)]));
}
