/**
 * The symbols of a panel: whether they ascend on every date, and their numbers, which only kernels that follow a symbol
 * over dates ask for.
 *
 * The order is checked on the stored bytes, codes or integers where the column is one batch of text, a dictionary or
 * small integers, and else by the numbers of the symbols.
 */
import { type Data, DataType, type Dictionary, type Vector } from "apache-arrow";
import { ByKeys } from "../columns/by-keys.js";
import { columnFault, type NamedColumn } from "../columns/named-column.js";

export interface Symbols {
  /** Id of the symbol in every row; ids are in the order of first appearance. */
  readonly ids: Int32Array;
  /** Number of distinct symbols. */
  readonly count: number;
  /** By id, in the order of P2. */
  readonly sortedIds: Int32Array;
  /** A row of every symbol, by id. */
  readonly rows: Int32Array;
}

/** Throws INVALID_ARGUMENT for a null. */
export function symbolsOf(symbol: NamedColumn): Symbols {
  const { rightIds: ids, count } = new ByKeys([symbol], symbol.vector.length);
  const rows = new Int32Array(count).fill(-1);
  for (let row = ids.length - 1; row >= 0; row--) {
    const id = ids[row] as number;
    if (id < 0) throw columnFault(symbol, `is null in row ${row}; every row has a symbol`, { row });
    rows[id] = row;
  }
  const values = Array.from(rows, (row) => symbol.vector.get(row) as Value);
  return { ids, count, sortedIds: ascending(values), rows };
}

type Value = string | number | bigint;

/** Places of the values in their order. */
function ascending(values: readonly Value[]): Int32Array {
  const order = Int32Array.from(values.keys());
  return order.sort((a, b) => compare(values[a] as Value, values[b] as Value));
}

/** All symbols of a panel are of one type. */
const compare = (x: Value, y: Value): number =>
  typeof x === "string" ? byCodePoint(x, y as string) : x < (y as bigint) ? -1 : x > (y as bigint) ? 1 : 0;

/** UTF-8 order of two strings, without encoding them: in UTF-16 surrogates sort before U+E000..U+FFFF. */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const lifted = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);
    return lifted(x) - lifted(y);
  }
  return a.length - b.length;
}

// ------------------------------------------------------------------------------------------------ order

/**
 * The first row whose symbol is not after that of the row before it on its date; -1 for none. Throws INVALID_ARGUMENT
 * for a null.
 */
export function firstUnsorted(symbol: NamedColumn, starts: Int32Array): number {
  const [data] = symbol.vector.data;
  if (symbol.vector.data.length === 1 && data) {
    const { type } = data;
    if (DataType.isUtf8(type)) return unsortedText(data, starts);
    if (DataType.isInt(type) && type.bitWidth < 64) return unsortedNumbers(data.values as Int32Array, starts);
    if (DataType.isDictionary(type)) {
      const places = dictionaryPlaces(data);
      if (places) return unsortedCodes(data.values as Int32Array, places, starts);
    }
  }
  const { ids, sortedIds } = symbolsOf(symbol);
  const places = new Int32Array(sortedIds.length);
  for (let i = 0; i < sortedIds.length; i++) places[sortedIds[i] as number] = i;
  return unsortedCodes(ids, places, starts);
}

/**
 * Places of a dictionary's values in their order, equal ones the same; undefined where it has a null, or is not worth
 * sorting.
 */
function dictionaryPlaces({ type, dictionary, length }: Data): Int32Array | undefined {
  const values = dictionary as Vector;
  if (
    values.nullCount > 0 ||
    values.length > Math.max(length, 1_000) ||
    DataType.isDictionary((type as Dictionary).dictionary)
  )
    return undefined;
  const all = [...values] as Value[];
  const order = ascending(all);
  const places = new Int32Array(order.length);
  for (let i = 1; i < order.length; i++) {
    const [one, before] = [order[i] as number, order[i - 1] as number];
    places[one] = compare(all[one] as Value, all[before] as Value) === 0 ? (places[before] as number) : i;
  }
  return places;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/**
 * Calls `firstOf` for the rows of every date until it finds one, but for dates that say the same as the one before
 * (`same`: of two of equal length): they ascend as that one does.
 */
function firstOfDates(
  starts: Int32Array,
  same: (from: number, before: number, rows: number) => boolean,
  firstOf: (from: number, to: number) => number,
): number {
  for (let d = 0; d < starts.length - 1; d++) {
    const [before, from, to] = [starts[d - 1] ?? -1, starts[d] as number, starts[d + 1] as number];
    if (from - before === to - from && d > 0 && same(from, before, to - from)) continue;
    const row = firstOf(from, to);
    if (row >= 0) return row;
  }
  return -1;
}

function unsortedCodes(codes: Int32Array, places: Int32Array, starts: Int32Array): number {
  const bytes = bytesOf(codes);
  const size = codes.BYTES_PER_ELEMENT;
  const same = (from: number, before: number, rows: number): boolean =>
    bytes.compare(bytes, before * size, (before + rows) * size, from * size, (from + rows) * size) === 0;
  return firstOfDates(starts, same, (from, to) => {
    let last = -1;
    for (let row = from; row < to; row++) {
      const place = places[codes[row] as number] as number;
      if (place <= last) return row;
      last = place;
    }
    return -1;
  });
}

function unsortedNumbers(values: ArrayLike<number>, starts: Int32Array): number {
  for (let d = 0; d < starts.length - 1; d++) {
    const to = starts[d + 1] as number;
    for (let row = (starts[d] as number) + 1; row < to; row++)
      if ((values[row] as number) <= (values[row - 1] as number)) return row;
  }
  return -1;
}

function unsortedText({ values, valueOffsets }: Data, starts: Int32Array): number {
  const text = values as Uint8Array;
  const bytes = bytesOf(text);
  const offsets = valueOffsets as Int32Array;
  const same = (from: number, before: number, rows: number): boolean => {
    const [start, earlier] = [offsets[from] as number, offsets[before] as number];
    for (let k = 1; k <= rows; k++)
      if ((offsets[from + k] as number) - start !== (offsets[before + k] as number) - earlier) return false;
    return bytes.compare(bytes, earlier, start, start, offsets[from + rows]) === 0;
  };
  return firstOfDates(starts, same, (first, end) => {
    let from = offsets[first] as number;
    for (let row = first + 1; row < end; row++) {
      const middle = offsets[row] as number;
      if (!isAfter(text, from, middle, offsets[row + 1] as number)) return row;
      from = middle;
    }
    return -1;
  });
}

/** Whether the bytes [middle, to) are after the bytes [from, middle). */
function isAfter(bytes: Uint8Array, from: number, middle: number, to: number): boolean {
  const length = Math.min(middle - from, to - middle);
  for (let i = 0; i < length; i++) {
    const difference = (bytes[middle + i] as number) - (bytes[from + i] as number);
    if (difference !== 0) return difference > 0;
  }
  return to - middle > middle - from;
}
