/** Every feature. Adding one is its declaration and a line here. */
import { dema, ema, rma, sma, tema, wma } from "./averages.js";
import { cummax, cummin, cumprod, cumsum, diff, ffill, logReturn, pctChange, shift } from "./changes.js";
import type { Feature } from "./form.js";
import { macd, rsi } from "./oscillators.js";
import { rollingKurt, rollingMax, rollingMean, rollingMin, rollingSkew, rollingStd, rollingSum, rollingVar, rollingZscore } from "./rolling.js";
import { rollingMedian, rollingQuantile, rollingRank } from "./rolling-order.js";
import { rollingBeta, rollingCorr, rollingCov } from "./rolling-pairs.js";
import { atr, bollinger, realizedVolatility } from "./volatility.js";
import { rollingVwap, volumePower, vwap } from "./volume.js";

export const features: readonly Feature[] = [
  ...[sma, wma, ema, rma, dema, tema],
  ...[rollingSum, rollingMean, rollingStd, rollingVar, rollingMin, rollingMax, rollingZscore, rollingSkew, rollingKurt],
  ...[rollingMedian, rollingQuantile, rollingRank, rollingCorr, rollingCov, rollingBeta],
  ...[pctChange, logReturn, diff, shift, cumsum, cumprod, cummax, cummin, ffill],
  ...[rsi, macd, atr, bollinger, realizedVolatility, vwap, rollingVwap, volumePower],
];
