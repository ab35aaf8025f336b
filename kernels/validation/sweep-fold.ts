/**
 * One split of a validation over a strategy family: every combination of a grid on the training ranges, the best of
 * them on the test ranges. Parameters are chosen by nothing but training bars.
 *
 * Indicators are computed over all bars; they look back only, so a test bar sees earlier bars (as it would on the day)
 * and never later ones. A training bar behind a test range may look back into it: that is what the embargo is for. Each
 * range starts in cash, with the entry signal of the close before it, fills at its first open, and what is still held
 * at its end keeps its market value.
 */
import { Table, type Vector } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { dayVector, float64Vector, int32Vector, textVector } from "../columns/building.js";
import { defineKernel, tableArg } from "../kernel.js";
import { deflatedSharpe, expectedMaxSharpe, probabilisticSharpe } from "../statistics/deflated-sharpe.js";
import { kurtosisOf, mergeMoments, momentsOf, skewnessOf, varianceOf } from "../statistics/moments.js";
import { sharpeRatio } from "../statistics/returns.js";
import { type Bars, barsOf, priceColumns, sweepSettings } from "../sweep/bars.js";
import { type Family, familyNames, familyOf, type Rule, type Share, shareOf } from "../sweep/families.js";
import { type Account, type Outcome, type Recorder, simulate } from "../sweep/simulate.js";
import { combinationsOf } from "../sweep/sweep.js";
import { type BarRange, type Split, splitIn, type TestRange } from "./ranges.js";

const settings = sweepSettings.omit({ inSampleEnd: true });

export const foldParams = z.strictObject({
  family: z.enum(familyNames).describe("Strategy family, as the sweeps have them."),
  grid: z
    .record(z.string(), z.array(z.number().min(0).max(100_000)).min(1).max(10_000))
    .describe("Values of every parameter of the family; all combinations are tried."),
  settings: settings.prefault({}).describe("Fees, slippage and periods per year, as of the sweeps."),
  tradesMin: z
    .int()
    .min(0)
    .default(1)
    .describe("Combinations with fewer trades in training count as trials but are not chosen."),
});
export type FoldParams = z.output<typeof foldParams>;

const fault = (why: string, kernel = "validation.sweep_fold"): VolleyError =>
  new VolleyError("INVALID_ARGUMENT", `${kernel}: ${why}`);

/**
 * The combinations that the family allows, in order of their parameters. Throws INVALID_ARGUMENT that names the
 * parameter.
 */
export function gridOf(kernel: string, family: Family, grid: FoldParams["grid"]): number[][] {
  const has = `${family.name} has ${family.parameters.join(", ") || "no parameters"}`;
  for (const name of family.parameters) if (!grid[name]) throw fault(`params.grid.${name} is missing: ${has}`, kernel);
  for (const name of Object.keys(grid))
    if (!family.parameters.includes(name)) throw fault(`params.grid.${name} is no parameter: ${has}`, kernel);
  const ascending = Object.fromEntries(
    Object.entries(grid).map(([name, values]) => [name, [...values].sort((a, b) => a - b)]),
  );
  return combinationsOf(family, ascending);
}

/** In cash, having seen the close before the range. */
const accountBefore = ({ enter: [rising, above] }: Rule, bar: number): Account => ({
  size: 0,
  value: 1,
  wantsLong: (rising[bar - 1] as number) > (above[bar - 1] as number),
});

const together = (a: Outcome, b: Outcome): Outcome => ({
  moments: mergeMoments(a.moments, b.moments),
  growth: a.growth * b.growth,
  maxDrawdown: Math.min(a.maxDrawdown, b.maxDrawdown),
  trades: a.trades + b.trades,
});

/** Ranges one after the other, each from cash; the deepest fall is that of one range. */
export function overRanges(
  bars: Bars,
  rule: Rule,
  costs: FoldParams["settings"],
  ranges: readonly BarRange[],
  recorder?: Recorder,
): Outcome {
  const simulated = { ...costs, inSampleEnd: "" };
  return ranges
    .map(({ from, to }) => {
      const start = Math.max(from, 1);
      return simulate(bars, rule, simulated, start, to, accountBefore(rule, start), recorder);
    })
    .reduce(together);
}

interface Chosen {
  readonly parameters: readonly number[];
  readonly train: Outcome;
  readonly trials: number;
  /** Variance of the trials' Sharpe ratios per bar. */
  readonly variance: number;
}

function choose(bars: Bars, { train }: Split, split: number, params: FoldParams, share: Share): Chosen {
  const family = familyOf(params.family);
  const combinations = gridOf("validation.sweep_fold", family, params.grid);
  if (combinations.length === 0)
    throw fault(`params.grid has no combination that ${family.name} allows: ${family.doc}`);
  const outcomes = combinations.map((parameters) =>
    overRanges(bars, family.rule(bars, parameters, share), params.settings, train),
  );
  const sharpes = outcomes.map(({ moments }) => sharpeRatio(moments, 1));
  let best = -1;
  sharpes.forEach((sharpe, i) => {
    if (Number.isNaN(sharpe) || (outcomes[i] as Outcome).trades < params.tradesMin) return;
    if (best < 0 || sharpe > (sharpes[best] as number)) best = i;
  });
  if (best < 0)
    throw fault(
      `none of the ${combinations.length} combinations of ${params.family} has ${params.tradesMin} trades in the training bars of split ${split} (params.tradesMin); widen the grid or the training window`,
    );
  const traded = sharpes.filter((sharpe) => !Number.isNaN(sharpe));
  return {
    parameters: combinations[best] as number[],
    train: outcomes[best] as Outcome,
    trials: combinations.length,
    variance: traded.length < 2 ? 0 : varianceOf(momentsOf(traded)),
  };
}

/** Returns of the test ranges, bar by bar. Bar 0 has none. */
function testReturns(
  bars: Bars,
  rule: Rule,
  costs: FoldParams["settings"],
  tests: readonly TestRange[],
  split: number,
): { table: Table; outcome: Outcome } {
  const rows: { group: number; path: number; bar: number; value: number; long: boolean }[] = [];
  let range: TestRange | undefined;
  let before = 1;
  const recorder: Recorder = {
    value: (bar, value, long) => {
      rows.push({ group: range?.group ?? 0, path: range?.path ?? 0, bar, value: value / before - 1, long });
      before = value;
    },
    fill: () => undefined,
  };
  const outcomes = tests.map((test) => {
    range = test;
    before = 1;
    return overRanges(bars, rule, costs, [test], recorder);
  });
  const whole = (pick: (row: (typeof rows)[number]) => number): Vector => int32Vector(Int32Array.from(rows, pick));
  const table = new Table({
    split: whole(() => split),
    group: whole(({ group }) => group),
    path: whole(({ path }) => path),
    bar: whole(({ bar }) => bar),
    date: dayVector(Int32Array.from(rows, ({ bar }) => bars.days[bar] as number)),
    return: float64Vector(Float64Array.from(rows, ({ value }) => value)),
    held: whole(({ long }) => Number(long)),
  });
  return { table, outcome: outcomes.reduce(together) };
}

/** One row: what was chosen in the split, and what it came to. */
function choiceTable(split: number, family: Family, chosen: Chosen, test: Outcome, periodsPerYear: number): Table {
  const { train, trials, variance, parameters } = chosen;
  const { moments } = train;
  const estimate = {
    sharpe: sharpeRatio(moments, 1),
    observations: moments.count,
    skewness: skewnessOf(moments),
    kurtosis: kurtosisOf(moments),
  };
  const one = (value: number): Vector => float64Vector(Float64Array.of(value));
  const whole = (value: number): Vector => int32Vector(Int32Array.of(value));
  return new Table({
    split: whole(split),
    parameters: textVector([family.parameters.map((name, i) => `${name} ${parameters[i]}`).join(", ")]),
    ...Object.fromEntries(family.parameters.map((name, i) => [name, one(parameters[i] as number)])),
    trials: whole(trials),
    barsTrain: whole(moments.count),
    sharpeTrain: one(sharpeRatio(moments, periodsPerYear)),
    tradesTrain: whole(train.trades),
    luckSharpe: one(expectedMaxSharpe(trials, variance) * Math.sqrt(periodsPerYear)),
    probabilisticSharpe: one(probabilisticSharpe(estimate)),
    deflatedSharpe: one(deflatedSharpe(estimate, trials, variance)),
    barsTest: whole(test.moments.count),
    sharpeTest: one(sharpeRatio(test.moments, periodsPerYear)),
    totalReturnTest: one(test.growth - 1),
    maxDrawdownTest: one(test.maxDrawdown),
    tradesTest: whole(test.trades),
  });
}

export const sweepFold = defineKernel({
  name: "validation.sweep_fold",
  version: 1,
  causality: "causal",
  family: "Validation",
  doc: "One split of a validation: tries every combination of a grid of a strategy family on the training ranges, takes the best Sharpe ratio (ties: the smaller parameters) and runs it on the test ranges. Returns { choice, returns }: one row with parameters, true trial count, Sharpe ratios of both sides and the deflated one; and the test bars' returns. It reads the training ranges, and of the test ranges no bar after the row's own: with walk-forward splits nothing after a bar.",
  columns: {
    inputs: priceColumns,
    outputs: [
      { name: "split", type: "int32" },
      { name: "group", type: "int32" },
      { name: "path", type: "int32" },
      { name: "bar", type: "int32" },
      { name: "date", type: "date" },
      { name: "return", type: "float64" },
      { name: "held", type: "int32", doc: "1 if the bar's close is held" },
    ],
  },
  lookback: () => Number.POSITIVE_INFINITY,
  lag: 0,
  nulls: "Null and prices that are not positive are refused.",
  costNs: 5,
  args: [
    ["prices", tableArg],
    ["splits", tableArg],
    ["split", z.int().min(0)],
    ["params", foldParams],
  ],
  run: ({ prices, splits, split, params }) => {
    const bars = barsOf(prices);
    const ranges = splitIn(splits, split, bars.days.length);
    const tooShort = [...ranges.train, ...ranges.test].find(({ to }) => to < 2);
    if (tooShort)
      throw fault(`split ${split} has the range of bar 0 alone, which has no return; make the windows longer`);
    const share = shareOf();
    const family = familyOf(params.family);
    const chosen = choose(bars, ranges, split, params, share);
    const { table, outcome } = testReturns(
      bars,
      family.rule(bars, chosen.parameters, share),
      params.settings,
      ranges.test,
      split,
    );
    return { choice: choiceTable(split, family, chosen, outcome, params.settings.periodsPerYear), returns: table };
  },
});
