/** Orders, trades and values against vectorbt and the slow oracle (bench/peers/backtest_fixtures.py). */
import type { Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { requireKernel } from "../registry.js";
import { type Case, days, floats, readFixture, tableOfCase, words } from "./testing/bars.js";

const fixture = readFixture();
const outputs = ["orders", "trades", "equity", "statistics"];
const tolerance = 1e-9;

function expectClose(actual: readonly number[], expected: readonly number[], what: string): void {
  expect(actual.length, what).toBe(expected.length);
  actual.forEach((value, i) => {
    const want = expected[i] as number;
    if (!(Math.abs(value - want) <= tolerance * Math.max(1, Math.abs(want))))
      expect.fail(`${what}, field ${i}: ${value}, the peer has ${want}`);
  });
}

const runCase = (one: Case): Record<string, Table> =>
  requireKernel(one.kernel, 1).run(tableOfCase(fixture, one), { ...one.params, outputs }) as Record<string, Table>;

/** What filled, by symbol, then time. */
function filled(orders: Table): number[][] {
  const symbols = words(orders, "symbol").map((symbol) => fixture.symbols.indexOf(symbol));
  const bars = days(orders, "date");
  const sides = words(orders, "side").map((side) => (side === "buy" ? 1 : side === "sell" ? -1 : 0));
  const [size, price, fees] = ["size", "price", "fees"].map((name) => floats(orders, name)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  return symbols
    .map((symbol, i) => [symbol, bars[i], sides[i], size[i], price[i], fees[i]] as number[])
    .filter((row) => row[2] !== 0 && (row[3] as number) > 0)
    .sort(bySymbolAndTime);
}

const bySymbolAndTime = (a: number[], b: number[]): number =>
  (a[0] as number) - (b[0] as number) || (a[1] as number) - (b[1] as number);

describe("the same bars through the kernel and through a peer", () => {
  it("has cases of both peers with orders in each", () => {
    expect(new Set(fixture.cases.map(({ peer }) => peer))).toEqual(new Set(["vectorbt", "oracle"]));
    for (const { name, orders } of fixture.cases) expect(orders.length, name).toBeGreaterThan(15);
  });

  for (const one of fixture.cases) {
    it(`${one.name} (${one.peer}): orders and values agree to 1e-9`, () => {
      const { orders, equity } = runCase(one) as { orders: Table; equity: Table };
      const actual = filled(orders);
      const expected = [...one.orders].sort(bySymbolAndTime);
      expected.forEach((row, i) => {
        expectClose(actual[i] ?? [], row, `order ${i}`);
      });
      expect(actual.length).toBe(expected.length);
      const value = floats(equity, "value");
      one.value.forEach((series, account) => {
        expectClose(
          [...value.subarray(account * series.length, (account + 1) * series.length)],
          series,
          `value of account ${account}`,
        );
      });
    });
  }

  for (const one of fixture.cases.filter(({ trades }) => trades)) {
    it(`${one.name}: trades agree to 1e-9`, () => {
      const { trades } = runCase(one) as { trades: Table };
      const column = (name: string): Float64Array => floats(trades, name);
      const [size, entry, exit, pnl] = ["size", "entryPrice", "exitPrice", "pnl"].map(column) as [
        Float64Array,
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      const bars = [days(trades, "entryDate"), days(trades, "exitDate")] as const;
      const rows = words(trades, "symbol").map((symbol, i) => [
        fixture.symbols.indexOf(symbol),
        bars[0][i],
        bars[1][i],
        words(trades, "side")[i] === "long" ? 1 : -1,
        trades.getChild("closed")?.get(i) ? 1 : 0,
        size[i],
        entry[i],
        exit[i],
        pnl[i],
      ]) as number[][];
      const byExit = (a: number[], b: number[]): number =>
        (a[0] as number) - (b[0] as number) ||
        (a[2] as number) - (b[2] as number) ||
        (b[4] as number) - (a[4] as number);
      const expected = [...(one.trades as number[][])].sort(byExit);
      rows.sort(byExit);
      expect(rows.length).toBe(expected.length);
      rows.forEach((row, i) => {
        expectClose(row, expected[i] as number[], `trade ${i}`);
      });
    });
  }
});
