/** Kernels of return statistics: one row per column of returns, and the table of drawdowns. */
import { DateDay, Int32, Table, vectorFromArray } from "apache-arrow";
import { z } from "zod";
import { float64Vector, int32Vector, textVector } from "../columns/building.js";
import { dayColumn } from "../columns/reading.js";
import { defineKernel, tableArg } from "../kernel.js";
import { drawdownsOf } from "./drawdowns.js";
import { kurtosisOf, momentsOf, skewnessOf } from "./moments.js";
import { sorted } from "./quantile.js";
import {
  calmarRatio,
  compoundAnnualGrowth,
  conditionalValueAtRisk,
  hitRate,
  maxDrawdown,
  profitFactor,
  sharpeRatio,
  sortinoRatio,
  valueAtRisk,
  volatility,
} from "./returns.js";
import { columnsOption, periodsOption, returnSeries, returnsIn, returnsNulls } from "./series.js";

const family = "Statistics";

const returnsParams = z.strictObject({
  columns: columnsOption,
  periodsPerYear: periodsOption,
  riskFree: z
    .number()
    .gt(-1)
    .max(1)
    .default(0)
    .describe("Risk-free return per bar, taken off every return for the Sharpe ratio."),
  minimumAcceptable: z
    .number()
    .gt(-1)
    .max(1)
    .default(0)
    .describe("Return per bar below which a bar counts as downside (Sortino)."),
  tail: z.number().gt(0).lt(1).default(0.05).describe("Probability of the tail of var and cvar."),
});

/** In the order of the columns; per bar unless it says otherwise. */
export const returnStatistics = {
  mean: "mean return per bar",
  totalReturn: "end value / start value - 1",
  cagr: "compound annual growth, end^(A / n) - 1",
  volatility: "std (ddof 1) · sqrt(A)",
  sharpe: "mean(r - rf) / std(r - rf, ddof 1) · sqrt(A)",
  sortino: "mean(r - mar) / sqrt(mean(min(r - mar, 0)²)) · sqrt(A)",
  calmar: "cagr / |maxDrawdown|",
  maxDrawdown: "deepest fall from a peak, ≤ 0, anchored at the starting value",
  skewness: "population skewness γ3",
  kurtosis: "population kurtosis γ4, raw: 3 for a normal",
  hitRate: "bars that gained / bars that moved",
  profitFactor: "sum of gains / sum of losses",
  var: "historical value at risk: the tail quantile of the returns",
  cvar: "mean of the returns in the tail",
  best: "largest return",
  worst: "smallest return",
} as const;
export type ReturnStatistic = keyof typeof returnStatistics;

/** Statistics that need the returns in order, which costs more than all others together. */
export const orderStatistics: ReadonlySet<ReturnStatistic> = new Set(["var", "cvar", "best", "worst"]);

/**
 * Every statistic of the returns that are present; NaN where one is not defined, and for those of order unless they are
 * asked for.
 */
export function statisticsOfReturns(
  values: Float64Array,
  params: z.output<typeof returnsParams>,
  ordered = true,
): Readonly<Record<ReturnStatistic, number>> {
  const { periodsPerYear, riskFree, minimumAcceptable, tail } = params;
  const none = values.length === 0;
  const m = momentsOf(values);
  const growth = values.reduce((product, r) => product * (1 + r), 1);
  const cagr = compoundAnnualGrowth(growth, m.count, periodsPerYear);
  const deepest = none ? Number.NaN : maxDrawdown(values);
  const ascending = ordered ? sorted(values.slice()) : new Float64Array(0);
  return {
    mean: none ? Number.NaN : m.mean,
    totalReturn: none ? Number.NaN : growth - 1,
    cagr,
    volatility: volatility(m, periodsPerYear),
    sharpe: sharpeRatio(riskFree === 0 ? m : momentsOf(values.map((r) => r - riskFree)), periodsPerYear),
    sortino: sortinoRatio(values, periodsPerYear, minimumAcceptable),
    calmar: calmarRatio(cagr, deepest),
    maxDrawdown: deepest,
    skewness: skewnessOf(m),
    kurtosis: kurtosisOf(m),
    hitRate: hitRate(values),
    profitFactor: profitFactor(values),
    var: valueAtRisk(ascending, tail),
    cvar: conditionalValueAtRisk(ascending, tail),
    best: ascending.at(-1) ?? Number.NaN,
    worst: ascending[0] ?? Number.NaN,
  };
}

export const statsReturns = defineKernel({
  name: "stats.returns",
  version: 1,
  causality: "summary",
  family,
  doc: "Statistics of per-bar simple returns, a row per column: Sharpe, Sortino, CAGR, volatility, maximum drawdown, Calmar, moments, hit rate, profit factor and historical tail risk. Conventions are those of empyrical, except that the CAGR takes A bars a year as given; null where a statistic is not defined.",
  columns: {
    inputs: [returnsIn],
    outputs: [
      { name: "column", type: "text", doc: "the column of returns" },
      { name: "bars", type: "int32", doc: "returns present" },
      ...Object.entries(returnStatistics).map(([name, doc]) => ({ name, type: "float64", doc })),
    ],
  },
  nulls: returnsNulls,
  costNs: 120,
  args: [
    ["table", tableArg],
    ["params", returnsParams],
  ],
  run: ({ table, params }) => {
    const series = returnSeries(table, params.columns);
    const rows = series.map(({ values }) => statisticsOfReturns(values, params));
    return new Table({
      column: textVector(series.map(({ name }) => name)),
      bars: int32Vector(Int32Array.from(series, ({ values }) => values.length)),
      ...Object.fromEntries(
        (Object.keys(returnStatistics) as ReturnStatistic[]).map((name) => [
          name,
          float64Vector(Float64Array.from(rows, (row) => row[name])),
        ]),
      ),
    });
  },
});

const drawdownsParams = z.strictObject({
  columns: columnsOption,
  top: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10)
    .describe("How many drawdowns of each column, the deepest first; of equal depth the earlier first."),
  date: z.string().optional().describe("A column of dates: adds peakDate, valleyDate and recoveryDate."),
});

export const statsDrawdowns = defineKernel({
  name: "stats.drawdowns",
  version: 1,
  causality: "summary",
  family,
  doc: "The deepest drawdowns of accounts that start with 1 and compound per-bar simple returns: rows of peak, valley and recovery. A peak that is null is the starting value, before the first bar; a recovery that is null has not come.",
  columns: {
    inputs: [returnsIn],
    outputs: [
      { name: "column", type: "text" },
      { name: "depth", type: "float64", doc: "value at the valley / value at the peak - 1" },
      { name: "peak", type: "int32", doc: "row" },
      { name: "valley", type: "int32", doc: "row" },
      { name: "recovery", type: "int32", doc: "first row back at the peak" },
      { name: "fallBars", type: "int32", doc: "returns from peak to valley" },
      { name: "bars", type: "int32", doc: "returns from peak to recovery, or to the end" },
    ],
  },
  nulls: returnsNulls,
  costNs: 10,
  args: [
    ["table", tableArg],
    ["params", drawdownsParams.prefault({})],
  ],
  run: ({ table, params }) => {
    const found = returnSeries(table, params.columns).flatMap(({ name, values, rows }) =>
      drawdownsOf(values)
        .sort((a, b) => a.depth - b.depth || a.peak - b.peak)
        .slice(0, params.top)
        .map((drawdown) => ({ ...drawdown, name, rows, end: drawdown.recovery ?? values.length - 1 })),
    );
    const rowsOf = (place: "peak" | "valley" | "recovery"): (number | null)[] =>
      found.map(({ rows, [place]: bar }) => (bar === undefined || bar < 0 ? null : (rows[bar] as number)));
    const places = { peak: rowsOf("peak"), valley: rowsOf("valley"), recovery: rowsOf("recovery") };
    const days = params.date === undefined ? undefined : dayColumn(table, params.date);
    const dates = days
      ? Object.entries(places).map(([name, at]) => [
          `${name}Date`,
          vectorFromArray(
            at.map((row) => (row === null ? null : new Date((days[row] as number) * 86_400_000))),
            new DateDay(),
          ),
        ])
      : [];
    return new Table({
      column: textVector(found.map(({ name }) => name)),
      depth: float64Vector(Float64Array.from(found, ({ depth }) => depth)),
      ...Object.fromEntries(Object.entries(places).map(([name, at]) => [name, vectorFromArray(at, new Int32())])),
      fallBars: int32Vector(Int32Array.from(found, ({ peak, valley }) => valley - peak)),
      bars: int32Vector(Int32Array.from(found, ({ peak, end }) => end - peak)),
      ...Object.fromEntries(dates),
    });
  },
});
