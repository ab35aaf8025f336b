/** Moving averages. */
import { z } from "zod";
import { defineFeature, type Feature } from "./feature.js";
import {
  gapsOption,
  minPeriodsFit,
  minPeriodsOption,
  recursiveNulls,
  type Seed,
  seedOption,
  windowed,
  windowNulls,
  windowOption,
} from "./options.js";
import { openSmooth, pushSmooth, smoothRoom } from "./parts/smooth.js";
import { linearRoom, openLinear, pushLinear } from "./parts/window-linear.js";
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
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) out[i] = pushMean(state, 0, value[i] as number);
  },
  wasm: { exportName: "sma", loop: "sums", kind: "mean" },
});

export const wma = defineFeature({
  name: "wma",
  version: 1,
  doc: "Linearly weighted moving average: weights 1, 2, … window from the oldest bar to the newest, divided by the sum of the weights of the values present.",
  family,
  parameters: windowed({}),
  inputs: ["value"],
  outputs: ["wma"],
  lookback: ({ window }) => window - 1,
  nulls: windowNulls,
  costNs: 5,
  create: ({ window, minPeriods }) => {
    const state = new Float64Array(linearRoom(window));
    openLinear(state, 0, window, minPeriods ?? window);
    return state;
  },
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) out[i] = pushLinear(state, 0, value[i] as number);
  },
  wasm: { exportName: "wma", loop: "linear" },
});

const smoothing = z
  .strictObject({ window: windowOption, seed: seedOption, gaps: gapsOption, minPeriods: minPeriodsOption })
  .refine(minPeriodsFit, { path: ["minPeriods"], error: "minPeriods is above the window" });

const forgetsNothing = (): number => Number.POSITIVE_INFINITY;

/** An average that is one smoothing with its own k. */
function exponential<const N extends string>(
  name: N,
  doc: string,
  kOf: (window: number) => number,
): Feature<typeof smoothing, N> {
  return defineFeature({
    name,
    version: 1,
    doc,
    family,
    parameters: smoothing,
    inputs: ["value"],
    outputs: [name],
    lookback: forgetsNothing,
    nulls: recursiveNulls,
    costNs: 4,
    create: ({ window, minPeriods, seed, gaps }) => {
      const state = new Float64Array(smoothRoom);
      openSmooth(state, 0, { k: kOf(window), seed, window, minPeriods: minPeriods ?? window, gaps });
      return state;
    },
    run: (state, [value], from, to, [out]) => {
      for (let i = from; i < to; i++)
        (out as Float64Array)[i] = pushSmooth(state, 0, (value as Float64Array)[i] as number);
    },
    // One recurrence for both: k is in the state.
    wasm: { exportName: "ema", loop: "recurrence", kind: "ema" },
  });
}

export const ema = exponential(
  "ema",
  "Exponential moving average with k = 2 / (window + 1), in the unit of the value.",
  (window) => 2 / (window + 1),
);
export const rma = exponential(
  "rma",
  "Wilder's moving average: exponential with k = 1 / window, in the unit of the value.",
  (window) => 1 / window,
);

const repeated = z.strictObject({ window: windowOption, seed: seedOption });

/**
 * State: 0 the bars from which outputs are given, 1 values so far, then the smoothings, each of the one before. By
 * default each is seeded by the first means of the one before, so the first output of n smoothings is at bar n ·
 * (window - 1); other seeds give output from bar window - 1.
 */
const repeatedHead = 2;
const stage = (index: number): number => repeatedHead + index * smoothRoom;

function openRepeated(stages: number, window: number, seed: Seed): Float64Array {
  const state = new Float64Array(stage(stages));
  state[0] = window;
  for (let i = 0; i < stages; i++) openSmooth(state, stage(i), { k: 2 / (window + 1), seed, window, minPeriods: 1 });
  return state;
}

/** Counts the value; false while outputs are withheld. */
function count(state: Float64Array): boolean {
  state[1] = (state[1] as number) + 1;
  return (state[1] as number) >= (state[0] as number);
}

export const dema = defineFeature({
  name: "dema",
  version: 1,
  doc: "Double exponential moving average, 2 · e1 - e2, where e2 is the EMA of e1.",
  family,
  parameters: repeated,
  inputs: ["value"],
  outputs: ["dema"],
  lookback: forgetsNothing,
  nulls: recursiveNulls,
  costNs: 9,
  create: ({ window, seed }) => openRepeated(2, window, seed),
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) {
      const x = value[i] as number;
      const e1 = pushSmooth(state, stage(0), x);
      const e2 = pushSmooth(state, stage(1), e1);
      out[i] = x - x === 0 && count(state) ? 2 * e1 - e2 : Number.NaN;
    }
  },
  wasm: { exportName: "dema", loop: "recurrence", kind: "dema" },
});

export const tema = defineFeature({
  name: "tema",
  version: 1,
  doc: "Triple exponential moving average, 3 · e1 - 3 · e2 + e3, where e2 is the EMA of e1 and e3 that of e2.",
  family,
  parameters: repeated,
  inputs: ["value"],
  outputs: ["tema"],
  lookback: forgetsNothing,
  nulls: recursiveNulls,
  costNs: 13,
  create: ({ window, seed }) => openRepeated(3, window, seed),
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) {
      const x = value[i] as number;
      const e1 = pushSmooth(state, stage(0), x);
      const e2 = pushSmooth(state, stage(1), e1);
      const e3 = pushSmooth(state, stage(2), e2);
      out[i] = x - x === 0 && count(state) ? 3 * (e1 - e2) + e3 : Number.NaN;
    }
  },
  wasm: { exportName: "tema", loop: "recurrence", kind: "tema" },
});
