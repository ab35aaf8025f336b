/**
 * Facts by group in the order of preference, so that the merge on one axis answers the question of two.
 *
 * In a group's order of (event, known, row) the wanted fact at T is the last one visible at T. Each slot's time is the
 * earliest time from which it or any later slot is visible: those times ascend, and the last slot whose time is at or
 * before T is the wanted one.
 *
 * F1  A fact is visible from the later of its event and its (publication-adjusted) knowledge time on; one without
 * either has no slot.
 */

import type { Axis } from "../columns/time-axis.js";
import { layout, type SortedGroups } from "./sorted-groups.js";

export interface FactAxes {
  readonly event: Axis;
  /** When the version became known: which of two versions is newer. */
  readonly known: Axis;
  /** From when it can be used; NaN: never. */
  readonly visible: Axis;
}

export function groupFacts(ids: Int32Array, groups: number, axes: FactAxes): SortedGroups {
  const usable = usableIds(ids, axes);
  const sorted = layout(usable, groups, axes.event, axes.event.lo.length > 0);
  const disordered = sorted.wide ? placeWide(usable, axes, sorted) : place(usable, axes, sorted);
  for (let group = 0; group < groups; group++) if (disordered[group]) sortGroup(sorted, group, axes);
  if (sorted.wide) earliestWide(sorted);
  else earliest(sorted.hi);
  return sorted;
}

/** The ids, with -1 for facts that are never seen; the same array if there are none. */
function usableIds(ids: Int32Array, { known, visible }: FactAxes): Int32Array {
  if (!known.mayMiss && !visible.mayMiss) return ids;
  let usable = ids;
  for (let i = 0; i < ids.length; i++) {
    if (!Number.isNaN((known.hi[i] as number) + (visible.hi[i] as number))) continue;
    if (usable === ids) usable = ids.slice();
    usable[i] = -1;
  }
  return usable;
}

/** Rows and times into slots, in the order of the table. Which groups are out of order. */
function place(ids: Int32Array, { event, known, visible }: FactAxes, { starts, hi, rows }: SortedGroups): Uint8Array {
  const groups = starts.length - 1;
  const next = starts.slice();
  const disordered = new Uint8Array(groups);
  const lastEvent = new Float64Array(groups).fill(-Infinity);
  const lastKnown = new Float64Array(groups).fill(-Infinity);
  for (let i = 0; i < ids.length; i++) {
    const group = ids[i] as number;
    const at = event.hi[i] as number;
    if (group < 0 || Number.isNaN(at)) continue;
    const from = visible.hi[i] as number;
    const knownAt = known.hi[i] as number;
    const slot = next[group] as number;
    next[group] = slot + 1;
    rows[slot] = i;
    hi[slot] = Math.max(from, at);
    const last = lastEvent[group] as number;
    if (at < last || (at === last && knownAt < (lastKnown[group] as number))) disordered[group] = 1;
    lastEvent[group] = at;
    lastKnown[group] = knownAt;
  }
  return disordered;
}

function placeWide(ids: Int32Array, axes: FactAxes, sorted: SortedGroups): Uint8Array {
  const { starts, rows } = sorted;
  const next = starts.slice();
  const disordered = new Uint8Array(starts.length - 1);
  for (let i = 0; i < ids.length; i++) {
    const group = ids[i] as number;
    if (group < 0 || Number.isNaN(axes.event.hi[i])) continue;
    const slot = next[group] as number;
    next[group] = slot + 1;
    rows[slot] = i;
    setVisible(sorted, slot, axes, i);
    const before = rows[slot - 1] as number;
    if (before >= 0 && (compare(axes.event, before, i) || compare(axes.known, before, i)) > 0) disordered[group] = 1;
  }
  return disordered;
}

function setVisible({ hi, lo, wide }: SortedGroups, slot: number, { event, visible }: FactAxes, row: number): void {
  const at = event.hi[row] as number;
  const from = visible.hi[row] as number;
  const isLater = from > at || (wide && from === at && (visible.lo[row] as number) > (event.lo[row] as number));
  hi[slot] = isLater ? from : at;
  if (wide) lo[slot] = (isLater ? visible.lo[row] : event.lo[row]) as number;
}

function sortGroup(sorted: SortedGroups, group: number, axes: FactAxes): void {
  const from = sorted.starts[group] as number;
  const to = (sorted.starts[group + 1] as number) - 1;
  const order = sorted.rows.subarray(from, to);
  order.sort((a, b) => compare(axes.event, a, b) || compare(axes.known, a, b) || a - b);
  for (let slot = from; slot < to; slot++) setVisible(sorted, slot, axes, sorted.rows[slot] as number);
}

/** Of rows a and b. Not a difference: that of infinities is not a number. */
function compare({ hi, lo }: Axis, a: number, b: number): number {
  const x = hi[a] as number;
  const y = hi[b] as number;
  if (x !== y) return x < y ? -1 : 1;
  return lo.length > 0 ? (lo[a] as number) - (lo[b] as number) : 0;
}

/**
 * From the back: the smallest time from each slot to the end of its group. Sentinels (NaN) end a group by themselves.
 */
function earliest(hi: Float64Array): void {
  let least = Number.NaN;
  for (let slot = hi.length - 1; slot >= 0; slot--) {
    const time = hi[slot] as number;
    if (time > least) hi[slot] = least;
    else least = time;
  }
}

function earliestWide({ hi, lo }: SortedGroups): void {
  for (let slot = hi.length - 2; slot >= 0; slot--) {
    const time = hi[slot] as number;
    const next = hi[slot + 1] as number;
    if (time > next || (time === next && (lo[slot] as number) > (lo[slot + 1] as number))) {
      hi[slot] = next;
      lo[slot] = lo[slot + 1] as number;
    }
  }
}
