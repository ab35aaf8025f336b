/**
 * Quarterly statements of one symbol: when a quarter ended, when it was published, what it said, and what was corrected
 * later.
 *
 * S1  A quarter's statement is published 30 to 60 days after its end; the annual one (December) by the last trading day
 * of April, and half of the
 *     symbols publish it on that very day.
 * S2  Publication is after the close: what is published on a day can be traded on the next.
 * S3  A part of the statements was wrong, and is corrected 60 to 200 days after it was published: a second version of
 * the same event. S4  Prices follow what is published, on the next trading day: they move with the equity that the
 * newest statement shows, so a correction that comes
 *     after the next quarter's statement moves nothing any more.
 */
import { type Calendar, dayOf, indexFrom } from "./calendar.js";
import { Stream } from "./random.js";

export interface Statement {
  /** Day of the quarter's end. */
  readonly event: number;
  /** Trading day after whose close it was published. */
  readonly known: number;
  /** Equity in currency. */
  readonly book: number;
  readonly earnings: number;
  /** 1 as first published, 2 corrected. */
  readonly version: number;
  /** Factor of the price on the trading day after. */
  readonly reaction: number;
}

const quarters = [
  [3, 31],
  [6, 30],
  [9, 30],
  [12, 31],
] as const;
const growthPerQuarter = 1.01;
const surprise = 0.05;
/** Of the annual statement: audits find more. */
const surpriseOfYear = 0.22;
const restatedShare = 0.3;
const restatement = 0.3;

/** Ascending by `known`. `book` is the equity at the start. */
export function statementsOf(
  seed: number,
  symbol: number,
  book: number,
  firstYear: number,
  years: number,
  calendar: Calendar,
): Statement[] {
  const random = new Stream(seed, "statements", symbol);
  const out: (Omit<Statement, "reaction"> & { readonly shown: number })[] = [];
  let equity = book;
  // Of equity at the start, without growth.
  let level = 1;
  for (let q = 0; q < (years + 1) * 4; q++) {
    const year = firstYear - 1 + Math.floor(q / 4);
    const [month, day] = quarters[q % 4] as readonly [number, number];
    const annual = q % 4 === 3;
    const at = q * 10;
    const news = within((annual ? surpriseOfYear : surprise) * random.normal(at));
    const before = equity;
    equity *= growthPerQuarter * (1 + news);
    level *= 1 + news;
    const event = dayOf(year, month, day);
    const publishedAt = annual
      ? annualDay(random, at, year + 1, firstYear, calendar)
      : indexFrom(calendar, event + random.whole(at + 1, 30, 60));
    const known = calendar.days[publishedAt];
    if (known === undefined) continue;
    const wrong = random.uniform(at + 2) < restatedShare;
    const error = wrong ? within(restatement * random.normal(at + 3)) : 0;
    const sent = equity * (1 + error);
    const earnings = equity - before;
    out.push({ event, known, book: sent, earnings: earnings + sent - equity, version: 1, shown: level * (1 + error) });
    if (!wrong) continue;
    const corrected = calendar.days[indexFrom(calendar, known + random.whole(at + 4, 60, 200))];
    if (corrected !== undefined)
      out.push({ event, known: corrected, book: equity, earnings, version: 2, shown: level });
  }
  return withReactions(out.sort((a, b) => a.known - b.known || a.event - b.event));
}

/** S4. */
function withReactions(sorted: readonly (Omit<Statement, "reaction"> & { readonly shown: number })[]): Statement[] {
  let newest = Number.NEGATIVE_INFINITY;
  let believed = 1;
  return sorted.map(({ shown, ...statement }) => {
    const counts = statement.event >= newest;
    const reaction = counts ? shown / believed : 1;
    if (counts) [newest, believed] = [statement.event, shown];
    return { ...statement, reaction };
  });
}

function annualDay(random: Stream, at: number, year: number, firstYear: number, calendar: Calendar): number {
  const deadline = calendar.deadlines[year - firstYear];
  if (deadline === undefined) return calendar.days.length;
  return random.uniform(at + 1) < 0.5
    ? deadline
    : Math.min(deadline, indexFrom(calendar, dayOf(year, 2, 15) + random.whole(at + 5, 0, 60)));
}

const within = (value: number): number => Math.max(-0.6, Math.min(0.6, value));
