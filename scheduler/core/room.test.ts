/**
 * What can never fit into a worker's object store is refused at once; what fits into some goes there; what fits later
 * waits, and says so.
 */
import { describe, expect, test } from "vitest";
import type { Epoch, LeaseId } from "../../proto/ids.js";
import type { ArgSpec } from "../../proto/messages/stage.js";
import type { Commit, Lease } from "../../proto/messages/worker.js";
import { client, leasesIn, one, Rig, runAll, session, spec, updatesIn, w1, w2 } from "../../sim/core-rig.js";
import { createState } from "./index.js";

const MB = 1_000_000;
const stored = (lease: Lease, bytes: number): Commit => ({
  lease: lease.lease,
  segment: {
    r: "stored",
    stage: lease.stage,
    from: lease.from,
    to: lease.to,
    stored: Array.from({ length: lease.to - lease.from }, () => ({
      bytes,
      kind: 3,
      digest: new Uint8Array(16).fill(lease.stage),
    })),
  },
  slotTimeUs: 1_000,
});
const list = (...stages: number[]): ArgSpec => ({
  a: "list",
  of: stages.map((stage) => ({ a: "task" as const, stage, task: 0 })),
});
const failures = (rig: Rig): unknown[] => updatesIn(rig.commands).filter((s) => s.r === "failed");

function rigOf(storeBudgetBytes: number): Rig {
  const rig = new Rig();
  rig.join(w1, 1, { storeBudgetBytes });
  rig.open();
  return rig;
}

describe("inputs", () => {
  const cases: Record<string, ArgSpec[]> = {
    "of a list": [list(0, 1)],
    "of two arguments": [
      { a: "task", stage: 0, task: 0 },
      { a: "stage", stage: 1, edge: "one-to-one" },
    ],
    "of a whole stage": [{ a: "stage", stage: 2, edge: "all" }],
  };
  test.each(Object.keys(cases))(
    "%s that are together larger than every store fail their task at once, with both figures",
    (name) => {
      const rig = rigOf(64 * MB);
      rig.ask({ t: "stages", session, client, stages: [spec(0, 1), spec(1, 1), spec(2, 2)] });
      runAll(rig, w1, rig.commands.slice(), (lease) => stored(lease, 40 * MB));
      const before = rig.commands.length;
      rig.ask({ t: "stages", session, client, stages: [spec(3, 1, cases[name])] });
      expect(leasesIn(rig.commands.slice(before))).toEqual([]);
      expect(failures(rig)).toMatchObject([
        { stage: 3, error: { code: "OUT_OF_MEMORY", details: { neededBytes: 80 * MB, storeBytes: 64 * MB } } },
      ]);
    },
  );

  test("that one worker has room for go to that one, and others are not held up meanwhile", () => {
    const rig = rigOf(64 * MB);
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1), spec(1, 1)] });
    runAll(rig, w1, rig.commands.slice(), (lease) => stored(lease, 40 * MB));
    rig.join(w2, 1, { storeBudgetBytes: 100 * MB });
    // The larger worker is busy.
    rig.ask({ t: "stages", session, client, stages: [spec(2, 2)] });
    const [busyOne, busyTwo] = leasesIn(rig.commands).slice(-2) as [Lease, Lease];
    rig.commit(w1, [stored(busyOne, 10)], { done: [busyOne.lease] });
    const before = rig.commands.length;
    rig.ask({ t: "stages", session, client, stages: [spec(3, 1, [list(0, 1)]), spec(4, 1)] });
    expect(leasesIn(rig.commands.slice(before)).map((l) => l.stage)).toEqual([4]);
    rig.commit(w2, [stored(busyTwo, 10)], { done: [busyTwo.lease] });
    const large = one(leasesIn(rig.commands.slice(before)).filter((l) => l.stage === 3));
    expect(rig.state.workers.get(w2)?.leases.has(large.lease)).toBe(true);
    expect(failures(rig)).toEqual([]);
  });

  test("of the tasks of one lease fit together: a lease is cut to what its worker's store can hold", () => {
    const rig = rigOf(64 * MB);
    rig.ask({ t: "stages", session, client, stages: [spec(0, 8)] });
    runAll(rig, w1, rig.commands.slice(), (lease) => stored(lease, 20 * MB));
    const before = rig.commands.length;
    rig.ask({ t: "stages", session, client, stages: [spec(1, 8, [{ a: "stage", stage: 0, edge: "one-to-one" }])] });
    const all = runAll(rig, w1, rig.commands.slice(before), (lease) => stored(lease, 10));
    for (const lease of leasesIn(all)) expect(lease.to - lease.from).toBeLessThanOrEqual(3);
    expect(updatesIn(all).reduce((sum, s) => sum + s.to - s.from, 0)).toBe(8);
  });
});

const outOfRoom = (lease: Lease, neededBytes: number): Commit => ({
  lease: lease.lease,
  segment: {
    r: "failed",
    stage: lease.stage,
    from: lease.from,
    to: lease.to,
    error: { code: "OUT_OF_MEMORY", message: "no", details: { neededBytes, storeBytes: 64 * MB } },
  },
  slotTimeUs: 1_000,
});

describe("a result", () => {
  test("larger than every store fails its task after one execution", () => {
    const rig = rigOf(64 * MB);
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    rig.commit(w1, [outOfRoom(one(leasesIn(rig.commands)), 65 * MB)]);
    rig.pass(60_000);
    expect(leasesIn(rig.commands)).toHaveLength(1);
    expect(failures(rig)).toMatchObject([
      { error: { code: "OUT_OF_MEMORY", details: { neededBytes: 65 * MB, storeBytes: 64 * MB } } },
    ]);
  });

  test("that a larger worker has room for is made again there", () => {
    const rig = rigOf(64 * MB);
    rig.join(w2, 1, { storeBudgetBytes: 100 * MB });
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    rig.commit(w1, [outOfRoom(one(leasesIn(rig.commands)), 65 * MB)]);
    for (let i = 0; i < 20; i++) {
      rig.pass(100);
      for (const worker of [w1, w2]) rig.heartbeat(worker);
    }
    const again = leasesIn(rig.commands)[1] as Lease;
    expect(rig.state.workers.get(w2)?.leases.has(again.lease)).toBe(true);
    rig.commit(w2, [stored(again, 65 * MB)]);
    expect(failures(rig)).toEqual([]);
  });

  test("that finds no room now is tried again, as what it is: no fault of the function", () => {
    const rig = rigOf(64 * MB);
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    const lease = one(leasesIn(rig.commands));
    const error = { code: "OUT_OF_MEMORY" as const, message: "the spill folder is full" };
    rig.commit(w1, [
      { lease: lease.lease, segment: { r: "failed", stage: 0, from: 0, to: 1, error }, slotTimeUs: 1_000 },
    ]);
    expect(failures(rig)).toEqual([]);
    rig.pass(1_000);
    expect(leasesIn(rig.commands)).toHaveLength(2);
  });
});

test("a lease that is given back again and again ends with the worker's own reason", () => {
  const rig = rigOf(64 * MB);
  rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
  for (let i = 0; i < 30; i++) {
    const lease = leasesIn(rig.commands).at(-1) as Lease;
    const error = { code: "OUT_OF_MEMORY" as const, message: "no room within 30000 ms" };
    if (rig.state.leases.has(lease.lease))
      rig.commit(w1, [], { back: [{ lease: lease.lease, from: 0, to: 1, error }], done: [lease.lease] });
    for (let ms = 0; ms < 40_000 && !rig.state.leases.size; ms += 1_000) {
      rig.pass(1_000);
      rig.heartbeat(w1);
      rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [], released: [] });
    }
  }
  expect(failures(rig)).toMatchObject([{ error: { code: "OUT_OF_MEMORY", message: "no room within 30000 ms" } }]);
});

describe("a put", () => {
  test("that finds no worker is told when they may be on their way from the scheduler before", () => {
    const asked = (rig: Rig): unknown => {
      rig.open();
      const reply = rig.ask({ t: "place", bytes: 1 });
      return reply?.t === "error" ? [reply.error.code, reply.error.details] : reply;
    };
    expect(asked(new Rig())).toEqual(["NO_WORKERS", undefined]);
    const restarted = new Rig(createState({ epoch: 2 as Epoch }));
    expect(asked(restarted)).toEqual(["NO_WORKERS", { joiningMs: 10_000 }]);
    for (let ms = 0; ms < 10_000; ms += 1_000) restarted.pass(1_000);
    expect(asked(restarted)).toEqual(["NO_WORKERS", undefined]);
  });

  test("that no store can hold is refused before a byte is sent", () => {
    const rig = rigOf(64 * MB);
    expect(rig.ask({ t: "place", bytes: 65 * MB })).toMatchObject({
      t: "error",
      error: { code: "OUT_OF_MEMORY", details: { storeBytes: 64 * MB } },
    });
    rig.join(w2, 1, { storeBudgetBytes: 100 * MB });
    expect(rig.ask({ t: "place", bytes: 65 * MB })).toMatchObject({ t: "placed", worker: w2 });
  });
});

test("explain tells a lease that waits for room, or for its inputs, from one that is behind others", () => {
  const rig = rigOf(64 * MB);
  rig.ask({ t: "stages", session, client, stages: [spec(0, 2)] });
  const lease = leasesIn(rig.commands)[0] as Lease;
  const explained = (task: number): unknown => {
    const reply = rig.ask({ t: "explain", job: session, stage: 0, task });
    return reply?.t === "explanation" ? reply.explanation.reason : reply;
  };
  const held = (waits?: "inputs" | "memory") => [
    { lease: lease.lease as LeaseId, next: 0, to: lease.to, running: false, ...(waits ? { waits } : {}) },
  ];
  rig.heartbeat(w1, held("memory"));
  expect(explained(0)).toBe("no-room");
  rig.heartbeat(w1, held("inputs"));
  expect(explained(0)).toBe("fetching-inputs");
  rig.heartbeat(w1, held());
  expect(explained(0)).toBe("behind-in-lease");
});
