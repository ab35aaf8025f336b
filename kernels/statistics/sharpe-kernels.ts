/** Kernels that say how much of a Sharpe ratio is luck: of one record of returns, and of the best of many trials. */
import { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { float64Vector, int32Vector, textVector } from "../columns/building.js";
import { optionalFloat64Column } from "../columns/reading.js";
import { defineKernel, tableArg } from "../kernel.js";
import { expectedMaxSharpe, minimumTrackRecord, probabilisticSharpe, type SharpeEstimate } from "./deflated-sharpe.js";
import { kurtosisOf, momentsOf, skewnessOf, varianceOf } from "./moments.js";
import { sharpeRatio } from "./returns.js";
import { columnsOption, type ReturnSeries, returnSeries, returnsIn, returnsNulls } from "./series.js";

const family = "Statistics";

export function estimateOf(values: ArrayLike<number>): SharpeEstimate {
  const m = momentsOf(values);
  return { sharpe: sharpeRatio(m, 1), observations: m.count, skewness: skewnessOf(m), kurtosis: kurtosisOf(m) };
}

const estimateColumns = [
  { name: "column", type: "text", doc: "the column of returns" },
  { name: "bars", type: "int32" },
  { name: "sharpe", type: "float64", doc: "per bar" },
  { name: "skewness", type: "float64" },
  { name: "kurtosis", type: "float64", doc: "raw" },
] as const;

const describe = (series: readonly ReturnSeries[], estimates: readonly SharpeEstimate[]) => ({
  column: textVector(series.map(({ name }) => name)),
  bars: int32Vector(Int32Array.from(estimates, ({ observations }) => observations)),
  sharpe: float64Vector(Float64Array.from(estimates, ({ sharpe }) => sharpe)),
  skewness: float64Vector(Float64Array.from(estimates, ({ skewness }) => skewness)),
  kurtosis: float64Vector(Float64Array.from(estimates, ({ kurtosis }) => kurtosis)),
});

const confidence = z.number().gt(0).lt(1).default(0.95).describe("Confidence of minTrackRecord.");

export const statsSharpeProbabilistic = defineKernel({
  name: "stats.sharpe_probabilistic",
  version: 1,
  causality: "summary",
  family,
  doc: "Probabilistic Sharpe ratio (Bailey and López de Prado 2012), a row per column: the probability that the true Sharpe ratio is above the benchmark, Φ((SR - SR*) sqrt(T - 1) / sqrt(1 - γ3 SR + (γ4 - 1)/4 SR²)) with SR per bar and γ4 raw; and the bars that it takes to say so with the given confidence. Null where the returns do not vary.",
  columns: {
    inputs: [returnsIn],
    outputs: [
      ...estimateColumns,
      { name: "probability", type: "float64", doc: "that the true Sharpe ratio is above the benchmark" },
      {
        name: "minTrackRecord",
        type: "float64",
        doc: "bars needed; null if the Sharpe ratio is not above the benchmark",
      },
    ],
  },
  nulls: returnsNulls,
  costNs: 10,
  args: [
    ["table", tableArg],
    [
      "params",
      z
        .strictObject({
          columns: columnsOption,
          benchmark: z.number().default(0).describe("SR*, per bar: an annual ratio over sqrt(A)."),
          confidence,
        })
        .prefault({}),
    ],
  ],
  run: ({ table, params }) => {
    const series = returnSeries(table, params.columns);
    const estimates = series.map(({ values }) => estimateOf(values));
    return new Table({
      ...describe(series, estimates),
      probability: float64Vector(Float64Array.from(estimates, (e) => probabilisticSharpe(e, params.benchmark))),
      minTrackRecord: float64Vector(
        Float64Array.from(estimates, (e) => minimumTrackRecord(e, params.benchmark, params.confidence)),
      ),
    });
  },
});

const deflatedParams = z.strictObject({
  columns: columnsOption,
  trials: z.int().min(1).optional().describe("Number of trials N, where no tables of them are given."),
  variance: z
    .number()
    .min(0)
    .optional()
    .describe("Variance of the trials' Sharpe ratios per bar, where no tables of them are given."),
  sharpeColumn: z
    .string()
    .default("sharpe")
    .describe("Column of the trials' tables; null counts as a trial, but not for the variance."),
  periodsPerYear: z
    .number()
    .positive()
    .default(1)
    .describe("Bars per year of the Sharpe ratios in the trials' tables; 1: they are per bar."),
});
type DeflatedParams = z.output<typeof deflatedParams>;

function trialsOf(tables: readonly Table[] | undefined, params: DeflatedParams): { trials: number; variance: number } {
  if (tables) {
    if (params.trials !== undefined || params.variance !== undefined)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        "stats.sharpe_deflated: params.trials and params.variance are given beside tables of trials; leave out either",
      );
    const trials = tables.reduce((sum, table) => sum + table.numRows, 0);
    if (trials === 0)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        "stats.sharpe_deflated: trials has no rows; every trial that was run is a row",
      );
    const defined = tables
      .flatMap((table) => [...optionalFloat64Column(table, params.sharpeColumn)])
      .filter((x) => !Number.isNaN(x));
    return { trials, variance: defined.length < 2 ? 0 : varianceOf(momentsOf(defined)) / params.periodsPerYear };
  }
  const { trials, variance } = params;
  if (trials === undefined || (variance === undefined && trials > 1))
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `stats.sharpe_deflated: params.${trials === undefined ? "trials" : "variance"} is missing: give tables of the trials, or their number and the variance of their Sharpe ratios`,
    );
  return { trials, variance: variance ?? 0 };
}

export const statsSharpeDeflated = defineKernel({
  name: "stats.sharpe_deflated",
  version: 1,
  causality: "summary",
  family,
  doc: "Deflated Sharpe ratio (Bailey and López de Prado 2014), a row per column: the probability that the true Sharpe ratio is above what luck alone gives the best of N trials, SR* = sqrt(V) ((1 - γe) Z⁻¹(1 - 1/N) + γe Z⁻¹(1 - 1/(N e))). N and V come from the tables of all trials that were run (a row each, as the sweeps give them), or from the parameters.",
  columns: {
    inputs: [returnsIn],
    outputs: [
      ...estimateColumns,
      { name: "trials", type: "float64", doc: "N" },
      { name: "luckSharpe", type: "float64", doc: "SR*, per bar" },
      { name: "probabilistic", type: "float64", doc: "against a benchmark of 0" },
      { name: "deflated", type: "float64", doc: "against SR*" },
    ],
  },
  nulls: returnsNulls,
  costNs: 10,
  args: [
    ["table", tableArg],
    ["trials", z.union([z.array(tableArg).min(1), tableArg]).nullish()],
    ["params", deflatedParams.prefault({})],
  ],
  run: ({ table, trials: given, params }) => {
    const { trials, variance } = trialsOf(given instanceof Table ? [given] : (given ?? undefined), params);
    const series = returnSeries(table, params.columns);
    const estimates = series.map(({ values }) => estimateOf(values));
    const luck = expectedMaxSharpe(trials, variance);
    const repeated = (value: number) => float64Vector(new Float64Array(series.length).fill(value));
    return new Table({
      ...describe(series, estimates),
      trials: repeated(trials),
      luckSharpe: repeated(luck),
      probabilistic: float64Vector(Float64Array.from(estimates, (e) => probabilisticSharpe(e))),
      deflated: float64Vector(Float64Array.from(estimates, (e) => probabilisticSharpe(e, luck))),
    });
  },
});
