/** Options that several features share, each documented once. */
import { z } from "zod";

export type { Seed } from "./parts/smooth.js";

/** A million bars of minutes are ten years: enough for a window, and a bound on what a state may weigh. */
export const windowMax = 1_000_000;

export const bars = z.int().min(1).max(windowMax);
export const windowOption = bars.describe("Bars in the window, the current one included.");
export const minPeriodsOption = bars
  .optional()
  .describe("Values that must be present for an output; default: the window.");
export const seedOption = z
  .enum(["sma", "first", "adjust"])
  .default("sma")
  .describe(
    'Start: "sma" mean of the first window values (TA-Lib), "first" the first value (Metastock, TradingView), "adjust" normalised weights (pandas).',
  );
export const gapsOption = z
  .enum(["skip", "decay"])
  .default("skip")
  .describe(
    'A missing bar: "skip" as if it had not been (pandas ignore_na=True), "decay" the past loses weight (pandas ignore_na=False).',
  );
export const ddofOption = (value: 0 | 1) =>
  z.int().min(0).max(1).default(value).describe("Divisor n - ddof: 0 population, 1 sample.");

/** Strict parameters of a window with minPeriods, which may not be above it. */
export const windowed = <S extends z.ZodRawShape>(shape: S) =>
  z.strictObject({ window: windowOption, minPeriods: minPeriodsOption, ...shape }).refine(minPeriodsFit, {
    path: ["minPeriods"],
    error: "minPeriods is above the window: there would never be an output",
  });

export const minPeriodsFit = (params: Record<string, unknown>): boolean =>
  ((params.minPeriods as number | undefined) ?? 1) <= (params.window as number);

/** Null rules in words. */
export const windowNulls =
  "Null, NaN and ±infinity are missing and are left out of the window; null while fewer than minPeriods values are present.";
export const recursiveNulls =
  "Null, NaN and ±infinity are missing: they give null and leave the state as it was; null until the start is complete.";
export const pairNulls =
  "A bar counts if all its inputs are present; null while fewer than minPeriods such bars are in the window.";
