/** `panel.winsorize`. */
import { z } from "zod";
import { ddofOption } from "../features/options.js";
import { deviationOf, finiteNulls, meanOf } from "./normalise.js";
import { linearQuantile, Sorter } from "./order.js";
import { floats, type SectionRun, sectionKernel } from "./wire.js";

/** 1 / Φ⁻¹(3/4): the median absolute deviation of a normal distribution times this is its standard deviation. */
const normalConsistency = 1.482602218505602;

const tail = z.number().min(0).lt(1);

const parameters = z
  .strictObject({
    method: z
      .enum(["quantile", "count", "std", "mad"])
      .default("quantile")
      .describe(
        'The limits: "quantile" the linear-interpolated quantiles lower and 1 - upper (pandas clip); "count" the int(n lower) smallest and int(n upper) largest take the next value (scipy mstats.winsorize); "std" mean ± k standard deviations; "mad" median ± k median absolute deviations.',
      ),
    lower: tail.default(0.01).describe("Share of the lower tail (quantile, count)."),
    upper: tail.default(0.01).describe("Share of the upper tail (quantile, count)."),
    k: z.number().gt(0).default(3).describe("Width of the limits in deviations (std, mad)."),
    ddof: ddofOption(1),
    consistency: z
      .number()
      .gt(0)
      .default(normalConsistency)
      .describe("Factor of the median absolute deviation; the default makes it a standard deviation of normal values."),
  })
  .refine(({ lower, upper }) => lower + upper < 1, {
    path: ["upper"],
    error: "lower and upper together are not below 1",
  });

function clip(values: Float64Array, out: Float64Array, low: number, high: number): void {
  for (let i = 0; i < out.length; i++) {
    const value = values[i] as number;
    out[i] = Math.min(Math.max(value, low), high);
  }
}

function winsorizing({ method, lower, upper, k, ddof, consistency }: z.output<typeof parameters>): SectionRun {
  const sorter = new Sorter();
  if (method === "std")
    return ([values], out) => {
      const mean = meanOf(values as Float64Array);
      const width = k * deviationOf(values as Float64Array, mean, ddof);
      // One value has no deviation, and is no outlier.
      if (Number.isNaN(width)) out.set(values as Float64Array);
      else clip(values as Float64Array, out, mean - width, mean + width);
    };
  if (method === "mad")
    return ([values], out) => {
      const median = linearQuantile(sorter.sort(values as Float64Array).keys, 0.5);
      const deviations = (values as Float64Array).map((value) => Math.abs(value - median));
      const width = k * consistency * linearQuantile(sorter.sort(deviations).keys, 0.5);
      clip(values as Float64Array, out, median - width, median + width);
    };
  return ([values], out) => {
    const { keys } = sorter.sort(values as Float64Array);
    const n = keys.length;
    if (method === "quantile")
      clip(values as Float64Array, out, linearQuantile(keys, lower), linearQuantile(keys, 1 - upper));
    else
      clip(
        values as Float64Array,
        out,
        keys[Math.trunc(n * lower)] as number,
        keys[n - 1 - Math.trunc(n * upper)] as number,
      );
  };
}

export const panelWinsorize = sectionKernel({
  name: "winsorize",
  doc: "Values beyond the limits of their date (or group of a date) are moved to the limits.",
  nulls: finiteNulls,
  costNs: 40,
  as: "{column}",
  output: floats,
  parameters,
  plan: (params) => ({ finite: true, run: winsorizing(params) }),
});
