import { beforeEach, describe, expect, test } from "vitest";
import { VolleyError } from "../proto/errors.js";
import type { JobId } from "../proto/ids.js";
import { SessionRig } from "./testing/session-rig.js";

let rig: SessionRig;
beforeEach(() => {
  rig = new SessionRig().open();
});
const question = (timeoutMs = 10_000): void => {
  rig.take({ e: "asked", question: 1, request: { t: "status", job: "j" as JobId }, expected: "ok", timeoutMs });
};
const ends = (): unknown[] => [
  ...rig.of("answered").map(({ reply }) => reply.t),
  ...rig.of("not-answered").map(({ error }) => error.code),
];

describe("a question", () => {
  test("is asked again after a pause while nobody is there, and its answer counts once", () => {
    question();
    for (const code of ["NO_LISTENER", "TIMEOUT", "DISCONNECTED"] as const) {
      rig.lose("status", new VolleyError(code, "away"));
      expect(rig.isAsked("status")).toBe(false);
      rig.advance(200);
    }
    const late = rig.waiting.find(({ request }) => request.t === "status")?.ask as number;
    rig.answer("status", { t: "ok" });
    rig.take({ e: "replied", ask: late, reply: { t: "ok", epoch: 1 as never } });
    expect(ends()).toEqual(["ok"]);
  });

  test.each([
    ["NO_LISTENER", "NO_SCHEDULER"],
    ["DISCONNECTED", "DISCONNECTED"],
    ["TIMEOUT", "TIMEOUT"],
  ] as const)("that meets %s until its time is over ends with %s", (met, said) => {
    question(300);
    while (ends().length === 0) {
      if (rig.isAsked("status")) rig.lose("status", new VolleyError(met, "away"));
      else rig.advance(10);
    }
    expect(ends()).toEqual([said]);
    expect(rig.nowMs).toBeLessThanOrEqual(300);
  });

  test("that a deposed scheduler answers is asked again: neither its errors nor its answers count", () => {
    rig.epoch = 2;
    rig.updateOf(2);
    question();
    rig.answer("status", { t: "error", error: { code: "JOB_NOT_FOUND", message: "no" } }, 1);
    rig.advance(30);
    rig.answer("status", { t: "ok" }, 1);
    rig.advance(100);
    expect(ends()).toEqual([]);
    rig.answer("status", { t: "ok" });
    expect(ends()).toEqual(["ok"]);
  });

  test("that is refused ends with the scheduler's error; the time of a process that stood still is not counted", () => {
    question(4_000);
    // The answer's time is over, but nobody could read it.
    rig.nowMs += 60_000;
    rig.lose("status", new VolleyError("TIMEOUT", "late"));
    expect(ends()).toEqual([]);
    rig.advance(30);
    rig.answer("status", { t: "error", error: { code: "FORBIDDEN", message: "no" } });
    expect(ends()).toEqual(["FORBIDDEN"]);
  });
});
