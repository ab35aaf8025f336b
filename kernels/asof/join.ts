/** `asof.join`: one axis of time. */
import type { Table } from "apache-arrow";
import { z } from "zod";
import type { ByKeys } from "../columns/by-keys.js";
import { kinds, type NamedColumn, namedColumn } from "../columns/named-column.js";
import { axisOf, type Scale, ticksOf } from "../columns/time-axis.js";
import { defineKernel, parseArg, tableArg } from "../kernel.js";
import { type AsofCarry, type AsofStream, carryArg, type JoinPlan, joinOnce, openJoin } from "./engine.js";
import { byOption, decidingText, outputOptions, pairedColumn } from "./options.js";
import { lookAhead, lookBack, lookNear } from "./select.js";
import type { Prepared } from "./side-cache.js";
import { firstOfEquals, groupSorted, lastOfEquals, type SortedGroups } from "./sorted-groups.js";

const kernelName = "asof.join";

const joinOptions = z.strictObject({
  on: pairedColumn.describe(
    "The time column, or { left, right }: timestamps and dates (mixed freely), integers, or floats.",
  ),
  by: byOption,
  direction: z
    .enum(["backward", "forward", "nearest"])
    .default("backward")
    .describe(
      "Which right row a left row at T takes: the last at or before T, the first at or after T, or the nearer.",
    ),
  tolerance: z
    .number()
    .min(0)
    .optional()
    .describe(
      "The farthest that a match may be, inclusive: milliseconds for instants, else in the column's unit. Default: any distance.",
    ),
  exact: z.boolean().default(true).describe("Whether a right row at exactly T may match."),
  midway: z
    .enum(["earlier", "later"])
    .default("earlier")
    .describe(
      'Of two right rows equally far on either side, direction "nearest" takes the "earlier" (pandas) or the "later" (polars).',
    ),
  ties: z
    .enum(["last", "first", "adjacent"])
    .default("last")
    .describe(
      'Among right rows of one key and time: the "last" or the "first" of the table, or the one "adjacent" to T in order (the last looking back, the first looking ahead: pandas).',
    ),
  ...outputOptions,
});

type JoinOptions = z.output<typeof joinOptions>;

export const asofJoin = defineKernel({
  name: kernelName,
  version: 1,
  causality: "causal",
  labelWith: { direction: ["forward", "nearest"] },
  doc: "As-of join on one axis of time: every left row with the right row of the same keys that is nearest in time in the given direction (kdb aj, pandas merge_asof, DuckDB ASOF LEFT JOIN). All left rows stay, in order; without a match the taken columns are null. Both tables must be sorted by time within each group.",
  family: "As-of joins",
  columns: {
    inputs: [
      { name: "on", type: "timestamp, date, integer or float", doc: "in both tables, ascending within each group" },
      { name: "by", type: "text, integer, boolean, date, timestamp or dictionary", doc: "in both tables" },
    ],
    outputs: [{ name: "the left table's columns and the right table's", type: "as they are" }],
  },
  lookback: () => Infinity,
  lag: 0,
  nulls:
    "A null or NaN time and a null key match nothing; the left row stays, with nulls. Nulls in the columns taken are taken as they are.",
  costNs: 50,
  args: [
    ["left", tableArg],
    ["right", tableArg],
    ["params", joinOptions],
    ["carry", carryArg],
  ],
  run: ({ left, right, params, carry }) =>
    joinOnce(planOf(right as Table, params), left as Table, carry as AsofCarry | undefined),
});

/** Joins partitions of the left table one by one. Throws INVALID_ARGUMENT. */
export function openAsofJoin(right: Table, params: z.input<typeof joinOptions>, carry?: AsofCarry): AsofStream {
  return openJoin(planOf(right, parseArg(kernelName, "params", joinOptions, params)), carry);
}

function planOf(right: Table, params: JoinOptions): JoinPlan {
  const time = namedColumn(kernelName, "right", right, params.on.right, kinds.time);
  return {
    kernel: kernelName,
    right,
    deciding: decidingText(params),
    by: params.by,
    leftTime: params.on.left,
    rightTimes: [time],
    output: params,
    prepare: (keys, scale) => prepare(keys, scale, time, params),
  };
}

function prepare(keys: ByKeys, scale: Scale, time: NamedColumn, params: JoinOptions): Prepared {
  const groups = groupSorted(keys.rightIds, keys.count, axisOf(time, scale), time);
  const { direction, exact, midway } = params;
  const tolerance = params.tolerance === undefined ? Infinity : ticksOf(params.tolerance, scale);
  const picks = picksOf(groups, params);
  return {
    groups,
    choose: (left, locate) => {
      const choice = { right: groups, left, tolerance, base: scale.base };
      if (direction === "backward") return lookBack(choice, locate(exact), picks.back);
      if (direction === "forward") return lookAhead(choice, locate(!exact), picks.ahead);
      const ahead = locate(true);
      return lookNear({ ...choice, midway }, exact ? ahead : locate(false), ahead, picks);
    },
  };
}

/**
 * Slots before T end with the last of equals, slots from T on begin with the first: that is "adjacent", and needs no
 * table of its own.
 */
function picksOf(groups: SortedGroups, { direction, ties }: JoinOptions): { back: Int32Array; ahead: Int32Array } {
  const { rows } = groups;
  return {
    back: ties === "first" && direction !== "forward" ? firstOfEquals(groups) : rows,
    ahead: ties === "last" && direction !== "backward" ? lastOfEquals(groups) : rows,
  };
}
