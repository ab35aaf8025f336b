/**
 * The merge: for every left row, in the order of its table, how far its group's right rows reach. One cursor a group;
 * left rows of a group ascend, so cursors only move forward, and where they stand is all that one partition hands to
 * the next.
 */
import type { SortedGroups } from "./sorted-groups.js";

/** Where the left table has got to. */
export interface Progress {
  /** Slot of every group's cursor. */
  readonly cursors: Int32Array;
  /** The last left time of every group; -Infinity before the first. */
  readonly lastHi: Float64Array;
  readonly lastLo: Float64Array;
}

export interface LeftRows {
  readonly ids: Int32Array;
  readonly hi: Float64Array;
  readonly lo: Float64Array;
}

export function startOf({ starts, wide }: SortedGroups): Progress {
  const groups = starts.length - 1;
  return {
    cursors: starts.slice(0, groups),
    lastHi: new Float64Array(groups).fill(-Infinity),
    lastLo: new Float64Array(wide ? groups : 0),
  };
}

/** Steps one by one before it leaps: left rows are mostly about as dense as right ones. */
const stepsBeforeLeap = 16;

/**
 * Writes to `positions` the first slot of the row's group whose time is after (or, without `takeEqual`, at or after)
 * the row's; 1 for a row without group or time. Returns -1, or the first row whose time is before the one before it in
 * its group; `progress` is then of no use.
 */
export function locate(
  right: SortedGroups,
  left: LeftRows,
  progress: Progress,
  takeEqual: boolean,
  positions: Int32Array,
): number {
  const { hi, lo, wide } = right;
  const { ids } = left;
  const { cursors, lastHi, lastLo } = progress;
  for (let i = 0; i < ids.length; i++) {
    const group = ids[i] as number;
    const x = left.hi[i] as number;
    if (group < 0 || Number.isNaN(x)) {
      positions[i] = 1;
      continue;
    }
    const low = wide ? (left.lo[i] as number) : 0;
    const last = lastHi[group] as number;
    if (x < last || (wide && x === last && low < (lastLo[group] as number))) return i;
    lastHi[group] = x;
    if (wide) lastLo[group] = low;
    let slot = cursors[group] as number;
    let steps = 0;
    for (;;) {
      const time = hi[slot] as number;
      if (!(time < x)) {
        if (time !== x) break;
        if (wide) {
          const rest = lo[slot] as number;
          if (rest > low || (rest === low && !takeEqual)) break;
        } else if (!takeEqual) break;
      }
      slot++;
      if (++steps === stepsBeforeLeap) slot = leap(hi, slot, (right.starts[group + 1] as number) - 1, x);
    }
    cursors[group] = slot;
    positions[i] = slot;
  }
  return -1;
}

/** A slot at or after `from` that is not beyond the first one at or after time x, close to it. */
function leap(hi: Float64Array, from: number, end: number, x: number): number {
  let reach = 1;
  while (from + reach < end && (hi[from + reach] as number) < x) reach *= 2;
  let low = from;
  let high = Math.min(end, from + reach);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((hi[middle] as number) < x) low = middle + 1;
    else high = middle;
  }
  return low;
}
