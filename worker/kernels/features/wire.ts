/** Features on tables: which columns they read, how the outputs are named, and the state that one partition hands to the next. */
import { DataType, Table, type Vector } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../../proto/errors.js";
import { columnOf, float64Vector, optionalFloat64Column } from "../columns.js";
import type { FeatureDeclaration } from "./declaration.js";
import { engineOf } from "./engine.js";

/** What a partition hands to the next one of the same series. */
export interface Carry {
  readonly feature: string;
  readonly version: number;
  /** The parameters it was made with, as JSON. */
  readonly params: string;
  /** A column, or the columns of one application, each. */
  readonly columns: readonly string[];
  /** The states of all applications, one behind the other. */
  readonly state: Float64Array;
}

/** The answer with `withCarry`. Given whole as the next partition's `carry`, so that a chain of tasks needs nothing between. */
export interface WireResult {
  readonly table: Table;
  readonly carry: Carry;
}

const carryObject = z.object({
  feature: z.string(),
  version: z.number(),
  params: z.string(),
  columns: z.array(z.string()),
  state: z.custom<Float64Array>((value) => value instanceof Float64Array, { error: "expected a Float64Array" }),
});

/** A carry, or the whole result of the previous partition. */
export const carrySchema = z
  .union([carryObject, z.object({ table: z.unknown(), carry: carryObject }).transform((result) => result.carry)], {
    error: "expected what the previous partition returned with withCarry",
  })
  .optional()
  .describe("What the previous partition of the same series returned with `withCarry`; absent at the beginning of the series.");

const columnName = z.string().min(1).max(1_000);

const wireShape = {
  as: columnName
    .optional()
    .describe("Names of the outputs, with {column} and {output}; default: {column}, {column}_{output} or {output}, whichever is needed."),
  keep: z.array(columnName).max(1_000).default([]).describe("Columns of the table that go through unchanged, such as the date; they come first."),
  withCarry: z.boolean().default(false).describe("Return { table, carry } instead of the table; carry goes to the next partition as third argument."),
};

type WireParameters = z.output<z.ZodObject<typeof wireShape>> & { readonly columns?: unknown };

/** The feature's own parameters and those of every feature. */
export function wireParameters({ parameters, inputs, optionalInputs = [] }: FeatureDeclaration<z.ZodObject>): z.ZodType<WireParameters> {
  const role = (input: string): [string, z.ZodType] => [input, optionalInputs.includes(input) ? columnName.optional() : columnName.default(input)];
  const columns =
    inputs.length === 1
      ? z.array(columnName).min(1).max(100_000).optional().describe("The feature is applied to each of these columns; default: every column of numbers.")
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
  const columns = given ?? fields.filter((field) => !params.keep.includes(field) && isNumeric(columnOf(table, field)));
  if (columns.length === 0)
    throw new VolleyError("INVALID_ARGUMENT", `${name}: the table has no column of numbers; it has ${fields.join(", ") || "no columns"}`);
  return columns.map((column) => ({ label: column, columns: [column] }));
}

function nameOf(application: Application, output: string, several: { columns: boolean; outputs: boolean }, as: string | undefined): string {
  const template = as ?? (several.columns ? (several.outputs ? "{column}_{output}" : "{column}") : "{output}");
  return template.replaceAll("{column}", application.label).replaceAll("{output}", output);
}

/** The state to begin with. Throws INVALID_ARGUMENT if the carry is of another feature, parameters or columns. */
function statesOf(expected: Omit<Carry, "state">, fresh: Float64Array, count: number, carry: Carry | undefined): Float64Array[] {
  if (!carry) return Array.from({ length: count }, () => fresh.slice());
  for (const key of ["feature", "version", "params"] as const) {
    if (carry[key] !== expected[key])
      throw new VolleyError("INVALID_ARGUMENT", `${expected.feature}: carry.${key} is ${carry[key]}, this partition has ${expected[key]}`);
  }
  if (carry.columns.join() !== expected.columns.join())
    throw new VolleyError("INVALID_ARGUMENT", `${expected.feature}: carry.columns are ${carry.columns.join()}, this partition has ${expected.columns.join()}`);
  if (carry.state.length !== count * fresh.length)
    throw new VolleyError("INVALID_ARGUMENT", `${expected.feature}: carry.state has ${carry.state.length} numbers, expected ${count * fresh.length}`);
  return Array.from({ length: count }, (_, i) => carry.state.slice(i * fresh.length, (i + 1) * fresh.length));
}

function joined(states: readonly Float64Array[], length: number): Float64Array {
  const all = new Float64Array(states.length * length);
  states.forEach((state, i) => {
    all.set(state, i * length);
  });
  return all;
}

/** Throws INVALID_ARGUMENT that names the column or parameter. An empty table gives an empty table and the carry it got. */
export function applyToTable<P extends z.ZodObject>(
  feature: FeatureDeclaration<P>,
  own: z.output<P>,
  table: Table,
  params: WireParameters,
  carry: Carry | undefined,
): Table | WireResult {
  const name = `feature.${feature.name}`;
  const applications = applicationsOf(name, feature.inputs, table, params);
  const fresh = feature.create(own);
  const expected = { feature: name, version: feature.version, params: JSON.stringify(own), columns: applications.map((one) => one.columns.join()) };
  const states = statesOf(expected, fresh, applications.length, carry);
  const groups = applications.map(({ columns }, i) => ({
    state: states[i] as Float64Array,
    inputs: columns.map((column) => (column === undefined ? new Float64Array(table.numRows).fill(Number.NaN) : optionalFloat64Column(table, column))),
  }));
  const results = runGroups(feature, groups, table.numRows);
  const vectors: Record<string, Vector> = {};
  const put = (column: string, vector: Vector): void => {
    if (Object.hasOwn(vectors, column))
      throw new VolleyError("INVALID_ARGUMENT", `${name}: two output columns are named ${column}; give params.as with {column} and {output}`);
    vectors[column] = vector;
  };
  for (const column of params.keep) put(column, columnOf(table, column));
  const several = { columns: feature.inputs.length === 1, outputs: feature.outputs.length > 1 };
  applications.forEach((application, i) => {
    feature.outputs.forEach((output, k) => {
      put(nameOf(application, output, several, params.as), float64Vector(results[i]?.[k] as Float64Array));
    });
  });
  const result = new Table(vectors);
  return params.withCarry ? { table: result, carry: { ...expected, state: joined(states, fresh.length) } } : result;
}

/** Appends `rows` bars to every group, by the WebAssembly form if the engine has it. */
function runGroups<P extends z.ZodObject>(
  feature: FeatureDeclaration<P>,
  groups: readonly { state: Float64Array; inputs: Float64Array[] }[],
  rows: number,
): Float64Array[][] {
  const fast = feature.wasm ? engineOf()?.run(feature.wasm.exportName, feature.outputs.length, groups, rows) : undefined;
  if (fast) return fast;
  return groups.map(({ state, inputs }) => {
    const outputs = feature.outputs.map(() => new Float64Array(rows));
    feature.run(state, inputs, 0, rows, outputs);
    return outputs;
  });
}
