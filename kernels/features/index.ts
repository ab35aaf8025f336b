/** Every feature by its name. Adding one is its declaration and a line here. */
import type { z } from "zod";
import { dema, ema, rma, sma, tema, wma } from "./averages.js";
import { cummax, cummin, cumprod, cumsum, diff, ffill, logReturn, pctChange, shift } from "./changes.js";
import type { Feature } from "./form.js";
import { macd, rsi } from "./oscillators.js";
import {
  rollingKurt,
  rollingMax,
  rollingMean,
  rollingMin,
  rollingSkew,
  rollingStd,
  rollingSum,
  rollingVar,
  rollingZscore,
} from "./rolling.js";
import { rollingMedian, rollingQuantile, rollingRank } from "./rolling-order.js";
import { rollingBeta, rollingCorr, rollingCov } from "./rolling-pairs.js";
import { atr, bollinger, realizedVolatility } from "./volatility.js";
import { rollingVwap, volumePower, vwap } from "./volume.js";

/** With the types of their parameters: `feature.rsi.stream({ window: 14 })`. */
export const feature = {
  ...{ sma, wma, ema, rma, dema, tema },
  ...{
    rolling_sum: rollingSum,
    rolling_mean: rollingMean,
    rolling_std: rollingStd,
    rolling_var: rollingVar,
    rolling_min: rollingMin,
    rolling_max: rollingMax,
  },
  ...{
    rolling_zscore: rollingZscore,
    rolling_skew: rollingSkew,
    rolling_kurt: rollingKurt,
    rolling_median: rollingMedian,
    rolling_quantile: rollingQuantile,
  },
  ...{ rolling_rank: rollingRank, rolling_corr: rollingCorr, rolling_cov: rollingCov, rolling_beta: rollingBeta },
  ...{ pct_change: pctChange, log_return: logReturn, diff, shift, cumsum, cumprod, cummax, cummin, ffill },
  ...{
    rsi,
    macd,
    atr,
    bollinger,
    realized_volatility: realizedVolatility,
    vwap,
    rolling_vwap: rollingVwap,
    volume_power: volumePower,
  },
};

export type FeatureName = keyof typeof feature;
/** What a caller writes for the parameters of a feature, without those of the wire. */
export type FeatureParameters<N extends FeatureName> = z.input<(typeof feature)[N]["parameters"]>;

export const features: readonly Feature[] = Object.values(feature);
