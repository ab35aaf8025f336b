/**
 * What both joins share: the right table prepared once, partitions of the left table joined one after the other.
 *
 * E1  A left row's result depends on the right table and that row alone, so any partitioning of the left table gives
 * the same rows; what is carried
 *     saves the way to where the last partition stopped, and carries the check of its order across the edge.
 */
import type { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { ByKeys } from "../columns/by-keys.js";
import { columnFault, kinds, type NamedColumn, namedColumn, unsortedFault } from "../columns/named-column.js";
import { type Axis, axisOf, type Scale, scaleOf } from "../columns/time-axis.js";
import { type LeftRows, locate, type Progress, startOf } from "./merge.js";
import type { OutputOptions, PairedColumn } from "./options.js";
import { joinedTable, planOutput } from "./output.js";
import { type Prepared, type RightSide, rightSideOf } from "./side-cache.js";
import type { SortedGroups } from "./sorted-groups.js";

export interface JoinPlan {
  readonly kernel: string;
  readonly right: Table;
  /** Another table that preparing reads. */
  readonly calendar?: Table | undefined;
  /** The parameters that decide how the right table is prepared, as text. */
  readonly deciding: string;
  readonly by: readonly PairedColumn[];
  readonly leftTime: string;
  /** All columns that must be on one axis with the left time. */
  readonly rightTimes: readonly NamedColumn[];
  readonly output: OutputOptions;
  prepare(keys: ByKeys, scale: Scale): Prepared;
  /** The left time as the join compares it. */
  decisionTime?(axis: Axis, scale: Scale): Axis;
}

/** What a partition hands to the next one of the same left table. */
export interface AsofCarry {
  readonly kernel: string;
  /** Rows of the right table: a carry is good for the same table only. */
  readonly rightRows: number;
  /** The axis of time, which follows from the columns' types. */
  readonly scale: string;
  /** Per merge (nearest without exact matches has two): where every group's cursor stands, and the last left time. */
  readonly progress: readonly Progress[];
}

/** Joins partitions of a left table, in order. */
export interface AsofStream {
  /** The partition with the right table's columns. Throws INVALID_ARGUMENT; the stream is then of no further use. */
  push(left: Table): Table;
  /** A copy; undefined before the first partition. */
  carry(): AsofCarry | undefined;
}

const floats = z.custom<Float64Array>((value) => value instanceof Float64Array, { error: "expected a Float64Array" });
const integers = z.custom<Int32Array>((value) => value instanceof Int32Array, { error: "expected an Int32Array" });
const carryObject = z.object({
  kernel: z.string(),
  rightRows: z.number(),
  scale: z.string(),
  progress: z.array(z.object({ cursors: integers, lastHi: floats, lastLo: floats })).max(2),
});

/** A carry, or the whole result of the previous partition. */
export const carryArg = z
  .union(
    [carryObject, z.object({ table: z.unknown(), carry: carryObject.optional() }).transform((result) => result.carry)],
    {
      error: "expected what the previous partition returned with withCarry",
    },
  )
  .optional()
  .describe("What the previous partition of the same left table returned with `withCarry`; absent at the beginning.");

export interface WireResult {
  readonly table: Table;
  readonly carry: AsofCarry | undefined;
}

/** The wire form: one partition from its carry on. */
export function joinOnce(plan: JoinPlan, left: Table, carry: AsofCarry | undefined): Table | WireResult {
  const stream = openJoin(plan, carry);
  const table = stream.push(left);
  return plan.output.withCarry ? { table, carry: stream.carry() } : table;
}

/** Throws INVALID_ARGUMENT for columns of the right table that are missing or of a wrong type. */
export function openJoin(plan: JoinPlan, carry?: AsofCarry): AsofStream {
  const { kernel, right, by, calendar } = plan;
  const tables = calendar ? [right, calendar] : [right];
  const side = rightSideOf(tables, `${kernel} ${plan.deciding}`, () => {
    const columns = by.map((pair) => namedColumn(kernel, "right", right, pair.right, kinds.key));
    return new ByKeys(columns, right.numRows);
  });
  const { keys } = side;
  let ready: { scale: Scale; text: string; prepared: Prepared; progress: (Progress | undefined)[] } | undefined;
  let resume = carry;
  return {
    push(left) {
      const output = planOutput(
        kernel,
        left,
        right,
        by.map((pair) => pair.right),
        plan.output,
      );
      const time = namedColumn(kernel, "left", left, plan.leftTime, kinds.time);
      const scale = scaleOf([time, ...plan.rightTimes]);
      const text = `${scale.kind} ${scale.wide ? "wide" : "narrow"} ${scale.ticksPerMs}`;
      if (ready && ready.text !== text)
        throw columnFault(time, `is ${time.vector.type}, of another type than in the partitions before`);
      ready ??= { scale, text, prepared: preparedIn(side, text, () => plan.prepare(keys, scale)), progress: [] };
      const { prepared, progress } = ready;
      if (resume) progress.push(...restored(plan, resume, text, prepared.groups));
      resume = undefined;
      const axis = axisOf(time, scale);
      const ids = keys.leftIds(
        by.map((pair) => namedColumn(kernel, "left", left, pair.left, kinds.key)),
        left.numRows,
      );
      const rows: LeftRows = { ids, ...(plan.decisionTime?.(axis, scale) ?? axis) };
      let merges = 0;
      const chosen = prepared.choose(rows, (takeEqual) => {
        const at = merges++;
        progress[at] ??= startOf(prepared.groups);
        const positions = new Int32Array(ids.length);
        const back = locate(prepared.groups, rows, progress[at], takeEqual, positions);
        if (back >= 0) throw unsortedFault(time, back, earlierOf(ids, axis, back));
        return positions;
      });
      return joinedTable(output, left, chosen);
    },
    carry: () =>
      ready && {
        kernel,
        rightRows: right.numRows,
        scale: ready.text,
        progress: ready.progress.filter((one) => one !== undefined).map((one) => structuredClone(one)),
      },
  };
}

function preparedIn({ prepared }: RightSide, scale: string, prepare: () => Prepared): Prepared {
  const made = prepared.get(scale) ?? prepare();
  prepared.set(scale, made);
  return made;
}

/** The row before `row` in its group; undefined if it is in an earlier partition. */
function earlierOf(ids: Int32Array, axis: Axis, row: number): number | undefined {
  for (let i = row - 1; i >= 0; i--) if (ids[i] === ids[row] && !Number.isNaN(axis.hi[i])) return i;
  return undefined;
}

function restored({ kernel, right }: JoinPlan, carry: AsofCarry, scale: string, groups: SortedGroups): Progress[] {
  const expected = { kernel, rightRows: right.numRows, scale };
  for (const key of ["kernel", "rightRows", "scale"] as const) {
    if (carry[key] !== expected[key])
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${kernel}: carry.${key} is ${carry[key]}, this partition has ${expected[key]}`,
      );
  }
  return carry.progress.map((progress) => {
    const start = startOf(groups);
    for (const key of ["cursors", "lastHi", "lastLo"] as const) {
      if (progress[key].length !== start[key].length)
        throw new VolleyError(
          "INVALID_ARGUMENT",
          `${kernel}: carry.progress.${key} has ${progress[key].length} numbers, expected ${start[key].length}`,
        );
    }
    const outside = progress.cursors.findIndex(
      (slot, group) => slot < (start.cursors[group] as number) || slot >= (groups.starts[group + 1] as number),
    );
    if (outside >= 0)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${kernel}: carry.progress.cursors.${outside} is ${progress.cursors[outside]}, outside its group`,
      );
    return structuredClone(progress);
  });
}
