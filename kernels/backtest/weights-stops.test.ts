/** Stops of target weights against a loop that follows the documented rule word by word. */
import type { Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { requireKernel } from "../registry.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { days, floats, type Series, tableOf, words } from "./testing/bars.js";
import { barsOf, draws } from "./testing/drawn-bars.js";
import { type Bar, Naive, type Order, type Rules } from "./testing/stops-oracle.js";

const run = (kernel: string, bars: Table, params: Record<string, unknown>): Record<string, Table> =>
  requireKernel(`backtest.${kernel}`, 1).run(bars, params) as Record<string, Table>;
const one = (columns: Record<string, Series>): Table =>
  tableOf(["A"], Object.fromEntries(Object.entries(columns).map(([name, series]) => [name, [series]])));

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
