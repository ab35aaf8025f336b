/**
 * From when something was published to when it can be traded on.
 *
 * In this order: a delay; a time of day after which a publication counts as the next day's; the sessions' opens, of
 * which it waits for the first that leaves enough time. Zipline's rule for fundamentals is `{ sessions: "open", leadMs:
 * 45 * 60_000 }`; "what is filed after the close is not visible that day" is `{ cutoff: "15:00", utcOffsetMinutes: 480
 * }`.
 */

import type { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { columnName } from "../columns/column-name.js";
import { columnFault, kinds, type NamedColumn, namedColumn, unsortedFault } from "../columns/named-column.js";
import { type Axis, axisOf, type Scale, ticksOf } from "../columns/time-axis.js";

const timeOfDay = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/;

export const publicationOptions = z
  .strictObject({
    delayMs: z.number().min(0).max(1e13).default(0).describe("Added to the knowledge time first, in milliseconds."),
    cutoff: z
      .string()
      .regex(timeOfDay, { error: 'expected a time of day such as "15:00"' })
      .optional()
      .describe(
        'Time of day such as "15:00": what is known later than this counts as known at the start (00:00) of the next day. Default: none.',
      ),
    utcOffsetMinutes: z
      .number()
      .int()
      .min(-1_440)
      .max(1_440)
      .default(0)
      .describe(
        "Of the clock that the cutoff is read on, east positive: 480 in Shanghai. Instants without a zone are UTC.",
      ),
    sessions: columnName
      .optional()
      .describe(
        "Column of the calendar table with the sessions' opens, ascending: what is known waits for the first open at or after it. Default: no waiting.",
      ),
    leadMs: z
      .number()
      .min(0)
      .max(1e10)
      .default(0)
      .describe("How long before an open something must be known to count at that open, in milliseconds."),
  })
  .prefault({});

export type Publication = z.output<typeof publicationOptions>;

/** A point in time as day and ticks within it. */
interface Moment {
  day: number;
  tick: number;
}

export const isImmediate = ({ delayMs, cutoff, sessions }: Publication): boolean =>
  delayMs === 0 && cutoff === undefined && sessions === undefined;

/**
 * When what was known at `known` can be used; NaN where never. Throws INVALID_ARGUMENT for times that are no instants,
 * or a calendar that is not sorted.
 */
export function visibleAxis(
  kernel: string,
  known: Axis,
  scale: Scale,
  publication: Publication,
  opens: NamedColumn | undefined,
): Axis {
  if (isImmediate(publication)) return known;
  if (scale.kind !== "instant")
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `${kernel}: params.publication needs dates or timestamps, but the times are of kind ${scale.kind}`,
      {
        details: { kernel, path: "params.publication" },
      },
    );
  const perDay = scale.base;
  const delay = ticksOf(publication.delayMs, scale);
  const cutoff = publication.cutoff === undefined ? undefined : ticksOf(msOf(publication.cutoff), scale);
  const offset = ticksOf(publication.utcOffsetMinutes * 60_000, scale);
  const sessions = opens && opensOf(opens, publication.leadMs, scale);
  const hi = new Float64Array(known.hi.length);
  const lo = new Float64Array(known.lo.length);
  const at: Moment = { day: 0, tick: 0 };
  for (let i = 0; i < hi.length; i++) {
    readMoment(known, i, scale, at);
    moveBy(at, delay, perDay);
    if (cutoff !== undefined) holdOver(at, cutoff, offset, perDay);
    sessions?.next(at);
    hi[i] = scale.wide ? at.day : at.day * perDay + at.tick;
    if (scale.wide) lo[i] = at.tick;
  }
  return { hi, lo, mayMiss: true };
}

/** The column that `sessions` names. Throws INVALID_ARGUMENT if it is missing, or there is no calendar. */
export function sessionsColumn(
  kernel: string,
  { sessions }: Publication,
  calendar: Table | undefined,
): NamedColumn | undefined {
  if (sessions === undefined) return undefined;
  if (calendar) return namedColumn(kernel, "calendar", calendar, sessions, `the opens of sessions: ${kinds.time}`);
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `${kernel}: params.publication.sessions is ${JSON.stringify(sessions)}, but there is no calendar argument`,
    {
      details: { kernel, path: "calendar" },
    },
  );
}

/** The same times, later (or earlier) by so many milliseconds. */
export function shiftedAxis(axis: Axis, scale: Scale, ms: number): Axis {
  const ticks = ticksOf(ms, scale);
  if (!scale.wide) return { hi: axis.hi.map((time) => time + ticks), lo: axis.lo, mayMiss: axis.mayMiss };
  const hi = axis.hi.slice();
  const lo = axis.lo.slice();
  const at: Moment = { day: 0, tick: 0 };
  for (let i = 0; i < hi.length; i++) {
    readMoment(axis, i, scale, at);
    moveBy(at, ticks, scale.base);
    hi[i] = at.day;
    lo[i] = at.tick;
  }
  return { hi, lo, mayMiss: axis.mayMiss };
}

function msOf(text: string): number {
  const [, hours, minutes, seconds = "0"] = timeOfDay.exec(text) as unknown as [string, string, string, string?];
  return (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
}

function readMoment({ hi, lo }: Axis, i: number, { wide, base }: Scale, at: Moment): void {
  const high = hi[i] as number;
  at.day = wide ? high : Math.floor(high / base);
  at.tick = wide ? (lo[i] as number) : high - at.day * base;
}

function moveBy(at: Moment, ticks: number, perDay: number): void {
  const sum = at.tick + ticks;
  const days = Math.floor(sum / perDay);
  at.day += days;
  at.tick = sum - days * perDay;
}

function holdOver(at: Moment, cutoff: number, offset: number, perDay: number): void {
  const local = at.tick + offset;
  const days = Math.floor(local / perDay);
  if (!(local - days * perDay > cutoff)) return;
  at.day += days + 1;
  at.tick = 0;
  moveBy(at, -offset, perDay);
}

interface Opens {
  /** Moves to the first open that is early enough; NaN if there is none. */
  next(at: Moment): void;
}

function opensOf(column: NamedColumn, leadMs: number, scale: Scale): Opens {
  const opens = axisOf(column, scale);
  const { wide, base } = scale;
  for (let i = 0; i < opens.hi.length; i++) {
    if (Number.isNaN(opens.hi[i]))
      throw columnFault(column, `is null in row ${i}; every session has an open`, { row: i });
    if (i > 0 && isBefore(opens, i, opens.hi[i - 1] as number, opens.lo[i - 1] ?? 0, wide))
      throw unsortedFault(column, i, i - 1);
  }
  const deadlines = shiftedAxis(opens, scale, -leadMs);
  return {
    next: (at) => {
      const high = wide ? at.day : at.day * base + at.tick;
      let from = 0;
      let to = opens.hi.length;
      while (from < to) {
        const middle = (from + to) >>> 1;
        if (isBefore(deadlines, middle, high, at.tick, wide)) from = middle + 1;
        else to = middle;
      }
      if (Number.isNaN(high) || from === opens.hi.length) at.day = at.tick = Number.NaN;
      else readMoment(opens, from, scale, at);
    },
  };
}

function isBefore({ hi, lo }: Axis, i: number, high: number, low: number, wide: boolean): boolean {
  const time = hi[i] as number;
  return time < high || (wide && time === high && (lo[i] as number) < low);
}
