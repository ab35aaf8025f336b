import { expect, test } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { Allocator, alignedBytes, alignment } from "./allocator.js";

test("against a model: blocks are aligned, never overlap, bytes are exact, and everything comes back", () => {
  const action = fc.oneof(
    fc.record({ do: fc.constant("allocate" as const), bytes: fc.oneof(fc.nat(200), fc.nat(20_000)) }),
    fc.record({ do: fc.constant("cut" as const), which: fc.nat(1000), bytes: fc.nat(20_000) }),
    fc.record({ do: fc.constant("free" as const), which: fc.nat(1000) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const limit = 100_000;
      const allocator = new Allocator(64, limit);
      const model = new Map<number, number>();
      for (const step of actions) {
        if (step.do === "allocate") {
          const at = allocator.allocate(step.bytes);
          if (at === undefined) {
            // Only when no gap of the model is long enough, at the end or between blocks.
            expect(longestGap(model, 64, limit)).toBeLessThan(alignedBytes(step.bytes));
            continue;
          }
          expect(at % alignment).toBe(0);
          expect(at).toBeGreaterThanOrEqual(64);
          expect(at + step.bytes).toBeLessThanOrEqual(limit);
          for (const [start, size] of model)
            expect(at >= start + size || at + alignedBytes(step.bytes) <= start).toBe(true);
          model.set(at, alignedBytes(step.bytes));
        } else if (step.do === "cut") {
          const [start, size] = [...model][step.which % Math.max(1, model.size)] ?? [];
          if (start === undefined || size === undefined || alignedBytes(step.bytes) > size) continue;
          const first = alignedBytes(step.bytes);
          expect(allocator.cut(start, step.bytes)).toBe(first === size ? undefined : start + first);
          model.set(start, first);
          if (first < size) model.set(start + first, size - first);
        } else {
          const start = [...model.keys()][step.which % Math.max(1, model.size)];
          if (start === undefined) continue;
          allocator.free(start);
          model.delete(start);
        }
        expect(allocator.usedBytes).toBe([...model.values()].reduce((sum, size) => sum + size, 0));
        allocator.check();
      }
      for (const start of model.keys()) allocator.free(start);
      expect(allocator.usedBytes).toBe(0);
      expect(allocator.blocks).toBe(0);
      // Coalesced to the last byte: the whole space is one block again.
      expect(allocator.allocate(limit - 64 - 63)).toBe(64);
    }),
    { numRuns: 300 },
  );
});

function longestGap(model: ReadonlyMap<number, number>, base: number, limit: number): number {
  let at = base;
  let longest = 0;
  for (const [start, size] of [...model].sort((a, b) => a[0] - b[0])) {
    longest = Math.max(longest, start - at);
    at = start + size;
  }
  return Math.max(longest, limit - at);
}

test("cutting off more than a block has is a bug", () => {
  const allocator = new Allocator(64, 10_000);
  const start = allocator.allocate(128) as number;
  expect(() => allocator.cut(start, 129)).toThrow(/no block of 192 bytes or more starts at 64/);
  expect(() => allocator.cut(4096, 1)).toThrow(/starts at 4096/);
});

test("freeing what was not given out is a bug", () => {
  expect(() => new Allocator(64, 1000).free(64)).toThrow(/no block starts at 64/);
});
