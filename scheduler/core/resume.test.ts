/** What a client was shown before the scheduler restarted stays the result. */
import { describe, expect, test } from "vitest";
import { type ClientId, type JobId, type ObjectBase, objectIdOf, stageBaseOf, type WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { ArgSpec, StageSpec } from "../../proto/messages/stage.js";
import { PackReader, PackWriter } from "../../proto/values/pack.js";
import { decodeValue, encodeValue } from "../../proto/values/value.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";
import {
  client,
  fill,
  leasesIn,
  one,
  Rig,
  runAll,
  session,
  spec,
  stored,
  tenant,
  updatesIn,
  w1,
  w2,
} from "../../sim/core-rig.js";

const inlineOf = (stage: number, from: number, values: unknown[]): ResultSegment => {
  const pack = new PackWriter();
  for (const value of values) pack.add(encodeValue(value));
  return { r: "inline", stage, from, to: from + values.length, pack: pack.finish() };
};
const digestOf = (seed: number): Uint8Array => new Uint8Array(16).fill(seed);
const storedOf = (stage: number, from: number, seeds: number[]): ResultSegment => ({
  r: "stored",
  stage,
  from,
  to: from + seeds.length,
  stored: seeds.map((seed) => ({ bytes: 1e6, kind: 2, digest: digestOf(seed) })),
});
interface Emitted {
  spec: StageSpec;
  base?: ObjectBase;
  segments?: ResultSegment[];
  last?: boolean;
}
const resume = (rig: Rig, ...stages: Emitted[]) =>
  rig.ask({
    t: "resume",
    session,
    client,
    stages: stages.map(({ segments = [], last = true, ...rest }) => ({ ...rest, segments, last })),
  });
const idOf = (stage: number, task: number) => objectIdOf(stageBaseOf(session, stage), task);
const register = (rig: Rig, worker: WorkerId, objects: { stage: number; task: number; seed: number }[]) => {
  rig.join(worker);
  return rig.receive({
    t: "objects",
    worker,
    epoch: rig.state.epoch,
    seq: 1_000,
    added: objects.map(({ stage, task, seed }) => ({
      id: idOf(stage, task),
      bytes: 1e6,
      kind: 2,
      digest: digestOf(seed),
    })),
    removed: [],
  });
};
const freed = (rig: Rig): string[] =>
  rig.commands.flatMap((c) => (c.c === "command" && c.command.o === "free" ? c.command.ids : []));
const valuesOf = (rig: Rig, stage: number): unknown[] => {
  const reply = rig.ask({ t: "results", job: session, stage, from: 0, to: 0xffff_ffff });
  return reply?.t !== "results"
    ? []
    : reply.segments.flatMap((segment) => {
        if (segment.r !== "inline") return [segment.r];
        const pack = new PackReader(segment.pack);
        return Array.from({ length: pack.count }, (_, i) => decodeValue(pack.at(i)));
      });
};
const failuresOf = (rig: Rig, stage: number): string[] =>
  updatesIn(rig.commands).flatMap((s) =>
    s.r === "failed" && s.stage === stage ? [`${s.from}-${s.to} ${s.error.code}`] : [],
  );

describe("a stage that is partly settled", () => {
  test.each([1, 3])(
    "keeps what was shown and executes the rest, told in %i pages; what reads it reads both",
    (pages) => {
      const rig = new Rig();
      rig.join(w1);
      rig.open();
      const shown = [10, 11, 12, 13];
      for (let page = 0; page < pages; page++) {
        const last = page === pages - 1;
        const segments =
          pages === 1 ? [inlineOf(0, 0, shown)] : [inlineOf(0, page, last ? shown.slice(page) : [shown[page]])];
        expect(resume(rig, { spec: spec(0, 6), segments, last })).toMatchObject({ t: "ok" });
        if (!last) expect(leasesIn(rig.commands)).toEqual([]);
      }
      rig.ask({ t: "stages", session, client, stages: [spec(1, 1, [{ a: "stage", stage: 0, edge: "all" }])] });
      const ran = leasesIn(runAll(rig, w1, rig.commands.slice()));
      expect(ran.filter((l) => l.stage === 0).reduce((sum, l) => sum + l.to - l.from, 0)).toBe(2);
      expect(ran.filter((l) => l.stage === 1)).toHaveLength(1);
      expect(valuesOf(rig, 0)).toEqual([10, 11, 12, 13, 4, 5]);
    },
  );

  test("said again after an answer that was lost, or after it went on, changes nothing", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.open();
    const told = { spec: spec(0, 3), segments: [inlineOf(0, 0, ["shown"])] };
    resume(rig, { ...told, last: false });
    resume(rig, { ...told, last: false });
    resume(rig, told);
    runAll(rig, w1, rig.commands.slice());
    resume(rig, told);
    resume(rig, { spec: spec(0, 3), segments: [inlineOf(0, 0, ["a", "b", "c"])] });
    expect(valuesOf(rig, 0)).toEqual(["shown", 1, 2]);
  });

  test("of which a task had failed takes down what depends on it, and runs the others", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.open();
    resume(rig, {
      spec: spec(0, 2),
      segments: [{ r: "failed", stage: 0, from: 0, to: 1, error: { code: "TASK_FAILED", message: "as shown" } }],
    });
    rig.ask({ t: "stages", session, client, stages: [spec(1, 2, [{ a: "stage", stage: 0, edge: "one-to-one" }])] });
    const ran = leasesIn(runAll(rig, w1, rig.commands.slice()));
    expect(ran.map((l) => [l.stage, l.from, l.to])).toEqual([
      [0, 1, 2],
      [1, 1, 2],
    ]);
    expect(failuresOf(rig, 1)).toEqual(["0-1 UPSTREAM_FAILED"]);
  });
});

describe("large results", () => {
  const edges: [string, ArgSpec, string[]][] = [
    ["one-to-one", { a: "stage", stage: 0, edge: "one-to-one" }, [idOf(0, 0)]],
    ["task", { a: "task", stage: 0, task: 0 }, [idOf(0, 0)]],
    ["broadcast", { a: "stage", stage: 0, edge: "broadcast" }, [idOf(0, 0)]],
    ["list", { a: "list", of: [{ a: "task", stage: 0, task: 0 }] }, [idOf(0, 0)]],
    ["all", { a: "stage", stage: 0, edge: "all" }, []],
  ];

  test.each(edges)("are waited for until their worker is heard, and read by %s", (_edge, arg, inputs) => {
    const rig = new Rig();
    rig.open();
    resume(rig, { spec: { ...spec(0, 1), args: [] }, base: stageBaseOf(session, 0), segments: [storedOf(0, 0, [7])] });
    rig.ask({ t: "stages", session, client, stages: [spec(1, 1, [arg])] });
    rig.join(w2);
    rig.pass(1_000);
    expect(leasesIn(rig.commands)).toEqual([]);
    expect(rig.ask({ t: "locate", ids: [idOf(0, 0)] })).toMatchObject({ locations: [{ state: "pending" }] });
    expect(rig.ask({ t: "explain", job: session, stage: 0, task: 0 })).toMatchObject({
      explanation: { reason: "looked-for" },
    });
    register(rig, w1, [{ stage: 0, task: 0, seed: 7 }]);
    const lease = one(leasesIn(rig.commands));
    expect([lease.stage, lease.inputs.map((input) => [input.id, input.workers])]).toEqual([
      1,
      inputs.map((id) => [id, [w1]]),
    ]);
    expect(rig.ask({ t: "locate", ids: [idOf(0, 0)] })).toMatchObject({
      locations: [{ state: "ready", digest: digestOf(7), workers: [w1] }],
    });
  });

  test("that a worker told of before the session was open again are kept for it", () => {
    const rig = new Rig();
    register(rig, w1, [{ stage: 0, task: 1, seed: 7 }]);
    rig.open();
    resume(rig, {
      spec: spec(0, 2),
      base: stageBaseOf(session, 0),
      segments: [inlineOf(0, 0, [1]), storedOf(0, 1, [7])],
    });
    expect(rig.ask({ t: "locate", ids: [idOf(0, 1)] })).toMatchObject({
      locations: [{ state: "ready", workers: [w1] }],
    });
    expect(freed(rig)).toEqual([]);
  });

  test("that two workers told of before the session was open again are known to be with both", () => {
    const rig = new Rig();
    register(rig, w2, [{ stage: 0, task: 0, seed: 7 }]);
    register(rig, w1, [{ stage: 0, task: 0, seed: 7 }]);
    rig.open();
    resume(rig, { spec: spec(0, 1), base: stageBaseOf(session, 0), segments: [storedOf(0, 0, [7])] });
    rig.receive({ t: "objects", worker: w2, epoch: rig.state.epoch, seq: 1_001, added: [], removed: [idOf(0, 0)] });
    expect(rig.ask({ t: "locate", ids: [idOf(0, 0)] })).toMatchObject({
      locations: [{ state: "ready", workers: [w1] }],
    });
    expect(failuresOf(rig, 0)).toEqual([]);
  });

  test("that nobody asked for in time are freed at their next telling", () => {
    const rig = new Rig();
    register(rig, w1, [{ stage: 0, task: 0, seed: 7 }]);
    for (let ms = 0; ms <= limits.sessionTimeoutMs; ms += 4_000) {
      rig.pass(4_000);
      rig.heartbeat(w1);
    }
    rig.receive({
      t: "objects",
      worker: w1,
      epoch: rig.state.epoch,
      seq: 1_001,
      added: [{ id: idOf(0, 0), bytes: 1, kind: 2, digest: digestOf(7) }],
      removed: [],
    });
    expect(freed(rig)).toEqual([idOf(0, 0)]);
    expect([rig.state.holders.size, rig.state.strangers.size]).toEqual([0, 0]);
  });

  test("that are gone, or are not what was shown, end with OBJECT_LOST and are not made a second time", () => {
    const rig = new Rig();
    rig.open();
    resume(rig, { spec: spec(0, 3), segments: [storedOf(0, 0, [7, 8])] });
    rig.ask({ t: "stages", session, client, stages: [spec(1, 3, [{ a: "stage", stage: 0, edge: "one-to-one" }])] });
    register(rig, w1, [{ stage: 0, task: 1, seed: 9 }]);
    runAll(rig, w1, rig.commands.slice());
    for (let i = 0; i < 31; i++) {
      rig.pass(2_000);
      rig.heartbeat(w1);
      if (i === 28) expect(failuresOf(rig, 0)).toEqual([]);
    }
    expect(leasesIn(rig.commands).map((l) => [l.stage, l.from, l.to])).toEqual([
      [0, 2, 3],
      [1, 2, 3],
    ]);
    expect(failuresOf(rig, 0)).toEqual(["0-1 OBJECT_LOST", "1-2 OBJECT_LOST"]);
    expect(failuresOf(rig, 1)).toEqual(["0-1 UPSTREAM_FAILED", "1-2 UPSTREAM_FAILED"]);
  });
});

test("a pure result that nobody holds any more is made again where what made it is known, and must be what was shown", () => {
  const rig = new Rig();
  rig.open();
  const pure = spec(0, 3, [], { pure: true });
  rig.join(w1);
  resume(rig, { spec: pure, segments: [storedOf(0, 0, [7, 8])] });
  runAll(rig, w1, rig.commands.slice());
  rig.commands.length = 0;
  for (let ms = 0; ms < 17_000; ms += 1_000) {
    rig.pass(1_000);
    rig.heartbeat(w1);
  }
  const again = leasesIn(rig.commands).filter(({ from }) => from < 2);
  expect(again.length).toBeGreaterThan(0);
  expect(failuresOf(rig, 0)).toEqual([]);
  runAll(rig, w1, rig.commands.slice(), (lease) => stored(lease, 7));
  expect(failuresOf(rig, 0)).toEqual(["1-2 NONDETERMINISTIC"]);
});

test("a large result that a worker told of is found although another call of the same content has none", () => {
  const rig = new Rig();
  rig.open();
  const pure = spec(0, 1, [], { pure: true });
  const theirs = "theirs" as JobId;
  rig.ask({ t: "open", client: "other" as ClientId, session: theirs, tenant, version: PROTOCOL_VERSION });
  rig.ask({ t: "stages", session: theirs, client: "other" as ClientId, stages: [pure] });
  const base = rig.state.jobs.get(theirs)?.stages.get(0)?.base as ObjectBase;
  resume(rig, { spec: pure, base, segments: [storedOf(0, 0, [7])] });
  const id = objectIdOf(base, 0);
  rig.receive({
    t: "register",
    worker: w1,
    node: "n",
    pid: 1,
    version: PROTOCOL_VERSION,
    slots: 1,
    storeBudgetBytes: 1e9,
    leases: [],
    objects: [{ id, bytes: 1e6, kind: 2, digest: digestOf(7) }],
  });
  expect(rig.ask({ t: "locate", ids: [id] })).toMatchObject({ locations: [{ state: "ready", workers: [w1] }] });
});

test.each(["before", "after"])(
  "a large result is found where another session's call of the same content has it, committed %s it is asked for",
  (when) => {
    const rig = new Rig();
    rig.open();
    const pure = spec(0, 1, [], { pure: true });
    const theirs = "theirs" as JobId;
    rig.ask({ t: "open", client: "other" as ClientId, session: theirs, tenant, version: PROTOCOL_VERSION });
    rig.ask({ t: "stages", session: theirs, client: "other" as ClientId, stages: [pure] });
    const base = rig.state.jobs.get(theirs)?.stages.get(0)?.base as ObjectBase;
    const told = () => resume(rig, { spec: pure, base, segments: [storedOf(0, 0, [7])] });
    if (when === "after") told();
    runAll(rig, w1, rig.join(w1), (lease) => stored(lease, 7));
    if (when === "before") told();
    for (let ms = 0; ms < 17_000; ms += 1_000) {
      rig.pass(1_000);
      rig.heartbeat(w1);
    }
    expect(failuresOf(rig, 0)).toEqual([]);
    expect(rig.state.jobs.get(session)?.stages.get(0)?.results.at(0)?.r).toBe("stored");
  },
);

test("another session's call of the same content that was cancelled is not waited for by who names the result", () => {
  const rig = new Rig();
  rig.open();
  const pure = spec(0, 1, [], { pure: true });
  const theirs = "theirs" as JobId;
  rig.ask({ t: "open", client: "other" as ClientId, session: theirs, tenant, version: PROTOCOL_VERSION });
  rig.ask({ t: "stages", session: theirs, client: "other" as ClientId, stages: [pure] });
  const base = rig.state.jobs.get(theirs)?.stages.get(0)?.base as ObjectBase;
  rig.ask({ t: "cancel", job: theirs, stage: 0, from: 0, to: 1 });
  resume(rig, { spec: pure, base, segments: [storedOf(0, 0, [7])] });
  rig.ask({ t: "stages", session, client, stages: [spec(1, 1, [{ a: "object", id: objectIdOf(base, 0) }])] });
  rig.join(w1);
  rig.receive({
    t: "objects",
    worker: w1,
    epoch: rig.state.epoch,
    seq: 1,
    added: [{ id: objectIdOf(base, 0), bytes: 1e6, kind: 2, digest: digestOf(7) }],
    removed: [],
  });
  expect(leasesIn(rig.commands).map((lease) => lease.stage)).toEqual([1]);
});

describe("a stage that has ended", () => {
  test("of which not all is said ends with SESSION_LOST where it is not, and nothing of it runs, neither now nor after a loss", () => {
    const rig = new Rig();
    register(rig, w1, [{ stage: 0, task: 1, seed: 7 }]);
    rig.open();
    resume(rig, {
      spec: spec(0, 3, [], { pure: true }),
      base: stageBaseOf(session, 0),
      segments: [storedOf(0, 1, [7])],
    });
    expect(failuresOf(rig, 0)).toEqual(["0-1 SESSION_LOST", "2-3 SESSION_LOST"]);
    rig.receive({ t: "objects", worker: w1, epoch: rig.state.epoch, seq: 1_001, added: [], removed: [idOf(0, 1)] });
    expect(rig.ask({ t: "locate", ids: [idOf(0, 1)] })).toMatchObject({
      locations: [{ state: "failed", error: { code: "OBJECT_LOST" } }],
    });
    expect(leasesIn(rig.commands)).toEqual([]);
  });

  test("and is pure serves its own session, and nobody else: another's equal call is executed", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.open();
    const pure = spec(0, 1, [], { pure: true });
    rig.ask({ t: "stages", session, client, stages: [pure] });
    const { base } = one(leasesIn(runAll(rig, w1, rig.commands.slice())));
    const other = new Rig();
    other.join(w1);
    other.open();
    resume(other, { spec: pure, base, segments: [inlineOf(0, 0, ["said"])] });
    const theirs = "theirs" as JobId;
    other.ask({ t: "open", client: "other" as ClientId, session: theirs, tenant, version: PROTOCOL_VERSION });
    other.ask({ t: "stages", session: theirs, client: "other" as ClientId, stages: [pure] });
    const lease = one(leasesIn(other.commands));
    expect([lease.job, lease.base]).toEqual([theirs, base]);
    expect(other.ask({ t: "locate", ids: [objectIdOf(base, 0)] })).toMatchObject({ locations: [{ state: "pending" }] });
    other.commit(w1, [fill(lease)], { done: [lease.lease] });
    const location = other.ask({ t: "locate", ids: [objectIdOf(base, 0)] });
    const inline = location?.t === "located" ? location.locations[0]?.inline : undefined;
    expect(inline && decodeValue({ kind: 1, data: inline })).toBe(0);
  });
});

test("a session that is not known is told so", () => {
  const rig = new Rig();
  expect(resume(rig, { spec: spec(0, 1) })).toMatchObject({ t: "error", error: { code: "JOB_NOT_FOUND" } });
});

test("a cancel is answered with what it did", () => {
  const rig = new Rig();
  rig.join(w1);
  rig.open();
  rig.ask({ t: "stages", session, client, stages: [spec(0, 4), spec(1, 1)] });
  const cancel = (stage: number, from: number, to: number) => rig.ask({ t: "cancel", job: session, stage, from, to });
  expect(cancel(7, 0, 1)).toMatchObject({ t: "cancelled", known: false, tasks: 0 });
  expect(cancel(0, 1, 3)).toMatchObject({ t: "cancelled", known: true, tasks: 2 });
  expect(cancel(0, 0, 4)).toMatchObject({ t: "cancelled", known: true, tasks: 2 });
  expect(cancel(0, 0, 4)).toMatchObject({ t: "cancelled", known: true, tasks: 0 });
  rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [], released: [0] });
  expect(cancel(0, 0, 4)).toMatchObject({ t: "cancelled", known: true, tasks: 0 });
  runAll(rig, w1, rig.commands.slice(), stored);
});
