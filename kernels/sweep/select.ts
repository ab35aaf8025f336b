/**
 * What a sweep found: the best combinations, the surface over two parameters, and the verdict over all families. Only
 * in-sample figures choose; ties go to the smaller parameters, so the answer does not depend on how the grid was cut.
 */
import { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { float64Vector, int32Vector, textVector } from "../columns/building.js";
import { optionalFloat64Column } from "../columns/reading.js";
import { defineKernel, tableArg } from "../kernel.js";
import { deflatedSharpe, expectedMaxSharpe, probabilisticSharpe } from "../statistics/deflated-sharpe.js";
import { mergeVariance, momentsOf, varianceOf } from "../statistics/moments.js";
import { familyName, familyOf } from "./families.js";
import { readSweep, statisticColumns } from "./table.js";

const tradesMin = z.number().int().min(1).default(1);

/** Rows in order of their parameters: the order of a table that was never cut. */
function inParameterOrder(rows: number, parameters: readonly Float64Array[]): number[] {
  const compare = (a: number, b: number): number => {
    for (const column of parameters) if (column[a] !== column[b]) return (column[a] as number) - (column[b] as number);
    return a - b;
  };
  return Array.from({ length: rows }, (_, row) => row).sort(compare);
}

export const sweepSelect = defineKernel({
  name: "sweep.select",
  version: 1,
  causality: "summary",
  doc: "The best combinations of a family by in-sample Sharpe ratio, from all tables of its sweep, with the number of trials and the mean and spread of their Sharpe ratios. Those with fewer than `tradesMin` trades in sample count as trials but are not chosen.",
  args: [
    ["tables", z.array(tableArg).min(1)],
    ["family", familyName],
    ["top", z.number().int().min(1).max(1_000).default(10)],
    ["tradesMin", tradesMin],
  ],
  run: ({ tables, family: name, top, tradesMin }) => {
    const family = familyOf(name);
    const columns = [...family.parameters, ...statisticColumns.map(({ column }) => column)];
    const sweep = readSweep(tables, columns);
    const sharpe = sweep.columns.sharpeIn as Float64Array;
    const ordered = inParameterOrder(
      sweep.rows,
      family.parameters.map((parameter) => sweep.columns[parameter] as Float64Array),
    );
    const traded = ordered.filter((row) => !Number.isNaN(sharpe[row]));
    if (traded.length === 0)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `sweep.select: none of the ${sweep.rows} combinations of ${name} traded in sample; widen the grid`,
      );
    const trials = momentsOf(traded.map((row) => sharpe[row] as number));
    const tradesIn = sweep.columns.tradesIn as Float64Array;
    const eligible = traded.filter((row) => (tradesIn[row] as number) >= tradesMin);
    if (eligible.length === 0)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `sweep.select: tradesMin is ${tradesMin}: no combination of ${name} traded that often in sample; lower it or widen the grid`,
      );
    // A stable sort of rows in parameter order: equal Sharpe ratios stay in that order.
    const best = eligible.sort((a, b) => (sharpe[b] as number) - (sharpe[a] as number)).slice(0, top);
    const whole = new Set<string>(statisticColumns.filter((c) => c.whole).map((c) => c.column));
    const repeated = (value: number): Float64Array => new Float64Array(best.length).fill(value);
    return new Table({
      ...Object.fromEntries(
        columns.map((column) => {
          const values = Float64Array.from(best, (row) => (sweep.columns[column] as Float64Array)[row] as number);
          return [column, whole.has(column) ? int32Vector(Int32Array.from(values)) : float64Vector(values)];
        }),
      ),
      trials: float64Vector(repeated(sweep.rows)),
      sharpeTrials: float64Vector(repeated(trials.count)),
      sharpeMean: float64Vector(repeated(trials.mean)),
      sharpeM2: float64Vector(repeated(trials.m2)),
    });
  },
});

export const sweepSurface = defineKernel({
  name: "sweep.surface",
  version: 1,
  causality: "summary",
  doc: "The in-sample and out-of-sample Sharpe ratio over the first two parameters of a family: for each pair the combination with the best in-sample ratio and at least `tradesMin` trades in sample, null where there is none. The data of a heat map.",
  args: [
    ["tables", z.array(tableArg).min(1)],
    ["family", familyName],
    ["tradesMin", tradesMin],
  ],
  run: ({ tables, family: name, tradesMin }) => {
    const { parameters } = familyOf(name);
    const [x, y] = parameters;
    if (x === undefined || y === undefined)
      throw new VolleyError("INVALID_ARGUMENT", `sweep.surface: family is ${name}: it has fewer than two parameters`);
    const { rows, columns } = readSweep(tables, [...parameters, "sharpeIn", "sharpeOut", "tradesIn"]);
    const sharpe = columns.sharpeIn as Float64Array;
    const tradesIn = columns.tradesIn as Float64Array;
    sharpe.forEach((_, row) => {
      if ((tradesIn[row] as number) < tradesMin) sharpe[row] = Number.NaN;
    });
    const ordered = inParameterOrder(
      rows,
      parameters.map((parameter) => columns[parameter] as Float64Array),
    );
    const cells = new Map<string, number>();
    for (const row of ordered) {
      const key = `${columns[x]?.[row]} ${columns[y]?.[row]}`;
      const best = cells.get(key);
      if (best === undefined || Number.isNaN(sharpe[best]) || (sharpe[row] as number) > (sharpe[best] as number))
        cells.set(key, row);
    }
    const kept = [...cells.values()];
    return new Table(
      Object.fromEntries(
        [...parameters, "sharpeIn", "sharpeOut"].map((column) => [
          column,
          float64Vector(
            Float64Array.from(kept, (row) =>
              column.startsWith("sharpe") && Number.isNaN(sharpe[row])
                ? Number.NaN
                : ((columns[column] as Float64Array)[row] as number),
            ),
          ),
        ]),
      ),
    );
  },
});

export const sweepVerdict = defineKernel({
  name: "sweep.verdict",
  version: 1,
  causality: "summary",
  doc: "The best combination of every family beside the benchmark, with the probabilistic Sharpe ratio and the one deflated by the number of trials that all families ran together.",
  args: [
    ["selected", z.array(tableArg).min(1)],
    ["families", z.array(familyName).min(1)],
    ["benchmark", tableArg],
    ["periodsPerYear", z.number().positive().default(252)],
  ],
  run: ({ selected, families, benchmark, periodsPerYear }) => {
    if (selected.length !== families.length)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `sweep.verdict: families has ${families.length} names for ${selected.length} tables`,
      );
    const first = (table: Table, column: string): number => optionalFloat64Column(table, column)[0] ?? Number.NaN;
    let trials = 0;
    let spread = { count: 0, mean: 0, m2: 0 };
    for (const table of selected) {
      trials += first(table, "trials");
      spread = mergeVariance(spread, {
        count: first(table, "sharpeTrials"),
        mean: first(table, "sharpeMean"),
        m2: first(table, "sharpeM2"),
      });
    }
    // The formulas want Sharpe ratios per bar: sharpe² / A.
    const variance = (spread.count < 2 ? 0 : varianceOf(spread)) / periodsPerYear;
    const rows = [...selected, benchmark];
    const estimates = rows.map((table) => ({
      sharpe: first(table, "sharpeIn") / Math.sqrt(periodsPerYear),
      observations: first(table, "barsIn"),
      skewness: first(table, "skewnessIn"),
      kurtosis: first(table, "kurtosisIn"),
    }));
    const described = (i: number): string => {
      const name = families[i];
      return name === undefined
        ? ""
        : familyOf(name)
            .parameters.map((p) => `${p} ${optionalFloat64Column(rows[i] as Table, p)[0]}`)
            .join(", ");
    };
    // The benchmark was not chosen among trials, so it is deflated by none.
    const deflated = estimates.map((e, i) =>
      i < families.length ? deflatedSharpe(e, trials, variance) : probabilisticSharpe(e),
    );
    return new Table({
      family: textVector([...families, "buy-and-hold"]),
      parameters: textVector(rows.map((_, i) => described(i))),
      ...Object.fromEntries(
        statisticColumns.map(({ column, whole }) => {
          const values = Float64Array.from(rows, (table) => first(table, column));
          return [column, whole ? int32Vector(Int32Array.from(values)) : float64Vector(values)];
        }),
      ),
      familyTrials: int32Vector(
        Int32Array.from(rows, (table, i) => (i < families.length ? first(table, "trials") : 1)),
      ),
      trials: int32Vector(Int32Array.from(rows, (_, i) => (i < families.length ? trials : 1))),
      luckSharpeIn: float64Vector(
        Float64Array.from(rows, (_, i) =>
          i < families.length ? expectedMaxSharpe(trials, variance) * Math.sqrt(periodsPerYear) : 0,
        ),
      ),
      probabilisticSharpe: float64Vector(Float64Array.from(estimates, (e) => probabilisticSharpe(e))),
      deflatedSharpe: float64Vector(Float64Array.from(deflated)),
    });
  },
});
