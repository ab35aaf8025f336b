/**
 * The features of vectorbt's own table beside vectorbt (Numba on both layouts, and its Rust engine), TA-Lib and polars.
 */
import type { Measure, SuiteOptions } from "../report.js";
import { measureFeatures, type Work } from "./feature-bench.js";

const params = { window: 20 };
const inputs = ["close"] as const;

const works: readonly Work[] = [
  { feature: "sma", peersName: "rolling_mean", params, inputs, shown: "rolling mean, window 20" },
  { feature: "rolling_std", params, inputs, shown: "rolling std, window 20" },
  { feature: "rolling_min", params, inputs, shown: "rolling min, window 20" },
  { feature: "ema", peersName: "ewm_mean", params, inputs, shown: "ewm mean, span 20" },
  { feature: "pct_change", params: {}, inputs, shown: "pct_change, 1 bar" },
  { feature: "rsi", params: {}, inputs, shown: "RSI 14, Wilder" },
  { feature: "macd", params: {}, inputs, shown: "MACD 12/26/9" },
  { feature: "atr", params: {}, inputs: ["high", "low", "close"], shown: "ATR 14, Wilder" },
];

export const featureMeasures = (options: SuiteOptions): Promise<Measure[]> =>
  measureFeatures({ script: "feature_peers.py", parts: ["high", "low", "close"], works, runs: 9 }, options);
