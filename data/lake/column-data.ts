/**
 * Columns from runs of values, and the rows of a column that a filter left. Canonical: zeroes under nulls, dictionaries
 * in order of first use.
 */
import { type Data, DataType, Dictionary, Int32, makeData, makeVector, Utf8, Vector } from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";
import { checkWords } from "../ingest/ingested.js";
import type { BytesBudget } from "./bytes-budget.js";
import type { ColumnType, FixedArray } from "./column-type.js";

/** Offsets have 32 bits. */
const columnBytesMax = 2_147_483_647;

/**
 * apache-arrow types `makeData` by overloads for each type; ours is known at run time only, so it is given as the
 * general form.
 */
type AnyProps = {
  type: DataType;
  length: number;
  nullCount: number;
  nullBitmap?: Uint8Array;
  data?: ArrayBufferView;
  valueOffsets?: Int32Array;
  dictionary?: unknown;
};
const dataOf = (props: AnyProps): Data => makeData(props as never) as unknown as Data;

class Validity {
  readonly #bits: Uint8Array;
  nulls = 0;

  constructor(length: number) {
    this.#bits = new Uint8Array((length + 7) >> 3).fill(255);
    if (length % 8 > 0) this.#bits[this.#bits.length - 1] = (1 << (length % 8)) - 1;
  }
  clear(i: number): void {
    this.#bits[i >> 3] = (this.#bits[i >> 3] as number) & ~(1 << (i & 7));
    this.nulls++;
  }
  finish(): { nullCount: number; nullBitmap?: Uint8Array } {
    return this.nulls === 0 ? { nullCount: 0 } : { nullCount: this.nulls, nullBitmap: this.#bits };
  }
}

/** Text or bytes one after another. */
class Bytes {
  #buffer = Buffer.allocUnsafe(1_024);
  #end = 0;
  readonly offsets: Int32Array;
  readonly #budget: BytesBudget | undefined;
  readonly #bytesMax: number;

  constructor(length: number, budget?: BytesBudget) {
    this.offsets = new Int32Array(length + 1);
    this.#budget = budget;
    this.#bytesMax = Math.min(columnBytesMax, budget?.left ?? columnBytesMax);
  }
  push(i: number, value: string | Uint8Array | null): void {
    const most = value === null ? 0 : typeof value === "string" ? value.length * 3 : value.byteLength;
    if (this.#end + most > this.#buffer.length) this.#grow(value, most);
    if (typeof value === "string") this.#end += this.#buffer.write(value, this.#end, "utf8");
    else if (value) {
      this.#buffer.set(value, this.#end);
      this.#end += value.byteLength;
    }
    this.offsets[i + 1] = this.#end;
  }

  /** `most` is a guess for text; near the limit its bytes are counted. */
  #grow(value: string | Uint8Array | null, most: number): void {
    const bytes = typeof value === "string" ? Buffer.byteLength(value) : (value?.byteLength ?? 0);
    if (this.#end + bytes > this.#bytesMax)
      throw (
        this.#budget?.exceeded() ??
        new VolleyError("TOO_LARGE", `a column has more than ${columnBytesMax} bytes of text; read fewer rows at once`)
      );
    const size = Math.min(Math.max(this.#buffer.length * 2, this.#end + most), this.#bytesMax);
    if (size <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(size);
    grown.set(this.#buffer.subarray(0, this.#end));
    this.#buffer = grown;
  }

  finish(): { data: Uint8Array; valueOffsets: Int32Array } {
    this.#budget?.take(this.#end);
    return { data: Uint8Array.from(this.#buffer.subarray(0, this.#end)), valueOffsets: this.offsets };
  }
}

/** Bytes of a row, whatever its value; text and bytes of no fixed size have more. */
function rowBytes({ layout }: ColumnType): number {
  switch (layout.kind) {
    case "fixed":
      return layout.make(0).BYTES_PER_ELEMENT;
    case "bool":
      return 1 / 8;
    case "fixed-bytes":
      return layout.width;
    default:
      return 4;
  }
}

/** Values for `rows` rows, pushed in runs; a run's value is null where there is none. */
export interface ColumnBuilder {
  /** Throws an Error that says what is wrong with the value of which row. */
  push(run: ArrayLike<unknown>): void;
  /** Throws if there are fewer values than rows. */
  finish(): Data;
}

/**
 * Throws TOO_LARGE, before anything is allocated, if the column does not fit into the budget; so do `push` and `finish`
 * where that depends on its values.
 */
export function columnBuilder(column: ColumnType, rows: number, budget: BytesBudget): ColumnBuilder {
  const { type, layout } = column;
  budget.take(Math.ceil(rows * (rowBytes(column) + 1 / 8)));
  const validity = new Validity(rows);
  let at = 0;
  const build = (set: (i: number, value: unknown) => void, done: () => Partial<AnyProps>): ColumnBuilder => ({
    push: (run) => {
      if (at + run.length > rows) throw new Error(`has more than the ${rows} values announced`);
      for (let i = 0; i < run.length; i++, at++) {
        const value = run[i];
        if (value === undefined)
          throw new Error(`has an undefined value in row ${at}: an entry of its dictionary that is not there`);
        if (value === null) validity.clear(at);
        set(at, value);
      }
    },
    finish: () => {
      if (at !== rows) throw new Error(`has ${at} values, not ${rows} as announced`);
      return dataOf({ type, length: rows, ...validity.finish(), ...done() });
    },
  });
  switch (layout.kind) {
    case "fixed": {
      const values = layout.make(rows);
      const { from, narrow = false } = layout;
      return build(fixedSetter(values, from, narrow), () => ({ data: values }));
    }
    case "bool": {
      const bits = new Uint8Array((rows + 7) >> 3);
      return build(
        (i, value) => {
          if (value === true) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
        },
        () => ({ data: bits }),
      );
    }
    case "text":
    case "bytes": {
      const bytes = new Bytes(rows, budget);
      return build(
        (i, value) => bytes.push(i, value as string | Uint8Array | null),
        () => bytes.finish(),
      );
    }
    case "dictionary": {
      const words = new Words(rows);
      return build(
        (i, value) => words.set(i, value as string | null),
        () => words.finish(),
      );
    }
    case "fixed-bytes": {
      const data = new Uint8Array(rows * layout.width);
      return build(
        (i, value) => {
          if (value === null) return;
          if ((value as Uint8Array).byteLength !== layout.width)
            throw new Error(`has ${(value as Uint8Array).byteLength} bytes in row ${i}, not ${layout.width}`);
          data.set(value as Uint8Array, i * layout.width);
        },
        () => ({ data }),
      );
    }
  }
}

function fixedSetter(
  values: FixedArray,
  from: ((raw: unknown) => number | bigint) | undefined,
  narrow: boolean,
): (i: number, value: unknown) => void {
  return (i, value) => {
    if (value === null) return;
    const made = from ? from(value) : value;
    // A value of another kind (number or bigint) makes the assignment throw.
    (values as { [i: number]: unknown })[i] = made;
    if (narrow && values[i] !== made) throw new Error(`has ${String(made)} in row ${i}, which does not fit its type`);
  };
}

class Words {
  readonly #indices: Int32Array;
  readonly #numbers = new Map<string, number>();

  constructor(rows: number) {
    this.#indices = new Int32Array(rows);
  }
  set(i: number, word: string | null): void {
    if (word === null) return;
    let number = this.#numbers.get(word);
    if (number === undefined) {
      number = this.#numbers.size;
      checkWords(number);
      this.#numbers.set(word, number);
    }
    this.#indices[i] = number;
  }
  finish(): { data: Int32Array; dictionary: Vector } {
    const bytes = new Bytes(this.#numbers.size);
    for (const [word, number] of this.#numbers) bytes.push(number, word);
    const dictionary = makeVector(
      dataOf({ type: new Utf8(), length: this.#numbers.size, nullCount: 0, ...bytes.finish() }),
    );
    return { data: this.#indices, dictionary: dictionary as Vector };
  }
}

/** The same column with an own dictionary id, which must be unique in its table. */
export function withDictionaryId(data: Data, id: number): Data {
  if (!DataType.isDictionary(data.type)) return data;
  const { dictionary, indices } = data.type as Dictionary;
  return data.clone(new Dictionary(dictionary, indices, id));
}

/** Rows of a canonical column, in the given order. */
export function takeRows(data: Data, rows: Int32Array): Data {
  const { type } = data;
  const length = rows.length;
  const validity = new Validity(length);
  const isNull = (row: number): boolean => data.nullCount > 0 && !data.getValid(row);
  for (let i = 0; i < length; i++) if (isNull(rows[i] as number)) validity.clear(i);
  if (DataType.isDictionary(type)) {
    const words = new Words(length);
    const dictionary = data.dictionary as Vector<Utf8>;
    for (let i = 0; i < length; i++) {
      const row = rows[i] as number;
      words.set(i, isNull(row) ? null : dictionary.get((data.values as Int32Array)[row] as number));
    }
    return dataOf({
      type: new Dictionary(type.dictionary, new Int32(), type.id),
      length,
      ...validity.finish(),
      ...words.finish(),
    });
  }
  if (DataType.isUtf8(type) || DataType.isBinary(type)) {
    const bytes = new Bytes(length);
    const [offsets, values] = [data.valueOffsets as Int32Array, data.values as Uint8Array];
    for (let i = 0; i < length; i++)
      bytes.push(i, values.subarray(offsets[rows[i] as number], offsets[(rows[i] as number) + 1]));
    return dataOf({ type, length, ...validity.finish(), ...bytes.finish() });
  }
  if (DataType.isBool(type)) {
    const vector = new Vector([data]);
    const bits = new Uint8Array((length + 7) >> 3);
    for (let i = 0; i < length; i++)
      if (vector.get(rows[i] as number) === true) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
    return dataOf({ type, length, ...validity.finish(), data: bits });
  }
  const values = data.values as FixedArray;
  const stride = DataType.isFixedSizeBinary(type) ? type.byteWidth : 1;
  const out = new (values.constructor as new (length: number) => FixedArray)(length * stride);
  for (let i = 0; i < length; i++) {
    const row = rows[i] as number;
    for (let k = 0; k < stride; k++) (out as { [i: number]: unknown })[i * stride + k] = values[row * stride + k];
  }
  return dataOf({ type, length, ...validity.finish(), data: out });
}

/** Dictionary columns one after another, with one dictionary. */
export function joinDictionaries(parts: readonly Data[]): Data {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const validity = new Validity(length);
  const words = new Words(length);
  const type = parts[0]?.type as Dictionary;
  let at = 0;
  for (const part of parts) {
    const dictionary = part.dictionary as Vector<Utf8>;
    const texts = Array.from({ length: dictionary.length }, (_, i) => dictionary.get(i));
    for (let i = 0; i < part.length; i++, at++) {
      if (part.nullCount > 0 && !part.getValid(i)) validity.clear(at);
      else words.set(at, texts[(part.values as Int32Array)[i] as number] as string);
    }
  }
  return dataOf({
    type: new Dictionary(type.dictionary, new Int32(), type.id),
    length,
    ...validity.finish(),
    ...words.finish(),
  });
}
