/**
 * What can be made again when a worker takes the only copies with it: chains of pure stages, whatever their edges, also
 * when their refs are long gone.
 */

import { describe, expect, test } from "vitest";
import { limits } from "../../proto/limits.js";
import type { ArgSpec, StageSpec } from "../../proto/messages/stage.js";
import type { Lease } from "../../proto/messages/worker.js";
import { client, inline, leasesIn, Rig, runAll, session, spec, stored, updatesIn, w1, w2 } from "../../sim/core-rig.js";
import { type Command, checkInvariants } from "./index.js";
import { sessionOf } from "./state.js";

const pure = { pure: true };
const edges: Record<string, (upstream: number) => ArgSpec> = {
  task: (stage) => ({ a: "task", stage, task: 0 }),
  broadcast: (stage) => ({ a: "stage", stage, edge: "broadcast" }),
  "one-to-one": (stage) => ({ a: "stage", stage, edge: "one-to-one" }),
  all: (stage) => ({ a: "stage", stage, edge: "all" }),
  each: (stage) => ({ a: "each", of: [[stage, 0, 1]] }),
};
/** The content of a stage's results, so that what is made again is the same. */
const make = (lease: Lease) => stored(lease, lease.stage + 1);

/** The stages have run on w1. */
function ran(stages: StageSpec[], slots = 2, commit = make, options: { checked?: boolean } = {}): Rig {
  const rig = new Rig(undefined, options);
  rig.join(w1, slots);
  rig.open();
  rig.ask({ t: "stages", session, client, stages });
  runAll(rig, w1, rig.commands.slice(), commit);
  return rig;
}

const release = (rig: Rig, ...released: number[]): void => {
  rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [], released });
};

/** w1 leaves, w2 comes and runs whatever is asked of it. Returns what was given out from then on. */
function replaceWorker(rig: Rig, commit = make): Command[] {
  const before = rig.commands.length;
  rig.join(w2, 2);
  rig.receive({ t: "deregister", worker: w1, epoch: rig.state.epoch });
  runAll(rig, w2, rig.commands.slice(before), commit);
  return rig.commands.slice(before);
}

const locate = (rig: Rig, stage: number, task = 0): unknown => {
  const base = rig.state.jobs.get(session)?.stages.get(stage)?.base;
  const reply = rig.ask({ t: "locate", ids: [`${base}-${task}` as never] });
  return reply?.t === "located" ? reply.locations[0] : undefined;
};

describe.each(Object.keys(edges))("a chain of pure stages by edges %s", (kind) => {
  const edge = edges[kind] as (upstream: number) => ArgSpec;
  const chain = (length: number): StageSpec[] =>
    Array.from({ length }, (_, i) => spec(i, 1, i === 0 ? [] : [edge(i - 1)], pure));

  test("is made again from its beginning when the worker that held all of it leaves", () => {
    const rig = ran(chain(3));
    const after = replaceWorker(rig);
    expect(updatesIn(after).filter((s) => s.r === "failed")).toEqual([]);
    expect(leasesIn(after).map((l) => l.stage)).toEqual([0, 1, 2]);
    expect(locate(rig, 2)).toMatchObject({ state: "ready", workers: [w2] });
  });

  test("is made again although only the last ref is alive, however deep it is", () => {
    const rig = ran(chain(5));
    release(rig, 0, 1, 2, 3);
    expect(rig.state.holders.size).toBe(1);
    const after = replaceWorker(rig);
    expect(updatesIn(after).map((s) => [s.r, s.stage])).toEqual([["stored", 4]]);
    expect(leasesIn(after).map((l) => l.stage)).toEqual([0, 1, 2, 3, 4]);
    expect(locate(rig, 4)).toMatchObject({ state: "ready", workers: [w2] });
    // What was made on the way is given up again.
    expect(rig.state.holders.size).toBe(1);
    // And once more.
    rig.join(w1, 1);
    rig.receive({ t: "deregister", worker: w2, epoch: rig.state.epoch });
    runAll(rig, w1, rig.commands.slice(-20), make);
    expect(locate(rig, 4)).toMatchObject({ state: "ready", workers: [w1] });
  });

  test("is forgotten from its end to its beginning when the last ref is dropped", () => {
    const rig = ran(chain(5));
    release(rig, 0, 1, 2, 3);
    expect(rig.state.jobs.get(session)?.stages.size).toBe(5);
    release(rig, 4);
    expect(rig.state.jobs.get(session)?.stages.size).toBe(0);
    expect(sessionOf(rig.state, session)?.shelved.size).toBe(0);
    expect([...rig.state.catalog]).toEqual([]);
    expect(rig.state.holders.size).toBe(0);
  });

  test("that gives another result when it is made again raises the alarm", () => {
    const rig = ran(chain(2));
    release(rig, 0);
    const after = replaceWorker(rig, (lease) => stored(lease, 90 + lease.stage));
    expect(updatesIn(after)).toMatchObject([{ r: "failed", stage: 1, error: { code: "NONDETERMINISTIC" } }]);
  });
});

test("only what the lost tasks read is made again", () => {
  const rig = ran([spec(0, 8, [], pure), spec(1, 8, [edges["one-to-one"]?.(0) as ArgSpec], pure)]);
  release(rig, 0);
  const stage = rig.state.jobs.get(session)?.stages.get(1);
  const before = rig.commands.length;
  const seq = (rig.state.workers.get(w1)?.seenMax ?? 0) + 1;
  rig.receive({
    t: "objects",
    worker: w1,
    epoch: rig.state.epoch,
    seq,
    added: [],
    removed: [`${stage?.base}-3` as never],
  });
  // The next of its reports has the next number.
  rig.commit(w1, [], { seq });
  runAll(rig, w1, rig.commands.slice(before), make);
  expect(leasesIn(rig.commands.slice(before)).map((l) => [l.stage, l.from, l.to])).toEqual([
    [0, 3, 4],
    [1, 3, 4],
  ]);
});

test("a diamond makes its common beginning again once", () => {
  const rig = ran([
    spec(0, 1, [], pure),
    spec(1, 1, [{ a: "task", stage: 0, task: 0 }], pure),
    spec(
      2,
      1,
      [
        { a: "task", stage: 0, task: 0 },
        { a: "value", kind: 0, data: new Uint8Array(0) },
      ],
      pure,
    ),
    spec(3, 1, [{ a: "list", of: [1, 2].map((stage) => ({ a: "task" as const, stage, task: 0 })) }], pure),
  ]);
  release(rig, 0, 1, 2);
  const after = replaceWorker(rig);
  expect(
    leasesIn(after)
      .map((l) => l.stage)
      .sort(),
  ).toEqual([0, 1, 2, 3]);
  expect(locate(rig, 3)).toMatchObject({ state: "ready" });
});

test("what an impure stage made and only a worker held cannot be made again, and says so; small results of it can be read again", () => {
  const chain = [spec(0, 1), spec(1, 1, [{ a: "task", stage: 0, task: 0 }], pure)];
  const lost = ran(chain);
  release(lost, 0);
  expect(updatesIn(replaceWorker(lost))).toMatchObject([{ r: "failed", stage: 1, error: { code: "OBJECT_LOST" } }]);
  const commit = (lease: Lease) => (lease.stage === 0 ? inline(lease, [7]) : make(lease));
  const kept = ran(chain, 2, commit);
  release(kept, 0);
  expect(updatesIn(replaceWorker(kept, commit))).toMatchObject([{ r: "stored", stage: 1 }]);
});

test.each(["all", "one-to-one", "broadcast"])(
  "small results of a released stage are told to the worker that makes again what read them by %s",
  (kind) => {
    const small = (lease: Lease) =>
      lease.stage === 0
        ? inline(
            lease,
            Array.from({ length: lease.to - lease.from }, () => 7),
          )
        : make(lease);
    const count = kind === "broadcast" ? 1 : 3;
    const chain = [spec(0, count, [], pure), spec(1, count, [edges[kind]?.(0) as ArgSpec], pure)];
    const rig = ran(chain, 2, small);
    release(rig, 0);
    const after = replaceWorker(rig, small);
    expect(leasesIn(after).map((lease) => lease.stage)).toContain(1);
    expect(rig.ask({ t: "results", job: session, stage: 0, from: 0, to: count })).toMatchObject({ t: "results" });
    release(rig, 1);
    expect(rig.state.jobs.get(session)?.stages.size).toBe(0);
  },
);

test("a stage whose results cannot be lost needs nothing of what it read", () => {
  const rig = ran([spec(0, 3, [], pure), spec(1, 1, [{ a: "stage", stage: 0, edge: "all" }], pure)], 2, (lease) =>
    lease.stage === 0 ? make(lease) : inline(lease, [7]),
  );
  release(rig, 0);
  expect([...(rig.state.jobs.get(session)?.stages.keys() ?? [])]).toEqual([1]);
  expect(rig.state.holders.size).toBe(0);
  expect(rig.state.jobs.get(session)?.stages.get(1)?.links).toEqual([]);
});

test("a new stage that reads a shelved one has it made again", () => {
  const rig = ran([spec(0, 1, [], pure), spec(1, 1, [{ a: "task", stage: 0, task: 0 }], pure)]);
  release(rig, 0);
  const before = rig.commands.length;
  rig.ask({ t: "stages", session, client, stages: [spec(2, 1, [{ a: "task", stage: 0, task: 0 }])] });
  runAll(rig, w1, rig.commands.slice(before), make);
  expect(leasesIn(rig.commands.slice(before)).map((l) => l.stage)).toEqual([0, 2]);
});

test("lineage is bounded: of a chain that goes on and on the oldest stages are forgotten, and what needed them is lost with a reason", () => {
  const rig = ran([spec(0, 1, [], pure)], 1, make, { checked: false });
  const many = limits.shelvedStagesMax + 3;
  for (let i = 1; i < many; i++) {
    const before = rig.commands.length;
    rig.ask({ t: "stages", session, client, stages: [spec(i, 1, [{ a: "task", stage: i - 1, task: 0 }], pure)] });
    runAll(rig, w1, rig.commands.slice(before), make);
    release(rig, i - 1);
    rig.commands.length = 0;
  }
  const job = sessionOf(rig.state, session);
  expect(job?.shelved.size).toBe(limits.shelvedStagesMax);
  expect(job?.stages.size).toBe(limits.shelvedStagesMax + 1);
  checkInvariants(rig.state);
  const failures = updatesIn(replaceWorker(rig));
  checkInvariants(rig.state);
  expect(failures).toMatchObject([
    { r: "failed", stage: many - 1, error: { code: "OBJECT_LOST", message: expect.stringContaining("stage 1,") } },
  ]);
});
