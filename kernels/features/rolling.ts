/** Statistics of a window of one column. */
import { z } from "zod";
import { defineFeature, type Feature } from "./feature.js";
import { ddofOption, windowed, windowNulls } from "./options.js";
import { extremeRoom, openExtreme, pushExtreme } from "./parts/window-extreme.js";
import { momentMean, momentsRoom, momentVariance, openMoments, pushMoments } from "./parts/window-moments.js";
import { excessKurtosis, openShape, pushShape, shapeRoom, skewness } from "./parts/window-shape.js";
import { openSum, pushMean, pushSum, sumRoom } from "./parts/window-sum.js";

const family = "Rolling statistics";
const plain = windowed({});
const withDdof = windowed({ ddof: ddofOption(1) });
const lookback = ({ window }: { window: number }): number => window - 1;

const openSums = ({ window, minPeriods }: z.output<typeof plain>): Float64Array => {
  const state = new Float64Array(sumRoom(window));
  openSum(state, 0, window, minPeriods ?? window);
  return state;
};

export const rollingSum = defineFeature({
  name: "rolling_sum",
  version: 1,
  doc: "Sum of the values in the window, compensated: within two units in the last place of the exact sum, after any number of bars.",
  family,
  parameters: plain,
  inputs: ["value"],
  outputs: ["sum"],
  lookback,
  nulls: windowNulls,
  costNs: 3,
  create: openSums,
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) out[i] = pushSum(state, 0, value[i] as number);
  },
  wasm: { exportName: "rolling_sum", loop: "sums", kind: "sum" },
});

export const rollingMean = defineFeature({
  name: "rolling_mean",
  version: 1,
  doc: "Mean of the values in the window; the same numbers as sma.",
  family,
  parameters: plain,
  inputs: ["value"],
  outputs: ["mean"],
  lookback,
  nulls: windowNulls,
  costNs: 3,
  create: openSums,
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) out[i] = pushMean(state, 0, value[i] as number);
  },
  wasm: { exportName: "sma", loop: "sums", kind: "mean" },
});

/** State: the moments, and behind them ddof. */
const openSpread = ({ window, minPeriods, ddof }: z.output<typeof withDdof>): Float64Array => {
  const state = new Float64Array(momentsRoom(window) + 1);
  openMoments(state, 0, window, minPeriods ?? window);
  state[state.length - 1] = ddof;
  return state;
};

export const rollingVar = defineFeature({
  name: "rolling_var",
  version: 1,
  doc: "Variance of the values in the window, in the square of the unit; exactly 0 where they are equal.",
  family,
  parameters: withDdof,
  inputs: ["value"],
  outputs: ["var"],
  lookback,
  nulls: windowNulls,
  costNs: 6,
  create: openSpread,
  run: (state, [value], from, to, [out]) => {
    const ddof = state[state.length - 1] as number;
    for (let i = from; i < to; i++)
      out[i] = pushMoments(state, 0, value[i] as number) ? momentVariance(state, 0, ddof) : Number.NaN;
  },
  wasm: { exportName: "rolling_var", loop: "moments", kind: "variance" },
});

export const rollingStd = defineFeature({
  name: "rolling_std",
  version: 1,
  doc: "Standard deviation of the values in the window, in the unit of the value; exactly 0 where they are equal.",
  family,
  parameters: withDdof,
  inputs: ["value"],
  outputs: ["std"],
  lookback,
  nulls: windowNulls,
  costNs: 7,
  create: openSpread,
  run: (state, [value], from, to, [out]) => {
    const ddof = state[state.length - 1] as number;
    for (let i = from; i < to; i++)
      out[i] = pushMoments(state, 0, value[i] as number) ? Math.sqrt(momentVariance(state, 0, ddof)) : Number.NaN;
  },
  wasm: { exportName: "rolling_std", loop: "moments", kind: "deviation" },
});

export const rollingZscore = defineFeature({
  name: "rolling_zscore",
  version: 1,
  doc: "(value - mean) / standard deviation of the window that ends with the value; null where nothing varies.",
  family,
  parameters: withDdof,
  inputs: ["value"],
  outputs: ["zscore"],
  lookback,
  nulls: `${windowNulls} A missing value has no z-score.`,
  costNs: 8,
  create: openSpread,
  run: (state, [value], from, to, [out]) => {
    const ddof = state[state.length - 1] as number;
    for (let i = from; i < to; i++) {
      const x = value[i] as number;
      const enough = pushMoments(state, 0, x);
      const deviation = Math.sqrt(momentVariance(state, 0, ddof));
      out[i] = enough && x - x === 0 && deviation > 0 ? (x - (state[momentMean] as number)) / deviation : Number.NaN;
    }
  },
  wasm: { exportName: "rolling_zscore", loop: "moments", kind: "zscore" },
});

function extreme<const N extends string>(name: N, output: "min" | "max", doc: string): Feature<typeof plain, N> {
  return defineFeature({
    name,
    version: 1,
    doc,
    family,
    parameters: plain,
    inputs: ["value"],
    outputs: [output],
    lookback,
    nulls: windowNulls,
    costNs: 3,
    create: ({ window, minPeriods }) => {
      const state = new Float64Array(extremeRoom(window));
      openExtreme(state, 0, window, minPeriods ?? window, output);
      return state;
    },
    run: (state, [value], from, to, [out]) => {
      for (let i = from; i < to; i++) out[i] = pushExtreme(state, 0, value[i] as number);
    },
    // One recurrence for both: the sign is in the state.
    wasm: { exportName: "rolling_extreme", loop: "extremes" },
  });
}

export const rollingMin = extreme("rolling_min", "min", "The smallest value in the window.");
export const rollingMax = extreme("rolling_max", "max", "The largest value in the window.");

const shaped = windowed({
  bias: z
    .boolean()
    .default(false)
    .describe(
      "false: corrected for the sample's size, G1 and G2 (pandas); true: the moments of the sample, g1 and g2 (polars, scipy).",
    ),
});

const openShaped = ({ window, minPeriods, bias }: z.output<typeof shaped>): Float64Array => {
  const state = new Float64Array(shapeRoom(window) + 1);
  openShape(state, 0, window, minPeriods ?? window);
  state[state.length - 1] = bias ? 0 : 1;
  return state;
};

export const rollingSkew = defineFeature({
  name: "rolling_skew",
  version: 1,
  doc: "Skewness of the values in the window; null where nothing varies, and below 3 values unless biased.",
  family,
  parameters: shaped,
  inputs: ["value"],
  outputs: ["skew"],
  lookback,
  nulls: windowNulls,
  costNs: 20,
  create: openShaped,
  run: (state, [value], from, to, [out]) => {
    const corrected = state[state.length - 1] === 1;
    for (let i = from; i < to; i++)
      out[i] = pushShape(state, 0, value[i] as number) ? skewness(state, 0, corrected) : Number.NaN;
  },
  wasm: { exportName: "rolling_skew", loop: "shapes", kind: "skew" },
});

export const rollingKurt = defineFeature({
  name: "rolling_kurt",
  version: 1,
  doc: "Excess kurtosis of the values in the window, 0 for a normal distribution; null where nothing varies, and below 4 values unless biased.",
  family,
  parameters: shaped,
  inputs: ["value"],
  outputs: ["kurt"],
  lookback,
  nulls: windowNulls,
  costNs: 20,
  create: openShaped,
  run: (state, [value], from, to, [out]) => {
    const corrected = state[state.length - 1] === 1;
    for (let i = from; i < to; i++)
      out[i] = pushShape(state, 0, value[i] as number) ? excessKurtosis(state, 0, corrected) : Number.NaN;
  },
  wasm: { exportName: "rolling_kurt", loop: "shapes", kind: "kurt" },
});
