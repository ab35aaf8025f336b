/** Oscillators. */
import { z } from "zod";
import { defineFeature } from "./feature.js";
import { bars, recursiveNulls, seedOption, windowOption } from "./options.js";
import { macdLine, macdRoom, macdSignal, openMacd, pushMacd } from "./parts/convergence.js";
import { openRsi, pushRsi, rsiRoom } from "./parts/strength.js";

const family = "Oscillators";

export const rsi = defineFeature({
  name: "rsi",
  version: 1,
  doc: "Relative strength index, 0 to 100: 100 · g / (g + l) of the average gain g and loss l of `window` changes; first output at bar `window`.",
  family,
  parameters: z.strictObject({
    window: windowOption.default(14),
    smoothing: z
      .enum(["wilder", "sma"])
      .default("wilder")
      .describe(
        '"wilder": seeded by the mean of the first changes, then (avg·(p-1)+x)/p (TA-Lib); "sma": mean of the last changes (Cutler, vectorbt).',
      ),
    flat: z
      .union([z.literal(0), z.literal(100), z.literal("null")])
      .default(0)
      .describe("The value where nothing has moved: 0 (TA-Lib), 100 (LEAN, trading-signals), null (vectorbt)."),
  }),
  inputs: ["value"],
  outputs: ["rsi"],
  lookback: ({ window, smoothing }) => (smoothing === "sma" ? window : Number.POSITIVE_INFINITY),
  nulls: recursiveNulls,
  costNs: 8,
  create: (params) => {
    const state = new Float64Array(rsiRoom(params));
    openRsi(state, 0, params);
    return state;
  },
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) out[i] = pushRsi(state, 0, value[i] as number);
  },
  wasm: { exportName: "rsi", loop: "recurrence", kind: "rsi" },
});

export const macd = defineFeature({
  name: "macd",
  version: 1,
  doc: "Moving average convergence and divergence: line = EMA(fast) - EMA(slow), signal = EMA of the line, hist = line - signal, in the unit of the value.",
  family,
  parameters: z
    .strictObject({
      fast: bars.default(12).describe("Window of the fast average."),
      slow: bars.default(26).describe("Window of the slow average."),
      signal: bars.default(9).describe("Window of the signal line."),
      seed: seedOption,
    })
    .refine(({ fast, slow }) => fast < slow, { path: ["fast"], error: "fast is not below slow" }),
  inputs: ["value"],
  outputs: ["macd", "signal", "hist"],
  lookback: () => Number.POSITIVE_INFINITY,
  nulls: recursiveNulls,
  costNs: 14,
  create: (params) => {
    const state = new Float64Array(macdRoom);
    openMacd(state, 0, params);
    return state;
  },
  run: (state, [value], from, to, [line, signal, hist]) => {
    for (let i = from; i < to; i++) {
      pushMacd(state, 0, value[i] as number);
      line[i] = state[macdLine] as number;
      signal[i] = state[macdSignal] as number;
      hist[i] = (state[macdLine] as number) - (state[macdSignal] as number);
    }
  },
  wasm: { exportName: "macd", loop: "recurrence", kind: "macd" },
});
