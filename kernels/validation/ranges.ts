/**
 * Splits of bars into training and test ranges, and their table: what the splitting kernels return and the tasks of
 * each split read.
 *
 * V1  Ranges are half-open, [from, to), in bars, and ascending.
 * V2  No training bar is a test bar of the same split, nor is its label known only after a test bar (purge), nor does
 * it stand in the
 *     embargo behind a test range.
 */
import { Int32, Table, Utf8, vectorFromArray } from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";
import { int32Vector } from "../columns/building.js";
import { columnOf, float64Column, isText, mistyped, optionalFloat64Column } from "../columns/reading.js";

export interface BarRange {
  readonly from: number;
  readonly to: number;
}

export interface TestRange extends BarRange {
  readonly group: number;
  /** The path, of those that together cover every bar, to which this range belongs. */
  readonly path: number;
}

export interface Split {
  readonly train: readonly BarRange[];
  readonly test: readonly TestRange[];
}

export const splitColumns = [
  { name: "split", type: "int32" },
  { name: "set", type: "text", doc: '"train" or "test"' },
  { name: "group", type: "int32", doc: "test ranges only" },
  {
    name: "path",
    type: "int32",
    doc: "test ranges only: ranges of one path follow each other without a gap or an overlap",
  },
  { name: "from", type: "int32", doc: "first bar" },
  { name: "to", type: "int32", doc: "the bar after the last" },
] as const;

export function splitsTable(splits: readonly Split[]): Table {
  const rows = splits.flatMap(({ train, test }, split) => [
    ...train.map(({ from, to }) => ({ split, set: "train", group: null, path: null, from, to })),
    ...test.map(({ group, path, from, to }) => ({ split, set: "test", group, path, from, to })),
  ]);
  return new Table({
    split: int32Vector(Int32Array.from(rows, ({ split }) => split)),
    set: vectorFromArray(
      rows.map(({ set }) => set),
      new Utf8(),
    ),
    group: vectorFromArray(
      rows.map(({ group }) => group),
      new Int32(),
    ),
    path: vectorFromArray(
      rows.map(({ path }) => path),
      new Int32(),
    ),
    from: int32Vector(Int32Array.from(rows, ({ from }) => from)),
    to: int32Vector(Int32Array.from(rows, ({ to }) => to)),
  });
}

const sets = "text, train or test";

/** One split of the table. Throws INVALID_ARGUMENT if it is not there, or has nothing to train on or to test. */
export function splitIn(table: Table, split: number, bars: number): Split {
  const set = columnOf(table, "set", sets);
  if (!isText(set.type)) throw mistyped(table, "set", sets);
  const [from, to] = [float64Column(table, "from"), float64Column(table, "to")];
  // Null of training ranges.
  const [group, path] = [optionalFloat64Column(table, "group"), optionalFloat64Column(table, "path")];
  const train: BarRange[] = [];
  const test: TestRange[] = [];
  const splits = float64Column(table, "split");
  for (let row = splits.indexOf(split); row >= 0 && row < splits.length; row++) {
    if (splits[row] !== split) continue;
    const range = { from: from[row] as number, to: to[row] as number };
    if (!(range.from >= 0 && range.from < range.to && range.to <= bars))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `splits: row ${row} is bars ${range.from} to ${range.to} of a table of ${bars} bars`,
        {
          details: { column: "to", row },
        },
      );
    if (set.get(row) === "train") train.push(range);
    else test.push({ ...range, group: group[row] as number, path: path[row] as number });
  }
  if (train.length === 0 || test.length === 0)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `split is ${split}: the table of splits has ${train.length} training and ${test.length} test ranges for it; it has splits 0 to ${splits.reduce((a, b) => Math.max(a, b), -1)}`,
    );
  return { train, test };
}

/**
 * `groups` ranges over all bars, as equal as possible, the longer ones first (numpy's array_split, scikit-learn's
 * KFold).
 */
export function blocksOf(bars: number, groups: number): BarRange[] {
  const size = Math.floor(bars / groups);
  const longer = bars % groups;
  return Array.from({ length: groups }, (_, i) => {
    const from = i * size + Math.min(i, longer);
    return { from, to: from + size + (i < longer ? 1 : 0) };
  });
}

/** The marked bars as ranges. */
export function runsOf(marked: Uint8Array): BarRange[] {
  const runs: BarRange[] = [];
  let from = -1;
  for (let i = 0; i <= marked.length; i++) {
    if (marked[i] && from < 0) from = i;
    if (!marked[i] && from >= 0) {
      runs.push({ from, to: i });
      from = -1;
    }
  }
  return runs;
}
