/**
 * User code at its worst, on real threads: each fault ends as a clear error of exactly its own task, and the rest of
 * the lease goes on.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { WireError } from "../../proto/errors.js";
import { eventually } from "../../proto/testing/patience.js";
import type { RunSpec } from "./run-spec.js";
import { SlotRig } from "./testing/slot-rig.js";

/** What a task that never ends is given; loading and its first three tasks take none of it that matters. */
const timeoutMs = 1_500;

let rig: SlotRig;
beforeAll(() => {
  rig = new SlotRig();
});
beforeEach(() => {
  rig.logs = [];
});
afterAll(() => rig.close());

/** Six tasks of which the third (index 3) misbehaves: the others have their values, and it alone has failed. */
async function onlyThirdFails(name: string, more: Partial<RunSpec> = {}): Promise<WireError> {
  const outcome = await rig.execute(name, 0, 6, more);
  expect([...outcome.values.entries()].sort((a, b) => a[0] - b[0])).toEqual([
    [0, 0],
    [1, 10],
    [2, 20],
    [4, 40],
    [5, 50],
  ]);
  expect([...outcome.errors.keys()]).toEqual([3]);
  return outcome.errors.get(3) as WireError;
}

describe("functions that fail", () => {
  test("a throw has name, message and the user's stack", async () => {
    const error = await onlyThirdFails("throws");
    expect(error).toMatchObject({
      code: "TASK_FAILED",
      message: "RangeError: three is too much",
      details: { name: "RangeError" },
    });
    expect(error.stack).toContain(".mjs:");
  });
  test("a rejection", async () =>
    expect(await onlyThirdFails("rejects")).toMatchObject({ code: "TASK_FAILED", message: "TypeError: later" }));
  test("something thrown that is not an error", async () =>
    expect((await onlyThirdFails("throwsOther")).message).toContain("{ odd: 1 }"));
  test("something thrown that cannot be looked at", async () =>
    expect(await onlyThirdFails("throwsNasty")).toMatchObject({ code: "TASK_FAILED" }));
  test("an endless loop is ended at its time limit", async () =>
    expect(await onlyThirdFails("loops", { timeoutMs })).toMatchObject({
      code: "TASK_TIMEOUT",
      message: expect.stringContaining(String(timeoutMs)),
    }));
  test("so is a promise that never settles", async () =>
    expect(await onlyThirdFails("neverSettles", { timeoutMs })).toMatchObject({ code: "TASK_TIMEOUT" }));
  test("process.exit", async () =>
    expect(await onlyThirdFails("exits")).toMatchObject({
      code: "TASK_EXITED",
      message: expect.stringContaining("7"),
    }));
  test("an exhausted heap", async () =>
    expect(await onlyThirdFails("bomb")).toMatchObject({
      code: "TASK_OUT_OF_MEMORY",
      message: expect.stringContaining("96 MiB"),
    }));
  test("buffers beyond what the machine has left", async () => {
    rig.availableBytes = 10 * 2 ** 20;
    try {
      expect(await onlyThirdFails("buffers")).toMatchObject({
        code: "TASK_OUT_OF_MEMORY",
        message: expect.stringMatching(/too much memory in buffers.*10 MiB are left/),
      });
    } finally {
      rig.availableBytes = Number.POSITIVE_INFINITY;
    }
  });
  test("a result with a function inside names the path", async () =>
    expect(await onlyThirdFails("returnsFunction")).toMatchObject({
      code: "TASK_UNSERIALIZABLE",
      message: expect.stringContaining("value.a[1].b"),
    }));
  test("a cycle", async () =>
    expect(await onlyThirdFails("returnsCycle")).toMatchObject({
      code: "TASK_UNSERIALIZABLE",
      message: expect.stringContaining("cycle"),
    }));
  test("a getter that throws", async () =>
    expect(await onlyThirdFails("returnsNastyGetter")).toMatchObject({
      code: "TASK_UNSERIALIZABLE",
      message: expect.stringContaining("gotcha"),
    }));
  test("an exception in a callback fails the task that waits for it", async () =>
    expect(await onlyThirdFails("timerThrows")).toMatchObject({ code: "TASK_FAILED", message: "Error: from a timer" }));

  test("a rejection nobody listens to is logged with its task and fails nothing", async () => {
    const outcome = await rig.execute("rejectsUnheard", 0, 6);
    expect(outcome.values.get(3)).toBe("fine");
    expect(outcome.errors.size).toBe(0);
    await eventually(() =>
      expect(rig.logs).toContainEqual(
        expect.objectContaining({
          level: "error",
          text: expect.stringContaining("unhandled rejection from task j1/2/3, which had ended: Error: nobody listens"),
        }),
      ),
    );
  });

  test("even if it comes while another task runs", async () => {
    await rig.execute("rejectsLater", 3, 4);
    const next = await rig.execute("idle", 7, 8);
    expect(next.errors.size).toBe(0);
    await eventually(() =>
      expect(rig.logs).toContainEqual(
        expect.objectContaining({ text: expect.stringContaining("task j1/2/3, which had ended: Error: much later") }),
      ),
    );
  });

  test("what a task posts to its thread's parent is told once and harms nothing", async () => {
    expect((await rig.execute("posts", 0, 4)).values.size).toBe(4);
    expect((await rig.execute("double", 1, 2)).values).toEqual(new Map([[1, 2]]));
    await eventually(() =>
      expect(rig.logs.filter(({ text }) => text.includes("which nobody listens to"))).toHaveLength(1),
    );
  });

  test("a function that breaks its globals harms no later run", async () => {
    const before = rig.pool.threadsReplaced;
    await rig.execute("deletesGlobals", 0, 4);
    expect(rig.pool.threadsReplaced).toBeGreaterThan(before);
    expect((await rig.execute("double", 1, 3)).values).toEqual(
      new Map([
        [1, 2],
        [2, 4],
      ]),
    );
  });
});

describe("code that cannot be had", () => {
  test("a missing export names those there are, for every task", async () => {
    const outcome = await rig.execute("nothing", 0, 3);
    expect(outcome.errors.get(2)).toMatchObject({
      code: "FUNCTION_NOT_FOUND",
      message: expect.stringMatching(/"nothing".*exports .*double, /),
    });
    expect(outcome.errors.size).toBe(3);
  });
  test("a missing kernel", async () =>
    expect((await rig.execute("", 0, 1, { fn: { kernel: "no.such", version: 1 } })).errors.get(0)).toMatchObject({
      code: "FUNCTION_NOT_FOUND",
      message: expect.stringContaining("no.such"),
    }));
  test("a module that throws while it loads", async () => {
    const outcome = await rig.execute("f", 0, 2, {
      fn: { bundle: "c".repeat(64), url: rig.module("throw new Error('at load')"), export: "f" },
    });
    expect(outcome.errors.get(1)).toMatchObject({ code: "TASK_FAILED", message: expect.stringContaining("at load") });
  });
  test("a module that never finishes loading fails the whole run once, not task by task", async () => {
    const startedAt = performance.now();
    const outcome = await rig.execute("f", 0, 50, {
      timeoutMs,
      fn: { bundle: "d".repeat(64), url: rig.module("for (;;);"), export: "f" },
    });
    expect(outcome.errors.size).toBe(50);
    expect(outcome.errors.get(49)).toMatchObject({ code: "TASK_TIMEOUT", message: expect.stringContaining("loading") });
    expect(performance.now() - startedAt, "less than each task would have had").toBeLessThan(50 * timeoutMs);
  });
});
