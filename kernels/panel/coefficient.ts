/** Information coefficients: the correlation of a factor with what came of it, over one date. */
import { Beginnings } from "./beginnings.js";
import { deviationOf, meanOf } from "./normalise.js";
import { ranksInto, Sorter } from "./order.js";

export type CorrelationMethod = "spearman" | "pearson";

/** Pearson's r; NaN where one of the two does not vary. */
export function pearson(x: Float64Array, y: Float64Array): number {
  const [mx, my] = [meanOf(x), meanOf(y)];
  const n = x.length;
  let [sxx, syy, sxy, oxx, oyy, oxy] = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < n; i += 2) {
    const dx = (x[i] as number) - mx;
    const dy = (y[i] as number) - my;
    const ex = i + 1 < n ? (x[i + 1] as number) - mx : 0;
    const ey = i + 1 < n ? (y[i + 1] as number) - my : 0;
    sxx += dx * dx;
    syy += dy * dy;
    sxy += dx * dy;
    oxx += ex * ex;
    oyy += ey * ey;
    oxy += ex * ey;
  }
  sxx += oxx;
  syy += oyy;
  sxy += oxy;
  if (!(sxx > 0 && syy > 0)) return Number.NaN;
  return Math.max(-1, Math.min(1, sxy / (Math.sqrt(sxx) * Math.sqrt(syy))));
}

/** Spearman is Pearson's r of the average ranks (scipy.stats.spearmanr). */
export function correlationOf(method: CorrelationMethod): (x: Float64Array, y: Float64Array) => number {
  if (method === "pearson") return pearson;
  const sorter = new Sorter();
  let [ofX, ofY] = [new Beginnings(new Float64Array(0)), new Beginnings(new Float64Array(0))];
  const ranks = (values: Float64Array, into: Beginnings<Float64Array>): Float64Array => {
    const { keys, places } = sorter.sort(values);
    const out = into.of(values.length);
    ranksInto(out, keys, places, "average");
    return out;
  };
  return (x, y) => {
    if (ofX.whole.length < x.length)
      [ofX, ofY] = [new Beginnings(new Float64Array(2 * x.length)), new Beginnings(new Float64Array(2 * x.length))];
    return pearson(ranks(x, ofX), ranks(y, ofY));
  };
}

export interface Summary {
  readonly n: number;
  readonly mean: number;
  /** ddof 1. */
  readonly std: number;
  /** mean / std: the information ratio, per date, not annualised. */
  readonly ir: number;
  /** mean / std * sqrt(n). */
  readonly t: number;
  /** Share of values above 0. */
  readonly hit: number;
}

/** Of the values that are present. */
export function summaryOf(values: Float64Array): Summary {
  const present = values.filter((value) => !Number.isNaN(value));
  const n = present.length;
  if (n === 0) return { n, mean: Number.NaN, std: Number.NaN, ir: Number.NaN, t: Number.NaN, hit: Number.NaN };
  const mean = meanOf(present);
  const std = deviationOf(present, mean, 1);
  const ir = std > 0 ? mean / std : Number.NaN;
  let above = 0;
  for (const value of present) if (value > 0) above++;
  return { n, mean, std, ir, t: ir * Math.sqrt(n), hit: above / n };
}
