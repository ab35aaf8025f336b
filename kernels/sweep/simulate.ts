/**
 * One strategy over one run of bars: signal → fill → position → profit and loss → statistics, in one pass.
 *
 * Signals are read at a bar's close and fill at the next bar's open, so the signal of the last bar never fills. Long
 * only, whole capital: the order is as large as the cash pays for with its fees, size = cash / (1 + fees) / price,
 * price = open (1 + slippage); a sale brings size · price · (1 - fees), price = open (1 - slippage). The account starts
 * with 1 and is marked to market at each close. Nothing is charged at the end: an open position keeps its market value.
 */
import { kurtosisOf, type Moments, momentsFromSums, skewnessOf } from "../statistics/moments.js";
import { compoundAnnualGrowth, sharpeRatio, volatility } from "../statistics/returns.js";
import type { Bars, SweepSettings } from "./bars.js";
import type { Rule } from "./families.js";

/** All in cash or all invested. */
export interface Account {
  /** 0 in cash. */
  size: number;
  /** The cash, or the position marked to market at the last close. */
  value: number;
  /** The signal of the last close, not filled yet. */
  wantsLong: boolean;
}

/** Takes down what happened, for a combination that is looked at closely. */
export interface Recorder {
  value(bar: number, value: number, long: boolean): void;
  fill(bar: number, side: "buy" | "sell", price: number, size: number): void;
}

/** What one side of the split came to. */
export interface Outcome {
  readonly moments: Moments;
  /** Value at the end over value at the start. */
  readonly growth: number;
  /** ≤ 0, anchored at the value the period starts with. */
  readonly maxDrawdown: number;
  /** Positions opened in the period. */
  readonly trades: number;
}

/** An account of 1 in cash that has seen the close of bar 0. */
export const openAccount = ({ enter: [rising, above] }: Rule): Account => ({
  size: 0,
  value: 1,
  wantsLong: (rising[0] as number) > (above[0] as number),
});

/**
 * Bars [from, to), from ≥ 1; `account` is carried from one period into the next. This loop is the whole cost of a
 * sweep: a bar in cash costs one comparison, a bar held costs the market's return (computed once for all combinations)
 * and four sums. Sums of powers about zero lose nothing here, because the mean of bar returns is small beside their
 * spread; see momentsFromSums for when it is not.
 */
export function simulate(
  bars: Bars,
  rule: Rule,
  settings: SweepSettings,
  from: number,
  to: number,
  account: Account,
  recorder?: Recorder,
): Outcome {
  const { open, close, returns } = bars;
  const [rising, above] = rule.enter;
  const [falling, below] = rule.exit;
  const { fees } = settings;
  const buyFactor = 1 + settings.slippage;
  const sellFactor = 1 - settings.slippage;
  let { size, value, wantsLong } = account;
  const start = value;
  let peak = value;
  let trough = value;
  let maxDrawdown = 0;
  let trades = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let s4 = 0;
  for (let i = from; i < to; i++) {
    let r: number;
    if (size > 0) {
      if (wantsLong) {
        r = returns[i] as number;
        value = size * (close[i] as number);
      } else {
        const price = (open[i] as number) * sellFactor;
        recorder?.fill(i, "sell", price, size);
        const cash = size * price * (1 - fees);
        r = cash / value - 1;
        value = cash;
        size = 0;
      }
    } else if (wantsLong) {
      const price = (open[i] as number) * buyFactor;
      size = value / (1 + fees) / price;
      recorder?.fill(i, "buy", price, size);
      const worth = size * (close[i] as number);
      r = worth / value - 1;
      value = worth;
      trades++;
    } else {
      recorder?.value(i, value, false);
      wantsLong = (rising[i] as number) > (above[i] as number);
      continue;
    }
    const r2 = r * r;
    s1 += r;
    s2 += r2;
    s3 += r2 * r;
    s4 += r2 * r2;
    if (value > peak) {
      maxDrawdown = Math.min(maxDrawdown, trough / peak - 1);
      peak = value;
      trough = value;
    } else if (value < trough) trough = value;
    recorder?.value(i, value, size > 0);
    wantsLong =
      size > 0 ? !((falling[i] as number) < (below[i] as number)) : (rising[i] as number) > (above[i] as number);
  }
  account.size = size;
  account.value = value;
  account.wantsLong = wantsLong;
  return {
    moments: momentsFromSums(to - from, s1, s2, s3, s4),
    growth: value / start,
    maxDrawdown: Math.min(maxDrawdown, trough / peak - 1),
    trades,
  };
}

/** The columns of statistics, each for one side of the split. */
export const statisticNames = [
  "sharpe",
  "cagr",
  "maxDrawdown",
  "totalReturn",
  "volatility",
  "skewness",
  "kurtosis",
] as const;
export const countNames = ["trades", "bars"] as const;
export type StatisticName = (typeof statisticNames)[number];
export type Statistics = Readonly<Record<StatisticName | (typeof countNames)[number], number>>;

/** NaN where a statistic is not defined, as the Sharpe ratio of a strategy that never traded. */
export function statisticsOf({ moments, growth, maxDrawdown, trades }: Outcome, periodsPerYear: number): Statistics {
  return {
    sharpe: sharpeRatio(moments, periodsPerYear),
    cagr: compoundAnnualGrowth(growth, moments.count, periodsPerYear),
    maxDrawdown,
    totalReturn: growth - 1,
    volatility: volatility(moments, periodsPerYear),
    skewness: skewnessOf(moments),
    kurtosis: kurtosisOf(moments),
    trades,
    bars: moments.count,
  };
}
