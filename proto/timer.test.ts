import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { checkTimeoutMs, sleep, Timer, timerMsMax } from "./timer.js";

const day = 86_400_000;

describe("on a clock that is wound", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([
    ["nothing", 0],
    ["a second", 1_000],
    ["what one timer of Node's takes", timerMsMax],
    ["one millisecond more", timerMsMax + 1],
    ["90 days", 90 * day],
  ])("a timer of %s fires then, and once", async (_what, ms) => {
    const fired: number[] = [];
    const start = performance.now();
    new Timer(() => fired.push(performance.now() - start), ms);
    await vi.advanceTimersByTimeAsync(Math.max(0, ms - 1));
    expect(fired.length).toBe(ms === 0 ? 1 : 0);
    await vi.advanceTimersByTimeAsync(200 * day);
    expect(fired).toEqual([ms]);
  });

  test("one of Infinity never fires, and a stopped one neither, at whatever stage", async () => {
    const fired: string[] = [];
    new Timer(() => fired.push("infinite"), Number.POSITIVE_INFINITY);
    const early = new Timer(() => fired.push("early"), 30 * day);
    const late = new Timer(() => fired.push("late"), 30 * day);
    early.stop();
    await vi.advanceTimersByTimeAsync(26 * day);
    late.stop();
    await vi.advanceTimersByTimeAsync(1_000 * day);
    expect(fired).toEqual([]);
  });

  test("a sleep longer than Node's timers gives its value, or ends with the signal's reason", async () => {
    const stop = new AbortController();
    const slept = sleep(40 * day, "slept");
    const stopped = expect(sleep(40 * day, "slept", { signal: stop.signal })).rejects.toThrow("enough");
    await vi.advanceTimersByTimeAsync(39 * day);
    stop.abort(new Error("enough"));
    await stopped;
    await vi.advanceTimersByTimeAsync(day);
    expect(await slept).toBe("slept");
  });
});

test("a timeout is a number of milliseconds from 0 to Infinity; anything else is named", () => {
  for (const good of [undefined, 0, 0.5, 2 ** 31, Number.POSITIVE_INFINITY]) checkTimeoutMs(good);
  for (const bad of [Number.NaN, -1, Number.NEGATIVE_INFINITY, "5", null])
    expect(() => checkTimeoutMs(bad as number)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringContaining(String(bad)) }),
    );
});
