import { execFileSync } from "node:child_process";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  Table as ArrowTable,
  Binary,
  DataType,
  DateDay,
  Decimal,
  FixedSizeBinary,
  Float64,
  Int8,
  Int16,
  Int64,
  type Table,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  tableFromArrays,
  Uint16,
  Uint32,
  Uint64,
  type Vector,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { patienceMs } from "../../proto/testing/patience.js";
import { sampleTable } from "../ingest/testing/mutants.js";
import { describeParquet, encodeParquet, readParquet, writeParquet } from "./index.js";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../../data/lake/fixtures/${name}`, import.meta.url));

/** Values as in fixtures/values.json. */
function plain(vector: Vector): unknown[] {
  const { type } = vector;
  const raw = DataType.isTimestamp(type);
  const out: unknown[] = [];
  for (const data of vector.data) {
    const part = vector.data.length === 1 ? vector : undefined;
    for (let i = 0; i < data.length; i++) {
      const value: unknown = raw ? (data.getValid(i) ? String((data.values as BigInt64Array)[i]) : null) : part?.get(i);
      if (value === null) out.push(null);
      else if (typeof value === "bigint") out.push(String(value));
      else if (value instanceof Uint8Array) out.push(Buffer.from(value).toString("hex"));
      else if (DataType.isDate(type)) out.push(new Date(value as number).toISOString().slice(0, 10));
      else out.push(value);
    }
  }
  return out;
}

interface Values {
  readonly flights: {
    rows: number;
    delaySum: string;
    distanceSum: string;
    dateSum: string;
    origins: Record<string, number>;
  };
  readonly columns: Record<string, unknown[]>;
}
const values = JSON.parse(await readFile(fixture("values.json"), "utf8")) as Values;

describe("files of other writers", () => {
  it.each(["pyarrow-snappy", "pyarrow-v2-zstd", "pyarrow-gzip-delta", "polars"])("%s reads equal", async (name) => {
    const { table, rows } = await readParquet(fixture(`${name}.parquet`));
    expect(rows).toBe(300);
    expect(table.schema.fields.length).toBeGreaterThanOrEqual(4);
    for (const { name: column } of table.schema.fields) {
      const wanted = values.columns[column];
      const found = plain(table.getChild(column) as Vector);
      expect(found, column).toEqual(
        column === "price" ? wanted?.map((value) => (value === null ? null : Number(value))) : wanted,
      );
    }
  });

  it("reads the 3,000,000 flights as pyarrow does", async () => {
    const file = fileURLToPath(new URL("../data/flights-3m.parquet", import.meta.resolve("vega-datasets")));
    const { flights } = values;
    const sum = (vector: Vector): string => {
      let total = 0n;
      for (const data of vector.data) for (const value of data.values as BigInt64Array) total += value;
      return String(total);
    };
    const { table, rows } = await readParquet(file, { columns: ["date", "delay", "distance"], timeoutMs: patienceMs });
    expect(rows).toBe(flights.rows);
    expect(sum(table.getChild("date") as Vector)).toBe(flights.dateSum);
    expect(sum(table.getChild("delay") as Vector)).toBe(flights.delaySum);
    expect(sum(table.getChild("distance") as Vector)).toBe(flights.distanceSum);
    const [origin, count] = Object.entries(flights.origins)[3] as [string, number];
    const some = await readParquet(file, {
      columns: ["delay"],
      where: [["origin", "=", origin]],
      timeoutMs: patienceMs,
    });
    expect(some.rows).toBe(count);
  });

  it("names a nested column and how to leave it out", async () => {
    await expect(readParquet(fixture("nested.parquet"))).rejects.toMatchObject({
      code: "INVALID_DATA",
      message: expect.stringMatching(/nested\.parquet: column "list" is nested.*columns/),
    });
    await expect(readParquet(fixture("nested.parquet"), { columns: ["id"] })).resolves.toMatchObject({ rows: 2 });
  });
});

/** Every type that can be written, some with nulls, in several batches. */
function everyType(): Table {
  const base = sampleTable(60, 3);
  const n = base.numRows;
  const index = Array.from({ length: n }, (_, i) => i);
  const hole = <T>(value: (i: number) => T): (T | null)[] => index.map((i) => (i % 5 === 2 ? null : value(i)));
  const more = {
    i8: vectorFromArray(
      hole((i) => (i % 250) - 125),
      new Int8(),
    ),
    i16: vectorFromArray(
      index.map((i) => i * 100 - 9_000),
      new Int16(),
    ),
    u16: vectorFromArray(
      hole((i) => i * 300),
      new Uint16(),
    ),
    u32: vectorFromArray(
      index.map((i) => i * 23_000_000),
      new Uint32(),
    ),
    u64: vectorFromArray(
      hole((i) => BigInt(i) * 2n ** 56n),
      new Uint64(),
    ),
    i64: vectorFromArray(
      hole((i) => BigInt(i) * -(2n ** 55n)),
      new Int64(),
    ),
    f64: vectorFromArray(
      index.map((i) => (i === 7 ? Number.NaN : i === 8 ? -0 : i / 3)),
      new Float64(),
    ),
    days: vectorFromArray(
      index.map((i) => new Date((i - 90) * 86_400_000)),
      new DateDay(),
    ),
    ms: vectorFromArray(
      hole((i) => i * 1_000),
      new TimestampMillisecond(),
    ),
    us: vectorFromArray(
      index.map((i) => i),
      new TimestampMicrosecond("UTC"),
    ),
    ns: vectorFromArray(
      hole((i) => i),
      new TimestampNanosecond(),
    ),
    bytes: vectorFromArray(
      hole((i) => Uint8Array.of(i, 255)),
      new Binary(),
    ),
    key: vectorFromArray(
      index.map((i) => Uint8Array.of(i, 1, 2, 3)),
      new FixedSizeBinary(4),
    ),
  };
  const columns: Record<string, Vector> = {};
  for (const { name } of base.schema.fields) columns[name] = base.getChild(name) as Vector;
  return new ArrowTable({ ...columns, ...more });
}

const listed = (table: Table): Record<string, unknown> =>
  Object.fromEntries(
    table.schema.fields.map(({ name, type }) => [
      name,
      { type: String(type), values: [...(table.getChild(name) as Vector)] },
    ]),
  );

describe("ours", () => {
  it.each([
    [1_000, "snappy"],
    [37, "snappy"],
    [50, "uncompressed"],
  ] as const)("is read as it was written: every type, row groups of %i, %s", async (rowGroupRows, codec) => {
    const table = everyType();
    const bytes = encodeParquet(table, { rowGroupRows, codec });
    expect(encodeParquet(table, { rowGroupRows, codec })).toEqual(bytes);
    const back = await readParquet(bytes);
    expect(listed(back.table)).toEqual(listed(table));
    expect((await describeParquet(bytes)).rowGroups).toHaveLength(Math.ceil(180 / rowGroupRows));
  });

  it("keeps an empty table's columns", async () => {
    const empty = tableFromArrays({ a: new Float64Array(0), b: new Int32Array(0) });
    const { table, rows } = await readParquet(encodeParquet(empty));
    expect(rows).toBe(0);
    expect(encodeParquet(new ArrowTable(empty.schema))).toEqual(encodeParquet(empty));
    expect(table.schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual(["a Float64", "b Int32"]);
  });

  it("makes seconds milliseconds, and refuses what Parquet does not have here", async () => {
    const seconds = new ArrowTable({ at: vectorFromArray([1_000, 2_000], new TimestampSecond()) });
    expect((await readParquet(encodeParquet(seconds))).columns[0]?.type).toBe("Timestamp<MILLISECOND>");
    const decimals = new ArrowTable({ exact: vectorFromArray([Uint32Array.of(1, 0, 0, 0)], new Decimal(2, 10)) });
    expect(() => encodeParquet(decimals)).toThrow(/column "exact" is Decimal/);
  });

  const python = process.env.VOLLEY_PEERS_PYTHON;
  it.skipIf(!python)(
    "is read equal by pyarrow (skipped without VOLLEY_PEERS_PYTHON, a Python with pyarrow)",
    async () => {
      const file = path.join(await mkdtemp(path.join(tmpdir(), "volley-lake-")), "ours.parquet");
      const { table } = await readParquet(fixture("pyarrow-snappy.parquet"), {
        columns: Object.keys(values.columns).filter((name) => name !== "price"),
      });
      await writeParquet(file, table, { rowGroupRows: 70 });
      const script = `
import sys, pyarrow as pa, pyarrow.parquet as pq
ours, theirs = pq.read_table(sys.argv[1]), pq.read_table(sys.argv[2]).drop_columns(["price"])
for name in theirs.column_names:
    assert ours[name].to_pylist() == theirs[name].to_pylist(), name
    assert ours[name].type == theirs[name].type, (name, ours[name].type)
print(ours.num_rows)`;
      expect(
        execFileSync(python as string, ["-c", script, file, fixture("pyarrow-snappy.parquet")], {
          encoding: "utf8",
        }).trim(),
      ).toBe("300");
    },
  );
});

describe("predicates", () => {
  const n = 1_000;
  const table = new ArrowTable({
    id: vectorFromArray(
      Array.from({ length: n }, (_, i) => i),
      new Float64(),
    ),
    big: vectorFromArray(
      Array.from({ length: n }, (_, i) => BigInt(i) * 2n ** 40n),
      new Int64(),
    ),
    day: vectorFromArray(
      Array.from({ length: n }, (_, i) => new Date(i * 86_400_000)),
      new DateDay(),
    ),
    time: vectorFromArray(
      Array.from({ length: n }, (_, i) => i * 60_000),
      new TimestampMillisecond(),
    ),
    symbol: vectorFromArray(Array.from({ length: n }, (_, i) => `S${String(i).padStart(4, "0")}`)),
    gap: vectorFromArray(
      Array.from({ length: n }, (_, i) => (i < 100 ? null : i)),
      new Float64(),
    ),
    flag: vectorFromArray(Array.from({ length: n }, (_, i) => i >= 500)),
  });
  const bytes = encodeParquet(table, { rowGroupRows: 100 });

  it.each([
    [["id", "<", 250], 250, 3],
    [["id", "<=", 250], 251, 3],
    [["id", ">", 899], 100, 1],
    [["id", "=", 345], 1, 1],
    [["id", "!=", 345], 999, 10],
    [["id", "in", [5, 6, 995]], 3, 2],
    [["id", "in", []], 0, 0],
    [["big", ">=", 2 ** 40 * 900], 100, 1],
    [["day", ">=", "1972-01-01"], 270, 3],
    [["time", "<", new Date(60_000 * 100)], 100, 1],
    [["symbol", ">=", "S0950"], 50, 1],
    [["symbol", "=", "S0123"], 1, 1],
    [["gap", ">=", 0], 900, 9],
    [["gap", "!=", 100], 899, 9],
    [["flag", "=", false], 500, 5],
  ] as const)("%#: %s: rows, row groups read", async (...given) => {
    const [predicate, rows, groups] = given;
    const where = [predicate as never];
    const found = await describeParquet(bytes, { where });
    expect(found.rowGroups.filter((group) => group.mayMatch)).toHaveLength(groups);
    const read = await readParquet(bytes, { where, columns: ["symbol", "id"] });
    expect(read.rows).toBe(rows);
    expect(read.table.schema.fields.map(({ name }) => name)).toEqual(["symbol", "id"]);
  });

  it.each([
    [["id", "<", "x"], /column "id" is Float64: expected a number, got "x"/],
    [["id", "~", 1], /operator "~"; operators are = !=/],
    [["id", "=", [1]], /a list of values, which only in takes/],
    [["day", "<", "soon"], /expected a Date or ISO text.*got "soon"/],
    [["nope", "<", 1], /has no column "nope"; it has id, big/],
  ])("%j is refused", async (predicate, message) => {
    await expect(readParquet(bytes, { where: [predicate as never] })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringMatching(message),
    });
  });
});
