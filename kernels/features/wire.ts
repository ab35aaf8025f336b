/** Features on tables: which columns they read, which rows are one series, and how the outputs are named. */

import { DataType, Table, type Vector } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { maskedFloat64Vector, ownFloat64Vector } from "../columns/building.js";
import { columnName } from "../columns/column-name.js";
import { columnOf, optionalFloat64Column } from "../columns/reading.js";
import { type Carry, States, type WireResult } from "./carry.js";
import type { FeatureDeclaration } from "./declaration.js";
import { engineOf, type FeatureGroup } from "./engine.js";
import { byLength, putValues, type SeriesRows, seriesRows, valuesOf } from "./series.js";

const wireShape = {
  as: columnName
    .optional()
    .describe(
      "Names of the outputs, with {column} and {output}; default: {column}, {column}_{output} or {output}, whichever is needed.",
    ),
  keep: z
    .array(columnName)
    .max(1_000)
    .default([])
    .describe("Columns of the table that go through unchanged, such as the date; they come first."),
  by: columnName
    .optional()
    .describe(
      "A column of keys, such as the symbol: the rows of each key are a series of their own, in the order of the table. Default: the table is one series.",
    ),
  withCarry: z
    .boolean()
    .default(false)
    .describe("Return { table, carry } instead of the table; carry goes to the next partition as third argument."),
};

type WireParameters = z.output<z.ZodObject<typeof wireShape>> & { readonly columns?: unknown };

/** The feature's own parameters and those of every feature. */
export function wireParameters({
  parameters,
  inputs,
  optionalInputs = [],
}: FeatureDeclaration<z.ZodObject>): z.ZodType<WireParameters> {
  const role = (input: string): [string, z.ZodType] => [
    input,
    optionalInputs.includes(input) ? columnName.optional() : columnName.default(input),
  ];
  const columns =
    inputs.length === 1
      ? z
          .array(columnName)
          .min(1)
          .max(100_000)
          .optional()
          .describe("The feature is applied to each of these columns; default: every column of numbers.")
      : z
          .strictObject(Object.fromEntries(inputs.map(role)))
          .prefault({})
          .describe(
            `Which columns are ${inputs.join(", ")}; default: those of that name${optionalInputs.length > 0 ? `; without ${optionalInputs.join(", ")} unless named` : ""}.`,
          );
  const whole = parameters.safeExtend({ columns, ...wireShape });
  return (whole.safeParse({}).success ? whole.prefault({}) : whole) as unknown as z.ZodType<WireParameters>;
}

/** One application of the feature: its columns, and `label` for {column}. */
interface Application {
  readonly label: string;
  /** One per input; undefined for one that is left out. */
  readonly columns: readonly (string | undefined)[];
}

const isNumeric = (vector: Vector): boolean => DataType.isFloat(vector.type) || DataType.isInt(vector.type);

function applicationsOf(name: string, inputs: readonly string[], table: Table, params: WireParameters): Application[] {
  if (inputs.length > 1) {
    const roles = params.columns as Record<string, string | undefined>;
    return [{ label: roles[inputs[0] as string] as string, columns: inputs.map((input) => roles[input]) }];
  }
  const given = params.columns as string[] | undefined;
  const fields = table.schema.fields.map((field) => field.name);
  const columns =
    given ??
    fields.filter(
      (field) => field !== params.by && !params.keep.includes(field) && isNumeric(table.getChild(field) as Vector),
    );
  if (columns.length === 0)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `${name}: the table has no column of numbers; it has ${fields.join(", ") || "no columns"}`,
    );
  return columns.map((column) => ({ label: column, columns: [column] }));
}

function nameOf(
  application: Application,
  output: string,
  several: { columns: boolean; outputs: boolean },
  as: string | undefined,
): string {
  const template = as ?? (several.columns ? (several.outputs ? "{column}_{output}" : "{column}") : "{output}");
  return template.replaceAll("{column}", application.label).replaceAll("{output}", output);
}

/**
 * Throws INVALID_ARGUMENT that names the column or parameter. An empty table gives an empty table and the carry it got.
 */
export function applyToTable<P extends z.ZodObject>(
  feature: FeatureDeclaration<P>,
  own: z.output<P>,
  table: Table,
  params: WireParameters,
  carry: Carry | undefined,
): Table | WireResult {
  const name = `feature.${feature.name}`;
  const applications = applicationsOf(name, feature.inputs, table, params);
  const columns = applications.map((one) => one.columns.join());
  const identity = {
    feature: name,
    version: feature.version,
    params: JSON.stringify(own),
    columns,
    by: params.by ?? "",
  };
  const states = new States(identity, feature.create(own), carry);
  const series = seriesRows(name, table, params.by);
  const results = runSeries(feature, applications, series, states, table);
  const vectors: Record<string, Vector> = {};
  const put = (column: string, vector: Vector): void => {
    if (Object.hasOwn(vectors, column))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${name}: two output columns are named ${column}; give params.as with {column} and {output}`,
      );
    vectors[column] = vector;
  };
  for (const column of params.keep) put(column, columnOf(table, column, "a column to keep"));
  const several = { columns: feature.inputs.length === 1, outputs: feature.outputs.length > 1 };
  applications.forEach((application, i) => {
    feature.outputs.forEach((output, k) => {
      put(nameOf(application, output, several, params.as), resultVector(results[i]?.[k] as Float64Array));
    });
  });
  const result = new Table(vectors);
  return params.withCarry ? { table: result, carry: states.carry() } : result;
}

/** Outputs by application, over all rows of the table. */
function runSeries<P extends z.ZodObject>(
  feature: FeatureDeclaration<P>,
  applications: readonly Application[],
  series: SeriesRows,
  states: States,
  table: Table,
): Float64Array[][] {
  const columns = applications.map((one) =>
    one.columns.map((column) =>
      column === undefined ? new Float64Array(table.numRows).fill(Number.NaN) : optionalFloat64Column(table, column),
    ),
  );
  const groupsOf = (s: number): FeatureGroup[] =>
    states.of(series.keys[s] as string).map((state, i) => ({
      state,
      inputs: (columns[i] as Float64Array[]).map((column) => valuesOf(column, series, s)),
    }));
  if (series.keys.length === 1 && !series.order) return runGroups(feature, groupsOf(0), table.numRows);
  const outputs = applications.map(() => feature.outputs.map(() => new Float64Array(table.numRows)));
  for (const [rows, members] of byLength(series)) {
    const results = runGroups(feature, members.flatMap(groupsOf), rows);
    results.forEach((values, i) => {
      const s = members[Math.floor(i / applications.length)] as number;
      values.forEach((value, k) => {
        putValues(value, series, s, outputs[i % applications.length]?.[k] as Float64Array);
      });
    });
  }
  return outputs;
}

function resultVector(values: Float64Array): Vector {
  const validity = engineOf()?.validity?.(values);
  return validity ? maskedFloat64Vector(values, validity) : ownFloat64Vector(values);
}

/** Appends `rows` bars to every group, by the WebAssembly form if the engine has it. */
function runGroups<P extends z.ZodObject>(
  feature: FeatureDeclaration<P>,
  groups: readonly FeatureGroup[],
  rows: number,
): Float64Array[][] {
  const fast = feature.wasm
    ? engineOf()?.run(feature.wasm.exportName, feature.outputs.length, groups, rows)
    : undefined;
  if (fast) return fast;
  return groups.map(({ state, inputs }) => {
    const outputs = feature.outputs.map(() => new Float64Array(rows));
    feature.run(state, inputs, 0, rows, outputs);
    return outputs;
  });
}
