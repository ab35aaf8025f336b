/**
 * The per-bar returns of every combination of a grid, side by side: what the probability of backtest overfitting is
 * computed from.
 */
import { Table } from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";
import { float64Vector } from "../columns/building.js";
import { defineKernel, tableArg } from "../kernel.js";
import { barsOf, priceColumns } from "../sweep/bars.js";
import { familyOf, shareOf } from "../sweep/families.js";
import { foldParams, gridOf, overRanges } from "./sweep-fold.js";

const cellsMax = 50_000_000;

export const sweepReturns = defineKernel({
  name: "validation.sweep_returns",
  version: 1,
  causality: "causal",
  family: "Validation",
  doc: "The per-bar returns of every combination of a grid of a strategy family over all bars, a column per combination, named by its parameters. From the second bar on: the first has no return. A slice without a combination that the family allows gives a table without columns.",
  columns: {
    inputs: priceColumns,
    outputs: [{ name: "fast 10, slow 50", type: "float64", doc: "a column per combination" }],
  },
  lookback: () => Number.POSITIVE_INFINITY,
  lag: 0,
  nulls: "Null and prices that are not positive are refused.",
  costNs: 10,
  args: [
    ["prices", tableArg],
    ["params", foldParams.omit({ tradesMin: true })],
  ],
  run: ({ prices, params }) => {
    const bars = barsOf(prices);
    const family = familyOf(params.family);
    const combinations = gridOf("validation.sweep_returns", family, params.grid);
    const count = bars.days.length - 1;
    if (count < 1)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `validation.sweep_returns: prices has ${bars.days.length} bars; at least 2 are needed for a return`,
      );
    if (combinations.length * count > cellsMax)
      throw new VolleyError(
        "TOO_LARGE",
        `validation.sweep_returns: ${combinations.length} combinations on ${count} bars are over the limit of ${cellsMax} values; cut the grid into smaller tasks`,
      );
    const share = shareOf();
    return new Table(
      Object.fromEntries(
        combinations.map((parameters) => {
          const returns = new Float64Array(count);
          let before = 1;
          overRanges(bars, family.rule(bars, parameters, share), params.settings, [{ from: 0, to: count + 1 }], {
            value: (bar, value) => {
              returns[bar - 1] = value / before - 1;
              before = value;
            },
            fill: () => undefined,
          });
          return [
            family.parameters.map((name, i) => `${name} ${parameters[i]}`).join(", ") || family.name,
            float64Vector(returns),
          ];
        }),
      ),
    );
  },
});
