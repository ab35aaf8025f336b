/** Order statistics of a window of one column. */
import { z } from "zod";
import { defineFeature } from "./feature.js";
import { windowed, windowNulls } from "./options.js";
import {
  type Interpolation,
  openOrder,
  orderCount,
  orderQuantile,
  orderRank,
  orderRoom,
  pushOrder,
  type TieRule,
} from "./parts/window-order.js";

const family = "Rolling statistics";
const lookback = ({ window }: { window: number }): number => window - 1;

/** The sorted window, and `extra` numbers of parameters behind it. */
function open(window: number, minPeriods: number | undefined, extra: readonly number[]): Float64Array {
  const room = orderRoom(window);
  const state = new Float64Array(room + extra.length);
  openOrder(state, 0, window, minPeriods ?? window);
  state.set(extra, room);
  return state;
}

export const rollingMedian = defineFeature({
  name: "rolling_median",
  version: 1,
  doc: "Median of the values in the window; of an even number of them the mean of the middle two.",
  family,
  parameters: windowed({}),
  inputs: ["value"],
  outputs: ["median"],
  lookback,
  nulls: windowNulls,
  costNs: 40,
  create: ({ window, minPeriods }) => open(window, minPeriods, []),
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++)
      out[i] = pushOrder(state, 0, value[i] as number) ? orderQuantile(state, 0, 0.5, "midpoint") : Number.NaN;
  },
  wasm: { exportName: "rolling_median", loop: "orders", kind: "median" },
});

const interpolations: readonly Interpolation[] = ["linear", "lower", "higher", "midpoint", "nearest"];

export const rollingQuantile = defineFeature({
  name: "rolling_quantile",
  version: 1,
  doc: "Quantile of the values in the window: the one at place (count - 1) · q in order, interpolated as named (numpy, pandas).",
  family,
  parameters: windowed({
    q: z.number().min(0).max(1).describe("0 the smallest, 0.5 the median, 1 the largest."),
    interpolation: z
      .enum(interpolations)
      .default("linear")
      .describe("What stands between two values (numpy's names; nearest goes to the even place at one half)."),
  }),
  inputs: ["value"],
  outputs: ["quantile"],
  lookback,
  nulls: windowNulls,
  costNs: 40,
  create: ({ window, minPeriods, q, interpolation }) =>
    open(window, minPeriods, [q, interpolations.indexOf(interpolation)]),
  run: (state, [value], from, to, [out]) => {
    const q = state[state.length - 2] as number;
    const interpolation = interpolations[state[state.length - 1] as number] as Interpolation;
    for (let i = from; i < to; i++)
      out[i] = pushOrder(state, 0, value[i] as number) ? orderQuantile(state, 0, q, interpolation) : Number.NaN;
  },
  wasm: { exportName: "rolling_quantile", loop: "orders", kind: "quantile" },
});

const tieRules: readonly TieRule[] = ["average", "min", "max"];

export const rollingRank = defineFeature({
  name: "rolling_rank",
  version: 1,
  doc: "Rank of the newest value among the values in the window, from 1.",
  family,
  parameters: windowed({
    method: z.enum(tieRules).default("average").describe("Rank of equal values (pandas' names)."),
    ascending: z.boolean().default(true).describe("true: the smallest has rank 1."),
    pct: z.boolean().default(false).describe("true: divided by the number of values present."),
  }),
  inputs: ["value"],
  outputs: ["rank"],
  lookback,
  nulls: `${windowNulls} A missing value has no rank.`,
  costNs: 45,
  create: ({ window, minPeriods, method, ascending, pct }) =>
    open(window, minPeriods, [tieRules.indexOf(method), ascending ? 1 : 0, pct ? 1 : 0]),
  run: (state, [value], from, to, [out]) => {
    const [method = 0, ascending, pct] = state.subarray(state.length - 3);
    const ties = tieRules[method] as TieRule;
    for (let i = from; i < to; i++) {
      const x = value[i] as number;
      const rank = pushOrder(state, 0, x) && x - x === 0 ? orderRank(state, 0, x, ties, ascending === 1) : Number.NaN;
      out[i] = pct === 1 ? rank / orderCount(state, 0) : rank;
    }
  },
  wasm: { exportName: "rolling_rank", loop: "orders", kind: "rank" },
});
