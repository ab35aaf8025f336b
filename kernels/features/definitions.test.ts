import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { casesPerKernel } from "../testing/property-cases.js";
import type { Feature } from "./feature.js";
import { features } from "./index.js";
import { inputsOf, parametersOf, seriesOf } from "./testing/cases.js";
import { type AnyParameters, definitions, ownUnits } from "./testing/definitions.js";

/**
 * Whole numbers times a power of two: differences are exact, so a window that does not vary is one for both sides;
 * positive, so that prices have logarithms. Levels up to some 100 times the spread: the definitions' own sums lose
 * digits, and tolerance is relative to the level.
 */
const prices = seriesOf(
  fc.constantFrom(2_000, 100_000),
  fc.integer({ min: -30, max: 30 }).map((power) => 2 ** power),
);

const tolerance = 1e-8;
/** Outputs without a unit, near 0 or not, against the unit of the input otherwise. */
const withoutUnit = /skew|kurt|zscore|corr|beta|rank|rsi|change|return|volatility|power/;

function closeTo(feature: Feature, got: number, expected: number, unit: number, own = 1): boolean {
  if (Number.isNaN(got) || Number.isNaN(expected)) return Number.isNaN(got) && Number.isNaN(expected);
  if (got === expected) return true;
  const size = withoutUnit.test(feature.name) ? own : unit ** (/var|cov/.test(feature.name) ? 2 : 1);
  return Math.abs(got - expected) <= tolerance * Math.max(Math.abs(expected), size);
}

describe("features are what their definitions say", () => {
  it.each(features.map((feature) => [feature.name, feature] as const))("%s", (name, feature) => {
    const definition = definitions[name];
    if (!definition) throw new Error(`no definition of ${name}`);
    fc.assert(
      fc.property(parametersOf(feature), inputsOf(feature, prices), (params, given) => {
        // Volumes and infinities are for the other properties: here a bar is there or it is not.
        const inputs = given.map((input) =>
          input.map((value) => (Number.isFinite(value) ? Math.abs(value) : Number.NaN)),
        );
        const unit = Math.max(0, ...inputs.flatMap((input) => [...input].filter(Number.isFinite)));
        const got = feature.batch(params, ...inputs);
        const columns = inputs.map((input) => [...input]);
        const expected = definition(params as unknown as AnyParameters, ...columns);
        const own = ownUnits[name]?.(params as unknown as AnyParameters, ...columns);
        got.forEach((output, k) => {
          const wanted = expected[k] as number[];
          const wrong = output.findIndex((value, i) => !closeTo(feature, value, wanted[i] as number, unit, own?.[i]));
          if (wrong >= 0)
            expect({ [feature.outputs[k] as string]: output[wrong], bar: wrong, params }).toEqual({
              [feature.outputs[k] as string]: wanted[wrong],
              bar: wrong,
              params,
            });
        });
      }),
      { numRuns: casesPerKernel },
    );
  });
});
