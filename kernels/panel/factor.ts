/**
 * Factor analysis by correlation: information coefficients per date, their summary, their decay over horizons, and the
 * factor's own persistence.
 */

import { Table, type Vector } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { float64Vector, int32Vector, textVector } from "../columns/building.js";
import { columnName } from "../columns/column-name.js";
import { mistypedFault, namedColumn } from "../columns/named-column.js";
import { optionalFloat64Column } from "../columns/reading.js";
import { type Numbers, plainNumbers } from "../columns/result-columns.js";
import { defineKernel, tableArg } from "../kernel.js";
import { datesOf, type Panel, panelOf } from "./axes.js";
import { correlationOf, type Summary, summaryOf } from "./coefficient.js";
import { forwardReturns, forwardShape, horizonsParameter } from "./forward.js";
import { eachSection, maskOf } from "./sections.js";
import { axesShape, axisColumns, family, isNumeric, maskParameter, sectionNumbers, tableOf } from "./wire.js";

const factorParameter = columnName.describe("The column of the factor.");
const correlationParameter = z
  .enum(["spearman", "pearson"])
  .default("spearman")
  .describe("Correlation of ranks (ties averaged), or of the values.");
const leastParameter = z.int().min(2).max(1_000_000).default(3).describe("Dates with fewer pairs have no coefficient.");
const pairNulls =
  "A row where factor or return is null, NaN or ±infinity is left out. Null where there are too few rows, or one of the two does not vary.";

interface PairOptions {
  readonly correlation: "spearman" | "pearson";
  readonly minCount: number;
  readonly mask?: string | undefined;
}

/** Coefficient and number of pairs of every date. */
function coefficients(
  panel: Panel,
  factor: Numbers,
  returns: Numbers,
  { correlation, minCount, mask }: PairOptions,
): { ic: Float64Array; n: Int32Array } {
  const ic = new Float64Array(panel.dates).fill(Number.NaN);
  const n = new Int32Array(panel.dates);
  const correlate = correlationOf(correlation);
  eachSection(panel, [factor, returns], { finite: true, mask: maskOf(panel, mask) }, ({ inputs, date }) => {
    const [x, y] = inputs as [Float64Array, Float64Array];
    n[date] = x.length;
    if (x.length >= minCount) ic[date] = correlate(x, y);
  });
  return { ic, n };
}

export const panelIc = defineKernel({
  name: "panel.ic",
  version: 1,
  causality: "causal",
  doc: "Information coefficient of every date: the correlation of a factor with forward returns over the symbols. A row per date. It reads its own date alone; but where returns come later, so is the coefficient known later.",
  family,
  columns: {
    inputs: [...axisColumns, { name: "factor", type: "number" }, { name: "returns", type: "number" }],
    outputs: [
      { name: "date", type: "as it is" },
      { name: "ic_{returns}", type: "float64" },
      { name: "n_{returns}", type: "int32", doc: "pairs" },
    ],
  },
  lookback: () => 0,
  lag: 0,
  nulls: pairNulls,
  costNs: 70,
  args: [
    ["table", tableArg],
    [
      "params",
      z.strictObject({
        factor: factorParameter,
        returns: z
          .array(columnName)
          .min(1)
          .max(1_000)
          .describe("Columns of forward returns, as panel.forward_returns makes."),
        correlation: correlationParameter,
        minCount: leastParameter,
        mask: maskParameter,
        ...axesShape,
      }),
    ],
  ],
  run: ({ table, params }) => {
    const panel = panelOf("panel.ic", table, params);
    const factor = sectionNumbers(panel, params.factor);
    const columns: [string, Vector][] = [[params.date, datesOf(panel)]];
    for (const name of params.returns) {
      const { ic, n } = coefficients(panel, factor, sectionNumbers(panel, name), params);
      columns.push([`ic_${name}`, float64Vector(ic)], [`n_${name}`, int32Vector(n)]);
    }
    return tableOf(panel.kernel, columns);
  },
});

// ------------------------------------------------------------------------------------------------ summaries

const summaryColumns = [
  { name: "n", type: "int32", doc: "dates with a coefficient" },
  { name: "mean", type: "float64" },
  { name: "std", type: "float64", doc: "ddof 1" },
  { name: "ir", type: "float64", doc: "mean / std, per date" },
  { name: "t", type: "float64", doc: "ir * sqrt(n)" },
  { name: "hit", type: "float64", doc: "share above 0" },
];

function summaryVectors(summaries: readonly Summary[]): Record<string, Vector> {
  const of = (key: keyof Summary): Vector => float64Vector(Float64Array.from(summaries, (summary) => summary[key]));
  return {
    n: int32Vector(Int32Array.from(summaries, ({ n }) => n)),
    mean: of("mean"),
    std: of("std"),
    ir: of("ir"),
    t: of("t"),
    hit: of("hit"),
  };
}

export const panelIcSummary = defineKernel({
  name: "panel.ic_summary",
  version: 1,
  causality: "summary",
  doc: "Mean, standard deviation, information ratio, t and hit rate of columns over dates: the coefficients of panel.ic, a spread, a turnover. Partitions of dates are joined (volley.concat) before it. A row per column.",
  family,
  columns: {
    inputs: [{ name: "columns", type: "number" }],
    outputs: [{ name: "column", type: "text" }, ...summaryColumns],
  },
  nulls: "Null, NaN and ±infinity are left out. Null where n is too small.",
  costNs: 10,
  args: [
    ["table", tableArg],
    [
      "params",
      z
        .strictObject({
          columns: z
            .array(columnName)
            .min(1)
            .max(10_000)
            .optional()
            .describe("Default: the columns of numbers that begin with ic_."),
        })
        .prefault({}),
    ],
  ],
  run: ({ table, params }) => {
    const kernel = "panel.ic_summary";
    const fields = table.schema.fields.map(({ name }) => name);
    const names =
      params.columns ?? fields.filter((name) => name.startsWith("ic_") && isNumeric(table.getChild(name) as Vector));
    if (names.length === 0)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${kernel}: no column begins with ic_; give params.columns. The table has ${fields.join(", ") || "no columns"}`,
        {
          details: { kernel },
        },
      );
    const summaries = names.map((name) => {
      const column = namedColumn(kernel, "given", table, name, "numbers");
      if (!isNumeric(column.vector)) throw mistypedFault(column, "expected numbers");
      return summaryOf(optionalFloat64Column(table, name).filter(Number.isFinite));
    });
    return new Table({ column: textVector(names), ...summaryVectors(summaries) });
  },
});

export const panelIcDecay = defineKernel({
  name: "panel.ic_decay",
  version: 1,
  causality: "summary",
  doc: "How a factor's information coefficient decays: the summary of its coefficients with the returns over every horizon. A row per horizon. It reads returns ahead, and so the whole panel at once.",
  family,
  columns: {
    inputs: [...axisColumns, { name: "factor", type: "number" }, { name: "price", type: "number" }],
    outputs: [{ name: "horizon", type: "int32" }, ...summaryColumns],
  },
  nulls: pairNulls,
  costNs: 130,
  args: [
    ["table", tableArg],
    [
      "params",
      z.strictObject({
        factor: factorParameter,
        horizons: horizonsParameter,
        correlation: correlationParameter,
        minCount: leastParameter,
        mask: maskParameter,
        ...forwardShape,
        ...axesShape,
      }),
    ],
  ],
  run: ({ table, params }) => {
    const panel = panelOf("panel.ic_decay", table, params);
    const factor = sectionNumbers(panel, params.factor);
    const ahead = forwardReturns(panel, params, params.horizons);
    const summaries = ahead.map((returns) => summaryOf(coefficients(panel, factor, plainNumbers(returns), params).ic));
    return new Table({ horizon: int32Vector(Int32Array.from(params.horizons)), ...summaryVectors(summaries) });
  },
});
