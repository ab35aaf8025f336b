import {
  Bool,
  Field,
  Float64,
  Int32,
  List,
  Table,
  TimestampMicrosecond,
  tableFromArrays,
  tableFromIPC,
  vectorFromArray,
} from "apache-arrow";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeParquet, readParquet } from "../../data/lake/index.js";
import { TestGateway } from "./testing/test-gateway.js";

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await TestGateway.open();
});
afterEach(() => gateway.close());
const ask: TestGateway["ask"] = (...args) => gateway.ask(...args);

describe("results", () => {
  const tables = (): Table[] => [
    new Table({
      t: vectorFromArray([0, 1_500], new TimestampMicrosecond("UTC")),
      x: vectorFromArray([1.5, null], new Float64()),
      s: tableFromArrays({ s: ["a", "b"] }).getChild("s") as never,
    }),
    new Table({
      t: vectorFromArray([2], new TimestampMicrosecond("UTC")),
      x: vectorFromArray([Number.NaN], new Float64()),
      s: tableFromArrays({ s: ['q"uoted, text'] }).getChild("s") as never,
    }),
  ];
  const finished = async (results: unknown[]): Promise<string> => {
    const id = await gateway.submit();
    gateway.cluster.fake(id).succeed(results);
    return `/v1/jobs/${id}/result`;
  };
  const as = (accept: string) => ({ headers: { accept } });

  it("are one Arrow stream of all tables", async () => {
    const answer = await ask("GET", await finished(tables()), as("application/vnd.apache.arrow.stream"));
    expect([answer.status, answer.headers["content-type"], answer.headers["x-volley-digest"]]).toEqual([
      200,
      "application/vnd.apache.arrow.stream",
      "d".repeat(64),
    ]);
    const table = tableFromIPC(answer.bytes);
    expect(table.toArray().map((row) => [row.x, row.s])).toEqual([
      [1.5, "a"],
      [null, "b"],
      [Number.NaN, 'q"uoted, text'],
    ]);
  });

  it("are rows in JSON, with times as ISO text and NaN as null", async () => {
    const answer = await ask("GET", await finished(tables()));
    expect(answer.json()).toEqual({
      ...{ job: "job-1", stage: "two", digest: "d".repeat(64), kind: "rows" },
      rows: [
        { t: "1970-01-01T00:00:00.000000Z", x: 1.5, s: "a" },
        { t: "1970-01-01T00:00:01.500000Z", x: null, s: "b" },
        { t: "1970-01-01T00:00:00.002000Z", x: null, s: 'q"uoted, text' },
      ],
    });
  });

  it("are CSV with one header", async () => {
    const answer = await ask("GET", await finished(tables()), as("text/csv"));
    expect(answer.text).toBe(
      't,x,s\r\n1970-01-01T00:00:00.000000Z,1.5,a\r\n1970-01-01T00:00:01.500000Z,,b\r\n1970-01-01T00:00:00.002000Z,,"q""uoted, text"\r\n',
    );
  });

  it("are one Parquet file of all tables, whose columns keep their types", async () => {
    const answer = await ask("GET", await finished(tables()), as("application/vnd.apache.parquet"));
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "application/vnd.apache.parquet"]);
    const { table } = await readParquet(answer.bytes);
    expect(table.schema.fields.map(String)).toEqual([
      "t: Timestamp<MICROSECOND, UTC>",
      "x: Float64",
      "s: Dictionary<Int32, Utf8>",
    ]);
    expect(table.toArray().map((row) => [row?.t, row?.x, row?.s])).toEqual([
      [0, 1.5, "a"],
      [1_500, null, "b"],
      [2, Number.NaN, 'q"uoted, text'],
    ]);
  });

  it("of many small tables and of a large one are Parquet of few row groups", async () => {
    const numbers = (from: number, to: number): Table =>
      new Table({
        n: vectorFromArray(Float64Array.from({ length: to - from }, (_, i) => from + i)),
        odd: vectorFromArray(
          Array.from({ length: to - from }, (_, i) => (from + i) % 2 === 1),
          new Bool(),
        ),
      });
    const parts = [
      ...Array.from({ length: 300 }, (_, i) => numbers(i * 100, (i + 1) * 100)),
      numbers(30_000, 200_000),
      numbers(200_000, 200_000),
    ];
    const { bytes } = await ask("GET", await finished(parts), as("application/vnd.apache.parquet"));
    expect((await describeParquet(bytes)).rowGroups.map(({ rows }) => rows)).toEqual([
      65_536,
      65_536,
      65_536,
      200_000 - 3 * 65_536,
    ]);
    const { table } = await readParquet(bytes, { where: [["n", ">=", 131_071]] });
    expect([...(table.getChild("n") ?? [])]).toEqual(Array.from({ length: 200_000 - 131_071 }, (_, i) => 131_071 + i));
    expect([...(table.getChild("odd") ?? [])].every((odd, i) => odd === (i % 2 === 0))).toBe(true);
    const whole = await ask(
      "GET",
      await finished([numbers(0, 65_536), numbers(65_536, 131_072)]),
      as("application/vnd.apache.parquet"),
    );
    expect((await describeParquet(whole.bytes)).rowGroups.map(({ rows }) => rows)).toEqual([65_536, 65_536]);
  });

  it("that Parquet has no form for are refused before the first byte", async () => {
    const parquet = as("application/vnd.apache.parquet");
    const list = vectorFromArray([[1, 2], [3]], new List(new Field("item", new Float64(), true)));
    const answer = await ask("GET", await finished([new Table({ l: list })]), parquet);
    expect([answer.status, answer.json().error.message]).toEqual([
      406,
      expect.stringMatching(/column "l" is List<Float64>, which cannot be written as Parquet/),
    ]);
    expect((await ask("GET", await finished([1]), parquet)).json().error.message).toMatch(/result 0 is not a table/);
    expect((await ask("GET", await finished([]), parquet)).json().error.message).toMatch(
      /no results to give as Parquet/,
    );
    const empty = await ask("GET", await finished([new Table({ a: vectorFromArray([], new Int32()) })]), parquet);
    expect((await readParquet(empty.bytes)).table.schema.fields.map(String)).toEqual(["a: Int32"]);
  });

  it("that are no tables are values in JSON, rows in CSV if flat, and never Arrow", async () => {
    const url = await finished([
      { a: 1, b: "x" },
      { a: 2, b: "" },
    ]);
    expect((await ask("GET", url)).json()).toMatchObject({
      kind: "values",
      values: [
        { a: 1, b: "x" },
        { a: 2, b: "" },
      ],
    });
    expect((await ask("GET", url, as("text/csv"))).text).toBe('a,b\r\n1,x\r\n2,""\r\n');
    const refused = await ask("GET", url, as("application/vnd.apache.arrow.stream"));
    expect([refused.status, refused.json().error.code, refused.json().error.message]).toEqual([
      406,
      "NOT_ACCEPTABLE",
      expect.stringContaining("result 0 is not a table"),
    ]);
    expect((await ask("GET", await finished([{ a: { b: 1 } }]), as("text/csv"))).json().error.message).toMatch(
      /result 0 is nested/,
    );
    expect(
      (await ask("GET", await finished([1, 2n ** 60n, new Map([["k", new Float64Array([1, Infinity])]])]))).json()
        .values,
    ).toEqual([1, "1152921504606846976", { k: [1, null] }]);
  });

  it("of different columns are refused as one stream with the reason", async () => {
    const url = await finished([
      new Table({ a: vectorFromArray([1], new Int32()) }),
      new Table({ a: vectorFromArray([1], new Float64()) }),
    ]);
    for (const accept of ["application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"]) {
      const answer = await ask("GET", url, as(accept));
      expect([answer.status, answer.json().error.message]).toEqual([
        406,
        expect.stringContaining("a: Int32 and, at result 1, a: Float64"),
      ]);
    }
    expect((await ask("GET", url)).json().rows).toEqual([{ a: 1 }, { a: 1 }]);
  });

  it("come in the form that Accept prefers", async () => {
    const url = await finished(tables());
    const typeFor = async (accept: string): Promise<unknown> =>
      (await ask("GET", url, as(accept))).headers["content-type"];
    expect(await typeFor("text/csv;q=0.5, application/vnd.apache.arrow.stream")).toMatch(/arrow/);
    expect(await typeFor("text/*")).toMatch(/csv/);
    expect(await typeFor("*/*")).toMatch(/json/);
    expect(await typeFor("application/json;q=0, */*;q=0.1")).not.toMatch(/json/);
    expect((await ask("GET", url, as("image/png"))).status).toBe(406);
  });

  it("are not sent again to who has them", async () => {
    const url = await finished(tables());
    const { headers } = await ask("GET", url);
    const again = await ask("GET", url, { headers: { "if-none-match": headers.etag as string } });
    expect([again.status, again.text]).toEqual([304, ""]);
    expect(
      (await ask("GET", url, { headers: { "if-none-match": headers.etag as string, accept: "text/csv" } })).status,
    ).toBe(200);
  });

  it("are given for a stage by name, if it is an output", async () => {
    const url = await finished([1]);
    expect((await ask("GET", `${url}?stage=two`)).json()).toMatchObject({ stage: "two", values: [1] });
    expect((await ask("GET", `${url}?stage=one`)).json().error).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "querystring.stage",
    });
  });
});
