/** Splits in traded prices against prices adjusted for them. */
import type { Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { requireKernel } from "../registry.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { floats, type Series, tableOf, words } from "./testing/bars.js";
import { barsOf, draws } from "./testing/drawn-bars.js";

const run = (kernel: string, bars: Table, params: Record<string, unknown>): Record<string, Table> =>
  requireKernel(`backtest.${kernel}`, 1).run(bars, params) as Record<string, Table>;
const one = (columns: Record<string, Series>): Table =>
  tableOf(["A"], Object.fromEntries(Object.entries(columns).map(([name, series]) => [name, [series]])));

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
