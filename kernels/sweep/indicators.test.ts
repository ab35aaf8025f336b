import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { barsOf } from "./bars.js";
import { extremeOfPrevious, simpleMovingAverage, wilderRsi } from "./indicators.js";
import { readOracle, realPrices } from "./testing/real-prices.js";

describe("indicators", () => {
  it("RSI is TA-Lib's, from the first output on", () => {
    const { close } = barsOf(realPrices());
    for (const [period, expected] of Object.entries(readOracle().rsi)) {
      const rsi = wilderRsi(close, Number(period));
      expect(rsi[Number(period) - 1]).toBeNaN();
      expected.forEach((value, i) =>
        expect(Math.abs((rsi[Number(period) + i] as number) - value), `RSI ${period} at ${i}`).toBeLessThan(1e-9),
      );
    }
  });

  it("RSI of a flat series is 0, as TA-Lib has it", () => {
    expect([...wilderRsi(new Float64Array(5).fill(7), 2)]).toEqual([Number.NaN, Number.NaN, 0, 0, 0]);
  });

  it("a moving average keeps its digits over 200,000 bars of large prices", () => {
    const values = Float64Array.from({ length: 200_000 }, (_, i) => 1e9 + ((i * 2654435761) % 1000) / 7);
    const average = simpleMovingAverage(values, 50);
    for (let i = 49; i < values.length; i += 997) {
      // Exact sum of the window in 1/2^20 units: every value is a float64 below 2^30, so scaled it is whole within 2^-2
      // units.
      let exact = 0n;
      for (let k = i - 49; k <= i; k++) exact += BigInt(Math.round((values[k] as number) * 2 ** 22));
      const mean = Number(exact / 50n) / 2 ** 22;
      expect(Math.abs((average[i] as number) - mean)).toBeLessThan(1e-6);
    }
  });

  it("extremes of the previous bars are what a search finds", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 }),
        fc.integer({ min: 1, max: 12 }),
        (values, window) => {
          const xs = Float64Array.from(values);
          const highest = extremeOfPrevious(xs, window, "highest");
          const lowest = extremeOfPrevious(xs, window, "lowest");
          xs.forEach((_, i) => {
            const previous = xs.slice(i - window, i);
            expect(highest[i]).toBe(i < window ? Number.NaN : Math.max(...previous));
            expect(lowest[i]).toBe(i < window ? Number.NaN : Math.min(...previous));
          });
        },
      ),
      { numRuns: casesPerKernel },
    );
  });
});
