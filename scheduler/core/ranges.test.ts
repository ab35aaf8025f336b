import { expect, test } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { RangeSet } from "./ranges.js";

test("a range set agrees with a set of numbers, and its ranges are sorted, disjoint and not adjacent", () => {
  const range = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 12 }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 40 }), (ops) => {
      const ranges = new RangeSet();
      const oracle = new Set<number>();
      for (const [add, from, length] of ops) {
        if (add) ranges.add(from, from + length);
        else ranges.delete(from, from + length);
        for (let i = from; i < from + length; i++) {
          if (add) oracle.add(i);
          else oracle.delete(i);
        }
        expect(ranges.size).toBe(oracle.size);
      }
      const listed = [...ranges];
      expect(listed.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i))).toEqual(
        [...oracle].sort((a, b) => a - b),
      );
      for (let i = 1; i < listed.length; i++) expect(listed[i]?.from).toBeGreaterThan(listed[i - 1]?.to as number);
      for (let i = 0; i < 55; i++) expect(ranges.has(i)).toBe(oracle.has(i));
    }),
    { numRuns: 500 },
  );
});
