/**
 * `panel.universe`: which rows were members of the universe on their date, from intervals of membership and delistings.
 * Taking today's list instead is the survivorship mistake.
 *
 * U1  A row is a member if an interval of its symbol holds its date, and no delisting ended that interval before.
 * U2  A delisting ends the intervals that began on or before it; a symbol that is used again later has an interval that
 * begins after it.
 */

import { type Table, Vector } from "apache-arrow";
import { z } from "zod";
import { ByKeys } from "../columns/by-keys.js";
import { columnName } from "../columns/column-name.js";
import { gather } from "../columns/gather.js";
import { columnFault, type NamedColumn, shownValue } from "../columns/named-column.js";
import { flagVector } from "../columns/result-columns.js";
import { type Axis, axisOf, type Scale, scaleOf } from "../columns/time-axis.js";
import { defineKernel, tableArg } from "../kernel.js";
import { compareTimes, dateColumn, type Panel, panelOf, symbolColumn } from "./axes.js";
import { axesShape, axisColumns, family, keptColumns, tableOf } from "./wire.js";

const kernelName = "panel.universe";

const intervalNames = z.strictObject({
  symbol: columnName.default("symbol"),
  from: columnName.default("from").describe("First date of the interval; null: since ever."),
  to: columnName.default("to").describe("End of the interval; null: still a member."),
});

const parameters = z.strictObject({
  bounds: z
    .enum(["half-open", "closed"])
    .describe('Whether a member is one on the date `to` itself: "half-open" [from, to) no, "closed" [from, to] yes.'),
  delistingDay: z
    .enum(["member", "not-member"])
    .default("member")
    .describe("Whether a symbol is a member on the date of its delisting, its last day of trading."),
  output: z
    .enum(["flag", "rows"])
    .default("flag")
    .describe('"flag" all rows with a boolean column; "rows" the members\' rows alone.'),
  keep: z
    .array(columnName)
    .max(10_000)
    .optional()
    .describe("Columns that go through, after date and symbol; default: all."),
  as: columnName.default("member").describe("Name of the boolean column."),
  intervals: intervalNames.prefault({}).describe("Which columns of the intervals are what."),
  delistings: z
    .strictObject({ symbol: columnName.default("symbol"), date: columnName.default("date") })
    .prefault({})
    .describe("Which columns of the delistings are what."),
  ...axesShape,
});

type Parameters = z.output<typeof parameters>;

/** Events of other tables by symbol: rows of group g are rows[starts[g]..starts[g + 1]). */
interface BySymbol {
  readonly keys: ByKeys;
  readonly starts: Int32Array;
  readonly rows: Int32Array;
}

function bySymbol(column: NamedColumn): BySymbol {
  const keys = new ByKeys([column], column.vector.length);
  const starts = new Int32Array(keys.count + 1);
  for (const id of keys.rightIds) starts[id + 1] = (starts[id + 1] as number) + 1;
  for (let g = 0; g < keys.count; g++) starts[g + 1] = (starts[g + 1] as number) + (starts[g] as number);
  const next = starts.slice();
  const rows = new Int32Array(column.vector.length);
  keys.rightIds.forEach((id, row) => {
    rows[next[id] as number] = row;
    next[id] = (next[id] as number) + 1;
  });
  return { keys, starts, rows };
}

interface Times {
  readonly scale: Scale;
  readonly panel: Axis;
  readonly from: Axis;
  readonly to: Axis;
  readonly delisted: Axis | undefined;
}

function timesOf(panel: Panel, from: NamedColumn, to: NamedColumn, delisted: NamedColumn | undefined): Times {
  const scale = scaleOf([panel.date, from, to, ...(delisted ? [delisted] : [])]);
  const times = {
    scale,
    panel: axisOf(panel.date, scale),
    from: axisOf(from, scale),
    to: axisOf(to, scale),
    delisted: delisted && axisOf(delisted, scale),
  };
  for (let row = 0; row < from.vector.length; row++) {
    if (compareTimes(times.to, row, times.from, row) >= 0 || isMissing(times.to, row) || isMissing(times.from, row))
      continue;
    const value = shownValue(to, row);
    throw columnFault(
      to,
      `is ${value} in row ${row}, before ${from.name} ${shownValue(from, row)}; an interval ends after it begins`,
      { row, value },
    );
  }
  return times;
}

const isMissing = ({ hi }: Axis, row: number): boolean => Number.isNaN(hi[row]);

function membership(panel: Panel, intervals: Table, delistings: Table | null, params: Parameters): Uint8Array {
  const symbol = symbolColumn(kernelName, "intervals", intervals, params.intervals.symbol);
  const [from, to] = [params.intervals.from, params.intervals.to].map((name) =>
    dateColumn(kernelName, "intervals", intervals, name, false),
  ) as [NamedColumn, NamedColumn];
  const ended = delistings ? symbolColumn(kernelName, "delistings", delistings, params.delistings.symbol) : undefined;
  const delisted = delistings ? dateColumn(kernelName, "delistings", delistings, params.delistings.date) : undefined;
  const times = timesOf(panel, from, to, delisted);
  const intervalsBy = bySymbol(symbol);
  const endsBy = ended && bySymbol(ended);
  const rows = panel.table.numRows;
  const intervalGroups = intervalsBy.keys.leftIds([panel.symbol], rows);
  const endGroups = endsBy?.keys.leftIds([panel.symbol], rows);
  const members = new Uint8Array(rows);
  for (let row = 0; row < rows; row++) {
    const group = intervalGroups[row] as number;
    if (group < 0) continue;
    for (let k = intervalsBy.starts[group] as number; k < (intervalsBy.starts[group + 1] as number); k++) {
      const interval = intervalsBy.rows[k] as number;
      if (!holds(times, row, interval, params.bounds)) continue;
      if (
        endsBy &&
        endGroups &&
        wasDelisted(times, row, interval, endsBy, endGroups[row] as number, params.delistingDay)
      )
        continue;
      members[row] = 1;
      break;
    }
  }
  return members;
}

function holds({ panel, from, to }: Times, row: number, interval: number, bounds: Parameters["bounds"]): boolean {
  if (!isMissing(from, interval) && compareTimes(panel, row, from, interval) < 0) return false;
  if (isMissing(to, interval)) return true;
  const past = compareTimes(panel, row, to, interval);
  return bounds === "closed" ? past <= 0 : past < 0;
}

function wasDelisted(
  { panel, from, delisted }: Times,
  row: number,
  interval: number,
  ends: BySymbol,
  group: number,
  day: Parameters["delistingDay"],
): boolean {
  if (group < 0 || !delisted) return false;
  for (let k = ends.starts[group] as number; k < (ends.starts[group + 1] as number); k++) {
    const end = ends.rows[k] as number;
    const past = compareTimes(panel, row, delisted, end);
    if (past < 0 || (past === 0 && day === "member")) continue;
    if (isMissing(from, interval) || compareTimes(from, interval, delisted, end) <= 0) return true;
  }
  return false;
}

function universe(table: Table, intervals: Table, delistings: Table | null, params: Parameters): Table {
  const panel = panelOf(kernelName, table, params);
  const members = membership(panel, intervals, delistings, params);
  const keep =
    params.keep ??
    table.schema.fields.map(({ name }) => name).filter((name) => name !== params.date && name !== params.symbol);
  const columns = keptColumns(panel, params, keep);
  if (params.output === "flag") return tableOf(kernelName, [...columns, [params.as, flagVector(members)]]);
  const rows = new Int32Array(members.reduce((count, member) => count + member, 0));
  for (let row = 0, n = 0; row < members.length; row++) if (members[row] === 1) rows[n++] = row;
  return tableOf(
    kernelName,
    columns.map(([name, vector]) => [name, new Vector([gather(vector, rows)])]),
  );
}

export const panelUniverse = defineKernel({
  name: kernelName,
  version: 1,
  causality: "causal",
  doc: "Which rows were members of the universe on their date, from intervals of membership (symbol, from, to) and delistings (symbol, last date; null for none). A symbol without an interval is no member. Dates and timestamps compare as instants, a date as its midnight in UTC.",
  family,
  columns: {
    inputs: [
      ...axisColumns,
      {
        name: "intervals.from, intervals.to, delistings.date",
        type: "date, timestamp, integer or ISO text",
        doc: "of the kind of the panel's dates",
      },
    ],
    outputs: [...axisColumns, { name: "member", type: "boolean" }],
  },
  lookback: () => 0,
  lag: 0,
  nulls: "A null `from` is since ever, a null `to` still; a null symbol or delisting date is refused.",
  costNs: 60,
  args: [
    ["table", tableArg],
    ["intervals", tableArg],
    ["delistings", tableArg.nullable()],
    ["params", parameters],
  ],
  run: ({ table, intervals, delistings, params }) => universe(table, intervals, delistings, params),
});
