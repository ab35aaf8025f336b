import {
  DateDay,
  DateMillisecond,
  Table,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  tableFromIPC,
  tableToIPC,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { VolleyError } from "../../proto/errors.js";
import { columnOf, optionalFloat64Column } from "../columns/reading.js";
import { requireKernel } from "../registry.js";
import { momentsOf } from "../statistics/moments.js";
import { maxDrawdown, sharpeRatio } from "../statistics/returns.js";
import { barsOf } from "./bars.js";
import { type FamilyName, familyOf } from "./families.js";
import { statisticColumns } from "./table.js";
import { readOracle, realPrices } from "./testing/real-prices.js";

const oracle = readOracle();
const prices = realPrices();
const { settings } = oracle;
const run = (kernel: string, ...args: unknown[]): Table => requireKernel(kernel, 1).run(...args) as Table;
const sweepOf = (family: FamilyName, grid: Record<string, number[]>): Table =>
  run(`sweep.${family.replaceAll("-", "_")}`, prices, grid, settings);
const only = (family: FamilyName, parameters: readonly number[]): Record<string, number[]> =>
  Object.fromEntries(familyOf(family).parameters.map((name, i) => [name, [parameters[i] as number]]));
const floats = (table: Table, column: string): Float64Array => optionalFloat64Column(table, column);
const bytes = (table: Table): Buffer => Buffer.from(tableToIPC(table, "stream"));
const faultOf = (act: () => unknown): VolleyError => {
  try {
    act();
  } catch (error) {
    if (error instanceof VolleyError) return error;
    throw error;
  }
  throw new Error("expected an error");
};

describe("sweep kernels against pandas, TA-Lib and scipy on 20 years of prices", () => {
  for (const family of ["ma-cross", "rsi-reversion", "channel-breakout"] as const) {
    it(`${family}: every statistic of 30 combinations, in and out of sample, to 1e-9`, () => {
      expect(oracle.families[family]).toHaveLength(30);
      for (const expected of oracle.families[family] ?? []) {
        const table = sweepOf(family, only(family, expected.parameters));
        expect(table.numRows).toBe(1);
        for (const { column, side, name } of statisticColumns) {
          const ours = table.getChild(column)?.get(0) as number | null;
          const theirs = expected[side][name];
          if (theirs === null || ours === null) expect(ours, `${expected.parameters} ${column}`).toBe(theirs);
          else
            expect(
              Math.abs(ours - theirs),
              `${expected.parameters} ${column}: ${ours} and ${theirs}`,
            ).toBeLessThanOrEqual(1e-9 * Math.max(Math.abs(theirs), 1e-3));
        }
      }
    });
  }

  it("buy and hold", () => {
    const expected = oracle.families["buy-and-hold"]?.[0];
    const row = run("sweep.benchmark", prices, settings).get(0)?.toJSON() as Record<string, number>;
    for (const { column, side, name } of statisticColumns)
      expect(row[column], column).toBeCloseTo(expected?.[side][name] as number, 9);
    const equity = run("sweep.equity", prices, "buy-and-hold", {}, settings).getChild("equity");
    expect(equity?.get(equity.length - 1)).toBeCloseTo(expected?.finalValue as number, 9);
  });
});

describe("a sweep's bits", () => {
  const fast = [3, 10, 20, 50];
  const slow = [10, 30, 100, 200, 250];

  it("are the same however the grid is cut", () => {
    const whole = sweepOf("ma-cross", { fast, slow });
    const pieces = [...fast].reverse().flatMap((f) => slow.map((s) => sweepOf("ma-cross", { fast: [f], slow: [s] })));
    const found = new Map(
      pieces.flatMap((piece) =>
        piece.toArray().map((row) => [`${row.fast} ${row.slow}`, JSON.stringify(row)] as const),
      ),
    );
    expect(whole.numRows).toBe(16);
    for (const row of whole.toArray()) expect(found.get(`${row.fast} ${row.slow}`)).toBe(JSON.stringify(row));
  });

  it("are the same again, and the same for selection and surface whatever the pieces", () => {
    const grid = { period: [5, 14], lower: [20, 30, 40], upper: [50, 60, 70] };
    const whole = sweepOf("rsi-reversion", grid);
    expect(bytes(whole).equals(bytes(sweepOf("rsi-reversion", grid)))).toBe(true);
    const pieces = [70, 50, 60].flatMap((upper) =>
      [14, 5].map((period) => sweepOf("rsi-reversion", { period: [period], lower: [40, 20, 30], upper: [upper] })),
    );
    for (const kernel of ["sweep.select", "sweep.surface"]) {
      expect(
        bytes(run(kernel, pieces, "rsi-reversion")).equals(bytes(run(kernel, [whole], "rsi-reversion"))),
        kernel,
      ).toBe(true);
    }
  });

  it("come from the same simulation as the equity curve", () => {
    const parameters = { entry: 20, exit: 10 };
    const row = sweepOf("channel-breakout", only("channel-breakout", [20, 10]))
      .get(0)
      ?.toJSON() as Record<string, number>;
    const curve = run("sweep.equity", prices, "channel-breakout", parameters, settings);
    const equity = floats(curve, "equity");
    const split = (row.barsIn as number) + 1;
    const returns = equity.slice(1, split).map((value, i) => value / (equity[i] as number) - 1);
    expect(sharpeRatio(momentsOf(returns), 252)).toBeCloseTo(row.sharpeIn as number, 12);
    expect(maxDrawdown(returns)).toBeCloseTo(row.maxDrawdownIn as number, 12);
    const trades = run("sweep.trades", prices, "channel-breakout", parameters, settings);
    expect(trades.numRows).toBe((row.tradesIn as number) + (row.tradesOut as number));
    const grown = floats(trades, "return").reduce((value, r) => value * (1 + r), 1);
    expect(grown).toBeCloseTo(equity.at(-1) as number, 9);
  });

  it("do not look ahead: cutting or poisoning the future leaves the past's curve alone", () => {
    const cut = 4000;
    const full = floats(run("sweep.equity", prices, "ma-cross", { fast: 10, slow: 50 }, settings), "equity");
    const short = floats(
      run("sweep.equity", prices.slice(0, cut), "ma-cross", { fast: 10, slow: 50 }, settings),
      "equity",
    );
    expect(short).toEqual(full.slice(0, cut));
    const names = prices.schema.fields.map((field) => field.name).filter((name) => name !== "date");
    const poisoned = new Table({
      date: columnOf(prices, "date", "dates"),
      ...Object.fromEntries(
        names.map((name) => [name, vectorFromArray(floats(prices, name).map((x, i) => (i < cut ? x : x * 7)))]),
      ),
    });
    const after = floats(run("sweep.equity", poisoned, "ma-cross", { fast: 10, slow: 50 }, settings), "equity");
    expect(after.slice(0, cut)).toEqual(full.slice(0, cut));
    expect(after.at(-1)).not.toBe(full.at(-1));
  });
});

describe("fills", () => {
  /** 80 bars at 100, with a rise and a fall whose fills can be checked by hand. */
  const bars = (close: number[], open: number[]): Table =>
    new Table({
      date: vectorFromArray(close.map((_, i) => new Date(Date.UTC(2020, 0, 1 + i)).toISOString().slice(0, 10))),
      ...Object.fromEntries(
        Object.entries({ open, high: close, low: close, close }).map(([name, values]) => [
          name,
          vectorFromArray(Float64Array.from(values)),
        ]),
      ),
    });
  const close = Array.from({ length: 80 }, (_, i) => (i === 10 ? 110 : i === 20 ? 90 : i > 10 && i < 20 ? 120 : 100));
  const open = close.map((_, i) => (i === 11 ? 112 : i === 21 ? 95 : 100));

  it("a signal at a close fills at the next open, with slippage and fees both ways", () => {
    const trades = run(
      "sweep.trades",
      bars(close, open),
      "channel-breakout",
      { entry: 5, exit: 5 },
      { fees: 0.01, slippage: 0.02, inSampleEnd: "2020-02-09" },
    );
    const first = trades.get(0)?.toJSON() as Record<string, number>;
    const buy = 112 * 1.02;
    expect(trades.get(0)?.entryDate).toEqual(Date.UTC(2020, 0, 12));
    expect(first.entryPrice).toBeCloseTo(buy, 12);
    expect(first.size).toBeCloseTo(1 / (buy * 1.01), 12);
    expect(first.exitPrice).toBeCloseTo(95 * 0.98, 12);
    expect(first.bars).toBe(10);
    const equity = run(
      "sweep.equity",
      bars(close, open),
      "channel-breakout",
      { entry: 5, exit: 5 },
      { fees: 0.01, slippage: 0.02, inSampleEnd: "2020-02-09" },
    );
    const value = floats(equity, "equity");
    expect(value[10]).toBe(1);
    expect(value[11]).toBeCloseTo(120 / (buy * 1.01), 12);
    expect(value[21]).toBeCloseTo((95 * 0.98 * 0.99) / (buy * 1.01), 12);
  });

  it("adjusted prices are used throughout where the table has them", () => {
    const table = bars(close, open);
    const halved = new Table({
      ...Object.fromEntries(
        table.schema.fields.map(
          ({ name }) => [name, table.getChild(name)] as [string, NonNullable<ReturnType<typeof table.getChild>>],
        ),
      ),
      adjclose: vectorFromArray(Float64Array.from(close, (c) => c / 2)),
    });
    const { open: opens, close: closes, high } = barsOf(halved);
    expect([opens[11], closes[11], high[10]]).toEqual([56, 60, 55]);
  });

  it("a strategy that never trades has no Sharpe ratio, and one grid of those cannot be selected from", () => {
    const table = run("sweep.rsi_reversion", prices, { period: [14], lower: [0], upper: [100] }, settings);
    expect(table.getChild("sharpeIn")?.get(0)).toBeNull();
    expect(table.getChild("totalReturnIn")?.get(0)).toBe(0);
    expect(faultOf(() => run("sweep.select", [table], "rsi-reversion")).message).toContain(
      "none of the 1 combinations",
    );
  });
});

describe("selection and verdict", () => {
  const grids = {
    "ma-cross": { fast: [5, 10, 20], slow: [50, 100] },
    "channel-breakout": { entry: [10, 20, 50], exit: [5, 10] },
  } as const;
  const tables = Object.entries(grids).map(([family, grid]) =>
    run(`sweep.${family.replaceAll("-", "_")}`, prices, grid, settings),
  );
  const selected = tables.map((table, i) => run("sweep.select", [table], Object.keys(grids)[i], 3));

  it("takes the best in sample and counts the trials", () => {
    const best = selected[0]?.get(0)?.toJSON() as Record<string, number>;
    const all = floats(tables[0] as Table, "sharpeIn");
    expect(best.sharpeIn).toBe(Math.max(...all));
    expect(selected[0]?.numRows).toBe(3);
    expect(best.trials).toBe(6);
    expect(best.sharpeMean).toBeCloseTo(all.reduce((a, b) => a + b, 0) / 6, 12);
  });

  it("does not choose what hardly traded, yet counts it as a trial", () => {
    const [table] = tables as [Table];
    const trades = floats(table, "tradesIn");
    const tradesMin = [...trades].sort((a, b) => b - a)[1] as number;
    const best = run("sweep.select", [table], "ma-cross", 10, tradesMin);
    expect([...floats(best, "tradesIn")].every((n) => n >= tradesMin)).toBe(true);
    expect([best.numRows, floats(best, "trials")[0]]).toEqual([2, 6]);
    const surface = run("sweep.surface", [table], "ma-cross", tradesMin);
    expect([...floats(surface, "sharpeOut")].filter(Number.isNaN)).toHaveLength(4);
    expect(faultOf(() => run("sweep.select", [table], "ma-cross", 10, 10_000)).message).toContain("tradesMin is 10000");
  });

  it("deflates by the trials of all families together", () => {
    const verdict = run("sweep.verdict", selected, Object.keys(grids), run("sweep.benchmark", prices, settings), 252);
    expect(verdict.getChild("family")?.toArray()).toEqual(["ma-cross", "channel-breakout", "buy-and-hold"]);
    expect([...floats(verdict, "trials")]).toEqual([12, 12, 1]);
    for (const row of verdict.toArray().slice(0, 2)) expect(row.deflatedSharpe).toBeLessThan(row.probabilisticSharpe);
    const all = tables.flatMap((table) => [...floats(table, "sharpeIn")]);
    const mean = all.reduce((a, b) => a + b, 0) / 12;
    const variance = all.reduce((a, b) => a + (b - mean) ** 2, 0) / 11;
    // E[max] of 12 trials in units of their spread; quantiles from scipy: ppf(1 - 1/12), ppf(1 - 1/(12 e)).
    expect(verdict.get(0)?.luckSharpeIn).toBeCloseTo(
      Math.sqrt(variance) * (0.4227843350984671 * 1.382994127100638 + 0.5772156649015329 * 1.8712297693581528),
      12,
    );
  });

  it("dates of every Arrow form read alike, in one batch or several", () => {
    const { days } = barsOf(prices);
    const rest = Object.fromEntries(
      ["open", "high", "low", "close"].map((name) => [name, vectorFromArray(floats(prices, name))]),
    );
    const moments = Array.from(days, (day) => new Date(day * 86_400_000));
    const types = [
      new DateDay(),
      new DateMillisecond(),
      new TimestampSecond(),
      new TimestampMillisecond(),
      new TimestampMicrosecond(),
      new TimestampNanosecond(),
    ];
    for (const type of types) {
      const sent = tableFromIPC(tableToIPC(new Table({ ...rest, date: vectorFromArray(moments, type) })));
      expect(barsOf(sent).days, String(type)).toEqual(days);
      expect(barsOf(sent.slice(0, 100).concat(sent.slice(100))).days, `${type} in two batches`).toEqual(days);
    }
    expect(barsOf(new Table({ ...rest, date: vectorFromArray(moments.map((m) => m.toISOString())) })).days).toEqual(
      days,
    );
  });
});

describe("refusals name column and value", () => {
  const without = (name: string): Table =>
    prices.select(prices.schema.fields.map((f) => f.name).filter((n) => n !== name));
  const grid = { fast: [5], slow: [50] };
  const cases: [string, () => unknown, RegExp][] = [
    [
      "a missing column",
      () => run("sweep.ma_cross", without("open"), grid, settings),
      /column "open" is missing; the table has date, high/,
    ],
    [
      "days out of order",
      () =>
        run(
          "sweep.ma_cross",
          new Table([...prices.slice(10, 200).batches, ...prices.slice(0, 10).batches]),
          grid,
          settings,
        ),
      /not ascending: row 190/,
    ],
    [
      "a wrong parameter",
      () => run("sweep.ma_cross", prices, { fast: [0], slow: [50] }, settings),
      /sweep\.ma_cross: chunk\.fast\.0 is 0/,
    ],
    ["an unknown parameter", () => run("sweep.ma_cross", prices, { ...grid, medium: [7] }, settings), /medium/],
    [
      "an empty table",
      () => run("sweep.ma_cross", prices.slice(0, 0), grid, settings),
      /inSampleEnd is 2012-12-31.*the table is empty/,
    ],
    [
      "a split outside the data",
      () => run("sweep.ma_cross", prices, grid, { ...settings, inSampleEnd: "2030-01-01" }),
      /2030-01-01.*2000-01-03 to 2020-04-17/,
    ],
    ["not a table", () => run("sweep.ma_cross", [1, 2], grid, settings), /prices is \[1,2\]: expected an Arrow table/],
    [
      "a wrong date",
      () => run("sweep.ma_cross", prices, grid, { ...settings, inSampleEnd: "31.12.2012" }),
      /31\.12\.2012/,
    ],
    [
      "a combination that makes no sense",
      () => run("sweep.equity", prices, "ma-cross", { fast: 50, slow: 5 }, settings),
      /fast 50, slow 5/,
    ],
    [
      "a parameter left out",
      () => run("sweep.equity", prices, "ma-cross", { fast: 5 }, settings),
      /chosen\.slow is missing/,
    ],
    [
      "too many arguments",
      () => run("sweep.benchmark", prices, settings, 1),
      /at most 2 arguments \(prices, settings\), got 3/,
    ],
  ];
  for (const [what, act, message] of cases) {
    it(what, () => {
      const fault = faultOf(act);
      expect(fault.code).toBe("INVALID_ARGUMENT");
      expect(fault.message).toMatch(message);
    });
  }
});
