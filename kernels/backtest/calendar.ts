/**
 * When a portfolio is rebalanced: on the first bar of a period, so that the calendar of a bar never depends on the bars
 * after it.
 */
import { DataType, TimeUnit } from "apache-arrow";
import { z } from "zod";
import { dayOf } from "../columns/reading.js";
import type { Panel } from "./panel.js";

const isoDate = z
  .string()
  .refine((text) => text.length === 10 && dayOf(text) !== undefined, { error: "expected a date such as 2012-12-31" });

export const rebalanceOption = z
  .union([
    z.enum(["every-bar", "weekly", "monthly", "quarterly", "yearly"]),
    z.strictObject({
      bars: z.int().min(1).max(1_000_000).describe("Every so many dates of the table, from its first on."),
    }),
    z.strictObject({
      dates: z.array(isoDate).min(1).max(100_000).describe("On the first bar on or after each of these."),
    }),
  ])
  .default("every-bar")
  .describe(
    "At which closes the weights are read: every one, the first of each week (Monday on), month, quarter or year, every so many bars, or given dates. " +
      "Weights of other bars are not read; on a bar that is, a null weight leaves the position as it is.",
  );
export type Rebalance = z.output<typeof rebalanceOption>;

const dayMs = 86_400_000;

/** Days since 1970-01-01 of a time of the panel. */
function dayIn(panel: Panel): (time: number) => number {
  const { type } = panel.dates;
  if (!DataType.isTimestamp(type)) return (time) => time;
  const perDay =
    { [TimeUnit.SECOND]: 1, [TimeUnit.MILLISECOND]: 1e3, [TimeUnit.MICROSECOND]: 1e6, [TimeUnit.NANOSECOND]: 1e9 }[
      type.unit
    ] * 86_400;
  return (time) => Math.floor(time / perDay);
}

function periodOf(rebalance: Rebalance, day: number): number {
  if (rebalance === "weekly") return Math.floor((day + 3) / 7);
  const date = new Date(day * dayMs);
  const months = date.getUTCFullYear() * 12 + date.getUTCMonth();
  return rebalance === "monthly"
    ? months
    : rebalance === "quarterly"
      ? Math.floor(months / 3)
      : Math.floor(months / 12);
}

/** Times of the panel at whose close weights are read. */
export function rebalanceTimes(panel: Panel, rebalance: Rebalance): Set<number> {
  const times = Float64Array.from(new Set(panel.times)).sort();
  if (rebalance === "every-bar") return new Set(times);
  const dayAt = dayIn(panel);
  if (typeof rebalance === "object") {
    if ("bars" in rebalance) return new Set(times.filter((_, i) => i % rebalance.bars === 0));
    const wanted = rebalance.dates.map((date) => dayOf(date) as number).sort((a, b) => a - b);
    const found = wanted.map((day) => times.find((time) => dayAt(time) >= day));
    return new Set(found.filter((time) => time !== undefined));
  }
  return new Set(
    times.filter(
      (time, i) => i === 0 || periodOf(rebalance, dayAt(time)) !== periodOf(rebalance, dayAt(times[i - 1] as number)),
    ),
  );
}
