/** Every option by hand, in both backtests where it means something in both. */
import { Table, TimestampMillisecond, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { float64Vector } from "../columns/building.js";
import { requireKernel } from "../registry.js";
import { days, floats, type Series, tableOf, words } from "./testing/bars.js";

type Orders = [bar: number, side: string, cause: string, size: number, price: number][];

const run = (kernel: string, bars: Table, params: Record<string, unknown>): Record<string, Table> =>
  requireKernel(`backtest.${kernel}`, 1).run(bars, params) as Record<string, Table>;

function ordersOf(tables: Record<string, Table>): Orders {
  const orders = tables.orders as Table;
  const [side, cause] = [words(orders, "side"), words(orders, "cause")];
  const [size, price] = [floats(orders, "size"), floats(orders, "price")];
  return days(orders, "date").map((day, i) => [
    day,
    side[i] as string,
    cause[i] as string,
    size[i] as number,
    price[i] as number,
  ]);
}

const flat = (price: number, count = 4): number[] => new Array<number>(count).fill(price);
/**
 * One symbol that is bought for half the account of 10,000 at the first close and closed at the third: 50 shares at
 * 100.
 */
const bought = (columns: Record<string, Series>): Table =>
  tableOf(
    ["A"],
    Object.fromEntries(
      Object.entries({
        open: flat(100),
        close: flat(100),
        entries: "1000",
        exits: "0010",
        weight: [0.5, null, 0, null],
        ...columns,
      }).map(([name, series]) => [name, [series]]),
    ),
  );
const half = { cash: 10_000, fill: "next-open" };
const both = [
  ["signals", { ...half, sizing: { by: "weight", size: 0.5 } }, "signal"],
  ["weights", half, "rebalance"],
] as const;

describe.each(both)("backtest.%s", (kernel, params, cause) => {
  const of = (columns: Record<string, Series>, more: object): Orders =>
    ordersOf(run(kernel, bought(columns), { ...params, ...more }));

  it("buys and closes", () => {
    expect(of({}, {})).toEqual([
      [1, "buy", cause, 50, 100],
      [3, "sell", cause, 50, 100],
    ]);
  });

  it("fees: the value's fraction, fixed and per share, at least the minimum", () => {
    const paid = (fees: unknown): number[] => [
      ...floats((run(kernel, bought({}), { ...params, fees }) as { orders: Table }).orders, "fees"),
    ];
    expect(paid(0.002)).toEqual([10, 10]);
    expect(paid({ fraction: 0.002, fixed: 1, perShare: 0.1 })).toEqual([16, 16]);
    expect(paid({ perShare: 0.1, minimum: 7 })).toEqual([7, 7]);
  });

  it("slippage: a fraction, the volume's share squared up to 2.5 % of the bar, or its root", () => {
    expect(of({}, { slippage: 0.01 }).map(([, , , size, price]) => [size, price])).toEqual([
      [50, 101],
      [50, 99],
    ]);
    const volume = [0, 1_000, 0, 500];
    const share = of({ volume }, { slippage: { model: "volume-share" } }).map(([, , , size, price]) => [size, price]);
    expect(share).toEqual([
      [25, 100 * (1 + 0.1 * 0.025 ** 2)],
      [12.5, 100 * (1 - 0.1 * 0.025 ** 2)],
    ]);
    const root = of({ volume }, { slippage: { model: "square-root", coefficient: 0.02, limit: 1 } }).map(
      ([, , , size, price]) => [size, price],
    );
    expect(root).toEqual([
      [50, 100 * (1 + 0.02 * Math.sqrt(0.05))],
      [50, 100 * (1 - 0.02 * Math.sqrt(0.1))],
    ]);
  });

  it("lots: sizes in multiples, but for what closes", () => {
    expect(
      of({ split: [null, null, null, 1.5], open: [100, 100, 100, 100 / 1.5] }, { lot: 7 }).map(([, , why, size]) => [
        why,
        size,
      ]),
    ).toEqual([
      [cause, 49],
      ["split", 1.5],
      [cause, 73.5],
    ]);
  });

  it("delisting: closed at the last bar, and what was decided is dropped", () => {
    expect(of({ delisted: "0010" }, {})).toEqual([
      [1, "buy", cause, 50, 100],
      [2, "sell", "delisting", 50, 100],
    ]);
  });

  it.each([
    [{ stopLoss: 0.05 }, [100, 100, 94, 100], ["stop-loss", 94]],
    [{ takeProfit: 0.05 }, [100, 100, 107, 100], ["take-profit", 107]],
    [{ trailing: 0.05 }, [100, 100, 94.5, 100], ["trailing", 94.5]],
  ])("stops: %j", (stops, open, [why, price]) => {
    expect(of({ open, close: open }, { stops })[1]).toEqual([2, "sell", why, 50, price]);
  });
});

describe("sizing of an entry", () => {
  // 1,000 of cash; the price is 20 when the order fills, 10 when it is decided.
  const bars = (): Table =>
    tableOf(["A", "B"], {
      open: [
        [10, 20, 40],
        [10, 20, 40],
      ],
      close: [
        [10, 20, 40],
        [10, 20, 40],
      ],
      entries: ["100", "010"],
      exits: ["000", "000"],
    });
  it.each([
    ["percent", 0.4, [20, 10]],
    ["value", 300, [15, 7.5]],
    ["amount", 8, [8, 8]],
    ["weight", 0.4, [20, 10]],
  ])("by %s, each symbol with an account of its own", (by, size, sizes) => {
    expect(
      ordersOf(run("signals", bars(), { cash: 1_000, sizing: { by, size } })).map(([, , , filled]) => filled),
    ).toEqual(sizes);
  });

  it.each([
    ["percent", 0.4, [20, (0.4 * 600) / 40]],
    ["weight", 0.4, [20, (0.4 * 1_400) / 40]],
    ["weight", 0.6, [30, 400 / 40]],
  ])(
    "by %s %d of the one account: what is left of its cash, or its value then, as far as the cash goes",
    (by, size, sizes) => {
      expect(
        ordersOf(run("signals", bars(), { cash: 1_000, sharedCash: true, sizing: { by, size } })).map(
          ([, , , filled]) => filled,
        ),
      ).toEqual(sizes);
    },
  );
});

describe("the calendar of a rebalance", () => {
  const dayMs = 86_400_000;
  // Weekdays of three years, without every eleventh of them.
  const dates = Array.from({ length: 1_100 }, (_, i) => new Date(Date.UTC(2019, 10, 27) + i * dayMs)).filter(
    (date, i) => date.getUTCDay() % 6 !== 0 && i % 11 !== 0,
  );
  const table = (): Table => {
    const ones = float64Vector(new Float64Array(dates.length).fill(1));
    // Two weights in turn: a bar that is read makes an order if the one before it was of the other weight.
    const weight = float64Vector(Float64Array.from(dates, (_, i) => (i % 2 === 0 ? 0.5 : 0.6)));
    return new Table({ date: vectorFromArray(dates, new TimestampMillisecond()), open: ones, close: ones, weight });
  };
  const read = (rebalance: unknown): string[] => {
    const { orders } = run("weights", table(), { rebalance, fill: "same-close" }) as { orders: Table };
    return Array.from(orders.getChild("date") ?? [], (ms) => new Date(Number(ms)).toISOString().slice(0, 10));
  };
  /** First dates of periods, of those at which the weight is another one than at the last. */
  const expected = (due: readonly Date[]): string[] => {
    const parity = (date: Date): number => dates.indexOf(date) % 2;
    let held = -1;
    return due.flatMap((date) => {
      if (parity(date) === held) return [];
      held = parity(date);
      return [date.toISOString().slice(0, 10)];
    });
  };
  const firstOf = (period: (date: Date) => unknown): Date[] =>
    dates.filter((date, i) => i === 0 || period(date) !== period(dates[i - 1] as Date));
  /** The Monday on or before. */
  const monday = (date: Date): string =>
    new Date(date.getTime() - ((date.getUTCDay() + 6) % 7) * dayMs).toISOString().slice(0, 10);

  it.each([
    ["every-bar", dates],
    ["weekly", firstOf(monday)],
    ["monthly", firstOf((date) => date.toISOString().slice(0, 7))],
    [
      "quarterly",
      firstOf((date) => `${date.getUTCFullYear()} ${["JFM", "AMJ", "JAS", "OND"][Math.floor(date.getUTCMonth() / 3)]}`),
    ],
    ["yearly", firstOf((date) => date.getUTCFullYear())],
  ])("%s", (rebalance, due) => {
    expect(due.length).toBeGreaterThan(3);
    expect(read(rebalance)).toEqual(expected(due));
  });

  it("every so many bars, or on the first bar on or after given dates", () => {
    expect(read({ bars: 37 })).toEqual(expected(dates.filter((_, i) => i % 37 === 0)));
    const given = ["2020-05-31", "2020-01-01", "2021-07-04", "2030-01-01"];
    const onOrAfter = given
      .sort()
      .flatMap((text) => dates.find((date) => date.toISOString().slice(0, 10) >= text) ?? []);
    expect(read({ dates: given })).toEqual(expected(onOrAfter));
  });
});
