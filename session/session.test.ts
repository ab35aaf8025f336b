/** The session by scripted events, in the orders that hurt: restarts between two updates, losses, repetitions. */
import { beforeEach, describe, expect, test } from "vitest";
import { VolleyError } from "../proto/errors.js";
import { nextWakeMs } from "./session.js";
import { results, SessionRig, stored, unknown } from "./testing/session-rig.js";

let rig: SessionRig;
beforeEach(() => {
  rig = new SessionRig().open();
});
const outcome = (stage: number, task: number): unknown => {
  const found = rig.state.stages.get(stage)?.results.outcome(task);
  if (found?.o === "inline") return found.value.data[0];
  return found?.o === "failed" ? found.error.code : found?.o;
};
const outcomes = (stage: number, tasks: number): unknown[] =>
  Array.from({ length: tasks }, (_, task) => outcome(stage, task));
const refused = (code: "INVALID_ARGUMENT" | "INVALID_GRAPH" | "JOB_NOT_FOUND" | "TIMEOUT") =>
  ({ t: "error", error: { code, message: "no" } }) as const;

describe("sending", () => {
  test("what is submitted in one tick leaves in one message, in the order of the indexes, at its flush", () => {
    rig.take({ e: "began", index: 0 });
    rig.submit({ index: 1 }, { index: 2 });
    expect(rig.published).toEqual([1, 2]);
    rig.submit({ index: 0 }, { index: 3, reads: [0] });
    expect(rig.of("publish").map(({ message }) => message.stages.map(({ index }) => index))).toEqual([
      [1, 2],
      [0, 3],
    ]);
  });

  test("a stage waits for what it reads, and one that grew is sent before it", () => {
    rig.take({ e: "began", index: 0 });
    rig.submit({ index: 1, reads: [0] });
    expect(rig.published).toEqual([]);
    rig.submit({ index: 0 });
    expect(rig.published).toEqual([0, 1]);
  });

  test("a stage that the scheduler does not know is sent again after a pause, five times, then it ends", () => {
    rig.submit({ index: 0 });
    for (let times = 1; times <= 5; times++) {
      rig.update(unknown(0));
      rig.update(unknown(0));
      expect(rig.published).toHaveLength(times);
      rig.advance(50 * times);
      expect(rig.published).toHaveLength(times + 1);
    }
    rig.update(unknown(0));
    expect(outcome(0, 0)).toBe("SESSION_LOST");
    expect(rig.of("settled")).toEqual([{ c: "settled", index: 0, from: 0, to: 1, failed: true }]);
  });

  test("one stage over the transport's limit fails alone", () => {
    rig.submit({ index: 0 }, { index: 1 });
    const error = { code: "TOO_LARGE", message: "no" } as const;
    const again = rig.take({ e: "unsent", indexes: [0, 1], error });
    expect(again.map((one) => one.c === "publish" && one.message.stages.map(({ index }) => index))).toEqual([[0], [1]]);
    rig.take({ e: "unsent", indexes: [1], error });
    expect([outcome(0, 0), outcome(1, 0)]).toEqual([undefined, "TOO_LARGE"]);
  });

  test("what is beyond the window waits here and goes out as results come, in order", () => {
    for (let index = 0; index < 10_002; index++) rig.submit({ index });
    expect(rig.published).toHaveLength(10_000);
    rig.update(results(5, 0, 1));
    expect(rig.published.slice(10_000)).toEqual([10_000]);
  });
});

describe("results", () => {
  test("that come twice, overlapping and out of order, are taken once", () => {
    rig.submit({ index: 0, count: 6 });
    rig.update(results(0, 3, 5, 1));
    rig.update(results(0, 1, 4, 2), results(0, 3, 5, 3));
    rig.update(results(0, 0, 6, 4));
    rig.update(results(0, 0, 6, 5));
    expect(outcomes(0, 6)).toEqual([4, 2, 2, 1, 1, 4]);
    expect(rig.of("settled").map(({ from, to }) => [from, to])).toEqual([
      [3, 5],
      [1, 3],
      [0, 1],
      [5, 6],
    ]);
  });

  test("of a lower epoch, or of another session, are refused", () => {
    rig.submit({ index: 0 });
    rig.epoch = 3;
    rig.update();
    rig.updateOf(2, results(0, 0, 1, 9));
    expect(outcome(0, 0)).toBe(undefined);
    rig.updateOf(3, results(0, 0, 1, 1));
    expect(outcome(0, 0)).toBe(1);
  });

  test("that are spoilt are dropped and told of", () => {
    rig.submit({ index: 0, count: 2 });
    rig.update({ ...results(0, 0, 1), to: 2 } as never);
    expect([rig.of("fault").length, rig.of("settled").length]).toEqual([1, 0]);
  });
});

describe("a scheduler's restart", () => {
  test("between two updates: what was shown of a stage is told, and its rest runs; nothing is published whole", () => {
    rig.submit({ index: 0, count: 4 });
    rig.update(results(0, 1, 3, 7));
    const before = rig.published.length;
    rig.restart();
    const { stages } = rig.asked("resume");
    expect(stages.map(({ segments, last, base }) => [segments.map(({ from, to }) => [from, to]), last, base])).toEqual([
      [[[1, 3]], true, undefined],
    ]);
    rig.answer("resume", { t: "ok" });
    expect(rig.isAsked("resume")).toBe(false);
    rig.update(results(0, 0, 4, 8));
    expect(outcomes(0, 4)).toEqual([8, 7, 7, 8]);
    expect(rig.published).toHaveLength(before);
  });

  test("what is told is told once, however often the connection or the tick comes round meanwhile", () => {
    rig.submit({ index: 0, count: 2 });
    rig.update(results(0, 0, 1));
    rig.restart();
    rig.take({ e: "link", up: true });
    rig.take({ e: "flush" });
    rig.answer("resume", { t: "ok" });
    for (let i = 0; i < 3; i++) rig.take({ e: "flush" });
    expect(rig.isAsked("resume")).toBe(false);
    expect(rig.of("request").filter(({ request }) => request.t === "resume")).toHaveLength(1);
  });

  test("what reads a stage that was shown leaves after that was told, without its arguments", () => {
    rig.submit({ index: 0 });
    rig.update(results(0, 0, 1));
    rig.submit({ index: 1, reads: [0] }, { index: 2 });
    const before = rig.published.length;
    rig.restart();
    expect(rig.published.slice(before)).toEqual([2]);
    expect(rig.asked("resume").stages).toMatchObject([
      { spec: { index: 0, args: [] }, base: "ssession_0", last: true },
    ]);
    rig.answer("resume", { t: "ok" });
    expect(rig.published.slice(before)).toEqual([2, 1]);
  });

  test("a page that is refused is told stage by stage; what reads the refused one ends, the others go on", () => {
    rig.submit({ index: 0 }, { index: 1 });
    rig.update(stored(0, 0, 1), stored(1, 0, 1));
    rig.submit({ index: 2, reads: [0] }, { index: 3, reads: [1] });
    rig.restart();
    rig.answer("resume", refused("INVALID_ARGUMENT"));
    rig.answer("resume", refused("INVALID_ARGUMENT"));
    const before = rig.published.length;
    rig.answer("resume", { t: "ok" });
    expect(outcome(2, 0)).toBe("SESSION_LOST");
    expect(rig.published.slice(before)).toEqual([3]);
    expect(outcome(0, 0)).toBe("stored");
  });

  test("what a partly shown stage reads is lost on its way: both are told again, a few times", () => {
    rig.submit({ index: 0, count: 2, pure: true }, { index: 1, count: 2, reads: [0] });
    rig.update(results(1, 0, 1, 7));
    const before = rig.published.length;
    rig.restart();
    expect(rig.published.slice(before)).toEqual([0]);
    rig.answer("resume", refused("INVALID_GRAPH"));
    rig.advance(100);
    expect(rig.published.slice(before)).toEqual([0, 0]);
    rig.answer("resume", { t: "ok" });
    rig.update(results(1, 1, 2, 8));
    expect(outcomes(1, 2)).toEqual([7, 8]);
  });

  test("what a partly shown stage reads is never known: it ends, and what was shown stays", () => {
    rig.submit({ index: 0, count: 2, pure: true }, { index: 1, count: 2, reads: [0] });
    rig.update(results(1, 0, 1, 7));
    rig.restart();
    for (let i = 0; i < 20 && rig.isAsked("resume"); i++) {
      rig.answer("resume", refused("INVALID_GRAPH"));
      rig.advance(500);
    }
    expect(outcomes(1, 2)).toEqual([7, "INVALID_GRAPH"]);
  });

  test("during the telling: what the first was told is void, all of it is told to the second", () => {
    rig.submit({ index: 0 }, { index: 1 });
    rig.update(stored(0, 0, 1), stored(1, 0, 1));
    rig.restart();
    expect(rig.asked("resume").stages).toHaveLength(2);
    rig.answer("resume", refused("JOB_NOT_FOUND"));
    rig.epoch++;
    rig.answer("open", { t: "opened", heartbeatIntervalMs: 1_000 });
    expect(rig.asked("resume").stages).toHaveLength(2);
    rig.answer("resume", { t: "ok" });
    expect(rig.state.restoring.queue.size).toBe(0);
  });

  test("that is heard of by an update: late results of the first do not count any more", () => {
    rig.submit({ index: 0, count: 2 });
    rig.updateOf(1, results(0, 0, 1, 1));
    rig.epoch = 2;
    rig.updateOf(2);
    expect(rig.isAsked("open")).toBe(true);
    rig.updateOf(1, results(0, 1, 2, 1));
    expect(outcomes(0, 2)).toEqual([1, undefined]);
  });

  test("an impure result that was not shown, but read by one that was, is not made anew; a pure one is", () => {
    rig.submit({ index: 0, count: 2 }, { index: 1, count: 2, pure: true });
    rig.submit({ index: 2, count: 2, reads: [0] }, { index: 3, count: 2, reads: [1] });
    rig.update(results(2, 0, 1), results(3, 0, 1));
    rig.restart();
    expect(outcomes(0, 2)).toEqual(["SESSION_LOST", undefined]);
    expect(outcomes(1, 2)).toEqual([undefined, undefined]);
  });

  test.each(["open", "put", "hold"] as const)("of which a %s fails half-way is tried again, whole", (t) => {
    rig.put(1, 10);
    rig.put(2, 1_000_000);
    for (const put of [1, 2]) rig.take({ e: "put-needed", put });
    rig.answer("put", { t: "ok" });
    rig.place(2);
    rig.submit({ index: 0 });
    rig.epoch++;
    rig.advance(1_000);
    rig.answer("heartbeat", { t: "heartbeat", known: false });
    const before = rig.published.length;
    const through = (): void => {
      rig.answer("open", { t: "opened", heartbeatIntervalMs: 1_000 });
      if (rig.isAsked("put")) rig.answer("put", { t: "ok" });
      if (rig.isAsked("hold")) rig.answer("hold", { t: "held", missing: [] });
    };
    if (t !== "open") rig.answer("open", { t: "opened", heartbeatIntervalMs: 1_000 });
    if (t === "hold") rig.answer("put", { t: "ok" });
    rig.answer(t, refused("JOB_NOT_FOUND"));
    expect([rig.state.phase.p, rig.published.length]).toEqual(["lost", before]);
    rig.advance(1_000);
    through();
    expect([rig.state.phase.p, rig.published.length]).toEqual(["open", before + 1]);
  });

  test("that another one follows while puts are told does not count as opened", () => {
    rig.put(1, 10);
    rig.answer("put", { t: "ok" });
    rig.take({ e: "put-needed", put: 1 });
    rig.restart();
    rig.epoch++;
    rig.update();
    rig.answer("put", { t: "ok" });
    expect(rig.state.phase.p).toBe("lost");
    rig.advance(1_000);
    rig.answer("open", { t: "opened", heartbeatIntervalMs: 1_000 });
    rig.answer("put", { t: "ok" });
    expect(rig.state.phase.p).toBe("open");
  });
});

describe("silence", () => {
  test("ends the waits after the patience, again and again; a process that stood still is not silence", () => {
    rig.submit({ index: 0 });
    rig.nowMs += 60_000;
    rig.take({ e: "ticked" });
    expect(rig.of("give-up")).toEqual([]);
    rig.advance(10_500);
    expect(rig.of("give-up").map(({ error }) => error.code)).toEqual(["DISCONNECTED"]);
    rig.update(results(0, 0, 1));
    expect(outcome(0, 0)).toBe(0);
  });

  test("a session that cannot be opened again ends the waits, although the scheduler answers", () => {
    rig.restart();
    expect(rig.state.phase.p).toBe("open");
    rig.epoch++;
    rig.advance(1_000);
    rig.answer("heartbeat", { t: "heartbeat", known: false });
    for (let i = 0; i < 12; i++) {
      rig.answer("open", refused("TIMEOUT"));
      rig.advance(1_000);
    }
    expect(rig.of("give-up").map(({ error }) => error.message)).toEqual([expect.stringContaining("opened again")]);
  });

  test("after the connection was away, what nothing has come of is sent again", () => {
    rig.submit({ index: 0 }, { index: 1, count: 2 });
    rig.update(results(1, 0, 1));
    rig.take({ e: "link", up: false });
    rig.submit({ index: 2 });
    expect(rig.published).toEqual([0, 1]);
    rig.take({ e: "link", up: true });
    expect(rig.published).toEqual([0, 1, 0, 2]);
  });
});

describe("closing", () => {
  test("sends what was submitted, ends the waits, tells the scheduler, and then no timer is left", () => {
    rig.take({ e: "close" });
    expect(rig.of("give-up").map(({ error }) => error.code)).toEqual(["CLOSED"]);
    rig.answer("close", { t: "ok" });
    expect(rig.of("closed")).toHaveLength(1);
    expect([rig.state.phase.p, nextWakeMs(rig.state)]).toEqual(["closed", Number.POSITIVE_INFINITY]);
  });

  test("does not wait longer than a second for a scheduler that is away", () => {
    rig.take({ e: "close" });
    while (rig.of("closed").length === 0) {
      if (rig.isAsked("close")) rig.lose("close", new VolleyError("NO_LISTENER", "away"));
      else rig.advance(10);
    }
    expect(rig.nowMs).toBeLessThanOrEqual(1_000);
  });

  test("an opening that fails is said, and the session is closed", () => {
    const other = new SessionRig();
    other.take({ e: "start", timeoutMs: 100, up: true });
    other.answer("open", refused("INVALID_ARGUMENT"));
    expect(other.of("not-opened").map(({ error }) => error.code)).toEqual(["INVALID_ARGUMENT"]);
    expect(other.state.phase.p).toBe("closed");
  });
});
