/**
 * By-keys as dense group numbers: the right table's groups are numbered in the order of their first row, the left
 * table's rows look theirs up. Each column is encoded once, dictionary columns once per dictionary; several columns are
 * folded in pairs.
 *
 * B1  A null in any key is group -1: it matches nothing, not even another null.
 */
import { type Data, DataType, type Vector } from "apache-arrow";
import { BytesDictionary, PairDictionary } from "./dictionaries.js";
import { columnFault, kinds, mistypedFault, type NamedColumn } from "./named-column.js";

const wordBase = 4_294_967_296;
type Class = "text" | "integer" | "boolean" | "date" | `timestamp ${number}`;

const valueTypeOf = (type: DataType): DataType => (DataType.isDictionary(type) ? (type.dictionary as DataType) : type);

function classOf(column: NamedColumn): Class {
  const type = valueTypeOf(column.vector.type);
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return "text";
  if (DataType.isInt(type)) return "integer";
  if (DataType.isBool(type)) return "boolean";
  if (DataType.isDate(type) && type.unit === 0) return "date";
  if (DataType.isTimestamp(type)) return `timestamp ${type.unit}`;
  throw mistypedFault(column, `a key is ${kinds.key}`);
}

interface Encoder {
  readonly class: Class;
  ids(vector: Vector, add: boolean): Int32Array;
  size(): number;
}

function encoderOf(column: NamedColumn): Encoder {
  const kind = classOf(column);
  const text = new BytesDictionary();
  const pairs = new PairDictionary();
  const codes = new Map<Vector, Int32Array>();
  const encode = (vector: Vector, add: boolean): Int32Array => {
    const out = new Int32Array(vector.length);
    let at = 0;
    for (const data of vector.data) {
      encodeChunk(data, out.subarray(at, at + data.length), add);
      at += data.length;
    }
    return out;
  };
  const encodeChunk = (data: Data, out: Int32Array, add: boolean): void => {
    if (DataType.isDictionary(data.type)) {
      const dictionary = data.dictionary as Vector;
      // Batches of one stream share their dictionary.
      const known = codes.get(dictionary) ?? encode(dictionary, add);
      codes.set(dictionary, known);
      const values = data.values as Int32Array;
      for (let i = 0; i < out.length; i++) out[i] = known[values[i] as number] ?? -1;
    } else if (kind === "text") encodeText(data, text, add, out);
    else if (kind === "boolean") encodeBooleans(data, pairs, add, out);
    else encodeIntegers(data, pairs, add, out);
    markNull(data, out);
  };
  return {
    class: kind,
    size: () => (kind === "text" ? text : pairs).size,
    ids: (vector, add) => {
      const ids = encode(vector, add);
      codes.clear();
      return ids;
    },
  };
}

function markNull({ length, offset, nullBitmap, nullCount }: Data, out: Int32Array): void {
  if (nullCount === 0) return;
  for (let i = 0; i < length; i++)
    if (!((nullBitmap[(offset + i) >> 3] as number) & (1 << ((offset + i) & 7)))) out[i] = -1;
}

const isNull = ({ offset, nullBitmap }: Data, i: number): boolean =>
  !((nullBitmap[(offset + i) >> 3] as number) & (1 << ((offset + i) & 7)));

function encodeText(data: Data, dictionary: BytesDictionary, add: boolean, out: Int32Array): void {
  const bytes = data.values as Uint8Array;
  const offsets = data.valueOffsets as Int32Array | BigInt64Array;
  const anyNull = data.nullCount > 0;
  for (let i = 0; i < out.length; i++) {
    if (anyNull && isNull(data, i)) continue;
    out[i] = dictionary.id(bytes, Number(offsets[i]), Number(offsets[i + 1]), add);
  }
}

function encodeBooleans(data: Data, dictionary: PairDictionary, add: boolean, out: Int32Array): void {
  const bits = data.values as Uint8Array;
  const anyNull = data.nullCount > 0;
  for (let i = 0; i < out.length; i++) {
    if (anyNull && isNull(data, i)) continue;
    const bit = data.offset + i;
    out[i] = dictionary.id(0, ((bits[bit >> 3] as number) >> (bit & 7)) & 1, add);
  }
}

function encodeIntegers(data: Data, dictionary: PairDictionary, add: boolean, out: Int32Array): void {
  const anyNull = data.nullCount > 0;
  const values = data.values as Int32Array | BigInt64Array;
  if (values.BYTES_PER_ELEMENT === 8) {
    const unsigned = data.values instanceof BigUint64Array;
    const words = new Int32Array(values.buffer, values.byteOffset, data.length * 2);
    for (let i = 0; i < out.length; i++) {
      if (anyNull && isNull(data, i)) continue;
      const high = words[2 * i + 1] as number;
      out[i] = dictionary.id(unsigned ? high >>> 0 : high, words[2 * i] as number, add);
    }
    return;
  }
  const small = values as Int32Array;
  for (let i = 0; i < out.length; i++) {
    if (anyNull && isNull(data, i)) continue;
    const value = small[i] as number;
    out[i] = dictionary.id(Math.floor(value / wordBase), value | 0, add);
  }
}

export class ByKeys {
  readonly rightIds: Int32Array;
  /** Groups of the right table. */
  readonly count: number;
  private readonly encoders: readonly Encoder[];
  private readonly folds: readonly PairDictionary[];
  private readonly right: readonly NamedColumn[];

  /** Without columns every row is in group 0. Throws INVALID_ARGUMENT for a column that is no key. */
  constructor(right: readonly NamedColumn[], rows: number) {
    this.right = right;
    this.encoders = right.map(encoderOf);
    this.folds = right.slice(1).map(() => new PairDictionary());
    this.rightIds = this.ids(right, rows, true);
    this.count = this.folds.at(-1)?.size ?? this.encoders[0]?.size() ?? 1;
  }

  /**
   * -1 where the right table has no such key. Throws INVALID_ARGUMENT for a column of another class than the right
   * one's.
   */
  leftIds(left: readonly NamedColumn[], rows: number): Int32Array {
    left.forEach((column, i) => {
      const right = this.right[i] as NamedColumn;
      if (classOf(column) !== this.encoders[i]?.class)
        throw columnFault(
          column,
          `is ${column.vector.type}, but column ${JSON.stringify(right.name)} of the right table is ${right.vector.type}; cast one of them`,
        );
    });
    return this.ids(left, rows, false);
  }

  private ids(columns: readonly NamedColumn[], rows: number, add: boolean): Int32Array {
    const [first, ...others] = columns.map((column, i) => (this.encoders[i] as Encoder).ids(column.vector, add));
    if (!first) return new Int32Array(rows);
    others.forEach((ids, k) => {
      const fold = this.folds[k] as PairDictionary;
      for (let i = 0; i < first.length; i++) {
        const a = first[i] as number;
        const b = ids[i] as number;
        first[i] = a < 0 || b < 0 ? -1 : fold.id(a, b, add);
      }
    });
    return first;
  }
}
