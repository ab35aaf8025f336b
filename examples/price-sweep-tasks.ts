/**
 * What price-sweep.ts runs on the cluster: one moving-average cross over daily closes, long or flat, filled at the next
 * close, with costs.
 */
import type { Table } from "apache-arrow";

export interface Cross {
  readonly fast: number;
  readonly slow: number;
}

export interface Outcome extends Cross {
  /** Annualised, of daily log returns. */
  readonly sharpe: number;
  /** Total return as a factor of the start. */
  readonly growth: number;
  readonly trades: number;
}

const daysPerYear = 252;
const costPerTrade = 0.0005;

function movingAverage(closes: Float64Array, length: number): Float64Array {
  const out = new Float64Array(closes.length).fill(Number.NaN);
  let sum = 0;
  for (let day = 0; day < closes.length; day++) {
    sum += closes[day] as number;
    if (day >= length) sum -= closes[day - length] as number;
    if (day >= length - 1) out[day] = sum / length;
  }
  return out;
}

export function cross({ fast, slow }: Cross, prices: Table): Outcome {
  const closes = prices.getChild("close")?.toArray() as Float64Array;
  const quick = movingAverage(closes, fast);
  const lazy = movingAverage(closes, slow);
  let held = 0;
  let trades = 0;
  let sum = 0;
  let squares = 0;
  for (let day = slow; day < closes.length; day++) {
    let gain = held * Math.log((closes[day] as number) / (closes[day - 1] as number));
    const wanted = (quick[day] as number) > (lazy[day] as number) ? 1 : 0;
    if (wanted !== held) {
      gain -= costPerTrade;
      trades++;
      held = wanted;
    }
    sum += gain;
    squares += gain * gain;
  }
  const days = closes.length - slow;
  const mean = sum / days;
  const deviation = Math.sqrt(squares / days - mean * mean);
  return {
    fast,
    slow,
    sharpe: deviation > 0 ? (mean / deviation) * Math.sqrt(daysPerYear) : 0,
    growth: Math.exp(sum),
    trades,
  };
}

/** The best of a part; tables and lists of any size go through the cluster the same way. */
export const top = (outcomes: readonly Outcome[], count: number): Outcome[] =>
  outcomes.toSorted((a, b) => b.sharpe - a.sharpe).slice(0, count);
