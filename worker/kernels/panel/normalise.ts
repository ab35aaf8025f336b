/** `panel.zscore` and `panel.demean`; with `group` they are the group-neutral forms. */
import { z } from "zod";
import { ddofOption } from "../features/options.js";
import { floats, sectionKernel } from "./wire.js";

export const finiteNulls = "Null, NaN and ±infinity are missing: left out, and null in the result.";

/** Two passes from the first value: exact where all are equal, and no digits are lost to a large mean. */
export function meanOf(values: Float64Array): number {
  const n = values.length;
  const first = values[0] as number;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += (values[i] as number) - first;
  const mean = first + sum / n;
  let rest = 0;
  for (let i = 0; i < n; i++) rest += (values[i] as number) - mean;
  return mean + rest / n;
}

/** Standard deviation about a mean; NaN if there are not more values than `ddof`. */
export function deviationOf(values: Float64Array, mean: number, ddof: number): number {
  const n = values.length;
  if (n <= ddof) return Number.NaN;
  let squares = 0;
  let rest = 0;
  for (let i = 0; i < n; i++) {
    const d = (values[i] as number) - mean;
    squares += d * d;
    rest += d;
  }
  // What the mean's own rounding adds.
  return Math.sqrt(Math.max(0, squares - (rest * rest) / n) / (n - ddof));
}

export function demean(values: Float64Array, out: Float64Array): void {
  const mean = meanOf(values);
  for (let i = 0; i < out.length; i++) out[i] = (values[i] as number) - mean;
}

export function zscore(values: Float64Array, out: Float64Array, ddof: number): void {
  const mean = meanOf(values);
  const deviation = deviationOf(values, mean, ddof);
  for (let i = 0; i < out.length; i++) out[i] = deviation > 0 ? ((values[i] as number) - mean) / deviation : Number.NaN;
}

export const panelDemean = sectionKernel({
  name: "demean",
  doc: "Every value less the mean of its date (or group of a date).",
  nulls: finiteNulls,
  costNs: 20,
  as: "{column}",
  output: floats,
  parameters: z.strictObject({}),
  plan: () => ({ finite: true, run: ([values], out) => demean(values as Float64Array, out) }),
});

export const panelZscore = sectionKernel({
  name: "zscore",
  doc: "(value - mean) / standard deviation of its date (or group of a date). Null where all values are equal or there are no more than ddof.",
  nulls: finiteNulls,
  costNs: 25,
  as: "{column}",
  output: floats,
  parameters: z.strictObject({ ddof: ddofOption(1) }),
  plan: ({ ddof }) => ({ finite: true, run: ([values], out) => zscore(values as Float64Array, out, ddof) }),
});
