/** Bars of symbols from drawn numbers, with what feeds do: gaps, missing opens and highs. */
import fc from "fast-check";
import type { Bar } from "./stops-oracle.js";

export const draws = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 300, maxLength: 500 });

/** Bars by symbol; gaps, missing opens and highs, weights every few bars. */
export function barsOf(numbers: readonly number[], symbols: number, count: number, short: boolean): Bar[][] {
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
