/** Every feature. Adding one is its declaration and its place in this list. */
import type { z } from "zod";
import { dema, ema, rma, sma, tema, wma } from "./averages.js";
import { cummax, cummin, cumprod, cumsum, diff, ffill, logReturn, pctChange, shift } from "./changes.js";
import type { Feature } from "./feature.js";
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

const all = [
  ...([sma, wma, ema, rma, dema, tema] as const),
  ...([rollingSum, rollingMean, rollingStd, rollingVar, rollingMin, rollingMax] as const),
  ...([rollingZscore, rollingSkew, rollingKurt, rollingMedian, rollingQuantile] as const),
  ...([rollingRank, rollingCorr, rollingCov, rollingBeta] as const),
  ...([pctChange, logReturn, diff, shift, cumsum, cumprod, cummax, cummin, ffill] as const),
  ...([rsi, macd, atr, bollinger, realizedVolatility, vwap, rollingVwap, volumePower] as const),
] as const;

export type FeatureName = (typeof all)[number]["name"];

/** By their names, with the types of their parameters: `feature.rsi.stream({ window: 14 })`. */
export const feature = Object.fromEntries(all.map((one) => [one.name, one])) as unknown as {
  readonly [F in (typeof all)[number] as F["name"]]: F;
};

/** What a caller writes for the parameters of a feature, without those of the wire. */
export type FeatureParameters<N extends FeatureName> = z.input<(typeof feature)[N]["parameters"]>;

export const features: readonly Feature[] = all as unknown as readonly Feature[];
