/** Features of prices with volume. */
import { z } from "zod";
import { defineFeature } from "./feature.js";
import { bars, minPeriodsFit, minPeriodsOption, pairNulls, windowed } from "./options.js";
import { openSum, pushSum, sumRoom } from "./parts/window-sum.js";

const family = "Volume";

const priceOption = z
  .enum(["typical", "close"])
  .default("typical")
  .describe(
    'The price of a bar: "typical" (high + low + close) / 3, or "close" (then high and low are read but do not count).',
  );

/** NaN if a price that counts is missing. */
const priceOf = (typical: boolean, high: number, low: number, close: number): number =>
  typical ? (high + low + close) / 3 : close;

export const rollingVwap = defineFeature({
  name: "rolling_vwap",
  version: 1,
  doc: "Volume-weighted average price of the window, in the unit of the prices; null where nothing was traded.",
  family,
  parameters: windowed({ price: priceOption }),
  inputs: ["high", "low", "close", "volume"],
  outputs: ["vwap"],
  lookback: ({ window }) => window - 1,
  nulls: pairNulls,
  costNs: 7,
  /** State: the sums of price · volume and of volume, and behind them 1 for typical prices. */
  create: ({ window, minPeriods, price }) => {
    const room = sumRoom(window);
    const state = new Float64Array(2 * room + 1);
    for (const at of [0, room]) openSum(state, at, window, minPeriods ?? window);
    state[2 * room] = price === "typical" ? 1 : 0;
    return state;
  },
  run: (state, [high, low, close, volume], from, to, [out]) => {
    const room = sumRoom(state[0] as number);
    const typical = state[2 * room] === 1;
    for (let i = from; i < to; i++) {
      const value = priceOf(typical, high[i] as number, low[i] as number, close[i] as number) * (volume[i] as number);
      const traded = pushSum(state, 0, value);
      const weight = pushSum(state, room, value - value === 0 ? (volume[i] as number) : Number.NaN);
      out[i] = weight > 0 ? traded / weight : Number.NaN;
    }
  },
  wasm: { exportName: "rolling_vwap", loop: "averagePrices" },
});

export const vwap = defineFeature({
  name: "vwap",
  version: 1,
  doc: "Volume-weighted average price since the beginning of the session (without one: of the series), in the unit of the prices; null where nothing was traded yet.",
  family,
  parameters: z.strictObject({ price: priceOption }),
  inputs: ["high", "low", "close", "volume", "session"],
  optionalInputs: ["session"],
  outputs: ["vwap"],
  lookback: () => Number.POSITIVE_INFINITY,
  nulls:
    "A bar with a missing price or volume gives null and does not count; `session` is any number that changes with the session, and missing it is the session before.",
  costNs: 5,
  /**
   * State: 0 session, 1 and 2 price · volume and what its rounding lost, 3 and 4 volume likewise, 5 1 for typical
   * prices.
   */
  create: ({ price }) => Float64Array.of(Number.NaN, 0, 0, 0, 0, price === "typical" ? 1 : 0),
  run: (state, [high, low, close, volume, session], from, to, [out]) => {
    const add = (at: number, x: number): void => {
      const sum = state[at] as number;
      const total = sum + x;
      const part = total - sum;
      state[at + 1] = (state[at + 1] as number) + (sum - (total - part) + (x - part));
      state[at] = total;
    };
    for (let i = from; i < to; i++) {
      const day = session[i] as number;
      if (day - day === 0 && day !== state[0]) {
        state.fill(0, 1, 5);
        state[0] = day;
      }
      const value =
        priceOf(state[5] === 1, high[i] as number, low[i] as number, close[i] as number) * (volume[i] as number);
      const present = value - value === 0;
      if (present) {
        add(1, value);
        add(3, volume[i] as number);
      }
      const weight = (state[3] as number) + (state[4] as number);
      out[i] = present && weight > 0 ? ((state[1] as number) + (state[2] as number)) / weight : Number.NaN;
    }
  },
  wasm: { exportName: "vwap", loop: "vwaps" },
});

export const volumePower = defineFeature({
  name: "volume_power",
  version: 1,
  doc: "Volume bought / volume sold over the window: above 1 buyers were more eager; null where nothing was sold.",
  family,
  parameters: z
    .strictObject({
      window: bars.default(20).describe("Bars in the window, the current one included."),
      minPeriods: minPeriodsOption,
      scale: z
        .union([z.literal(1), z.literal(100)])
        .default(1)
        .describe("1: a ratio; 100: a percentage (Korean exchanges)."),
    })
    .refine(minPeriodsFit, {
      path: ["minPeriods"],
      error: "minPeriods is above the window: there would never be an output",
    }),
  inputs: ["buy", "sell"],
  outputs: ["volume_power"],
  lookback: ({ window }) => window - 1,
  nulls: pairNulls,
  costNs: 7,
  /** State: the sums of bought and of sold volume, and behind them the scale. */
  create: ({ window, minPeriods, scale }) => {
    const room = sumRoom(window);
    const state = new Float64Array(2 * room + 1);
    for (const at of [0, room]) openSum(state, at, window, minPeriods ?? window);
    state[2 * room] = scale;
    return state;
  },
  run: (state, [buy, sell], from, to, [out]) => {
    const room = sumRoom(state[0] as number);
    const scale = state[2 * room] as number;
    for (let i = from; i < to; i++) {
      const present = (buy[i] as number) - (buy[i] as number) === 0 && (sell[i] as number) - (sell[i] as number) === 0;
      const bought = pushSum(state, 0, present ? (buy[i] as number) : Number.NaN);
      const sold = pushSum(state, room, present ? (sell[i] as number) : Number.NaN);
      out[i] = sold > 0 ? (scale * bought) / sold : Number.NaN;
    }
  },
  wasm: { exportName: "volume_power", loop: "powers" },
});
