/** The tables of transitions, and that the records' mutators obey them. */
import { describe, expect, test } from "vitest";
import { client, Rig, session, spec } from "../../sim/core-rig.js";
import {
  askBack,
  canStart,
  hasRun,
  isRunning,
  markAnswer,
  markHeld,
  markReturned,
  neverAsked,
  sent,
} from "./lease-phase.js";
import { createPut, setPresence, there } from "./put-record.js";
import { active, type Standing, setStanding } from "./standing.js";
import { setStates } from "./state.js";
import { taskState } from "./task-states.js";
import { type Machine, machines } from "./transitions.js";

const held = (facts: { running?: boolean; startable?: true; waits?: "inputs" | "memory" }) => ({
  lease: "l" as never,
  next: 0,
  to: 1,
  running: false,
  ...facts,
});
const lease = (asksHeartbeat = true) => ({ id: "l", asksHeartbeat, phase: sent, recall: neverAsked });

describe("every table", () => {
  test.each(Object.entries<Machine<string>>(machines))(
    "of a %s: each state is reached from a beginning, and an end from each state",
    (_, machine) => {
      const reach = (from: string[], next: (state: string) => string[]): string[] => {
        const seen = new Set(from);
        for (const state of seen) for (const to of next(state)) seen.add(to);
        return [...seen].sort();
      };
      const states = Object.keys(machine.steps).sort();
      const to = (state: string): string[] => Object.keys(machine.steps[state] ?? {});
      expect(reach(Object.keys(machine.begins), to)).toEqual(states);
      const from = (state: string): string[] => states.filter((one) => to(one).includes(state));
      expect(reach(Object.keys(machine.ends), from)).toEqual(states);
    },
  );
});

test("a step that is not in its table is a bug, told with the task's story: a task", () => {
  const rig = new Rig();
  rig.open();
  rig.ask({ t: "stages", session, client, stages: [spec(0, 9)] });
  const stage = rig.state.jobs.get(session)?.stages.get(0);
  if (!stage) throw new Error("no stage");
  expect(() => setStates(rig.state, stage, 7, 8, taskState.shelved)).toThrow(
    /task 7 of stage 0 of session cannot go from queued to shelved.*its story:\n {2}queued: every input is there.*\[#2 stages of client\]/s,
  );
});

test("a step that is not in its table is a bug: a worker", () => {
  const worker: { id: string; standing: Standing } = { id: "w", standing: active };
  setStanding(worker, { w: "silent" });
  expect(() => setStanding(worker, { w: "superseded" })).toThrow("worker w cannot go from silent to superseded");
});

test("a step that is not in its table is a bug: a put", () => {
  const put = createPut({ id: "c1-0" as never, kind: 0, bytes: 1, digest: new Uint8Array(16) }, false);
  setPresence(put, { is: "missing", at: 1 });
  expect(() => setPresence(put, { is: "awaited", at: 2, from: "start" })).toThrow("cannot go from missing to awaited");
  setPresence(put, there);
});

describe("a lease at its worker", () => {
  test("can start once its worker says so, or at once if nothing has to be brought for it", () => {
    const told = lease();
    expect(canStart(told)).toBe(false);
    markHeld(told, held({ waits: "inputs" }));
    expect(canStart(told)).toBe(false);
    markHeld(told, held({ startable: true }));
    expect(canStart(told)).toBe(true);
    expect(canStart(lease(false))).toBe(true);
  });

  test("whose tasks have all been executed is not executing while its last reports are on their way", () => {
    const done = lease();
    markHeld(done, held({ running: true, startable: true }));
    expect(isRunning(done)).toBe(true);
    markHeld(done, held({}));
    expect([isRunning(done), canStart(done), hasRun(done)]).toEqual([false, false, false]);
  });

  test("does not run again after it has run, whatever a late heartbeat says", () => {
    const done = lease();
    expect([markReturned(done), markReturned(done)]).toEqual([true, false]);
    markHeld(done, held({ running: true, startable: true }));
    expect([isRunning(done), hasRun(done)]).toEqual([false, true]);
  });

  test("that has nothing to give back is not asked again", () => {
    const asked = lease();
    askBack(asked, 5);
    markAnswer(asked, true);
    markAnswer(asked, false);
    expect(asked.recall).toEqual({ r: "spent" });
    expect(() => askBack(asked, 9)).toThrow("the recall of lease l cannot go from spent to asked");
  });
});
