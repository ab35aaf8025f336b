import { Bool, DateDay, Float64, Table, tableFromArrays, Utf8, vectorFromArray } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { feature, listKernels } from "volley/kernels";
import type { LocalCluster } from "../../cluster/local/local-cluster.js";
import { startTestCluster } from "../../cluster/local/testing/test-cluster.js";
import type { Cluster, ObjectRef } from "./api.js";
import { connect } from "./connect.js";
import type { Kernels } from "./index.js";

let local: LocalCluster;
let cluster: Cluster;
beforeAll(async () => {
  local = await startTestCluster({ workers: 1, slots: 2 });
  cluster = await connect({ url: local.url });
});
afterAll(async () => {
  await cluster?.close();
  await local?.stop();
});

const dates = (count: number): Date[] => Array.from({ length: count }, (_, i) => new Date(Date.UTC(2020, 0, 1 + i)));
const closes = Array.from({ length: 40 }, (_, i) => 100 + 10 * Math.sin(i));
const prices = new Table({
  date: vectorFromArray(dates(40), new DateDay()),
  close: vectorFromArray(closes, new Float64()),
});
const column = (table: Table, name: string): unknown[] => [...(table.getChild(name) ?? [])];

describe("the members", () => {
  test("are all kernels, features by their short name and the others by their path", () => {
    const others = listKernels().filter(({ name }) => !name.startsWith("feature."));
    const groups = new Set(others.map(({ name }) => name.split(".")[0] as string));
    expect(Object.keys(cluster.kernels).toSorted()).toEqual([...Object.keys(feature), ...groups].toSorted());
    const members = [...groups].flatMap((group) =>
      Object.keys(cluster.kernels[group as "asof"]).map((name) => `${group}.${name}`),
    );
    expect(members.toSorted()).toEqual(others.map(({ name }) => name).toSorted());
    expect(cluster.kernels.rsi.ref).toEqual({ kernel: "feature.rsi", version: 1 });
    expect(cluster.kernels.asof.pit.ref).toEqual({ kernel: "asof.pit", version: 1 });
    expect(cluster.kernels.rsi).toBe(cluster.kernels.rsi);
  });

  test("are there under a former name too, as the kernel of the present one", () => {
    expect(cluster.kernels.sweep["ma-cross"].ref).toEqual({ kernel: "sweep.ma_cross", version: 1 });
    expect(cluster.kernel("sweep.ma-cross").ref).toEqual({ kernel: "sweep.ma_cross", version: 1 });
    expect(Object.keys(cluster.kernels.sweep)).not.toContain("ma-cross");
  });

  test("by name are of the newest version, of the one that is told, and of the first where this side knows none", () => {
    expect(cluster.kernel("asof.pit").ref).toEqual({ kernel: "asof.pit", version: 1 });
    expect(cluster.kernel("asof.pit", 7).ref).toEqual({ kernel: "asof.pit", version: 7 });
    expect(cluster.kernel("asof.yet_to_come").ref).toEqual({ kernel: "asof.yet_to_come", version: 1 });
  });

  test.each([
    [
      "rsy",
      () => (cluster.kernels as unknown as Record<string, unknown>).rsy,
      /there is no kernel "rsy": did you mean rsi/,
    ],
    [
      "asof.pitt",
      () => (cluster.kernels.asof as unknown as Record<string, unknown>).pitt,
      /there is no kernel "asof.pitt": did you mean asof.pit/,
    ],
    [
      "rolling_men",
      () => (cluster.kernels as unknown as Record<string, unknown>).rolling_men,
      /did you mean rolling_mean/,
    ],
  ])("%s is not there, and the near ones are named", (_, ask, message) => {
    expect(ask).toThrowError(
      expect.objectContaining({ code: "FUNCTION_NOT_FOUND", message: expect.stringMatching(message) }),
    );
  });

  test("may be awaited and printed like any object", async () => {
    expect(await cluster.kernels).toBe(cluster.kernels);
    expect(() => JSON.stringify(cluster.kernels.asof)).not.toThrow();
  });
});

describe("on a cluster", () => {
  test("a feature of a table, of a ref, with options, and mapped over tables", async () => {
    const whole = await cluster.get(cluster.kernels.rsi.submit(prices, { window: 14, columns: ["close"] }));
    expect(whole.schema.fields.map(({ name }) => name)).toEqual(["close"]);
    expect(column(whole, "close").slice(14)).toEqual(
      [...(feature.rsi.batch({ window: 14 }, Float64Array.from(closes))[0] ?? [])].slice(14),
    );
    expect(column(whole, "close").slice(0, 14)).toEqual(Array(14).fill(null));
    const ref = await cluster.put(prices);
    const again = await cluster.get(
      cluster.kernels.rsi.with({ retries: 1 }).submit(ref, { window: 14, columns: ["close"] }),
    );
    expect(column(again, "close")).toEqual(column(whole, "close"));
    const [one, two] = await cluster.get(
      cluster.kernels.sma.map([prices, prices.slice(0, 10)], { shared: [{ window: 3 }] }),
    );
    expect([one?.numRows, two?.numRows]).toEqual([40, 10]);
    expect(await cluster.get(cluster.kernels.cumsum.submit(prices))).toMatchObject({ numRows: 40 });
  });

  test("mapped over refs of tables that were put, each task takes one", async () => {
    const parts = [prices.slice(0, 10), prices.slice(10, 40)];
    const refs = await Promise.all(parts.map((part) => cluster.put(part)));
    const averages = cluster.kernels.sma.map([...refs, prices], { shared: [{ window: 3, columns: ["close"] }] });
    expect((await cluster.get(averages)).map(({ numRows }) => numRows)).toEqual([10, 30, 40]);
    const again = await cluster.get(cluster.kernels.sma.map(averages, { shared: [{ window: 2, columns: ["close"] }] }));
    expect(again.map((table) => column(table, "close").filter((value) => value === null).length)).toEqual([3, 3, 3]);
  });

  test("kernels feed kernels: an as-of join of a feature, and a backtest", async () => {
    const { sma, asof, backtest } = cluster.kernels;
    const average = sma.submit(prices, { window: 3, columns: ["close"], as: "average", keep: ["date"] });
    const joined = await cluster.get(asof.join.submit(prices, average, { on: "date" }));
    expect(joined.schema.fields.map(({ name }) => name)).toEqual(["date", "close", "date_right", "average"]);
    expect(column(joined, "average")[2]).toBeCloseTo(
      ((closes[0] as number) + (closes[1] as number) + (closes[2] as number)) / 3,
      12,
    );
    const flags = (test: (i: number) => boolean) =>
      vectorFromArray(
        closes.map((_, i) => test(i)),
        new Bool(),
      );
    const bars = prices.assign(new Table({ entries: flags((i) => i % 10 === 0), exits: flags((i) => i % 10 === 5) }));
    const outcome = (await cluster.get(backtest.signals.submit(bars, { fill: "next-close", outputs: ["trades"] }))) as {
      trades: Table;
    };
    expect(outcome.trades.numRows).toBe(4);
  });
});

describe("partitions in a row", () => {
  const bits = (table: Table, name: string): unknown[] =>
    column(table, name).map((value) =>
      typeof value === "number" ? new BigUint64Array(Float64Array.of(value).buffer)[0] : value,
    );
  const parts = [prices.slice(0, 7), prices.slice(7, 8), prices.slice(8, 29), prices.slice(29)];

  test("each takes the ref of what the one before gave, and together they have the bits of the whole", async () => {
    const { rsi } = cluster.kernels;
    const params = { window: 5, columns: ["close"] };
    const whole = await cluster.get(rsi.submit(prices, params));
    const refs: ObjectRef<{ table: Table; carry: unknown }>[] = [];
    let previous: ReturnType<typeof rsi.withCarry.submit> | undefined;
    for (const part of parts) {
      previous = rsi.withCarry.with({ retries: 1 }).submit(part, params, previous);
      refs.push(previous);
    }
    const tables = (await cluster.get(refs)).map(({ table }) => table);
    expect(tables.flatMap((table) => bits(table, "close"))).toEqual(bits(whole, "close"));
    expect(rsi.withCarry).toBe(rsi.withCarry);
  });

  test("of an as-of join, and as stages of a durable graph", async () => {
    const { join } = cluster.kernels.asof;
    const right = new Table({
      date: vectorFromArray(
        dates(40).filter((_, i) => i % 9 === 0),
        new DateDay(),
      ),
      paid: vectorFromArray([1, 2, 3, 4, 5], new Float64()),
    });
    const whole = await cluster.get(join.submit(prices, right, { on: "date" }));
    const graph = cluster.graph("carry");
    const first = graph.stage(join.withCarry, [parts[0] as Table, right, { on: "date" }]);
    const second = graph.stage(join.withCarry, [prices.slice(7), right, { on: "date" }, first]);
    graph.output(first, second);
    const job = await cluster.run(graph);
    const [a] = await job.results<{ table: Table }>(0);
    const [b] = await job.results<{ table: Table }>(1);
    expect([a, b].flatMap((result) => column(result?.table as Table, "paid"))).toEqual(column(whole, "paid"));
  });

  test("need their parameters as an object, which is said at once", async () => {
    const ref = await cluster.put({ window: 5 });
    expect(() => cluster.kernels.rsi.withCarry.submit(prices, ref as never)).toThrow(
      /feature\.rsi\.withCarry: params is given as an object/,
    );
    expect("withCarry" in cluster.kernels.panel.rank).toBe(false);
    expect(await cluster.get(cluster.kernels.cumsum.withCarry.submit(prices))).toMatchObject({
      table: { numRows: 40 },
    });
  });
});

/** Wrong calls, as a program without types would make them. */
type Untyped = { submit(...args: unknown[]): ObjectRef<unknown> };
const untyped = (fn: unknown): Untyped => fn as Untyped;
const empty = new Table({ date: vectorFromArray([], new DateDay()), close: vectorFromArray([], new Float64()) });
const words = new Table({ close: vectorFromArray(["a", "b"], new Utf8()) });
const backwards = new Table({
  date: vectorFromArray(dates(3).toReversed(), new DateDay()),
  close: vectorFromArray([1, 2, 3], new Float64()),
});

describe("what is wrong is said with column and value", () => {
  const k = (): typeof cluster.kernels => cluster.kernels;
  test.each<[string, () => ObjectRef<unknown>, RegExp]>([
    ["a parameter out of range", () => k().rsi.submit(prices, { window: 0 }), /feature\.rsi: params\.window is 0\b/],
    [
      "a parameter of another type",
      () => untyped(k().sma).submit(prices, { window: "14" }),
      /feature\.sma: params\.window is "14"/,
    ],
    [
      "a parameter that is not there",
      () => untyped(k().sma).submit(prices, { window: 3, windw: 4 }),
      /feature\.sma: params.*windw/,
    ],
    ["no parameters", () => untyped(k().sma).submit(prices), /feature\.sma: params/],
    [
      "something else than a table",
      () => untyped(k().rsi).submit([1, 2], { window: 3 }),
      /feature\.rsi: table is \[1,2\]: expected an Arrow table/,
    ],
    ["a missing column", () => k().sma.submit(prices, { window: 3, columns: ["clse"] }), /clse.*date.*close/s],
    ["a column of text", () => k().sma.submit(words, { window: 3, columns: ["close"] }), /close/],
    ["no column of numbers", () => k().sma.submit(words, { window: 3 }), /no column of numbers.*close/],
    ["a join on a missing column", () => k().asof.join.submit(prices, prices, { on: "day" }), /asof\.join.*day/s],
    ["unsorted keys", () => k().asof.join.submit(backwards, prices, { on: "date" }), /asof\.join.*date/s],
    [
      "a backtest without signals",
      () => k().backtest.signals.submit(prices, { fill: "next-close" }),
      /column "entries"/,
    ],
    [
      "unsorted dates of a panel",
      () => k().panel.rank.submit(backwards.assign(tableFromArrays({ symbol: ["a", "b", "c"] }))),
      /panel\.rank.*date/s,
    ],
  ])("%s", async (_, submit, message) => {
    await expect(cluster.get(submit())).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringMatching(message),
    });
  });

  test("an empty table is a table", async () => {
    expect(await cluster.get(k().rsi.submit(empty, { window: 3, columns: ["close"] }))).toMatchObject({ numRows: 0 });
    expect(await cluster.get(k().asof.join.submit(empty, prices, { on: "date" }))).toMatchObject({ numRows: 0 });
  });
});

test("the types are those of the declarations", () => {
  const compiles = (kernels: Cluster["kernels"], table: Table, ref: ObjectRef<Table>): void => {
    const typed: ObjectRef<Table>[] = [
      kernels.rsi.submit(ref, { window: 14 }),
      kernels.macd.submit(table, {}),
      kernels.cumsum.submit(table),
    ];
    kernels.panel.rank.submit(table);
    kernels.panel.rank.submit(table, { method: "dense", mask: "member" });
    kernels.asof.pit.submit(table, ref, { time: "date" });
    const first = kernels.rsi.withCarry.submit(table, { window: 14 });
    const second: ObjectRef<{ readonly table: Table }> = kernels.rsi.withCarry.submit(ref, { window: 14 }, first);
    kernels.cumsum.withCarry.submit(table);
    kernels.asof.join.withCarry.submit(
      table,
      ref,
      { on: "date" },
      kernels.asof.join.withCarry.submit(table, ref, { on: "date" }),
    );
    kernels.asof.pit.withCarry.submit(table, ref, { time: "date" });
    const named: Kernels = kernels;
    // @ts-expect-error the answer is no table
    const wrong: ObjectRef<Table> = kernels.rsi.withCarry.submit(table, { window: 14 });
    // @ts-expect-error a table is no carry
    kernels.rsi.withCarry.submit(table, { window: 14 }, table);
    // @ts-expect-error the carry of a feature is not that of a join
    kernels.asof.join.withCarry.submit(table, ref, { on: "date" }, first);
    // @ts-expect-error the window has no default
    kernels.sma.withCarry.submit(table, {});
    // @ts-expect-error withCarry is said by the member, not by a parameter
    kernels.rsi.submit(table, { window: 14, withCarry: true });
    // @ts-expect-error a rank carries nothing
    kernels.panel.rank.withCarry;
    // @ts-expect-error a number is no text
    kernels.rsi.submit(table, { window: "14" });
    // @ts-expect-error no such parameter
    kernels.rsi.submit(table, { windw: 14 });
    // @ts-expect-error the window has no default
    kernels.sma.submit(table, {});
    // @ts-expect-error the window has no default
    kernels.sma.submit(table);
    // @ts-expect-error the table comes first
    kernels.sma.submit({ window: 3 });
    // @ts-expect-error not one of the methods
    kernels.panel.rank.submit(table, { method: "densest" });
    // @ts-expect-error an as-of join needs two tables
    kernels.asof.join.submit(table, { on: "date" });
    // @ts-expect-error no such place to fill at
    kernels.backtest.signals.submit(table, { fill: "yesterday" });
    // @ts-expect-error no such feature
    kernels.rsy;
    // @ts-expect-error no such join
    kernels.asof.pitt;
    void [typed, second, named, wrong];
  };
  expect(compiles).toBeTypeOf("function");
});
