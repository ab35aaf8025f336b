/** The job's tables as the plain figures that the summary and the report show. */
import type { Table } from "apache-arrow";
import { VolleyError } from "../../../proto/errors.js";
import { type DemoFamily, demoFamilies, demoSettings } from "./plan.js";

const statistics = ["sharpe", "cagr", "maxDrawdown", "totalReturn", "volatility", "trades"] as const;

/** null: not defined, as the Sharpe ratio of a strategy that never traded. */
export type SideValues = Readonly<Record<(typeof statistics)[number], number | null>>;

export interface StrategyOutcome {
  readonly name: string;
  readonly title: string;
  /** As text, e.g. `fast 33, slow 222`; empty for the benchmark. */
  readonly parameters: string;
  readonly inSample: SideValues;
  readonly outOfSample: SideValues;
  readonly probabilisticSharpe: number | null;
  readonly deflatedSharpe: number | null;
  /** Value per bar, starting with 1. */
  readonly equity: Float64Array;
}

/**
 * A Sharpe ratio for every pair of the family's first two parameters; NaN where there is none. Row by row, y ascending.
 */
export interface Surface {
  readonly x: { readonly name: string; readonly values: readonly number[] };
  readonly y: { readonly name: string; readonly values: readonly number[] };
  readonly inSample: Float64Array;
  readonly outOfSample: Float64Array;
  /** Where the best combination lies. */
  readonly best: { readonly x: number; readonly y: number };
  /** Parameters beyond the first two, of which each cell shows the best choice. */
  readonly others: readonly string[];
}

export interface FamilyOutcome extends StrategyOutcome {
  readonly trials: number;
  readonly surface: Surface;
}

export interface SweepOutcome {
  readonly families: readonly FamilyOutcome[];
  readonly benchmark: StrategyOutcome;
  /** Combinations tried by all families together. */
  readonly trials: number;
  /** The annual Sharpe ratio that luck alone gives the best of so many trials. */
  readonly luckSharpe: number;
  /** Days since 1970-01-01 of the bars. */
  readonly days: Int32Array;
  /** The first bar out of sample. */
  readonly split: number;
}

/** `tableOf` gives the result of a stage of one task by the stage's name. */
export function readOutcome(tableOf: (stage: string) => Table): SweepOutcome {
  const verdict = tableOf("verdict");
  const rowOf = new Map(
    Array.from({ length: verdict.numRows }, (_, row) => [String(cell(verdict, "family", row)), row]),
  );
  const strategy = (name: string, title: string): StrategyOutcome => {
    const row = rowOf.get(name) ?? -1;
    const side = (suffix: "In" | "Out"): SideValues =>
      Object.fromEntries(statistics.map((key) => [key, figure(verdict, `${key}${suffix}`, row)])) as SideValues;
    return {
      name,
      title,
      parameters: String(cell(verdict, "parameters", row)),
      inSample: side("In"),
      outOfSample: side("Out"),
      probabilisticSharpe: figure(verdict, "probabilisticSharpe", row),
      deflatedSharpe: figure(verdict, "deflatedSharpe", row),
      equity: numbers(tableOf(`equity-${name}`), "equity"),
    };
  };
  const families = demoFamilies.map((family) => ({
    ...strategy(family.name, family.title),
    trials: figure(verdict, "familyTrials", rowOf.get(family.name) ?? -1) ?? 0,
    surface: surfaceOf(family, tableOf(`surface-${family.name}`), tableOf(`best-${family.name}`)),
  }));
  const days = daysOf(tableOf("equity-buy-and-hold"));
  const lastInside = Date.parse(demoSettings.inSampleEnd) / 86_400_000;
  return {
    families,
    benchmark: strategy("buy-and-hold", "Buy and hold"),
    trials: figure(verdict, "trials", 0) ?? 0,
    luckSharpe: figure(verdict, "luckSharpeIn", 0) ?? 0,
    days,
    split: days.findIndex((day) => day > lastInside),
  };
}

function surfaceOf(family: DemoFamily, table: Table, best: Table): Surface {
  const [x = "", y = "", ...others] = Object.keys(family.grid);
  const axis = (name: string) => ({ name, values: family.grid[name] ?? [] });
  const [across, up] = [axis(x), axis(y)];
  const place = (values: readonly number[]): Map<number, number> => new Map(values.map((value, i) => [value, i]));
  const [column, line] = [place(across.values), place(up.values)];
  const cells = (name: string): Float64Array => {
    const grid = new Float64Array(across.values.length * up.values.length).fill(Number.NaN);
    const [xs, ys, values] = [numbers(table, x), numbers(table, y), numbers(table, name)];
    values.forEach((value, row) => {
      grid[(line.get(ys[row] as number) ?? 0) * across.values.length + (column.get(xs[row] as number) ?? 0)] = value;
    });
    return grid;
  };
  return {
    x: across,
    y: up,
    inSample: cells("sharpeIn"),
    outOfSample: cells("sharpeOut"),
    best: { x: Number(cell(best, x, 0)), y: Number(cell(best, y, 0)) },
    others,
  };
}

function column(table: Table, name: string): NonNullable<ReturnType<Table["getChild"]>> {
  const found = table.getChild(name);
  if (!found)
    throw new VolleyError(
      "INTERNAL",
      `a result has no column ${name}; it has ${table.schema.fields.map((field) => field.name).join(", ")}`,
    );
  return found;
}

const cell = (table: Table, name: string, row: number): unknown => column(table, name).get(row);

function figure(table: Table, name: string, row: number): number | null {
  const value = cell(table, name, row);
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

const numbers = (table: Table, name: string): Float64Array =>
  Float64Array.from(column(table, name), (value: number | null) => value ?? Number.NaN);

/** Arrow gives a date as milliseconds. */
const daysOf = (table: Table): Int32Array =>
  Int32Array.from(column(table, "date"), (value: number | Date | null) => Number(value ?? 0) / 86_400_000);
