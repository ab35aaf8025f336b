/**
 * A peer's column of ten thousand values, kept in a thousand bytes (bench/peers/conformance_blocks.py makes them), beside ours. The inputs are
 * made on both sides by the same generator, so only outputs are kept:
 *
 * K1  where there is no value: exactly, every row;
 * K2  of every block of 64 rows the sum of its values, each times 1 to 7 by its position: every value counts, and neighbours that are
 *     exchanged show. The peer's sum is exact and ours is compensated, so that what differs are the values;
 * K3  every 127th value itself; of columns of up to 512 rows all, and no sums;
 * K4  of whole numbers (and halves) also a digest: they are the same or they are not.
 *
 * A difference between two sums is counted as if all of it were in one row of mean weight, against the weighted mean magnitude of its block.
 */
import { createHash } from "node:crypto";
import { inflateSync } from "node:zlib";
import { VolleyError } from "../../proto/errors.js";
import type { Differences } from "./conformance.js";

export interface KeptColumn {
  readonly rows: number;
  /** Which of the masks. */
  readonly mask: number;
  /** float64, little-endian, deflated, base64; as all of them. */
  readonly singles: string;
  readonly sums?: string;
  /** Root mean square of the values. */
  readonly rms: number;
  readonly digest?: string;
}

export interface KeptColumns {
  /** A bit for every row, the lowest first, deflated, base64: set where there is a value. */
  readonly masks: readonly string[];
  readonly columns: readonly KeptColumn[];
}

const blockRows = 64;
const meanWeight = 4;
const wholeMax = 512;
const weightOf = (row: number): number => 1 + ((row * 5) % 7);
const singlesEvery = (rows: number): number => (rows <= wholeMax ? 1 : 127);

const inflated = (text: string): Buffer => inflateSync(Buffer.from(text, "base64"));

/** Numbers as conformance_blocks.py packs them. */
export function unpackedNumbers(text: string): Float64Array {
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

/** Neumaier's sum of the rows where the peer has a value; undefined where ours lacks one of them: the sums are not of the same. */
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

/** Counts what differs between ours (NaN is missing) and column `index`. `unscaled`: it counts for the absolute difference. */
export function compareKept({ masks, columns }: KeptColumns, index: number, ours: Float64Array, into: Differences, unscaled: boolean): void {
  const column = columns[index] as KeptColumn;
  if (ours.length !== column.rows) throw new VolleyError("INTERNAL", `${ours.length} values against ${column.rows}`);
  const mask = inflated(masks[column.mask] as string);
  const there = (row: number): boolean => (((mask[row >> 3] as number) >> (row & 7)) & 1) === 1;
  let nullsDiffer = 0;
  for (let row = 0; row < ours.length; row++) if (there(row) === Number.isNaN(ours[row])) nullsDiffer++;
  into.count(ours.length, nullsDiffer);
  const floor = column.rms / 1_000;
  let differs = nullsDiffer > 0;
  const note = (difference: number, magnitude: number): void => {
    if (difference === 0) return;
    differs = true;
    into.difference(difference, difference / Math.max(magnitude, floor), unscaled);
  };
  unpackedNumbers(column.singles).forEach((theirs, i) => {
    const value = ours[i * singlesEvery(ours.length)] as number;
    if (!Number.isNaN(theirs) && !Number.isNaN(value)) note(Math.abs(value - theirs), Math.abs(theirs));
  });
  unpackedSums(column).forEach((theirs, block) => {
    const sum = weightedSum(ours, there, block * blockRows, Math.min((block + 1) * blockRows, ours.length));
    if (sum) note(Math.abs(sum.total - theirs) / meanWeight, sum.magnitude);
  });
  // Different, but by sums that agree: by a half at least.
  if (column.digest !== undefined && !differs && column.digest !== digestOf(ours)) note(0.5, 0.5);
}

const unpackedSums = ({ sums }: KeptColumn): Float64Array => (sums === undefined ? new Float64Array(0) : unpackedNumbers(sums));
