/** The table of a sweep: one row per combination, its parameters and the statistics of both sides of the split. */
import { Table, type Vector } from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";
import { float64Vector, int32Vector } from "../columns/building.js";
import { optionalFloat64Column } from "../columns/reading.js";
import type { Family } from "./families.js";
import { countNames, type Statistics, statisticNames } from "./simulate.js";

export const sides = ["In", "Out"] as const;
export type Side = (typeof sides)[number];

/** sharpeIn, cagrIn, …, tradesIn, barsIn, sharpeOut, …: every statistic's column with its name there. */
export const statisticColumns: readonly {
  readonly column: string;
  readonly side: Side;
  readonly name: keyof Statistics;
  readonly whole: boolean;
}[] = sides.flatMap((side) => [
  ...statisticNames.map((name) => ({ column: `${name}${side}`, side, name, whole: false })),
  ...countNames.map((name) => ({ column: `${name}${side}`, side, name, whole: true })),
]);

/** Collects rows as columns. */
export class SweepRows {
  readonly parameters: readonly (readonly number[])[];
  readonly #values: Float64Array[];
  readonly #family: Family;

  constructor(family: Family, parameters: readonly (readonly number[])[]) {
    this.#family = family;
    this.parameters = parameters;
    this.#values = statisticColumns.map(() => new Float64Array(parameters.length));
  }

  set(row: number, outcomes: Readonly<Record<Side, Statistics>>): void {
    statisticColumns.forEach(({ side, name }, i) => {
      (this.#values[i] as Float64Array)[row] = outcomes[side][name];
    });
  }

  columns(): Record<string, Vector> {
    const columns: Record<string, Vector> = {};
    this.#family.parameters.forEach((name, p) => {
      columns[name] = float64Vector(Float64Array.from(this.parameters, (row) => row[p] as number));
    });
    statisticColumns.forEach(({ column, whole }, i) => {
      const values = this.#values[i] as Float64Array;
      columns[column] = whole ? int32Vector(Int32Array.from(values)) : float64Vector(values);
    });
    return columns;
  }

  table(): Table {
    return new Table(this.columns());
  }
}

/** Columns of sweep tables read back, all tables as one, missing as NaN. */
export function readSweep(
  tables: readonly Table[],
  names: readonly string[],
): { readonly rows: number; readonly columns: Readonly<Record<string, Float64Array>> } {
  const rows = tables.reduce((sum, table) => sum + table.numRows, 0);
  const columns: Record<string, Float64Array> = {};
  for (const name of names) {
    const all = new Float64Array(rows);
    let at = 0;
    for (const table of tables) {
      if (table.numRows > 0) all.set(optionalFloat64Column(table, name), at);
      at += table.numRows;
    }
    columns[name] = all;
  }
  return { rows, columns };
}

/** The parameters in one row of a sweep's table. Throws INVALID_ARGUMENT if there is no such row. */
export function parametersIn(table: Table, family: Family, row: number): number[] {
  if (row >= table.numRows)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `row ${row} of a table of ${table.numRows} rows was asked for the parameters of ${family.name}`,
    );
  return family.parameters.map((name) => optionalFloat64Column(table, name)[row] as number);
}
