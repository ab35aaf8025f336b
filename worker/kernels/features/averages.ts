/** Moving averages. */
import { z } from "zod";
import { defineFeature } from "./form.js";
import { gapsOption, minPeriodsFit, minPeriodsOption, recursiveNulls, seedOption, windowed, windowNulls, windowOption } from "./options.js";
import { openSmooth, pushSmooth, smoothRoom } from "./parts/smooth.js";
import { openSum, pushMean, sumRoom } from "./parts/window-sum.js";

const family = "Moving averages";

export const sma = defineFeature({
  name: "sma",
  version: 1,
  doc: "Simple moving average: the mean of the values in the window, in the unit of the value.",
  family,
  parameters: windowed({}),
  inputs: ["value"],
  outputs: ["sma"],
  lookback: ({ window }) => window - 1,
  nulls: windowNulls,
  costNs: 3,
  create: ({ window, minPeriods }) => {
    const state = new Float64Array(sumRoom(window));
    openSum(state, 0, window, minPeriods ?? window);
    return state;
  },
  run: (state, [value = new Float64Array(0)], from, to, [out = new Float64Array(0)]) => {
    for (let i = from; i < to; i++) out[i] = pushMean(state, 0, value[i] as number);
  },
  wasm: { exportName: "sma" },
});

const smoothing = z.strictObject({ window: windowOption, seed: seedOption, gaps: gapsOption, minPeriods: minPeriodsOption });

export const ema = defineFeature({
  name: "ema",
  version: 1,
  doc: "Exponential moving average with k = 2 / (window + 1), in the unit of the value.",
  family,
  parameters: smoothing.refine(minPeriodsFit, { path: ["minPeriods"], error: "minPeriods is above the window" }),
  inputs: ["value"],
  outputs: ["ema"],
  lookback: () => Number.POSITIVE_INFINITY,
  nulls: recursiveNulls,
  costNs: 4,
  create: ({ window, minPeriods, seed, gaps }) => {
    const state = new Float64Array(smoothRoom);
    openSmooth(state, 0, { k: 2 / (window + 1), seed, window, minPeriods: minPeriods ?? window, gaps });
    return state;
  },
  run: (state, [value = new Float64Array(0)], from, to, [out = new Float64Array(0)]) => {
    for (let i = from; i < to; i++) out[i] = pushSmooth(state, 0, value[i] as number);
  },
  wasm: { exportName: "ema" },
});
