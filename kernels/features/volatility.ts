/** Ranges and volatility. */
import { z } from "zod";
import { logarithm } from "../arithmetic/logarithm.js";
import { defineFeature } from "./feature.js";
import {
  ddofOption,
  minPeriodsFit,
  minPeriodsOption,
  recursiveNulls,
  windowed,
  windowNulls,
  windowOption,
} from "./options.js";
import { openRange, pushRange, rangeRoom } from "./parts/true-range.js";
import { momentMean, momentsRoom, momentVariance, openMoments, pushMoments } from "./parts/window-moments.js";

const family = "Volatility";

export const atr = defineFeature({
  name: "atr",
  version: 1,
  doc: "Average true range, in the unit of the prices.",
  family,
  parameters: z.strictObject({
    window: windowOption.default(14),
    smoothing: z
      .enum(["wilder", "sma"])
      .default("wilder")
      .describe(
        '"wilder": seeded by the mean of the first ranges (TA-Lib); "sma": mean of the last ranges (vectorbt).',
      ),
    firstRange: z
      .enum(["skip", "high-low"])
      .default("skip")
      .describe(
        'The first bar has no close before it: "skip", first output at bar `window` (TA-Lib); "high-low", one bar earlier (vectorbt, TradingView).',
      ),
  }),
  inputs: ["high", "low", "close"],
  outputs: ["atr"],
  lookback: ({ window, smoothing }) => (smoothing === "sma" ? window : Number.POSITIVE_INFINITY),
  nulls: `${recursiveNulls} A bar is missing if one of its prices is.`,
  costNs: 7,
  create: (params) => {
    const state = new Float64Array(rangeRoom(params));
    openRange(state, 0, params);
    return state;
  },
  run: (state, [high, low, close], from, to, [out]) => {
    for (let i = from; i < to; i++)
      out[i] = pushRange(state, 0, high[i] as number, low[i] as number, close[i] as number);
  },
  wasm: { exportName: "atr", loop: "recurrence", kind: "atr" },
});

export const bollinger = defineFeature({
  name: "bollinger",
  version: 1,
  doc: "Bollinger bands: the mean of the window, and the mean plus and minus `deviations` standard deviations, in the unit of the value.",
  family,
  parameters: z
    .strictObject({
      window: windowOption.default(20),
      minPeriods: minPeriodsOption,
      deviations: z.number().min(0).max(1_000).default(2).describe("Distance of the bands in standard deviations."),
      ddof: ddofOption(0),
    })
    .refine(minPeriodsFit, {
      path: ["minPeriods"],
      error: "minPeriods is above the window: there would never be an output",
    }),
  inputs: ["value"],
  outputs: ["upper", "middle", "lower"],
  lookback: ({ window }) => window - 1,
  nulls: windowNulls,
  costNs: 8,
  /** State: the moments, and behind them ddof and deviations. */
  create: ({ window, minPeriods, deviations, ddof }) => {
    const room = momentsRoom(window);
    const state = new Float64Array(room + 2);
    openMoments(state, 0, window, minPeriods ?? window);
    state[room] = ddof;
    state[room + 1] = deviations;
    return state;
  },
  run: (state, [value], from, to, [upper, middle, lower]) => {
    const ddof = state[state.length - 2] as number;
    const deviations = state[state.length - 1] as number;
    for (let i = from; i < to; i++) {
      const enough = pushMoments(state, 0, value[i] as number);
      const mean = enough ? (state[momentMean] as number) : Number.NaN;
      const distance = deviations * Math.sqrt(momentVariance(state, 0, ddof));
      upper[i] = mean + distance;
      middle[i] = mean;
      lower[i] = mean - distance;
    }
  },
  wasm: { exportName: "bollinger", loop: "moments", kind: "bands" },
});

export const realizedVolatility = defineFeature({
  name: "realized_volatility",
  version: 1,
  doc: "Standard deviation of the last `window` returns, times the root of periodsPerYear: a fraction per year. First output at bar `window`.",
  family,
  parameters: windowed({
    periodsPerYear: z
      .number()
      .positive()
      .max(1e9)
      .describe("Bars in a year: 252 for daily equities. There is no default."),
    returns: z.enum(["simple", "log"]).default("simple").describe('"simple": x / before - 1; "log": ln(x / before).'),
    ddof: ddofOption(1),
  }),
  inputs: ["value"],
  outputs: ["volatility"],
  lookback: ({ window }) => window,
  nulls: `${windowNulls} A return is missing if one of its two prices is.`,
  costNs: 10,
  /**
   * State: the moments of the returns, and behind them ddof, root of periodsPerYear, 1 for log returns, the last price.
   */
  create: ({ window, minPeriods, periodsPerYear, returns, ddof }) => {
    const room = momentsRoom(window);
    const state = new Float64Array(room + 4);
    openMoments(state, 0, window, minPeriods ?? window);
    state.set([ddof, Math.sqrt(periodsPerYear), returns === "log" ? 1 : 0, Number.NaN], room);
    return state;
  },
  run: (state, [value], from, to, [out]) => {
    const last = state.length - 1;
    const [ddof = 1, scale = 1, log] = state.subarray(last - 3);
    for (let i = from; i < to; i++) {
      const x = value[i] as number;
      const ratio = x / (state[last] as number);
      state[last] = x;
      const enough = pushMoments(state, 0, log === 1 ? logarithm(ratio) : ratio - 1);
      out[i] = enough ? scale * Math.sqrt(momentVariance(state, 0, ddof)) : Number.NaN;
    }
  },
  wasm: { exportName: "realized_volatility", loop: "realizedVolatility" },
});
