/**
 * Times of all tables of a join on one axis: numbers in float64 that compare exactly.
 *
 * Instants (dates, timestamps of any unit, with or without a zone: the stored instant counts, a date is its midnight in
 * UTC) go to the finest unit among them. Up to microseconds a tick count is exact in float64; nanoseconds are not, nor
 * are integers of 64 bits, so those axes are wide: `hi` and `lo` compare as a pair. Which form it is follows from the
 * types alone, never from the values, so that partitions agree.
 *
 * T1  A missing time (null or NaN) is NaN in `hi`.
 * T2  a < b on the axis exactly when hi(a) < hi(b), or hi(a) = hi(b) and lo(a) < lo(b).
 */
import { type Data, DataType, DateUnit, Precision, TimeUnit, type Vector } from "apache-arrow";
import { columnFault, kinds, mistypedFault, type NamedColumn, shownValue } from "./named-column.js";

export const dayMs = 86_400_000;
const wordBase = 4_294_967_296;
const exactMax = Number.MAX_SAFE_INTEGER;
const none = new Float64Array(0);

export interface Axis {
  readonly hi: Float64Array;
  /** Empty on an axis that is not wide. */
  readonly lo: Float64Array;
  /** False: no time is missing, and nobody needs to look. */
  readonly mayMiss: boolean;
}

export interface Scale {
  readonly kind: "number" | "integer" | "instant";
  readonly wide: boolean;
  /** Instants only; else 0. */
  readonly ticksPerMs: number;
  /** How many of `lo` make one of `hi` on a wide axis. */
  readonly base: number;
}

type Kind = Scale["kind"];

function kindOf(column: NamedColumn): Kind {
  const { type } = column.vector;
  if (DataType.isDate(type) || DataType.isTimestamp(type)) return "instant";
  if (DataType.isInt(type)) return "integer";
  if (DataType.isFloat(type) && type.precision !== Precision.HALF) return "number";
  throw mistypedFault(column, `a time is ${kinds.time}`);
}

const perMs: Readonly<Record<TimeUnit, number>> = {
  [TimeUnit.SECOND]: 0.001,
  [TimeUnit.MILLISECOND]: 1,
  [TimeUnit.MICROSECOND]: 1_000,
  [TimeUnit.NANOSECOND]: 1_000_000,
};

const ticksPerMsOf = ({ type }: Vector): number => (DataType.isTimestamp(type) ? perMs[type.unit] : 1);

/** Throws INVALID_ARGUMENT if a column is no time, or they are not of one kind. */
export function scaleOf(columns: readonly NamedColumn[]): Scale {
  const [first] = columns as [NamedColumn];
  const kind = kindOf(first);
  for (const column of columns) {
    if (kindOf(column) === kind) continue;
    const other = `column ${JSON.stringify(first.name)} of the ${first.side} table is ${first.vector.type}`;
    throw columnFault(column, `is ${column.vector.type}, but ${other}; cast one of them`);
  }
  if (kind === "number") return { kind, wide: false, ticksPerMs: 0, base: 0 };
  if (kind === "integer") {
    const wide = columns.some(({ vector }) => (vector.type as { bitWidth: number }).bitWidth === 64);
    return { kind, wide, ticksPerMs: 0, base: wordBase };
  }
  const ticksPerMs = Math.max(1, ...columns.map(({ vector }) => ticksPerMsOf(vector)));
  return { kind, wide: ticksPerMs === perMs[TimeUnit.NANOSECOND], ticksPerMs, base: dayMs * ticksPerMs };
}

/**
 * The column on the axis. Nothing is copied of float64 in one batch without nulls. Throws INVALID_ARGUMENT if an
 * instant is beyond the axis.
 */
export function axisOf(column: NamedColumn, scale: Scale): Axis {
  const { vector } = column;
  const [only] = vector.data;
  if (
    scale.kind === "number" &&
    vector.data.length === 1 &&
    only?.nullCount === 0 &&
    only.values instanceof Float64Array
  )
    return { hi: only.values.subarray(0, only.length), lo: none, mayMiss: true };
  const hi = new Float64Array(vector.length);
  const lo = scale.wide ? new Float64Array(vector.length) : none;
  let at = 0;
  for (const data of vector.data) {
    const to = at + data.length;
    fill(column, scale, data, hi.subarray(at, to), scale.wide ? lo.subarray(at, to) : lo, at);
    at = to;
  }
  return { hi, lo, mayMiss: scale.kind === "number" || vector.nullCount > 0 };
}

function fill(column: NamedColumn, scale: Scale, data: Data, hi: Float64Array, lo: Float64Array, at: number): void {
  const values = data.values as Int32Array | Float64Array;
  const ofWords = values.BYTES_PER_ELEMENT === 8 && !(values instanceof Float64Array);
  const unit = ticksPerMsOf(column.vector);
  const isSplit = scale.wide && unit === scale.ticksPerMs;
  let isExact = false;
  if (scale.kind === "integer" && scale.wide) ofWords ? wordPairs(data, hi, lo) : smallIntegers(values, hi, lo);
  else if (isSplit) nanoseconds(data, hi, lo);
  else if (ofWords) isExact = words64(data, hi);
  else hi.set(values.subarray(0, data.length));
  markMissing(data, hi);
  if (scale.kind !== "instant" || isSplit) return;
  const isDay = DataType.isDate(data.type) && data.type.unit === DateUnit.DAY;
  const factor = isDay ? scale.base : Math.round(scale.ticksPerMs / unit);
  if (isExact && factor === 1) return;
  const row = scaled(hi, lo, scale, factor);
  if (row < 0) return;
  const value = shownValue(column, at + row);
  throw columnFault(
    column,
    `is ${value} in row ${at + row}, beyond what can be compared exactly with the other times`,
    { row: at + row, value },
  );
}

function markMissing({ length, offset, nullBitmap, nullCount }: Data, hi: Float64Array): void {
  if (nullCount === 0) return;
  for (let i = 0; i < length; i++)
    if (!((nullBitmap[(offset + i) >> 3] as number) & (1 << ((offset + i) & 7)))) hi[i] = Number.NaN;
}

const wordsOf = ({ values, length }: Data): Int32Array => {
  const { buffer, byteOffset } = values as BigInt64Array;
  return new Int32Array(buffer, byteOffset, length * 2);
};

/** Integers of 64 bits as numbers. Whether all of them (those under nulls too) are below 2^53, and so exact. */
function words64(data: Data, hi: Float64Array): boolean {
  const words = wordsOf(data);
  let bits = 0;
  for (let i = 0; i < hi.length; i++) {
    const high = words[2 * i + 1] as number;
    hi[i] = high * wordBase + ((words[2 * i] as number) >>> 0);
    bits |= high ^ (high >> 31);
  }
  return bits < 2_097_152;
}

function wordPairs(data: Data, hi: Float64Array, lo: Float64Array): void {
  const words = wordsOf(data);
  const unsigned = data.values instanceof BigUint64Array;
  for (let i = 0; i < hi.length; i++) {
    const high = words[2 * i + 1] as number;
    hi[i] = unsigned ? high >>> 0 : high;
    lo[i] = (words[2 * i] as number) >>> 0;
  }
}

function smallIntegers(values: ArrayLike<number>, hi: Float64Array, lo: Float64Array): void {
  for (let i = 0; i < hi.length; i++) {
    const value = values[i] as number;
    const high = Math.floor(value / wordBase);
    hi[i] = high;
    lo[i] = value - high * wordBase;
  }
}

/** 86,400e9 = 2^16 * 1,318,359,375, so day and rest of 64 bits are exact in float64 although the count is not. */
function nanoseconds(data: Data, hi: Float64Array, lo: Float64Array): void {
  const words = wordsOf(data);
  const perDay = 86_400e9;
  for (let i = 0; i < hi.length; i++) {
    const high = words[2 * i + 1] as number;
    const low = (words[2 * i] as number) >>> 0;
    let day = Math.floor((high * wordBase + low) / perDay);
    let rest = (high * 65_536 - day * 1_318_359_375) * 65_536 + low;
    if (rest < 0) {
      day--;
      rest += perDay;
    } else if (rest >= perDay) {
      day++;
      rest -= perDay;
    }
    hi[i] = day;
    lo[i] = rest;
  }
}

/**
 * From the column's unit to ticks, in place, `factor` of them to one. The first row that has no exact place on the
 * axis, or -1.
 */
function scaled(hi: Float64Array, lo: Float64Array, { wide, base }: Scale, factor: number): number {
  const max = wide ? exactMax : exactMax / factor;
  const unitsPerDay = base / factor;
  for (let i = 0; i < hi.length; i++) {
    const value = hi[i] as number;
    if (value > max || value < -max) return i;
    if (wide) {
      const day = Math.floor(value / unitsPerDay);
      hi[i] = day;
      lo[i] = (value - day * unitsPerDay) * factor;
    } else hi[i] = value * factor;
  }
  return -1;
}

/** A length of time in ticks: of instants `value` is in milliseconds, else in the column's own unit. */
export function ticksOf(value: number, { kind, ticksPerMs }: Scale): number {
  if (kind !== "instant") return value;
  const ticks = value * ticksPerMs;
  // 0.000029 ms are 29 ns, though not in binary.
  return Math.abs(ticks - Math.round(ticks)) < 1e-6 ? Math.round(ticks) : ticks;
}
