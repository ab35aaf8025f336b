/** Walk-forward splits: train on the past, test on what comes next, step on. */
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { defineKernel, tableArg } from "../kernel.js";
import { type Split, splitColumns, splitsTable } from "./ranges.js";

const bars = z.int().min(1).max(2_000_000_000);
export const splitsMax = 10_000;

const walkForwardParams = z.strictObject({
  mode: z
    .enum(["rolling", "expanding"])
    .default("rolling")
    .describe('"rolling": every training window has the same length; "expanding": it starts with bar 0 (anchored).'),
  splits: z.int().min(1).max(splitsMax).optional().describe("Number of splits; default: as many as fit."),
  train: bars
    .optional()
    .describe(
      "Bars of the training window; when expanding, of the first one at least. Default with splits: as many as there are.",
    ),
  test: bars
    .optional()
    .describe("Bars of every test window. Default with splits: floor(bars / (splits + 1)), as scikit-learn."),
  step: bars
    .optional()
    .describe(
      "Bars from one test window to the next, at least test; default: test, so that test windows follow each other without a gap.",
    ),
  purge: z
    .int()
    .min(0)
    .default(0)
    .describe("Bars left out between training and test: those whose label is known only in the test window."),
});
export type WalkForwardParams = z.output<typeof walkForwardParams>;

const fault = (why: string): VolleyError => new VolleyError("INVALID_ARGUMENT", `validation.walk_forward: ${why}`);

/**
 * Test windows end with the last bar (as scikit-learn's TimeSeriesSplit), so that bars left over are the oldest. Throws
 * INVALID_ARGUMENT.
 */
export function walkForwardSplits(count: number, params: WalkForwardParams): Split[] {
  const { mode, purge } = params;
  const { splits: asked } = params;
  if (asked === undefined && (params.train === undefined || params.test === undefined))
    throw fault(
      `params.splits is missing: give it, or both train and test (train is ${params.train}, test is ${params.test})`,
    );
  const test = params.test ?? Math.floor(count / ((asked as number) + 1));
  if (test < 1) throw fault(`params.splits is ${asked}: a table of ${count} bars gives no test window of a bar each`);
  const step = params.step ?? test;
  if (step < test)
    throw fault(`params.step is ${step}, below test ${test}: test windows would overlap, and bars would count twice`);
  const splits = asked ?? Math.floor((count - (params.train as number) - purge - test) / step) + 1;
  if (splits > splitsMax) throw fault(`${splits} splits, over the limit of ${splitsMax}; make test or step longer`);
  const firstTest = count - test - (splits - 1) * step;
  const room = firstTest - purge;
  const train = params.train ?? Math.max(room, 1);
  if (splits < 1 || room < train)
    throw fault(
      `a table of ${count} bars is too short for ${Math.max(splits, 1)} splits with train ${train}, purge ${purge}, test ${test} and step ${step}: it needs ${train + purge + test + (Math.max(splits, 1) - 1) * step}`,
    );
  return Array.from({ length: splits }, (_, i) => {
    const from = firstTest + i * step;
    const to = from - purge;
    return {
      train: [{ from: mode === "rolling" ? to - train : 0, to }],
      test: [{ from, to: from + test, group: i, path: 0 }],
    };
  });
}

export const walkForward = defineKernel({
  name: "validation.walk_forward",
  version: 1,
  causality: "summary",
  family: "Validation",
  doc: "Walk-forward splits of a table's bars, rolling or expanding: a row per range. Test windows end with the last bar and do not overlap; with step = test they make one path without a gap. With the defaults and `splits` the test windows are those of scikit-learn's TimeSeriesSplit.",
  columns: { inputs: [], outputs: splitColumns },
  nulls: "Values are not read; every row of the table is a bar.",
  args: [
    ["table", tableArg],
    ["params", walkForwardParams],
  ],
  run: ({ table, params }) => splitsTable(walkForwardSplits(table.numRows, params)),
});
