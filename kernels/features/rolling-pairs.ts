/** Statistics of a window of two columns. */
import type { z } from "zod";
import { defineFeature } from "./feature.js";
import { ddofOption, pairNulls, windowed } from "./options.js";
import { openPair, pairCount, pairRoom, pairXx, pairXy, pairYy, pushPair } from "./parts/window-pair.js";

const family = "Rolling statistics";
const plain = windowed({});
const withDdof = windowed({ ddof: ddofOption(1) });
const lookback = ({ window }: { window: number }): number => window - 1;

const open = ({ window, minPeriods }: z.output<typeof plain>): Float64Array => {
  const state = new Float64Array(pairRoom(window) + 1);
  openPair(state, 0, window, minPeriods ?? window);
  return state;
};

export const rollingCov = defineFeature({
  name: "rolling_cov",
  version: 1,
  doc: "Covariance of two columns in the window, in the product of their units.",
  family,
  parameters: withDdof,
  inputs: ["x", "y"],
  outputs: ["cov"],
  lookback,
  nulls: pairNulls,
  costNs: 20,
  create: (params) => {
    const state = open(params);
    state[state.length - 1] = params.ddof;
    return state;
  },
  run: (state, [x, y], from, to, [out]) => {
    const ddof = state[state.length - 1] as number;
    for (let i = from; i < to; i++) {
      const enough = pushPair(state, 0, x[i] as number, y[i] as number);
      const count = state[pairCount] as number;
      out[i] = enough && count > ddof ? (state[pairXy] as number) * (1 / (count - ddof)) : Number.NaN;
    }
  },
  wasm: { exportName: "rolling_cov", loop: "pairs", kind: "covariance" },
});

/** One root, unless the product overflows or comes near to vanishing: the roots apart then do not. */
function rootOfProduct(a: number, b: number): number {
  const product = a * b;
  return product > 1e-250 && product < Number.POSITIVE_INFINITY ? Math.sqrt(product) : Math.sqrt(a) * Math.sqrt(b);
}

export const rollingCorr = defineFeature({
  name: "rolling_corr",
  version: 1,
  doc: "Pearson correlation of two columns in the window, from -1 to 1; null where one of them does not vary.",
  family,
  parameters: plain,
  inputs: ["x", "y"],
  outputs: ["corr"],
  lookback,
  nulls: pairNulls,
  costNs: 22,
  create: open,
  run: (state, [x, y], from, to, [out]) => {
    for (let i = from; i < to; i++) {
      const enough = pushPair(state, 0, x[i] as number, y[i] as number);
      const scale = rootOfProduct(state[pairXx] as number, state[pairYy] as number);
      const corr = (state[pairXy] as number) / scale;
      out[i] = enough && scale > 0 ? Math.min(Math.max(corr, -1), 1) : Number.NaN;
    }
  },
  wasm: { exportName: "rolling_corr", loop: "pairs", kind: "correlation" },
});

export const rollingBeta = defineFeature({
  name: "rolling_beta",
  version: 1,
  doc: "Slope of the asset on the market in the window: covariance / variance of the market; null where the market does not vary.",
  family,
  parameters: plain,
  inputs: ["asset", "market"],
  outputs: ["beta"],
  lookback,
  nulls: pairNulls,
  costNs: 21,
  create: open,
  run: (state, [asset, market], from, to, [out]) => {
    for (let i = from; i < to; i++) {
      const enough = pushPair(state, 0, asset[i] as number, market[i] as number);
      const spread = state[pairYy] as number;
      out[i] = enough && spread > 0 ? (state[pairXy] as number) / spread : Number.NaN;
    }
  },
  wasm: { exportName: "rolling_beta", loop: "pairs", kind: "beta" },
});
