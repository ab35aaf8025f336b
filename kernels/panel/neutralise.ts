/** `panel.neutralise`: what is left of a column when groups and exposures are taken out. */

import { z } from "zod";
import { columnName } from "../columns/column-name.js";
import { ddofOption } from "../features/options.js";
import { demean, zscore } from "./normalise.js";
import { floats, type SectionPlan, sectionKernel } from "./wire.js";

const parameters = z
  .strictObject({
    method: z
      .enum(["demean", "zscore", "regress"])
      .default("demean")
      .describe(
        '"demean" and "zscore" within the group; "regress" the residual of least squares on the exposures, and on a constant for every group.',
      ),
    exposures: z
      .array(columnName)
      .max(100)
      .default([])
      .describe("regress: columns of numbers to regress on. One that the others determine changes nothing."),
    intercept: z
      .boolean()
      .default(true)
      .describe("regress: whether a constant is taken out too, where there is no group."),
    ddof: ddofOption(1),
  })
  .refine(({ method, exposures }) => method === "regress" || exposures.length === 0, {
    path: ["exposures"],
    error: 'exposures need method "regress"',
  });

/** Below this share of its length a column is what the others determine, but for rounding. */
const dependentShare = 1e-10;

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

function takeOut(direction: Float64Array, from: Float64Array): void {
  const share = dot(direction, from);
  for (let i = 0; i < from.length; i++) from[i] = (from[i] as number) - share * (direction[i] as number);
}

/**
 * Leaves in `y` its residual on the columns, by Gram-Schmidt done twice, which loses no orthogonality; the columns are
 * used up. Returns their rank. `lengths`: what the columns measured before a mean was taken out, against which a rest
 * is judged to be rounding.
 */
function residual(y: Float64Array, columns: readonly Float64Array[], lengths: readonly number[]): number {
  const basis: Float64Array[] = [];
  columns.forEach((column, k) => {
    for (let pass = 0; pass < 2; pass++) for (const direction of basis) takeOut(direction, column);
    const left = Math.sqrt(dot(column, column));
    if (!(left > dependentShare * (lengths[k] as number))) return;
    for (let i = 0; i < column.length; i++) column[i] = (column[i] as number) / left;
    basis.push(column);
  });
  for (let pass = 0; pass < 2; pass++) for (const direction of basis) takeOut(direction, y);
  return basis.length;
}

/** Takes the mean of every group out of the column; returns how many groups there are. */
function demeanWithin(column: Float64Array, keys: Float64Array | undefined): number {
  if (!keys) {
    demean(column, column);
    return 1;
  }
  const members = new Map<number, number[]>();
  keys.forEach((key, i) => {
    const known = members.get(key);
    if (known) known.push(i);
    else members.set(key, [i]);
  });
  for (const places of members.values()) {
    const own = Float64Array.from(places, (i) => column[i] as number);
    demean(own, own);
    places.forEach((i, k) => {
      column[i] = own[k] as number;
    });
  }
  return members.size;
}

function regression(exposures: readonly string[], group: string | undefined, intercept: boolean): SectionPlan {
  return {
    finite: true,
    others: exposures,
    keys: group,
    sectionsByGroup: false,
    run: (inputs, out) => {
      const keys = group === undefined ? undefined : inputs[inputs.length - 1];
      const columns = inputs.slice(1, 1 + exposures.length).map((column) => column.slice());
      const lengths = columns.map((column) => Math.sqrt(dot(column, column)));
      out.set(inputs[0] as Float64Array);
      let constants = 0;
      if (intercept || keys) for (const column of [out, ...columns]) constants = demeanWithin(column, keys);
      const rank = constants + residual(out, columns, lengths);
      // As many unknowns as values: the residual is 0 whatever the values are, and says nothing.
      if (rank >= out.length) out.fill(Number.NaN);
    },
  };
}

export const panelNeutralise = sectionKernel({
  name: "neutralise",
  doc: "What is left of a column on each date when its group's mean (and deviation), or a least-squares fit on exposures and groups, is taken out.",
  nulls:
    "Null, NaN and ±infinity in the column or an exposure, and a null group, are missing: left out, and null in the result. Null where a regression has as many unknowns as values.",
  costNs: 50,
  as: "{column}",
  output: floats,
  parameters,
  plan: ({ method, exposures, intercept, ddof }, group) => {
    if (method === "regress") return regression(exposures, group, intercept);
    return {
      finite: true,
      run: ([values], out) =>
        method === "demean" ? demean(values as Float64Array, out) : zscore(values as Float64Array, out, ddof),
    };
  },
});
