/**
 * The right table by group and time, as the merge reads it.
 *
 * G1  Every group is a run of slots in ascending time, and a sentinel (NaN, row -1) stands before the first and after
 * every group. A cursor
 *     that starts at its group's first slot stops at the sentinel by itself, because nothing compares with NaN.
 * G2  Slots 0 and 1 are both sentinels, so a row that can match nothing has the position 1: sentinels on either side.
 * G3  Rows of equal time keep the order of the table.
 */
import { type NamedColumn, unsortedFault } from "../columns/named-column.js";
import type { Axis } from "../columns/time-axis.js";

export interface SortedGroups {
  /** First slot of every group; the slot after the last group's sentinel at the end. */
  readonly starts: Int32Array;
  readonly hi: Float64Array;
  readonly lo: Float64Array;
  readonly wide: boolean;
  /** Row of the right table in every slot, -1 in sentinels. */
  readonly rows: Int32Array;
}

/** Empty groups of the right sizes; rows of group -1 or without time have no slot. */
export function layout(ids: Int32Array, groups: number, { hi, mayMiss }: Axis, wide: boolean): SortedGroups {
  const starts = new Int32Array(groups + 1);
  for (let i = 0; i < ids.length; i++) {
    const group = ids[i] as number;
    if (group >= 0 && !(mayMiss && Number.isNaN(hi[i]))) starts[group + 1] = (starts[group + 1] as number) + 1;
  }
  starts[0] = 2;
  for (let group = 0; group < groups; group++)
    starts[group + 1] = (starts[group] as number) + (starts[group + 1] as number) + 1;
  const slots = Math.max(2, starts[groups] as number);
  const sorted = {
    starts,
    hi: new Float64Array(slots),
    lo: new Float64Array(wide ? slots : 0),
    wide,
    rows: new Int32Array(slots),
  };
  sorted.hi[0] = sorted.hi[1] = Number.NaN;
  sorted.rows[0] = sorted.rows[1] = -1;
  for (let group = 0; group < groups; group++) {
    const sentinel = (starts[group + 1] as number) - 1;
    sorted.hi[sentinel] = Number.NaN;
    sorted.rows[sentinel] = -1;
  }
  return sorted;
}

/** Throws INVALID_ARGUMENT that names column, row and value if times go back within a group. */
export function groupSorted(ids: Int32Array, groups: number, axis: Axis, column: NamedColumn): SortedGroups {
  const sorted = layout(ids, groups, axis, axis.lo.length > 0);
  const { starts, hi, lo, wide, rows } = sorted;
  const next = starts.slice();
  for (let i = 0; i < ids.length; i++) {
    const group = ids[i] as number;
    const time = axis.hi[i] as number;
    if (group < 0 || Number.isNaN(time)) continue;
    const slot = next[group] as number;
    next[group] = slot + 1;
    const before = hi[slot - 1] as number;
    if (before > time || (wide && before === time && (lo[slot - 1] as number) > (axis.lo[i] as number)))
      throw unsortedFault(column, i, rows[slot - 1]);
    rows[slot] = i;
    hi[slot] = time;
    if (wide) lo[slot] = axis.lo[i] as number;
  }
  return sorted;
}

/**
 * Of every slot, the first (or last) slot's row among those of equal time: which of equals is taken looking one way is
 * then a matter of the table, not of the merge.
 */
export function firstOfEquals(sorted: SortedGroups): Int32Array {
  const { rows } = sorted;
  const picks = rows.slice();
  for (let slot = 1; slot < picks.length; slot++)
    if (sameTime(sorted, slot - 1, slot)) picks[slot] = picks[slot - 1] as number;
  return picks;
}

export function lastOfEquals(sorted: SortedGroups): Int32Array {
  const { rows } = sorted;
  const picks = rows.slice();
  for (let slot = picks.length - 2; slot >= 0; slot--)
    if (sameTime(sorted, slot, slot + 1)) picks[slot] = picks[slot + 1] as number;
  return picks;
}

function sameTime({ hi, lo, wide }: SortedGroups, a: number, b: number): boolean {
  return hi[a] === hi[b] && (!wide || lo[a] === lo[b]);
}
