import { tableFromIPC } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { decode } from "./decode.js";

const json = (value: unknown) =>
  decode(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)), { format: "json" });

describe("JSON rows", () => {
  it("become a table; what a row leaves out is null", () => {
    const rows = [
      { s: "x", n: 1.5, b: true, d: "2020-01-02", code: "12" },
      { s: "y", n: null, b: false, d: "2020-01-03", code: "13" },
      { s: "z", n: -0.25, d: "2020-01-04", code: "14" },
    ];
    const result = json(rows);
    expect(result.columns.map((c) => [c.name, c.type, c.nulls])).toEqual([
      ["s", "Utf8", 0],
      ["n", "Float64", 1],
      ["b", "Bool", 1],
      ["d", "Date32<DAY>", 0],
      ["code", "Utf8", 0],
    ]);
    const table = tableFromIPC(result.data);
    expect([...(table.getChild("n") ?? [])]).toEqual([1.5, null, -0.25]);
    expect([...(table.getChild("b") ?? [])]).toEqual([true, false, null]);
    expect([...(table.getChild("code") ?? [])]).toEqual(["12", "13", "14"]);
  });

  it("come with any white space and escapes, and more of them than one block holds", () => {
    const rows = Array.from({ length: 10_000 }, (_, i) => ({ n: i, t: `text } ] "${i}" \\ ü` }));
    const result = json(`\uFEFF ${JSON.stringify(rows, null, 3)}\n`);
    expect(result.rows).toBe(10_000);
    const table = tableFromIPC(result.data);
    expect(table.getChild("t")?.get(9_999)).toBe(rows[9_999]?.t);
    expect(table.getChild("n")?.get(9_999)).toBe(9_999);
    expect(result.data).toEqual(json(rows).data);
  });

  it("are taken where a later row is the first to have a key, and where the type shows late", () => {
    const result = json([{ a: null }, ...Array(10).fill({ a: "2020-01-01" }), { a: "no date", b: 1 }]);
    expect(result.columns.map((c) => [c.name, c.type, c.nulls])).toEqual([
      ["a", "Dictionary<Int32, Utf8>", 1],
      ["b", "Float64", 11],
    ]);
  });

  it.each([
    ["", /they end where an array of rows is expected/],
    ["{", /not one object/],
    ['{"a":1}', /not one object/],
    ["[]", /no columns/],
    ["[{}]", /no columns/],
    ["[1]", /rows\.0 is not an object/],
    ['[{"a":1},]', /rows\.1 is not an object/],
    ['[{"a":1}', /end where a comma/],
    ['[{"a":1}] x', /"x" at byte 10, where nothing more/],
    ['[{"a":1},{"a":tru}]', /row 1 is not JSON/],
    ['[{"a":1},{"a":{"b":2}}]', /rows\.1 is nested/],
    ['[{"a":1},{"a":"x"}]', /rows\.1\.a is a string, but rows before have a number/],
    ["[".repeat(100_000), /rows\.0 is not an object/],
    [`[{"a":${"[".repeat(100_000)}`, /rows\.0 is nested/],
  ])("refused: %.30s", (text, message) => {
    expect(() => json(text)).toThrow(message);
    expect(() => json(text)).toThrow(expect.objectContaining({ code: "INVALID_DATA" }));
  });

  it("cannot be blown up by short rows and many keys", () => {
    const keys = Array.from({ length: 4_000 }, (_, i) => `{"k${i}":1}`).join(",");
    expect(() => json(`[${keys}${",{}".repeat(60_000)}]`)).toThrow(/at most 200000000 values are taken/);
    expect(() => json(`[${Array.from({ length: 5_000 }, (_, i) => `{"k${i}":1}`).join(",")}]`)).toThrow(
      /more than 4096 different keys/,
    );
  });
});
