/**
 * When each row could be known, as one number a row that compares across tables: milliseconds for instants, the value
 * itself for numbers.
 */
import type { Table } from "apache-arrow";
import { kinds, namedColumn } from "../columns/named-column.js";
import { axisOf, dayMs, scaleOf } from "../columns/time-axis.js";

/** NaN where the time is missing. Throws INVALID_ARGUMENT for a column that is missing or no time. */
export function knownAt(kernel: string, table: Table, column: string): Float64Array {
  const named = namedColumn(kernel, "audited", table, column, kinds.time);
  const scale = scaleOf([named]);
  const { hi, lo } = axisOf(named, scale);
  if (scale.kind === "instant")
    return hi.map((ticks, i) =>
      scale.wide ? ticks * dayMs + (lo[i] as number) / scale.ticksPerMs : ticks / scale.ticksPerMs,
    );
  return scale.wide ? hi.map((high, i) => high * scale.base + (lo[i] as number)) : hi.slice();
}
