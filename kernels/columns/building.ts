/** Typed arrays as Arrow columns. */
import { Bool, DateDay, Float64, Int32, makeData, Utf8, Vector, vectorFromArray } from "apache-arrow";

/** NaN becomes null: a statistic that is not defined is missing, not a number. */
export const float64Vector = (values: Float64Array): Vector<Float64> =>
  ownFloat64Vector(hasNaN(values) ? values.slice() : values);

function hasNaN(values: Float64Array): boolean {
  for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) return true;
  return false;
}

/**
 * The same for values that nobody else reads: what is NaN is set to 0 in place, as the bytes under a null are part of a
 * result's digest.
 */
export function ownFloat64Vector(values: Float64Array): Vector<Float64> {
  const { length } = values;
  const nullBitmap = new Uint8Array((length + 7) >> 3);
  let nullCount = 0;
  const whole = length & ~7;
  for (let from = 0; from < whole; from += 8) {
    // The sum is NaN if one of the eight is; or if two are infinite, which is looked at then.
    const sum =
      (values[from] as number) +
      (values[from + 1] as number) +
      (values[from + 2] as number) +
      (values[from + 3] as number) +
      (values[from + 4] as number) +
      (values[from + 5] as number) +
      (values[from + 6] as number) +
      (values[from + 7] as number);
    if (Number.isNaN(sum)) nullCount += markMissing(values, from, from + 8, nullBitmap);
    else nullBitmap[from >> 3] = 255;
  }
  if (whole < length) nullCount += markMissing(values, whole, length, nullBitmap);
  return maskedFloat64Vector(values, { nullCount, nullBitmap });
}

/** Which rows have a value. */
export interface Validity {
  readonly nullCount: number;
  /** A bit for each row, as Arrow has them. */
  readonly nullBitmap: Uint8Array;
}

export function maskedFloat64Vector(data: Float64Array, { nullCount, nullBitmap }: Validity): Vector<Float64> {
  const type = new Float64();
  const { length } = data;
  return new Vector([
    makeData(nullCount === 0 ? { type, length, nullCount, data } : { type, length, nullCount, nullBitmap, data }),
  ]);
}

function markMissing(values: Float64Array, from: number, to: number, nullBitmap: Uint8Array): number {
  let bits = 0;
  let missing = 0;
  for (let i = from; i < to; i++) {
    if (Number.isNaN(values[i])) {
      values[i] = 0;
      missing++;
    } else bits |= 1 << (i - from);
  }
  nullBitmap[from >> 3] = bits;
  return missing;
}

export const int32Vector = (values: Int32Array): Vector<Int32> =>
  new Vector([makeData({ type: new Int32(), length: values.length, nullCount: 0, data: values })]);

/** The days are copied: two columns that share a buffer make a broken stream. */
export const dayVector = (days: Int32Array): Vector<DateDay> =>
  new Vector([makeData({ type: new DateDay(), length: days.length, nullCount: 0, data: days.slice() })]);

export const textVector = (values: readonly string[]): Vector<Utf8> => vectorFromArray(values, new Utf8());

export const boolVector = (values: readonly boolean[]): Vector<Bool> => vectorFromArray(values, new Bool());
