/**
 * The features that vectorbt's own table (features.ts) does not have, beside TA-Lib, pandas, polars, vectorbt and
 * numpy.
 */
import type { Measure, SuiteOptions } from "../report.js";
import { measureFeatures, type Work } from "./feature-bench.js";

const window = 20;
const one = ["close"] as const;
const two = ["close", "other"] as const;

const works: readonly Work[] = [
  { feature: "wma", params: { window }, inputs: one, shown: "WMA 20" },
  { feature: "dema", params: { window }, inputs: one, shown: "DEMA 20" },
  { feature: "tema", params: { window }, inputs: one, shown: "TEMA 20" },
  { feature: "rolling_median", params: { window }, inputs: one, shown: "rolling median, window 20" },
  { feature: "rolling_quantile", params: { window, q: 0.25 }, inputs: one, shown: "rolling quantile 0.25, window 20" },
  { feature: "rolling_rank", params: { window }, inputs: one, shown: "rolling rank, window 20" },
  { feature: "rolling_skew", params: { window }, inputs: one, shown: "rolling skewness, window 20" },
  { feature: "rolling_kurt", params: { window }, inputs: one, shown: "rolling kurtosis, window 20" },
  { feature: "rolling_cov", params: { window }, inputs: two, shown: "rolling covariance, window 20" },
  { feature: "rolling_corr", params: { window }, inputs: two, shown: "rolling correlation, window 20" },
  { feature: "rolling_beta", params: { window }, inputs: two, shown: "rolling beta, window 20" },
  { feature: "log_return", params: {}, inputs: one, shown: "log return, 1 bar" },
  { feature: "shift", params: {}, inputs: one, shown: "shift, 1 bar" },
  { feature: "cumsum", params: {}, inputs: one, shown: "cumulative sum" },
  { feature: "cumprod", params: {}, inputs: ["growth"], shown: "cumulative product" },
  { feature: "cummax", params: {}, inputs: one, shown: "cumulative maximum" },
  { feature: "cummin", params: {}, inputs: one, shown: "cumulative minimum" },
  { feature: "ffill", params: {}, inputs: ["gaps"], shown: "ffill, a tenth missing" },
  {
    feature: "vwap",
    params: {},
    inputs: ["high", "low", "close", "volume", "none"],
    shown: "VWAP since the beginning",
  },
  {
    feature: "rolling_vwap",
    params: { window, price: "close" },
    inputs: ["high", "low", "close", "volume"],
    shown: "rolling VWAP, window 20",
  },
  { feature: "volume_power", params: { window }, inputs: ["buy", "sell"], shown: "volume power, window 20" },
  {
    feature: "realized_volatility",
    params: { window, periodsPerYear: 252 },
    inputs: one,
    shown: "realized volatility, window 20",
  },
];

export const moreFeatureMeasures = (options: SuiteOptions): Promise<Measure[]> =>
  measureFeatures(
    {
      script: "feature_more_peers.py",
      parts: ["high", "low", "close", "volume", "buy", "sell", "other", "gaps", "growth"],
      works,
      runs: 5,
    },
    options,
  );
