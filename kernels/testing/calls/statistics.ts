/** Drawn calls of the statistics and of the validation kernels. */
import { Table, type Vector } from "apache-arrow";
import { dayVector, float64Vector, int32Vector, textVector } from "../../columns/building.js";
import { requireKernel } from "../../registry.js";
import type { DrawnKernel, Run } from "./call.js";
import { type Draw, days, joined } from "./draw.js";

const whole = (values: readonly number[]): Vector => int32Vector(Int32Array.from(values));
const columnsIn = (table: Table): Record<string, Vector> =>
  Object.fromEntries(table.schema.fields.map(({ name }) => [name, table.getChild(name) as Vector]));

const names = ["a", "b", "c"];

/** Columns of returns; with gaps, but for the kernels that refuse them. */
function returnsTable(draw: Draw, rows: number, gaps: number): Table {
  const series = (): Vector => float64Vector(draw.returns(rows).map((r) => (draw.chance(gaps) ? Number.NaN : r)));
  return new Table({ date: dayVector(days(rows)), a: series(), b: series(), c: series() });
}

/** A row (or several) per column: each alone is what it is among others. */
const byColumn = (
  more: (draw: Draw) => Record<string, unknown>,
  beside: (draw: Draw) => unknown[] = () => [],
): DrawnKernel => ({
  draw: (draw, rows) => {
    const table = returnsTable(draw, rows, 0.1);
    const rest = beside(draw);
    const params = more(draw);
    const of = (run: Run, columns: readonly string[]): Table => run(table, ...rest, { ...params, columns }) as Table;
    return {
      args: [table, ...rest, { ...params, columns: names }],
      inPieces: (run) => joined(names.map((name) => of(run, [name]))),
    };
  },
});

export const statisticsCalls: Readonly<Record<string, DrawnKernel>> = {
  "stats.returns": byColumn((draw) => ({
    periodsPerYear: draw.pick([12, 252]),
    tail: draw.pick([0.05, 0.3]),
    riskFree: draw.pick([0, 1e-4]),
  })),
  "stats.drawdowns": byColumn((draw) => ({ top: draw.int(1, 5), date: "date" })),
  "stats.sharpe_probabilistic": byColumn((draw) => ({
    benchmark: draw.pick([0, 0.01]),
    confidence: draw.pick([0.5, 0.95]),
  })),
  "stats.sharpe_deflated": byColumn(
    (draw) => ({ sharpeColumn: "sharpe", periodsPerYear: draw.pick([1, 252]) }),
    (draw) => [[new Table({ sharpe: float64Vector(draw.values(draw.int(1, 6))) })]],
  ),
};

// ------------------------------------------------------------------------------------------------ validation

const bySplits = "ranges over the number of bars, which no part of them knows";

const grid = (draw: Draw): Record<string, number[]> => ({
  fast: [draw.int(1, 3), draw.int(4, 6)],
  slow: [draw.int(2, 3), draw.int(7, 9)],
});
const reversed = (given: Record<string, number[]>): Record<string, number[]> =>
  Object.fromEntries(Object.entries(given).map(([name, values]) => [name, [...values].reverse()]));

/** What is left of the ranges of splits in a table that was cut. */
function clipped(splits: Table, bars: number): Table {
  const to = Array.from(splits.getChild("to") as Iterable<number>, (end) => Math.min(end, bars));
  const from = Array.from(splits.getChild("from") as Iterable<number>);
  const kept = [...from.keys()].filter((row) => (from[row] as number) < (to[row] as number));
  const rows = new Table({ ...columnsIn(splits), to: whole(to) });
  return joined(kept.length === 0 ? [rows.slice(0, 0)] : kept.map((row) => rows.slice(row, row + 1)));
}

const sweepFold: DrawnKernel = {
  rows: [30, 45],
  draw: (draw, rows) => {
    // A trade at least in every training window: without one there is nothing to choose.
    const prices = draw.prices(rows, 3);
    const [split, test] = [draw.int(0, 1), draw.int(4, 6)];
    const splits = requireKernel("validation.walk_forward", 1).run(prices, {
      splits: 2,
      test,
      mode: draw.pick(["rolling", "expanding"]),
      ...(draw.chance(0.5) ? { train: 15 } : {}),
    });
    const params = {
      family: "ma-cross",
      grid: { ...grid(draw), fast: [1, draw.int(4, 6)] },
      tradesMin: 0,
      settings: draw.pick([{}, { fees: 0.01, slippage: 0.02 }]),
    };
    return {
      args: [prices, splits, split, params],
      known: { 0: "date" },
      // Bars of the training ranges and the first that is tested.
      rowsMin: rows - (split === 0 ? 2 : 1) * test + 1,
      rows: (result) => [(result as { returns: Table }).returns],
      time: "date",
      adapt: ([bars, ranges, ...rest]) => [bars, clipped(ranges as Table, (bars as Table).numRows), ...rest],
      inPieces: (run) => run(prices, splits, split, { ...params, grid: reversed(params.grid) }),
    };
  },
};

const sweepReturns: DrawnKernel = {
  rows: [2, 30],
  draw: (draw, rows) => {
    const prices = draw.prices(rows);
    const params = { family: "ma-cross", grid: grid(draw), settings: draw.pick([{}, { fees: 0.01, slippage: 0.02 }]) };
    return {
      args: [prices, params],
      known: { 0: "date" },
      rowsMin: 2,
      // Row i is bar i + 1.
      rows: (result, [bars]) => [
        new Table({ date: (bars as Table).slice(1).getChild("date") as Vector, ...columnsIn(result as Table) }),
      ],
      time: "date",
      inPieces: (run) => {
        const parts = (params.grid.fast as number[]).map(
          (fast) => run(prices, { ...params, grid: { ...params.grid, fast: [fast] } }) as Table,
        );
        return new Table(Object.assign({}, ...parts.map(columnsIn)) as Record<string, Vector>);
      },
    };
  },
};

/** The test bars of two splits as one table, of which `adapt` makes folds. */
const foldRows = (draw: Draw, rows: number): Table =>
  new Table({
    date: dayVector(days(rows)),
    split: whole(draw.list(rows, () => draw.int(0, 1))),
    path: whole(draw.list(rows, () => 0)),
    bar: whole([...days(rows)]),
    return: float64Vector(draw.returns(rows)),
  });

const foldsOf = (rows: Table): unknown[] =>
  [0, 1].map((split) => {
    const own = [...Array(rows.numRows).keys()].filter((row) => rows.getChild("split")?.get(row) === split);
    const returns = own.length === 0 ? rows.slice(0, 0) : joined(own.map((row) => rows.slice(row, row + 1)));
    return { choice: new Table({ split: whole([split]), parameters: textVector([`fast ${split}`]) }), returns };
  });

const path: DrawnKernel = {
  rows: [1, 16],
  draw: (draw, rows) => {
    const table = foldRows(draw, rows);
    return {
      args: [table, 0],
      known: { 0: "date" },
      rowsMin: 1,
      time: "date",
      adapt: ([bars, at]) => [foldsOf(unspoilt(bars as Table)), at],
      inPieces: (run) => run(foldsOf(table).reverse(), 0),
    };
  },
};

/** Poison also turns the numbers of splits, paths and bars: those are no values that anybody predicts. */
function unspoilt(table: Table): Table {
  const rows = [...days(table.numRows)];
  return new Table({
    ...columnsIn(table),
    split: whole(rows.map((row) => ((table.getChild("split")?.get(row) as number) === 1 ? 1 : 0))),
    path: whole(rows.map(() => 0)),
    bar: whole(rows),
  });
}

const pathStatistics = (draw: Draw): Table =>
  requireKernel("stats.returns", 1).run(new Table({ r: float64Vector(draw.returns(draw.int(2, 12))) }), {
    periodsPerYear: 252,
  }) as Table;

export const validationCalls: Readonly<Record<string, DrawnKernel>> = {
  "validation.walk_forward": {
    rows: [12, 60],
    whole: bySplits,
    draw: (draw, rows) => ({
      args: [
        returnsTable(draw, rows, 0.1),
        { splits: draw.int(1, 4), test: draw.int(1, 2), mode: draw.pick(["rolling", "expanding"]) },
      ],
    }),
  },
  "validation.purged_kfold": {
    rows: [24, 60],
    whole: bySplits,
    draw: (draw, rows) => ({
      args: [returnsTable(draw, rows, 0.1), { splits: draw.int(2, 4), purge: draw.int(0, 2), embargo: draw.int(0, 2) }],
    }),
  },
  "validation.cpcv": {
    rows: [40, 60],
    whole: bySplits,
    draw: (draw, rows) => ({
      args: [
        returnsTable(draw, rows, 0.1),
        { groups: draw.int(4, 5), testGroups: draw.int(1, 2), purge: draw.int(0, 2), embargo: draw.int(0, 2) },
      ],
    }),
  },
  "validation.sweep_fold": sweepFold,
  "validation.sweep_returns": sweepReturns,
  "validation.choices": {
    rows: [1, 16],
    draw: (draw, rows) => {
      const folds = foldsOf(foldRows(draw, rows));
      return { args: [folds], inPieces: (run) => joined(folds.map((fold) => run([fold]) as Table)) };
    },
  },
  "validation.path": path,
  "validation.report": {
    rows: [1, 5],
    draw: (draw, rows) => {
      const statistics = draw.list(rows, () => pathStatistics(draw));
      const splits = draw.int(1, 4);
      const choices = new Table({
        trials: whole(draw.list(splits, () => draw.int(1, 9))),
        sharpeTrain: float64Vector(draw.values(splits)),
        deflatedSharpe: float64Vector(draw.values(splits)),
      });
      return { args: [statistics, choices], inPieces: (run) => run([...statistics].reverse(), choices) };
    },
  },
  "validation.pbo": {
    rows: [8, 20],
    draw: (draw, rows) => {
      const trials = draw.list(draw.int(2, 5), (i) => [`trial${i}`, float64Vector(draw.returns(rows))] as const);
      const params = {
        blocks: draw.pick([2, 4]),
        statistic: draw.pick(["sharpe", "mean"]),
        detail: draw.pick(["summary", "choices"]),
      };
      return {
        args: [[new Table(Object.fromEntries(trials))], params],
        inPieces: (run, [share = 0]) => {
          const at = 1 + Math.floor(share * (trials.length - 1));
          const parts = [trials.slice(0, at), trials.slice(at)].filter((part) => part.length > 0);
          return run(
            parts.map((part) => new Table(Object.fromEntries(part))),
            params,
          );
        },
      };
    },
  },
  "validation.bootstrap": {
    rows: [2, 12],
    draw: (draw, rows) => {
      const table = returnsTable(draw, rows, 0).select(["a", "b"]);
      const params = {
        columns: ["a", "b"],
        seed: draw.int(0, 1_000),
        periodsPerYear: 252,
        meanBlock: draw.pick([1, 3]),
        statistics: ["mean", "sharpe", "worst"],
      };
      return {
        args: [table, { ...params, replicates: 4 }],
        inPieces: (run, [share = 0]) => {
          const first = 1 + Math.floor(share * 3);
          return joined([
            run(table, { ...params, replicates: first }) as Table,
            run(table, { ...params, first, replicates: 4 - first }) as Table,
          ]);
        },
      };
    },
  },
  "validation.bootstrap_interval": {
    rows: [2, 12],
    draw: (draw, rows) => {
      const table = new Table({
        replicate: whole([...days(rows)]),
        column: textVector(draw.list(rows, () => draw.pick(names))),
        mean: float64Vector(draw.values(rows)),
        sharpe: float64Vector(draw.values(rows)),
      });
      const params = { confidence: draw.pick([0.5, 0.95]) };
      return {
        args: [[table], params],
        inPieces: (run, [share = 0]) => {
          const at = Math.floor(share * (rows + 1));
          return run([table.slice(at), table.slice(0, at)], params);
        },
      };
    },
  },
};
