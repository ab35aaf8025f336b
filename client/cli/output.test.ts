import { describe, expect, test } from "vitest";
import { formatBytes, formatDuration, formatTable, jsonSafe } from "./output.js";

describe("what a person reads", () => {
  test("bytes and durations carry their unit", () => {
    expect([0, 1023, 1024, 1536, 5 * 1024 ** 3].map(formatBytes)).toEqual([
      "0 B",
      "1023 B",
      "1.0 KiB",
      "1.5 KiB",
      "5.0 GiB",
    ]);
    expect([12, 1_500, 61_000, 3_725_000].map(formatDuration)).toEqual(["12 ms", "1.5 s", "1m01s", "1h02m"]);
  });

  test("columns line up, numbers to the right", () => {
    expect(
      formatTable(
        ["name", "n"],
        [
          ["a", 1],
          ["long", 100],
        ],
      ),
    ).toBe("name    n\na       1\nlong  100");
  });

  test("JSON keeps whole numbers exact", () => {
    expect(JSON.stringify({ small: 5n, large: 2n ** 60n, bytes: new Uint8Array([1, 2]) }, jsonSafe)).toBe(
      '{"small":5,"large":"1152921504606846976","bytes":"AQI="}',
    );
  });
});
