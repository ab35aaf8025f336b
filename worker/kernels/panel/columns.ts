/** Result columns that only panels have. */
import { Bool, Int32, makeData, Vector } from "apache-arrow";

/** Whole numbers, NaN as null. */
export function int32OrNull(values: Float64Array): Vector<Int32> {
  const { length } = values;
  const data = new Int32Array(length);
  const nullBitmap = new Uint8Array((length + 7) >> 3);
  let nullCount = 0;
  for (let i = 0; i < length; i++) {
    const value = values[i] as number;
    if (Number.isNaN(value)) nullCount++;
    else {
      data[i] = value;
      nullBitmap[i >> 3] = (nullBitmap[i >> 3] as number) | (1 << (i & 7));
    }
  }
  return new Vector([makeData({ type: new Int32(), length, nullCount, data, ...(nullCount > 0 ? { nullBitmap } : {}) })]);
}

/** True where 1; NaN is false. */
export function flagVector(values: ArrayLike<number>): Vector<Bool> {
  const { length } = values;
  const data = new Uint8Array((length + 7) >> 3);
  for (let i = 0; i < length; i++) if (values[i] === 1) data[i >> 3] = (data[i >> 3] as number) | (1 << (i & 7));
  return new Vector([makeData({ type: new Bool(), length, nullCount: 0, data })]);
}
