import { describe, expect, test, vi } from "vitest";
import type { ObjectBase } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { fc } from "../../proto/testing/drawn.js";
import { client, leasesIn, one, Rig, session, spec, tenant, w1 } from "../../sim/core-rig.js";
import { step } from "./index.js";
import { type TaskState, TaskStates, taskState } from "./task-states.js";

describe("states of tasks", () => {
  // Longer than two pages, so that fills end on page borders, inside pages, and across them.
  const count = 40_000;
  const fills = fc.array(
    fc.record({ from: fc.nat(count), to: fc.nat(count), page: fc.boolean(), next: fc.integer({ min: 0, max: 6 }) }),
    { maxLength: 25 },
  );

  test("are those of a plain array, whatever is filled with what", () => {
    fc.assert(
      fc.property(fills, (list) => {
        const states = new TaskStates(count);
        const plain = new Uint8Array(count);
        for (const { from, to, page, next } of list) {
          const [low, high] = page
            ? [from - (from % 16_384), count - (to % 16_384)]
            : [Math.min(from, to), Math.max(from, to)];
          for (let i = low; i < high; ) {
            const end = states.runEnd(i, high);
            expect(end).toBeGreaterThan(i);
            expect(plain.subarray(i, end).every((s) => s === plain[i])).toBe(true);
            expect(end === high || plain[end] !== plain[i]).toBe(true);
            states.fill(i, end, states.at(i) as TaskState, next as TaskState);
            i = end;
          }
          plain.fill(next, low, high);
        }
        for (let i = 0; i < count; i++)
          if (states.at(i) !== plain[i]) throw new Error(`task ${i} is ${states.at(i)}, not ${plain[i]}`);
        expect(states.at(count)).toBeUndefined();
        expect(states.at(-1)).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });

  test("take no space where they are all the same, and give it back when they are again", () => {
    const states = new TaskStates(limits.tasksPerStageMax);
    expect(states.mixedBytes).toBe(0);
    states.fill(5_000_000, 5_000_100, taskState.waiting, taskState.leased);
    expect(states.mixedBytes).toBeGreaterThan(0);
    expect(states.mixedBytes).toBeLessThan(100_000);
    states.fill(5_000_000, 5_000_050, taskState.leased, taskState.succeeded);
    states.fill(5_000_050, 5_000_100, taskState.leased, taskState.succeeded);
    states.fill(0, 5_000_000, taskState.waiting, taskState.succeeded);
    states.fill(5_000_100, states.count, taskState.waiting, taskState.succeeded);
    expect(states.mixedBytes).toBe(0);
    expect(states.runEnd(0, states.count)).toBe(states.count);
    const small = new TaskStates(10);
    small.fill(0, 4, taskState.waiting, taskState.queued);
    small.fill(4, 10, taskState.waiting, taskState.queued);
    expect(small.mixedBytes).toBe(0);
  });
});

describe("a stage of ten million tasks", () => {
  const count = limits.tasksPerStageMax;

  /** Looks at states that one step takes. */
  function looksOf(run: () => void): number {
    const end = vi.spyOn(TaskStates.prototype, "runEnd");
    const at = vi.spyOn(TaskStates.prototype, "at");
    run();
    const looks = end.mock.calls.length + at.mock.calls.length;
    end.mockRestore();
    at.mockRestore();
    return looks;
  }

  test("costs as much to submit and to cancel as one of ten", () => {
    const rig = new Rig();
    rig.open();
    // Past the rig, whose check of the invariants looks at states, too.
    const ask = (request: Parameters<Rig["ask"]>[0]): void => {
      step(rig.state, { e: "client", request, bases: ["sx_0" as ObjectBase], contentHash: "" }, rig.now);
    };
    const cost = (n: number, job: string): [number, number] => [
      looksOf(() =>
        ask({ t: "submit", client, tenant, job: job as never, name: "big", stages: [spec(0, n)], outputs: [0] }),
      ),
      looksOf(() => ask({ t: "cancel", job: job as never })),
    ];
    const small = cost(10, "small");
    expect(cost(count, "large")).toEqual(small);
    expect(small[0]).toBeLessThan(50);
    expect(looksOf(() => ask({ t: "stages", client, session, stages: [spec(0, count)] }))).toBeLessThan(50);
    expect(looksOf(() => ask({ t: "cancel", job: session }))).toBeLessThan(50);
    const stages = [...rig.state.jobs.values()].flatMap((job) => [...job.stages.values()]);
    expect(stages.reduce((sum, stage) => sum + stage.states.mixedBytes, 0)).toBe(0);
    expect(rig.state.queued).toBe(0);
  });

  test("is leased from in a space that follows from what is leased", () => {
    const rig = new Rig();
    rig.open();
    rig.ask({ t: "stages", client, session, stages: [spec(0, count)] });
    const lease = one(leasesIn(rig.join(w1)));
    const stage = rig.state.jobs.get(session)?.stages.get(0);
    expect(stage?.states.at(lease.from)).toBe(taskState.leased);
    expect(stage?.states.at(count - 1)).toBe(taskState.queued);
    expect(stage?.states.mixedBytes).toBeLessThan(100_000);
  });
});
