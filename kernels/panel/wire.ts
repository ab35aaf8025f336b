/**
 * Cross-section kernels on tables: parameters that all have, the columns they apply to, and how the results are named.
 */

import { DataType, Table, type Vector } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { columnName } from "../columns/column-name.js";
import { columnFault, mistypedFault, namedColumn } from "../columns/named-column.js";
import { optionalFloat64Column } from "../columns/reading.js";
import {
  floatColumn,
  type Numbers,
  plainNumbers,
  type ResultColumn,
  storedNumbers,
} from "../columns/result-columns.js";
import { defineKernel, type TypedKernel, tableArg } from "../kernel.js";
import { type AxisNames, type Panel, panelOf } from "./axes.js";
import { Beginnings } from "./beginnings.js";
import { eachSection, groupsOf, longestDate, maskOf } from "./sections.js";

export const family = "Cross-section";

export const axesShape = {
  date: columnName
    .default("date")
    .describe("The column of dates (dates, timestamps, integers or ISO text); rows ascend by it."),
  symbol: columnName
    .default("symbol")
    .describe("The column of symbols (text or integers); on each date rows ascend by it, without duplicates."),
};

export const maskParameter = columnName
  .optional()
  .describe(
    "A boolean column, such as the membership of panel.universe: rows where it is not true are left out. Default: all rows count.",
  );

const sectionShape = {
  columns: z
    .array(columnName)
    .min(1)
    .max(10_000)
    .optional()
    .describe("Columns of numbers to apply to, each by itself; default: all that have no other role."),
  mask: maskParameter,
  group: columnName
    .optional()
    .describe(
      "A column of groups, such as the sector: every group of a date is a section of its own. Default: the date is one section.",
    ),
  keep: z
    .array(columnName)
    .max(1_000)
    .default([])
    .describe("Columns that go through unchanged; they come after date and symbol."),
  as: columnName.optional().describe("Names of the results, with {column} for the column."),
  ...axesShape,
};

type SectionParameters = z.output<z.ZodObject<typeof sectionShape>>;

export const axisColumns = [
  { name: "date", type: "date, timestamp, integer or ISO text", doc: "ascending" },
  { name: "symbol", type: "text or integer", doc: "ascending within each date, no duplicates" },
];

/**
 * Computes one section: `inputs` are the values present, in the order of symbols; NaN in `out` becomes null. Must not
 * write to the inputs.
 */
export type SectionRun = (
  inputs: readonly Float64Array[],
  out: Float64Array,
  fault: (why: string) => VolleyError,
) => void;

export interface SectionPlan {
  /** Further columns that the section reads beside the one it applies to; rows where one is missing are left out. */
  readonly others?: readonly string[];
  /** A key column whose ids are the last input; rows where it is null are left out. */
  readonly keys?: string | undefined;
  /** ±infinity is missing. */
  readonly finite: boolean;
  /** Whether `group` makes sections of their own; false if the kernel reads its groups otherwise. */
  readonly sectionsByGroup?: boolean;
  readonly run: SectionRun;
}

export interface SectionKernel<P extends z.ZodObject, N extends string = string> {
  /** Without the prefix `panel.`. */
  readonly name: N;
  readonly doc: string;
  readonly nulls: string;
  readonly costNs: number;
  /** A strict object. */
  readonly parameters: P;
  /** Default of `as`. */
  readonly as: string;
  readonly output: { readonly type: string; readonly column: (length: number) => ResultColumn };
  readonly plan: (params: z.output<P>, group: string | undefined) => SectionPlan;
}

export const floats = { type: "float64", column: floatColumn };

/** What a caller writes; nothing at all where every parameter has a default. */
type SectionInput<P extends z.ZodObject> =
  | (z.input<P> & z.input<z.ZodObject<typeof sectionShape>>)
  | (Record<string, never> extends z.input<P> ? undefined : never);

/** A kernel that is a function of every section's values. */
export function sectionKernel<P extends z.ZodObject, const N extends string>(
  declaration: SectionKernel<P, N>,
): TypedKernel<
  `panel.${N}`,
  readonly [
    readonly ["table", typeof tableArg],
    readonly ["params", z.ZodType<z.output<P> & SectionParameters, SectionInput<P>>],
  ],
  Table
> {
  const { parameters, plan, output } = declaration;
  const whole = parameters.safeExtend(sectionShape);
  const params = (whole.safeParse({}).success ? whole.prefault({}) : whole) as unknown as z.ZodType<
    z.output<P> & SectionParameters,
    SectionInput<P>
  >;
  const name = `panel.${declaration.name}` as const;
  return defineKernel({
    name,
    version: 1,
    causality: "causal",
    doc: declaration.doc,
    family,
    columns: {
      inputs: [...axisColumns, { name: "columns", type: "number" }],
      outputs: [...axisColumns, { name: declaration.as, type: output.type }],
    },
    // Rows of other dates touch nothing.
    lookback: () => 0,
    lag: 0,
    nulls: declaration.nulls,
    costNs: declaration.costNs,
    args: [
      ["table", tableArg],
      ["params", params],
    ],
    run: ({ table, params: given }) =>
      runSections(declaration, panelOf(name, table, given), given, plan(given, given.group)),
  });
}

function runSections<P extends z.ZodObject>(
  declaration: SectionKernel<P>,
  panel: Panel,
  params: SectionParameters,
  plan: SectionPlan,
): Table {
  const { group, mask, keep, columns } = params;
  const others = plan.others ?? [];
  const names = valueColumns(
    panel,
    columns,
    [...keep, ...others, ...[group, mask, plan.keys].flatMap((one) => one ?? [])],
    params,
  );
  const results = keptColumns(panel, params, keep);
  const rules = {
    finite: plan.finite,
    mask: maskOf(panel, mask),
    groups: plan.sectionsByGroup === false ? undefined : groupsOf(panel, group),
  };
  const shared = others.map((other) => sectionNumbers(panel, other));
  if (plan.keys !== undefined) shared.push(plainNumbers(keyNumbers(panel, plan.keys)));
  const scratch = new Beginnings(new Float64Array(longestDate(panel)));
  for (const name of names) {
    const result = declaration.output.column(panel.table.numRows);
    eachSection(panel, [sectionNumbers(panel, name), ...shared], rules, (section) => {
      const made = scratch.of((section.inputs[0] as Float64Array).length);
      plan.run(section.inputs, made, (why) => sectionFault(panel, name, section.date, why));
      result.put(section, made);
    });
    results.push([(params.as ?? declaration.as).replaceAll("{column}", name), result.vector()]);
  }
  return tableOf(panel.kernel, results);
}

/** Ids of keys as numbers, NaN for null: an input like others. */
function keyNumbers(panel: Panel, name: string): Float64Array {
  const groups = groupsOf(panel, name) as { ids: Int32Array };
  const keys = Float64Array.from(groups.ids);
  for (let row = 0; row < keys.length; row++) if ((keys[row] as number) < 0) keys[row] = Number.NaN;
  return keys;
}

/** Null as NaN. Throws INVALID_ARGUMENT for a column that is not there or holds no numbers. */
export function numbers(panel: Panel, name: string): Float64Array {
  requireNumbers(panel, name);
  return optionalFloat64Column(panel.table, name);
}

/** The same for sections, in place where it can be. */
export function sectionNumbers(panel: Panel, name: string): Numbers {
  requireNumbers(panel, name);
  return storedNumbers(panel.table, name);
}

function requireNumbers(panel: Panel, name: string): void {
  const column = namedColumn(panel.kernel, "panel", panel.table, name, "numbers");
  if (!isNumeric(column.vector)) throw mistypedFault(column, "expected numbers");
}

export const isNumeric = (vector: Vector): boolean => DataType.isFloat(vector.type) || DataType.isInt(vector.type);

function valueColumns(
  panel: Panel,
  given: readonly string[] | undefined,
  taken: readonly string[],
  axes: AxisNames,
): readonly string[] {
  if (given) return given;
  const { fields } = panel.table.schema;
  const names = fields.map((field) => field.name);
  const found = names.filter(
    (name) =>
      name !== axes.date &&
      name !== axes.symbol &&
      !taken.includes(name) &&
      isNumeric(panel.table.getChild(name) as Vector),
  );
  if (found.length > 0) return found;
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `${panel.kernel}: the table has no column of numbers to apply to; it has ${names.join(", ")}`,
    {
      details: { kernel: panel.kernel },
    },
  );
}

/** `why` follows the column's name. */
export function sectionFault(panel: Panel, column: string, date: number, why: string): VolleyError {
  const row = panel.starts[date] as number;
  const value: unknown = panel.table.getChild(panel.date.name)?.get(row);
  const instant = DataType.isDate(panel.date.vector.type) || DataType.isTimestamp(panel.date.vector.type);
  const on = instant && typeof value === "number" ? new Date(value).toISOString().slice(0, 10) : String(value);
  return columnFault({ kernel: panel.kernel, side: "panel", name: column }, `${why} on ${on}`, { date: on });
}

/**
 * Columns in their order (an object would put those named by whole numbers first, as the symbol 600519). Refuses names
 * that come twice.
 */
export function tableOf(kernel: string, columns: readonly (readonly [name: string, vector: Vector])[]): Table {
  const names = columns.map(([name]) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `${kernel}: two columns of the result are named ${JSON.stringify(twice)}; choose other names`,
      {
        details: { kernel, column: twice },
      },
    );
  return new Table(Object.fromEntries(columns)).select(names);
}

/** Columns of the panel that go through: date, symbol, and those named. */
export const keptColumns = (panel: Panel, axes: AxisNames, keep: readonly string[]): [string, Vector][] =>
  [axes.date, axes.symbol, ...keep].map((name) => [
    name,
    namedColumn(panel.kernel, "panel", panel.table, name, "a column to keep").vector,
  ]);
