/** Changes from bar to bar, and running totals. */
import { z } from "zod";
import { logarithm } from "../arithmetic/logarithm.js";
import { defineFeature, type Feature } from "./feature.js";
import { bars, windowMax } from "./options.js";
import { delayRoom, openDelay, pushDelay } from "./parts/delay.js";

const changes = "Changes";
const cumulative = "Running totals";

const past = z.strictObject({ periods: bars.default(1).describe("Bars back.") });
const openPast = ({ periods }: { periods: number }): Float64Array => {
  const state = new Float64Array(delayRoom(periods));
  openDelay(state, 0, periods);
  return state;
};
const lookback = ({ periods }: { periods: number }): number => periods;
const changeNulls = "Null, NaN and ±infinity are missing; null where either end is missing.";
const finite = (x: number): number => (x - x === 0 ? x : Number.NaN);

export const pctChange = defineFeature({
  name: "pct_change",
  version: 1,
  doc: "value / value of `periods` bars ago - 1, as a fraction; ±infinity where that was 0, as pandas has it.",
  family: changes,
  parameters: past,
  inputs: ["value"],
  outputs: ["pct_change"],
  lookback,
  nulls: changeNulls,
  costNs: 2,
  create: openPast,
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) {
      const x = finite(value[i] as number);
      out[i] = x / pushDelay(state, 0, x) - 1;
    }
  },
  wasm: { exportName: "pct_change", loop: "changesOf", kind: "ratio" },
});

export const logReturn = defineFeature({
  name: "log_return",
  version: 1,
  doc: "Natural logarithm of value / value of `periods` bars ago; null where the quotient is not positive.",
  family: changes,
  parameters: past,
  inputs: ["value"],
  outputs: ["log_return"],
  lookback,
  nulls: changeNulls,
  costNs: 8,
  create: openPast,
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) {
      const x = finite(value[i] as number);
      out[i] = logarithm(x / pushDelay(state, 0, x));
    }
  },
  wasm: { exportName: "log_return", loop: "logReturns" },
});

export const diff = defineFeature({
  name: "diff",
  version: 1,
  doc: "value - value of `periods` bars ago, in the unit of the value.",
  family: changes,
  parameters: past,
  inputs: ["value"],
  outputs: ["diff"],
  lookback,
  nulls: changeNulls,
  costNs: 2,
  create: openPast,
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) {
      const x = finite(value[i] as number);
      out[i] = x - pushDelay(state, 0, x);
    }
  },
  wasm: { exportName: "diff", loop: "changesOf", kind: "difference" },
});

export const shift = defineFeature({
  name: "shift",
  version: 1,
  doc: "The value of `periods` bars ago. There is no shift from the future.",
  family: changes,
  parameters: z.strictObject({
    periods: z
      .int()
      .min(
        0,
        "a negative shift would bring values from the future to today (look-ahead); shift the other series instead, by the same number of bars",
      )
      .max(windowMax)
      .default(1)
      .describe("Bars back, 0 or more."),
  }),
  inputs: ["value"],
  outputs: ["shift"],
  lookback,
  nulls: "Null, NaN and ±infinity come out as null; null before the first value.",
  costNs: 2,
  create: openPast,
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) out[i] = finite(pushDelay(state, 0, value[i] as number));
  },
  wasm: { exportName: "shift", loop: "shifts" },
});

const nothing = z.strictObject({});
const skipped = "Null, NaN and ±infinity are missing: they give null and leave the total as it was.";
const forgetsNothing = (): number => Number.POSITIVE_INFINITY;

export const cumsum = defineFeature({
  name: "cumsum",
  version: 1,
  doc: "Sum of all values so far, compensated (Neumaier): its error does not grow with the number of bars.",
  family: cumulative,
  parameters: nothing,
  inputs: ["value"],
  outputs: ["cumsum"],
  lookback: forgetsNothing,
  nulls: skipped,
  costNs: 3,
  /** State: 0 sum, 1 what its rounding lost. */
  create: () => new Float64Array(2),
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) {
      const x = value[i] as number;
      if (x - x !== 0) {
        out[i] = Number.NaN;
        continue;
      }
      const sum = state[0] as number;
      const total = sum + x;
      const part = total - sum;
      state[1] = (state[1] as number) + (sum - (total - part) + (x - part));
      state[0] = total;
      out[i] = total + (state[1] as number);
    }
  },
  wasm: { exportName: "cumsum", loop: "running", kind: "sum" },
});

/** State: 0 the total so far. */
function running<const N extends string>(
  name: N,
  doc: string,
  kind: string,
  start: number,
  next: (total: number, x: number) => number,
): Feature<typeof nothing, N> {
  return defineFeature({
    name,
    version: 1,
    doc,
    family: cumulative,
    parameters: nothing,
    inputs: ["value"],
    outputs: [name],
    lookback: forgetsNothing,
    nulls: skipped,
    costNs: 3,
    create: () => Float64Array.of(start),
    run: (state, [value], from, to, [out]) => {
      for (let i = from; i < to; i++) {
        const x = (value as Float64Array)[i] as number;
        const present = x - x === 0;
        if (present) state[0] = next(state[0] as number, x);
        (out as Float64Array)[i] = present ? (state[0] as number) : Number.NaN;
      }
    },
    wasm: { exportName: name, loop: "running", kind },
  });
}

export const cumprod = running("cumprod", "Product of all values so far.", "product", 1, (total, x) => total * x);
export const cummax = running("cummax", "The largest value so far.", "largest", Number.NEGATIVE_INFINITY, Math.max);
export const cummin = running("cummin", "The smallest value so far.", "smallest", Number.POSITIVE_INFINITY, Math.min);

export const ffill = defineFeature({
  name: "ffill",
  version: 1,
  doc: "The last value present, for at most `limit` missing bars in a row.",
  family: cumulative,
  parameters: z.strictObject({
    limit: bars.optional().describe("Missing bars in a row that are filled at most; default: all."),
  }),
  inputs: ["value"],
  outputs: ["ffill"],
  lookback: ({ limit }) => limit ?? Number.POSITIVE_INFINITY,
  nulls: "Null, NaN and ±infinity are missing and are filled; null before the first value.",
  costNs: 2,
  /** State: 0 limit, 1 the last value, 2 bars since. */
  create: ({ limit }) => Float64Array.of(limit ?? Number.POSITIVE_INFINITY, Number.NaN, 0),
  run: (state, [value], from, to, [out]) => {
    for (let i = from; i < to; i++) {
      const x = value[i] as number;
      const present = x - x === 0;
      if (present) state[1] = x;
      state[2] = present ? 0 : (state[2] as number) + 1;
      out[i] = (state[2] as number) <= (state[0] as number) ? (state[1] as number) : Number.NaN;
    }
  },
  wasm: { exportName: "ffill", loop: "running", kind: "last" },
});
