import { beforeEach, describe, expect, test } from "vitest";
import { VolleyError } from "../proto/errors.js";
import { results, SessionRig } from "./testing/session-rig.js";

let rig: SessionRig;
beforeEach(() => {
  rig = new SessionRig().open();
});
const cancel = (index: number, from: number, to: number): void => {
  rig.take({ e: "cancel", cancel: 1, index, from, to });
};
const states = (index: number, count: number): unknown[] =>
  Array.from({ length: count }, (_, task) => rig.state.stages.get(index)?.results.outcome(task)?.o);
const ended = (): unknown[] => rig.of("cancelled").map(({ error }) => error?.code);

describe("a cancel", () => {
  test("of what the scheduler has not heard of ends it here, and it is never sent", () => {
    rig.put(1, 1_000_000);
    rig.submit({ index: 0, count: 3, puts: [1] });
    cancel(0, 1, 3);
    expect([states(0, 3), ended()]).toEqual([[undefined, "failed", "failed"], [undefined]]);
    rig.place(1);
    // Partly ended: told as what it is.
    expect([rig.published, rig.asked("resume").stages.length]).toEqual([[], 1]);
  });

  test("of what it has heard of asks it; of what it lost, ends it here", () => {
    rig.submit({ index: 0 }, { index: 1 });
    cancel(0, 0, 1);
    rig.answer("cancel", { t: "cancelled", known: true, tasks: 1 });
    expect([states(0, 1), ended()]).toEqual([[undefined], [undefined]]);
    cancel(1, 0, 1);
    rig.answer("cancel", { t: "cancelled", known: false, tasks: 0 });
    expect([states(1, 1), ended()]).toEqual([["failed"], [undefined, undefined]]);
    expect(rig.published).toEqual([0, 1]);
  });

  test("on a scheduler that does not know the session ends what was not shown, and opens it again", () => {
    rig.submit({ index: 0, count: 2 });
    rig.update(results(0, 0, 1));
    cancel(0, 0, 2);
    rig.answer("cancel", { t: "error", error: { code: "JOB_NOT_FOUND", message: "no job" } });
    expect([states(0, 2), ended(), rig.isAsked("open")]).toEqual([["inline", "failed"], [undefined], true]);
  });

  test("of what is being told waits for that, ten seconds at most", () => {
    rig.submit({ index: 0, count: 2 });
    rig.update(results(0, 0, 1));
    rig.restart();
    cancel(0, 0, 2);
    for (let i = 0; i < 11; i++) {
      rig.advance(1_000);
      if (rig.isAsked("resume") && i % 3 === 2) rig.lose("resume", new VolleyError("TIMEOUT", "away"));
    }
    expect(ended()).toEqual(["TIMEOUT"]);
  });
});
