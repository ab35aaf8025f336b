/**
 * The strategy families: their parameters, which combinations make sense, and the rule of a combination.
 *
 * Every rule has one form, so that one loop simulates them all: long from the close at which `enter[0] > enter[1]`
 * until the close at which `exit[0] < exit[1]`. A comparison with NaN (warm-up) is false: nothing happens.
 */
import { z } from "zod";
import type { Bars } from "./bars.js";
import { extremeOfPrevious, simpleMovingAverage, wilderRsi } from "./indicators.js";

export interface Rule {
  readonly enter: readonly [Float64Array, Float64Array];
  readonly exit: readonly [Float64Array, Float64Array];
}

/** Gives an indicator by its key, computing it at its first use: the sharing inside one task. */
export type Share = (key: string, make: () => Float64Array) => Float64Array;

export interface Family {
  readonly name: FamilyName;
  readonly doc: string;
  /** In the order of the table's columns. */
  readonly parameters: readonly string[];
  /** Combinations that are left out of a grid. */
  readonly allows: (parameters: readonly number[]) => boolean;
  readonly rule: (bars: Bars, parameters: readonly number[], share: Share) => Rule;
}

export const familyNames = ["ma-cross", "rsi-reversion", "channel-breakout", "buy-and-hold"] as const;
export type FamilyName = (typeof familyNames)[number];
export const familyName = z.enum(familyNames);

const constant = (bars: Bars, value: number, share: Share): Float64Array =>
  share(`constant ${value}`, () => new Float64Array(bars.close.length).fill(value));

const maCross: Family = {
  name: "ma-cross",
  doc: "Long from the close at which the fast simple moving average is above the slow one until the close at which it is below; fast < slow.",
  parameters: ["fast", "slow"],
  allows: ([fast = 0, slow = 0]) => fast < slow,
  rule: (bars, [fast = 0, slow = 0], share) => {
    const average = (window: number): Float64Array =>
      share(`average ${window}`, () => simpleMovingAverage(bars.close, window));
    const lines = [average(fast), average(slow)] as const;
    return { enter: lines, exit: lines };
  },
};

const rsiReversion: Family = {
  name: "rsi-reversion",
  doc: "Long from the close at which the RSI (Wilder, as TA-Lib) falls below `lower` until the close at which it is above `upper`; lower < upper.",
  parameters: ["period", "lower", "upper"],
  allows: ([, lower = 0, upper = 0]) => lower < upper,
  rule: (bars, [period = 0, lower = 0, upper = 0], share) => {
    const rsi = share(`rsi ${period}`, () => wilderRsi(bars.close, period));
    return { enter: [constant(bars, lower, share), rsi], exit: [constant(bars, upper, share), rsi] };
  },
};

const channelBreakout: Family = {
  name: "channel-breakout",
  doc: "Long from the close above the highest high of the previous `entry` bars until the close below the lowest low of the previous `exit` bars.",
  parameters: ["entry", "exit"],
  allows: () => true,
  rule: (bars, [entry = 0, exit = 0], share) => ({
    enter: [bars.close, share(`highest ${entry}`, () => extremeOfPrevious(bars.high, entry, "highest"))],
    exit: [bars.close, share(`lowest ${exit}`, () => extremeOfPrevious(bars.low, exit, "lowest"))],
  }),
};

const buyAndHold: Family = {
  name: "buy-and-hold",
  doc: "Long from the first close on: what every strategy is compared with.",
  parameters: [],
  allows: () => true,
  rule: (bars, _, share) => ({
    enter: [constant(bars, 1, share), constant(bars, 0, share)],
    exit: [constant(bars, 1, share), constant(bars, 0, share)],
  }),
};

const families: Readonly<Record<FamilyName, Family>> = {
  "ma-cross": maCross,
  "rsi-reversion": rsiReversion,
  "channel-breakout": channelBreakout,
  "buy-and-hold": buyAndHold,
};

export const familyOf = (name: FamilyName): Family => families[name];

/** A cache of indicators for one table of bars. */
export function shareOf(): Share {
  const made = new Map<string, Float64Array>();
  return (key, make) => {
    const found = made.get(key);
    if (found) return found;
    const values = make();
    made.set(key, values);
    return values;
  };
}
