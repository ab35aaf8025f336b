/**
 * The probability that the best of many trials in sample is below their median out of sample, by combinatorially
 * symmetric cross-validation: D. H. Bailey, J. M. Borwein, M. López de Prado, Q. J. Zhu, "The probability of backtest
 * overfitting", Journal of Computational Finance 20 (2017).
 *
 * The bars are cut into S blocks; each choice of S/2 of them is in sample once, the others out of sample. For the trial
 * that is best in sample, ω = its rank out of sample / (N + 1), λ = ln(ω / (1 - ω)); the probability is the share of
 * choices with λ ≤ 0.
 */
import { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { logarithm } from "../arithmetic/logarithm.js";
import { float64Vector, int32Vector, textVector } from "../columns/building.js";
import { defineKernel, tableArg } from "../kernel.js";
import { momentsOf } from "../statistics/moments.js";
import { fullSeries, returnsIn } from "../statistics/series.js";
import { binomial, choices } from "./combinations.js";
import { blocksOf } from "./ranges.js";

const choicesMax = 200_000;

const pboParams = z.strictObject({
  blocks: z
    .int()
    .min(2)
    .max(20)
    .default(16)
    .refine((count) => count % 2 === 0, { error: "expected an even number of blocks" })
    .describe("S, even: C(S, S/2) choices of blocks, 12,870 for 16."),
  statistic: z.enum(["sharpe", "mean"]).default("sharpe").describe("What ranks the trials, per bar."),
  columns: z.array(z.string()).min(2).optional().describe("Columns of trials; default: every column of numbers."),
  detail: z
    .enum(["summary", "choices"])
    .default("summary")
    .describe('"summary": one row; "choices": a row per choice of blocks.'),
});

interface Trial {
  readonly name: string;
  readonly values: Float64Array;
}

/** Tables without columns are slices of a grid without a combination. */
function trialsOf(given: readonly Table[], columns: readonly string[] | undefined, blocks: number): Trial[] {
  const tables = given.filter((table) => table.numCols > 0);
  const bars = tables[0]?.numRows ?? 0;
  const other = tables.findIndex((table) => table.numRows !== bars);
  if (other >= 0)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `validation.pbo: tables.${other} has ${tables[other]?.numRows} bars, the first table has ${bars}`,
    );
  const trials = tables.flatMap((table) => fullSeries(table, columns));
  if (trials.length < 2)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `validation.pbo: ${trials.length} trial; at least 2 are needed to rank them`,
    );
  if (bars < 2 * blocks)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `validation.pbo: params.blocks is ${blocks}: ${bars} bars are fewer than two in each block`,
    );
  return trials;
}

/** Count, mean and second moment of every trial in every block. */
class BlockMoments {
  readonly count: Float64Array;
  readonly #trials: number;
  readonly #mean: Float64Array;
  readonly #m2: Float64Array;
  readonly #statistic: "sharpe" | "mean";

  constructor(trials: readonly Trial[], blocks: number, statistic: "sharpe" | "mean") {
    const bounds = blocksOf((trials[0] as Trial).values.length, blocks);
    this.count = Float64Array.from(bounds, ({ from, to }) => to - from);
    this.#trials = trials.length;
    this.#mean = new Float64Array(blocks * trials.length);
    this.#m2 = new Float64Array(blocks * trials.length);
    this.#statistic = statistic;
    bounds.forEach(({ from, to }, block) => {
      trials.forEach(({ values }, trial) => {
        const { mean, m2 } = momentsOf(values.subarray(from, to));
        this.#mean[block * this.#trials + trial] = mean;
        this.#m2[block * this.#trials + trial] = m2;
      });
    });
  }

  /**
   * The statistic of every trial over these blocks (merged in their order: Chan, Golub, LeVeque). What never varies
   * ranks by its sign.
   */
  over(blocks: readonly number[], out: Float64Array): void {
    for (let trial = 0; trial < this.#trials; trial++) {
      let count = 0;
      let mean = 0;
      let m2 = 0;
      for (const block of blocks) {
        const at = block * this.#trials + trial;
        const more = this.count[block] as number;
        const delta = (this.#mean[at] as number) - mean;
        const total = count + more;
        mean += (delta * more) / total;
        m2 += (this.#m2[at] as number) + delta * delta * ((count * more) / total);
        count = total;
      }
      out[trial] = this.#statistic === "mean" || mean === 0 ? mean : mean / Math.sqrt(m2 / (count - 1));
    }
  }
}

interface Choice {
  readonly best: number;
  readonly inSample: number;
  readonly outOfSample: number;
  /** ω. */
  readonly relativeRank: number;
  /** λ. */
  readonly logit: number;
}

/** The first of the best; among equals out of sample the average rank. */
function choiceOf(inside: Float64Array, outside: Float64Array): Choice {
  let best = 0;
  for (let i = 1; i < inside.length; i++) if ((inside[i] as number) > (inside[best] as number)) best = i;
  const own = outside[best] as number;
  let below = 0;
  let equal = 0;
  for (const value of outside) {
    if (value < own) below++;
    else if (value === own) equal++;
  }
  const relativeRank = (below + (equal + 1) / 2) / (outside.length + 1);
  return {
    best,
    inSample: inside[best] as number,
    outOfSample: own,
    relativeRank,
    logit: logarithm(relativeRank / (1 - relativeRank)),
  };
}

/** Least squares of out-of-sample on in-sample statistics: how much of what is chosen is left. */
function degradation(all: readonly Choice[]): { slope: number; intercept: number } {
  const x = momentsOf(all.map(({ inSample }) => inSample));
  const y = momentsOf(all.map(({ outOfSample }) => outOfSample));
  const cross = all.reduce((sum, { inSample, outOfSample }) => sum + (inSample - x.mean) * (outOfSample - y.mean), 0);
  const slope = x.m2 > 0 ? cross / x.m2 : Number.NaN;
  return { slope, intercept: y.mean - slope * x.mean };
}

export const pbo = defineKernel({
  name: "validation.pbo",
  version: 1,
  causality: "summary",
  family: "Validation",
  doc: "Probability of backtest overfitting by combinatorially symmetric cross-validation (Bailey, Borwein, López de Prado and Zhu 2017) over columns of per-bar returns, one per trial; several tables stand side by side. With the slope of out-of-sample on in-sample performance and the chance that the chosen trial loses out of sample. A trial without variation ranks by the sign of its mean.",
  columns: {
    inputs: [returnsIn],
    outputs: [
      { name: "trials", type: "int32", doc: "N" },
      { name: "bars", type: "int32" },
      { name: "choices", type: "int32", doc: "C(S, S/2)" },
      { name: "pbo", type: "float64", doc: "share of choices with λ ≤ 0" },
      { name: "logitMean", type: "float64", doc: "mean λ" },
      { name: "slope", type: "float64", doc: "of out-of-sample on in-sample performance of the chosen" },
      { name: "intercept", type: "float64" },
      { name: "lossProbability", type: "float64", doc: "share of choices whose best trial is below 0 out of sample" },
    ],
  },
  nulls: "Null, NaN and infinite values are refused: every trial needs a return on every bar.",
  args: [
    ["tables", z.union([z.array(tableArg).min(1), tableArg])],
    ["params", pboParams.prefault({})],
  ],
  run: ({ tables, params }) => {
    const trials = trialsOf(tables instanceof Table ? [tables] : tables, params.columns, params.blocks);
    const moments = new BlockMoments(trials, params.blocks, params.statistic);
    const inside = new Float64Array(trials.length);
    const outside = new Float64Array(trials.length);
    const half = params.blocks / 2;
    const every = Array.from({ length: params.blocks }, (_, block) => block);
    const all = choices(params.blocks, half, choicesMax).map((chosen) => {
      moments.over(chosen, inside);
      moments.over(
        every.filter((block) => !chosen.includes(block)),
        outside,
      );
      return choiceOf(inside, outside);
    });
    if (params.detail === "choices")
      return new Table({
        best: textVector(all.map(({ best }) => (trials[best] as Trial).name)),
        inSample: float64Vector(Float64Array.from(all, ({ inSample }) => inSample)),
        outOfSample: float64Vector(Float64Array.from(all, ({ outOfSample }) => outOfSample)),
        relativeRank: float64Vector(Float64Array.from(all, ({ relativeRank }) => relativeRank)),
        logit: float64Vector(Float64Array.from(all, ({ logit }) => logit)),
      });
    const { slope, intercept } = degradation(all);
    const share = (test: (choice: Choice) => boolean): number => all.filter(test).length / all.length;
    const one = (value: number) => float64Vector(Float64Array.of(value));
    const whole = (value: number) => int32Vector(Int32Array.of(value));
    return new Table({
      trials: whole(trials.length),
      bars: whole((trials[0] as Trial).values.length),
      choices: whole(binomial(params.blocks, half)),
      pbo: one(share(({ logit }) => logit <= 0)),
      logitMean: one(momentsOf(all.map(({ logit }) => logit)).mean),
      slope: one(slope),
      intercept: one(intercept),
      lossProbability: one(share(({ outOfSample }) => outOfSample < 0)),
    });
  },
});
