/**
 * Statistics of per-bar simple returns. A = periods per year, always explicit (252 for daily equities). NaN where a statistic is not defined.
 * empyrical: same Sharpe, Sortino and maximum drawdown. LEAN's Sharpe is of annual figures; backtesting.py takes geometric means.
 */
import { type Moments, varianceOf } from "./moments.js";

/** mean / std(ddof 1) · sqrt(A), risk-free rate 0; subtract it from the returns first for another. NaN where nothing varies. */
export function sharpeRatio(m: Moments, periodsPerYear: number): number {
  const deviation = Math.sqrt(varianceOf(m));
  return deviation > 0 ? (m.mean / deviation) * Math.sqrt(periodsPerYear) : Number.NaN;
}

/** std(ddof 1) · sqrt(A). */
export const volatility = (m: Moments, periodsPerYear: number): number => Math.sqrt(varianceOf(m)) * Math.sqrt(periodsPerYear);

/** mean(r - mar) / sqrt(mean(min(r - mar, 0)²)) · sqrt(A), the downside over all n bars. */
export function sortinoRatio(returns: ArrayLike<number>, periodsPerYear: number, minimumAcceptable = 0): number {
  let sum = 0;
  let downside = 0;
  for (let i = 0; i < returns.length; i++) {
    const excess = (returns[i] as number) - minimumAcceptable;
    sum += excess;
    if (excess < 0) downside += excess * excess;
  }
  const deviation = Math.sqrt(downside / returns.length);
  return deviation > 0 ? (sum / returns.length / deviation) * Math.sqrt(periodsPerYear) : Number.NaN;
}

/** Compound annual growth: growth^(A / n) - 1, growth = end value / start value over n bars. */
export const compoundAnnualGrowth = (growth: number, bars: number, periodsPerYear: number): number =>
  bars > 0 ? growth ** (periodsPerYear / bars) - 1 : Number.NaN;

/** The deepest fall from a peak, ≤ 0, anchored at the starting value: returns [-0.5, 0] give -0.5. */
export function maxDrawdown(returns: ArrayLike<number>): number {
  let value = 1;
  let peak = 1;
  let deepest = 0;
  for (let i = 0; i < returns.length; i++) {
    value *= 1 + (returns[i] as number);
    if (value > peak) peak = value;
    else deepest = Math.min(deepest, value / peak - 1);
  }
  return deepest;
}

/** CAGR / |maximum drawdown|. */
export const calmarRatio = (annualGrowth: number, deepest: number): number => (deepest < 0 ? annualGrowth / -deepest : Number.NaN);
