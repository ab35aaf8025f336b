/** `backtest.signals`: entries and exits → orders, trades, positions, equity, statistics. */

import type { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { columnName } from "../columns/column-name.js";
import { defineKernel, tableArg } from "../kernel.js";
import { backtest, columnFacts, priceNulls } from "./backtest.js";
import { commonOptions, type Direction, directionOption, sharedCashOption, sizingOption } from "./options.js";
import { barColumns, flagRows, hasColumn, type Panel } from "./panel.js";
import { Flag } from "./plan.js";

const signalColumns = {
  entries: columnName
    .default("entries")
    .describe("True where a position is to be opened. With an exit on the same bar: nothing happens."),
  exits: columnName.default("exits").describe("True where it is to be closed."),
  shortEntries: columnName
    .default("shortEntries")
    .describe("True where a short position is to be opened, out of a long one if need be."),
  shortExits: columnName.default("shortExits").describe("True where it is to be closed."),
};

export const signalsOptions = z.strictObject({
  ...commonOptions,
  columns: z
    .strictObject({ ...barColumns, ...signalColumns })
    .prefault({})
    .describe("Names of the columns."),
  direction: directionOption,
  sizing: sizingOption,
  sharedCash: sharedCashOption.default(false),
});
export type SignalsOptions = z.output<typeof signalsOptions>;

/** What an entry and an exit mean in each direction. */
const meaning: Readonly<Record<Direction, readonly [entries: number, exits: number]>> = {
  long: [Flag.longEntry, Flag.longExit],
  short: [Flag.shortEntry, Flag.shortExit],
  both: [Flag.longEntry, Flag.shortEntry],
};

function flagsOf(table: Table, panel: Panel, { columns, direction }: SignalsOptions): Uint8Array {
  const flags = new Uint8Array(panel.rows);
  const named = hasColumn(table, columns.shortEntries) || hasColumn(table, columns.shortExits);
  if (named && direction !== "long")
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `backtest.signals: params.direction is ${direction}, but the table has columns of short signals; leave the direction out or the columns away`,
    );
  const [entry, exit] = meaning[direction];
  flagRows(table, panel, columns.entries, entry, flags);
  if (hasColumn(table, columns.exits) || !named) flagRows(table, panel, columns.exits, exit, flags);
  if (hasColumn(table, columns.shortEntries)) flagRows(table, panel, columns.shortEntries, Flag.shortEntry, flags);
  if (hasColumn(table, columns.shortExits)) flagRows(table, panel, columns.shortExits, Flag.shortExit, flags);
  return flags;
}

const flag = { type: "boolean" } as const;

export const backtestSignals = defineKernel({
  name: "backtest.signals",
  version: 1,
  causality: "causal",
  family: "backtest",
  doc:
    "Entries and exits at each close become orders that fill at the next open (or close, or that close), with fees, slippage, stops and sizing. " +
    "Rows are (symbol, date); each symbol has an account of its own, or all share one. Gives the tables asked for in `outputs`.",
  args: [
    ["bars", tableArg],
    ["params", signalsOptions.prefault({})],
  ],
  columns: columnFacts([
    { name: "entries", ...flag },
    { name: "exits", ...flag },
    { name: "shortEntries", ...flag, doc: "optional" },
    { name: "shortExits", ...flag, doc: "optional" },
  ]),
  lookback: () => Number.POSITIVE_INFINITY,
  lag: 0,
  nulls: `${priceNulls} A null signal is none.`,
  costNs: 20,
  run: ({ bars, params }) =>
    backtest(bars, params, params.sizing, (panel) => ({ flags: flagsOf(bars, panel, params) })),
});
