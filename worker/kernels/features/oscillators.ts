/** Oscillators. */
import { z } from "zod";
import { defineFeature } from "./form.js";
import { recursiveNulls, windowOption } from "./options.js";
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
      .describe('"wilder": seeded by the mean of the first changes, then (avg·(p-1)+x)/p (TA-Lib); "sma": mean of the last changes (Cutler, vectorbt).'),
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
  run: (state, [value = new Float64Array(0)], from, to, [out = new Float64Array(0)]) => {
    for (let i = from; i < to; i++) out[i] = pushRsi(state, 0, value[i] as number);
  },
  wasm: { exportName: "rsi" },
});
