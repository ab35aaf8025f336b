/** The documented rule of stops and target weights, word by word: a loop over bars, slow and plain. */

export interface Bar {
  readonly open: number | null;
  readonly high: number | null;
  readonly low: number | null;
  readonly close: number | null;
  readonly weight: number | null;
}

export interface Rules {
  readonly fill: "next-open" | "next-close" | "same-close";
  readonly fees: number;
  readonly slippage: number;
  readonly cash: number;
  readonly stops: { readonly stopLoss?: number; readonly takeProfit?: number; readonly trailing?: number };
}

interface Holding {
  shares: number;
  entry: number;
  best: number;
  last: number;
  wanted: number | null;
}

export type Order = [bar: number, symbol: number, cause: string, shares: number, price: number];

/** One account for all symbols, one step after the other; long and short written out. */
export class Naive {
  readonly orders: Order[] = [];
  readonly values: number[] = [];
  private cash: number;
  private readonly rules: Rules;
  private readonly held: Holding[];

  constructor(rules: Rules, symbols: number) {
    this.rules = rules;
    this.cash = rules.cash;
    this.held = Array.from({ length: symbols }, () => ({ shares: 0, entry: 0, best: 0, last: 0, wanted: null }));
  }

  bar(i: number, bars: readonly Bar[]): void {
    const { fill } = this.rules;
    if (fill === "next-open") this.rebalance(i, bars, "open");
    const stopped = bars.map((bar, s) => this.stop(i, s, bar));
    if (fill === "next-close") this.rebalance(i, bars, "close");
    bars.forEach(({ close, weight }, s) => {
      if (close !== null && weight !== null && !(fill === "same-close" && stopped[s]))
        (this.held[s] as Holding).wanted = weight;
    });
    if (fill === "same-close") this.rebalance(i, bars, "close");
    bars.forEach(({ close }, s) => {
      if (close !== null) (this.held[s] as Holding).last = close;
    });
    this.values.push(this.held.reduce((sum, { shares, last }) => sum + shares * last, this.cash));
  }

  private rebalance(i: number, bars: readonly Bar[], at: "open" | "close"): void {
    const value = this.held.reduce((sum, { shares, last }, s) => sum + shares * (bars[s]?.[at] ?? last), this.cash);
    for (const buying of [false, true])
      this.held.forEach((holding, s) => {
        const price = bars[s]?.[at] ?? null;
        if (holding.wanted === null || price === null) return;
        const change =
          holding.wanted === 0 ? -holding.shares : (holding.wanted * Math.max(0, value)) / price - holding.shares;
        if (change > 0 !== buying) return;
        holding.wanted = null;
        if (Math.abs(change) * price > 1e-12 * value) this.trade(i, s, "rebalance", change, price);
      });
  }

  private trade(i: number, s: number, cause: string, change: number, price: number): void {
    const { fees, slippage } = this.rules;
    const holding = this.held[s] as Holding;
    const paid = change > 0 ? price * (1 + slippage) : price * (1 - slippage);
    const shares = change > 0 ? Math.min(change, this.cash / (1 + fees) / paid) : change;
    if (Math.abs(shares) <= 1e-12) return;
    this.cash -= shares * paid + Math.abs(shares) * paid * fees;
    const before = holding.shares;
    const after = Math.abs(before + shares) < 1e-12 * Math.abs(shares) ? 0 : before + shares;
    holding.shares = after;
    this.orders.push([i, s, cause, shares, paid]);
    if (before === 0 || Math.sign(after) === -Math.sign(before)) {
      holding.entry = paid;
      holding.best = paid;
    } else if (Math.abs(after) > Math.abs(before)) {
      holding.entry = (before * holding.entry + shares * paid) / after;
      holding.best = after > 0 ? Math.max(holding.best, paid) : Math.min(holding.best, paid);
    }
  }

  /** Whether the bar stopped the position out. */
  private stop(i: number, s: number, bar: Bar): boolean {
    const holding = this.held[s] as Holding;
    const { shares, entry, best } = holding;
    if (shares === 0 || bar.close === null) return false;
    const open = bar.open ?? bar.close;
    const high = bar.high ?? Math.max(open, bar.close);
    const low = bar.low ?? Math.min(open, bar.close);
    const exit =
      shares > 0 ? this.longExit(entry, best, open, high, low) : this.shortExit(entry, best, open, high, low);
    if (exit) this.trade(i, s, exit[0], -shares, exit[1]);
    holding.best = shares > 0 ? Math.max(best, high) : Math.min(best, low);
    return exit !== undefined;
  }

  private longExit(entry: number, best: number, open: number, high: number, low: number): [string, number] | undefined {
    const { stopLoss, takeProfit, trailing } = this.rules.stops;
    const loss = stopLoss === undefined ? 0 : entry * (1 - stopLoss);
    const trail = trailing === undefined ? 0 : best * (1 - trailing);
    const level = Math.max(loss, trail);
    const target = takeProfit === undefined ? Infinity : entry * (1 + takeProfit);
    const cause = trail > loss ? "trailing" : "stop-loss";
    if (open <= level) return [cause, open];
    if (open >= target) return ["take-profit", open];
    if (low <= level) return [cause, level];
    return high >= target ? ["take-profit", target] : undefined;
  }

  private shortExit(
    entry: number,
    best: number,
    open: number,
    high: number,
    low: number,
  ): [string, number] | undefined {
    const { stopLoss, takeProfit, trailing } = this.rules.stops;
    const loss = stopLoss === undefined ? Infinity : entry * (1 + stopLoss);
    const trail = trailing === undefined ? Infinity : best * (1 + trailing);
    const level = Math.min(loss, trail);
    const target = takeProfit === undefined ? 0 : entry * (1 - takeProfit);
    const cause = trail < loss ? "trailing" : "stop-loss";
    if (open >= level) return [cause, open];
    if (open <= target) return ["take-profit", open];
    if (high >= level) return [cause, level];
    return low <= target ? ["take-profit", target] : undefined;
  }
}
