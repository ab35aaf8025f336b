/**
 * The commonest run once more, as one loop without calls: accounts of their own, all the cash in and all of it out
 * again, long only, fees and slippage as fractions, no stops, splits or delistings. The same operations in the same
 * order as `Simulation` and `Book`, so the same bits; a test holds the two together. It is what a study of many symbols
 * spends its time in, and three times as fast.
 */
import type { OrderLog } from "./order-log.js";
import { Status } from "./order-log.js";
import type { Market, Plan, Run } from "./plan.js";

const entry = 1;
const exit = 2;
const dust = 1e-12;

/** Whether the run is of this kind; `union` is every flag that any bar has. */
export function isPlain(
  { split, delisted }: Market,
  { shared, costs, sizing, stops, flags }: Plan,
  union: number,
): boolean {
  const { fees, slippage, lot } = costs;
  return (
    flags !== undefined &&
    union <= (entry | exit) &&
    !shared &&
    !split &&
    !delisted &&
    lot === undefined &&
    slippage.model === "fraction" &&
    fees.perShare === 0 &&
    fees.minimum === 0 &&
    sizing.by === "percent" &&
    sizing.size === 1 &&
    stops.stopLoss === undefined &&
    stops.takeProfit === undefined &&
    stops.trailing === undefined
  );
}

/** `run.log` has room for an order per flag. */
export function runPlain(market: Market, plan: Plan, run: Run): Run {
  const { starts, symbols } = market.panel;
  let at = 0;
  for (let s = 0; s < symbols.length; s++) {
    const before = at;
    at = runSymbol(market, plan, run, s, starts[s] as number, starts[s + 1] as number, at);
    run.log.symbol.fill(s, before, at);
  }
  run.log.count = at;
  return run;
}

/** Bars [from, to) of symbol s; writes orders from `at` on and returns where they end. */
function runSymbol(market: Market, plan: Plan, run: Run, s: number, from: number, to: number, at: number): number {
  const { close } = market;
  const { fill, track, costs } = plan;
  const flags = plan.flags as Uint8Array;
  const { row: rows, decided, side, asked, size: sizes, price: prices, fees: paidFees } = run.log;
  const sameClose = fill === "same-close";
  const fillPrices = fill === "next-open" ? (market.open as Float64Array) : close;
  const { fraction, fixed } = costs.fees;
  const slip = costs.slippage.model === "fraction" ? costs.slippage.fraction : 0;
  let cash = plan.cash;
  let held = 0;
  let pending = 0;
  let since = 0;
  let last = Number.NaN;
  for (let row = from; row < to; row++) {
    const now = close[row] as number;
    const received = flags[row] as number;
    const act = sameClose ? received : pending;
    if (act !== 0) {
      const price = fillPrices[row] as number;
      if (price > 0) {
        pending = 0;
        if (act === entry && held === 0) {
          const paid = price * (1 + slip);
          const size = (cash - fixed) / (1 + fraction) / paid;
          rows[at] = row;
          decided[at] = sameClose ? row : since;
          side[at] = 1;
          asked[at] = Number.POSITIVE_INFINITY;
          if (size > dust) {
            sizes[at] = size;
            prices[at] = paid;
            paidFees[at] = cash - size * paid;
            held = size;
            cash = 0;
            at++;
          } else refuse(run.log, at++, Status.noCash);
        } else if (act === exit && held > 0) {
          const paid = price * (1 - slip);
          const value = held * paid;
          const fees = value * fraction + fixed;
          rows[at] = row;
          decided[at] = sameClose ? row : since;
          side[at] = -1;
          asked[at] = held;
          if (fees > value) refuse(run.log, at++, Status.feesAboveProceeds);
          else {
            sizes[at] = held;
            prices[at] = paid;
            paidFees[at] = fees;
            cash += value - fees;
            held = 0;
            at++;
          }
        }
      }
    }
    if (received !== 0 && !sameClose && now > 0) {
      pending = received;
      since = row;
    }
    if (now > 0) last = now;
    if (track) {
      const marked = held === 0 ? 0 : held * last;
      run.position[row] = held;
      run.marked[row] = marked;
      run.cash[row] = cash;
      run.value[row] = cash + marked;
    }
  }
  run.lastClose[s] = last;
  return at;
}

function refuse(log: OrderLog, at: number, status: number): void {
  log.status[at] = status;
  log.price[at] = Number.NaN;
  log.unpriced++;
}
