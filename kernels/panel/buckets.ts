/**
 * Quantile buckets in their three meanings, which differ where values are equal or few:
 *
 * numpy-linear  bucket 1 is every value ≤ the linear-interpolated quantile (np.quantile), and so on. Equal values share
 * a bucket, so buckets
 *               can be of any size, or empty.
 * qcut          the buckets of pandas.qcut: the same cuts, but two cuts that are equal are an error, or are merged,
 * which renumbers. count         bucket 1 is the int(f n) smallest, and so on: sizes are certain, and equal values are
 * parted in the order of symbols.
 */
import { z } from "zod";
import type { VolleyError } from "../../proto/errors.js";
import { intColumn } from "../columns/result-columns.js";
import { linearQuantile, Sorter } from "./order.js";
import { orderNulls } from "./rank.js";
import { sectionKernel } from "./wire.js";

export const meaningParameter = z
  .enum(["numpy-linear", "qcut", "count"])
  .describe(
    'What a quantile is: "numpy-linear" values ≤ the linear-interpolated quantile; "qcut" pandas.qcut; "count" the int(f n) smallest, ties in the order of symbols.',
  );

export const bucketShape = {
  buckets: z.int().min(2).max(10_000).optional().describe("How many buckets of equal share. Either this or edges."),
  edges: z
    .array(z.number().gt(0).lt(1))
    .min(1)
    .max(10_000)
    .optional()
    .describe(
      "Shares where one bucket ends and the next begins, ascending, such as [0.2, 0.8]. Either this or buckets.",
    ),
  meaning: meaningParameter,
  duplicates: z
    .enum(["error", "drop", "null"])
    .default("error")
    .describe(
      'qcut: two equal cuts are an "error" (pandas raise), are made one ("drop", as pandas), or the section is "null".',
    ),
};

export interface BucketParameters {
  readonly buckets?: number | undefined;
  readonly edges?: readonly number[] | undefined;
  readonly meaning: "numpy-linear" | "qcut" | "count";
  readonly duplicates: "error" | "drop" | "null";
}

/** For `.refine`. */
export const oneOfBucketsAndEdges = ({ buckets, edges }: { buckets?: unknown; edges?: unknown }): boolean =>
  (buckets === undefined) !== (edges === undefined);
export const oneOfError = { path: ["buckets"], error: "give either buckets or edges" };
export const edgesAscend = ({ edges = [] }: { edges?: readonly number[] | undefined }): boolean =>
  edges.every((edge, i) => i === 0 || edge > (edges[i - 1] as number));
export const ascendError = { path: ["edges"], error: "edges do not ascend" };

export const bucketCount = ({ buckets, edges }: BucketParameters): number => buckets ?? (edges?.length ?? 0) + 1;

/**
 * Shares between buckets. pandas 3 rounds those that binary numbers do not hold up, not to the nearest: a value that
 * lies on a cut is below it.
 */
function sharesOf({ buckets, edges, meaning }: BucketParameters): Float64Array {
  if (edges) return Float64Array.from(edges);
  const count = buckets as number;
  if (meaning !== "qcut") return Float64Array.from({ length: count - 1 }, (_, i) => (i + 1) / count);
  const shares = Float64Array.from({ length: count - 1 }, (_, i) => (i + 1) * (1 / count));
  const bits = new BigUint64Array(shares.buffer);
  // The next number above a positive one has the next bits.
  for (let i = 0; i < shares.length; i++)
    if (count * (shares[i] as number) !== i + 1) bits[i] = (bits[i] as bigint) + 1n;
  return shares;
}

/** Buckets 1.. of the values into `out`; NaN for a section that has none. */
export type Bucketer = (values: Float64Array, out: Float64Array, fault: (why: string) => VolleyError) => void;

export function bucketerOf(params: BucketParameters): Bucketer {
  const shares = sharesOf(params);
  const sorter = new Sorter();
  return (values, out, fault) => {
    const { keys, places } = sorter.sort(values);
    if (params.meaning === "count") return bucketsByCount(places, shares, out);
    let cuts: Float64Array | undefined = shares.map((share) => linearQuantile(keys, share));
    if (params.meaning === "qcut") cuts = qcutCuts(keys, cuts, params.duplicates, fault);
    if (!cuts) out.fill(Number.NaN);
    else bucketsByCuts(keys, places, cuts, out);
  };
}

function bucketsByCount(places: Int32Array, shares: Float64Array, out: Float64Array): void {
  const n = places.length;
  let bucket = 0;
  for (let i = 0; i < n; i++) {
    while (bucket < shares.length && Math.trunc((shares[bucket] as number) * n) <= i) bucket++;
    out[places[i] as number] = bucket + 1;
  }
}

function qcutCuts(
  keys: Float64Array,
  inner: Float64Array,
  duplicates: "error" | "drop" | "null",
  fault: (why: string) => VolleyError,
): Float64Array | undefined {
  const bins = [keys[0] as number, ...inner, keys[keys.length - 1] as number];
  const distinct = bins.filter((bin, i) => i === 0 || bin !== bins[i - 1]);
  if (distinct.length === bins.length) return inner;
  if (duplicates === "error")
    throw fault(
      `has equal quantile cuts (${bins.find((bin, i) => bin === bins[i - 1])} twice) among ${keys.length} values; choose duplicates "drop" or "null", or another meaning,`,
    );
  return duplicates === "null" || distinct.length < 2 ? undefined : Float64Array.from(distinct.slice(1, -1));
}

/** One more than there are cuts below the number; cuts ascend, as the keys do. */
function bucketsByCuts(keys: Float64Array, places: Int32Array, cuts: Float64Array, out: Float64Array): void {
  let bucket = 0;
  for (let i = 0; i < keys.length; i++) {
    while (bucket < cuts.length && (cuts[bucket] as number) < (keys[i] as number)) bucket++;
    out[places[i] as number] = bucket + 1;
  }
}

export const panelQuantile = sectionKernel({
  name: "quantile",
  doc: "Quantile bucket of every value among those of its date (or group of a date), 1 for the smallest, in a named meaning of quantile.",
  nulls: orderNulls.replace(
    "±infinity is a number, below or above all others",
    "±infinity is missing too, except by count",
  ),
  costNs: 40,
  as: "{column}",
  output: { type: "int32", column: intColumn },
  parameters: z.strictObject(bucketShape).refine(oneOfBucketsAndEdges, oneOfError).refine(edgesAscend, ascendError),
  plan: (params) => {
    const bucketer = bucketerOf(params);
    return {
      finite: params.meaning !== "count",
      run: ([values], out, fault) => bucketer(values as Float64Array, out, fault),
    };
  },
});
