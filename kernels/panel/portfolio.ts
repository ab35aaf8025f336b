/**
 * Factor analysis by buckets: what each quantile of a factor returned, how much of it is replaced, and how alike two
 * dates rank.
 */

import { Vector } from "apache-arrow";
import { z } from "zod";
import { float64Vector, int32Vector } from "../columns/building.js";
import { columnName } from "../columns/column-name.js";
import { gather } from "../columns/gather.js";
import { plainNumbers } from "../columns/result-columns.js";
import { defineKernel, tableArg } from "../kernel.js";
import { datesOf, type Panel, panelOf } from "./axes.js";
import { Beginnings } from "./beginnings.js";
import {
  ascendError,
  type BucketParameters,
  bucketCount,
  bucketerOf,
  bucketShape,
  edgesAscend,
  oneOfBucketsAndEdges,
  oneOfError,
} from "./buckets.js";
import { correlationOf } from "./coefficient.js";
import { eachSection, longestDate, maskOf, scatter } from "./sections.js";
import { symbolsOf } from "./symbols.js";
import {
  axesShape,
  axisColumns,
  family,
  maskParameter,
  numbers,
  sectionFault,
  sectionNumbers,
  tableOf,
} from "./wire.js";

const factorParameter = columnName.describe("The column of the factor.");

/** Bucket of every row, 0 for none. */
function bucketsOf(panel: Panel, factor: string, params: BucketParameters, mask: string | undefined): Int32Array {
  const buckets = new Int32Array(panel.table.numRows);
  const scratch = new Beginnings(new Float64Array(longestDate(panel)));
  const bucketer = bucketerOf(params);
  eachSection(panel, [sectionNumbers(panel, factor)], { finite: true, mask: maskOf(panel, mask) }, (section) => {
    const [x] = section.inputs as [Float64Array];
    const made = scratch.of(x.length);
    bucketer(x, made, (why) => sectionFault(panel, factor, section.date, why));
    scatter(section, made, buckets);
  });
  return buckets;
}

/** Dates repeated for every bucket, buckets, and how many rows each holds. */
function bucketRows(
  panel: Panel,
  buckets: Int32Array,
  count: number,
): { dates: Vector; bucket: Vector; n: Int32Array } {
  const n = new Int32Array(panel.dates * count);
  for (let d = 0; d < panel.dates; d++) {
    for (let row = panel.starts[d] as number; row < (panel.starts[d + 1] as number); row++) {
      const bucket = buckets[row] as number;
      if (bucket > 0) n[d * count + bucket - 1] = (n[d * count + bucket - 1] as number) + 1;
    }
  }
  const places = Int32Array.from(n, (_, i) => Math.floor(i / count));
  return {
    dates: new Vector([gather(datesOf(panel), places)]),
    bucket: int32Vector(Int32Array.from(n, (_, i) => (i % count) + 1)),
    n,
  };
}

// ------------------------------------------------------------------------------------------------ returns

/** Mean return by date and bucket, in the order of symbols; NaN of none. */
function bucketMeans(
  panel: Panel,
  buckets: Int32Array,
  count: number,
  returns: Float64Array,
  weights: Float64Array | undefined,
): Float64Array {
  const sums = new Float64Array(panel.dates * count);
  const totals = new Float64Array(panel.dates * count);
  for (let d = 0; d < panel.dates; d++) {
    for (let row = panel.starts[d] as number; row < (panel.starts[d + 1] as number); row++) {
      const bucket = buckets[row] as number;
      const value = returns[row] as number;
      const weight = weights ? (weights[row] as number) : 1;
      if (bucket === 0 || !Number.isFinite(value) || !(weight > 0 && weight < Infinity)) continue;
      const at = d * count + bucket - 1;
      sums[at] = (sums[at] as number) + weight * value;
      totals[at] = (totals[at] as number) + weight;
    }
  }
  return sums.map((sum, i) => sum / (totals[i] as number));
}

const returnParameters = z
  .strictObject({
    factor: factorParameter,
    returns: z
      .array(columnName)
      .min(1)
      .max(1_000)
      .describe("Columns of forward returns, as panel.forward_returns makes."),
    ...bucketShape,
    weight: columnName
      .optional()
      .describe(
        "A column of weights, such as the market value; rows where it is not above 0 are left out. Default: equal weights.",
      ),
    output: z
      .enum(["buckets", "spread"])
      .default("buckets")
      .describe('"buckets" a row per date and bucket; "spread" a row per date: the last bucket less the first.'),
    mask: maskParameter,
    ...axesShape,
  })
  .refine(oneOfBucketsAndEdges, oneOfError)
  .refine(edgesAscend, ascendError);

export const panelQuantileReturns = defineKernel({
  name: "panel.quantile_returns",
  version: 1,
  causality: "causal",
  doc: "Mean forward return of every quantile bucket of a factor on every date, equally weighted or by a column. Buckets are made of all symbols with a factor, whether or not they have a return: who will be delisted is not known then. It reads its own date alone; but where returns come later, so is the mean known later.",
  family,
  columns: {
    inputs: [...axisColumns, { name: "factor", type: "number" }, { name: "returns", type: "number" }],
    outputs: [
      { name: "date", type: "as it is" },
      { name: "bucket", type: "int32", doc: "1 for the smallest" },
      { name: "n", type: "int32", doc: "symbols in the bucket" },
      { name: "{returns}", type: "float64" },
    ],
  },
  lookback: () => 0,
  lag: 0,
  nulls:
    "A factor that is null, NaN or ±infinity is in no bucket; a return that is, is left out of its bucket's mean. Null where a bucket has none.",
  costNs: 50,
  args: [
    ["table", tableArg],
    ["params", returnParameters],
  ],
  run: ({ table, params }) => {
    const panel = panelOf("panel.quantile_returns", table, params);
    const count = bucketCount(params);
    const buckets = bucketsOf(panel, params.factor, params, params.mask);
    const weights = params.weight === undefined ? undefined : numbers(panel, params.weight);
    const means = params.returns.map(
      (name) => [name, bucketMeans(panel, buckets, count, numbers(panel, name), weights)] as const,
    );
    if (params.output === "spread") {
      const spread = (of: Float64Array): Float64Array =>
        Float64Array.from(
          { length: panel.dates },
          (_, d) => (of[(d + 1) * count - 1] as number) - (of[d * count] as number),
        );
      return tableOf(panel.kernel, [
        [params.date, datesOf(panel)],
        ...means.map(([name, of]) => [name, float64Vector(spread(of))] as const),
      ]);
    }
    const { dates, bucket, n } = bucketRows(panel, buckets, count);
    const columns = means.map(([name, of]) => [name, float64Vector(of)] as const);
    return tableOf(panel.kernel, [[params.date, dates], ["bucket", bucket], ["n", int32Vector(n)], ...columns]);
  },
});

// ------------------------------------------------------------------------------------------------ turnover

const lagParameter = z
  .int()
  .min(1)
  .max(100_000)
  .default(1)
  .describe("How many dates of the panel lie between the two that are compared.");

/** Calls `visit` with a row of date d and that of the same symbol `lag` dates before, -1 for none. */
function eachPair(panel: Panel, lag: number, visit: (row: number, before: number, date: number) => void): void {
  const { ids, count } = symbolsOf(panel.symbol);
  const rowOf = new Int32Array(count);
  for (let d = lag; d < panel.dates; d++) {
    rowOf.fill(-1);
    for (let row = panel.starts[d - lag] as number; row < (panel.starts[d - lag + 1] as number); row++)
      rowOf[ids[row] as number] = row;
    for (let row = panel.starts[d] as number; row < (panel.starts[d + 1] as number); row++)
      visit(row, rowOf[ids[row] as number] as number, d);
  }
}

export const panelTurnover = defineKernel({
  name: "panel.turnover",
  version: 1,
  causality: "causal",
  doc: "Turnover of every quantile bucket of a factor: the share of its symbols that were not in it `lag` dates before (alphalens quantile_turnover). A row per date and bucket. A partition sees its own dates only.",
  family,
  columns: {
    inputs: [...axisColumns, { name: "factor", type: "number" }],
    outputs: [
      { name: "date", type: "as it is" },
      { name: "bucket", type: "int32" },
      { name: "n", type: "int32", doc: "symbols in the bucket" },
      { name: "turnover", type: "float64" },
    ],
  },
  lookback: (params) => (params as { lag?: number } | undefined)?.lag ?? 1,
  lag: 0,
  nulls:
    "A factor that is null, NaN or ±infinity is in no bucket. Null on the first `lag` dates, and where a bucket is empty.",
  costNs: 70,
  args: [
    ["table", tableArg],
    [
      "params",
      z
        .strictObject({ factor: factorParameter, ...bucketShape, lag: lagParameter, mask: maskParameter, ...axesShape })
        .refine(oneOfBucketsAndEdges, oneOfError)
        .refine(edgesAscend, ascendError),
    ],
  ],
  run: ({ table, params }) => {
    const panel = panelOf("panel.turnover", table, params);
    const count = bucketCount(params);
    const buckets = bucketsOf(panel, params.factor, params, params.mask);
    const { dates, bucket, n } = bucketRows(panel, buckets, count);
    const fresh = new Int32Array(n.length);
    eachPair(panel, params.lag, (row, before, date) => {
      const own = buckets[row] as number;
      if (own > 0 && (before < 0 || buckets[before] !== own))
        fresh[date * count + own - 1] = (fresh[date * count + own - 1] as number) + 1;
    });
    const turnover = Float64Array.from(n, (size, i) =>
      i < params.lag * count ? Number.NaN : (fresh[i] as number) / size,
    );
    return tableOf(panel.kernel, [
      [params.date, dates],
      ["bucket", bucket],
      ["n", int32Vector(n)],
      ["turnover", float64Vector(turnover)],
    ]);
  },
});

export const panelRankAutocorrelation = defineKernel({
  name: "panel.rank_autocorrelation",
  version: 1,
  causality: "causal",
  doc: "Spearman correlation of a factor with itself `lag` dates before, over the symbols that have it on both. A row per date. A partition sees its own dates only.",
  family,
  columns: {
    inputs: [...axisColumns, { name: "factor", type: "number" }],
    outputs: [
      { name: "date", type: "as it is" },
      { name: "autocorrelation", type: "float64" },
      { name: "n", type: "int32", doc: "symbols on both dates" },
    ],
  },
  lookback: (params) => (params as { lag?: number } | undefined)?.lag ?? 1,
  lag: 0,
  nulls:
    "Null, NaN and ±infinity are left out. Null on the first `lag` dates, with fewer than 3 symbols, and where nothing varies.",
  costNs: 100,
  args: [
    ["table", tableArg],
    ["params", z.strictObject({ factor: factorParameter, lag: lagParameter, mask: maskParameter, ...axesShape })],
  ],
  run: ({ table, params }) => {
    const panel = panelOf("panel.rank_autocorrelation", table, params);
    const factor = numbers(panel, params.factor);
    const mask = maskOf(panel, params.mask);
    const before = new Float64Array(factor.length).fill(Number.NaN);
    eachPair(panel, params.lag, (row, earlier) => {
      if (earlier >= 0 && (!mask || mask[earlier])) before[row] = factor[earlier] as number;
    });
    const [values, n] = [new Float64Array(panel.dates).fill(Number.NaN), new Int32Array(panel.dates)];
    const correlate = correlationOf("spearman");
    eachSection(panel, [plainNumbers(factor), plainNumbers(before)], { finite: true, mask }, ({ inputs, date }) => {
      const [x, y] = inputs as [Float64Array, Float64Array];
      n[date] = x.length;
      if (x.length >= 3) values[date] = correlate(x, y);
    });
    return tableOf(panel.kernel, [
      [params.date, datesOf(panel)],
      ["autocorrelation", float64Vector(values)],
      ["n", int32Vector(n)],
    ]);
  },
});
