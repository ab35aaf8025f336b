/** Statistics and splits against empyrical, scipy, vectorbt, scikit-learn, skfolio and numpy, from bench/peers/statistics_fixtures.py; for the tests. */
import type { Table } from "apache-arrow";
import { float64Column, optionalFloat64Column } from "../columns.js";
import { type ConformanceRow, Differences, unexplainedRelMax } from "../conformance.js";
import { conformanceColumns, type Gaps } from "../features/conformance-bars.js";
import { readOracle, realPrices } from "../sweep/real-prices.js";
import { bootstrap } from "../validation/bootstrap.js";
import { pbo } from "../validation/pbo.js";
import { cpcv, purgedKfold } from "../validation/purged.js";
import { walkForward } from "../validation/walk-forward.js";
import { statsReturns } from "./returns-kernels.js";
import { statsSharpeDeflated, statsSharpeProbabilistic } from "./sharpe-kernels.js";
import { readStatisticsOracle, rowsOf, tableOf } from "./statistics-oracle.js";

const oracle = readStatisticsOracle();
type Values = readonly (number | null)[];

/** As long_series of the script makes them. */
function longSeries(): Record<string, Values> {
  const close = float64Column(realPrices(), "close");
  const walk = (gaps: Gaps): Values => Array.from(conformanceColumns(1, gaps).growth ?? [], (x) => (Number.isNaN(x) ? null : x - 1));
  return { walk: walk("none"), walkGaps: walk("some"), sp500: Array.from(close.subarray(1), (x, i) => x / (close[i] as number) - 1) };
}

const missing = (value: unknown): number => (typeof value === "number" ? value : Number.NaN);

function rowOf(kernel: string, option: string, peer: string, peerOption: string, differences: Differences, note?: string): ConformanceRow {
  const result = differences.result();
  const version = oracle.made[peer] ?? "";
  const explained = result.nullsDiffer > 0 || result.maxRel > unexplainedRelMax ? note : undefined;
  return { kernel, option, peer: `${peer} ${version}`.trim(), peerOption, ...result, ...(explained === undefined ? {} : { note: explained }) };
}

/** Our output, the peer and its call. */
const statistics: readonly (readonly [string, string, string])[] = [
  ["totalReturn", "empyrical-reloaded", "cum_returns_final"],
  ["cagr", "empyrical-reloaded", "cagr(annualization=252)"],
  ["volatility", "empyrical-reloaded", "annual_volatility(annualization=252)"],
  ["sharpe", "empyrical-reloaded", "sharpe_ratio(annualization=252)"],
  ["sortino", "empyrical-reloaded", "sortino_ratio(annualization=252)"],
  ["calmar", "empyrical-reloaded", "calmar_ratio(annualization=252)"],
  ["maxDrawdown", "empyrical-reloaded", "max_drawdown"],
  ["var", "empyrical-reloaded", "value_at_risk(cutoff=0.05)"],
  ["cvar", "empyrical-reloaded", "conditional_value_at_risk(cutoff=0.05)"],
  ["skewness", "scipy", "stats.skew"],
  ["kurtosis", "scipy", "stats.kurtosis(fisher=False)"],
  ["mean", "pandas", "Series.mean"],
  ["hitRate", "pandas", "(r > 0).sum() / (r != 0).sum()"],
  ["profitFactor", "pandas", "r[r > 0].sum() / -r[r < 0].sum()"],
  ["totalReturn", "vectorbt", "returns.total"],
  ["cagr", "vectorbt", 'returns.annualized(year_freq="252D")'],
  ["volatility", "vectorbt", "returns.annualized_volatility"],
  ["sharpe", "vectorbt", "returns.sharpe_ratio"],
  ["sortino", "vectorbt", "returns.sortino_ratio"],
  ["calmar", "vectorbt", "returns.calmar_ratio"],
  ["maxDrawdown", "vectorbt", "returns.max_drawdown"],
  ["var", "vectorbt", "returns.value_at_risk"],
  ["cvar", "vectorbt", "returns.cond_value_at_risk"],
];

const anchored =
  "vectorbt's returns accessor does not count a fall from the starting value: returns [-0.5, 0] have no drawdown there, and -50 % here " +
  "(as empyrical). LEAN's Sharpe ratio is of annual figures and backtesting.py takes geometric means: neither is ours.";
const tiny = "Of returns of 1e-9, 1 + r keeps seven digits; the order in which they are multiplied shows in the eighth.";
const notes: Readonly<Record<string, string>> = {
  "maxDrawdown vectorbt": anchored,
  "calmar vectorbt": anchored,
  "maxDrawdown empyrical-reloaded": tiny,
  "calmar empyrical-reloaded": tiny,
};

function returnRows(): ConformanceRow[] {
  const series: Record<string, Values> = {
    ...Object.fromEntries(Object.entries(oracle.series).map(([name, { returns }]) => [name, returns])),
    ...longSeries(),
  };
  const ours = new Map(Object.entries(series).map(([name, r]) => [name, rowsOf(statsReturns.run(tableOf({ r }), { periodsPerYear: 252 }) as Table)[0]]));
  return statistics.map(([key, peer, call]) => {
    const differences = new Differences();
    const theirs = peer === "vectorbt" ? oracle.vectorbt : { ...oracle.series, ...oracle.long };
    const names = Object.keys(series);
    differences.add(
      names.map((name) => missing(ours.get(name)?.[key])),
      names.map((name) => missing((theirs[name] as Readonly<Record<string, unknown>>)[key])),
      true,
    );
    return rowOf("stats.returns", `→ ${key}`, peer, call, differences, notes[`${key} ${peer}`]);
  });
}

function sharpeRows(): ConformanceRow[] {
  const probabilistic = new Differences();
  const all: Record<string, Values> = { ...Object.fromEntries(Object.entries(oracle.series).map(([name, { returns }]) => [name, returns])), ...longSeries() };
  const theirs = { ...oracle.series, ...oracle.long };
  probabilistic.add(
    Object.values(all).map((r) => missing(rowsOf(statsSharpeProbabilistic.run(tableOf({ r }), { benchmark: 0.01 }) as Table)[0]?.probability)),
    Object.keys(all).map((name) => missing(theirs[name]?.probabilistic)),
    true,
  );
  const luck = new Differences();
  const cases = readOracle().sharpe;
  luck.add(
    cases.map(({ trials, variance }) => missing(rowsOf(statsSharpeDeflated.run(tableOf({ r: [0.1, 0] }), null, { trials, variance }) as Table)[0]?.luckSharpe)),
    cases.map(({ expectedMax }) => expectedMax),
    true,
  );
  return [
    rowOf("stats.sharpe_probabilistic", "benchmark 0.01", "scipy", "stats.norm.cdf, skew, kurtosis in the formula", probabilistic),
    rowOf("stats.sharpe_deflated", "→ luckSharpe", "scipy", "stats.norm.ppf in the formula", luck),
  ];
}

/** Bounds of all ranges in order; a peer's ranges count one by one. */
function boundsOf(table: Table, set: string): number[] {
  const which = rowsOf(table).filter((row) => row.set === set);
  return which.flatMap(({ from, to }) => [from as number, to as number]);
}

function splitRows(): ConformanceRow[] {
  const bars = (count: number): Table => tableOf({ r: new Array<number>(count).fill(0) });
  const [walk, folds, combined] = [new Differences(), new Differences(), new Differences()];
  for (const { bars: count, splits, test, purge, train, found } of oracle.walkForward) {
    if (train !== null) continue;
    const table = walkForward.run(bars(count), { mode: "expanding", splits, purge, ...(test === null ? {} : { test }) }) as Table;
    walk.add(
      boundsOf(table, "train"),
      found.flatMap(([ranges]) => ranges.flat()),
      true,
    );
    walk.add(
      boundsOf(table, "test"),
      found.flatMap(([, ranges]) => ranges.flat()),
      true,
    );
  }
  for (const { bars: count, splits, found } of oracle.kfold) {
    const table = purgedKfold.run(bars(count), { splits }) as Table;
    folds.add(
      boundsOf(table, "train"),
      found.flatMap(([ranges]) => ranges.flat()),
      true,
    );
    folds.add(
      boundsOf(table, "test"),
      found.flatMap(([, ranges]) => ranges.flat()),
      true,
    );
  }
  for (const { bars: count, groups, testGroups, purge, embargo, found, pathIds } of oracle.cpcv) {
    const table = cpcv.run(bars(count), { groups, testGroups, purge, embargo }) as Table;
    combined.add(
      boundsOf(table, "train"),
      found.flatMap(([ranges]) => ranges.flat()),
      true,
    );
    combined.add(
      boundsOf(table, "test"),
      found.flatMap(([, tests]) => tests.flat(2)),
      true,
    );
    const paths = rowsOf(table).flatMap(({ path }) => (path === null ? [] : [path as number]));
    combined.add(paths, pathIds.flat(), true);
  }
  return [
    rowOf("validation.walk_forward", "mode expanding", "scikit-learn", "TimeSeriesSplit(gap, test_size)", walk),
    rowOf("validation.purged_kfold", "purge 0, embargo 0", "scikit-learn", "KFold", folds),
    rowOf("validation.cpcv", "purge, embargo", "skfolio", "CombinatorialPurgedCV(purged_size, embargo_size), get_path_ids", combined),
  ];
}

function luckRows(): ConformanceRow[] {
  const overfitting = new Differences();
  for (const { blocks, returns, ...theirs } of oracle.overfitting) {
    const table = tableOf(Object.fromEntries(returns.map((values, i) => [`trial${i}`, values])));
    const [row] = rowsOf(pbo.run(table, { blocks }) as Table);
    const keys = ["pbo", "logitMean", "slope", "intercept", "lossProbability"];
    overfitting.add(
      keys.map((key) => missing(row?.[key])),
      keys.map((key) => missing(theirs[key])),
      true,
    );
  }
  const replicates = new Differences();
  const { seed, meanBlock, sharpe, maxDrawdown } = oracle.bootstrap;
  const sample = (oracle.series.normal as { returns: Values }).returns.slice(0, 200);
  const params = { seed, meanBlock, replicates: sharpe.length, statistics: ["sharpe", "maxDrawdown"], periodsPerYear: 252 };
  const table = bootstrap.run(tableOf({ r: sample }), params) as Table;
  replicates.add(optionalFloat64Column(table, "sharpe"), sharpe, true);
  replicates.add(optionalFloat64Column(table, "maxDrawdown"), maxDrawdown, true);
  return [
    rowOf("validation.pbo", "blocks 6, 8, 10", "numpy", "the paper on arrays, with scipy's rankdata", overfitting),
    rowOf(
      "validation.bootstrap",
      `meanBlock ${meanBlock}`,
      "empyrical-reloaded",
      "sharpe_ratio, max_drawdown of bars drawn with Python's integers",
      replicates,
    ),
  ];
}

export const statisticsConformance = (): ConformanceRow[] => [...returnRows(), ...sharpeRows(), ...splitRows(), ...luckRows()];
