/**
 * Statistics of per-bar simple returns. A = periods per year, always explicit (252 for daily equities). NaN where a
 * statistic is not defined. empyrical: same Sharpe, Sortino and maximum drawdown. LEAN's Sharpe is of annual figures;
 * backtesting.py takes geometric means.
 */
import { power } from "../arithmetic/power.js";
import { type Moments, varianceOf } from "./moments.js";
import { quantileOf } from "./quantile.js";

/**
 * mean / std(ddof 1) · sqrt(A), risk-free rate 0; subtract it from the returns first for another. NaN where nothing
 * varies.
 */
export function sharpeRatio(m: Moments, periodsPerYear: number): number {
  const deviation = Math.sqrt(varianceOf(m));
  return deviation > 0 ? (m.mean / deviation) * Math.sqrt(periodsPerYear) : Number.NaN;
}

/** std(ddof 1) · sqrt(A). */
export const volatility = (m: Moments, periodsPerYear: number): number =>
  Math.sqrt(varianceOf(m)) * Math.sqrt(periodsPerYear);

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

/**
 * Compound annual growth: growth^(A / n) - 1, growth = end value / start value over n bars; NaN where more than
 * everything is lost.
 */
export const compoundAnnualGrowth = (growth: number, bars: number, periodsPerYear: number): number =>
  bars > 0 && growth >= 0 ? power(growth, periodsPerYear / bars) - 1 : Number.NaN;

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
export const calmarRatio = (annualGrowth: number, deepest: number): number =>
  deepest < 0 ? annualGrowth / -deepest : Number.NaN;

/** Bars that gained over bars that moved (r ≠ 0): a bar without a position is no bet. NaN where nothing moved. */
export function hitRate(returns: ArrayLike<number>): number {
  let gained = 0;
  let moved = 0;
  for (let i = 0; i < returns.length; i++) {
    if ((returns[i] as number) > 0) gained++;
    if (returns[i] !== 0) moved++;
  }
  return moved > 0 ? gained / moved : Number.NaN;
}

/** Sum of the gains over the sum of the losses; NaN where there was no loss. */
export function profitFactor(returns: ArrayLike<number>): number {
  let gains = 0;
  let losses = 0;
  for (let i = 0; i < returns.length; i++) {
    const r = returns[i] as number;
    if (r > 0) gains += r;
    else losses -= r;
  }
  return losses > 0 ? gains / losses : Number.NaN;
}

/**
 * Historical value at risk: the `tail` quantile of the returns (linear interpolation), as a return: -0.02 is a loss of
 * 2 % (empyrical).
 */
export const valueAtRisk = (ascending: Float64Array, tail: number): number => quantileOf(ascending, tail);

/**
 * Expected shortfall: the mean of the lowest floor((n - 1) · tail) + 1 returns (empyrical's conditional_value_at_risk).
 * NaN of none.
 */
export function conditionalValueAtRisk(ascending: Float64Array, tail: number): number {
  if (ascending.length === 0) return Number.NaN;
  const count = Math.floor((ascending.length - 1) * tail) + 1;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += ascending[i] as number;
  return sum / count;
}
