/**
 * Cross-validation for bars whose labels overlap: purged and embargoed k-fold, and combinatorial purged
 * cross-validation. M. López de Prado, "Advances in Financial Machine Learning" (2018), chapters 7 and 12.
 *
 * The label of bar t is known at bar label(t) ≥ t: t + purge, or the row in a column. For a test range [a, b), whose
 * last label is known at e = max label(t), a training bar t is kept if label(t) < a (nothing of it is seen in the test)
 * or t > e + embargo. The book's own code lets the bar at e into the training set; here labels that touch overlap.
 */
import type { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { float64Column } from "../columns/reading.js";
import { defineKernel, tableArg } from "../kernel.js";
import { choices } from "./combinations.js";
import { type BarRange, blocksOf, runsOf, type Split, splitColumns, splitsTable, type TestRange } from "./ranges.js";
import { splitsMax } from "./walk-forward.js";

const purge = z
  .int()
  .min(0)
  .default(0)
  .describe("Bars after bar t that its label looks at: the label of bar t is known at bar t + purge.");
const labelEnd = z
  .string()
  .optional()
  .describe("Column with the row at which each bar's label is known; instead of purge.");
const embargo = z
  .int()
  .min(0)
  .default(0)
  .describe(
    "Bars left out of training behind every test range: at least the lookback of the features, so that none of them sees a test bar.",
  );

const foldParams = z.strictObject({
  splits: z.int().min(2).max(splitsMax).default(5).describe("Number of folds k."),
  purge,
  labelEnd,
  embargo,
});
const cpcvParams = z.strictObject({
  groups: z.int().min(2).max(1_000).default(6).describe("Number of groups N that the bars are cut into."),
  testGroups: z.int().min(1).max(999).default(2).describe("Groups k in the test set of each split."),
  purge,
  labelEnd,
  embargo,
});
type Guard = Pick<z.output<typeof foldParams>, "purge" | "labelEnd" | "embargo">;

/**
 * The row at which each bar's label is known. Throws INVALID_ARGUMENT if one is before its bar or not a whole number.
 */
function labelsOf(kernel: string, table: Table, { purge: horizon, labelEnd: column }: Guard): Int32Array {
  const bars = table.numRows;
  if (column === undefined) return Int32Array.from({ length: bars }, (_, bar) => bar + horizon);
  if (horizon > 0)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `${kernel}: params.purge is ${horizon} beside labelEnd ${JSON.stringify(column)}; leave out either`,
    );
  const rows = float64Column(table, column);
  const bad = rows.findIndex((row, bar) => !(Number.isInteger(row) && row >= bar));
  if (bad >= 0)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `${kernel}: column ${JSON.stringify(column)} is ${rows[bad]} in row ${bad}; expected a row number that is not before the bar itself`,
      { details: { column, row: bad } },
    );
  return Int32Array.from(rows);
}

/** The training bars that none of the tests touches, as ranges. */
export function trainingFor(tests: readonly BarRange[], labels: Int32Array, embargoBars: number): BarRange[] {
  const kept = new Uint8Array(labels.length).fill(1);
  for (const { from, to } of tests) {
    let known = to - 1;
    for (let bar = from; bar < to; bar++) known = Math.max(known, labels[bar] as number);
    for (let bar = 0; bar < from; bar++) if ((labels[bar] as number) >= from) kept[bar] = 0;
    kept.fill(0, from, Math.min(known + embargoBars + 1, labels.length));
  }
  return runsOf(kept);
}

function splitsOf(kernel: string, table: Table, guard: Guard, groups: number, testGroups: number): Split[] {
  const bars = table.numRows;
  if (bars < groups)
    throw new VolleyError("INVALID_ARGUMENT", `${kernel}: a table of ${bars} bars cannot be cut into ${groups} groups`);
  const labels = labelsOf(kernel, table, guard);
  const blocks = blocksOf(bars, groups);
  const seen = new Int32Array(groups);
  return choices(groups, testGroups, splitsMax).map((chosen, split) => {
    // The j-th split that tests a group gives the group's part of path j.
    const test: TestRange[] = chosen.map((group) => ({
      ...(blocks[group] as BarRange),
      group,
      path: (seen[group] as number)++,
    }));
    const train = trainingFor(test, labels, guard.embargo);
    if (train.length === 0)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${kernel}: split ${split} has no bars left to train on: ${bars} bars in ${groups} groups with purge ${guard.labelEnd ?? guard.purge} and embargo ${guard.embargo}; make them smaller`,
      );
    return { train, test };
  });
}

const facts = {
  version: 1,
  causality: "summary",
  family: "Validation",
  columns: { inputs: [], outputs: splitColumns },
  nulls: "Values are not read (but for labelEnd, where null is refused); every row of the table is a bar.",
} as const;

export const purgedKfold = defineKernel({
  ...facts,
  name: "validation.purged_kfold",
  doc: "K-fold splits of a table's bars without shuffling; bars whose labels overlap the test fold are purged from training, and an embargo behind it is left out (López de Prado 2018, chapter 7). A row per range.",
  args: [
    ["table", tableArg],
    ["params", foldParams.prefault({})],
  ],
  run: ({ table, params }) => splitsTable(splitsOf("validation.purged_kfold", table, params, params.splits, 1)),
});

export const cpcv = defineKernel({
  ...facts,
  name: "validation.cpcv",
  doc: "Combinatorial purged cross-validation (López de Prado 2018, chapter 12): every choice of k of N groups is a test set once, C(N, k) splits; their test ranges make C(N, k) k / N paths, each of which covers every bar once. A row per range.",
  args: [
    ["table", tableArg],
    ["params", cpcvParams.prefault({})],
  ],
  run: ({ table, params }) => {
    const { groups, testGroups } = params;
    if (testGroups >= groups)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `validation.cpcv: params.testGroups is ${testGroups}: it must be below groups, ${groups}, to leave something to train on`,
      );
    return splitsTable(splitsOf("validation.cpcv", table, params, groups, testGroups));
  },
});
