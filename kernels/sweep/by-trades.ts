/**
 * The same account as `simulate`, one trade at a time instead of one bar at a time: a bar costs the comparison that may
 * end or begin a position, and whatever happens while it is held is looked up in the market's history. `simulate` is
 * what it is tested against.
 */
import { momentsFromSums } from "../statistics/moments.js";
import type { Bars, SweepSettings } from "./bars.js";
import type { Rule } from "./families.js";
import type { Account, Outcome } from "./simulate.js";

/** The first bar in [from, to) where a > b, or `to`. False where either is NaN. */
function firstAbove(a: Float64Array, b: Float64Array, from: number, to: number): number {
  let i = from;
  while (i < to && !((a[i] as number) > (b[i] as number))) i++;
  return i;
}

/** Bars [from, to), from ≥ 1; `account` is carried from one period into the next. */
export function simulateByTrades(
  bars: Bars,
  rule: Rule,
  settings: SweepSettings,
  from: number,
  to: number,
  account: Account,
): Outcome {
  const { open, close, history } = bars;
  const { powers } = history;
  const [rising, above] = rule.enter;
  const [falling, below] = rule.exit;
  const keep = 1 - settings.fees;
  const spend = 1 + settings.fees;
  const buyFactor = 1 + settings.slippage;
  const sellFactor = 1 - settings.slippage;
  let { size, value, wantsLong } = account;
  const start = value;
  let peak = value;
  let deepest = 1;
  let trades = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let s4 = 0;
  let i = from;
  while (i < to) {
    let r: number;
    let summed = i;
    if (size === 0) {
      if (!wantsLong) {
        const signal = firstAbove(rising, above, i, to);
        wantsLong = signal < to;
        i = signal + 1;
        continue;
      }
      size = value / spend / ((open[i] as number) * buyFactor);
      const worth = size * (close[i] as number);
      r = worth / value - 1;
      summed = i + 1;
      trades++;
    } else if (wantsLong) r = 0;
    else {
      const cash = size * ((open[i] as number) * sellFactor) * keep;
      r = cash / value - 1;
      value = cash;
      size = 0;
      if (value > peak) peak = value;
      else deepest = Math.min(deepest, value / peak);
      wantsLong = (rising[i] as number) > (above[i] as number);
    }
    const r2 = r * r;
    s1 += r;
    s2 += r2;
    s3 += r2 * r;
    s4 += r2 * r2;
    if (size === 0) {
      i++;
      continue;
    }
    const signal = firstAbove(below, falling, i, to);
    const last = signal < to ? signal : to - 1;
    const a = 4 * summed;
    const b = 4 * (last + 1);
    s1 += (powers[b] as number) - (powers[a] as number);
    s2 += (powers[b + 1] as number) - (powers[a + 1] as number);
    s3 += (powers[b + 2] as number) - (powers[a + 2] as number);
    s4 += (powers[b + 3] as number) - (powers[a + 3] as number);
    history.look(i, last);
    deepest = Math.min(deepest, history.fall, (size * history.low) / peak);
    peak = Math.max(peak, size * history.high);
    value = size * (close[last] as number);
    wantsLong = signal === to;
    i = last + 1;
  }
  account.size = size;
  account.value = value;
  account.wantsLong = wantsLong;
  return {
    moments: momentsFromSums(to - from, s1, s2, s3, s4),
    growth: value / start,
    maxDrawdown: deepest - 1,
    trades,
  };
}
