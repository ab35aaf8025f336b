/** Drawn calls of the features: on tables, with or without keys, partitions that hand on the carry. */
import { Table, type Vector } from "apache-arrow";
import { decodeValue, encodeValue } from "../../../proto/values/value.js";
import { dayVector, float64Vector, textVector } from "../../columns/building.js";
import type { WireResult } from "../../features/carry.js";
import type { Feature } from "../../features/feature.js";
import { features } from "../../features/index.js";
import type { DrawnKernel } from "./call.js";
import { type Draw, days, joined, pieces } from "./draw.js";

/** Values by parameter name; undefined leaves it out. A feature with a parameter of another name needs a line here. */
const byName: Readonly<Record<string, (draw: Draw) => unknown>> = {
  // Sometimes longer than the whole table.
  window: (draw) => (draw.chance(0.1) ? draw.int(16, 60) : draw.int(1, 12)),
  minPeriods: (draw) => (draw.chance(0.5) ? undefined : draw.int(1, 12)),
  seed: (draw) => draw.pick(["sma", "first", "adjust"]),
  gaps: (draw) => draw.pick(["skip", "decay"]),
  ddof: (draw) => draw.int(0, 1),
  bias: (draw) => draw.chance(0.5),
  q: (draw) => draw.pick([0, 0.1, 0.25, 0.5, 0.9, 1]),
  interpolation: (draw) => draw.pick(["linear", "lower", "higher", "midpoint", "nearest"]),
  method: (draw) => draw.pick(["average", "min", "max"]),
  ascending: (draw) => draw.chance(0.5),
  pct: (draw) => draw.chance(0.5),
  periods: (draw) => draw.int(1, 9),
  limit: (draw) => (draw.chance(0.5) ? undefined : draw.int(1, 4)),
  smoothing: (draw) => draw.pick(["wilder", "sma"]),
  flat: (draw) => draw.pick([0, 100, "null"]),
  firstRange: (draw) => draw.pick(["skip", "high-low"]),
  deviations: (draw) => draw.pick([0, 1, 2.5]),
  periodsPerYear: (draw) => draw.pick([12, 252]),
  returns: (draw) => draw.pick(["simple", "log"]),
  price: (draw) => draw.pick(["typical", "close"]),
  scale: (draw) => draw.pick([1, 100]),
  fast: (draw) => draw.int(1, 5),
  slow: (draw) => draw.int(6, 11),
  signal: (draw) => draw.int(1, 6),
};

function parametersOf(feature: Feature, draw: Draw): Record<string, unknown> {
  const params: Record<string, unknown> = {};
  for (const name of Object.keys(feature.parameters.shape)) {
    const of = byName[name];
    if (!of) throw new Error(`no values for the parameter ${name} of ${feature.name}`);
    const value = of(draw);
    if (value !== undefined) params[name] = value;
  }
  if (params.minPeriods !== undefined)
    params.minPeriods = Math.min(params.minPeriods as number, params.window as number);
  return params;
}

/** As between two tasks of a cluster. */
const overTheWire = (value: unknown): unknown => decodeValue(encodeValue(value));

const drawnFeature = (feature: Feature): DrawnKernel => ({
  draw: (draw, rows) => {
    const keyed = draw.chance(0.3);
    const columns: Record<string, Vector> = { t: dayVector(days(rows)) };
    if (keyed) columns.key = textVector(draw.list(rows, () => draw.pick(["a", "b", "c"])));
    for (const input of feature.inputs) columns[input] = float64Vector(draw.series(rows));
    const table = new Table(columns);
    const params = {
      ...parametersOf(feature, draw),
      ...(feature.inputs.length === 1
        ? { columns: [...feature.inputs] }
        : { columns: Object.fromEntries(feature.inputs.map((input) => [input, input])) }),
      ...(keyed ? { by: "key" } : {}),
    };
    return {
      args: [table, params],
      known: { 0: "t" },
      inPieces: (run, shares) => {
        let before: unknown;
        const parts = pieces(table, shares).map((part) => {
          const { table: made, carry } = run(part, { ...params, withCarry: true }, before) as WireResult;
          before = overTheWire(carry);
          return made;
        });
        return joined(parts);
      },
    };
  },
});

export const featureCalls: Readonly<Record<string, DrawnKernel>> = Object.fromEntries(
  features.map((feature) => [feature.kernel.name, drawnFeature(feature)]),
);
