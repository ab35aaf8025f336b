/** The prices that a backtest reads, and only those. */
import type { Table } from "apache-arrow";
import type { Fill, Slippage, Stops } from "./options.js";
import { countsIn, flagRows, hasColumn, type Panel, pricesIn } from "./panel.js";
import type { Market } from "./plan.js";

interface Needs {
  readonly fill: Fill;
  readonly slippage: Slippage;
  readonly columns: Readonly<Record<"open" | "high" | "low" | "close" | "volume" | "split" | "delisted", string>>;
}

/** Throws INVALID_ARGUMENT that names the column and the value. */
export function marketOf(table: Table, panel: Panel, { fill, slippage, columns }: Needs, stops: Stops): Market {
  const stopping = stops.stopLoss !== undefined || stops.takeProfit !== undefined || stops.trailing !== undefined;
  const ifThere = (name: string): Float64Array | undefined => (hasColumn(table, name) ? pricesIn(table, panel, name) : undefined);
  const delisted = new Uint8Array(panel.rows);
  if (hasColumn(table, columns.delisted)) flagRows(table, panel, columns.delisted, 1, delisted);
  return {
    panel,
    close: pricesIn(table, panel, columns.close),
    open: fill === "next-open" ? pricesIn(table, panel, columns.open) : stopping ? ifThere(columns.open) : undefined,
    high: stopping ? ifThere(columns.high) : undefined,
    low: stopping ? ifThere(columns.low) : undefined,
    volume: slippage.model === "fraction" ? undefined : countsIn(table, panel, columns.volume, 0, "a volume is not negative"),
    split: hasColumn(table, columns.split) ? countsIn(table, panel, columns.split, Number.MIN_VALUE, "a ratio of new to old shares is positive") : undefined,
    delisted: hasColumn(table, columns.delisted) ? delisted : undefined,
  };
}
