/**
 * What the splits came to together: the choices, each path's account over all its test bars, and the report over all
 * paths.
 */
import { RecordBatch, Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { dayVector, float64Vector, int32Vector } from "../columns/building.js";
import { dayColumn, float64Column, optionalFloat64Column } from "../columns/reading.js";
import { defineKernel, tableArg } from "../kernel.js";
import { momentsOf, varianceOf } from "../statistics/moments.js";
import { quantileOf, sorted } from "../statistics/quantile.js";

const folds = z.array(z.looseObject({ choice: tableArg, returns: tableArg })).min(1);

export const validationChoices = defineKernel({
  name: "validation.choices",
  version: 1,
  causality: "summary",
  family: "Validation",
  doc: "What every split chose and what that came to, a row per split, from all results of validation.sweep_fold.",
  args: [["folds", folds]],
  run: ({ folds }) => {
    const { schema } = (folds[0] as { choice: Table }).choice;
    return new Table(
      schema,
      folds.flatMap(({ choice }) => choice.batches.map((batch) => new RecordBatch(schema, batch.data))),
    );
  },
});

interface Piece {
  readonly table: Table;
  readonly row: number;
  readonly bar: number;
}

export const validationPath = defineKernel({
  name: "validation.path",
  version: 1,
  causality: "causal",
  family: "Validation",
  doc: "One path of a validation, from all results of validation.sweep_fold: the out-of-sample returns of its test ranges in the order of the bars, and the account (it starts with 1) that compounds them. A bar that is there twice is refused.",
  columns: {
    inputs: [],
    outputs: [
      { name: "path", type: "int32" },
      { name: "split", type: "int32", doc: "whose choice of parameters traded the bar" },
      { name: "bar", type: "int32" },
      { name: "date", type: "date" },
      { name: "return", type: "float64" },
      { name: "equity", type: "float64" },
      { name: "drawdown", type: "float64", doc: "fall from the peak so far, ≤ 0" },
    ],
  },
  lookback: () => Number.POSITIVE_INFINITY,
  lag: 0,
  args: [
    ["folds", folds],
    ["path", z.int().min(0)],
  ],
  run: ({ folds, path }) => {
    const pieces = folds.flatMap(({ returns: table }): Piece[] => {
      const [paths, bars] = [float64Column(table, "path"), float64Column(table, "bar")];
      return [...paths.keys()]
        .filter((row) => paths[row] === path)
        .map((row) => ({ table, row, bar: bars[row] as number }));
    });
    if (pieces.length === 0)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `validation.path: path is ${path}: none of the ${folds.length} splits tests a bar of it`,
      );
    pieces.sort((a, b) => a.bar - b.bar);
    const twice = pieces.findIndex(({ bar }, i) => bar === pieces[i - 1]?.bar);
    if (twice >= 0)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `validation.path: bar ${pieces[twice]?.bar} is twice in path ${path}; a path tests every bar once`,
      );
    return pathTable(pieces, path);
  },
});

function pathTable(pieces: readonly Piece[], path: number): Table {
  const read = <T>(pick: (table: Table) => T): ((piece: Piece) => T) => {
    const columns = new Map<Table, T>();
    return ({ table }) => {
      const found = columns.get(table) ?? pick(table);
      columns.set(table, found);
      return found;
    };
  };
  const [days, splits, values] = [
    read((table) => dayColumn(table, "date")),
    read((table) => float64Column(table, "split")),
    read((table) => float64Column(table, "return")),
  ];
  const returns = Float64Array.from(pieces, (piece) => values(piece)[piece.row] as number);
  const equity = new Float64Array(returns.length);
  const drawdown = new Float64Array(returns.length);
  let value = 1;
  let peak = 1;
  returns.forEach((r, i) => {
    value *= 1 + r;
    peak = Math.max(peak, value);
    equity[i] = value;
    drawdown[i] = value / peak - 1;
  });
  return new Table({
    path: int32Vector(new Int32Array(pieces.length).fill(path)),
    split: int32Vector(Int32Array.from(pieces, (piece) => splits(piece)[piece.row] as number)),
    bar: int32Vector(Int32Array.from(pieces, ({ bar }) => bar)),
    date: dayVector(Int32Array.from(pieces, (piece) => days(piece)[piece.row] as number)),
    return: float64Vector(returns),
    equity: float64Vector(equity),
    drawdown: float64Vector(drawdown),
  });
}

export const validationReport = defineKernel({
  name: "validation.report",
  version: 1,
  causality: "summary",
  family: "Validation",
  doc: "A validation in one row: the spread of the out-of-sample Sharpe ratios over the paths (from stats.returns of each), how much of the training Sharpe ratio is left of them, and how many combinations the cluster ran to choose.",
  columns: {
    inputs: [],
    outputs: [
      { name: "splits", type: "int32" },
      { name: "paths", type: "int32" },
      { name: "trials", type: "float64", doc: "combinations run in training, all splits together" },
      { name: "bars", type: "int32", doc: "out-of-sample bars of a path" },
      { name: "sharpeMean", type: "float64", doc: "over the paths, annual, as all Sharpe ratios here" },
      { name: "sharpeStd", type: "float64", doc: "ddof 1; null for one path" },
      { name: "sharpeMin", type: "float64" },
      { name: "sharpeMedian", type: "float64" },
      { name: "sharpeMax", type: "float64" },
      { name: "cagrMedian", type: "float64" },
      { name: "maxDrawdownWorst", type: "float64" },
      { name: "lossShare", type: "float64", doc: "share of paths that lost" },
      { name: "sharpeTrainMean", type: "float64", doc: "of what was chosen, in training, over the splits" },
      { name: "efficiency", type: "float64", doc: "sharpeMean / sharpeTrainMean; null if the latter is not positive" },
      { name: "deflatedSharpeMedian", type: "float64", doc: "of the splits' choices, in training" },
    ],
  },
  nulls: "A path without a Sharpe ratio (it never traded) is left out of the figures over paths, but counts as a path.",
  args: [
    ["statistics", z.array(tableArg).min(1)],
    ["choices", tableArg],
  ],
  run: ({ statistics, choices }) => {
    const over = (name: string): Float64Array =>
      sorted(Float64Array.from(statistics.flatMap((table) => present(table, name))));
    const sharpes = over("sharpe");
    const sharpe = momentsOf(sharpes);
    const train = momentsOf(present(choices, "sharpeTrain"));
    const returns = over("totalReturn");
    const sharpeMean = sharpe.count > 0 ? sharpe.mean : Number.NaN;
    const sum = float64Column(choices, "trials").reduce((total, trials) => total + trials, 0);
    const one = (value: number) => float64Vector(Float64Array.of(value));
    const whole = (value: number) => int32Vector(Int32Array.of(value));
    return new Table({
      splits: whole(choices.numRows),
      paths: whole(statistics.length),
      trials: one(sum),
      bars: whole(Math.max(...statistics.map((table) => float64Column(table, "bars")[0] ?? 0))),
      sharpeMean: one(sharpeMean),
      sharpeStd: one(Math.sqrt(varianceOf(sharpe))),
      sharpeMin: one(sharpes[0] ?? Number.NaN),
      sharpeMedian: one(quantileOf(sharpes, 0.5)),
      sharpeMax: one(sharpes.at(-1) ?? Number.NaN),
      cagrMedian: one(quantileOf(over("cagr"), 0.5)),
      maxDrawdownWorst: one(over("maxDrawdown")[0] ?? Number.NaN),
      lossShare: one(returns.filter((value) => value < 0).length / statistics.length),
      sharpeTrainMean: one(train.count > 0 ? train.mean : Number.NaN),
      efficiency: one(train.mean > 0 ? sharpeMean / train.mean : Number.NaN),
      deflatedSharpeMedian: one(quantileOf(sorted(Float64Array.from(present(choices, "deflatedSharpe"))), 0.5)),
    });
  },
});

const present = (table: Table, name: string): number[] =>
  [...optionalFloat64Column(table, name)].filter((value) => !Number.isNaN(value));
