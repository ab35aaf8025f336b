/**
 * Two processes under one name, deaths and what is given a strike for them, and processes that were called dead and are
 * not.
 */
import { describe, expect, test } from "vitest";
import type { BundleId, Epoch, Instance, JobId, LeaseId, ObjectId, SchedulerStart, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { WorkerRequestOf } from "../../proto/messages/worker.js";
import { client, fill, leasesIn, one, Rig, session, spec, stored, updatesIn, w1, w2 } from "../../sim/core-rig.js";
import { applyRecord, type Command, createState } from "./index.js";

const first = "first" as Instance;
const second = "second" as Instance;
const lostMs = limits.heartbeatTimeoutMs + 600;
const verdictMs = 3 * limits.heartbeatTimeoutMs + 200;

const refusals = (commands: readonly Command[]) =>
  commands.flatMap((c) =>
    c.c === "command" && c.command.o === "refused" ? [{ to: c.instance, code: c.command.error.code }] : [],
  );
const heartbeatOf = (rig: Rig, worker: WorkerId, instance: Instance): WorkerRequestOf<"heartbeat"> => ({
  t: "heartbeat",
  worker,
  instance,
  epoch: rig.state.epoch,
  leases: [],
  slotsBusy: 0,
  storeBytes: 0,
  spilledBytes: 0,
  draining: false,
});
const running = (lease: { lease: LeaseId; from: number; to: number }) => [
  { lease: lease.lease, next: lease.from, to: lease.to, running: true },
];
const strikesOf = (rig: Rig, task: number): number =>
  rig.state.jobs.get(session)?.stages.get(0)?.failureRecords.get(task)?.strikes ?? 0;

function scene(count = 1): Rig {
  const rig = new Rig();
  rig.open();
  rig.ask({ t: "stages", session, client, stages: [spec(0, count)] });
  return rig;
}

describe("a process under a name that is taken", () => {
  test("is the worker from its hello on: what the one before had is free at once, and its reports are counted from their own first", () => {
    const rig = scene();
    const lease = one(leasesIn(rig.join(w1, 1, { instance: first })));
    for (let seq = 0; seq < 5; seq++) rig.commit(w1, [], { seq });
    const again = one(leasesIn(rig.join(w1, 1, { instance: second })));
    expect([again.from, again.attempt]).toEqual([lease.from, 2]);
    expect(updatesIn(rig.commit(w1, [fill(again)], { seq: 0, done: [again.lease] }))).toHaveLength(1);
  });

  test("the one before is told so and can change nothing; the other hears none of it", () => {
    const rig = scene();
    const lease = one(leasesIn(rig.join(w1, 1, { instance: first })));
    const again = one(leasesIn(rig.join(w1, 1, { instance: second })));
    const late = rig.receive({
      t: "commits",
      worker: w1,
      instance: first,
      epoch: rig.state.epoch,
      seq: 0,
      commits: [fill(lease)],
      done: [again.lease],
      back: [],
    });
    expect(updatesIn(late)).toEqual([]);
    expect(refusals(late)).toEqual([{ to: first, code: "SUPERSEDED" }]);
    expect(late.flatMap((c) => (c.c === "command" ? [c.instance] : []))).not.toContain(second);
    expect(refusals(rig.receive(heartbeatOf(rig, w1, first)))).toEqual([{ to: first, code: "SUPERSEDED" }]);
    const byes = rig.receive({ t: "deregister", worker: w1, instance: first, epoch: rig.state.epoch });
    expect(refusals(byes)).toHaveLength(1);
    expect(rig.state.workers.get(w1)?.instance).toBe(second);
    expect(updatesIn(rig.commit(w1, [fill(again)], { seq: 0 }))).toHaveLength(1);
  });

  test("the one before cannot take the name back while the other has it", () => {
    const rig = scene();
    rig.join(w1, 1, { instance: first });
    rig.join(w1, 1, { instance: second });
    expect(refusals(rig.join(w1, 1, { instance: first }))).toEqual([{ to: first, code: "SUPERSEDED" }]);
    expect(rig.state.workers.get(w1)?.instance).toBe(second);
    rig.receive({ t: "deregister", worker: w1, instance: second, epoch: rig.state.epoch });
    rig.join(w1, 1, { instance: first });
    expect(rig.state.workers.get(w1)?.instance).toBe(first);
  });

  test("commands say for which process they are, acknowledgements that waited for the journal too", () => {
    const rig = scene();
    rig.join(w1, 1, { instance: first });
    const out = [...rig.commit(w1, [], { seq: 5 }), ...rig.join(w1, 1, { instance: second })];
    const acks = out.flatMap((c) => (c.c === "command" && c.command.o === "ack" ? [c.instance] : []));
    expect(acks).toEqual([first]);
  });
});

describe("strike", () => {
  test("three deaths while it was executing end a task; three restarts of a worker under its own name are three deaths", () => {
    const rig = scene();
    for (let i = 0; i < 4; i++) {
      const [lease] = leasesIn(rig.join(w1, 1, { instance: `process-${i}` as Instance }));
      if (lease) rig.heartbeat(w1, running(lease));
    }
    expect(leasesIn(rig.commands)).toHaveLength(3);
    expect(rig.ask({ t: "explain", job: session, stage: 0, task: 0 })).toMatchObject({
      explanation: { state: "retrying", reason: "verdict" },
    });
    expect(updatesIn(rig.pass(verdictMs)).map((s) => (s.r === "failed" ? s.error.code : s.r))).toEqual([
      "TASK_QUARANTINED",
    ]);
  });

  test("a worker that comes back was cut off, not dead: its strikes are taken back", () => {
    const rig = scene();
    for (let i = 0; i < 3; i++) {
      const worker = `cut${i}` as WorkerId;
      const lease = one(leasesIn(rig.join(worker, 1, { instance: `process-${i}` as Instance })));
      rig.heartbeat(worker, running(lease));
      rig.pass(lostMs);
      expect(strikesOf(rig, 0)).toBe(i + 1);
    }
    rig.join("cut1" as WorkerId, 1, { instance: "process-1" as Instance });
    expect(strikesOf(rig, 0)).toBe(2);
    rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [], released: [] });
    const out = rig.pass(verdictMs);
    expect(updatesIn(out)).toEqual([]);
    expect(one(leasesIn(rig.join(w2))).attempt).toBe(4);
  });

  test("a process that lost its name to another, and lives, is charged to nobody", () => {
    const rig = scene();
    const lease = one(leasesIn(rig.join(w1, 1, { instance: first })));
    rig.heartbeat(w1, running(lease));
    rig.join(w1, 1, { instance: second });
    expect(strikesOf(rig, 0)).toBe(1);
    rig.receive(heartbeatOf(rig, w1, first));
    expect(strikesOf(rig, 0)).toBe(0);
    rig.receive(heartbeatOf(rig, w1, first));
    expect(strikesOf(rig, 0)).toBe(0);
  });

  test("a deregistration is no death", () => {
    const rig = scene();
    const lease = one(leasesIn(rig.join(w1, 1, { instance: first })));
    rig.heartbeat(w1, running(lease));
    rig.receive({ t: "deregister", worker: w1, instance: first, epoch: rig.state.epoch });
    expect(strikesOf(rig, 0)).toBe(0);
  });

  test("a lease that fetches its code or its inputs is not executing, until its worker says so", () => {
    for (const starts of [false, true]) {
      const rig = new Rig();
      rig.open();
      rig.join(w2, 1);
      rig.ask({ t: "stages", session, client, stages: [spec(0, 1, [], { pure: true })] });
      rig.commit(w2, [stored(one(leasesIn(rig.commands)))]);
      rig.join(w1, 1, { instance: first });
      rig.commands.length = 0;
      rig.ask({ t: "stages", session, client, stages: [spec(1, 2, [{ a: "stage", stage: 0, edge: "broadcast" }])] });
      const lease = leasesIn(rig.commands).find((one) => rig.state.leases.get(one.lease)?.worker.id === w1);
      if (!lease) throw new Error("w1 has no lease");
      expect(lease.heartbeatAtStart).toBe(true);
      if (starts) rig.heartbeat(w1, running(lease));
      for (let i = 0; i < 6; i++) {
        rig.heartbeat(w2);
        rig.pass(1_000);
      }
      expect(rig.state.workers.has(w1)).toBe(false);
      expect(rig.state.jobs.get(session)?.stages.get(1)?.failureRecords.get(lease.from)?.strikes ?? 0).toBe(
        starts ? 1 : 0,
      );
    }
  });

  test("code that a worker has executed need not be told of again, code it has not must be", () => {
    const rig = new Rig();
    rig.open();
    rig.join(w1, 1);
    const fn = { bundle: "a".repeat(64) as BundleId, export: "f" };
    const stage = (index: number) => ({ ...spec(index, 1), fn });
    rig.ask({ t: "stages", session, client, stages: [stage(0)] });
    const fetching = one(leasesIn(rig.commands));
    expect(fetching.heartbeatAtStart).toBe(true);
    rig.commit(w1, [fill(fetching)], { done: [fetching.lease] });
    rig.commands.length = 0;
    rig.ask({ t: "stages", session, client, stages: [stage(1)] });
    expect(one(leasesIn(rig.commands)).heartbeatAtStart).toBeUndefined();
  });
});

describe("another start of the scheduler", () => {
  const started = (epoch: number, start: string): Rig => {
    const state = createState({ epoch: 0 as Epoch });
    applyRecord(state, { k: "epoch", epoch: epoch as Epoch, start: start as SchedulerStart });
    return new Rig(state);
  };

  test("gives its leases other ids, though it has the same epoch: results of the one before commit nothing", () => {
    const rigs = [started(5, "aaaaaaaa"), started(5, "bbbbbbbb")] as const;
    const leases = rigs.map((rig) => {
      rig.open();
      rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
      return one(leasesIn(rig.join(w1, 1, { instance: first })));
    });
    expect(leases[0]?.lease).not.toBe(leases[1]?.lease);
    const [, later] = rigs;
    expect(updatesIn(later.commit(w1, [fill(leases[0] as (typeof leases)[number])]))).toEqual([]);
    expect(later.count("commits_stale_refused")).toBe(1);
  });

  test("notices a worker that has followed what this journal knows nothing of", () => {
    const outranked = (followed: { epoch: number; start: string }): number[] => {
      const rig = started(5, "bbbbbbbb");
      const out = rig.join(w1, 1, {
        instance: first,
        followed: followed as WorkerRequestOf<"register">["followed"] & object,
      });
      return out.flatMap((c) => (c.c === "outranked" ? [c.epoch] : []));
    };
    expect(outranked({ epoch: 4, start: "zzzzzzzz" })).toEqual([]);
    expect(outranked({ epoch: 5, start: "bbbbbbbb" })).toEqual([]);
    expect(outranked({ epoch: 5, start: "aaaaaaaa" })).toEqual([5]);
    expect(outranked({ epoch: 9, start: "aaaaaaaa" })).toEqual([9]);
  });
});

describe("reports that come in another order than they were made", () => {
  test("what an older report says is gone, and a later one has made anew, is there", () => {
    const rig = new Rig();
    rig.open();
    rig.join(w1, 2);
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    const lease = one(leasesIn(rig.commands));
    const id = `s${session as JobId}_0-0` as ObjectId;
    rig.commit(w1, [stored(lease)], { seq: 2 });
    rig.receive({ t: "objects", worker: w1, epoch: rig.state.epoch, seq: 1, added: [], removed: [id] });
    expect(rig.state.holders.get(id)?.has(w1)).toBe(true);
    rig.receive({ t: "objects", worker: w1, epoch: rig.state.epoch, seq: 3, added: [], removed: [id] });
    expect(rig.state.holders.has(id)).toBe(false);
  });
});
