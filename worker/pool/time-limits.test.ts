/** Time limits know one clock, which nobody can set. */
import { expect, test, vi } from "vitest";
import { PoolRig } from "./testing/pool-rig.js";

test.each([
  ["back", -2_000],
  ["forward", 3_600_000],
])("a wall clock that is set %s while tasks run ends none of them", async (_way, stepMs) => {
  const rig = new PoolRig();
  const url = rig.module("export const nap = () => new Promise((r) => setTimeout(() => r(1), 400));");
  const real = Date.now;
  const clock = vi.spyOn(Date, "now").mockImplementation(() => real() + stepMs);
  try {
    // Longer than the limit together, so that the limit is looked at while a later one runs.
    const { values, errors } = await rig.run(url, "nap", 12, [], { timeoutMs: 4_000 });
    expect([...errors.values()]).toEqual([]);
    expect(values).toEqual(Array.from({ length: 12 }, () => 1));
  } finally {
    clock.mockRestore();
    await rig.close();
  }
});

test("the time of a task that was ended is a whole number of microseconds, as messages have it", async () => {
  const rig = new PoolRig();
  const url = rig.module("export const hangs = () => new Promise(() => {});");
  try {
    // Loading the module counts for no task, and has the same limit: it takes a busy machine tens of milliseconds.
    const { errors, slotTimesUs } = await rig.run(url, "hangs", 1, [], { timeoutMs: 900 });
    expect(errors.get(0)?.code).toBe("TASK_TIMEOUT");
    expect(slotTimesUs).toEqual([expect.any(Number)]);
    expect(Number.isSafeInteger(slotTimesUs[0])).toBe(true);
    expect(slotTimesUs[0]).toBeGreaterThanOrEqual(899_000);
  } finally {
    await rig.close();
  }
});
