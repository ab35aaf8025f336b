/**
 * Statistics and splits against empyrical, scipy, vectorbt, scikit-learn, skfolio and numpy, from
 * bench/peers/statistics_fixtures.py; for the tests.
 */
import type { Table } from "apache-arrow";
import { float64Column, optionalFloat64Column } from "../../columns/reading.js";
import { conformanceColumns } from "../../features/testing/conformance-bars.js";
import { realPrices } from "../../sweep/testing/real-prices.js";
import { type ConformanceRow, Differences, unexplainedRelMax, worstOf } from "../../testing/conformance.js";
import { bootstrap } from "../../validation/bootstrap.js";
import { pbo } from "../../validation/pbo.js";
import { cpcv, purgedKfold } from "../../validation/purged.js";
import { walkForward } from "../../validation/walk-forward.js";
import { statsDrawdowns, statsReturns } from "../returns-kernels.js";
import { statsSharpeDeflated, statsSharpeProbabilistic } from "../sharpe-kernels.js";
import { readStatisticsOracle, rowsOf, tableOf } from "./statistics-oracle.js";

const oracle = readStatisticsOracle();
/** The script's TRIALS: their number, and the variance of their Sharpe ratios. */
const trialsGiven = [
  [10, 1e-4],
  [1_000, 4e-4],
  [1_000_000, 1e-5],
] as const;
type Values = readonly (number | null)[];

const returnsOfWalk = (): number[] => Array.from(conformanceColumns(1, "none").growth ?? [], (x) => x - 1);

/** As long_series of the script makes them. */
function longSeries(): Record<string, Values> {
  const close = float64Column(realPrices(), "close");
  const changes = (scale: number): Values =>
    Array.from(conformanceColumns(scale, "some").change ?? [], (x) => (Number.isNaN(x) ? null : x));
  return {
    walk: returnsOfWalk(),
    ...{ "prices 1": changes(1), "prices 1e-09": changes(1e-9), "prices 1e+09": changes(1e9) },
    "walk 1e-9": returnsOfWalk().map((x) => x * 1e-9),
    sp500: Array.from(close.subarray(1), (x, i) => x / (close[i] as number) - 1),
  };
}

const series: Readonly<Record<string, Values>> = {
  ...Object.fromEntries(Object.entries(oracle.series).map(([name, { returns }]) => [name, returns])),
  ...longSeries(),
};
const seriesBars = Object.values(series).reduce((total, { length }) => total + length, 0);
const peerValues = { ...oracle.series, ...oracle.long };

const missing = (value: unknown): number => (typeof value === "number" ? value : Number.NaN);

function rowOf(
  names: readonly [string, string, string, string],
  bars: number,
  differences: Differences,
  excuse?: Excuse,
): ConformanceRow {
  const [kernel, option, peer, peerOption] = names;
  const result = differences.result();
  const excused = result.nullsDiffer > 0 || worstOf(result) > unexplainedRelMax ? excuse : undefined;
  return { kernel, option, peer: `${peer} ${oracle.made[peer] ?? ""}`.trim(), peerOption, bars, ...result, ...excused };
}

/**
 * Figures of every series, each against its own size; or `together`, those of all series as one column, where one of
 * them is 0.
 */
function values(ours: (r: Values) => unknown, theirs: (name: string) => unknown, together = false): Differences {
  const differences = new Differences();
  const pairs = Object.entries(series).map(([name, r]) => [missing(ours(r)), missing(theirs(name))] as const);
  const columns = together ? [pairs] : pairs.map((pair) => [pair]);
  for (const column of columns) {
    differences.add(
      column.map(([a]) => a),
      column.map(([, b]) => b),
      true,
    );
  }
  return differences;
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

type Excuse = Pick<ConformanceRow, "note" | "limits">;
const anchored =
  "vectorbt's returns accessor does not count a fall from the starting value: returns [-0.5, 0] have no drawdown there, and -50 % here (as empyrical).";
const tiny =
  "Of returns of 1e-9, 1 + r keeps seven digits; the order in which they are multiplied shows in the eighth.";
const excuses: Readonly<Record<string, Excuse>> = {
  "maxDrawdown vectorbt": { note: anchored, limits: { rel: 2e3, nullsDiffer: 0 } },
  "calmar vectorbt": { note: anchored, limits: { rel: 0.05, nullsDiffer: 1 } },
  "maxDrawdown empyrical-reloaded": { note: tiny, limits: { rel: 1e-7, nullsDiffer: 0 } },
  "calmar empyrical-reloaded": { note: tiny, limits: { rel: 1e-7, nullsDiffer: 0 } },
};

/** The skewness of two values is 0, and so is a drawdown that vectorbt does not count. */
const near0 = new Set(["skewness scipy", "maxDrawdown vectorbt"]);

const statisticsOf = (r: Values, params: object = {}): Record<string, unknown> | undefined =>
  rowsOf(statsReturns.run(tableOf({ r }), { periodsPerYear: 252, ...params }) as Table)[0];

function returnRows(): ConformanceRow[] {
  const plain = new Map(Object.values(series).map((r) => [r, statisticsOf(r)]));
  const rows = statistics.map(([key, peer, call]) => {
    const theirs: Readonly<Record<string, Readonly<Record<string, unknown>>>> =
      peer === "vectorbt" ? oracle.vectorbt : peerValues;
    const differences = values(
      (r) => plain.get(r)?.[key],
      (name) => theirs[name]?.[key],
      near0.has(`${key} ${peer}`),
    );
    return rowOf(["stats.returns", `→ ${key}`, peer, call], seriesBars, differences, excuses[`${key} ${peer}`]);
  });
  const optional = (option: string, params: object, key: string, figure: string, call: string): ConformanceRow => {
    const differences = values(
      (r) => statisticsOf(r, params)?.[key],
      (name) => peerValues[name]?.[figure],
    );
    return rowOf(["stats.returns", `${option}, → ${key}`, "empyrical-reloaded", call], seriesBars, differences);
  };
  return [
    ...rows,
    optional("riskFree 0.0001", { riskFree: 0.0001 }, "sharpe", "sharpeRiskFree", "sharpe_ratio(risk_free=0.0001)"),
    optional(
      "minimumAcceptable 0.0002",
      { minimumAcceptable: 0.0002 },
      "sortino",
      "sortinoAcceptable",
      "sortino_ratio(required_return=0.0002)",
    ),
  ];
}

/** Depths only: places count the bars that are there on one side, and all on the other. */
function drawdownRow(): ConformanceRow {
  const differences = new Differences();
  for (const [name, r] of Object.entries(series)) {
    const ours = rowsOf(statsDrawdowns.run(tableOf({ r }), { top: 5 }) as Table);
    const theirs = peerValues[name]?.drawdowns ?? [];
    const five = (depths: readonly unknown[]): number[] => [0, 1, 2, 3, 4].map((i) => missing(depths[i]));
    differences.add(five(ours.map(({ depth }) => depth)), five(theirs.map(([depth]) => depth)), true);
  }
  return rowOf(["stats.drawdowns", "top 5, → depth", "pandas", "value / value.cummax() - 1"], seriesBars, differences);
}

function sharpeRows(): ConformanceRow[] {
  const probabilistic = (r: Values): Record<string, unknown> | undefined =>
    rowsOf(statsSharpeProbabilistic.run(tableOf({ r }), { benchmark: 0.01, confidence: 0.9 }) as Table)[0];
  const rows = [
    rowOf(
      [
        "stats.sharpe_probabilistic",
        "benchmark 0.01, → probability",
        "scipy",
        "stats.norm.cdf, skew, kurtosis in the formula",
      ],
      seriesBars,
      values(
        (r) => probabilistic(r)?.probability,
        (name) => peerValues[name]?.probabilistic,
      ),
    ),
    rowOf(
      [
        "stats.sharpe_probabilistic",
        "benchmark 0.01, confidence 0.9, → minTrackRecord",
        "scipy",
        "stats.norm.ppf, skew, kurtosis in the formula",
      ],
      seriesBars,
      values(
        (r) => probabilistic(r)?.minTrackRecord,
        (name) => peerValues[name]?.minTrackRecord,
      ),
    ),
  ];
  const deflated = trialsGiven.map(([trials, variance], at) => {
    const differences = new Differences();
    for (const [name, r] of Object.entries(series)) {
      const [row] = rowsOf(statsSharpeDeflated.run(tableOf({ r }), null, { trials, variance }) as Table);
      const [luck, probability] = peerValues[name]?.deflated[at] ?? [];
      differences.add([missing(row?.luckSharpe)], [missing(luck)], true);
      differences.add([missing(row?.deflated)], [missing(probability)], true);
    }
    const option = `trials ${trials}, variance ${variance}, → luckSharpe, deflated`;
    return rowOf(
      ["stats.sharpe_deflated", option, "scipy", "stats.norm.ppf, cdf in the formulas"],
      seriesBars,
      differences,
    );
  });
  return [...rows, ...deflated];
}

/** Bounds of all ranges in order; a peer's ranges count one by one. */
function boundsOf(table: Table, set: string): number[] {
  const which = rowsOf(table).filter((row) => row.set === set);
  return which.flatMap(({ from, to }) => [from as number, to as number]);
}

function splitRows(): ConformanceRow[] {
  const bars = (count: number): Table => tableOf({ r: new Array<number>(count).fill(0) });
  const [walk, folds, combined] = [new Differences(), new Differences(), new Differences()];
  const barsOf = (cases: readonly { readonly bars: number }[]): number =>
    cases.reduce((total, { bars: count }) => total + count, 0);
  const expanding = oracle.walkForward.filter(({ train }) => train === null);
  for (const { bars: count, splits, test, purge, found } of expanding) {
    const table = walkForward.run(bars(count), {
      mode: "expanding",
      splits,
      purge,
      ...(test === null ? {} : { test }),
    }) as Table;
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
    rowOf(
      ["validation.walk_forward", "mode expanding", "scikit-learn", "TimeSeriesSplit(gap, test_size)"],
      barsOf(expanding),
      walk,
    ),
    rowOf(["validation.purged_kfold", "purge 0, embargo 0", "scikit-learn", "KFold"], barsOf(oracle.kfold), folds),
    rowOf(
      [
        "validation.cpcv",
        "purge, embargo",
        "skfolio",
        "CombinatorialPurgedCV(purged_size, embargo_size), get_path_ids",
      ],
      barsOf(oracle.cpcv),
      combined,
    ),
  ];
}

const overfittingKeys = ["pbo", "logitMean", "slope", "intercept", "lossProbability"];

function overfittingRow(): ConformanceRow {
  const walk = returnsOfWalk();
  const rotated = Array.from({ length: 8 }, (_, k) => [...walk.slice(1_280 * k), ...walk.slice(0, 1_280 * k)]);
  const cases = [...oracle.overfitting, ...oracle.longOverfitting.map((one) => ({ ...one, returns: rotated }))];
  const differences = new Differences();
  for (const { blocks, returns, ...theirs } of cases) {
    const statsOf: Readonly<Record<string, unknown>> = theirs;
    const table = tableOf(Object.fromEntries(returns.map((values, i) => [`trial${i}`, values])));
    const [row] = rowsOf(pbo.run(table, { blocks }) as Table);
    for (const key of overfittingKeys) differences.add([missing(row?.[key])], [missing(statsOf[key])], true);
  }
  const bars = cases.reduce((total, { returns }) => total + (returns[0]?.length ?? 0), 0);
  return rowOf(
    ["validation.pbo", "blocks 6, 8, 10", "numpy", "the paper on arrays, with scipy's rankdata"],
    bars,
    differences,
  );
}

function bootstrapRows(): ConformanceRow[] {
  const short = (oracle.series.normal as { returns: Values }).returns.slice(0, 200);
  const differences = new Differences();
  let bars = 0;
  for (const [{ seed, meanBlock, sharpe, maxDrawdown }, r] of [
    [oracle.bootstrap, short] as const,
    [oracle.longBootstrap, returnsOfWalk()] as const,
  ]) {
    const params = {
      seed,
      meanBlock,
      replicates: sharpe.length,
      statistics: ["sharpe", "maxDrawdown"],
      periodsPerYear: 252,
    };
    const table = bootstrap.run(tableOf({ r }), params) as Table;
    differences.add(optionalFloat64Column(table, "sharpe"), sharpe, true);
    differences.add(optionalFloat64Column(table, "maxDrawdown"), maxDrawdown, true);
    bars += r.length * sharpe.length;
  }
  const option = `meanBlock ${oracle.bootstrap.meanBlock}, ${oracle.longBootstrap.meanBlock}`;
  const call = "sharpe_ratio, max_drawdown of bars drawn with Python's integers";
  return [rowOf(["validation.bootstrap", option, "empyrical-reloaded", call], bars, differences)];
}

export const statisticsConformance = (): ConformanceRow[] => [
  ...returnRows(),
  drawdownRow(),
  ...sharpeRows(),
  ...splitRows(),
  overfittingRow(),
  ...bootstrapRows(),
];
