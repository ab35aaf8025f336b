import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { DateDay, Dictionary, Int32, Table, tableToIPC, Utf8, vectorFromArray } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ObjectRef } from "../../proto/object-ref.js";
import { encodeParquet, openLake, readParquet, writeParquet } from "./index.js";

let root: string;
const symbols = ["AAA", "BBB", "CCC"];
const days = 100;

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "volley-lake-"));
  for (const [s, symbol] of symbols.entries()) {
    const table = new Table({
      date: vectorFromArray(
        Array.from({ length: days }, (_, i) => new Date(i * 86_400_000)),
        new DateDay(),
      ),
      symbol: vectorFromArray(new Array(days).fill(symbol), new Dictionary(new Utf8(), new Int32(), 0)),
      close: vectorFromArray(Float64Array.from({ length: days }, (_, i) => 100 * (s + 1) + i)),
    });
    await writeParquet(path.join(root, "prices", `${symbol}.parquet`), table, { rowGroupRows: 25 });
  }
  await writeFile(path.join(root, "notes.txt"), "no data");
  await writeFile(path.join(root, "more.csv"), "date,symbol,close\n1970-01-02,DDD,5\n1970-03-01,DDD,6\n");
});
afterAll(() => rm(root, { recursive: true, force: true }));

const prices = (): string => path.join(root, "prices/*.parquet");
const closes = (table: Table): number[] => Array.from(table.getChild("close") ?? [], Number);

describe("a lake", () => {
  it("has a partition for each file, read when it is loaded", async () => {
    const lake = await openLake(prices());
    expect(lake.partitions.map(({ file, rowGroups, rowsMax }) => [path.basename(file), rowGroups, rowsMax])).toEqual(
      symbols.map((symbol) => [`${symbol}.parquet`, [0, 1, 2, 3], 100]),
    );
    expect(lake.columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "date Date32<DAY>",
      "symbol Dictionary<Int32, Utf8>",
      "close Float64",
    ]);
    expect(closes((await lake.partitions[1]?.load()) as Table).slice(0, 3)).toEqual([200, 201, 202]);
  });

  it("has a partition for each row group if told, and the same rows", async () => {
    const lake = await openLake(prices(), { partitionBy: "row-group", columns: ["close"] });
    expect(lake.partitions).toHaveLength(12);
    expect(closes(await lake.table())).toEqual(closes(await (await openLake(prices())).table()));
  });

  it("joins the dictionaries of its files", async () => {
    const table = await (await openLake(prices())).table();
    expect([0, 99, 100, 299].map((row) => table.getChild("symbol")?.get(row))).toEqual(["AAA", "AAA", "BBB", "CCC"]);
  });

  it("leaves out what its predicates exclude, unread where statistics say so", async () => {
    const lake = await openLake(prices(), {
      columns: ["close"],
      where: [
        ["date", ">=", "1970-03-20"],
        ["symbol", "in", ["BBB", "CCC"]],
      ],
    });
    expect(lake.pruned).toEqual({ files: 1, rowGroups: 10 });
    expect(lake.partitions.map(({ rowGroups }) => rowGroups)).toEqual([[3], [3]]);
    expect(closes(await lake.table())).toEqual([
      ...Array.from({ length: 22 }, (_, i) => 278 + i),
      ...Array.from({ length: 22 }, (_, i) => 378 + i),
    ]);
  });

  it("takes CSV files with the same options", async () => {
    const lake = await openLake(path.join(root, "more.csv"), {
      columns: ["close", "symbol"],
      where: [["date", ">", "1970-02-01"]],
    });
    const table = await lake.table();
    expect(table.toArray().map((row) => row?.toJSON())).toEqual([{ close: 6, symbol: "DDD" }]);
    await expect((await openLake(path.join(root, "more.csv"), { columns: ["nope"] })).table()).rejects.toMatchObject({
      message: expect.stringMatching(/more\.csv has no column "nope"/),
    });
  });

  it("takes Arrow (stream or file) and JSON rows, by the name's ending or by how they begin", async () => {
    const { table } = await readParquet(path.join(root, "prices/BBB.parquet"));
    const options = { columns: ["close"], where: [["date", "<", "1970-01-03"]] } as const;
    await writeFile(path.join(root, "b.arrow"), tableToIPC(table, "stream"));
    await writeFile(path.join(root, "b.feather"), tableToIPC(table, "file"));
    await writeFile(
      path.join(root, "b.json"),
      '[{"date":"1970-01-01","close":200},{"date":"1970-01-02","close":201},{"date":"1970-01-03","close":0}]',
    );
    await writeFile(path.join(root, "stream-without-ending"), tableToIPC(table, "stream"));
    await writeFile(path.join(root, "file-without-ending"), tableToIPC(table, "file"));
    await writeFile(path.join(root, "parquet-without-ending"), encodeParquet(table));
    for (const name of [
      "b.arrow",
      "b.feather",
      "b.json",
      "stream-without-ending",
      "file-without-ending",
      "parquet-without-ending",
    ])
      expect(closes(await (await openLake(path.join(root, name), options)).table()), name).toEqual([200, 201]);
    expect((await (await openLake(path.join(root, "b.feather"))).table()).toArray().map(String)).toEqual(
      table.toArray().map(String),
    );
  });

  it("joins files of different kinds if their columns agree, and says which do not", async () => {
    const { table } = await readParquet(path.join(root, "prices/AAA.parquet"), { rowGroups: [0] });
    await writeFile(path.join(root, "more.arrow"), tableToIPC(table, "stream"));
    expect(
      closes(await (await openLake([path.join(root, "more.arrow"), path.join(root, "prices/CCC.parquet")])).table()),
    ).toEqual([...Array.from({ length: 25 }, (_, i) => 100 + i), ...Array.from({ length: 100 }, (_, i) => 300 + i)]);
    await writeFile(path.join(root, "odd.csv"), "date,symbol,close\n1970-01-02,DDD,high\n");
    const odd = await openLake([path.join(root, "odd.csv"), path.join(root, "prices/CCC.parquet")]);
    await expect(odd.table()).rejects.toMatchObject({
      code: "INVALID_DATA",
      message: expect.stringMatching(/CCC\.parquet has column "symbol" as|"close" as/),
    });
  });

  it("puts its partitions in order", async () => {
    const held: Table[] = [];
    const cluster = {
      put: async <T>(value: T): Promise<ObjectRef<T>> => {
        held.push(value as Table);
        return { id: `object-${(value as Table).getChild("close")?.get(0)}` } as unknown as ObjectRef<T>;
      },
    };
    const refs = await (await openLake(prices())).put(cluster as never);
    expect(refs.map(({ id }) => id)).toEqual(["object-100", "object-200", "object-300"]);
    expect(held).toHaveLength(3);
  });
});

describe("a lake that cannot be", () => {
  it.each([
    ["no match", () => path.join(root, "none/*.parquet"), {}, /no file matches .*none/],
    ["a folder", () => root, {}, /is a folder; name its files, for example .*\*\*\/\*\.parquet/],
    ["a device", () => "/dev/null", {}, /is not a regular file/],
    [
      "a file of another kind",
      () => path.join(root, "notes.txt"),
      {},
      /notes\.txt is no data file: its name ends in none of \.parquet/,
    ],
    ["a missing CSV file", () => path.join(root, "none.csv"), {}, /there is no file .*none\.csv/],
    ["a missing file", () => path.join(root, "none.parquet"), {}, /there is no file .*none\.parquet/],
    [
      "a missing column",
      () => prices(),
      { columns: ["open"] },
      /AAA\.parquet has no column "open"; it has date, symbol, close/,
    ],
  ])("%s", async (_, source, options, message) => {
    await expect(openLake(source(), options).then((lake) => lake.table())).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringMatching(message),
    });
  });

  it("files of different columns, or one that is broken: named", async () => {
    const odd = path.join(root, "odd.parquet");
    await writeParquet(
      odd,
      new Table({
        date: vectorFromArray([1, 2]),
        symbol: vectorFromArray(["a", "b"]),
        close: vectorFromArray(Float64Array.of(1, 2)),
      }),
    );
    await expect(openLake([prices(), pathToFileURL(odd)])).rejects.toMatchObject({
      code: "INVALID_DATA",
      message: expect.stringMatching(/AAA\.parquet has column "date" as Date32<DAY>, .*odd\.parquet as Float64/),
    });
    for (const [name, text, fault] of [
      ["broken.csv", "a,b\n1\n", /broken\.csv: line 2/],
      ["broken.arrow", "no stream at all", /broken\.arrow: byte 0 is not the start/],
      ["broken.feather", "ARROW1 and nothing else", /broken\.feather: .*cut off/],
      ["broken.json", "[{]", /broken\.json: /],
    ] as const) {
      await writeFile(path.join(root, name), text);
      const lake = await openLake(path.join(root, name));
      await expect(lake.table()).rejects.toMatchObject({
        code: "INVALID_DATA",
        message: expect.stringMatching(fault),
        details: { file: lake.partitions[0]?.file },
      });
    }
    const broken = path.join(root, "broken.parquet");
    await writeFile(broken, "PAR1 and nothing else");
    await expect(openLake(broken)).rejects.toMatchObject({
      code: "INVALID_DATA",
      message: expect.stringMatching(/broken\.parquet: .*truncated/),
    });
  });
});
