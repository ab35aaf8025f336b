/**
 * What the tests feed to every feature: parameters by their names, and series with everything that goes wrong in real
 * ones.
 */
import fc from "fast-check";
import type { Feature } from "../feature.js";

/** Sometimes longer than the whole series. */
const window = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 1, max: 15 }) },
  { weight: 1, arbitrary: fc.integer({ min: 16, max: 90 }) },
);

/** Arbitrary values by parameter name; a feature with a parameter of another name needs a line here. */
const byName: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  window,
  minPeriods: fc.option(window, { nil: undefined }),
  seed: fc.constantFrom("sma", "first", "adjust"),
  gaps: fc.constantFrom("skip", "decay"),
  ddof: fc.constantFrom(0, 1),
  bias: fc.boolean(),
  q: fc.constantFrom(0, 0.1, 0.25, 0.5, 0.9, 1),
  interpolation: fc.constantFrom("linear", "lower", "higher", "midpoint", "nearest"),
  method: fc.constantFrom("average", "min", "max"),
  ascending: fc.boolean(),
  pct: fc.boolean(),
  periods: fc.integer({ min: 1, max: 9 }),
  limit: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
  smoothing: fc.constantFrom("wilder", "sma"),
  flat: fc.constantFrom(0, 100, "null"),
  firstRange: fc.constantFrom("skip", "high-low"),
  deviations: fc.constantFrom(0, 1, 2.5),
  periodsPerYear: fc.constantFrom(12, 252),
  returns: fc.constantFrom("simple", "log"),
  price: fc.constantFrom("typical", "close"),
  scale: fc.constantFrom(1, 100),
  fast: fc.integer({ min: 1, max: 5 }),
  slow: fc.integer({ min: 6, max: 11 }),
  signal: fc.integer({ min: 1, max: 6 }),
};

/** Valid parameters of the feature. */
export function parametersOf(feature: Feature): fc.Arbitrary<Record<string, unknown>> {
  const names = Object.keys(feature.parameters.shape);
  for (const name of names)
    if (!byName[name]) throw new Error(`no arbitrary for the parameter ${name} of ${feature.name}`);
  return fc
    .record(Object.fromEntries(names.map((name) => [name, byName[name] as fc.Arbitrary<unknown>])))
    .map((params) => {
      const fitted = Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined));
      if (fitted.minPeriods !== undefined)
        fitted.minPeriods = Math.min(fitted.minPeriods as number, fitted.window as number);
      return fitted;
    });
}

const segment = fc.record({
  kind: fc.constantFrom("noise", "noise", "constant", "missing", "infinite", "zero"),
  values: fc.array(fc.integer({ min: -1_000, max: 1_000 }), { minLength: 1, maxLength: 10 }),
});

/**
 * A series of 0 to some 60 numbers: noise, constant runs, runs of NaN, infinities, zeros; around `level` and times
 * `scale`.
 */
export function seriesOf(level: fc.Arbitrary<number>, scale: fc.Arbitrary<number>): fc.Arbitrary<Float64Array> {
  return fc.record({ level, scale, segments: fc.array(segment, { maxLength: 8 }) }).map(({ level, scale, segments }) =>
    Float64Array.from(
      segments.flatMap(({ kind, values }) =>
        values.map((value, i) => {
          if (kind === "missing") return Number.NaN;
          if (kind === "infinite" && i === 0) return value > 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
          if (kind === "zero") return value > 0 ? 0 : -0;
          return (level + (kind === "constant" ? (values[0] as number) : value)) * scale;
        }),
      ),
    ),
  );
}

/** Any scale, prices far from zero and around it. */
export const wildSeries = seriesOf(
  fc.constantFrom(0, 2_000, 1e9),
  fc.constantFrom(1e-9, 0.01, 1, 1e9).map((scale) => scale / 7),
);

/** As many series as the feature has inputs, all as long as the first. */
export function inputsOf(feature: Feature, series: fc.Arbitrary<Float64Array>): fc.Arbitrary<Float64Array[]> {
  return fc
    .array(series, { minLength: feature.inputs.length, maxLength: feature.inputs.length })
    .map(([first = new Float64Array(0), ...others]) => [
      first,
      ...others.map((other) =>
        Float64Array.from(first, (_, i) => (other.length === 0 ? Number.NaN : (other[i % other.length] as number))),
      ),
    ]);
}

/** Bits of the numbers, all NaN alike. */
export function bitsOf(values: Float64Array): BigUint64Array {
  const canonical = Float64Array.from(values, (value) => (Number.isNaN(value) ? Number.NaN : value));
  return new BigUint64Array(canonical.buffer);
}
