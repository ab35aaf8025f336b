/**
 * Columns in canonical form, from validated pieces: one run of values per column, zeroes under nulls, no validity
 * bitmap where nothing is null, dictionaries in order of first use. What comes out depends on the values only, not on
 * how a sender cut or padded them.
 */
import {
  type Data,
  type DataType,
  Dictionary,
  Field,
  Int32,
  makeData,
  makeVector,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableToIPC,
} from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";
import type { FlatType, Layout } from "./arrow-metadata.js";
import { type ColumnInfo, checkWords, type Ingested } from "./ingested.js";

/** `length` validated values; views on the sender's bytes. */
export interface Piece {
  readonly length: number;
  /** A bit per value; absent when nothing is null. */
  readonly validity: Uint8Array | undefined;
  readonly values: Uint8Array;
  /** length + 1 offsets into `values`, for the variable layout. */
  readonly offsets: Int32Array | BigInt64Array | undefined;
}

export interface DictionaryPiece {
  readonly length: number;
  readonly validity: Uint8Array | undefined;
  /** Index of each value in `words`; validated, except under nulls. */
  readonly indices: Int32Array;
  readonly words: readonly Piece[];
}

export interface Column {
  readonly name: string;
  readonly data: Data;
}

const bitAt = (bits: Uint8Array | undefined, i: number): boolean =>
  bits === undefined || (((bits[i >> 3] as number) >> (i & 7)) & 1) === 1;

/** A bitmap that is filled from its start; `finish` leaves it out when no bit is clear. */
class ValidityWriter {
  readonly #bits: Uint8Array;
  #at = 0;
  nulls = 0;

  constructor(length: number) {
    this.#bits = new Uint8Array((length + 7) >> 3);
  }
  push(valid: boolean): void {
    if (valid) this.#bits[this.#at >> 3] = (this.#bits[this.#at >> 3] as number) | (1 << (this.#at & 7));
    else this.nulls++;
    this.#at++;
  }
  finish(): { nullCount: number; nullBitmap?: Uint8Array } {
    return this.nulls === 0 ? { nullCount: 0 } : { nullCount: this.nulls, nullBitmap: this.#bits };
  }
}

const lengthOf = (pieces: readonly { length: number }[]): number =>
  pieces.reduce((sum, piece) => sum + piece.length, 0);

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

export function mergePieces(flat: FlatType, pieces: readonly Piece[]): Data {
  const length = lengthOf(pieces);
  const { layout, type } = flat;
  switch (layout.kind) {
    case "null":
      return dataOf({ type, length, nullCount: length });
    case "bits":
      return mergeBits(type, pieces, length);
    case "fixed":
      return mergeFixed(type, layout.width, pieces, length);
    case "variable":
      return mergeVariable(type, pieces, length);
  }
}

function mergeBits(type: DataType, pieces: readonly Piece[], length: number): Data {
  const validity = new ValidityWriter(length);
  const data = new Uint8Array((length + 7) >> 3);
  let at = 0;
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i++, at++) {
      const valid = bitAt(piece.validity, i);
      validity.push(valid);
      if (valid && bitAt(piece.values, i)) data[at >> 3] = (data[at >> 3] as number) | (1 << (at & 7));
    }
  }
  return dataOf({ type, length, ...validity.finish(), data });
}

function mergeFixed(type: DataType, width: number, pieces: readonly Piece[], length: number): Data {
  const validity = new ValidityWriter(length);
  const data = new Uint8Array(length * width);
  let at = 0;
  for (const piece of pieces) {
    data.set(piece.values.subarray(0, piece.length * width), at * width);
    for (let i = 0; i < piece.length; i++, at++) {
      const valid = bitAt(piece.validity, i);
      validity.push(valid);
      if (!valid) data.fill(0, at * width, (at + 1) * width);
    }
  }
  return dataOf({ type, length, ...validity.finish(), data });
}

function mergeVariable(type: DataType, pieces: readonly Piece[], length: number): Data {
  const validity = new ValidityWriter(length);
  const valueOffsets = new Int32Array(length + 1);
  let bytes = 0;
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i++) if (bitAt(piece.validity, i)) bytes += endOf(piece, i) - startOf(piece, i);
  }
  if (bytes > 0x7fff_ffff)
    throw new VolleyError("TOO_LARGE", `a column of ${bytes} bytes of text is over the limit of 2 GiB`);
  const data = new Uint8Array(bytes);
  let [at, end] = [0, 0];
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i++) {
      const valid = bitAt(piece.validity, i);
      validity.push(valid);
      if (valid) {
        const [from, to] = [startOf(piece, i), endOf(piece, i)];
        data.set(piece.values.subarray(from, to), end);
        end += to - from;
      }
      valueOffsets[++at] = end;
    }
  }
  return dataOf({ type, length, ...validity.finish(), data, valueOffsets });
}

const startOf = (piece: Piece, i: number): number => Number(piece.offsets?.[i] ?? 0);
const endOf = (piece: Piece, i: number): number => Number(piece.offsets?.[i + 1] ?? 0);

/** One value's bytes as a map key. */
function keyOf(layout: Layout, piece: Piece, i: number): string {
  const [from, to] =
    layout.kind === "fixed" ? [i * layout.width, (i + 1) * layout.width] : [startOf(piece, i), endOf(piece, i)];
  return Buffer.from(piece.values.buffer, piece.values.byteOffset + from, to - from).toString("latin1");
}

const unseen = -1;
const nullWord = -2;

/** `id` names the dictionary in the stream; it must be unique in its table. */
export function mergeDictionaries(flat: FlatType, id: number, pieces: readonly DictionaryPiece[]): Data {
  const { layout } = flat;
  const length = lengthOf(pieces);
  const validity = new ValidityWriter(length);
  const indices = new Int32Array(length);
  const numbers = new Map<string, number>();
  const words: Piece[] = [];
  // New numbers per piece of dictionary, not per dictionary: versions that grow by deltas share their pieces, so memory
  // stays linear.
  const remaps = new Map<Piece, Int32Array>();
  const numberAt = (dictionary: readonly Piece[], index: number): number => {
    let at = index;
    for (const piece of dictionary) {
      if (at >= piece.length) {
        at -= piece.length;
        continue;
      }
      let remap = remaps.get(piece);
      if (!remap) {
        remap = new Int32Array(piece.length).fill(unseen);
        remaps.set(piece, remap);
      }
      if (remap[at] === unseen)
        remap[at] = bitAt(piece.validity, at) ? numberOf(layout, piece, at, numbers, words) : nullWord;
      return remap[at] as number;
    }
    return nullWord;
  };
  let at = 0;
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i++, at++) {
      const number = bitAt(piece.validity, i) ? numberAt(piece.words, piece.indices[i] as number) : nullWord;
      validity.push(number >= 0);
      if (number >= 0) indices[at] = number;
    }
  }
  const dictionary = makeVector(mergePieces(flat, words));
  return dataOf({
    type: new Dictionary(flat.type, new Int32(), id),
    length,
    ...validity.finish(),
    data: indices,
    dictionary,
  });
}

/** The word's number in order of first use; a word that was not seen before is added to `words`. */
function numberOf(layout: Layout, piece: Piece, at: number, numbers: Map<string, number>, words: Piece[]): number {
  const key = keyOf(layout, piece, at);
  const known = numbers.get(key);
  if (known !== undefined) return known;
  const number = numbers.size;
  checkWords(number);
  numbers.set(key, number);
  words.push({
    length: 1,
    validity: undefined,
    values: layout.kind === "fixed" ? piece.values.subarray(at * layout.width, (at + 1) * layout.width) : piece.values,
    offsets: piece.offsets?.subarray(at, at + 2),
  });
  return number;
}

/** The table of these columns as a canonical stream: one batch, every column nullable, no metadata. */
export function encodeColumns(columns: readonly Column[], rows: number): Ingested {
  const fields = columns.map(({ name, data }) => new Field(name, data.type, true));
  const schema = new Schema(fields);
  const struct = makeData({
    type: new Struct(fields),
    length: rows,
    nullCount: 0,
    children: columns.map(({ data }) => data),
  });
  const table = new Table(schema, [new RecordBatch(schema, struct)]);
  const info = columns.map(({ name, data }): ColumnInfo => ({ name, type: String(data.type), nulls: data.nullCount }));
  return { data: tableToIPC(table, "stream"), rows, columns: info };
}
