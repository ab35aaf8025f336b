/**
 * The exports: `name(count, states, inputs, rows, outputs, scratch)`. `states`, `inputs` and `outputs` are tables of
 * u32 pointers to float64: one state per column, and per column as many inputs and outputs as the feature has, one
 * column behind the other.
 *
 * Nothing here allocates, and there is no static data: the module may be put on any memory, and it touches only what it
 * is pointed to.
 */
import { changesOf } from "./changes.ts";
import { extremes } from "./extremes.ts";
import { linear } from "./linear.ts";
import { bands, deviation, moments, variance, zscore } from "./moments.ts";
import { median, orders, quantile, rank } from "./orders.ts";
import { beta, correlation, covariance, pairs } from "./pairs.ts";
import { averagePrices, powers } from "./quotients.ts";
import { atr as atrKind, dema as demaKind, ema as emaKind, macd as macdKind, recurrence, rsi as rsiKind, tema as temaKind } from "./recurrences.ts";
import { logReturns, realizedVolatility } from "./returns.ts";
import { largest, last, product, running, smallest, sum } from "./running.ts";
import { kurt, shapes, skew } from "./shapes.ts";
import { shifts } from "./shift.ts";
import { sums } from "./sums.ts";
import { validityOf } from "./validity.ts";
import { vwaps } from "./vwap.ts";

export function sma(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  sums(true, count, states, inputs, rows, outputs, scratch);
}

export function rolling_sum(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  sums(false, count, states, inputs, rows, outputs, scratch);
}

export function rolling_extreme(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  extremes(count, states, inputs, rows, outputs, scratch);
}

export function rolling_var(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  moments(variance, count, states, inputs, rows, outputs, scratch);
}

export function rolling_std(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  moments(deviation, count, states, inputs, rows, outputs, scratch);
}

export function rolling_zscore(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  moments(zscore, count, states, inputs, rows, outputs, scratch);
}

export function bollinger(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  moments(bands, count, states, inputs, rows, outputs, scratch);
}

export function ema(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  recurrence(emaKind, count, states, inputs, rows, outputs, scratch);
}

export function rsi(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  recurrence(rsiKind, count, states, inputs, rows, outputs, scratch);
}

export function macd(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  recurrence(macdKind, count, states, inputs, rows, outputs, scratch);
}

export function atr(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  recurrence(atrKind, count, states, inputs, rows, outputs, scratch);
}

export function pct_change(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, _scratch: usize): void {
  changesOf(true, count, states, inputs, rows, outputs);
}

export function diff(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, _scratch: usize): void {
  changesOf(false, count, states, inputs, rows, outputs);
}

export function dema(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  recurrence(demaKind, count, states, inputs, rows, outputs, scratch);
}

export function tema(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  recurrence(temaKind, count, states, inputs, rows, outputs, scratch);
}

export function cumsum(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, _scratch: usize): void {
  running(sum, count, states, inputs, rows, outputs);
}

export function cumprod(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, _scratch: usize): void {
  running(product, count, states, inputs, rows, outputs);
}

export function cummax(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, _scratch: usize): void {
  running(largest, count, states, inputs, rows, outputs);
}

export function cummin(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, _scratch: usize): void {
  running(smallest, count, states, inputs, rows, outputs);
}

export function ffill(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, _scratch: usize): void {
  running(last, count, states, inputs, rows, outputs);
}

export function shift(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, _scratch: usize): void {
  shifts(count, states, inputs, rows, outputs);
}

export function vwap(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, _scratch: usize): void {
  vwaps(count, states, inputs, rows, outputs);
}

export function wma(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  linear(count, states, inputs, rows, outputs, scratch);
}

export function rolling_cov(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  pairs(covariance, count, states, inputs, rows, outputs, scratch);
}

export function rolling_corr(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  pairs(correlation, count, states, inputs, rows, outputs, scratch);
}

export function rolling_beta(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  pairs(beta, count, states, inputs, rows, outputs, scratch);
}

export function rolling_skew(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  shapes(skew, count, states, inputs, rows, outputs, scratch);
}

export function rolling_kurt(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  shapes(kurt, count, states, inputs, rows, outputs, scratch);
}

export function rolling_vwap(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  averagePrices(count, states, inputs, rows, outputs, scratch);
}

export function volume_power(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  powers(count, states, inputs, rows, outputs, scratch);
}

export function rolling_median(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  orders(median, count, states, inputs, rows, outputs, scratch);
}

export function rolling_quantile(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  orders(quantile, count, states, inputs, rows, outputs, scratch);
}

export function rolling_rank(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  orders(rank, count, states, inputs, rows, outputs, scratch);
}

/** No feature's form, but what becomes of its results: `validity(values, rows, bits)`; see validity.ts. */
export function validity(values: usize, rows: i32, bits: usize): i32 {
  return validityOf(values, rows, bits);
}

export function log_return(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, _scratch: usize): void {
  logReturns(count, states, inputs, rows, outputs);
}

export function realized_volatility(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  realizedVolatility(count, states, inputs, rows, outputs, scratch);
}
