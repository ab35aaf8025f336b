/**
 * From where the merge stands to the row that is taken: looking back, ahead or to the nearer side, within a tolerance.
 */
import type { LeftRows } from "./merge.js";
import type { SortedGroups } from "./sorted-groups.js";

export interface Choice {
  readonly right: SortedGroups;
  readonly left: LeftRows;
  /** Ticks; Infinity: any distance. */
  readonly tolerance: number;
  /** Of `lo` in `hi`, for distances. */
  readonly base: number;
}

/**
 * `picks[slot]` is the row to take where the merge chose that slot. `positions` become the rows if no tolerance needs
 * them any more.
 */
export function lookBack(choice: Choice, positions: Int32Array, picks: Int32Array): Int32Array {
  const rows = rowsFor(choice, positions);
  for (let i = 0; i < rows.length; i++) rows[i] = picks[(positions[i] as number) - 1] as number;
  if (choice.tolerance !== Infinity) dropDistant(choice, rows, (i) => (positions[i] as number) - 1);
  return rows;
}

export function lookAhead(choice: Choice, positions: Int32Array, picks: Int32Array): Int32Array {
  const rows = rowsFor(choice, positions);
  for (let i = 0; i < rows.length; i++) rows[i] = picks[positions[i] as number] as number;
  if (choice.tolerance !== Infinity) dropDistant(choice, rows, (i) => positions[i] as number);
  return rows;
}

const rowsFor = ({ tolerance }: Choice, positions: Int32Array): Int32Array =>
  tolerance === Infinity ? positions : new Int32Array(positions.length);

interface NearChoice extends Choice {
  /** Which of two at equal distance. */
  readonly midway: "earlier" | "later";
}

/** The nearer of the slot before `behind` and the slot at `ahead`. */
export function lookNear(
  choice: NearChoice,
  behind: Int32Array,
  ahead: Int32Array,
  picks: { back: Int32Array; ahead: Int32Array },
): Int32Array {
  const rows = new Int32Array(behind.length);
  const slots = new Int32Array(behind.length);
  for (let i = 0; i < rows.length; i++) {
    const before = (behind[i] as number) - 1;
    const after = ahead[i] as number;
    const isAfter = afterIsNearer(choice, i, before, after);
    slots[i] = isAfter ? after : before;
    rows[i] = (isAfter ? picks.ahead[after] : picks.back[before]) as number;
  }
  if (choice.tolerance !== Infinity) dropDistant(choice, rows, (i) => slots[i] as number);
  return rows;
}

function afterIsNearer(
  { right: { hi, lo, wide, rows }, left, base, midway }: NearChoice,
  i: number,
  before: number,
  after: number,
): boolean {
  if ((rows[before] as number) < 0) return true;
  if ((rows[after] as number) < 0) return false;
  const x = left.hi[i] as number;
  if (x === hi[before] && (!wide || left.lo[i] === lo[before])) return false;
  const back = x - (hi[before] as number);
  const ahead = (hi[after] as number) - x;
  const orEqual = midway === "later";
  if (!wide) return ahead < back || (orEqual && ahead === back);
  // Pairs with `lo` in [0, base), so that distances beyond 2^53 ticks compare exactly too.
  const low = left.lo[i] as number;
  const backLow = low - (lo[before] as number);
  const aheadLow = (lo[after] as number) - low;
  const backHigh = backLow < 0 ? back - 1 : back;
  const aheadHigh = aheadLow < 0 ? ahead - 1 : ahead;
  if (aheadHigh !== backHigh) return aheadHigh < backHigh;
  const rest = (aheadLow < 0 ? aheadLow + base : aheadLow) - (backLow < 0 ? backLow + base : backLow);
  return rest < 0 || (orEqual && rest === 0);
}

function dropDistant(
  { right: { hi, lo, wide }, left, tolerance, base }: Choice,
  rows: Int32Array,
  slotOf: (i: number) => number,
): void {
  for (let i = 0; i < rows.length; i++) {
    if ((rows[i] as number) < 0) continue;
    const slot = slotOf(i);
    const x = left.hi[i] as number;
    const high = x === hi[slot] ? 0 : x - (hi[slot] as number);
    const distance = wide ? high * base + (left.lo[i] as number) - (lo[slot] as number) : high;
    if (!(Math.abs(distance) <= tolerance)) rows[i] = -1;
  }
}

/** Takes back rows whose own time (`hi`, `lo` by row) is more than `tolerance` before the left row's. */
export function dropOld(
  { left, tolerance, base }: Omit<Choice, "right">,
  rows: Int32Array,
  times: { readonly hi: Float64Array; readonly lo: Float64Array },
): void {
  const wide = times.lo.length > 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row < 0) continue;
    const high = (left.hi[i] as number) - (times.hi[row] as number);
    const age = wide ? high * base + (left.lo[i] as number) - (times.lo[row] as number) : high;
    if (!(age <= tolerance)) rows[i] = -1;
  }
}
