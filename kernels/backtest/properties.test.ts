/** What holds of every run, whatever the bars, the signals and the options. */
import { Table, Vector } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { gather } from "../columns/gather.js";
import { requireKernel } from "../registry.js";
import { Draw } from "../testing/calls/draw.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { days, floats, type Series, tableOf, words } from "./testing/bars.js";

const runs = { numRuns: casesPerKernel };
const outputs = ["orders", "trades", "positions", "equity", "statistics"];

interface Market {
  readonly symbols: string[];
  readonly columns: Record<string, Series[]>;
}

/** One draw per field and bar: cheap to make, and every bar may have a gap, a split, a delisting. */
const marketOf = (bars: number, symbols: number, seed: number): Market => {
  const source = new Draw(seed);
  const draw = (): number => source.unit();
  const columns: Record<string, (number | null)[][]> = {};
  const put = (name: string, s: number, value: number | null): void => {
    columns[name] ??= Array.from({ length: symbols }, () => []);
    columns[name]?.[s]?.push(value);
  };
  for (let s = 0; s < symbols; s++) {
    let price = 1 + draw() * 100;
    for (let i = 0; i < bars; i++) {
      const ratio = draw() < 0.03 ? (draw() < 0.5 ? 2 : 0.5) : null;
      price = Math.max(0.01, (price * (0.85 + 0.3 * draw())) / (ratio ?? 1));
      const open = price * (0.95 + 0.1 * draw());
      const gap = draw() < 0.05;
      put("close", s, gap ? null : price);
      put("open", s, gap || draw() < 0.03 ? null : open);
      put("high", s, gap ? null : Math.max(open, price) * (1 + 0.05 * draw()));
      put("low", s, gap ? null : Math.min(open, price) * (1 - 0.05 * draw()));
      put("volume", s, Math.floor(draw() * 200));
      put("split", s, ratio);
      put("delisted", s, draw() < 0.01 ? 1 : 0);
      for (const name of ["entries", "exits", "shortEntries", "shortExits"]) put(name, s, draw() < 0.2 ? 1 : 0);
      put("weight", s, draw() < 0.3 ? (draw() - 0.3) * 0.8 : null);
    }
  }
  return { symbols: Array.from({ length: symbols }, (_, s) => `S${s}`), columns };
};

const market = fc
  .record({ bars: fc.integer({ min: 1, max: 16 }), symbols: fc.integer({ min: 1, max: 3 }), seed: fc.integer() })
  .map(({ bars, symbols, seed }) => marketOf(bars, symbols, seed));

const fees = fc.constantFrom<unknown>(
  0,
  0.003,
  { fixed: 0.4 },
  { perShare: 0.02, minimum: 1 },
  { fraction: 0.001, fixed: 0.1, perShare: 0.01, minimum: 0.5 },
);
const slippage = fc.constantFrom<unknown>(
  0,
  0.002,
  { model: "volume-share" },
  { model: "square-root", coefficient: 0.05, limit: 0.5 },
);
const stops = fc.constantFrom<unknown>(
  {},
  { stopLoss: 0.05 },
  { takeProfit: 0.05 },
  { trailing: 0.07 },
  { stopLoss: 0.05, takeProfit: 0.1, trailing: 0.08 },
);
const sizing = fc.constantFrom<unknown>(
  { by: "percent", size: 1 },
  { by: "percent", size: 0.4 },
  { by: "value", size: 40 },
  { by: "amount", size: 0.8 },
  { by: "weight", size: 0.5 },
);

const common = {
  fill: fc.constantFrom("next-open", "next-close", "same-close"),
  fees,
  slippage,
  stops,
  cash: fc.constantFrom(0, 100, 1_000),
  lot: fc.constantFrom(undefined, 0.5, 3),
};
const signalParams = fc.record({ ...common, sizing, sharedCash: fc.boolean(), shorts: fc.boolean() });
const weightParams = fc.record({
  ...common,
  sharedCash: fc.boolean(),
  shorts: fc.boolean(),
  rebalance: fc.constantFrom<unknown>(
    "every-bar",
    "weekly",
    "monthly",
    { bars: 3 },
    { dates: ["1970-01-03", "1970-01-20"] },
  ),
});

type Tables = Record<"orders" | "trades" | "positions" | "equity" | "statistics", Table>;

/** The kernel of these parameters on this market, with or without its short side. */
function runOf(
  kernel: "signals" | "weights",
  { symbols, columns }: Market,
  { shorts, lot, ...params }: Record<string, unknown>,
): Tables {
  const kept = Object.entries(columns).filter(([name]) => shorts || !name.startsWith("short"));
  const table = tableOf(
    symbols,
    Object.fromEntries(
      kept.map(([name, values]) => [
        name,
        name === "weight" && !shorts
          ? values.map((series) => (series as (number | null)[]).map((w) => (w === null ? w : Math.abs(w))))
          : values,
      ]),
    ),
  );
  const direction = kernel === "weights" && shorts ? { direction: "both" } : {};
  return requireKernel(`backtest.${kernel}`, 1).run(table, {
    ...params,
    ...direction,
    ...(lot === undefined ? {} : { lot }),
    outputs,
  }) as Tables;
}

/** Cash and positions told from the orders and splits alone, compared with what the tables say at every bar. */
function checkAccounts(
  { symbols, columns }: Market,
  params: Record<string, unknown>,
  { orders, positions, equity }: Tables,
): void {
  const bars = columns.close?.[0]?.length ?? 0;
  const shared = params.sharedCash === true;
  const cash = new Float64Array(shared ? 1 : symbols.length).fill(params.cash as number);
  const held = new Float64Array(symbols.length);
  const last = new Float64Array(symbols.length);
  const at = {
    symbol: words(orders, "symbol").map((name) => symbols.indexOf(name)),
    bar: days(orders, "date"),
    side: words(orders, "side"),
  };
  const [size, price, paid] = ["size", "price", "fees"].map((name) => floats(orders, name)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const shown = { size: floats(positions, "size"), value: floats(equity, "value"), cash: floats(equity, "cash") };
  const near = (a: number, b: number): boolean =>
    Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b), params.cash as number);
  for (let bar = 0; bar < bars; bar++) {
    for (let i = 0; i < orders.numRows; i++) {
      if (at.bar[i] !== bar) continue;
      const s = at.symbol[i] as number;
      if (at.side[i] === "split") held[s] = (held[s] as number) * (size[i] as number);
      else if ((size[i] as number) > 0) {
        const sign = at.side[i] === "buy" ? 1 : -1;
        held[s] = (held[s] as number) + sign * (size[i] as number);
        const a = shared ? 0 : s;
        cash[a] = (cash[a] as number) - sign * (size[i] as number) * (price[i] as number) - (paid[i] as number);
      }
    }
    let total = cash[0] as number;
    symbols.forEach((_, s) => {
      const close = columns.close?.[s]?.[bar] as number | null;
      const split = columns.split?.[s]?.[bar] as number | null;
      if (close !== null) last[s] = close;
      else if (split !== null) last[s] = (last[s] as number) / split;
      const row = s * bars + bar;
      if (!near(shown.size[row] as number, held[s] as number))
        expect.fail(`bar ${bar}, symbol ${s}: holds ${shown.size[row]}, its orders give ${held[s]}`);
      const marked = (held[s] as number) * (last[s] as number);
      total += marked;
      if (!shared && !near(shown.value[row] as number, (cash[s] as number) + marked))
        expect.fail(`bar ${bar}, symbol ${s}: worth ${shown.value[row]}, expected ${(cash[s] as number) + marked}`);
      if (!shared && !near(shown.cash[row] as number, cash[s] as number))
        expect.fail(`bar ${bar}, symbol ${s}: cash ${shown.cash[row]}, expected ${cash[s]}`);
    });
    if (shared && !near(shown.value[bar] as number, total))
      expect.fail(`bar ${bar}: worth ${shown.value[bar]}, expected ${total}`);
  }
}

const same = (a: Table, b: Table, column: string): void => {
  const values = a.getChild(column);
  const others = b.getChild(column);
  expect(b.numRows).toBe(a.numRows);
  for (let i = 0; i < a.numRows; i++)
    if (!Object.is(values?.get(i), others?.get(i)))
      expect.fail(`${column} in row ${i}: ${values?.get(i)}, ${others?.get(i)}`);
};

describe("cash and positions", () => {
  it("account for every value at every bar: signals", () => {
    fc.assert(
      fc.property(market, signalParams, (m, params) => checkAccounts(m, params, runOf("signals", m, params))),
      runs,
    );
  });

  it("account for every value at every bar: weights", () => {
    fc.assert(
      fc.property(market, weightParams, (m, params) => checkAccounts(m, params, runOf("weights", m, params))),
      runs,
    );
  });

  it("are never negative without short positions", () => {
    fc.assert(
      fc.property(market, signalParams, weightParams, (m, signals, weights) => {
        for (const tables of [
          runOf("signals", m, { ...signals, shorts: false }),
          runOf("weights", m, { ...weights, shorts: false }),
        ]) {
          expect(floats(tables.equity, "cash").every((cash) => cash >= 0)).toBe(true);
          expect(floats(tables.positions, "size").every((size) => size >= 0)).toBe(true);
        }
      }),
      runs,
    );
  });
});

describe("trades", () => {
  it("sum to the profit and loss of their account", () => {
    fc.assert(
      fc.property(market, signalParams, weightParams, (m, signals, weights) => {
        for (const [tables, params] of [
          [runOf("signals", m, signals), signals],
          [runOf("weights", m, weights), weights],
        ] as const) {
          const end = floats(tables.statistics, "endValue").reduce((sum, value) => sum + value, 0);
          const start = params.cash * tables.statistics.numRows;
          const profit = floats(tables.trades, "pnl").reduce((sum, value) => sum + value, 0);
          const scale = Math.max(1, start, ...floats(tables.equity, "value").map(Math.abs));
          expect(Math.abs(end - start - profit)).toBeLessThanOrEqual(1e-9 * scale);
        }
      }),
      runs,
    );
  });
});

// Symbols apart and the future cut off: kernels/every-kernel.test.ts.
describe("the order of rows", () => {
  it("sorted by time gives the same bits as sorted by symbol", () => {
    fc.assert(
      fc.property(market, signalParams, (m, { shorts: _, lot: __, ...params }) => {
        const table = tableOf(m.symbols, m.columns);
        const bars = m.columns.close?.[0]?.length ?? 0;
        const rows = Array.from({ length: bars }, (_, bar) => m.symbols.map((_, s) => s * bars + bar)).flat();
        const order = Int32Array.from(rows);
        const byTime = new Table(
          Object.fromEntries(
            table.schema.fields.map(({ name }) => [name, new Vector([gather(table.getChild(name) as Vector, order)])]),
          ),
        );
        const kernel = requireKernel("backtest.signals", 1);
        const [a, b] = [table, byTime].map((bars) => kernel.run(bars, { ...params, outputs }) as Tables) as [
          Tables,
          Tables,
        ];
        for (const output of outputs as (keyof Tables)[])
          for (const { name } of a[output].schema.fields) same(a[output], b[output], name);
      }),
      runs,
    );
  });
});

describe("the plain loop", () => {
  it("gives the bits of the simulation that it stands for", () => {
    fc.assert(
      fc.property(
        market,
        common.fill,
        fc.constantFrom<unknown>(0, 0.003, { fixed: 0.4 }, { fraction: 0.01, fixed: 90 }),
        fc.constantFrom(0, 0.002),
        (m, fill, fees, slippage) => {
          const plain = Object.fromEntries(
            ["open", "close", "entries", "exits"].map((name) => [name, m.columns[name] as Series[]]),
          );
          // A column of splits, if only of nulls, makes it a run of the other kind.
          const none = (m.columns.close as Series[]).map((series) => [...series].map(() => null));
          const kernel = requireKernel("backtest.signals", 1);
          const [a, b] = [plain, { ...plain, split: none }].map((columns) =>
            kernel.run(tableOf(m.symbols, columns), { fill, fees, slippage, outputs }),
          ) as [Tables, Tables];
          for (const output of outputs as (keyof Tables)[])
            for (const { name } of a[output].schema.fields) same(a[output], b[output], name);
        },
      ),
      runs,
    );
  });
});
