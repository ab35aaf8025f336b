/**
 * Rows of a column by index, for every Arrow type that travels: values are moved as words, never as JavaScript values.
 * -1 gives null.
 */
import {
  type Data,
  DataType,
  Dictionary,
  type Field,
  Int32,
  makeData,
  type Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";

type Words = Uint8Array | Uint16Array | Uint32Array;
type FixedArray = {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly length: number;
  readonly BYTES_PER_ELEMENT: number;
};

/** `source[rows[i]]` as one chunk of `rows.length`. Throws INVALID_ARGUMENT for a result over 2 GiB of text. */
export function gather(source: Vector, rows: Int32Array): Data {
  const { type } = source;
  if (DataType.isNull(type)) return makeData({ type, length: rows.length });
  if (isNested(type)) return gatherNested(source, rows);
  const data = oneChunk(source);
  const validity = gatherValidity(data, rows);
  if (isText(type)) return gatherText(data, rows, validity);
  if (DataType.isBool(type)) return gatherBits(data, rows, validity);
  return gatherFixed(data, rows, validity);
}

/** Whether `gather` knows the type: all but unions and views. */
export function canGather(type: DataType): boolean {
  if (isNested(type)) return (type.children as Field[]).every((field) => canGather(field.type as DataType));
  return DataType.isNull(type) || isText(type) || isFixed(type) || DataType.isBool(type) || DataType.isDictionary(type);
}

const isNested = (type: DataType): boolean => DataType.isStruct(type) || DataType.isFixedSizeList(type) || isList(type);

const isList = (type: DataType): boolean => DataType.isList(type) || DataType.isMap(type) || DataType.isLargeList(type);

const isText = (type: DataType): boolean =>
  DataType.isUtf8(type) || DataType.isBinary(type) || DataType.isLargeUtf8(type) || DataType.isLargeBinary(type);

const isFixed = (type: DataType): boolean =>
  DataType.isInt(type) ||
  DataType.isFloat(type) ||
  DataType.isDecimal(type) ||
  DataType.isDate(type) ||
  DataType.isTime(type) ||
  DataType.isTimestamp(type) ||
  DataType.isInterval(type) ||
  DataType.isDuration(type) ||
  DataType.isFixedSizeBinary(type);

interface Validity {
  readonly nullCount: number;
  readonly nullBitmap?: Uint8Array;
}

function gatherValidity(
  { nullBitmap, nullCount, offset }: Pick<Data, "nullBitmap" | "nullCount" | "offset">,
  rows: Int32Array,
): Validity {
  const bits = new Uint8Array((rows.length + 7) >> 3);
  let valid = 0;
  for (let i = 0; i < rows.length; i += 8) {
    const end = Math.min(8, rows.length - i);
    let byte = 0;
    for (let k = 0; k < end; k++) {
      const row = rows[i + k] as number;
      if (row < 0 || (nullCount > 0 && !((nullBitmap[(offset + row) >> 3] as number) & (1 << ((offset + row) & 7)))))
        continue;
      byte |= 1 << k;
      valid++;
    }
    bits[i >> 3] = byte;
  }
  const missing = rows.length - valid;
  return missing === 0 ? { nullCount: 0 } : { nullCount: missing, nullBitmap: bits };
}

const wordsOf = ({ buffer, byteOffset, length, BYTES_PER_ELEMENT }: FixedArray): Words => {
  if (BYTES_PER_ELEMENT === 1) return new Uint8Array(buffer, byteOffset, length);
  if (BYTES_PER_ELEMENT === 2) return new Uint16Array(buffer, byteOffset, length);
  return new Uint32Array(buffer, byteOffset, (length * BYTES_PER_ELEMENT) / 4);
};

/** Words, not numbers: a NaN keeps its bits, and 64-bit integers make no objects. */
function gatherFixed(data: Data, rows: Int32Array, validity: Validity): Data {
  const values = data.values as FixedArray;
  const from = wordsOf(values);
  const perRow = (data.stride * from.length) / values.length || 1;
  const TypedArray = values.constructor as new (buffer: ArrayBuffer) => unknown;
  const buffer = new ArrayBuffer(rows.length * data.stride * values.BYTES_PER_ELEMENT);
  const to = wordsOf(new TypedArray(buffer) as FixedArray);
  moveWords(from, to, rows, perRow);
  const moved = new TypedArray(buffer);
  const dictionary = DataType.isDictionary(data.type) ? { dictionary: data.dictionary } : {};
  return makeData({ type: data.type, length: rows.length, data: moved, ...validity, ...dictionary } as never);
}

function moveWords(from: Words, to: Words, rows: Int32Array, perRow: number): void {
  if (perRow === 1) {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as number;
      if (row >= 0) to[i] = from[row] as number;
    }
  } else if (perRow === 2) {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as number;
      if (row < 0) continue;
      to[2 * i] = from[2 * row] as number;
      to[2 * i + 1] = from[2 * row + 1] as number;
    }
  } else {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as number;
      if (row < 0) continue;
      for (let k = 0; k < perRow; k++) to[i * perRow + k] = from[row * perRow + k] as number;
    }
  }
}

function gatherBits(data: Data, rows: Int32Array, validity: Validity): Data {
  const from = data.values as Uint8Array;
  const to = new Uint8Array((rows.length + 7) >> 3);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row < 0) continue;
    const bit = data.offset + row;
    if ((from[bit >> 3] as number) & (1 << (bit & 7))) to[i >> 3] = (to[i >> 3] as number) | (1 << (i & 7));
  }
  return makeData({ type: data.type, length: rows.length, data: to, ...validity } as never);
}

/** Offsets as numbers: of large types too, which beyond 2^53 bytes do not exist. */
function gatherText(data: Data, rows: Int32Array, validity: Validity): Data {
  const isLarge = DataType.isLargeUtf8(data.type) || DataType.isLargeBinary(data.type);
  const given = data.valueOffsets as Int32Array | BigInt64Array;
  const offsets = given instanceof BigInt64Array ? Float64Array.from(given, Number) : given;
  const ends = new Float64Array(rows.length + 1);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    ends[i + 1] = (ends[i] as number) + (row < 0 ? 0 : (offsets[row + 1] as number) - (offsets[row] as number));
  }
  const total = ends[rows.length] as number;
  if (total > 2_147_483_647)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `the joined text would take ${total} bytes in one column, over 2 GiB; join smaller partitions, or take fewer columns`,
    );
  const from = data.values as Uint8Array;
  const to = new Uint8Array(total);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row < 0) continue;
    const end = offsets[row + 1] as number;
    let at = ends[i] as number;
    // Most texts are a few bytes: a loop is cheaper than a view for each.
    for (let k = offsets[row] as number; k < end; k++) to[at++] = from[k] as number;
  }
  const valueOffsets = isLarge ? BigInt64Array.from(ends, BigInt) : Int32Array.from(ends);
  return makeData({ type: data.type, length: rows.length, valueOffsets, data: to, ...validity } as never);
}

/** Children of nested columns are gathered in their turn, by the rows that the outer rows have there. */
function gatherNested(source: Vector, rows: Int32Array): Data {
  const { type } = source;
  const validity = gatherValidity(validityOf(source), rows);
  const child = (index: number, of: Int32Array): Data => {
    const field = (type.children as Field[])[index] as Field;
    const chunks = source.data.map((data) => data.children[index] as Data);
    return gather(chunks.length > 0 ? new Vector(chunks) : emptyVector(field.type as DataType), of);
  };
  if (DataType.isStruct(type))
    return makeData({
      type,
      length: rows.length,
      children: type.children.map((_, index) => child(index, rows)),
      ...validity,
    } as never);
  if (DataType.isFixedSizeList(type)) {
    const size = type.listSize;
    const inner = Int32Array.from({ length: rows.length * size }, (_, i) =>
      (rows[Math.floor(i / size)] as number) < 0 ? -1 : (rows[Math.floor(i / size)] as number) * size + (i % size),
    );
    return makeData({ type, length: rows.length, child: child(0, inner), ...validity } as never);
  }
  const { starts, ends } = listBounds(source);
  const offsets = new Int32Array(rows.length + 1);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    offsets[i + 1] = (offsets[i] as number) + (row < 0 ? 0 : (ends[row] as number) - (starts[row] as number));
  }
  const inner = new Int32Array(offsets[rows.length] as number);
  for (let i = 0; i < rows.length; i++) {
    const from = starts[rows[i] as number] as number;
    for (let k = offsets[i] as number; k < (offsets[i + 1] as number); k++)
      inner[k] = from + k - (offsets[i] as number);
  }
  const valueOffsets = DataType.isLargeList(type) ? BigInt64Array.from(offsets, BigInt) : offsets;
  return makeData({ type, length: rows.length, valueOffsets, child: child(0, inner), ...validity } as never);
}

/** Where each row's list begins and ends in the children of all chunks, one behind the other. */
function listBounds(source: Vector): { starts: Int32Array; ends: Int32Array } {
  const starts = new Int32Array(source.length);
  const ends = new Int32Array(source.length);
  let row = 0;
  let base = 0;
  for (const data of source.data) {
    const offsets = data.valueOffsets as ArrayLike<number | bigint>;
    for (let i = 0; i < data.length; i++, row++) {
      starts[row] = base + Number(offsets[i]);
      ends[row] = base + Number(offsets[i + 1]);
    }
    base += data.children[0]?.length ?? 0;
  }
  return { starts, ends };
}

function validityOf({ data, length }: Vector): Pick<Data, "nullBitmap" | "nullCount" | "offset"> {
  if (data.length === 1) return data[0] as Data;
  const { nullCount, nullBitmap = new Uint8Array(0) } = joinedValidity(data, length);
  return { nullCount, nullBitmap, offset: 0 };
}

const emptyVector = (type: DataType): Vector => vectorFromArray([] as unknown[], type as Utf8);

// ------------------------------------------------------------------------------------------------ several chunks

/** All chunks of a flat column as one. */
function oneChunk(source: Vector): Data {
  const chunks = source.data.filter((data) => data.length > 0);
  const [first] = chunks;
  if (!first) return source.data[0] ?? (emptyVector(source.type).data[0] as Data);
  if (chunks.length === 1) return first;
  const { type } = first;
  if (DataType.isDictionary(type)) return joinedDictionary(chunks, source.length);
  const validity = joinedValidity(chunks, source.length);
  if (isText(type)) return joinedText(chunks, source.length, validity);
  if (DataType.isBool(type))
    return makeData({ type, length: source.length, data: joinedBits(chunks, source.length), ...validity } as never);
  return makeData({ type, length: source.length, data: joinedValues(chunks, source.length), ...validity } as never);
}

function joinedValidity(chunks: readonly Data[], length: number): Validity {
  const nullCount = chunks.reduce((sum, data) => sum + data.nullCount, 0);
  if (nullCount === 0) return { nullCount };
  const nullBitmap = new Uint8Array((length + 7) >> 3);
  let at = 0;
  for (const data of chunks) {
    for (let i = 0; i < data.length; i++, at++)
      if (data.getValid(i)) nullBitmap[at >> 3] = (nullBitmap[at >> 3] as number) | (1 << (at & 7));
  }
  return { nullCount, nullBitmap };
}

function joinedBits(chunks: readonly Data[], length: number): Uint8Array {
  const bits = new Uint8Array((length + 7) >> 3);
  let at = 0;
  for (const { values, offset, length: rows } of chunks) {
    for (let bit = offset; bit < offset + rows; bit++, at++)
      if (((values as Uint8Array)[bit >> 3] as number) & (1 << (bit & 7)))
        bits[at >> 3] = (bits[at >> 3] as number) | (1 << (at & 7));
  }
  return bits;
}

function joinedValues(chunks: readonly Data[], length: number): Int32Array {
  const [{ values, stride }] = chunks as [Data];
  const all = new (values.constructor as new (length: number) => Int32Array)(length * stride);
  let at = 0;
  for (const data of chunks) {
    all.set((data.values as Int32Array).subarray(0, data.length * stride), at);
    at += data.length * stride;
  }
  return all;
}

function joinedText(chunks: readonly Data[], length: number, validity: Validity): Data {
  const [{ type }] = chunks as [Data];
  const ends = new Float64Array(length + 1);
  const parts: Uint8Array[] = [];
  let row = 0;
  for (const data of chunks) {
    const offsets = data.valueOffsets as Int32Array | BigInt64Array;
    const start = Number(offsets[0]);
    const base = ends[row] as number;
    for (let i = 1; i <= data.length; i++) ends[row + i] = base + Number(offsets[i]) - start;
    row += data.length;
    parts.push((data.values as Uint8Array).subarray(start, Number(offsets[data.length])));
  }
  const bytes = new Uint8Array(ends[length] as number);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  const isLarge = DataType.isLargeUtf8(type) || DataType.isLargeBinary(type);
  if (!isLarge && bytes.length > 2_147_483_647)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `a text column of ${bytes.length} bytes is over 2 GiB; join smaller partitions`,
    );
  return makeData({
    type,
    length,
    valueOffsets: isLarge ? BigInt64Array.from(ends, BigInt) : Int32Array.from(ends),
    data: bytes,
    ...validity,
  } as never);
}

/** Chunks of one stream share their dictionary; others' are joined, and the codes moved up. */
function joinedDictionary(chunks: readonly Data[], length: number): Data {
  const validity = joinedValidity(chunks, length);
  const [first] = chunks as [Data];
  const type = first.type as Dictionary;
  const dictionaries = [...new Set(chunks.map((data) => data.dictionary as Vector))];
  if (dictionaries.length === 1)
    return makeData({
      type,
      length,
      data: joinedValues(chunks, length),
      dictionary: first.dictionary,
      ...validity,
    } as never);
  const starts = new Map<Vector, number>();
  let size = 0;
  for (const dictionary of dictionaries) {
    starts.set(dictionary, size);
    size += dictionary.length;
  }
  const whole = new Vector([oneChunk(new Vector(dictionaries.flatMap((dictionary) => dictionary.data)))]);
  const codes = new Int32Array(length);
  let at = 0;
  for (const data of chunks) {
    const start = starts.get(data.dictionary as Vector) as number;
    for (let i = 0; i < data.length; i++) codes[at++] = Number((data.values as Int32Array)[i]) + start;
  }
  return makeData({
    type: new Dictionary(type.dictionary, new Int32()),
    length,
    data: codes,
    dictionary: whole,
    ...validity,
  } as never);
}
