/** Drawn calls of the cross-section kernels. Partitions between dates are in kernels/panel/partitions.test.ts. */
import { Table, Utf8, type Vector, vectorFromArray } from "apache-arrow";
import { boolVector, dayVector, float64Vector, textVector } from "../../columns/building.js";
import type { DrawnCall, DrawnKernel } from "./call.js";
import { type Draw, joined } from "./draw.js";

const symbols = ["600519", "A", "AA", "B", "a", "é"];

interface Cell {
  readonly date: number;
  readonly symbol: string;
}

/** Some rows are not there, and some whole dates. */
function cellsOf(draw: Draw, rows: number): Cell[] {
  const width = draw.int(1, symbols.length);
  const cells: Cell[] = [];
  for (let date = 0; cells.length < rows; date++)
    for (const symbol of symbols.slice(0, width)) if (draw.chance(0.85)) cells.push({ date, symbol });
  return cells.slice(0, rows);
}

function panelTable(draw: Draw, cells: readonly Cell[]): Table {
  const rows = cells.length;
  return new Table({
    date: dayVector(Int32Array.from(cells, ({ date }) => date)),
    symbol: textVector(cells.map(({ symbol }) => symbol)),
    x: float64Vector(draw.values(rows)),
    y: float64Vector(draw.values(rows)),
    price: float64Vector(
      Float64Array.from({ length: rows }, () => (draw.chance(0.1) ? Number.NaN : 1 + 99 * draw.unit())),
    ),
    sector: vectorFromArray(
      draw.list(rows, () => draw.pick(["tech", "bank", "tech", null])),
      new Utf8(),
    ),
    use: boolVector(draw.list(rows, () => draw.chance(0.8))),
  });
}

const beside = (draw: Draw): Record<string, unknown> => ({
  ...(draw.chance(0.3) ? { group: "sector" } : {}),
  ...(draw.chance(0.3) ? { mask: "use" } : {}),
});
const onlyMask = (draw: Draw): Record<string, unknown> => (draw.chance(0.3) ? { mask: "use" } : {});
const buckets = (draw: Draw): Record<string, unknown> => ({
  buckets: draw.int(2, 4),
  ...draw.pick([{ meaning: "count" }, { meaning: "numpy-linear" }, { meaning: "qcut", duplicates: "drop" }]),
});

const between = "partitions between dates are in panel/partitions.test.ts";

const ofPanel = (params: (draw: Draw) => Record<string, unknown>, more: Partial<DrawnCall> = {}): DrawnKernel => ({
  whole: between,
  draw: (draw, rows) => ({
    args: [panelTable(draw, cellsOf(draw, rows)), params(draw)],
    known: { 0: "date" },
    ...more,
  }),
});

/** The same rows, or as many dates later as their label looks ahead; those whose date has not come are left out. */
function atDatesLater(made: Table, given: Table, horizon: number): Table {
  const dates = [...new Set(given.getChild("date") as Iterable<number>)];
  const later = new Map(dates.map((date, i) => [date, dates[i + horizon]]));
  const known = Array.from(made.getChild("date") as Iterable<number>, (date) => later.get(date) ?? Number.NaN);
  const kept = [...known.keys()].filter((row) => !Number.isNaN(known[row]));
  const column = (name: string): unknown[] => kept.map((row) => made.getChild(name)?.get(row) as unknown);
  return new Table({
    known: float64Vector(Float64Array.from(kept, (row) => known[row] as number)),
    symbol: textVector(column("symbol").map(String)),
    label: float64Vector(
      Float64Array.from(column(`forward_${horizon}`), (value) => (value as number | null) ?? Number.NaN),
    ),
  });
}

const forwardReturns: DrawnKernel = {
  rows: [8, 24],
  whole: "a partition sees its own rows only, and says so",
  draw: (draw, rows) => {
    const horizon = draw.int(1, 3);
    return {
      args: [
        panelTable(draw, cellsOf(draw, rows)),
        { horizons: [horizon], price: "price", method: draw.pick(["simple", "log"]) },
      ],
      known: { 0: "date" },
      rows: (result, [given]) => [atDatesLater(result as Table, given as Table, horizon)],
      time: "known",
    };
  },
};

const universe: DrawnKernel = {
  rows: [4, 24],
  whole: between,
  draw: (draw, rows) => {
    const intervals = draw.list(draw.int(0, 8), () => ({
      symbol: draw.pick(symbols),
      from: draw.chance(0.2) ? undefined : draw.int(0, 8),
      length: draw.int(0, 6),
    }));
    const dates = (values: readonly (number | undefined)[]): Vector =>
      vectorFromArray(
        values.map((day) => (day === undefined ? null : new Date(day * 86_400_000))),
        dayVector(new Int32Array(0)).type,
      );
    const delisted = draw.list(draw.int(0, 3), () => ({ symbol: draw.pick(symbols), date: draw.int(0, 8) }));
    const rowsOnly = draw.chance(0.3);
    return {
      args: [
        panelTable(draw, cellsOf(draw, rows)),
        new Table({
          symbol: textVector(intervals.map(({ symbol }) => symbol)),
          from: dates(intervals.map(({ from }) => from)),
          to: dates(intervals.map(({ from = 0, length }) => (length === 6 ? undefined : from + length))),
          // A spell since ever was always known.
          announced: dayVector(Int32Array.from(intervals, ({ from = -1_000 }) => from)),
        }),
        new Table({
          symbol: textVector(delisted.map(({ symbol }) => symbol)),
          date: dayVector(Int32Array.from(delisted, ({ date }) => date)),
        }),
        {
          bounds: draw.pick(["half-open", "closed"]),
          delistingDay: draw.pick(["member", "not-member"]),
          output: rowsOnly ? "rows" : "flag",
        },
      ],
      known: { 0: "date", 1: "announced", 2: "date" },
      time: "date",
    };
  },
};

const unpivot: DrawnKernel = {
  whole: between,
  draw: (draw, rows) => {
    const days = Int32Array.from({ length: rows }, (_, i) => 2 * i);
    const columns = Object.fromEntries(
      symbols.slice(0, draw.int(1, 4)).map((symbol) => [symbol, float64Vector(draw.values(rows, 0.3))]),
    );
    return {
      args: [new Table({ date: dayVector(days), ...columns }), { missing: draw.pick(["drop", "keep"]) }],
      known: { 0: "date" },
      rows: (result) => [result as Table],
      time: "date",
    };
  },
};

export const panelCalls: Readonly<Record<string, DrawnKernel>> = {
  "panel.rank": ofPanel((draw) => ({
    columns: ["x"],
    method: draw.pick(["average", "min", "dense", "ordinal"]),
    ...beside(draw),
  })),
  "panel.quantile": ofPanel((draw) => ({ columns: ["x"], ...buckets(draw), ...beside(draw) })),
  "panel.select": ofPanel((draw) => ({
    columns: ["x", "y"],
    side: draw.pick(["top", "bottom"]),
    ...draw.pick([
      { n: 2 },
      { fraction: 0.3, meaning: "count" },
      { fraction: 0.4, meaning: "numpy-linear" },
      { fraction: 0.5, meaning: "qcut", duplicates: "drop" },
    ]),
    ...beside(draw),
  })),
  "panel.zscore": ofPanel((draw) => ({ columns: ["x", "y"], ddof: draw.int(0, 1), ...beside(draw) })),
  "panel.demean": ofPanel((draw) => ({ columns: ["x"], ...beside(draw) })),
  "panel.winsorize": ofPanel((draw) => ({
    columns: ["x"],
    method: draw.pick(["quantile", "count", "std", "mad"]),
    ...beside(draw),
  })),
  "panel.neutralise": ofPanel((draw) => ({
    columns: ["x"],
    ...draw.pick([{ method: "demean" }, { method: "regress", exposures: ["y"] }]),
    ...beside(draw),
  })),
  "panel.universe": universe,
  "panel.pivot": ofPanel(() => ({ columns: ["x", "y"], symbols: ["B", "A", "nobody"] }), { time: "date" }),
  "panel.unpivot": unpivot,
  "panel.forward_returns": forwardReturns,
  "panel.ic": ofPanel(
    (draw) => ({ factor: "x", returns: ["y"], correlation: draw.pick(["spearman", "pearson"]), ...onlyMask(draw) }),
    { time: "date" },
  ),
  "panel.ic_summary": {
    draw: (draw, rows) => {
      const table = panelTable(draw, cellsOf(draw, rows));
      const each = ["x", "y", "price"];
      return {
        args: [table, { columns: each }],
        // A row per column: each alone is what it is among others.
        inPieces: (run) => {
          const rows = each.map((column) => run(table, { columns: [column] }) as Table);
          return joined(rows);
        },
      };
    },
  },
  "panel.ic_decay": {
    draw: (draw, rows) => {
      const table = panelTable(draw, cellsOf(draw, rows));
      const params = { factor: "x", price: "price", ended: draw.pick(["null", "last"]), minCount: 2 };
      return {
        args: [table, { ...params, horizons: [1, 2] }],
        inPieces: (run) => joined([1, 2].map((horizon) => run(table, { ...params, horizons: [horizon] }) as Table)),
      };
    },
  },
  "panel.quantile_returns": ofPanel(
    (draw) => ({
      factor: "x",
      returns: ["y"],
      ...buckets(draw),
      ...onlyMask(draw),
      ...(draw.chance(0.3) ? { weight: "price" } : {}),
      output: draw.pick(["buckets", "spread"]),
    }),
    { time: "date" },
  ),
  "panel.turnover": ofPanel((draw) => ({ factor: "x", ...buckets(draw), lag: draw.int(1, 3), ...onlyMask(draw) }), {
    time: "date",
  }),
  "panel.rank_autocorrelation": ofPanel((draw) => ({ factor: "x", lag: draw.int(1, 3), ...onlyMask(draw) }), {
    time: "date",
  }),
};
