/**
 * The one way through for both backtests: bars and what is decided at each close → the tables asked for; with what they
 * declare alike.
 */
import type { Table } from "apache-arrow";
import type { z } from "zod";
import type { ColumnFact } from "../catalog/description.js";
import { marketOf } from "./market.js";
import type { CommonOptions, Sizing } from "./options.js";
import { type BarColumns, type Panel, panelOf } from "./panel.js";
import type { Plan } from "./plan.js";
import { simulate } from "./simulate.js";
import { type BacktestTables, tablesOf } from "./tables.js";

type BacktestOptions = z.output<z.ZodObject<CommonOptions>> & {
  readonly columns: BarColumns;
  readonly sharedCash: boolean;
};

const number = { type: "number" } as const;

/** Columns of bars, and those that only one of the two reads. */
export const columnFacts = (
  own: readonly ColumnFact[],
): { inputs: readonly ColumnFact[]; outputs: readonly ColumnFact[] } => ({
  inputs: [
    { name: "date", type: "date" },
    { name: "symbol", type: "text", doc: "optional" },
    { name: "close", ...number },
    { name: "open", ...number, doc: "for next-open; stops read open, high and low where they are" },
    { name: "high", ...number, doc: "optional" },
    { name: "low", ...number, doc: "optional" },
    { name: "volume", ...number, doc: "for slippage by volume" },
    { name: "split", ...number, doc: "optional" },
    { name: "delisted", type: "boolean", doc: "optional" },
    ...own,
  ],
  outputs: ["orders", "trades", "positions", "equity", "statistics"].map((name) => ({ name, type: "table" })),
});

export const priceNulls =
  "A null or NaN price is no price: nothing is decided at such a close or filled there, orders wait, positions keep their last value.";

/** Outputs that need the account at every bar. */
const tracked: readonly string[] = ["positions", "equity", "statistics"];

/** `decide` gives flags or weights for every row of the panel. Throws INVALID_ARGUMENT that names column and value. */
export function backtest(
  bars: Table,
  params: BacktestOptions,
  sizing: Sizing,
  decide: (panel: Panel) => Pick<Plan, "flags" | "weights">,
): BacktestTables {
  const { outputs, fill, cash, fees, slippage, lot, stops, sharedCash: shared, periodsPerYear } = params;
  const panel = panelOf(bars, params.columns);
  const market = marketOf(bars, panel, params);
  const run = simulate(market, {
    ...decide(panel),
    ...{ fill, cash, shared, sizing, stops },
    costs: { fees, slippage, lot },
    track: outputs.some((output) => tracked.includes(output)),
  });
  return tablesOf(panel, run, { outputs, cash, periodsPerYear, shared });
}
