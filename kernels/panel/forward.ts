/**
 * Returns from a date to a later one, by symbol. They look ahead by design: labels for the analysis of factors, never
 * inputs of a strategy.
 */

import { z } from "zod";
import { logarithm } from "../arithmetic/logarithm.js";
import { float64Vector } from "../columns/building.js";
import { columnName } from "../columns/column-name.js";
import { defineKernel, tableArg } from "../kernel.js";
import { dateOfRows, type Panel, panelOf, rowsBySymbol } from "./axes.js";
import { symbolsOf } from "./symbols.js";
import { axesShape, axisColumns, family, keptColumns, numbers, tableOf } from "./wire.js";

export const forwardShape = {
  price: columnName.default("close").describe("The column of prices, adjusted for splits and dividends."),
  method: z.enum(["simple", "log"]).default("simple").describe("p(t + h) / p(t) - 1, or its logarithm form."),
  step: z
    .enum(["date", "row"])
    .default("date")
    .describe(
      'What h counts: "date" dates of the panel (pandas: pivot, pct_change(h).shift(-h)), "row" the rows of the symbol itself.',
    ),
  ended: z
    .enum(["null", "last"])
    .default("null")
    .describe(
      'A symbol whose rows end before t + h, while the panel goes on (step "date"): no return, or that to its "last" price. Null leaves delistings out, which flatters.',
    ),
};

export const horizonsParameter = z
  .array(z.int().min(1).max(100_000))
  .min(1)
  .max(1_000)
  .describe("The horizons h, in steps.");

export interface ForwardOptions {
  readonly price: string;
  readonly method: "simple" | "log";
  readonly step: "date" | "row";
  readonly ended: "null" | "last";
}

/** One array of the panel's rows for every horizon; NaN where there is no return. */
export function forwardReturns(panel: Panel, options: ForwardOptions, horizons: readonly number[]): Float64Array[] {
  const prices = numbers(panel, options.price);
  const dateOf = dateOfRows(panel);
  const symbols = symbolsOf(panel.symbol);
  const { starts, rows } = rowsBySymbol(symbols);
  return horizons.map((horizon) => {
    const out = new Float64Array(prices.length).fill(Number.NaN);
    for (let s = 0; s < symbols.count; s++)
      ofSymbol(rows.subarray(starts[s], starts[s + 1]), horizon, panel.dates, dateOf, prices, options, out);
    return out;
  });
}

function ofSymbol(
  rows: Int32Array,
  horizon: number,
  dates: number,
  dateOf: Int32Array,
  prices: Float64Array,
  options: ForwardOptions,
  out: Float64Array,
): void {
  const last = lastPriced(rows, prices);
  let ahead = 0;
  for (let k = 0; k < rows.length; k++) {
    const row = rows[k] as number;
    let target: number | undefined;
    if (options.step === "row") target = rows[k + horizon];
    else {
      const date = (dateOf[row] as number) + horizon;
      while (ahead < rows.length && (dateOf[rows[ahead] as number] as number) < date) ahead++;
      if (ahead < rows.length) target = dateOf[rows[ahead] as number] === date ? rows[ahead] : undefined;
      else if (options.ended === "last" && date < dates && last >= k) target = rows[last];
    }
    if (target === undefined) continue;
    const ratio = (prices[target] as number) / (prices[row] as number);
    const value = options.method === "log" ? logarithm(ratio) : ratio - 1;
    out[row] = Number.isFinite(value) ? value : Number.NaN;
  }
}

function lastPriced(rows: Int32Array, prices: Float64Array): number {
  let last = rows.length - 1;
  while (last >= 0 && Number.isNaN(prices[rows[last] as number])) last--;
  return last;
}

const parameters = z.strictObject({
  horizons: horizonsParameter,
  ...forwardShape,
  keep: z
    .array(columnName)
    .max(1_000)
    .default([])
    .describe("Columns that go through unchanged; they come after date and symbol."),
  as: columnName.default("forward_{horizon}").describe("Names of the results, with {horizon} and {price}."),
  ...axesShape,
});

export const panelForwardReturns = defineKernel({
  name: "panel.forward_returns",
  version: 1,
  causality: "label",
  doc: "Return of every symbol from each date to the one h steps later. It looks ahead: for labels and the analysis of factors, never for signals. A partition sees its own rows only.",
  family,
  columns: {
    inputs: [...axisColumns, { name: "price", type: "number" }],
    outputs: [...axisColumns, { name: "forward_{horizon}", type: "float64" }],
  },
  nulls:
    "Null where either price is null or NaN, or there is no row h steps later (but see ended), or the quotient is not finite.",
  costNs: 60,
  args: [
    ["table", tableArg],
    ["params", parameters],
  ],
  run: ({ table, params }) => {
    const panel = panelOf("panel.forward_returns", table, params);
    const columns = keptColumns(panel, params, params.keep);
    forwardReturns(panel, params, params.horizons).forEach((values, i) => {
      columns.push([
        params.as.replaceAll("{horizon}", String(params.horizons[i])).replaceAll("{price}", params.price),
        float64Vector(values),
      ]);
    });
    return tableOf(panel.kernel, columns);
  },
});
