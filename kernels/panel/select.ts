/** `panel.select`: the top or bottom of every cross-section. */
import { z } from "zod";
import { flagColumn } from "../columns/result-columns.js";
import { bucketerOf, meaningParameter } from "./buckets.js";
import { linearQuantile, Sorter } from "./order.js";
import { type SectionRun, sectionKernel } from "./wire.js";

const parameters = z
  .strictObject({
    side: z.enum(["top", "bottom"]).describe("The largest or the smallest values."),
    n: z
      .int()
      .min(1)
      .optional()
      .describe("How many; all, if there are fewer. Ties in the order of symbols. Either this or fraction."),
    fraction: z
      .number()
      .gt(0)
      .lt(1)
      .optional()
      .describe("Which share of the values, in the given meaning. Either this or n."),
    meaning: meaningParameter
      .optional()
      .describe(
        'What a fraction f is: "numpy-linear" values ≤ the linear-interpolated f quantile (top: ≥ that of 1 - f); "qcut" the first or last of 1/f buckets of pandas.qcut; "count" the int(f n) smallest or largest, ties in the order of symbols.',
      ),
    duplicates: z
      .enum(["error", "drop", "null"])
      .default("error")
      .describe('qcut: two equal cuts are an "error", are made one ("drop"), or nothing is selected ("null").'),
  })
  .refine(({ n, fraction }) => (n === undefined) !== (fraction === undefined), {
    path: ["n"],
    error: "give either n or fraction",
  })
  .refine(({ fraction, meaning }) => (fraction === undefined) === (meaning === undefined), {
    path: ["meaning"],
    error: "a fraction needs a meaning, and n has none",
  })
  .refine(
    ({ fraction = 0.5, meaning }) => meaning !== "qcut" || Math.abs(1 / fraction - Math.round(1 / fraction)) < 1e-9,
    {
      path: ["fraction"],
      error: "qcut needs a fraction that is 1 / n, as 0.2",
    },
  );

type Parameters = z.output<typeof parameters>;

function selection({ side, n, fraction = 0, meaning, duplicates }: Parameters): SectionRun {
  const sorter = new Sorter();
  if (meaning === "qcut") return lastOrFirstBucket(side, Math.round(1 / fraction), duplicates);
  if (meaning === "numpy-linear")
    return ([values], out) => {
      const cut = linearQuantile(sorter.sort(values as Float64Array).keys, side === "bottom" ? fraction : 1 - fraction);
      for (let i = 0; i < out.length; i++) {
        const value = (values as Float64Array)[i] as number;
        out[i] = (side === "bottom" ? value <= cut : value >= cut) ? 1 : 0;
      }
    };
  return ([values], out) => {
    const { places } = sorter.sort(values as Float64Array, side === "top");
    const count = Math.min(n ?? Math.trunc(fraction * places.length), places.length);
    out.fill(0);
    for (let i = 0; i < count; i++) out[places[i] as number] = 1;
  };
}

function lastOrFirstBucket(side: "top" | "bottom", buckets: number, duplicates: Parameters["duplicates"]): SectionRun {
  const bucketer = bucketerOf({ buckets, meaning: "qcut", duplicates });
  return ([values], out, fault) => {
    bucketer(values as Float64Array, out, fault);
    // Merged cuts make fewer buckets: the last is the one that is there.
    const wanted = side === "bottom" ? 1 : out.reduce((most, bucket) => Math.max(most, bucket), 1);
    for (let i = 0; i < out.length; i++) out[i] = out[i] === wanted ? 1 : 0;
  };
}

export const panelSelect = sectionKernel({
  name: "select",
  doc: "Whether a value is in the top or bottom of its date (or group of a date): the n largest or smallest, or a fraction in a named meaning.",
  nulls:
    "Null and NaN are missing: left out, and not selected. ±infinity is a number by n and by count; else missing too.",
  costNs: 40,
  as: "{column}_selected",
  output: { type: "boolean", column: flagColumn },
  parameters,
  plan: (params) => ({
    finite: params.meaning === "numpy-linear" || params.meaning === "qcut",
    run: selection(params),
  }),
});
