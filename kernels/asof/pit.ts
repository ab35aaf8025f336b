/**
 * `asof.pit`: two axes of time. What happened at `event` was known from `known` on, and a row at T sees the newest
 * event among those that had happened and were known at T, in its newest version.
 *
 * fact-groups.ts puts the facts in such an order that what remains is a merge on one axis.
 *
 * P1  Facts of one event are versions: the one with the greatest knowledge time counts, of equal ones the last row.
 * P2  A fact whose event or knowledge time is missing is never seen.
 */

import type { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import type { ByKeys } from "../columns/by-keys.js";
import { columnName } from "../columns/column-name.js";
import { kinds, type NamedColumn, namedColumn } from "../columns/named-column.js";
import { type Axis, axisOf, type Scale, ticksOf } from "../columns/time-axis.js";
import { defineKernel, parseArg, tableArg } from "../kernel.js";
import { type AsofCarry, type AsofStream, carryArg, type JoinPlan, joinOnce, openJoin } from "./engine.js";
import { groupFacts } from "./fact-groups.js";
import { byOption, decidingText, outputOptions } from "./options.js";
import { publicationOptions, sessionsColumn, shiftedAxis, visibleAxis } from "./publication.js";
import { dropOld, lookBack } from "./select.js";
import type { Prepared } from "./side-cache.js";

const kernelName = "asof.pit";

const pitOptions = z.strictObject({
  time: columnName.default("date").describe("Time column of the left table, ascending within each group."),
  event: columnName
    .default("event")
    .describe("Column of the facts: the time that a fact is about, such as the end of the quarter."),
  known: columnName
    .default("known")
    .describe("Column of the facts: when this version of the fact became known. A fact without it is never seen."),
  by: byOption,
  maxAge: z
    .number()
    .min(0)
    .optional()
    .describe(
      "The oldest event that still counts, before the left row's time, inclusive: milliseconds for instants, else in the column's unit. Default: any.",
    ),
  decisionMs: z
    .number()
    .min(-1e13)
    .max(1e13)
    .default(0)
    .describe(
      "Added to the left time before it is compared, for instants: a row dated at midnight that stands for the day's close sees what is known by then.",
    ),
  publication: publicationOptions.describe("From when a known fact can be traded on. Default: at once."),
  ...outputOptions,
});

type PitOptions = z.output<typeof pitOptions>;

export const asofPit = defineKernel({
  name: kernelName,
  version: 1,
  causality: "causal",
  doc: "Point-in-time join on two axes: every left row at T with the fact of the same keys that has the greatest event time among those with event at or before T and known at or before T, in the version with the greatest knowledge time. For statements that are published late and restated. Facts need no order; left rows ascend in time within each group.",
  family: "As-of joins",
  columns: {
    inputs: [
      {
        name: "time",
        type: "timestamp, date, integer or float",
        doc: "of the left table, ascending within each group",
      },
      { name: "event", type: "of the same kind", doc: "of the facts" },
      { name: "known", type: "of the same kind", doc: "of the facts" },
      { name: "by", type: "text, integer, boolean, date, timestamp or dictionary", doc: "in both tables" },
    ],
    outputs: [{ name: "the left table's columns and the facts'", type: "as they are" }],
  },
  lookback: () => Infinity,
  lag: 0,
  nulls:
    "A fact without event or knowledge time is never seen; a null key or left time matches nothing and gives nulls. A null value in the newest version is what is known.",
  costNs: 60,
  args: [
    ["left", tableArg],
    ["facts", tableArg],
    ["params", pitOptions.prefault({})],
    ["calendar", tableArg.optional()],
    ["carry", carryArg],
  ],
  run: ({ left, facts, params, calendar, carry }) =>
    joinOnce(
      planOf(facts as Table, params, calendar as Table | undefined),
      left as Table,
      carry as AsofCarry | undefined,
    ),
});

/** Joins partitions of the left table one by one. Throws INVALID_ARGUMENT. */
export function openPit(
  facts: Table,
  params: z.input<typeof pitOptions>,
  calendar?: Table,
  carry?: AsofCarry,
): AsofStream {
  return openJoin(planOf(facts, parseArg(kernelName, "params", pitOptions, params), calendar), carry);
}

interface FactTimes {
  readonly event: NamedColumn;
  readonly known: NamedColumn;
  readonly opens: NamedColumn | undefined;
}

function planOf(facts: Table, params: PitOptions, calendar: Table | undefined): JoinPlan {
  const event = namedColumn(kernelName, "right", facts, params.event, kinds.time);
  const known = namedColumn(kernelName, "right", facts, params.known, kinds.time);
  const opens = sessionsColumn(kernelName, params.publication, calendar);
  return {
    kernel: kernelName,
    right: facts,
    calendar,
    deciding: decidingText(params),
    by: params.by,
    leftTime: params.time,
    rightTimes: opens ? [event, known, opens] : [event, known],
    output: params,
    prepare: (keys, scale) => prepare(keys, scale, { event, known, opens }, params),
    ...(params.decisionMs === 0 ? {} : { decisionTime: (axis, scale) => decisionAxis(axis, scale, params.decisionMs) }),
  };
}

function decisionAxis(axis: Axis, scale: Scale, decisionMs: number): Axis {
  if (scale.kind === "instant") return shiftedAxis(axis, scale, decisionMs);
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `${kernelName}: params.decisionMs is ${decisionMs}, but the times are of kind ${scale.kind}; it needs dates or timestamps`,
    {
      details: { kernel: kernelName, path: "params.decisionMs" },
    },
  );
}

function prepare(keys: ByKeys, scale: Scale, times: FactTimes, params: PitOptions): Prepared {
  const event = axisOf(times.event, scale);
  const known = axisOf(times.known, scale);
  const visible = visibleAxis(kernelName, known, scale, params.publication, times.opens);
  const groups = groupFacts(keys.rightIds, keys.count, { event, known, visible });
  const maxAge = params.maxAge === undefined ? Infinity : ticksOf(params.maxAge, scale);
  return {
    groups,
    choose: (left, locate) => {
      const rows = lookBack({ right: groups, left, tolerance: Infinity, base: scale.base }, locate(true), groups.rows);
      // The newest event is the youngest: if it is too old, all are.
      if (maxAge !== Infinity) dropOld({ left, tolerance: maxAge, base: scale.base }, rows, event);
      return rows;
    },
  };
}
