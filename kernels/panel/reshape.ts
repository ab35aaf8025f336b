/** `panel.pivot` and `panel.unpivot`: long tables to wide and back. */

import { type Table, Utf8, Vector, vectorFromArray } from "apache-arrow";
import { z } from "zod";
import { float64Vector } from "../columns/building.js";
import { columnName } from "../columns/column-name.js";
import { gather } from "../columns/gather.js";
import { columnFault, mistypedFault, namedColumn } from "../columns/named-column.js";
import { optionalFloat64Column } from "../columns/reading.js";
import { defineKernel, tableArg } from "../kernel.js";
import { dateColumn, dateStarts, datesOf, type Panel, panelOf } from "./axes.js";
import { byCodePoint, symbolsOf } from "./symbols.js";
import { axesShape, axisColumns, family, isNumeric, numbers, tableOf } from "./wire.js";

const pivotParameters = z.strictObject({
  columns: z.array(columnName).min(1).max(1_000).describe("Columns of numbers to spread."),
  symbols: z
    .array(columnName)
    .min(1)
    .max(1_000_000)
    .optional()
    .describe(
      "Symbols that get a column, in this order; default: those in the table, ascending. Give them where partitions must have the same columns.",
    ),
  as: columnName
    .optional()
    .describe(
      "Names of the results, with {column} and {symbol}; default: {symbol}, or {column}_{symbol} if there are several columns.",
    ),
  ...axesShape,
});

function pivot(panel: Panel, params: z.output<typeof pivotParameters>): Table {
  const { ids, count, sortedIds, rows } = symbolsOf(panel.symbol);
  const own = Array.from(sortedIds, (id) => String(panel.symbol.vector.get(rows[id] as number)));
  const symbols = params.symbols ?? own;
  const template = params.as ?? (params.columns.length === 1 ? "{symbol}" : "{column}_{symbol}");
  const place = new Map(symbols.map((symbol, i) => [symbol, i]));
  const placeOfId = new Int32Array(count).fill(-1);
  sortedIds.forEach((id, i) => {
    placeOfId[id] = place.get(own[i] as string) ?? -1;
  });
  const columns: [string, Vector][] = [[params.date, datesOf(panel)]];
  for (const column of params.columns) {
    const values = numbers(panel, column);
    const wide = symbols.map(() => new Float64Array(panel.dates).fill(Number.NaN));
    for (let d = 0; d < panel.dates; d++) {
      for (let row = panel.starts[d] as number; row < (panel.starts[d + 1] as number); row++) {
        const series = wide[placeOfId[ids[row] as number] as number];
        if (series) series[d] = values[row] as number;
      }
    }
    wide.forEach((series, i) => {
      const name = template.replaceAll("{column}", column).replaceAll("{symbol}", symbols[i] as string);
      columns.push([name, float64Vector(series)]);
    });
  }
  return tableOf(panel.kernel, columns);
}

export const panelPivot = defineKernel({
  name: "panel.pivot",
  version: 1,
  causality: "causal",
  doc: "Long to wide: a row for every date, a column for every symbol.",
  family,
  columns: {
    inputs: [...axisColumns, { name: "columns", type: "number" }],
    outputs: [axisColumns[0] as (typeof axisColumns)[number], { name: "{symbol}", type: "float64" }],
  },
  lookback: () => 0,
  lag: 0,
  nulls: "Null, NaN and rows that are not there all become null.",
  costNs: 40,
  args: [
    ["table", tableArg],
    ["params", pivotParameters],
  ],
  run: ({ table, params }) => pivot(panelOf("panel.pivot", table, params), params),
});

// ------------------------------------------------------------------------------------------------ back

const unpivotParameters = z
  .strictObject({
    columns: z
      .array(columnName)
      .min(1)
      .max(1_000_000)
      .optional()
      .describe("Columns of numbers, one for each symbol; default: all of them but the date."),
    missing: z
      .enum(["drop", "keep"])
      .default("drop")
      .describe("Whether a null or NaN makes no row, or a row with null."),
    date: axesShape.date,
    symbol: columnName.default("symbol").describe("Name of the column of symbols."),
    value: columnName.default("value").describe("Name of the column of values."),
  })
  .refine(({ date, symbol, value }) => new Set([date, symbol, value]).size === 3, {
    path: ["value"],
    error: "date, symbol and value are not three names",
  })
  .prefault({});

function unpivot(table: Table, params: z.output<typeof unpivotParameters>): Table {
  const kernel = "panel.unpivot";
  const date = dateColumn(kernel, "wide", table, params.date);
  dateStarts(date, true);
  const fields = table.schema.fields.map((field) => field.name);
  const names = [
    ...(params.columns ?? fields.filter((name) => name !== params.date && isNumeric(table.getChild(name) as Vector))),
  ].sort(byCodePoint);
  const columns = names.map((name) => {
    const column = namedColumn(kernel, "wide", table, name, "numbers");
    if (!isNumeric(column.vector)) throw mistypedFault(column, "expected numbers");
    return optionalFloat64Column(table, name);
  });
  const twice = names.find((name, i) => name === names[i - 1]);
  if (twice !== undefined) throw columnFault({ kernel, side: "wide", name: twice }, "is named twice in params.columns");
  const most = table.numRows * names.length;
  const [dates, symbols, values] = [new Int32Array(most), new Int32Array(most), new Float64Array(most)];
  let n = 0;
  for (let row = 0; row < table.numRows; row++) {
    for (let c = 0; c < columns.length; c++) {
      const value = (columns[c] as Float64Array)[row] as number;
      if (params.missing === "drop" && Number.isNaN(value)) continue;
      dates[n] = row;
      symbols[n] = c;
      values[n++] = value;
    }
  }
  const given = table.getChild(params.date) as Vector;
  return tableOf(kernel, [
    [params.date, new Vector([gather(given, dates.subarray(0, n))])],
    [params.symbol, new Vector([gather(vectorFromArray(names, new Utf8()), symbols.subarray(0, n))])],
    [params.value, float64Vector(values.slice(0, n))],
  ]);
}

export const panelUnpivot = defineKernel({
  name: "panel.unpivot",
  version: 1,
  causality: "causal",
  doc: "Wide to long: a row for every date and column, sorted as a panel. Dates must ascend, each once.",
  family,
  columns: {
    inputs: [
      { name: "date", type: "date, timestamp, integer or ISO text" },
      { name: "columns", type: "number" },
    ],
    outputs: [...axisColumns, { name: "value", type: "float64" }],
  },
  lookback: () => 0,
  lag: 0,
  nulls: 'Null and NaN make no row, or with missing "keep" a null.',
  costNs: 40,
  args: [
    ["table", tableArg],
    ["params", unpivotParameters],
  ],
  run: ({ table, params }) => unpivot(table, params),
});
