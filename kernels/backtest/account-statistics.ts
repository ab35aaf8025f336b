/**
 * What an account came to: the statistics of its values bar by bar, of its orders and of its trades. One row per
 * account.
 */
import { momentsOf } from "../statistics/moments.js";
import {
  calmarRatio,
  compoundAnnualGrowth,
  maxDrawdown,
  sharpeRatio,
  sortinoRatio,
  volatility,
} from "../statistics/returns.js";
import type { OrderLog } from "./order-log.js";
import type { TradeList } from "./trades.js";

export const accountStatistics = [
  "startValue",
  "endValue",
  "totalReturn",
  "cagr",
  "volatility",
  "sharpe",
  "sortino",
  "maxDrawdown",
  "calmar",
  "fees",
  "turnover",
  "winRate",
  "profitFactor",
] as const;
export const accountCounts = ["bars", "orders", "trades"] as const;
export type AccountStatistics = Record<
  (typeof accountStatistics)[number] | (typeof accountCounts)[number],
  Float64Array
>;

/** Simple returns of values, the first against `start`. */
export function returnsOf(values: Float64Array, start: number): Float64Array {
  const out = new Float64Array(values.length);
  let before = start;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    // An account with nothing in it has nothing to return.
    out[i] = before > 0 ? value / before - 1 : 0;
    before = value;
  }
  return out;
}

/** `values` gives the values of an account; `accountOf` the account of a symbol. */
export function statisticsOf(
  accounts: number,
  values: (account: number) => Float64Array,
  start: number,
  periodsPerYear: number,
  { log, trades, accountOf }: { log: OrderLog; trades: TradeList; accountOf: (symbol: number) => number },
): AccountStatistics {
  const columns = Object.fromEntries(
    [...accountStatistics, ...accountCounts].map((name) => [name, new Float64Array(accounts)]),
  ) as AccountStatistics;
  for (let a = 0; a < accounts; a++) {
    const series = values(a);
    const returns = returnsOf(series, start);
    const moments = momentsOf(returns);
    const end = series.at(-1) ?? start;
    const deepest = maxDrawdown(returns);
    const growth = compoundAnnualGrowth(end / start, series.length, periodsPerYear);
    columns.bars[a] = series.length;
    columns.startValue[a] = start;
    columns.endValue[a] = end;
    columns.totalReturn[a] = end / start - 1;
    columns.cagr[a] = growth;
    columns.volatility[a] = volatility(moments, periodsPerYear);
    columns.sharpe[a] = sharpeRatio(moments, periodsPerYear);
    columns.sortino[a] = sortinoRatio(returns, periodsPerYear);
    columns.maxDrawdown[a] = deepest;
    columns.calmar[a] = calmarRatio(growth, deepest);
    columns.turnover[a] = 0;
  }
  countOrders(columns, log, accountOf);
  for (let a = 0; a < accounts; a++) {
    const series = values(a);
    const mean = series.reduce((sum, value) => sum + value, 0) / series.length;
    columns.turnover[a] = ((columns.turnover[a] as number) / mean) * (periodsPerYear / series.length);
  }
  countTrades(columns, trades, accountOf);
  return columns;
}

/** Turnover is the value of purchases and sales over the mean value of the account, per year. */
function countOrders(columns: AccountStatistics, log: OrderLog, accountOf: (symbol: number) => number): void {
  const { orders, fees, turnover } = columns;
  for (let i = 0; i < log.count; i++) {
    const size = log.size[i] as number;
    if (log.side[i] === 0 || !(size > 0)) continue;
    const a = accountOf(log.symbol[i] as number);
    orders[a] = (orders[a] as number) + 1;
    fees[a] = (fees[a] as number) + (log.fees[i] as number);
    turnover[a] = (turnover[a] as number) + size * (log.price[i] as number);
  }
}

/** Closed trades only. Profit factor = gains / losses; null without a loss. */
function countTrades(columns: AccountStatistics, list: TradeList, accountOf: (symbol: number) => number): void {
  const accounts = columns.trades.length;
  const won = new Float64Array(accounts);
  const gains = new Float64Array(accounts);
  const losses = new Float64Array(accounts);
  for (let i = 0; i < list.count; i++) {
    if (list.closed[i] === 0) continue;
    const a = accountOf(list.symbol[i] as number);
    const pnl = list.pnl[i] as number;
    columns.trades[a] = (columns.trades[a] as number) + 1;
    if (pnl > 0) {
      won[a] = (won[a] as number) + 1;
      gains[a] = (gains[a] as number) + pnl;
    } else losses[a] = (losses[a] as number) - pnl;
  }
  for (let a = 0; a < accounts; a++) {
    const trades = columns.trades[a] as number;
    columns.winRate[a] = trades > 0 ? (won[a] as number) / trades : Number.NaN;
    columns.profitFactor[a] = (losses[a] as number) > 0 ? (gains[a] as number) / (losses[a] as number) : Number.NaN;
  }
}
