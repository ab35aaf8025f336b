/** Trade by trade against bar by bar, and the market's history against walking it. */

import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { casesPerKernel } from "../testing/property-cases.js";
import type { Bars } from "./bars.js";
import { simulateByTrades } from "./by-trades.js";
import type { Rule } from "./families.js";
import { History } from "./history.js";
import { openAccount, simulate } from "./simulate.js";

const closesOf = (moves: readonly number[]): Float64Array => {
  let price = 100;
  return Float64Array.from(moves, (move) => (price *= 1 + move / 1_000));
};
const moves = fc.array(fc.integer({ min: -80, max: 80 }), { minLength: 2, maxLength: 70 });

function barsOfMoves(drawn: readonly number[]): Bars {
  const close = closesOf(drawn);
  const returns = close.map((value, i) => (i === 0 ? 0 : value / (close[i - 1] as number) - 1));
  const open = close.map((value, i) => value * (1 + ((i * 37) % 11) / 1_000));
  return {
    days: new Int32Array(close.length),
    open,
    high: close,
    low: close,
    close,
    returns,
    history: new History(close, returns),
  };
}

describe("a market's history", () => {
  it("answers every run as walking it does", () => {
    fc.assert(
      fc.property(moves, (drawn) => {
        const { close, returns, history } = barsOfMoves(drawn);
        for (let first = 0; first < close.length; first += 3) {
          let high = 0;
          let fall = 1;
          const sums = [0, 0, 0, 0];
          for (let last = first; last < close.length; last++) {
            high = Math.max(high, close[last] as number);
            fall = Math.min(fall, (close[last] as number) / high);
            sums.forEach((_, k) => {
              sums[k] = (sums[k] as number) + (returns[last] as number) ** (k + 1);
            });
            history.look(first, last);
            expect(history.low).toBe(Math.min(...close.subarray(first, last + 1)));
            expect(history.high).toBe(high);
            expect(history.fall).toBe(fall);
            sums.forEach((sum, k) => {
              const looked = (history.powers[4 * (last + 1) + k] as number) - (history.powers[4 * first + k] as number);
              expect(Math.abs(looked - sum)).toBeLessThan(1e-14);
            });
          }
        }
      }),
      { numRuns: casesPerKernel },
    );
  });
});

describe("trade by trade", () => {
  const level = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 6 }) },
    { weight: 1, arbitrary: fc.constant(Number.NaN) },
  );

  it("comes to what bar by bar does, in both periods and in the account carried between them", () => {
    fc.assert(
      fc.property(
        moves,
        fc.array(fc.tuple(level, level, level, level), { minLength: 70, maxLength: 70 }),
        fc.integer({ min: 1, max: 69 }),
        fc.constantFrom({ fees: 0, slippage: 0 }, { fees: 0.01, slippage: 0.02 }),
        (drawn, levels, cut, costs) => {
          const bars = barsOfMoves(drawn);
          const count = bars.close.length;
          const line = (k: 0 | 1 | 2 | 3): Float64Array => Float64Array.from(levels.slice(0, count), (row) => row[k]);
          const rule: Rule = { enter: [line(0), line(1)], exit: [line(2), line(3)] };
          const settings = { ...costs, inSampleEnd: "2000-01-01", periodsPerYear: 252 };
          const split = Math.min(cut, count);
          const [walked, looked] = [openAccount(rule), openAccount(rule)];
          for (const [from, to] of [
            [1, split],
            [split, count],
          ] as const) {
            const a = simulate(bars, rule, settings, from, to, walked);
            const b = simulateByTrades(bars, rule, settings, from, to, looked);
            expect([b.trades, b.moments.count, looked.wantsLong, looked.size > 0]).toEqual([
              a.trades,
              a.moments.count,
              walked.wantsLong,
              walked.size > 0,
            ]);
            for (const [x, y] of [
              [a.growth, b.growth],
              [a.maxDrawdown, b.maxDrawdown],
              [a.moments.mean, b.moments.mean],
              [a.moments.m2, b.moments.m2],
              [a.moments.m3, b.moments.m3],
              [a.moments.m4, b.moments.m4],
              [walked.value, looked.value],
              [walked.size, looked.size],
            ] as const)
              expect(Math.abs(x - y)).toBeLessThanOrEqual(1e-13 * Math.max(1, Math.abs(x)));
          }
        },
      ),
      { numRuns: casesPerKernel },
    );
  });
});
