/**
 * Stops of target weights against a loop that follows the documented rule word by word; and splits against prices
 * adjusted for them.
 */
import type { Table } from "apache-arrow";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { casesPerKernel } from "../property-cases.js";
import { requireKernel } from "../registry.js";
import { days, floats, type Series, tableOf, words } from "./test-bars.js";

const run = (kernel: string, bars: Table, params: Record<string, unknown>): Record<string, Table> =>
  requireKernel(`backtest.${kernel}`, 1).run(bars, params) as Record<string, Table>;
const one = (columns: Record<string, Series>): Table =>
  tableOf(["A"], Object.fromEntries(Object.entries(columns).map(([name, series]) => [name, [series]])));

interface Bar {
  readonly open: number | null;
  readonly high: number | null;
  readonly low: number | null;
  readonly close: number | null;
  readonly weight: number | null;
}

interface Rules {
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

type Order = [bar: number, symbol: number, cause: string, shares: number, price: number];

/** One account for all symbols, one step after the other; long and short written out. */
class Naive {
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

const draws = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 300, maxLength: 500 });

/** Bars by symbol; gaps, missing opens and highs, weights every few bars. */
function barsOf(numbers: readonly number[], symbols: number, count: number, short: boolean): Bar[][] {
  let at = 0;
  const draw = (): number => (numbers[at++ % numbers.length] as number) / 2 ** 32;
  return Array.from({ length: symbols }, () => {
    let close = 10 + 50 * draw();
    return Array.from({ length: count }, () => {
      const open = close * (0.97 + 0.06 * draw());
      close = open * (0.93 + 0.14 * draw());
      const high = Math.max(open, close) * (1 + 0.03 * draw());
      const low = Math.min(open, close) * (1 - 0.03 * draw());
      // In thousandths: what is left of a position is then either nothing or no rounding.
      const share = (most: number): number => Math.round(1_000 * most * draw()) / 1_000;
      const weight =
        draw() < 0.35 ? [0, share(0.3), share(0.6), short ? -share(0.4) : 0.1][Math.floor(4 * draw())] : null;
      const [gap, partial] = [draw() < 0.05, draw() < 0.05];
      const shown = (value: number): number | null => (gap ? null : value);
      return {
        open: partial ? null : shown(open),
        high: partial ? null : shown(high),
        low: shown(low),
        close: shown(close),
        weight: weight ?? null,
      };
    });
  });
}

const fraction = (max: number): fc.Arbitrary<number | undefined> =>
  fc.option(fc.double({ min: 0.01, max, noNaN: true }), { nil: undefined });
const rules = fc.record({
  fill: fc.constantFrom("next-open", "next-close", "same-close"),
  fees: fc.constantFrom(0, 0.002),
  slippage: fc.constantFrom(0, 0.003),
  cash: fc.constantFrom(100, 1_000),
  stops: fc
    .record({ stopLoss: fraction(0.2), takeProfit: fraction(0.3), trailing: fraction(0.2) })
    .map((stops) => Object.fromEntries(Object.entries(stops).filter(([, value]) => value !== undefined))),
}) as fc.Arbitrary<Rules>;

describe("stops of target weights", () => {
  it("follow the rule in any market: causes, sizes, prices and values", () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(rules, draws, fc.integer({ min: 1, max: 3 }), fc.boolean(), (given, numbers, symbols, short) => {
        const count = 25;
        const bars = barsOf(numbers, symbols, count, short);
        const names = Array.from({ length: symbols }, (_, s) => `S${s}`);
        const column = (name: keyof Bar): (number | null)[][] => bars.map((series) => series.map((bar) => bar[name]));
        const table = tableOf(names, {
          open: column("open"),
          high: column("high"),
          low: column("low"),
          close: column("close"),
          weight: column("weight"),
        });
        const naive = new Naive(given, symbols);
        for (let i = 0; i < count; i++)
          naive.bar(
            i,
            bars.map((series) => series[i] as Bar),
          );
        const { orders, equity } = run("weights", table, {
          ...given,
          direction: short ? "both" : "long",
          outputs: ["orders", "equity"],
        }) as {
          orders: Table;
          equity: Table;
        };
        const [symbol, side, cause] = ["symbol", "side", "cause"].map((name) => words(orders, name)) as [
          string[],
          string[],
          string[],
        ];
        const [size, price] = [floats(orders, "size"), floats(orders, "price")];
        const ours = days(orders, "date").map((day, i): Order => {
          return [
            day,
            names.indexOf(symbol[i] as string),
            cause[i] as string,
            (side[i] === "buy" ? 1 : -1) * (size[i] as number),
            price[i] as number,
          ];
        });
        const filled = ours.filter(([, , , shares]) => shares !== 0);
        expect(filled.map(([day, s, why]) => [day, s, why])).toEqual(
          naive.orders.map(([day, s, why]) => [day, s, why]),
        );
        const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b), given.cash);
        filled.forEach(([, , why, shares, paid], i) => {
          const [, , , theirShares, theirPrice] = naive.orders[i] as Order;
          if (!near(shares, theirShares) || !near(paid, theirPrice))
            expect.fail(`order ${i} (${why}): ${shares} at ${paid}, not ${theirShares} at ${theirPrice}`);
          seen.set(why, (seen.get(why) ?? 0) + 1);
        });
        floats(equity, "value").forEach((value, i) => {
          if (!near(value, naive.values[i] as number)) expect.fail(`bar ${i}: worth ${value}, not ${naive.values[i]}`);
        });
      }),
      { numRuns: casesPerKernel },
    );
    for (const cause of ["rebalance", "stop-loss", "take-profit", "trailing"])
      expect(seen.get(cause), cause).toBeGreaterThan(500);
  });

  it("count from the average price of what is held", () => {
    const bars = one({
      open: [100, 100, 80, 80, 80],
      high: [100, 100, 80, 80, 80],
      low: [100, 100, 80, 80, 71],
      close: [100, 100, 80, 80, 80],
      weight: [0.5, 0.8, null, null, null],
    });
    // 0.5 at 100, then 0.8 of 90 at 80: 0.5 and 0.4 shares, entered at (0.5 · 100 + 0.4 · 80) / 0.9 = 91.1; a stop 20 %
    // below is 72.9.
    const { orders } = run("weights", bars, { cash: 100, fill: "next-open", stops: { stopLoss: 0.2 } }) as {
      orders: Table;
    };
    const rows = days(orders, "date").map((day, i) => [day, words(orders, "cause")[i], floats(orders, "price")[i]]);
    expect(rows.slice(0, 2)).toEqual([
      [1, "rebalance", 100],
      [2, "rebalance", 80],
    ]);
    expect(rows[2]?.slice(0, 2)).toEqual([4, "stop-loss"]);
    expect(rows[2]?.[2]).toBeCloseTo(((0.5 * 100 + 0.4 * 80) / 0.9) * 0.8, 12);
  });

  it("leave it out until the next weight that is read", () => {
    const flat = [100, 100, 100, 90, 100, 100];
    const bars = one({ open: flat, high: flat, low: flat, close: flat, weight: [1, null, null, null, 1, null] });
    const { orders } = run("weights", bars, { cash: 100, stops: { stopLoss: 0.05 } }) as { orders: Table };
    expect(days(orders, "date").map((day, i) => [day, words(orders, "side")[i], words(orders, "cause")[i]])).toEqual([
      [1, "buy", "rebalance"],
      [3, "sell", "stop-loss"],
      [5, "buy", "rebalance"],
    ]);
  });
});

describe("a target of nothing", () => {
  it("goes on being sold while the volume limits it; any other target is cut once", () => {
    const flat = new Array<number>(7).fill(10);
    const of = (weight: (number | null)[], volume: number[]): Table => one({ open: flat, close: flat, volume, weight });
    const params = { cash: 1_000, slippage: { model: "volume-share", limit: 0.1, impact: 0 } };
    const sizes = (bars: Table): number[] => [
      ...floats((run("weights", bars, params) as { orders: Table }).orders, "size"),
    ];
    expect(sizes(of([1, null, 0, null, null, null, null], [0, 1_000, 0, 400, 300, 0, 900]))).toEqual([
      100, 40, 30, 0, 30,
    ]);
    expect(sizes(of([1, null, 0.1, null, null, null, null], [0, 1_000, 0, 400, 300, 0, 900]))).toEqual([100, 40]);
  });
});

describe("a split", () => {
  const splitRuns = fc.record({
    fill: fc.constantFrom("next-open", "next-close", "same-close"),
    fees: fc.constantFrom(0, 0.003, { fraction: 0.001, fixed: 0.2 }),
    slippage: fc.constantFrom<unknown>(0, 0.002, { model: "volume-share" }),
    stops: fc.constantFrom({}, { stopLoss: 0.06 }, { trailing: 0.08, takeProfit: 0.1 }),
    sharedCash: fc.boolean(),
  });

  it("in traded prices with the column is worth what prices adjusted for it are, whatever else the table says of splits", () => {
    let splits = 0;
    fc.assert(
      fc.property(splitRuns, draws, fc.constantFrom("signals", "weights"), (params, numbers, kernel) => {
        const count = 25;
        const names = ["S0", "S1"];
        const bars = barsOf(numbers, 2, count, false);
        const draw = (i: number, s: number): number => (numbers[(7 * i + 13 * s) % numbers.length] as number) / 2 ** 32;
        // Powers of two: the adjusted prices are the traded ones to the last bit.
        const ratio = (i: number, s: number): number | null =>
          i > 0 && draw(i, s) < 0.12 ? ([2, 4, 0.5][i % 3] as number) : null;
        const factors = names.map((_, s) => {
          const all = new Array<number>(count).fill(1);
          for (let i = count - 2; i >= 0; i--) all[i] = (all[i + 1] as number) * (ratio(i + 1, s) ?? 1);
          return all;
        });
        const column = (name: "open" | "high" | "low" | "close", traded: boolean): (number | null)[][] =>
          bars.map((series, s) =>
            series.map((bar, i) =>
              bar[name] === null ? null : (bar[name] as number) * (traded ? (factors[s]?.[i] as number) : 1),
            ),
          );
        const volume = (traded: boolean): number[][] =>
          names.map((_, s) =>
            Array.from(
              { length: count },
              (_, i) => 1e3 * (1 + draw(i + 3, s)) * (traded ? 1 / (factors[s]?.[i] as number) : 1),
            ),
          );
        const decided =
          kernel === "weights"
            ? { weight: bars.map((series) => series.map(({ weight }) => weight)) }
            : {
                entries: names.map((_, s) => Array.from({ length: count }, (_, i) => (draw(i + 5, s) < 0.3 ? 1 : 0))),
                exits: names.map((_, s) => Array.from({ length: count }, (_, i) => (draw(i + 9, s) < 0.2 ? 1 : 0))),
              };
        const prices = (traded: boolean): Record<string, Series[]> => ({
          ...{
            open: column("open", traded),
            high: column("high", traded),
            low: column("low", traded),
            close: column("close", traded),
          },
          volume: volume(traded),
          ...decided,
        });
        const split = names.map((_, s) => Array.from({ length: count }, (_, i) => ratio(i, s)));
        const values = (table: Table, more: object): number[] => [
          ...floats(
            (run(kernel, table, { cash: 1_000, ...params, ...more, outputs: ["equity"] }) as { equity: Table }).equity,
            "value",
          ),
        ];
        const traded = tableOf(names, { ...prices(true), split });
        const adjusted = tableOf(names, prices(false));
        const adjustedWithColumn = tableOf(names, { ...prices(false), split });
        splits += split.flat().filter((value) => value !== null).length;
        const expected = values(adjusted, {});
        expect(values(adjustedWithColumn, { splits: "adjusted" })).toEqual(expected);
        values(traded, {}).forEach((value, i) => {
          if (!(Math.abs(value - (expected[i] as number)) <= 1e-9 * (expected[i] as number)))
            expect.fail(`value ${i}: ${value}, adjusted ${expected[i]}`);
        });
      }),
      { numRuns: casesPerKernel },
    );
    expect(splits).toBeGreaterThan(1_000);
  });

  it("moves the stop levels with it", () => {
    const bars = (split: (number | null)[], after: number): Table =>
      one({
        open: [10, 10, after],
        high: [10, 10, after],
        low: [10, 10, after],
        close: [10, 10, after],
        split,
        weight: [1, null, null],
      });
    const causes = (table: Table, more: object): string[] =>
      words((run("weights", table, { stops: { stopLoss: 0.1 }, ...more }) as { orders: Table }).orders, "cause");
    expect(causes(bars([null, null, 2], 5), {})).toEqual(["rebalance", "split"]);
    expect(causes(bars([null, null, 2], 4.4), {})).toEqual(["rebalance", "split", "stop-loss"]);
    // Read as adjusted, a fall by half is a fall by half.
    expect(causes(bars([null, null, 2], 5), { splits: "adjusted" })).toEqual(["rebalance", "stop-loss"]);
  });

  it("that is neither is refused", () => {
    const bars = one({ open: [1], close: [1], weight: [1] });
    expect(() => run("weights", bars, { splits: "both" })).toThrow(/backtest\.weights: params\.splits is "both"/);
    expect(() => run("weights", bars, { stops: { stopLoss: -1 } })).toThrow(
      /backtest\.weights: params\.stops\.stopLoss is -1/,
    );
  });
});
