/** `panel.zscore` and `panel.demean`; with `group` they are the group-neutral forms. */
import { z } from "zod";
import { ddofOption } from "../features/options.js";
import { floats, sectionKernel } from "./wire.js";

export const finiteNulls = "Null, NaN and ±infinity are missing: left out, and null in the result.";

/** Two passes from the first value: exact where all are equal, and no digits are lost to a large mean. */
export function meanOf(values: Float64Array): number {
  const n = values.length;
  const first = values[0] as number;
  const mean = first + sumFrom(values, first) / n;
  return mean + sumFrom(values, mean) / n;
}

/** The sum of the differences from `origin`, in four sums side by side: one would wait for itself at every number. */
function sumFrom(values: Float64Array, origin: number): number {
  const n = values.length;
  const whole = n & ~3;
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < whole; i += 4) {
    a += (values[i] as number) - origin;
    b += (values[i + 1] as number) - origin;
    c += (values[i + 2] as number) - origin;
    d += (values[i + 3] as number) - origin;
  }
  for (let i = whole; i < n; i++) a += (values[i] as number) - origin;
  return a + b + (c + d);
}

/** Standard deviation about a mean; NaN if there are not more values than `ddof`. */
export function deviationOf(values: Float64Array, mean: number, ddof: number): number {
  const n = values.length;
  if (n <= ddof) return Number.NaN;
  let [squares, otherSquares, rest, otherRest] = [0, 0, 0, 0];
  for (let i = 0; i < n; i += 2) {
    const d = (values[i] as number) - mean;
    const e = i + 1 < n ? (values[i + 1] as number) - mean : 0;
    squares += d * d;
    otherSquares += e * e;
    rest += d;
    otherRest += e;
  }
  // What the mean's own rounding adds.
  const both = rest + otherRest;
  return Math.sqrt(Math.max(0, squares + otherSquares - (both * both) / n) / (n - ddof));
}

export function demean(values: Float64Array, out: Float64Array): void {
  const mean = meanOf(values);
  for (let i = 0; i < out.length; i++) out[i] = (values[i] as number) - mean;
}

export function zscore(values: Float64Array, out: Float64Array, ddof: number): void {
  const mean = meanOf(values);
  const deviation = deviationOf(values, mean, ddof);
  if (!(deviation > 0)) out.fill(Number.NaN);
  else for (let i = 0; i < out.length; i++) out[i] = ((values[i] as number) - mean) / deviation;
}

export const panelDemean = sectionKernel({
  name: "demean",
  doc: "Every value less the mean of its date (or group of a date).",
  nulls: finiteNulls,
  costNs: 15,
  as: "{column}",
  output: floats,
  parameters: z.strictObject({}),
  plan: () => ({ finite: true, run: ([values], out) => demean(values as Float64Array, out) }),
});

export const panelZscore = sectionKernel({
  name: "zscore",
  doc: "(value - mean) / standard deviation of its date (or group of a date). Null where all values are equal or there are no more than ddof.",
  nulls: finiteNulls,
  costNs: 15,
  as: "{column}",
  output: floats,
  parameters: z.strictObject({ ddof: ddofOption(1) }),
  plan: ({ ddof }) => ({ finite: true, run: ([values], out) => zscore(values as Float64Array, out, ddof) }),
});
