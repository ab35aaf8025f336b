/**
 * A market from a seed: daily prices with volume and splits, delistings, statements with restatements, and one planted
 * effect.
 *
 * E1  At the close of the last trading day of April, of the symbols listed then, the fifth with the smallest market
 * value is "small"; of those,
 *     the third with the lowest price-to-book, by the newest statement known at that close, is "cheap". Until the same
 * day of the next
 *     year cheap small symbols drift up, so that they bring 1 + `effect` times as much.
 * E2  Small symbols fail at one rate, cheap or not: failing costs 50 to 90 per cent on the last day and ends the
 * symbol.
 */
import { VolleyError } from "../../proto/errors.js";
import { type Calendar, calendarOf } from "./calendar.js";
import { Stream } from "./random.js";
import { type Statement, statementsOf } from "./statements.js";

export interface MarketOptions {
  /** Whole number from 0. */
  readonly seed: number;
  readonly symbols: number;
  readonly years: number;
  /** Default 2004. */
  readonly firstYear?: number;
  /** What cheap small symbols earn more in a year, as a share. Default 0.1. */
  readonly effect?: number;
}

export interface SymbolHistory {
  readonly symbol: string;
  /** Indexes into the calendar's days: [listed, end). */
  readonly listed: number;
  readonly end: number;
  /** By a failure, not by the end of the data. */
  readonly failed: boolean;
  /** By day from `listed`. */
  readonly close: Float64Array;
  readonly volume: Float64Array;
  readonly shares: Float64Array;
  readonly splits: readonly { readonly day: number; readonly ratio: number }[];
  readonly statements: readonly Statement[];
}

export interface Market {
  readonly calendar: Calendar;
  readonly symbols: readonly SymbolHistory[];
  /** Names of the planted symbols by year. */
  readonly planted: readonly (readonly string[])[];
}

export const smallShare = 0.2;
export const cheapShare = 1 / 3;
const splitAbove = 120;
const failuresOfSmall = 0.07;
const failuresOfOthers = 0.02;

interface Living {
  readonly index: number;
  readonly symbol: string;
  readonly listed: number;
  readonly random: Stream;
  readonly beta: number;
  readonly statements: readonly Statement[];
  readonly close: number[];
  readonly volume: number[];
  readonly shares: number[];
  readonly splits: { day: number; ratio: number }[];
  /** Statements seen by the price so far. */
  seen: number;
  price: number;
  count: number;
  drift: number;
  failsAt: number;
  end: number | undefined;
}

/** Throws INVALID_ARGUMENT for sizes out of range. */
export function makeMarket(options: MarketOptions): Market {
  const { seed, symbols, years, firstYear = 2004, effect = 0.1 } = options;
  check("seed", seed, 0, Number.MAX_SAFE_INTEGER);
  check("symbols", symbols, 1, 20_000);
  check("years", years, 1, 60);
  check("firstYear", firstYear, 1971, 2100);
  if (symbols * years > 40_000)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `${symbols} symbols over ${years} years are ${symbols * years} symbol years; at most 40,000 are made at once`,
    );
  if (!(effect >= -0.5 && effect <= 0.5))
    throw new VolleyError("INVALID_ARGUMENT", `effect is ${effect}; expected from -0.5 to 0.5`);
  const calendar = calendarOf(firstYear, years);
  const all = Array.from({ length: symbols }, (_, index) => found(options, index, firstYear, calendar));
  const shared = new Stream(seed, "market");
  const planted: string[][] = [];
  for (let d = 0; d < calendar.days.length; d++) {
    const common = 0.0002 + 0.007 * shared.normal(d);
    for (const one of all) if (one.listed <= d && one.end === undefined) trade(one, d, common, calendar);
    if (calendar.deadlines.includes(d)) planted.push(plant(all, d, effect, calendar));
  }
  return { calendar, symbols: all.map((one) => history(one, calendar)), planted };
}

function check(name: string, value: number, from: number, to: number): void {
  if (!Number.isInteger(value) || value < from || value > to)
    throw new VolleyError("INVALID_ARGUMENT", `${name} is ${value}; expected a whole number from ${from} to ${to}`);
}

function found({ seed, years }: MarketOptions, index: number, firstYear: number, calendar: Calendar): Living {
  const random = new Stream(seed, "symbol", index);
  const of = (position: number): number => random.uniform(1_000_000 + position);
  // A product of uniforms spreads market values over three decades.
  const value = 2e7 * (1 + 9 * of(0)) * (1 + 9 * of(1)) * (1 + 9 * of(2));
  const priceToBook = 0.5 * (1 + 2 * of(3)) * (1 + 2 * of(4));
  const price = 8 + 60 * of(5);
  // A fifth of the symbols comes to the market later.
  const listed = of(6) < 0.2 ? Math.floor(of(7) * calendar.days.length * 0.8) : 0;
  const statements = statementsOf(seed, index, value / priceToBook, firstYear, years, calendar);
  return {
    index,
    symbol: `S${String(index).padStart(5, "0")}`,
    listed,
    random,
    beta: 0.7 + 0.6 * of(8),
    statements,
    close: [],
    volume: [],
    shares: [],
    splits: [],
    // What was known before the listing is in the first price.
    seen: statements.filter(({ known }) => known < (calendar.days[listed] as number)).length,
    price,
    count: Math.round(value / price),
    drift: 0,
    failsAt: -1,
    end: undefined,
  };
}

function trade(one: Living, d: number, common: number, calendar: Calendar): void {
  const { random, statements } = one;
  const today = calendar.days[d] as number;
  let news = 1;
  for (; one.seen < statements.length && (statements[one.seen] as Statement).known < today; one.seen++)
    news *= (statements[one.seen] as Statement).reaction;
  let factor = (1 + one.beta * common + 0.009 * random.normal(d) + one.drift) * news;
  if (d === one.failsAt) factor = 0.1 + 0.4 * random.uniform(2_000_000 + d);
  one.price *= factor;
  if (one.price > splitAbove && d !== one.failsAt) {
    const ratio = random.uniform(3_000_000 + d) < 0.7 ? 2 : 3;
    one.price /= ratio;
    one.count *= ratio;
    one.splits.push({ day: today, ratio });
  }
  // Prices are quoted in hundredths of a cent.
  one.price = Math.max(0.01, Math.round(one.price * 1e4) / 1e4);
  one.close.push(one.price);
  one.shares.push(one.count);
  one.volume.push(Math.round(one.count * 0.002 * (0.4 + 1.2 * random.uniform(4_000_000 + d)) * (news === 1 ? 1 : 3)));
  if (d === one.failsAt) one.end = d + 1;
}

/** E1, E2: who drifts, and who fails, until the next deadline. */
function plant(all: readonly Living[], d: number, effect: number, calendar: Calendar): string[] {
  const today = calendar.days[d] as number;
  const listed = all.filter((one) => one.listed <= d && one.end === undefined);
  const bySize = listed.toSorted((a, b) => a.price * a.count - b.price * b.count || a.index - b.index);
  const small = bySize.slice(0, Math.trunc(smallShare * bySize.length));
  const ratios = new Map(small.map((one) => [one, (one.price * one.count) / bookKnown(one, today)]));
  const valued = small.filter((one) => Number.isFinite(ratios.get(one)));
  valued.sort((a, b) => (ratios.get(a) as number) - (ratios.get(b) as number) || a.index - b.index);
  const cheap = new Set(valued.slice(0, Math.trunc(cheapShare * valued.length)));
  const isSmall = new Set(small);
  const next = calendar.deadlines.find((deadline) => deadline > d) ?? calendar.days.length;
  const drift = dailyDrift(effect, next - d);
  for (const one of listed) {
    one.drift = cheap.has(one) ? drift : 0;
    const fails = one.random.uniform(5_000_000 + d) < (isSmall.has(one) ? failuresOfSmall : failuresOfOthers);
    one.failsAt = fails && next > d + 2 ? d + 1 + Math.floor(one.random.uniform(6_000_000 + d) * (next - d - 2)) : -1;
  }
  return [...cheap].map((one) => one.symbol).sort();
}

/** x with (1 + x)^days = 1 + effect, by products alone: powers differ from machine to machine. */
function dailyDrift(effect: number, days: number): number {
  let [low, high] = [-0.1, 0.1];
  for (let i = 0; i < 60; i++) {
    const x = (low + high) / 2;
    let product = 1;
    for (let d = 0; d < days; d++) product *= 1 + x;
    if (product < 1 + effect) low = x;
    else high = x;
  }
  return (low + high) / 2;
}

/** Equity in the newest statement that was published before today's close; what is published after it is not known. */
function bookKnown({ statements }: Living, today: number): number {
  let best: Statement | undefined;
  for (const statement of statements)
    if (statement.known < today && (!best || statement.event >= best.event)) best = statement;
  return best?.book ?? Number.NaN;
}

function history(one: Living, calendar: Calendar): SymbolHistory {
  const { symbol, listed, splits } = one;
  const end = one.end ?? calendar.days.length;
  const last = calendar.days[end - 1] as number;
  return {
    symbol,
    listed,
    end,
    failed: one.end !== undefined,
    close: Float64Array.from(one.close),
    volume: Float64Array.from(one.volume),
    shares: Float64Array.from(one.shares),
    splits,
    statements: one.statements.filter(({ known }) => known <= last),
  };
}
