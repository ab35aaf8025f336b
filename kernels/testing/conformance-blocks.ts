/**
 * A peer's column of ten thousand values, kept in a thousand bytes (bench/peers/conformance_blocks.py makes them),
 * beside ours. The inputs are made on both sides by the same generator, so only outputs are kept:
 *
 * K1  where there is no value: exactly, every row;
 * K2  of every block of 64 rows the sum of its values, each times a whole number by its position: every value counts,
 * and neighbours that
 *     are exchanged show. The peer's sum is exact and ours is compensated, so that what differs are the values;
 * K3  every 251st value itself, and those of rows that the fixture names; of columns of up to 512 rows all, and no
 * sums; K4  of whole numbers (and halves) also a digest: they are the same or they are not; K5  blocks end at the
 * fixture's edges too, so that rows where only one side has values by convention leave no others uncompared.
 *
 * A difference between two sums is counted as if all of it were in one row of the least weight, so that a row that
 * differs alone shows at its full size at least; relative to the weighted mean magnitude of its block.
 */
import { createHash } from "node:crypto";
import { inflateSync } from "node:zlib";
import { VolleyError } from "../../proto/errors.js";
import type { Differences } from "./conformance.js";

export interface StoredColumn {
  readonly rows: number;
  /** Which of the masks. */
  readonly mask: number;
  /** float64, little-endian, deflated, base64; as all of them. */
  readonly singles: string;
  readonly sums?: string;
  /** Root mean square of the values. */
  readonly rms: number;
  readonly digest?: string;
  /** Which of the fixture's rows are kept themselves, besides every 251st. */
  readonly also?: string;
}

export interface StoredColumns {
  /** A bit for every row, the lowest first, deflated, base64: set where there is a value. */
  readonly masks: readonly string[];
  readonly columns: readonly StoredColumn[];
  /** Rows where a block begins, besides every 64th. */
  readonly edges?: readonly number[];
  readonly also?: Readonly<Record<string, readonly number[]>>;
}

const blockRows = 64;
const leastWeight = 4;
const wholeMax = 512;
const weightOf = (row: number): number => leastWeight + ((row * 5) % 7);

/** Rows that are kept themselves, in order. */
function singlesOf(rows: number, also: readonly number[] = []): number[] {
  const every = rows <= wholeMax ? 1 : 251;
  const regular = Array.from({ length: Math.ceil(rows / every) }, (_, i) => i * every);
  return [...new Set([...regular, ...also])].sort((a, b) => a - b);
}

/** Bounds of the blocks. */
function boundsOf(rows: number, edges: readonly number[] = []): number[] {
  const regular = Array.from({ length: Math.ceil(rows / blockRows) }, (_, i) => i * blockRows);
  return [...new Set([...regular, ...edges, rows])].sort((a, b) => a - b);
}

const inflated = (text: string): Buffer => inflateSync(Buffer.from(text, "base64"));

/** Numbers as conformance_blocks.py packs them. */
function unpackedNumbers(text: string): Float64Array {
  const bytes = inflated(text);
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(8 * i));
}

/** First 16 digits of the SHA-256 of the values as float64, missing ones as 0. */
function digestOf(values: Float64Array): string {
  const present = values.map((value) => (Number.isNaN(value) ? 0 : value + 0));
  return createHash("sha256").update(new Uint8Array(present.buffer)).digest("hex").slice(0, 16);
}

interface Sum {
  readonly total: number;
  readonly magnitude: number;
}

/**
 * Neumaier's sum of the rows where the peer has a value; undefined where ours lacks one of them: the sums are not of
 * the same.
 */
function weightedSum(ours: Float64Array, there: (row: number) => boolean, from: number, to: number): Sum | undefined {
  let [sum, rest, magnitude, weights] = [0, 0, 0, 0];
  for (let row = from; row < to; row++) {
    if (!there(row)) continue;
    const value = ours[row] as number;
    if (Number.isNaN(value)) return undefined;
    const term = value * weightOf(row);
    const next = sum + term;
    rest += Math.abs(sum) >= Math.abs(term) ? sum - next + term : term - next + sum;
    sum = next;
    magnitude += Math.abs(term);
    weights += weightOf(row);
  }
  return { total: sum + rest, magnitude: weights > 0 ? magnitude / weights : 0 };
}

/**
 * Counts what differs between ours (NaN is missing) and column `index`. `unscaled`: it counts for the absolute
 * difference.
 */
export function compareStored(
  kept: StoredColumns,
  index: number,
  ours: Float64Array,
  into: Differences,
  unscaled: boolean,
): void {
  const column = kept.columns[index] as StoredColumn;
  if (ours.length !== column.rows) throw new VolleyError("INTERNAL", `${ours.length} values against ${column.rows}`);
  const mask = inflated(kept.masks[column.mask] as string);
  const there = (row: number): boolean => (((mask[row >> 3] as number) >> (row & 7)) & 1) === 1;
  const both = (row: number): boolean => there(row) && !Number.isNaN(ours[row]);
  let nullsDiffer = 0;
  for (let row = 0; row < ours.length; row++) if (there(row) === Number.isNaN(ours[row])) nullsDiffer++;
  const floor = column.rms / 1_000;
  let differs = nullsDiffer > 0;
  const relative = (difference: number, magnitude: number): number =>
    difference === 0 ? 0 : difference / Math.max(magnitude, floor);
  const rows = singlesOf(ours.length, kept.also?.[column.also ?? ""]);
  const singles = unpackedNumbers(column.singles);
  rows.forEach((row, i) => {
    const theirs = singles[i] as number;
    const difference = both(row) ? Math.abs((ours[row] as number) - theirs) : 0;
    differs ||= difference !== 0;
    into.difference(difference, relative(difference, Math.abs(theirs)), unscaled);
  });
  const single = new Set(rows);
  let uncompared = 0;
  const bounds = boundsOf(ours.length, kept.edges);
  unpackedSums(column).forEach((theirs, block) => {
    const [from, to] = [bounds[block] as number, bounds[block + 1] as number];
    const sum = weightedSum(ours, there, from, to);
    for (let row = from; row < to; row++) if (!sum && both(row) && !single.has(row)) uncompared++;
    if (!sum) return;
    const difference = Math.abs(sum.total - theirs) / leastWeight;
    differs ||= difference !== 0;
    into.block(difference, relative(difference, sum.magnitude), unscaled);
  });
  into.count(ours.length - uncompared, rows.length, nullsDiffer, uncompared);
  // Different, but by sums that agree: by a half at least.
  if (column.digest !== undefined && !differs && column.digest !== digestOf(ours)) into.difference(0.5, 1, unscaled);
}

const unpackedSums = ({ sums }: StoredColumn): Float64Array =>
  sums === undefined ? new Float64Array(0) : unpackedNumbers(sums);
