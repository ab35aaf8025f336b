/**
 * Daily bars as the sweep kernels read them, and the settings every sweep shares.
 *
 * Prices are adjusted for splits and dividends throughout: where the table has `adjclose`, each bar's open, high, low
 * and close are multiplied by adjclose / close. Without that column the prices are taken as they are.
 */
import type { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import type { ColumnFact } from "../catalog/description.js";
import { dayColumn, dayOf, float64Column } from "../columns/reading.js";
import { History } from "./history.js";

/** What barsOf reads, for the declarations of kernels. */
export const priceColumns: readonly ColumnFact[] = [
  { name: "date", type: "date" },
  { name: "open", type: "number" },
  { name: "high", type: "number" },
  { name: "low", type: "number" },
  { name: "close", type: "number" },
  { name: "adjclose", type: "number", doc: "optional: prices are adjusted by it" },
];

export interface Bars {
  /** Days since 1970-01-01, strictly ascending. */
  readonly days: Int32Array;
  readonly open: Float64Array;
  readonly high: Float64Array;
  readonly low: Float64Array;
  readonly close: Float64Array;
  /** close / close of the bar before - 1; 0 at bar 0. */
  readonly returns: Float64Array;
  readonly history: History;
}

const isoDate = z
  .string()
  .refine((text) => text.length === 10 && dayOf(text) !== undefined, { error: "expected a date such as 2012-12-31" });

export const sweepSettings = z.strictObject({
  /** Fraction of the traded value, each way. */
  fees: z.number().min(0).max(0.5).default(0.001),
  /** Fraction of the price: a buy fills at open (1 + slippage), a sale at open (1 - slippage). */
  slippage: z.number().min(0).max(0.5).default(0.0005),
  /** The last day in sample; parameters are chosen on the bars up to it, and judged on those after it. */
  inSampleEnd: isoDate,
  periodsPerYear: z.number().positive().max(1_000_000).default(252),
});
export type SweepSettings = z.output<typeof sweepSettings>;

/** Fewer bars than this on a side give no statistic worth the name. */
const barsPerSideMin = 30;

/** Throws INVALID_ARGUMENT: a missing column, a null, a price that is not a positive number, days out of order. */
export function barsOf(prices: Table): Bars {
  const days = dayColumn(prices, "date");
  for (let i = 1; i < days.length; i++) {
    if ((days[i] as number) <= (days[i - 1] as number)) {
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `column "date" is not ascending: row ${i} (${isoOf(days[i] as number)}) does not come after row ${i - 1} (${isoOf(days[i - 1] as number)})`,
        { details: { column: "date", row: i } },
      );
    }
  }
  const raw = {
    open: positive(prices, "open"),
    high: positive(prices, "high"),
    low: positive(prices, "low"),
    close: positive(prices, "close"),
  };
  if (!prices.schema.fields.some((field) => field.name === "adjclose")) return { days, ...raw, ...pastOf(raw.close) };
  const adjusted = positive(prices, "adjclose");
  const factor = adjusted.map((value, i) => value / (raw.close[i] as number));
  const scale = (column: Float64Array): Float64Array => column.map((value, i) => value * (factor[i] as number));
  return {
    days,
    open: scale(raw.open),
    high: scale(raw.high),
    low: scale(raw.low),
    close: adjusted,
    ...pastOf(adjusted),
  };
}

function pastOf(close: Float64Array): Pick<Bars, "returns" | "history"> {
  const returns = close.map((value, i) => (i === 0 ? 0 : value / (close[i - 1] as number) - 1));
  return { returns, history: new History(close, returns) };
}

function positive(prices: Table, name: string): Float64Array {
  const values = float64Column(prices, name);
  const bad = values.findIndex((value) => !(value > 0 && value < Number.POSITIVE_INFINITY));
  if (bad >= 0)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `column ${JSON.stringify(name)} is ${values[bad]} in row ${bad}; a price must be a positive number`,
      {
        details: { column: name, row: bad },
      },
    );
  return values;
}

export const isoOf = (day: number): string => new Date(day * 86_400_000).toISOString().slice(0, 10);

/** The first bar out of sample. Throws INVALID_ARGUMENT if either side has too few bars. */
export function splitOf(bars: Bars, settings: SweepSettings): number {
  const last = dayOf(settings.inSampleEnd) as number;
  const { days } = bars;
  let split = 0;
  while (split < days.length && (days[split] as number) <= last) split++;
  if (split < barsPerSideMin || days.length - split < barsPerSideMin) {
    const have =
      days.length === 0
        ? "the table is empty"
        : `the table runs from ${isoOf(days[0] as number)} to ${isoOf(days.at(-1) as number)}`;
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `settings.inSampleEnd is ${settings.inSampleEnd}: it leaves ${split} bars in sample and ${days.length - split} out of it, at least ${barsPerSideMin} each are needed; ${have}`,
    );
  }
  return split;
}
