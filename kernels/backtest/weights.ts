/** `backtest.weights`: target weights of a portfolio, on a calendar → orders, trades, positions, equity, statistics. */

import type { Table } from "apache-arrow";
import { z } from "zod";
import { columnName } from "../columns/column-name.js";
import { defineKernel, tableArg } from "../kernel.js";
import { backtest, columnFacts, priceNulls } from "./backtest.js";
import { rebalanceOption, rebalanceTimes } from "./calendar.js";
import { commonOptions, sharedCashOption } from "./options.js";
import { barColumns, numbersIn, type Panel, refused } from "./panel.js";

export const weightsOptions = z.strictObject({
  ...commonOptions,
  columns: z
    .strictObject({
      ...barColumns,
      weight: columnName
        .default("weight")
        .describe("Fraction of the account's value to hold; 0 closes, null leaves alone."),
    })
    .prefault({})
    .describe("Names of the columns."),
  rebalance: rebalanceOption,
  direction: z
    .enum(["long", "both"])
    .default("long")
    .describe("Whether weights may be negative: short positions, which no cash bounds."),
  sharedCash: sharedCashOption.default(true),
});
export type WeightsOptions = z.output<typeof weightsOptions>;

/** Weights at the closes of the calendar, NaN elsewhere. */
function weightsIn(table: Table, panel: Panel, { columns, direction, rebalance }: WeightsOptions): Float64Array {
  const weights = numbersIn(table, panel, columns.weight);
  const dates = rebalanceTimes(panel, rebalance);
  return weights.map((weight, row) => {
    if (weight < 0 && direction === "long")
      throw refused(
        panel,
        columns.weight,
        row,
        weight,
        'it would be sold short; give params.direction "both" for that',
      );
    if (Math.abs(weight) > 100)
      throw refused(
        panel,
        columns.weight,
        row,
        weight,
        "a weight is a fraction of the account's value, from -100 to 100",
      );
    return dates.has(panel.times[row] as number) ? weight : Number.NaN;
  });
}

export const backtestWeights = defineKernel({
  name: "backtest.weights",
  version: 1,
  causality: "causal",
  family: "backtest",
  doc:
    "Target weights read at the closes of a calendar become orders to the target's size, filled at the next open (or close, or that close), sales first, " +
    "from one account for all symbols. The value that weights are fractions of is taken at the prices of the fill. Purchases go in the order of the symbols' " +
    "first rows, and what the cash does not cover, such as the fees of weights that sum to 1, is missing from the last of them (vectorbt's call_seq auto: from " +
    "the largest). Rows are (symbol, date).",
  args: [
    ["bars", tableArg],
    ["params", weightsOptions.prefault({})],
  ],
  columns: columnFacts([{ name: "weight", type: "number" }]),
  lookback: () => Number.POSITIVE_INFINITY,
  lag: 0,
  nulls: `${priceNulls} A null weight leaves the position as it is.`,
  costNs: 40,
  run: ({ bars, params }) =>
    backtest(bars, params, { by: "weight", size: 1 }, (panel) => ({ weights: weightsIn(bars, panel, params) })),
});
