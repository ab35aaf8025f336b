/** Rules that can be followed by hand, and refusals. */
import { Table, TimestampMillisecond, tableFromIPC, tableToIPC, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { VolleyError } from "../../proto/errors.js";
import { requireKernel } from "../registry.js";
import { days, floats, type Series, tableOf, words } from "./testing/bars.js";

const run = (kernel: string, bars: unknown, params: Record<string, unknown>): Record<string, Table> =>
  requireKernel(`backtest.${kernel}`, 1).run(bars, params) as Record<string, Table>;
const one = (columns: Record<string, Series>): Table =>
  tableOf(["A"], Object.fromEntries(Object.entries(columns).map(([name, series]) => [name, [series]])));
const ordersOf = (tables: Record<string, Table>): [number, string, string, string, number, number][] => {
  const orders = tables.orders as Table;
  const [side, cause, status] = ["side", "cause", "status"].map((name) => words(orders, name)) as [
    string[],
    string[],
    string[],
  ];
  const [size, price] = [floats(orders, "size"), floats(orders, "price")];
  return days(orders, "date").map((day, i) => [
    day,
    side[i] as string,
    cause[i] as string,
    status[i] as string,
    size[i] as number,
    price[i] as number,
  ]);
};

describe("fills", () => {
  const bars = one({
    open: [10, 11, null, 13, 14],
    close: [10.5, 11.5, null, 13.5, 14.5],
    entries: "10000",
    exits: "01000",
  });

  it.each([
    ["next-open", [1, 11], [3, 13]],
    ["next-close", [1, 11.5], [3, 13.5]],
    ["same-close", [0, 10.5], [1, 11.5]],
  ])("%s, and what finds no price waits for one", (fill, buy, sell) => {
    const orders = ordersOf(run("signals", bars, { fill }));
    expect(orders.map(([day, , , , , price]) => [day, price])).toEqual([buy, sell]);
  });

  it("an order that the cash cannot pay is cut to what it can, and one that pays no fee at all is refused", () => {
    const cut = ordersOf(
      run("signals", bars, {
        cash: 50,
        sizing: { by: "amount", size: 9 },
        fees: { fraction: 0.1, fixed: 5 },
        fill: "same-close",
      }),
    );
    expect(cut[0]).toEqual([0, "buy", "signal", "partial", (50 - 5) / 1.1 / 10.5, 10.5]);
    const none = ordersOf(run("signals", bars, { cash: 4, fees: { fixed: 5 }, fill: "same-close" }));
    expect(none.map((order) => order[3])).toEqual(["no-cash"]);
  });
});

describe("stops inside a bar", () => {
  const stopped = (
    bar: [open: number, high: number, low: number, close: number],
    stops: object,
    direction = "long",
  ): unknown[] => {
    const [open, high, low, close] = bar;
    const bars = one({
      open: [100, 100, open],
      high: [100, 100, high],
      low: [100, 100, low],
      close: [100, 100, close],
      entries: "100",
      exits: "000",
    });
    return ordersOf(run("signals", bars, { stops, direction }))
      .slice(1)
      .map(([, , cause, , , price]) => [cause, price])[0] as unknown[];
  };

  it("the level, or the open beyond it", () => {
    expect(stopped([100, 101, 94, 99], { stopLoss: 0.05 })).toEqual(["stop-loss", 95]);
    expect(stopped([93, 101, 92, 99], { stopLoss: 0.05 })).toEqual(["stop-loss", 93]);
    expect(stopped([100, 108, 99, 99], { takeProfit: 0.07 })).toEqual(["take-profit", 107]);
    expect(stopped([109, 110, 99, 99], { takeProfit: 0.07 })).toEqual(["take-profit", 109]);
    expect(stopped([100, 106, 99, 99], { stopLoss: 0.05, takeProfit: 0.07 })).toBeUndefined();
  });

  it("the stop first where both lie in the bar, the take-profit where the open is beyond it", () => {
    expect(stopped([100, 110, 90, 99], { stopLoss: 0.05, takeProfit: 0.07 })).toEqual(["stop-loss", 95]);
    expect(stopped([108, 110, 90, 99], { stopLoss: 0.05, takeProfit: 0.07 })).toEqual(["take-profit", 108]);
  });

  it("a short position the other way round", () => {
    expect(stopped([100, 106, 99, 101], { stopLoss: 0.05 }, "short")).toEqual(["stop-loss", 105]);
    expect(stopped([100, 101, 90, 99], { takeProfit: 0.07 }, "short")).toEqual(["take-profit", 93]);
  });

  it("a bar's high moves the trailing level only for the bars after it", () => {
    const bars = one({
      open: [100, 100, 100, 118],
      high: [100, 100, 120, 119],
      low: [100, 100, 99, 100],
      close: [100, 100, 118, 101],
      entries: "1000",
      exits: "0000",
    });
    expect(ordersOf(run("signals", bars, { stops: { trailing: 0.1 } })).slice(1)).toEqual([
      [3, "sell", "trailing", "filled", 1, 108],
    ]);
  });
});

describe("corporate actions", () => {
  it("a split keeps the value, the entry and the trade's profit", () => {
    const bars = one({
      open: [10, 10, 5, 6],
      close: [10, 10, 5, 6],
      split: [null, null, 2, null],
      entries: "1000",
      exits: "0010",
    });
    const tables = run("signals", bars, { outputs: ["orders", "trades", "equity"] });
    expect([...floats(tables.equity as Table, "value")]).toEqual([100, 100, 100, 120]);
    expect(ordersOf(tables).map(([, side, , , size]) => [side, size])).toEqual([
      ["buy", 10],
      ["split", 2],
      ["sell", 20],
    ]);
    const trade = (tables.trades as Table).get(0)?.toJSON() as Record<string, number>;
    expect([trade.size, trade.entryPrice, trade.exitPrice, trade.pnl]).toEqual([20, 5, 6, 20]);
  });

  it("a delisting closes at the last price known, and nothing more is bought", () => {
    const bars = one({
      open: [10, 10, null, 9],
      close: [10, 11, null, 9],
      delisted: "0010",
      entries: "1000",
      exits: "0000",
    });
    const tables = run("signals", bars, { fees: 0.01, outputs: ["orders", "equity"] });
    expect(ordersOf(tables).map(([day, , cause, , , price]) => [day, cause, price])).toEqual([
      [1, "signal", 10],
      [2, "delisting", 11],
    ]);
    expect(floats(tables.equity as Table, "value").at(-1)).toBeCloseTo((100 / 1.01 / 10) * 11 * 0.99, 12);
  });
});

describe("portfolios", () => {
  it("rebalance at the first bar of a period, sales before purchases, and leave alone what has no weight", () => {
    const count = 65;
    const flat = (price: number): number[] => new Array<number>(count).fill(price);
    const bars = tableOf(["A", "B", "C"], {
      close: [flat(10), flat(20), flat(40)],
      weight: [
        Array.from({ length: count }, (_, i) => (i < 31 ? 0.25 : 0.75)),
        Array.from({ length: count }, (_, i) => (i < 31 ? 0.75 : 0.25)),
        Array.from({ length: count }, () => null),
      ],
    });
    const orders = ordersOf(run("weights", bars, { fill: "same-close", rebalance: "monthly", cash: 1_000 }));
    expect(orders.map(([day, side, , , size]) => [day, side, size])).toEqual([
      [0, "buy", 25],
      [0, "buy", 37.5],
      [31, "sell", 25],
      [31, "buy", 50],
    ]);
  });

  it("one account pays for all symbols", () => {
    const bars = tableOf(["A", "B"], {
      open: [
        [1, 1, 1],
        [1, 1, 1],
      ],
      close: [
        [1, 1, 1],
        [1, 1, 2],
      ],
      entries: ["100", "100"],
      exits: ["000", "000"],
    });
    const shared = run("signals", bars, {
      sharedCash: true,
      sizing: { by: "percent", size: 0.5 },
      outputs: ["orders", "equity", "statistics"],
    });
    expect(ordersOf(shared).map(([, , , , size]) => size)).toEqual([50, 25]);
    expect([...floats(shared.equity as Table, "value")]).toEqual([100, 100, 125]);
    expect(shared.statistics?.numRows).toBe(1);
  });
});

describe("tables", () => {
  it("keep the type of their dates and survive the wire", () => {
    const times = [0, 60_000, 120_000].map((ms) => new Date(ms));
    const bars = new Table({
      date: vectorFromArray(times, new TimestampMillisecond()),
      open: vectorFromArray(Float64Array.of(1, 2, 3)),
      close: vectorFromArray(Float64Array.of(1, 2, 3)),
      entries: vectorFromArray([true, false, false]),
      exits: vectorFromArray([false, true, false]),
    });
    const tables = run("signals", bars, { outputs: ["orders", "trades", "positions", "equity", "statistics"] });
    for (const table of Object.values(tables)) {
      const read = tableFromIPC(tableToIPC(table));
      expect(read.toArray().map((row) => row.toJSON())).toEqual(table.toArray().map((row) => row.toJSON()));
    }
    expect(Array.from(tables.orders?.getChild("date") ?? [])).toEqual([60_000, 120_000]);
    expect(words(tables.orders as Table, "symbol")).toEqual(["all", "all"]);
  });

  it("of no rows give tables of no rows", () => {
    const tables = run("signals", one({ open: [1], close: [1], entries: "0", exits: "0" }).slice(0, 0), {
      outputs: ["orders", "trades", "positions", "equity", "statistics"],
    });
    expect(Object.values(tables).map((table) => table.numRows)).toEqual([0, 0, 0, 0, 0]);
    expect(run("weights", one({ open: [1], close: [1], weight: [1] }).slice(0, 0), {}).orders?.numRows).toBe(0);
  });
});

describe("refusals name column and value", () => {
  const good = {
    open: [1, 2, 3],
    high: [1, 2, 3],
    low: [1, 2, 3],
    close: [1, 2, 3],
    entries: "100",
    exits: "001",
  } as const;
  const without = (...names: string[]): Table =>
    one(Object.fromEntries(Object.entries(good).filter(([name]) => !names.includes(name))));
  const weighted = (weight: number): Table => one({ open: [1, 2], close: [1, 2], weight: [0.5, weight] });
  const cases: [string, () => unknown, RegExp][] = [
    [
      "a missing column",
      () => run("signals", without("open"), {}),
      /column "open" is missing; the table has date, symbol, high/,
    ],
    ["missing signals", () => run("signals", without("exits"), {}), /column "exits" is missing/],
    [
      "a missing volume",
      () => run("signals", one(good), { slippage: { model: "volume-share" } }),
      /column "volume" is missing/,
    ],
    [
      "signals of numbers",
      () => run("signals", one({ ...good, entry: [0, 1, 0] }), { columns: { entries: "entry" } }),
      /column "entry" is Float64; expected booleans/,
    ],
    [
      "prices of booleans",
      () => run("signals", one(good), { columns: { close: "exits" } }),
      /column "exits" is Bool; expected numbers/,
    ],
    [
      "a price that is none",
      () => run("signals", one({ ...good, close: [1, -2, 3] }), {}),
      /column "close" is -2 in row 1; a price is a positive number/,
    ],
    [
      "a split that is none",
      () => run("signals", one({ ...good, split: [null, 0, null] }), {}),
      /column "split" is 0 in row 1/,
    ],
    [
      "rows out of order",
      () => run("signals", new Table([...one(good).slice(1).batches, ...one(good).slice(0, 1).batches]), {}),
      /column "date" is not ascending: row 2 \(1970-01-01\) of symbol "A" does not come after row 1 \(1970-01-03\)/,
    ],
    [
      "a bar twice",
      () => run("signals", new Table([...one(good).batches, ...one(good).slice(2).batches]), {}),
      /row 3 \(1970-01-03\) of symbol "A" does not come after row 2 \(1970-01-03\)/,
    ],
    ["a wrong parameter", () => run("signals", one(good), { fees: -1 }), /backtest\.signals: params\.fees is -1/],
    ["a wrong stop", () => run("signals", one(good), { stops: { stopLoss: 2 } }), /params\.stops\.stopLoss is 2/],
    [
      "a percent above all",
      () => run("signals", one(good), { sizing: { by: "percent", size: 2 } }),
      /params\.sizing\.size is 2: a percent is a fraction/,
    ],
    ["an unknown parameter", () => run("signals", one(good), { leverage: 3 }), /leverage/],
    ["an unknown output", () => run("signals", one(good), { outputs: ["fills"] }), /params\.outputs\.0 is "fills"/],
    [
      "a direction and short columns",
      () => run("signals", one({ ...good, shortEntries: "000" }), { direction: "both" }),
      /direction is both/,
    ],
    ["not a table", () => run("signals", [1], {}), /bars is \[1\]: expected an Arrow table/],
    [
      "a negative weight, long only",
      () => run("weights", weighted(-0.5), {}),
      /column "weight" is -0\.5 in row 1; it would be sold short/,
    ],
    ["a weight that is none", () => run("weights", weighted(1_000), {}), /column "weight" is 1000 in row 1/],
    [
      "a calendar that is none",
      () => run("weights", weighted(0.5), { rebalance: "daily" }),
      /params\.rebalance is "daily"/,
    ],
  ];
  it.each(cases)("%s", (_, act, message) => {
    try {
      act();
    } catch (error) {
      expect(error).toBeInstanceOf(VolleyError);
      expect((error as VolleyError).code).toBe("INVALID_ARGUMENT");
      expect((error as VolleyError).message).toMatch(message);
      return;
    }
    expect.fail("expected an error");
  });
});
