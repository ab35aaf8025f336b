import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { barsOf } from "../sweep/bars.js";
import { readOracle, realPrices } from "../sweep/testing/real-prices.js";
import { casesPerKernel } from "../testing/property-cases.js";
import type { Feature } from "./feature.js";
import { feature, features } from "./index.js";
import { bitsOf, inputsOf, parametersOf, wildSeries } from "./testing/cases.js";

/** Runs the bars in the given pieces; between two of them the state goes through its bytes. */
function inPieces(
  feature: Feature,
  params: Record<string, unknown>,
  inputs: readonly Float64Array[],
  cuts: readonly number[],
): { outputs: Float64Array[]; state: Float64Array } {
  const rows = inputs[0]?.length ?? 0;
  const outputs = feature.outputs.map(() => new Float64Array(rows));
  let state = feature.create(feature.parse(params));
  const edges = [0, ...cuts.map((cut) => Math.round(cut * rows)).sort((a, b) => a - b), rows];
  for (let i = 1; i < edges.length; i++) {
    state = new Float64Array(Uint8Array.from(new Uint8Array(state.buffer, state.byteOffset, state.byteLength)).buffer);
    feature.run(state, inputs, edges[i - 1] as number, edges[i] as number, outputs);
  }
  return { outputs, state };
}

const sameBits = (got: Float64Array, expected: Float64Array, what: string): void => {
  const a = bitsOf(got);
  const b = bitsOf(expected);
  // A comparison by index: a matcher on every case would take longer than the features.
  if (a.length !== b.length || a.some((bits, i) => bits !== b[i])) expect([...got], what).toEqual([...expected]);
};

describe.each(features.map((each) => [each.name, each] as const))("%s", (_name, feature) => {
  it("gives the same bits in one batch, in any partitions, as a stream, and from a state restored at any bar", () => {
    const place = fc.double({ min: 0, max: 1, noNaN: true });
    let cases = 0;
    fc.assert(
      fc.property(
        parametersOf(feature),
        inputsOf(feature, wildSeries),
        fc.array(place, { maxLength: 4 }),
        place,
        (params, inputs, cuts, restoreAt) => {
          cases++;
          const rows = inputs[0]?.length ?? 0;
          const batch = inPieces(feature, params, inputs, []);
          const pieces = inPieces(feature, params, inputs, cuts);
          sameBits(pieces.state, batch.state, "state after partitions");
          let stream = feature.stream(params);
          const streamed = feature.outputs.map(() => new Float64Array(rows));
          const swap = Math.floor(restoreAt * rows);
          for (let i = 0; i < rows; i++) {
            if (i === swap) {
              const other = feature.stream(params);
              other.push(...inputs.map(() => 1));
              other.restore(stream.state());
              stream = other;
            }
            stream.push(...inputs.map((input) => input[i] as number)).forEach((value, k) => {
              (streamed[k] as Float64Array)[i] = value;
            });
          }
          sameBits(stream.state(), batch.state, "state after a stream");
          batch.outputs.forEach((output, k) => {
            sameBits(pieces.outputs[k] as Float64Array, output, "partitions");
            sameBits(streamed[k] as Float64Array, output, "stream");
            sameBits(feature.batch(params, ...inputs)[k] as Float64Array, output, "batch");
          });
        },
      ),
      { numRuns: casesPerKernel },
    );
    expect(cases).toBeGreaterThanOrEqual(casesPerKernel);
  });

  // That it reads no bar that comes later either is for kernels/every-kernel.test.ts.
  it("reads no bar before its lookback", () => {
    fc.assert(
      fc.property(parametersOf(feature), inputsOf(feature, wildSeries), (params, inputs) => {
        const rows = inputs[0]?.length ?? 0;
        const reach = feature.lookback(feature.parse(params));
        if (!Number.isFinite(reach) || rows === 0) return;
        // Bars that are left out of a count of values, not of bars, reach further back.
        const full = inputs.map((input) => input.map((value) => (value - value === 0 ? value : 1)));
        const stale = full.map((input) => input.map((value, i) => (i < rows - 1 - reach ? 1e100 : value)));
        const forgetful = feature.batch(params, ...stale);
        feature.batch(params, ...full).forEach((output, k) => {
          sameBits(
            (forgetful[k] as Float64Array).subarray(rows - 1),
            output.subarray(rows - 1),
            "bars before the lookback",
          );
        });
      }),
      { numRuns: casesPerKernel },
    );
  });
});

describe("real prices", () => {
  it("RSI of the S&P 500 is TA-Lib's, 2000 to 2020", () => {
    const { close } = barsOf(realPrices());
    for (const [period, expected] of Object.entries(readOracle().rsi)) {
      const [got] = feature.rsi.batch({ window: Number(period) }, close) as [Float64Array];
      expect(got[Number(period) - 1]).toBeNaN();
      expected.forEach((value, i) => {
        expect(Math.abs((got[Number(period) + i] as number) - value), `RSI ${period} at ${i}`).toBeLessThan(1e-10);
      });
    }
  });
});

describe("the table of features", () => {
  it("has every feature under its name", () => {
    for (const [name, entry] of Object.entries(feature)) expect(entry.name).toBe(name);
  });
});

describe("a stream", () => {
  it("refuses the state of other parameters", () => {
    const state = feature.sma.stream({ window: 3 }).state();
    expect(() => feature.sma.stream({ window: 4 }).restore(state)).toThrow(
      /feature\.sma: state is .*expected a Float64Array of/,
    );
  });
});
