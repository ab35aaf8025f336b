/**
 * The options of a backtest, each documented once: when orders fill, what they cost, how large they are, where stops
 * lie.
 */
import { z } from "zod";

const fraction = z.number().min(0).max(0.5);
const positive = z.number().positive().finite();
const cost = z.number().min(0).max(1e9);

const feeOptions = z.strictObject({
  fraction: fraction.default(0).describe("Of the traded value."),
  fixed: cost.default(0).describe("Of each order, in money."),
  perShare: cost.default(0).describe("Of each share, in money."),
  minimum: cost.default(0).describe("The least that an order costs, in money."),
});

const volumeLimit = z.number().positive().max(1);

const slippageOptions = z.discriminatedUnion("model", [
  z.strictObject({ model: z.literal("fraction"), fraction: fraction.default(0).describe("price · (1 ± fraction).") }),
  z.strictObject({
    model: z.literal("volume-share"),
    impact: z
      .number()
      .min(0)
      .max(10)
      .default(0.1)
      .describe("price · (1 ± impact · share²), share = size / the bar's volume (Zipline, LEAN)."),
    limit: volumeLimit.default(0.025).describe("Largest share of the bar's volume that one order takes."),
  }),
  z.strictObject({
    model: z.literal("square-root"),
    coefficient: z
      .number()
      .min(0)
      .max(10)
      .describe("price · (1 ± coefficient · √share): the market's constant (about 1) times the volatility of a bar."),
    limit: volumeLimit.default(1).describe("Largest share of the bar's volume that one order takes."),
  }),
]);

export const feesOption = z
  .union([fraction.transform((value) => ({ fraction: value, fixed: 0, perShare: 0, minimum: 0 })), feeOptions])
  .prefault({})
  .describe(
    "A fraction of the traded value, or { fraction, fixed, perShare, minimum }: max(minimum, value · fraction + fixed + size · perShare).",
  );

export const slippageOption = z
  .union([fraction.transform((value) => ({ model: "fraction" as const, fraction: value })), slippageOptions])
  .prefault(0)
  .describe(
    "A fraction of the price, or a model: fraction, volume-share, square-root. The last two read the column of volume.",
  );

export type Fees = z.output<typeof feesOption>;
export type Slippage = z.output<typeof slippageOption>;

export const fillOption = z
  .enum(["next-open", "next-close", "same-close"])
  .default("next-open")
  .describe(
    "Where an order decided at a bar's close fills: the next bar that has an open, the next that has a close, or that very close (vectorbt).",
  );
export type Fill = z.output<typeof fillOption>;

export const sizingOption = z
  .strictObject({
    by: z
      .enum(["percent", "value", "amount", "weight"])
      .describe(
        "percent: of the free cash, 1 = all of it; value: money; amount: shares; weight: of the account's value at the bar, before its first fill.",
      ),
    size: positive.describe("How much of it, > 0."),
  })
  .refine(({ by, size }) => by !== "percent" || size <= 1, {
    path: ["size"],
    error: "a percent is a fraction of the cash, at most 1",
  })
  .default({ by: "percent", size: 1 })
  .describe(
    "How large an entry is. Purchases never take more than the cash; a short sale by value, amount or weight is bounded by nothing.",
  );
export type Sizing = z.output<typeof sizingOption>;

export const directionOption = z
  .enum(["long", "short", "both"])
  .default("long")
  .describe(
    "What `entries` and `exits` mean where the table has no short columns: long, short, or both (an entry goes long, an exit goes short). " +
      "A table with `shortEntries` or `shortExits` names all four itself.",
  );
export type Direction = z.output<typeof directionOption>;

export const stopsOption = z
  .strictObject({
    stopLoss: z
      .number()
      .positive()
      .max(1)
      .optional()
      .describe("Out at entry · (1 - stopLoss); a short at entry · (1 + stopLoss)."),
    takeProfit: positive
      .max(1e6)
      .optional()
      .describe("Out at entry · (1 + takeProfit); a short at entry · (1 - takeProfit)."),
    trailing: z
      .number()
      .positive()
      .max(1)
      .optional()
      .describe(
        "Out at best · (1 - trailing), best = the highest high since the entry; a short at lowest low · (1 + trailing).",
      ),
  })
  .default({})
  .describe(
    "Distances from the price the position was entered at, slippage included; a target weight that adds to a position averages it by shares, one that reduces " +
      "it leaves it. Inside a bar: an open beyond a level fills at the open; else, of a stop and a " +
      "take-profit in one bar's range, the stop is taken to come first; the bar's high or low moves the trailing level only for the bars after it. " +
      "A bar whose fill opened the position at its open can stop it out; stops fill with slippage and fees. With same-close, what is decided on the bar of a stop is " +
      "not heard; what is out stays out until the next entry, or the next weight that is read.",
  );
export type Stops = z.output<typeof stopsOption>;

export const outputsOption = z
  .array(z.enum(["orders", "trades", "positions", "equity", "statistics"]))
  .min(1)
  .default(["orders", "trades", "equity", "statistics"])
  .describe(
    "Which tables to return; what is not asked for is not computed. orders: symbol, decided, date, side, cause, status, asked, size, price, fees, one row per order " +
      "whether it filled or not. trades: an order that reduces a position closes one, entered at the average price; what is held at the end is open, valued at " +
      "the last close. positions: size and value per bar. equity: cash, value, return per bar. statistics: one row per account.",
  );
export type Output = z.output<typeof outputsOption>[number];

export const splitsOption = z
  .enum(["shares", "adjusted"])
  .default("shares")
  .describe(
    "What the prices are. shares: as they were traded, so the bar of a split multiplies the shares held by the column `split`, and divides stop levels and the " +
      "last close known. adjusted: already adjusted for splits, so that column is not read. (Without it both mean the same.) Adjusted opens, highs, lows, " +
      "closes and volumes give the same values of the account as traded ones with the column; sizes and prices are then in the newest shares, so fees " +
      "per share, lots and sizing by amount differ.",
  );
export type Splits = z.output<typeof splitsOption>;

/** What both backtests take. */
export const commonOptions = {
  fill: fillOption,
  fees: feesOption,
  slippage: slippageOption,
  cash: z
    .number()
    .min(0)
    .max(1e15)
    .default(100)
    .describe("Cash of each account at the start: one account per symbol, or one for all of them with shared cash."),
  lot: positive
    .optional()
    .describe(
      "Sizes are rounded down to multiples of this, but for orders that close a position; default: fractions are traded.",
    ),
  periodsPerYear: positive.max(1_000_000).default(252).describe("Bars in a year, for annual statistics."),
  splits: splitsOption,
  stops: stopsOption,
  outputs: outputsOption,
};
export type CommonOptions = typeof commonOptions;

export const sharedCashOption = z
  .boolean()
  .describe("One account for all symbols. On one bar sales come before purchases, each in the order of symbols.");
