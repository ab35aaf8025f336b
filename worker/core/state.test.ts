import { expect, test } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { addRange, gaps } from "./state.js";

test("ranges: adding in any order gives the same set, and the gaps are the complement", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([...Array(40).keys()]), (tasks) => {
      const ranges: [number, number][] = [];
      for (const t of tasks) expect(addRange(ranges, t, t + 1)).toBe(true);
      for (const t of tasks) expect(addRange(ranges, t, t + 1)).toBe(false);
      const missing = gaps(ranges, 0, 40).flatMap(([a, b]) => Array.from({ length: b - a }, (_, i) => a + i));
      expect(missing).toEqual([...Array(40).keys()].filter((t) => !tasks.includes(t)));
      for (let i = 1; i < ranges.length; i++)
        expect((ranges[i] as [number, number])[0]).toBeGreaterThan((ranges[i - 1] as [number, number])[1]);
    }),
  );
});
