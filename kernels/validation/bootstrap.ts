/**
 * The stationary bootstrap: D. N. Politis, J. P. Romano, "The stationary bootstrap", Journal of the American
 * Statistical Association 89 (1994). Blocks of geometric length with the given mean, on a circle of bars, keep the
 * dependence between neighbouring bars.
 *
 * V3  Replicate r draws from stream r of the seed (philox.ts) and from nothing else: any cut of the replicates into
 * tasks gives the same
 *     rows, bit for bit.
 */
import { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { float64Vector, int32Vector, textVector } from "../columns/building.js";
import { columnOf, float64Column, optionalFloat64Column } from "../columns/reading.js";
import { defineKernel, tableArg } from "../kernel.js";
import { momentsOf, varianceOf } from "../statistics/moments.js";
import { quantileOf, sorted } from "../statistics/quantile.js";
import {
  orderStatistics,
  type ReturnStatistic,
  returnStatistics,
  statisticsOfReturns,
} from "../statistics/returns-kernels.js";
import { columnsOption, fullSeries, periodsOption, returnsIn } from "../statistics/series.js";
import { UniformPairs } from "./philox.js";

const statisticName = z.enum(Object.keys(returnStatistics) as [ReturnStatistic, ...ReturnStatistic[]]);

const bootstrapParams = z.strictObject({
  columns: columnsOption,
  seed: z.int().min(0).describe("The same seed gives the same replicates, whatever the cluster."),
  first: z.int().min(0).max(2_000_000_000).default(0).describe("Number of the first replicate of this task."),
  replicates: z.int().min(1).max(1_000_000).default(1_000).describe("Replicates of this task."),
  meanBlock: z
    .number()
    .min(1)
    .max(1e9)
    .default(10)
    .describe("Mean length of a block in bars, 1/p; 1 draws every bar by itself (Efron's bootstrap)."),
  statistics: z
    .array(statisticName)
    .min(1)
    .default(["mean", "sharpe", "cagr", "maxDrawdown"])
    .describe("Statistics of each replicate, as stats.returns."),
  periodsPerYear: periodsOption,
});

/**
 * Bars of one replicate, into `rows`: step 0 draws a bar; later steps draw anew with probability 1 / meanBlock and else
 * go on to the next bar, the first after the last. Step t draws pair t of the stream: u < p decides, floor(v · n) is
 * the bar.
 */
export function resample(seed: number, replicate: number, meanBlock: number, rows: Int32Array): void {
  const bars = rows.length;
  const pairs = new UniformPairs(seed, replicate);
  const restart = 1 / meanBlock;
  let row = -1;
  for (let step = 0; step < bars; step++) {
    pairs.draw(step);
    if (step === 0 || pairs.first < restart) row = Math.floor(pairs.second * bars);
    else row = row + 1 === bars ? 0 : row + 1;
    rows[step] = row;
  }
}

export const bootstrap = defineKernel({
  name: "validation.bootstrap",
  version: 1,
  causality: "summary",
  family: "Validation",
  doc: "Stationary bootstrap (Politis and Romano 1994) of return statistics: a row per replicate and column. In one replicate all columns are drawn on the same bars, which keeps their correlation. Replicates have numbers, and each has its own stream of the seed (Philox4x32-10), so that tasks with other ranges of replicates give the same rows bit for bit.",
  columns: {
    inputs: [returnsIn],
    outputs: [
      { name: "replicate", type: "int32" },
      { name: "column", type: "text" },
      ...Object.entries(returnStatistics).map(([name, doc]) => ({
        name,
        type: "float64",
        doc: `if asked for: ${doc}`,
      })),
    ],
  },
  nulls: "Null, NaN and infinite values are refused: a gap would join bars that are not neighbours.",
  args: [
    ["table", tableArg],
    ["params", bootstrapParams],
  ],
  run: ({ table, params }) => {
    const series = fullSeries(table, params.columns);
    const bars = table.numRows;
    if (bars < 2)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `validation.bootstrap: a table of ${bars} rows; at least 2 bars are needed`,
      );
    const settings = {
      columns: undefined,
      periodsPerYear: params.periodsPerYear,
      riskFree: 0,
      minimumAcceptable: 0,
      tail: 0.05,
    };
    const ordered = params.statistics.some((name) => orderStatistics.has(name));
    const count = params.replicates * series.length;
    const values = params.statistics.map(() => new Float64Array(count));
    const rows = new Int32Array(bars);
    const drawn = new Float64Array(bars);
    for (let r = 0; r < params.replicates; r++) {
      resample(params.seed, params.first + r, params.meanBlock, rows);
      series.forEach((column, c) => {
        for (let i = 0; i < bars; i++) drawn[i] = column.values[rows[i] as number] as number;
        const outcome = statisticsOfReturns(drawn, settings, ordered);
        params.statistics.forEach((name, s) => {
          (values[s] as Float64Array)[r * series.length + c] = outcome[name];
        });
      });
    }
    return new Table({
      replicate: int32Vector(
        Int32Array.from({ length: count }, (_, i) => params.first + Math.floor(i / series.length)),
      ),
      column: textVector(Array.from({ length: count }, (_, i) => (series[i % series.length] as { name: string }).name)),
      ...Object.fromEntries(params.statistics.map((name, s) => [name, float64Vector(values[s] as Float64Array)])),
    });
  },
});

const intervalParams = z.strictObject({
  confidence: z.number().gt(0).lt(1).default(0.95).describe("Of the two-sided percentile interval."),
});

export const bootstrapInterval = defineKernel({
  name: "validation.bootstrap_interval",
  version: 1,
  causality: "summary",
  family: "Validation",
  doc: "Percentile intervals from all tables of a bootstrap, a row per column and statistic; the order of the tables does not matter, and a replicate that is there twice is refused. Replicates in which a statistic is null are left out and counted.",
  columns: {
    inputs: [
      { name: "replicate", type: "int32" },
      { name: "column", type: "text" },
    ],
    outputs: [
      { name: "column", type: "text" },
      { name: "statistic", type: "text" },
      { name: "replicates", type: "int32" },
      { name: "undefined", type: "int32", doc: "replicates in which it is null" },
      { name: "mean", type: "float64" },
      { name: "standardError", type: "float64", doc: "std (ddof 1) over the replicates" },
      { name: "lower", type: "float64" },
      { name: "median", type: "float64" },
      { name: "upper", type: "float64" },
      { name: "belowZero", type: "float64", doc: "share of replicates below 0" },
    ],
  },
  nulls: "Null is left out.",
  args: [
    ["tables", z.array(tableArg).min(1)],
    ["params", intervalParams.prefault({})],
  ],
  run: ({ tables, params }) => {
    const rows = intervalRows(tables, (1 - params.confidence) / 2);
    const numbers = (pick: (row: IntervalRow) => number) => float64Vector(Float64Array.from(rows, pick));
    const whole = (pick: (row: IntervalRow) => number) => int32Vector(Int32Array.from(rows, pick));
    return new Table({
      column: textVector(rows.map(({ column }) => column)),
      statistic: textVector(rows.map(({ statistic }) => statistic)),
      replicates: whole(({ all }) => all),
      undefined: whole(({ all, values }) => all - values.length),
      mean: numbers(({ values }) => (values.length > 0 ? momentsOf(values).mean : Number.NaN)),
      standardError: numbers(({ values }) => Math.sqrt(varianceOf(momentsOf(values)))),
      lower: numbers(({ values, tail }) => quantileOf(values, tail)),
      median: numbers(({ values }) => quantileOf(values, 0.5)),
      upper: numbers(({ values, tail }) => quantileOf(values, 1 - tail)),
      belowZero: numbers(({ values }) => values.filter((value) => value < 0).length / values.length),
    });
  },
});

interface IntervalRow {
  readonly column: string;
  readonly statistic: string;
  readonly all: number;
  readonly tail: number;
  /** Ascending. */
  readonly values: Float64Array;
}

/** Values are sorted before they are summed, so that the sums do not depend on how the replicates were cut. */
function intervalRows(tables: readonly Table[], tail: number): IntervalRow[] {
  const first = tables[0] as Table;
  const statistics = first.schema.fields.map(({ name }) => name).filter((name) => name in returnStatistics);
  const groups = new Map<string, { readonly seen: Set<number>; readonly values: number[][] }>();
  for (const table of tables) {
    const replicate = float64Column(table, "replicate");
    const column = columnOf(table, "column", "names of columns");
    const values = statistics.map((name) => optionalFloat64Column(table, name));
    for (let row = 0; row < table.numRows; row++) {
      const name = String(column.get(row));
      const group = groups.get(name) ?? { seen: new Set<number>(), values: statistics.map(() => []) };
      groups.set(name, group);
      const number = replicate[row] as number;
      if (group.seen.has(number))
        throw new VolleyError(
          "INVALID_ARGUMENT",
          `validation.bootstrap_interval: replicate ${number} of column ${JSON.stringify(name)} is there twice; give every task its own range (first)`,
        );
      group.seen.add(number);
      group.values.forEach((list, s) => list.push((values[s] as Float64Array)[row] as number));
    }
  }
  return [...groups.keys()].sort().flatMap((column) => {
    const { seen, values } = groups.get(column) as { seen: Set<number>; values: number[][] };
    return statistics.map((statistic, s) => ({
      column,
      statistic,
      all: seen.size,
      tail,
      values: sorted(Float64Array.from((values[s] as number[]).filter((value) => !Number.isNaN(value)))),
    }));
  });
}
