/**
 * Every kernel by the path that programs call it by (`asof.pit`), with its positional arguments and their types, which
 * come from its declaration. Features are called by their short name: see `FeatureCall`.
 */
import type { Table } from "apache-arrow";
import { asofJoin, asofPit } from "./asof/index.js";
import { auditCompare } from "./audit/compare.js";
import { auditCut, auditCuts } from "./audit/cut.js";
import { backtestSignals } from "./backtest/signals.js";
import { backtestWeights } from "./backtest/weights.js";
import { concat, echo, noop, sleep } from "./basics.js";
import type { WireResult } from "./features/carry.js";
import type { FeatureName, FeatureParameters } from "./features/index.js";
import type { Kernel } from "./kernel.js";
import { panelQuantile } from "./panel/buckets.js";
import { panelIc, panelIcDecay, panelIcSummary } from "./panel/factor.js";
import { panelForwardReturns } from "./panel/forward.js";
import { panelNeutralise } from "./panel/neutralise.js";
import { panelDemean, panelZscore } from "./panel/normalise.js";
import { panelQuantileReturns, panelRankAutocorrelation, panelTurnover } from "./panel/portfolio.js";
import { panelRank } from "./panel/rank.js";
import { panelPivot, panelUnpivot } from "./panel/reshape.js";
import { panelSelect } from "./panel/select.js";
import { panelUniverse } from "./panel/universe.js";
import { panelWinsorize } from "./panel/winsorize.js";
import { statsDrawdowns, statsReturns } from "./statistics/returns-kernels.js";
import { statsSharpeDeflated, statsSharpeProbabilistic } from "./statistics/sharpe-kernels.js";
import { sweepBenchmark, sweepEquity, sweepTrades } from "./sweep/equity.js";
import { sweepSelect, sweepSurface, sweepVerdict } from "./sweep/select.js";
import { sweepChannelBreakout, sweepMaCross, sweepRsiReversion } from "./sweep/sweep.js";
import { bootstrap, bootstrapInterval } from "./validation/bootstrap.js";
import { validationChoices, validationPath, validationReport } from "./validation/paths.js";
import { pbo } from "./validation/pbo.js";
import { cpcv, purgedKfold } from "./validation/purged.js";
import { sweepFold } from "./validation/sweep-fold.js";
import { sweepReturns } from "./validation/sweep-returns.js";
import { walkForward } from "./validation/walk-forward.js";

type Typed = Kernel & { readonly __types?: { readonly args: object; readonly result: unknown } };
type Types<K extends Typed> = NonNullable<K["__types"]>;

/** A call's result must have one type: the form that also returns a carry is another function, see `Carried`. */
type WithoutCarry<T> = T extends unknown ? ("withCarry" extends keyof T ? Omit<T, "withCarry"> : T) : never;
type ResultOf<R> = R extends { readonly carry: unknown } ? never : R;

type Positional<A, N extends readonly unknown[]> = N extends readonly [infer Name, ...infer Rest]
  ? Name extends keyof A
    ? undefined extends A[Name]
      ? [argument?: WithoutCarry<A[Name]>, ...rest: Positional<A, Rest>]
      : [argument: WithoutCarry<A[Name]>, ...rest: Positional<A, Rest>]
    : never
  : [];

/**
 * The same call of one partition of several in a row: it takes what the previous partition's gave, and gives its table
 * and what the next one takes.
 */
type Carried<K extends Typed, N extends readonly unknown[]> = Types<K>["args"] extends { readonly carry?: unknown }
  ? (
      ...args: [
        ...Positional<Types<K>["args"], N>,
        previous?: Extract<Types<K>["result"], { readonly carry: unknown }> | undefined,
      ]
    ) => Extract<Types<K>["result"], { readonly carry: unknown }>
  : never;

export interface Callable<F, C = never> {
  readonly kernel: Kernel;
  /** Names of the arguments in their order; a trailing `carry` is left out. */
  readonly args: readonly string[];
  /** Phantom: the call's type. */
  readonly __call?: F;
  /** Phantom: the type of the call with a carry; never if the kernel has none. */
  readonly __carried?: C;
}

const call = <K extends Typed, const N extends readonly (keyof Types<K>["args"] & string)[]>(
  kernel: K,
  ...args: N
): Callable<(...args: Positional<Types<K>["args"], N>) => ResultOf<Types<K>["result"]>, Carried<K, N>> => ({
  kernel,
  args,
});

export const callables = {
  asof: { join: call(asofJoin, "left", "right", "params"), pit: call(asofPit, "left", "facts", "params", "calendar") },
  audit: {
    compare: call(auditCompare, "part", "full", "cut"),
    cut: call(auditCut, "table", "cut"),
    cuts: call(auditCuts, "table", "params"),
  },
  backtest: { signals: call(backtestSignals, "bars", "params"), weights: call(backtestWeights, "bars", "params") },
  panel: {
    ...{
      rank: call(panelRank, "table", "params"),
      quantile: call(panelQuantile, "table", "params"),
      select: call(panelSelect, "table", "params"),
    },
    ...{
      zscore: call(panelZscore, "table", "params"),
      demean: call(panelDemean, "table", "params"),
      winsorize: call(panelWinsorize, "table", "params"),
    },
    ...{
      neutralise: call(panelNeutralise, "table", "params"),
      universe: call(panelUniverse, "table", "spells", "delistings", "params"),
    },
    ...{ pivot: call(panelPivot, "table", "params"), unpivot: call(panelUnpivot, "table", "params") },
    ...{
      forward_returns: call(panelForwardReturns, "table", "params"),
      quantile_returns: call(panelQuantileReturns, "table", "params"),
    },
    ...{
      ic: call(panelIc, "table", "params"),
      ic_summary: call(panelIcSummary, "table", "params"),
      ic_decay: call(panelIcDecay, "table", "params"),
    },
    ...{
      turnover: call(panelTurnover, "table", "params"),
      rank_autocorrelation: call(panelRankAutocorrelation, "table", "params"),
    },
  },
  stats: {
    ...{ returns: call(statsReturns, "table", "params"), drawdowns: call(statsDrawdowns, "table", "params") },
    sharpe_probabilistic: call(statsSharpeProbabilistic, "table", "params"),
    sharpe_deflated: call(statsSharpeDeflated, "table", "trials", "params"),
  },
  sweep: {
    "ma-cross": call(sweepMaCross, "prices", "chunk", "settings"),
    "rsi-reversion": call(sweepRsiReversion, "prices", "chunk", "settings"),
    "channel-breakout": call(sweepChannelBreakout, "prices", "chunk", "settings"),
    select: call(sweepSelect, "tables", "family", "top", "tradesMin"),
    surface: call(sweepSurface, "tables", "family", "tradesMin"),
    benchmark: call(sweepBenchmark, "prices", "settings"),
    equity: call(sweepEquity, "prices", "family", "chosen", "settings"),
    trades: call(sweepTrades, "prices", "family", "chosen", "settings"),
    verdict: call(sweepVerdict, "selected", "families", "benchmark", "periodsPerYear"),
  },
  validation: {
    ...{
      walk_forward: call(walkForward, "table", "params"),
      purged_kfold: call(purgedKfold, "table", "params"),
      cpcv: call(cpcv, "table", "params"),
    },
    ...{
      sweep_fold: call(sweepFold, "prices", "splits", "split", "params"),
      sweep_returns: call(sweepReturns, "prices", "params"),
    },
    ...{
      choices: call(validationChoices, "folds"),
      path: call(validationPath, "folds", "path"),
      report: call(validationReport, "statistics", "choices"),
    },
    ...{ pbo: call(pbo, "tables", "params"), bootstrap: call(bootstrap, "table", "params") },
    bootstrap_interval: call(bootstrapInterval, "tables", "params"),
  },
  volley: {
    noop: call(noop, "a", "b", "c"),
    echo: call(echo, "value"),
    sleep: call(sleep, "ms", "busy", "value"),
    concat: call(concat, "tables"),
  },
};

/** Parameters that every feature has beside its own. */
export interface FeatureWireParameters {
  /**
   * Of a feature of one column: which it is applied to. Of several: which columns they are, by the conventional name.
   */
  columns?: string[] | Readonly<Record<string, string>>;
  as?: string;
  keep?: string[];
  by?: string;
}

type FeatureOptions<N extends FeatureName> = FeatureParameters<N> & FeatureWireParameters;

/** A feature as a function of a table; the parameters may be left out where each has a default. */
export type FeatureCall<N extends FeatureName> =
  Record<string, never> extends FeatureParameters<N>
    ? (table: Table, params?: FeatureOptions<N>) => Table
    : (table: Table, params: FeatureOptions<N>) => Table;

/** The same over partitions in a row: `previous` is what the call on the partition before gave. */
export type FeatureCarryCall<N extends FeatureName> =
  Record<string, never> extends FeatureParameters<N>
    ? (table: Table, params?: FeatureOptions<N>, previous?: WireResult | undefined) => WireResult
    : (table: Table, params: FeatureOptions<N>, previous?: WireResult | undefined) => WireResult;
