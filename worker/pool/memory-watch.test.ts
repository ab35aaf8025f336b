import { expect, test } from "vitest";
import { explainedBytes, type MemoryProbe, starvation } from "./memory-watch.js";

const GiB = 2 ** 30;
const explained = explainedBytes(2, GiB, GiB);
const probe = (availableBytes: number, ownBytes: number): MemoryProbe => ({
  availableBytes: () => availableBytes,
  ownBytes: () => ownBytes,
});

test("a worker with much memory on a machine that has plenty ends nothing", () => {
  expect(starvation(probe(2 * GiB, 20 * GiB), explained, 1)).toBeUndefined();
});

test("nor does one that has no more than its share while others take the machine's memory", () => {
  expect(starvation(probe(0, 3 * GiB), explained, 1)).toBeUndefined();
});

test("nor one that executes nothing", () => {
  expect(starvation(probe(0, 20 * GiB), explained, 0)).toBeUndefined();
});

test("a single task is the cause, which is final; one of several is tried elsewhere", () => {
  expect(starvation(probe(GiB / 4, 20 * GiB), explained, 1)).toMatchObject({
    code: "TASK_OUT_OF_MEMORY",
    message: expect.stringContaining("20480 MiB, and 256 MiB are left"),
  });
  expect(starvation(probe(GiB / 4, 20 * GiB), explained, 2)).toMatchObject({ code: "OUT_OF_MEMORY" });
});
