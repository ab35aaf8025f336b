/** Drawn calls of the sweeps and of the backtests. */
import { Table, type Vector } from "apache-arrow";
import { boolVector, dayVector, float64Vector, int32Vector, textVector } from "../../columns/building.js";
import { requireKernel } from "../../registry.js";
import { statisticColumns } from "../../sweep/table.js";
import type { DrawnKernel, Run } from "./call.js";
import { type Draw, isSame, joined } from "./draw.js";

/** Thirty bars on each side of the split are the least. */
const barsRange = [62, 80] as const;
const settings = (draw: Draw): Record<string, unknown> => ({
  inSampleEnd: "1970-01-30",
  ...draw.pick([{}, { fees: 0, slippage: 0 }, { fees: 0.01, slippage: 0.02 }]),
});

const whole = (values: readonly number[]): Vector => int32Vector(Int32Array.from(values));
const floats = (values: readonly number[]): Vector => float64Vector(Float64Array.from(values));

/** A sweep whose slices are cut along the first of its parameters. */
const sweep = (first: string, gridOf: (draw: Draw) => Record<string, number[]>): DrawnKernel => ({
  rows: barsRange,
  draw: (draw, rows) => {
    const prices = draw.prices(rows);
    const grid = gridOf(draw);
    const options = settings(draw);
    return {
      args: [prices, grid, options],
      inPieces: (run, [share = 0]) => {
        const values = grid[first] as number[];
        const at = Math.min(1 + Math.floor(share * values.length), values.length);
        const parts = [values.slice(0, at), values.slice(at)]
          .filter((part) => part.length > 0)
          .map((part) => run(prices, { ...grid, [first]: part }, options));
        return joined(parts as Table[]);
      },
    };
  },
});

const grids = {
  "ma-cross": (draw: Draw) => ({ fast: [draw.int(1, 3), draw.int(4, 6)], slow: [draw.int(7, 9), draw.int(10, 40)] }),
  "rsi-reversion": (draw: Draw) => ({
    period: [draw.int(2, 4), draw.int(5, 9)],
    lower: [draw.int(20, 45)],
    upper: [draw.int(50, 80)],
  }),
  "channel-breakout": (draw: Draw) => ({ entry: [draw.int(1, 4), draw.int(5, 30)], exit: [draw.int(1, 9)] }),
} as const;

/**
 * What sweeps give, drawn instead of computed: parameters that differ, statistics of which some are missing, ratios
 * that tie.
 */
function sweepTable(draw: Draw, rows: number): Table {
  const statistics = statisticColumns.map(
    ({ column, whole: isCount }) =>
      [column, isCount ? whole(draw.list(rows, () => draw.int(0, 9))) : floats([...draw.values(rows, 0.2)])] as const,
  );
  const parameters = {
    fast: floats(draw.list(rows, (i) => 1 + (i % 4))),
    slow: floats(draw.list(rows, (i) => 10 + Math.floor(i / 4))),
  };
  return new Table({ ...parameters, ...Object.fromEntries(statistics) });
}

const cutTables = (table: Table, shares: readonly number[]): Table[] => {
  const edges = [
    0,
    ...shares.map((share) => Math.floor(share * (table.numRows + 1))).sort((a, b) => a - b),
    table.numRows,
  ];
  return edges
    .slice(1)
    .map((to, i) => table.slice(edges[i], to))
    .reverse();
};

const ofSweep = (args: (draw: Draw) => unknown[]): DrawnKernel => ({
  rows: [1, 16],
  draw: (draw, rows) => {
    const made = sweepTable(draw, rows);
    // One that traded, so that there is something to choose.
    const first = Object.fromEntries(made.schema.fields.map(({ name }) => [name, made.getChild(name) as Vector]));
    const sharpe = Float64Array.from(made.getChild("sharpeIn") as Iterable<number | null>, (value, i) =>
      i === 0 ? 0.5 : (value ?? Number.NaN),
    );
    const table = new Table({
      ...first,
      sharpeIn: float64Vector(sharpe),
      tradesIn: whole(Array.from(made.getChild("tradesIn") as Iterable<number>, (n, i) => (i === 0 ? 9 : n))),
    });
    const rest = args(draw);
    return {
      args: [[table], "ma-cross", ...rest],
      inPieces: (run, shares) => run(cutTables(table, shares), "ma-cross", ...rest),
    };
  },
});

const families = ["ma-cross", "rsi-reversion", "channel-breakout", "buy-and-hold"] as const;
const chosenOf = (draw: Draw, family: (typeof families)[number]): Record<string, number> => {
  if (family === "buy-and-hold") return {};
  return Object.fromEntries(Object.entries(grids[family](draw)).map(([name, values]) => [name, values[0] as number]));
};

export const sweepCalls: Readonly<Record<string, DrawnKernel>> = {
  "sweep.ma_cross": sweep("fast", grids["ma-cross"]),
  "sweep.rsi_reversion": sweep("period", grids["rsi-reversion"]),
  "sweep.channel_breakout": sweep("entry", grids["channel-breakout"]),
  "sweep.select": ofSweep((draw) => [draw.int(1, 5), draw.int(1, 3)]),
  "sweep.surface": ofSweep((draw) => [draw.int(1, 3)]),
  "sweep.benchmark": {
    rows: barsRange,
    whole: "one account over all bars",
    draw: (draw, rows) => ({ args: [draw.prices(rows), settings(draw)] }),
  },
  "sweep.equity": {
    rows: barsRange,
    whole: "one account over all bars",
    draw: (draw, rows) => {
      const family = draw.pick(families);
      return {
        args: [draw.prices(rows), family, chosenOf(draw, family), settings(draw)],
        known: { 0: "date" },
        rowsMin: 60,
      };
    },
  },
  "sweep.trades": {
    rows: barsRange,
    whole: "one account over all bars",
    draw: (draw, rows) => {
      const family = draw.pick(families.slice(0, 3));
      return {
        args: [draw.prices(rows), family, chosenOf(draw, family), settings(draw)],
        known: { 0: "date" },
        rowsMin: 60,
        // A trade is known at its exit; one that is open has none yet.
        rows: (result) => [closedOf(result as Table)],
        time: "exitDate",
      };
    },
  },
  "sweep.verdict": {
    rows: [1, 9],
    whole: "one verdict over all families together",
    draw: (draw, rows) => {
      const selected = draw.list(draw.int(1, 3), () =>
        requireKernel("sweep.select", 1).run([traded(sweepTable(draw, rows))], "ma-cross"),
      );
      return { args: [selected, selected.map(() => "ma-cross"), sweepTable(draw, 1), draw.pick([12, 252])] };
    },
  },
};

const columnsIn = (table: Table): Record<string, Vector> =>
  Object.fromEntries(table.schema.fields.map(({ name }) => [name, table.getChild(name) as Vector]));
const traded = (table: Table): Table =>
  new Table({
    ...columnsIn(table),
    sharpeIn: floats(Array.from({ length: table.numRows }, (_, i) => ((i * 37) % 101) / 50 - 1)),
    tradesIn: whole(new Array(table.numRows).fill(5)),
  });

function closedOf(trades: Table): Table {
  const rows = [...Array(trades.numRows).keys()].filter((row) => trades.getChild("open")?.get(row) === false);
  const number = (name: string): Vector => floats(rows.map((row) => Number(trades.getChild(name)?.get(row))));
  return new Table({
    exitDate: number("exitDate"),
    entryDate: number("entryDate"),
    entryPrice: number("entryPrice"),
    exitPrice: number("exitPrice"),
    size: number("size"),
    return: number("return"),
  });
}

// ------------------------------------------------------------------------------------------------ backtests

const outputs = ["orders", "trades", "positions", "equity", "statistics"];

interface Market {
  readonly symbols: readonly string[];
  table(keep: (symbol: string) => boolean): Table;
}

/** Bars of some symbols behind one another, with gaps, splits and delistings. */
function marketOf(draw: Draw, bars: number, signals: boolean): Market {
  const symbols = ["S", "A", "M"].slice(0, draw.int(1, 3));
  const rows = symbols.flatMap((symbol) => {
    let price = 1 + 99 * draw.unit();
    return draw.list(bars, (day) => {
      const split = draw.chance(0.03) ? draw.pick([2, 0.5]) : Number.NaN;
      price = Math.max(0.01, (price * (0.85 + 0.3 * draw.unit())) / (split || 1));
      const open = price * (0.95 + 0.1 * draw.unit());
      const gap = draw.chance(0.05);
      const or = (value: number): number => (gap ? Number.NaN : value);
      return {
        ...{
          symbol,
          day,
          split,
          open: or(open),
          close: or(price),
          high: or(Math.max(open, price) * 1.02),
          low: or(Math.min(open, price) * 0.97),
        },
        ...{
          volume: draw.int(0, 200),
          delisted: draw.chance(0.01),
          weight: draw.chance(0.4) ? draw.unit() * 0.6 : Number.NaN,
        },
        flags: draw.list(4, () => draw.chance(0.2)),
      };
    });
  });
  const short = draw.chance(0.4);
  return {
    symbols,
    table: (keep) => {
      const kept = rows.filter(({ symbol }) => keep(symbol));
      const number = (name: "open" | "high" | "low" | "close" | "volume" | "split" | "weight"): Vector =>
        floats(kept.map((row) => row[name]));
      const flag = (k: number): Vector => boolVector(kept.map(({ flags }) => flags[k] as boolean));
      const shorts: Record<string, Vector> = short ? { shortEntries: flag(2), shortExits: flag(3) } : {};
      const decided: Record<string, Vector> = signals
        ? { entries: flag(0), exits: flag(1), ...shorts }
        : { weight: number("weight") };
      return new Table({
        date: dayVector(Int32Array.from(kept, ({ day }) => day)),
        symbol: textVector(kept.map(({ symbol }) => symbol)),
        ...{
          open: number("open"),
          high: number("high"),
          low: number("low"),
          close: number("close"),
          volume: number("volume"),
          split: number("split"),
        },
        delisted: boolVector(kept.map(({ delisted }) => delisted)),
        ...decided,
      });
    },
  };
}

type Outputs = Readonly<Record<string, Table>>;

const backtest = (signals: boolean): DrawnKernel => ({
  rows: [1, 7],
  draw: (draw, bars) => {
    const market = marketOf(draw, bars, signals);
    const shared = draw.chance(0.4);
    const params = {
      ...{
        fill: draw.pick(["next-open", "next-close", "same-close"]),
        cash: draw.pick([100, 1_000]),
        outputs,
        sharedCash: shared,
      },
      fees: draw.pick<unknown>([0, 0.003, { fixed: 0.4 }, { perShare: 0.02, minimum: 1 }]),
      slippage: draw.pick<unknown>([0, 0.002, { model: "volume-share" }]),
      stops: draw.pick<unknown>([{}, { stopLoss: 0.05, takeProfit: 0.1 }, { trailing: 0.07 }]),
      splits: draw.pick(["shares", "adjusted"]),
      ...(signals
        ? {
            sizing: draw.pick([
              { by: "percent", size: 0.4 },
              { by: "value", size: 40 },
            ]),
          }
        : { rebalance: draw.pick<unknown>(["every-bar", { bars: 3 }]) }),
    };
    const table = market.table(() => true);
    return {
      args: [table, params],
      known: { 0: "date" },
      // What an order came to is known at its bar; trades and statistics are of the whole run.
      rows: (result) => ["equity", "positions", "orders"].map((output) => (result as Outputs)[output] as Table),
      time: "date",
      // Weights that are spoilt beyond what a portfolio may hold would be refused instead of being taken.
      ...(signals ? {} : { adapt: ([bars, ...rest]) => [within(bars as Table), ...rest] }),
      inPieces: (run, _, whole) => (shared ? whole : bySymbols(run, market, params, whole as Outputs)),
    };
  },
});

const within = (bars: Table): Table =>
  new Table({
    ...columnsIn(bars),
    weight: floats(
      Array.from(bars.getChild("weight") as Iterable<number | null>, (weight) => Math.min(weight ?? Number.NaN, 0.9)),
    ),
  });

/**
 * The whole, with what single symbols give of positions, equity and statistics in place of its own where that is not
 * the same.
 */
function bySymbols(run: Run, market: Market, params: unknown, whole: Outputs): unknown {
  const alone = market.symbols.map(
    (symbol) =>
      run(
        market.table((other) => other === symbol),
        params,
      ) as Outputs,
  );
  const values = (table: Table | undefined, name: string): unknown[] => Array.from(table?.getChild(name) as Vector);
  const parts = ["positions", "equity", "statistics"].map((output) => {
    const own = whole[output] as Table;
    const same = own.schema.fields.every(({ name }) =>
      isSame(
        alone.flatMap((one) => values(one[output], name)),
        values(own, name),
      ),
    );
    return [output, same ? own : alone.map((one) => one[output])] as const;
  });
  return { ...whole, ...Object.fromEntries(parts) };
}

export const backtestCalls: Readonly<Record<string, DrawnKernel>> = {
  "backtest.signals": backtest(true),
  "backtest.weights": backtest(false),
};
