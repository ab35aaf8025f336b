import { expect, test } from "vitest";
import { cores, memoryBytes, slotHeapBytes } from "./host.js";

const GiB = 2 ** 30;

test("memory is the container's where it has a limit, the machine's otherwise", () => {
  expect(memoryBytes(GiB / 2, 64 * GiB)).toBe(GiB / 2);
  // What "no limit" looks like, by version of Node and cgroup.
  for (const none of [0, 2 ** 64, 2 ** 63 - 4_096, 65 * GiB]) expect(memoryBytes(none, 64 * GiB)).toBe(64 * GiB);
});

test("cores are those the quota pays for, at least one", () => {
  expect(cores(16, "200000 100000\n")).toBe(2);
  expect(cores(16, "250000 100000")).toBe(3);
  expect(cores(16, "10000 100000")).toBe(1);
  expect(cores(2, "800000 100000")).toBe(2);
  for (const none of ["max 100000\n", "", "rubbish"]) expect(cores(16, none)).toBe(16);
});

test("the heaps of all slots together fit beside the store", () => {
  expect(slotHeapBytes(64 * GiB, 8)).toBe(GiB);
  expect(slotHeapBytes(2 * GiB, 4)).toBe(GiB / 4);
  for (const memory of [GiB / 2, GiB, 4 * GiB])
    for (const slots of [1, 2, 4])
      expect(slots * slotHeapBytes(memory, slots) + memory / 4).toBeLessThanOrEqual(memory);
});
