/** Which rows of a table are one series, and columns in that order. */
import type { Table } from "apache-arrow";
import { ByKeys } from "../columns/by-keys.js";
import { kinds } from "../columns/named-column.js";
import { columnFault, columnNames, columnOf } from "../columns/reading.js";

/** The rows of each key, one series behind the other. */
export interface SeriesRows {
  /** In the order of their first rows. */
  readonly keys: readonly string[];
  /** Series s has the places [starts[s], starts[s + 1]). */
  readonly starts: Int32Array;
  /** Row of the table at each place; undefined: the table has the series one behind the other already. */
  readonly order: Int32Array | undefined;
}

/**
 * Without `by` the table is one series. Throws INVALID_ARGUMENT for a key that is null, and for a column that is no
 * key.
 */
export function seriesRows(kernel: string, table: Table, by: string | undefined): SeriesRows {
  if (by === undefined) return { keys: [""], starts: Int32Array.of(0, table.numRows), order: undefined };
  const vector = columnOf(table, by, kinds.key);
  const column = { kernel, side: "input", name: by, vector, beside: columnNames(table) };
  const { rightIds: ids, count } = new ByKeys([column], table.numRows);
  const firsts = new Int32Array(count).fill(-1);
  const starts = new Int32Array(count + 1);
  let together = true;
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row] as number;
    if (id < 0) throw columnFault(by, `is null in row ${row}; every row has a key`);
    if (firsts[id] === -1) firsts[id] = row;
    starts[id + 1] = (starts[id + 1] as number) + 1;
    if (row > 0 && id < (ids[row - 1] as number)) together = false;
  }
  // A dictionary may hold, and number, keys that no row has; they are no series, and the others are in the order of
  // their first rows.
  const present = [...firsts.keys()]
    .filter((id) => firsts[id] !== -1)
    .sort((a, b) => (firsts[a] as number) - (firsts[b] as number));
  const keys = present.map((id) => String(vector.get(firsts[id] as number)));
  return {
    keys,
    ...placesOf(ids, starts, present, together && present.every((id, i) => i === 0 || id > (present[i - 1] as number))),
  };
}

/** `counts` has the rows of id in [id + 1]. */
function placesOf(
  ids: Int32Array,
  counts: Int32Array,
  present: readonly number[],
  together: boolean,
): Pick<SeriesRows, "starts" | "order"> {
  const starts = new Int32Array(present.length + 1);
  const next = new Int32Array(counts.length);
  present.forEach((id, s) => {
    next[id] = starts[s] as number;
    starts[s + 1] = (starts[s] as number) + (counts[id + 1] as number);
  });
  if (together) return { starts, order: undefined };
  const order = new Int32Array(ids.length);
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row] as number;
    const place = next[id] as number;
    order[place] = row;
    next[id] = place + 1;
  }
  return { starts, order };
}

/** The values of series s; where they lie together already, a view. */
export function valuesOf(column: Float64Array, { starts, order }: SeriesRows, s: number): Float64Array {
  const from = starts[s] as number;
  const to = starts[s + 1] as number;
  if (!order) return column.subarray(from, to);
  const out = new Float64Array(to - from);
  for (let i = from; i < to; i++) out[i - from] = column[order[i] as number] as number;
  return out;
}

/** Puts the values of series s where its rows are. */
export function putValues(values: Float64Array, { starts, order }: SeriesRows, s: number, into: Float64Array): void {
  const from = starts[s] as number;
  if (!order) into.set(values, from);
  else for (let i = 0; i < values.length; i++) into[order[from + i] as number] = values[i] as number;
}

/** Series of one length, which a run can take side by side, by that length. */
export function byLength({ keys, starts }: SeriesRows): Map<number, number[]> {
  const lengths = new Map<number, number[]>();
  for (let s = 0; s < keys.length; s++) {
    const length = (starts[s + 1] as number) - (starts[s] as number);
    const known = lengths.get(length);
    if (known) known.push(s);
    else lengths.set(length, [s]);
  }
  return lengths;
}
