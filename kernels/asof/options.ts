/** Parameters that all as-of joins share. */

import { z } from "zod";
import { columnName } from "../columns/column-name.js";

/** A column of one name on both sides, or of two names. */
export const pairedColumn = z
  .union([columnName, z.strictObject({ left: columnName, right: columnName })], {
    error: "expected a column name, or { left, right }",
  })
  .transform((given) => (typeof given === "string" ? { left: given, right: given } : given));

export type PairedColumn = z.output<typeof pairedColumn>;

export const byOption = z
  .union([pairedColumn.transform((one) => [one]), z.array(pairedColumn).max(100)], {
    error: "expected a column name, { left, right }, or a list of those",
  })
  .default([])
  .describe(
    "Columns that must be equal: text, integers, booleans, days, timestamps, or dictionaries of those. A null key matches nothing. Default: none.",
  );

export const outputOptions = {
  columns: z
    .array(columnName)
    .max(10_000)
    .optional()
    .describe("Columns of the right table to take; default: all but its by-keys."),
  keep: z.array(columnName).max(10_000).optional().describe("Columns of the left table that go through; default: all."),
  prefix: z.string().max(1_000).default("").describe("Put before the name of every column taken from the right table."),
  suffix: z
    .string()
    .max(1_000)
    .default("_right")
    .describe("Put behind the name of a column taken from the right table whose name the left table has too."),
  withCarry: z
    .boolean()
    .default(false)
    .describe(
      "Return { table, carry } instead of the table; carry goes to the next partition of the left table, which then continues where this one stopped.",
    ),
};

/** What of a join's parameters decides how its right table is prepared: all but those of the output. */
export const decidingText = (params: object): string =>
  JSON.stringify(params, (name, value: unknown) => (Object.hasOwn(outputOptions, name) ? undefined : value));

export type OutputOptions = Readonly<z.output<z.ZodObject<typeof outputOptions>>>;
