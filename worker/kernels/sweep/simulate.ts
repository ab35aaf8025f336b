/**
 * One strategy over one run of bars: signal → fill → position → profit and loss → statistics, in one pass.
 *
 * Signals are read at a bar's close and fill at the next bar's open, so the signal of the last bar never fills. Long only, whole capital:
 * the order is as large as the cash pays for with its fees, size = cash / (1 + fees) / price, price = open (1 + slippage); a sale brings
 * size · price · (1 - fees), price = open (1 - slippage). The account starts with 1 and is marked to market at each close.
 * Nothing is charged at the end: an open position keeps its market value.
 */
import { kurtosisOf, type Moments, skewnessOf } from "../statistics/moments.js";
import { compoundAnnualGrowth, sharpeRatio, volatility } from "../statistics/returns.js";
import type { Bars, SweepSettings } from "./bars.js";
import type { Rule } from "./families.js";

export interface Account {
  cash: number;
  size: number;
  /** Marked to market at the last close. */
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
  cash: 1,
  size: 0,
  value: 1,
  wantsLong: (rising[0] as number) > (above[0] as number),
});

/**
 * Bars [from, to), from ≥ 1; `account` is carried from one period into the next. The moments are those of momentsOf over the bar returns,
 * bit for bit; the update is written out here because this loop is the whole cost of a sweep.
 */
export function simulate(bars: Bars, rule: Rule, settings: SweepSettings, from: number, to: number, account: Account, recorder?: Recorder): Outcome {
  const { open, close } = bars;
  const [rising, above] = rule.enter;
  const [falling, below] = rule.exit;
  const buyFactor = 1 + settings.slippage;
  const sellFactor = 1 - settings.slippage;
  const { fees } = settings;
  let { cash, size, value, wantsLong } = account;
  const start = value;
  let peak = value;
  let maxDrawdown = 0;
  let trades = 0;
  let count = 0;
  let mean = 0;
  let m2 = 0;
  let m3 = 0;
  let m4 = 0;
  for (let i = from; i < to; i++) {
    if (wantsLong !== size > 0) {
      if (wantsLong) {
        const price = (open[i] as number) * buyFactor;
        size = cash / (1 + fees) / price;
        cash = 0;
        trades++;
        recorder?.fill(i, "buy", price, size);
      } else {
        const price = (open[i] as number) * sellFactor;
        const proceeds = size * price;
        recorder?.fill(i, "sell", price, size);
        cash += proceeds - proceeds * fees;
        size = 0;
      }
    }
    const now = size > 0 ? cash + size * (close[i] as number) : cash;
    const before = count++;
    const delta = now / value - 1 - mean;
    const step = delta / count;
    const step2 = step * step;
    const term = delta * step * before;
    mean += step;
    m4 += term * step2 * (count * count - 3 * count + 3) + 6 * step2 * m2 - 4 * step * m3;
    m3 += term * step * (count - 2) - 3 * step * m2;
    m2 += term;
    value = now;
    if (now >= peak) peak = now;
    else if (now / peak - 1 < maxDrawdown) maxDrawdown = now / peak - 1;
    recorder?.value(i, now, size > 0);
    wantsLong = size > 0 ? !((falling[i] as number) < (below[i] as number)) : (rising[i] as number) > (above[i] as number);
  }
  account.cash = cash;
  account.size = size;
  account.value = value;
  account.wantsLong = wantsLong;
  return { moments: { count, mean, m2, m3, m4 }, growth: value / start, maxDrawdown, trades };
}

/** The columns of statistics, each for one side of the split. */
export const statisticNames = ["sharpe", "cagr", "maxDrawdown", "totalReturn", "volatility", "skewness", "kurtosis"] as const;
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
