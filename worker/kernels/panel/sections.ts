/**
 * A panel cut into cross-sections: the rows of one date, or of one group on one date, that are not left out.
 *
 * S1  Every section is computed from its own rows only, in the order of symbols. So a table cut between dates gives the same bits as the whole.
 * S2  A row is left out if one of the inputs is missing there, if the mask is not true, or if its group is null; its output is null.
 */
import { type Bool, DataType, type Vector } from "apache-arrow";
import { ByKeys } from "../asof/by-keys.js";
import { kinds, mistypedFault, namedColumn } from "../asof/faults.js";
import type { Panel } from "./axes.js";

export interface SectionRules {
  /** Rows that are not 0 here count. */
  readonly mask?: Uint8Array | undefined;
  /** Sections are groups within a date; -1 is no group. */
  readonly groups?: { readonly ids: Int32Array; readonly count: number } | undefined;
  /** ±infinity is missing, as in everything that adds; where only order counts it is a number. */
  readonly finite: boolean;
}

export interface Section {
  /** The inputs in the section's rows; not to be written to, and good until the next section. */
  readonly inputs: readonly Float64Array[];
  /** The rows; undefined: all of [from, from + length). */
  readonly rows: Int32Array | undefined;
  readonly from: number;
  readonly date: number;
}

class Scratch {
  rows = new Int32Array(0);
  sorted = new Int32Array(0);
  counts = new Int32Array(0);
  inputs: Float64Array[] = [];

  reserve(rows: number, inputs: number, groups: number): void {
    this.rows = new Int32Array(rows);
    this.sorted = new Int32Array(groups > 0 ? rows : 0);
    this.counts = new Int32Array(groups + 1);
    this.inputs = Array.from({ length: inputs }, () => new Float64Array(rows));
  }
}

/** Rows of [from, to) that count, into `rows`; how many. */
function presentRows(inputs: readonly Float64Array[], { mask, groups, finite }: SectionRules, from: number, to: number, rows: Int32Array): number {
  let n = 0;
  for (let row = from; row < to; row++) {
    if (mask && !mask[row]) continue;
    if (groups && (groups.ids[row] as number) < 0) continue;
    let there = true;
    for (let i = 0; i < inputs.length; i++) {
      const x = (inputs[i] as Float64Array)[row] as number;
      if (finite ? !Number.isFinite(x) : Number.isNaN(x)) there = false;
    }
    if (there) rows[n++] = row;
  }
  return n;
}

/** Calls `visit` for every section that has a row, by date, then by group. */
export function eachSection(panel: Panel, inputs: readonly Float64Array[], rules: SectionRules, visit: (section: Section) => void): void {
  const scratch = new Scratch();
  let most = 0;
  for (let d = 0; d < panel.dates; d++) most = Math.max(most, (panel.starts[d + 1] as number) - (panel.starts[d] as number));
  scratch.reserve(most, inputs.length, rules.groups?.count ?? 0);
  for (let date = 0; date < panel.dates; date++) {
    const from = panel.starts[date] as number;
    const to = panel.starts[date + 1] as number;
    const n = presentRows(inputs, rules, from, to, scratch.rows);
    if (n === 0) continue;
    if (rules.groups) visitGroups(inputs, rules.groups.ids, scratch, n, date, visit);
    else if (n === to - from) visit({ inputs: inputs.map((input) => input.subarray(from, to)), rows: undefined, from, date });
    else visit(gathered(inputs, scratch, scratch.rows.subarray(0, n), date));
  }
}

function gathered(inputs: readonly Float64Array[], scratch: Scratch, rows: Int32Array, date: number): Section {
  const n = rows.length;
  const views = inputs.map((input, i) => {
    const view = (scratch.inputs[i] as Float64Array).subarray(0, n);
    for (let k = 0; k < n; k++) view[k] = input[rows[k] as number] as number;
    return view;
  });
  return { inputs: views, rows, from: 0, date };
}

/** A counting sort by group keeps symbols in order. */
function visitGroups(inputs: readonly Float64Array[], ids: Int32Array, scratch: Scratch, n: number, date: number, visit: (section: Section) => void): void {
  const { rows, sorted, counts } = scratch;
  counts.fill(0);
  for (let k = 0; k < n; k++) {
    const next = (ids[rows[k] as number] as number) + 1;
    counts[next] = (counts[next] as number) + 1;
  }
  for (let g = 1; g < counts.length; g++) counts[g] = (counts[g] as number) + (counts[g - 1] as number);
  for (let k = 0; k < n; k++) {
    const group = ids[rows[k] as number] as number;
    const at = counts[group] as number;
    sorted[at] = rows[k] as number;
    counts[group] = at + 1;
  }
  // counts[g] is now the end of group g.
  let from = 0;
  for (let g = 0; g < counts.length - 1; g++) {
    const to = counts[g] as number;
    if (to > from) visit(gathered(inputs, scratch, sorted.subarray(from, to), date));
    from = to;
  }
}

/** Into the panel's rows what was computed for the section's. */
export function scatter({ rows, from }: Section, values: Float64Array, out: Float64Array): void {
  if (!rows) out.set(values, from);
  else for (let k = 0; k < rows.length; k++) out[rows[k] as number] = values[k] as number;
}

// ------------------------------------------------------------------------------------------------ masks and groups

/** 1 where the boolean column is true; null is not. */
export function maskOf(panel: Panel, name: string | undefined): Uint8Array | undefined {
  if (name === undefined) return undefined;
  const column = namedColumn(panel.kernel, "panel", panel.table, name, "booleans");
  if (!DataType.isBool(column.vector.type)) throw mistypedFault(column, "a mask is boolean");
  const out = new Uint8Array(panel.table.numRows);
  let at = 0;
  for (const { values, nullBitmap, nullCount, offset, length } of (column.vector as Vector<Bool>).data) {
    for (let i = offset; i < offset + length; i++, at++) {
      const bit = ((values[i >> 3] as number) >> (i & 7)) & 1;
      out[at] = nullCount > 0 ? bit & ((nullBitmap[i >> 3] as number) >> (i & 7)) : bit;
    }
  }
  return out;
}

/** Throws INVALID_ARGUMENT for a column that is no key. */
export function groupsOf(panel: Panel, name: string | undefined): SectionRules["groups"] {
  if (name === undefined) return undefined;
  const { rightIds, count } = new ByKeys([namedColumn(panel.kernel, "panel", panel.table, name, kinds.key)], panel.table.numRows);
  return { ids: rightIds, count };
}
