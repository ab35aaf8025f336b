import { beforeEach, describe, expect, test } from "vitest";
import { VolleyError } from "../proto/errors.js";
import { results, SessionRig } from "./testing/session-rig.js";

let rig: SessionRig;
beforeEach(() => {
  rig = new SessionRig().open();
});
const heartbeat = (ms = 1_000) => {
  rig.advance(ms);
  const asked = rig.asked("heartbeat");
  rig.answer("heartbeat", { t: "heartbeat", known: true });
  return asked;
};

describe("what a heartbeat asks for", () => {
  test("is all of a stage nothing came of, and of one that is settled in part the runs that are missing", () => {
    rig.submit({ index: 0, count: 5 }, { index: 1, count: 10 }, { index: 2, count: 3 });
    rig.update(results(1, 1, 4), results(1, 6, 7), results(2, 0, 3));
    rig.advance(500);
    heartbeat(600);
    rig.submit({ index: 3, count: 1 });
    expect(heartbeat()).toMatchObject({ waiting: [0, 1], gaps: [[1, [0, 1, 4, 6, 7, 10]]] });
    expect(heartbeat().waiting).toEqual([0, 1, 3]);
  });

  test("is bounded, however scattered what is missing", () => {
    for (let index = 0; index < 300; index++) {
      rig.submit({ index, count: 1_000 });
      rig.update(...Array.from({ length: 500 }, (_, i) => results(index, 2 * i, 2 * i + 1)));
    }
    heartbeat();
    const { waiting, gaps = [] } = heartbeat();
    expect(gaps.every(([, runs]) => runs.length <= 200)).toBe(true);
    expect(gaps.reduce((sum, [, runs]) => sum + runs.length / 2, 0)).toBeLessThanOrEqual(10_100);
    expect(waiting).toEqual(gaps.map(([index]) => index));
  });
});

describe("what is given back", () => {
  test("is a stage whose refs are gone once it has ended and nothing reads it, until the heartbeat that says so is answered", () => {
    rig.submit({ index: 0 }, { index: 1, reads: [0] });
    rig.take({ e: "released", index: 0 });
    rig.update(results(0, 0, 1));
    expect(heartbeat().released).toEqual([]);
    rig.update(results(1, 0, 1));
    rig.advance(1_000);
    expect(rig.asked("heartbeat").released).toEqual([0]);
    // The answer is lost: it is said again.
    rig.lose("heartbeat", new VolleyError("CLOSED", "no answer"));
    expect(heartbeat().released).toEqual([0]);
    expect(heartbeat().released).toEqual([]);
    expect(rig.state.stages.has(0)).toBe(false);
  });
});
