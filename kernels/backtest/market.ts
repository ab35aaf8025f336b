/** The prices that a backtest reads, and only those. */
import type { Table } from "apache-arrow";
import type { Fill, Slippage, Splits, Stops } from "./options.js";
import { type BarColumns, countsIn, flagRows, hasColumn, type Panel, pricesIn } from "./panel.js";
import type { Market } from "./plan.js";

interface Needs {
  readonly fill: Fill;
  readonly slippage: Slippage;
  readonly stops: Stops;
  readonly splits: Splits;
  readonly columns: BarColumns;
}

const ratio = "a ratio of new to old shares is positive";

/** Throws INVALID_ARGUMENT that names the column and the value. */
export function marketOf(table: Table, panel: Panel, { fill, slippage, stops, splits, columns }: Needs): Market {
  const stopping = stops.stopLoss !== undefined || stops.takeProfit !== undefined || stops.trailing !== undefined;
  const ifThere = (name: string): Float64Array | undefined =>
    hasColumn(table, name) ? pricesIn(table, panel, name) : undefined;
  const delisted = new Uint8Array(panel.rows);
  if (hasColumn(table, columns.delisted)) flagRows(table, panel, columns.delisted, 1, delisted);
  return {
    panel,
    close: pricesIn(table, panel, columns.close),
    open: fill === "next-open" ? pricesIn(table, panel, columns.open) : stopping ? ifThere(columns.open) : undefined,
    high: stopping ? ifThere(columns.high) : undefined,
    low: stopping ? ifThere(columns.low) : undefined,
    volume:
      slippage.model === "fraction" ? undefined : countsIn(table, panel, columns.volume, 0, "a volume is not negative"),
    split:
      splits === "shares" && hasColumn(table, columns.split)
        ? countsIn(table, panel, columns.split, Number.MIN_VALUE, ratio)
        : undefined,
    delisted: hasColumn(table, columns.delisted) ? delisted : undefined,
  };
}
