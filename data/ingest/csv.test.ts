import { readFileSync } from "node:fs";
import path from "node:path";
import { tableFromIPC } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { decode } from "./decode.js";
import { loadCsv } from "./index.js";
import type { IngestOptions } from "./ingested.js";

const csv = (text: string, options: Omit<IngestOptions, "format"> = {}) =>
  decode(Buffer.from(text), { ...options, format: "csv" });
const typesOf = (text: string, options?: Omit<IngestOptions, "format">): string[] =>
  csv(text, options).columns.map((column) => column.type);
const columnOf = (text: string, options?: Omit<IngestOptions, "format">): unknown[] => [
  ...(tableFromIPC(csv(text, options).data).getChildAt(0) ?? []),
];

describe("the S&P 500 file of vega-datasets", () => {
  const file = path.join(process.cwd(), "node_modules/vega-datasets/data/sp500-2000.csv");

  it("has every value of the file, read by splitting its lines", async () => {
    const { table, rows, columns } = await loadCsv(file);
    const lines = readFileSync(file, "utf8").trim().split("\n");
    const names = (lines[0] as string).split(",");
    expect(columns.map((column) => column.name)).toEqual(names);
    expect(columns.map((column) => column.type)).toEqual(["Date32<DAY>", ...Array(6).fill("Float64")]);
    expect(rows).toBe(lines.length - 1);
    names.forEach((name, i) => {
      const expected = lines
        .slice(1)
        .map((line) => (i === 0 ? Date.parse(line.split(",")[0] as string) / 86_400_000 : Number(line.split(",")[i])));
      expect(Array.from((table.getChild(name)?.data[0]?.values ?? []) as Iterable<number>).slice(0, rows)).toEqual(
        expected,
      );
    });
  });

  it("has the same bytes each time", async () => {
    const [a, b] = await Promise.all([loadCsv(file), loadCsv(readFileSync(file))]);
    expect(a.data).toEqual(b.data);
  });
});

describe("types of columns", () => {
  it.each([
    ["1\n2.5\n-3e4\n.5", "Float64"],
    ["1\n2\n3", "Float64"],
    ["NaN\ninf\n-Infinity\n1", "Float64"],
    ["1\n9007199254740993", "Int64"],
    ["9007199254740993\n0.5", "Float64"],
    ["007\n12", "Utf8"],
    ["true\nFalse", "Bool"],
    ["2020-02-29\n1969-12-31", "Date32<DAY>"],
    ["2021-02-29\n2020-01-01", "Utf8"],
    ["2020-01-01T10:00:00Z\n2020-01-01 10:00:00.123456+02:00", "Timestamp<MICROSECOND, UTC>"],
    ["2020-01-01T10:00\n2020-01-01T10:00:01.5", "Timestamp<MICROSECOND>"],
    ["2020-01-01T10:00:00.123456789Z\n2020-01-01T10:00:00Z", "Timestamp<NANOSECOND, UTC>"],
    ["2020-01-01T10:00:00Z\n2020-01-01T10:00:00", "Utf8"],
    ["a\nb\na\nb", "Dictionary<Int32, Utf8>"],
    ["a\nb\nc", "Utf8"],
    ["1\nx\n2", "Utf8"],
  ])("of %j is %s", (values, type) => {
    expect(typesOf(`v\n${values}\n`)).toEqual([type]);
  });

  it("may be forced, and then a value that does not fit is named by line and column", () => {
    expect(typesOf("v,w\n1,2\n", { types: { v: "int32", w: "string" } })).toEqual(["Int32", "Utf8"]);
    expect(() => csv("v\n1\n2.5\n", { types: { v: "int32" } })).toThrow(
      'line 3, column "v": "2.5" is not a whole number of 32 bits',
    );
    expect(() => csv("v\n1\n", { types: { x: "int32" } })).toThrow(/column "x", but the CSV has only v/);
  });

  it("do not follow from names that JavaScript objects know", () => {
    expect(csv("constructor,__proto__\n1,2\n").columns.map((c) => [c.name, c.type])).toEqual([
      ["constructor", "Float64"],
      ["__proto__", "Float64"],
    ]);
  });
});

describe("values", () => {
  it("keep numbers exactly", () => {
    expect(columnOf("v\n0.1\n1e308\n5e-324\n-0\n")).toEqual([0.1, 1e308, 5e-324, -0]);
    expect(columnOf("v\n-9223372036854775808\n9223372036854775807\n")).toEqual([-(2n ** 63n), 2n ** 63n - 1n]);
  });
  it("give empty fields as null", () => {
    expect(columnOf("v,w\n1,\n,2\n3,3\n")).toEqual([1, null, 3]);
    expect(columnOf("v\n1\nNA\n", { nullValues: ["", "NA"] })).toEqual([1, null]);
    expect(columnOf("v,w\na,1\n,1\na,1\nb,1\n")).toEqual(["a", null, "a", "b"]);
    expect(typesOf("v,w\n,1\n,2\n")).toEqual(["Float64", "Float64"]);
  });
  it("keep quoted text, line ends and a byte order mark apart", () => {
    expect(columnOf('\uFEFFv,w\r\n"a, ""b""\nc",1\r\nd,2\r\n')).toEqual(['a, "b"\nc', "d"]);
    expect(columnOf("v;w\n1;2\n", { delimiter: ";" })).toEqual([1]);
  });
  it("move times with a zone to UTC", () => {
    const text = "t\n2020-01-01T00:00:00+02:00\n1960-01-01T00:00:00Z\n";
    const data = tableFromIPC(csv(text).data).getChildAt(0)?.toArray() as BigInt64Array;
    expect([...data]).toEqual([
      BigInt(Date.parse("2019-12-31T22:00:00Z")) * 1_000n,
      BigInt(Date.parse("1960-01-01T00:00:00Z")) * 1_000n,
    ]);
  });
  it("may be none", () => {
    expect(csv("a,b\n")).toMatchObject({ rows: 0, columns: [{ name: "a" }, { name: "b" }] });
  });
});

describe("a CSV of many blocks", () => {
  const rows = 30_000;
  const lines = (value: (i: number) => string): string =>
    `i,v\n${Array.from({ length: rows }, (_, i) => `${i},${value(i)}`).join("\n")}`;

  it.each([
    ["a number at the end of texts of digits", (i: number) => (i === rows - 1 ? "x" : `${i}`), "Utf8"],
    ["a whole number beyond 2^53 at the end", (i: number) => (i === rows - 1 ? "9007199254740993" : `${i}`), "Int64"],
    ["words that stop repeating", (i: number) => (i < 10_000 ? "same" : `word ${i}`), "Utf8"],
    ["words that begin to repeat", (i: number) => (i < 10_000 ? `word ${i}` : "same"), "Dictionary<Int32, Utf8>"],
    ["quoted line ends", (i: number) => `"a\nb ""${i}"""`, "Utf8"],
  ])("has one type for all values: %s", (_, value, type) => {
    const result = csv(lines(value));
    expect([result.rows, result.columns[1]?.type]).toEqual([rows, type]);
    const column = tableFromIPC(result.data).getChild("v");
    for (const i of [0, 9_999, 10_000, 20_001, rows - 1]) {
      const text = value(i);
      expect(String(column?.get(i))).toBe(text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text);
    }
  });

  it("names the line of a fault behind the first block, also after quoted line ends", () => {
    expect(() => csv(lines((i) => (i === 25_000 ? "1,2" : '"a\nb"')))).toThrow(
      "line 50002: 3 fields where the header has 2",
    );
    expect(() =>
      csv(
        lines((i) => (i === 25_000 ? "x" : "1")),
        { types: { v: "int32" } },
      ),
    ).toThrow('line 25002, column "v": "x" is not a whole number of 32 bits');
    expect(() => csv(lines((i) => (i === 25_000 ? 'x"y' : "1")))).toThrow(/^line 25002, field/);
  });
});

describe("a CSV that is refused", () => {
  it.each([
    ["", /header row/],
    ["a,b\n1,2\n3\n", /line 3/],
    ["a,b\n1,2,3\n", /line 2/],
    ["a,a\n1,2\n", /two columns are named "a"/],
    ["a,\n1,2\n", /column 2 has no name/],
    ['a\n"open\n', /line \d.*[Qq]uote/],
    ['a\nx"y\n', /line 2/],
  ])("%j", (text, message) => {
    expect(() => csv(text)).toThrow(message);
    expect(() => csv(text)).toThrow(expect.objectContaining({ code: "INVALID_DATA" }));
  });
  it("bytes that are not UTF-8, and more rows than allowed", () => {
    expect(() => decode(Uint8Array.of(0x61, 0x0a, 0xe4, 0x0a), { format: "csv" })).toThrow(/not UTF-8/);
    expect(() => csv("a\n1\n2\n3\n", { rowsMax: 2 })).toThrow(/more than 2 rows/);
  });
});
