/** The look-ahead check of a drawn call at one cut, in process. Test code: no kernel imports it. */
import type { Table } from "apache-arrow";
import { type AuditDifference, firstDifference } from "../../audit/compare.js";
import { poisonAfter, truncateAt } from "../../audit/cut.js";
import { knownAt } from "../../audit/knowledge.js";
import type { DrawnCall, Run } from "./call.js";

export const modes = ["truncate", "poison"] as const;
export type Mode = (typeof modes)[number];

/** Every time of the first table at which enough of it is known for the kernel to run, in order. */
export function cutsOf({ args, known = {}, rowsMin = 0 }: DrawnCall): number[] {
  const [first] = Object.entries(known) as [[string, string]];
  const times = knownAt("test", args[Number(first[0])] as Table, first[1]);
  const sorted = Float64Array.from(times).sort();
  const least = rowsMin === 0 ? Number.NEGATIVE_INFINITY : (sorted[rowsMin - 1] ?? Number.POSITIVE_INFINITY);
  return [...new Set(sorted)].filter((time) => time >= least);
}

/** The rows of the call's result; `whole` that of the call as it was drawn. */
export const rowsOf = (call: DrawnCall, result: unknown, args: readonly unknown[]): readonly Table[] =>
  call.rows ? call.rows(result, args) : [result as Table];

/** What a row up to the cut shows of what was known only later; undefined: nothing. */
export function differenceAt(
  run: Run,
  call: DrawnCall,
  whole: readonly Table[],
  at: number,
  mode: Mode,
): AuditDifference | undefined {
  const { adapt = (given: readonly unknown[]) => given, time } = call;
  const args = [...call.args];
  let rows: number | undefined;
  for (const [k, column] of Object.entries(call.known ?? {})) {
    const table = args[Number(k)] as Table;
    const times = knownAt("test", table, column);
    rows ??= times.filter((known) => known <= at).length;
    args[Number(k)] = mode === "truncate" ? truncateAt(table, times, at) : poisonAfter(table, times, at, column);
  }
  const parts = rowsOf(call, run(...adapt(args)), args);
  for (const [i, full] of whole.entries()) {
    const difference = firstDifference(full, parts[i] as Table, { time, at, rows: rows ?? 0 });
    if (difference) return difference;
  }
  return undefined;
}
