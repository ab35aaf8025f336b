/**
 * Columns of a panel as sections read and write them: in place, with a bitmap of what is there, or with NaN for what is
 * not.
 */
import { Bool, DataType, Float64, Int32, makeData, type Table, Vector } from "apache-arrow";
import { optionalFloat64Column } from "./reading.js";

/** Numbers in the panel's rows; NaN is missing. */
export interface Numbers {
  readonly values: Float64Array;
  /** A row is missing too where its bit, `offset` rows on, is 0; absent: none is. */
  readonly bits?: Uint8Array | undefined;
  readonly offset: number;
}

export const plainNumbers = (values: Float64Array): Numbers => ({ values, offset: 0 });

/** Nothing is copied of float64 in one batch. */
export function storedNumbers(table: Table, name: string): Numbers {
  const vector = table.getChild(name) as Vector;
  const [data] = vector.data;
  if (vector.data.length !== 1 || !data || !DataType.isFloat(vector.type) || !(data.values instanceof Float64Array))
    return plainNumbers(optionalFloat64Column(table, name));
  const { values, nullBitmap, nullCount, offset, length } = data;
  return { values: values.subarray(0, length), bits: nullCount > 0 ? nullBitmap : undefined, offset };
}

/** Rows that were computed. */
export interface Rows {
  /** Ascending; undefined: all from `from` on. */
  readonly rows: Int32Array | undefined;
  readonly from: number;
  /** Nobody else has rows in [from, to); undefined: others may. */
  readonly to: number | undefined;
  /** The rows are those of [from, to) whose bits are set here. */
  readonly stored?: Numbers | undefined;
}

/** A column of results. Rows that nobody puts are null, and so is NaN. */
export interface ResultColumn {
  put(rows: Rows, values: Float64Array): void;
  vector(): Vector;
}

/** Bits of the rows that have a value. */
class Present {
  readonly bits: Uint8Array;
  count = 0;
  readonly #length: number;

  constructor(length: number) {
    this.#length = length;
    this.bits = new Uint8Array((length + 7) >> 3);
  }

  /** [from, to). */
  setAll(from: number, to: number): void {
    const { bits } = this;
    const [first, last] = [from >> 3, (to - 1) >> 3];
    const head = (0xff << (from & 7)) & 0xff;
    const tail = 0xff >> (7 - ((to - 1) & 7));
    bits[first] = (bits[first] as number) | (first === last ? head & tail : head);
    if (first === last) return;
    bits.fill(0xff, first + 1, last);
    bits[last] = (bits[last] as number) | tail;
  }

  /** The bits of [from, to) as they are there; false if they do not lie alike. */
  copy({ bits: source, offset }: Numbers, from: number, to: number): boolean {
    if (!source || (offset & 7) !== 0) return false;
    const { bits } = this;
    const shift = offset >> 3;
    const [first, last] = [from >> 3, (to - 1) >> 3];
    for (let byte = first; byte <= last; byte++) {
      let own = source[byte + shift] as number;
      if (byte === first) own &= 0xff << (from & 7);
      if (byte === last) own &= 0xff >> (7 - ((to - 1) & 7));
      bits[byte] = (bits[byte] as number) | own;
    }
    return true;
  }

  clear(from: number, to: number): void {
    for (let row = from; row < to; row++) this.bits[row >> 3] = (this.bits[row >> 3] as number) & ~(1 << (row & 7));
  }

  set(row: number): void {
    this.bits[row >> 3] = (this.bits[row >> 3] as number) | (1 << (row & 7));
  }

  /** Arrow's words for it; `data` is 0 where nothing is. */
  nulls(): { readonly length: number; readonly nullCount: number; readonly nullBitmap?: Uint8Array } {
    const nullCount = this.#length - this.count;
    return { length: this.#length, nullCount, ...(nullCount > 0 ? { nullBitmap: this.bits } : {}) };
  }
}

function putNumbers(rows: Rows, values: Float64Array, data: Float64Array | Int32Array, present: Present): void {
  if (rows.to === undefined) {
    putSparse(rows.rows as Int32Array, values, data, present);
    return;
  }
  // Where every row that was there has a result, what is there is known.
  if (rows.rows && rows.stored && putFinite(rows.rows, values, data) && present.copy(rows.stored, rows.from, rows.to)) {
    present.count += values.length;
    return;
  }
  present.setAll(rows.from, rows.to);
  if (rows.rows) putListed(rows.rows, rows.from, rows.to, values, data, present);
  else putAll(rows.from, values, data, present);
}

/** Whether all are finite; what is not is put again. */
function putFinite(rows: Int32Array, values: Float64Array, data: Float64Array | Int32Array): boolean {
  // As in gathering: NaN if one is not, in two sums.
  let [rest, other] = [0, 0];
  const even = rows.length & ~1;
  for (let k = 0; k < even; k += 2) {
    const one = values[k] as number;
    const two = values[k + 1] as number;
    data[rows[k] as number] = one;
    data[rows[k + 1] as number] = two;
    rest += one - one;
    other += two - two;
  }
  if (even < rows.length) {
    const last = values[even] as number;
    data[rows[even] as number] = last;
    rest += last - last;
  }
  return rest + other === 0;
}

function putAll(from: number, values: Float64Array, data: Float64Array | Int32Array, present: Present): void {
  let missing = 0;
  for (let k = 0; k < values.length; k++) {
    const value = values[k] as number;
    if (Number.isNaN(value)) {
      missing++;
      present.clear(from + k, from + k + 1);
    } else data[from + k] = value;
  }
  present.count += values.length - missing;
}

/** Bits are set: those between the rows are cleared, which are fewer. */
function putListed(
  rows: Int32Array,
  from: number,
  to: number,
  values: Float64Array,
  data: Float64Array | Int32Array,
  present: Present,
): void {
  let missing = 0;
  let next = from;
  for (let k = 0; k < rows.length; k++) {
    const row = rows[k] as number;
    if (row !== next) present.clear(next, row);
    next = row + 1;
    const value = values[k] as number;
    if (Number.isNaN(value)) {
      missing++;
      present.clear(row, next);
      data[row] = 0;
    } else data[row] = value;
  }
  present.clear(next, to);
  present.count += rows.length - missing;
}

function putSparse(rows: Int32Array, values: Float64Array, data: Float64Array | Int32Array, present: Present): void {
  for (let k = 0; k < rows.length; k++) {
    const value = values[k] as number;
    if (Number.isNaN(value)) continue;
    const row = rows[k] as number;
    data[row] = value;
    present.set(row);
    present.count++;
  }
}

export function floatColumn(length: number): ResultColumn {
  const data = new Float64Array(length);
  const present = new Present(length);
  return {
    put: (rows, values) => putNumbers(rows, values, data, present),
    vector: () => new Vector([makeData({ type: new Float64(), data, ...present.nulls() })]),
  };
}

/** Whole numbers. */
export function intColumn(length: number): ResultColumn {
  const data = new Int32Array(length);
  const present = new Present(length);
  return {
    put: (rows, values) => putNumbers(rows, values, data, present),
    vector: () => new Vector([makeData({ type: new Int32(), data, ...present.nulls() })]),
  };
}

/** True where 1; all else, and what nobody puts, is false. */
export function flagColumn(length: number): ResultColumn {
  const flags = new Uint8Array(length);
  return {
    put({ rows, from }, values) {
      for (let k = 0; k < values.length; k++) flags[rows ? (rows[k] as number) : from + k] = values[k] === 1 ? 1 : 0;
    },
    vector: () => flagVector(flags),
  };
}

/** True where 1. */
export function flagVector(values: Uint8Array): Vector<Bool> {
  const { length } = values;
  const data = new Uint8Array((length + 7) >> 3);
  for (let i = 0; i < length; i++) if (values[i] === 1) data[i >> 3] = (data[i >> 3] as number) | (1 << (i & 7));
  return new Vector([makeData({ type: new Bool(), length, nullCount: 0, data })]);
}
