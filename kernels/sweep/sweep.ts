/**
 * The sweep kernels: a grid of parameters of one family over one table of prices; one task is one slice of the grid.
 */
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { defineKernel, tableArg } from "../kernel.js";
import { type Bars, barsOf, type SweepSettings, splitOf, sweepSettings } from "./bars.js";
import { simulateByTrades } from "./by-trades.js";
import { type Family, type FamilyName, familyOf, type Rule, shareOf } from "./families.js";
import { openAccount, type Statistics, statisticsOf } from "./simulate.js";
import { type Side, SweepRows } from "./table.js";

const combinationsMax = 1_000_000;
const window = z.number().int().min(1).max(100_000);
const level = z.number().min(0).max(100);
const axis = (values: z.ZodNumber) => z.array(values).min(1).max(10_000);

/**
 * Every combination of a grid slice in order (the last parameter fastest), without those that the family leaves out.
 */
export function combinationsOf(family: Family, grid: Readonly<Record<string, readonly number[]>>): number[][] {
  let rows: number[][] = [[]];
  for (const name of family.parameters) {
    const values = grid[name] as readonly number[];
    if (rows.length * values.length > combinationsMax)
      throw new VolleyError(
        "TOO_LARGE",
        `a slice of ${family.name} with more than ${combinationsMax} combinations; cut the grid into smaller tasks`,
      );
    rows = rows.flatMap((row) => values.map((value) => [...row, value]));
  }
  return rows.filter(family.allows);
}

/** Both sides of the split for one rule, the account carried across. */
export function bothSides(bars: Bars, rule: Rule, settings: SweepSettings, split: number): Record<Side, Statistics> {
  const account = openAccount(rule);
  const inside = simulateByTrades(bars, rule, settings, 1, split, account);
  const outside = simulateByTrades(bars, rule, settings, split, bars.close.length, account);
  return { In: statisticsOf(inside, settings.periodsPerYear), Out: statisticsOf(outside, settings.periodsPerYear) };
}

type Snake<F extends string> = F extends `${infer Head}-${infer Tail}` ? `${Head}_${Snake<Tail>}` : F;

/** The kernel of a family: `sweep.ma_cross` of "ma-cross". */
export const sweepKernelOf = <F extends FamilyName>(family: F): `sweep.${Snake<F>}` =>
  `sweep.${family.replaceAll("-", "_") as Snake<F>}`;

function defineSweep<const F extends FamilyName, N extends string>(name: F, axes: Record<N, z.ZodArray<z.ZodNumber>>) {
  // zod loses the names of the axes where they are a type parameter.
  const chunkSchema = z.strictObject(axes) as unknown as z.ZodType<
    Readonly<Record<N, readonly number[]>>,
    Readonly<Record<N, readonly number[]>>
  >;
  const family = familyOf(name);
  return defineKernel({
    name: sweepKernelOf(name),
    version: 1,
    formerly: [`sweep.${name}`],
    causality: "summary",
    doc: `${family.doc} Every combination of the slice, whole capital, filled at the next open with fees and slippage: one row each, in and out of sample.`,
    args: [
      ["prices", tableArg],
      ["chunk", chunkSchema],
      ["settings", sweepSettings],
    ],
    run: ({ prices, chunk, settings }) => {
      const bars = barsOf(prices);
      const split = splitOf(bars, settings);
      const share = shareOf();
      const rows = new SweepRows(family, combinationsOf(family, chunk));
      rows.parameters.forEach((parameters, row) =>
        rows.set(row, bothSides(bars, family.rule(bars, parameters, share), settings, split)),
      );
      return rows.table();
    },
  });
}

export const sweepMaCross = defineSweep("ma-cross", { fast: axis(window), slow: axis(window) });
export const sweepRsiReversion = defineSweep("rsi-reversion", {
  period: axis(window),
  lower: axis(level),
  upper: axis(level),
});
export const sweepChannelBreakout = defineSweep("channel-breakout", { entry: axis(window), exit: axis(window) });
