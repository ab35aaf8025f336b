/**
 * A panel cut into cross-sections: the rows of one date, or of one group on one date, that are not left out.
 *
 * S1  Every section is computed from its own rows only, in the order of symbols. So a table cut between dates gives the
 * same bits as the whole. S2  A row is left out if one of the inputs is missing there, if the mask is not true, or if
 * its group is null; its output is null.
 */
import { type Bool, DataType, type Vector } from "apache-arrow";
import { ByKeys } from "../columns/by-keys.js";
import { kinds, mistypedFault, namedColumn } from "../columns/named-column.js";
import type { Numbers, Rows } from "../columns/result-columns.js";
import type { Panel } from "./axes.js";
import { Beginnings } from "./beginnings.js";

export interface SectionRules {
  /** Rows that are not 0 here count. */
  readonly mask?: Uint8Array | undefined;
  /** Sections are groups within a date; -1 is no group. */
  readonly groups?: { readonly ids: Int32Array; readonly count: number } | undefined;
  /** ±infinity is missing, as in everything that adds; where only order counts it is a number. */
  readonly finite: boolean;
}

export interface Section extends Rows {
  /** The inputs in the section's rows; not to be written to, and good until the next section. */
  readonly inputs: readonly Float64Array[];
  readonly date: number;
}

interface Scratch {
  /** Whether the rows are those whose bits are set in the one input. */
  asStored: boolean;
  readonly rows: Beginnings<Int32Array>;
  readonly inputs: readonly Beginnings<Float64Array>[];
}

/**
 * Rows of [from, to) whose bits are set; how many. What is there and what is not comes without order, so there is no
 * branch on it: every row is written, and the place goes on where it is to stay.
 */
function rowsOfBits({ bits, offset }: Numbers, from: number, to: number, rows: Int32Array): number {
  const set = bits as Uint8Array;
  const end = offset + to;
  let kept = 0;
  let at = offset + from;
  for (; at < end && (at & 7) !== 0; at++) {
    rows[kept] = at - offset;
    kept += ((set[at >> 3] as number) >> (at & 7)) & 1;
  }
  for (; at + 8 <= end; at += 8) {
    const byte = set[at >> 3] as number;
    const row = at - offset;
    if (byte === 0xff) {
      for (let k = 0; k < 8; k++) rows[kept + k] = row + k;
      kept += 8;
    } else {
      for (let k = 0; k < 8; k++) {
        rows[kept] = row + k;
        kept += (byte >> k) & 1;
      }
    }
  }
  for (; at < end; at++) {
    rows[kept] = at - offset;
    kept += ((set[at >> 3] as number) >> (at & 7)) & 1;
  }
  return kept;
}

/** Leaves of the first n rows those whose bits are set; how many. */
function keepBits({ bits, offset }: Numbers, rows: Int32Array, n: number): number {
  if (!bits) return n;
  let kept = 0;
  for (let k = 0; k < n; k++) {
    const row = rows[k] as number;
    rows[kept] = row;
    kept += ((bits[(offset + row) >> 3] as number) >> ((offset + row) & 7)) & 1;
  }
  return kept;
}

const exponentBits = 0x7ff00000;

/**
 * The same for those that are not NaN, and if `finite` not infinity: of these the exponent is all ones, and of NaN
 * another bit is 1.
 */
function keepNumbers({ values }: Numbers, finite: boolean, rows: Int32Array, n: number): number {
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
  const limit = finite ? exponentBits : exponentBits + 1;
  let kept = 0;
  for (let k = 0; k < n; k++) {
    const row = rows[k] as number;
    const low = words[2 * row] as number;
    const magnitude = ((words[2 * row + 1] as number) & 0x7fffffff) | ((low | -low) >>> 31);
    rows[kept] = row;
    kept += (magnitude - limit) >>> 31;
  }
  return kept;
}

function allowedRows({ mask, groups }: SectionRules, from: number, to: number, rows: Int32Array): number {
  let n = 0;
  for (let row = from; row < to; row++) {
    rows[n] = row;
    if (mask && mask[row] === 0) continue;
    if (!groups || (groups.ids[row] as number) >= 0) n++;
  }
  return n;
}

/** Rows of [from, to) that count, into `rows`, and the inputs there; how many. */
function present(inputs: readonly Numbers[], rules: SectionRules, from: number, to: number, scratch: Scratch): number {
  const rows = scratch.rows.whole;
  const into = scratch.inputs;
  const [first] = inputs;
  const listed = rules.mask !== undefined || rules.groups !== undefined || first?.bits === undefined;
  let n = listed ? allowedRows(rules, from, to, rows) : rowsOfBits(first, from, to, rows);
  for (let i = listed ? 0 : 1; i < inputs.length; i++) n = keepBits(inputs[i] as Numbers, rows, n);
  let plain = true;
  for (let i = 0; i < inputs.length; i++)
    if (!gatherNumbers((inputs[i] as Numbers).values, rows, n, (into[i] as Beginnings<Float64Array>).whole))
      plain = false;
  scratch.asStored = !listed && inputs.length === 1;
  if (plain) return n;
  const all = n;
  for (const input of inputs) n = keepNumbers(input, rules.finite, rows, n);
  if (n === all) return n;
  scratch.asStored = false;
  inputs.forEach(({ values }, i) => gatherNumbers(values, rows, n, (into[i] as Beginnings<Float64Array>).whole));
  return n;
}

/** Whether all are finite. */
function gatherNumbers(values: Float64Array, rows: Int32Array, n: number, into: Float64Array): boolean {
  // Of infinity and NaN the difference with itself is NaN. Two sums: one would wait for itself at every number.
  let [rest, other] = [0, 0];
  const even = n & ~1;
  for (let k = 0; k < even; k += 2) {
    const one = values[rows[k] as number] as number;
    const two = values[rows[k + 1] as number] as number;
    into[k] = one;
    into[k + 1] = two;
    rest += one - one;
    other += two - two;
  }
  if (even < n) {
    const last = values[rows[even] as number] as number;
    into[even] = last;
    rest += last - last;
  }
  return rest + other === 0;
}

/** Calls `visit` for every section that has a row, by date, then by group. */
export function eachSection(
  panel: Panel,
  inputs: readonly Numbers[],
  rules: SectionRules,
  visit: (section: Section) => void,
): void {
  const most = longestDate(panel);
  // A row more: the place after the last one is written too.
  const rows = new Beginnings(new Int32Array(most + 1));
  const scratch = { asStored: false, rows, inputs: inputs.map(() => new Beginnings(new Float64Array(most))) };
  const byGroup = rules.groups && {
    ids: rules.groups.ids,
    sorted: new Int32Array(most),
    counts: new Int32Array(rules.groups.count + 1),
  };
  for (let date = 0; date < panel.dates; date++) {
    const from = panel.starts[date] as number;
    const to = panel.starts[date + 1] as number;
    const n = present(inputs, rules, from, to, scratch);
    if (n === 0) continue;
    if (byGroup) visitGroups(inputs, byGroup, scratch, n, date, visit);
    else {
      const stored = scratch.asStored ? inputs[0] : undefined;
      visit({
        inputs: scratch.inputs.map((input) => input.of(n)),
        rows: n === to - from ? undefined : rows.of(n),
        from,
        to,
        stored,
        date,
      });
    }
  }
}

export function longestDate({ starts, dates }: Panel): number {
  let most = 0;
  for (let d = 0; d < dates; d++) most = Math.max(most, (starts[d + 1] as number) - (starts[d] as number));
  return most;
}

interface ByGroup {
  readonly ids: Int32Array;
  readonly sorted: Int32Array;
  readonly counts: Int32Array;
}

/** A counting sort by group keeps symbols in order. */
function visitGroups(
  inputs: readonly Numbers[],
  { ids, sorted, counts }: ByGroup,
  scratch: Scratch,
  n: number,
  date: number,
  visit: (section: Section) => void,
): void {
  const rows = scratch.rows.whole;
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
    if (to > from) {
      const own = sorted.subarray(from, to);
      const views = scratch.inputs.map((input) => input.of(own.length));
      inputs.forEach(({ values }, i) => gatherNumbers(values, own, own.length, views[i] as Float64Array));
      visit({ inputs: views, rows: own, from: own[0] as number, to: undefined, date });
    }
    from = to;
  }
}

/** Into the panel's rows what was computed for the section's: whole numbers, NaN as 0. */
export function scatter({ rows, from }: Rows, values: Float64Array, out: Int32Array): void {
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
  const { rightIds, count } = new ByKeys(
    [namedColumn(panel.kernel, "panel", panel.table, name, kinds.key)],
    panel.table.numRows,
  );
  return { ids: rightIds, count };
}
