import { tableFromIPC } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { decode } from "./decode.js";

const json = (value: unknown) => decode(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)), { format: "json" });

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

  it.each([
    ["{", /not JSON/],
    ['{"a":1}', /array of rows/],
    ["[]", /no columns/],
    ["[1]", /rows\.0 is not an object/],
    ['[{"a":1},{"a":{"b":2}}]', /rows\.1\.a is nested/],
    ['[{"a":1},{"a":"x"}]', /rows\.1\.a is a string, but rows before have a number/],
    ["[".repeat(100_000), /not JSON/],
  ])("refused: %.30s", (text, message) => {
    expect(() => json(text)).toThrow(message);
  });
});
