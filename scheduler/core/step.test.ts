/**
 * The core by hand: a scripted client and scripted workers, no clock and no network. Each test checks the invariants
 * after every step. The wide search through commands and faults is the simulation's (sim).
 */
import { describe, expect, test } from "vitest";
import type { Epoch, JobId, LeaseId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientRequest } from "../../proto/messages/client.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import type { Lease } from "../../proto/messages/worker.js";
import {
  client,
  failed,
  fill,
  inline,
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
import { applyRecord, createState, restore, snapshot } from "./index.js";

describe("sessions", () => {
  test("a stage is leased in ranges, committed, and told to its client", () => {
    const rig = new Rig();
    rig.join(w1, 2);
    rig.open();
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1_000)] });
    const all = runAll(rig, w1, rig.commands.slice());
    const told = updatesIn(all).sort((a, b) => a.from - b.from);
    expect(told[0]?.from).toBe(0);
    expect(told.at(-1)?.to).toBe(1_000);
    for (let i = 1; i < told.length; i++) expect(told[i]?.from).toBe(told[i - 1]?.to);
    expect(rig.records).toEqual([]);
  });

  test("the same stage again changes nothing (M1), and its results are sent again when the client's heartbeat lists it (M5)", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.open();
    const stages = [spec(0, 1)];
    rig.ask({ t: "stages", session, client, stages });
    const lease = one(leasesIn(rig.commands));
    rig.ask({ t: "stages", session, client, stages });
    expect(leasesIn(rig.commands)).toHaveLength(1);
    rig.commit(w1, [fill(lease)]);
    rig.pass(2_000);
    rig.heartbeat(w1);
    rig.commands.length = 0;
    rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [0, 7], released: [] });
    expect(updatesIn(rig.commands).map((s) => [s.r, s.stage, s.to])).toEqual([
      ["inline", 0, 1],
      ["failed", 7, 0],
    ]);
  });

  test("of a stage that is settled in part only what the heartbeat names is sent again, and nothing where nothing is missing that is there (M5)", () => {
    const rig = new Rig();
    rig.join(w1, 2);
    rig.open();
    rig.ask({ t: "stages", session, client, stages: [spec(0, 400)] });
    // All but the first task, which takes its time.
    for (let leases = leasesIn(rig.commands); leases.length > 0; ) {
      const out = leases.flatMap((lease) =>
        lease.from > 0 ? rig.commit(w1, [fill(lease)], { done: [lease.lease] }) : [],
      );
      leases = leasesIn(out);
    }
    const { epoch } = rig.state;
    const asked = (gaps: [number, number[]][]): [number, number][] => {
      rig.pass(61_000 - (rig.now % 1_000));
      rig.join(w1, 2);
      rig.commands.length = 0;
      rig.ask({ t: "heartbeat", client, session, epoch, waiting: [0], gaps, released: [] });
      return updatesIn(rig.commands).map((segment) => [segment.from, segment.to]);
    };
    expect(asked([[0, [0, 1]]])).toEqual([]);
    const ranges = asked([[0, [0, 1, 150, 160, 390, 1_000]]]);
    expect(ranges.reduce((sum, [from, to]) => sum + to - from, 0)).toBe(20);
    expect(ranges[0]?.[0]).toBe(150);
    expect(ranges.at(-1)?.[1]).toBe(400);
  });

  test("one-to-one lets task i go when task i is done; all waits for every task", () => {
    const rig = new Rig();
    rig.join(w1, 4);
    rig.open();
    rig.ask({
      t: "stages",
      session,
      client,
      stages: [
        spec(0, 3),
        spec(1, 3, [{ a: "stage", stage: 0, edge: "one-to-one" }]),
        spec(2, 1, [{ a: "stage", stage: 1, edge: "all" }]),
      ],
    });
    const first = leasesIn(rig.commands).filter((l) => l.from === 1);
    const out = rig.commit(w1, [fill(one(first))]);
    const next = leasesIn(out).filter((l) => l.stage === 1);
    expect(next.map((l) => [l.from, l.to])).toEqual([[1, 2]]);
    expect(next[0]?.inputs.map((i) => i.id)).toEqual([`s${session}_0-1`]);
    const all = runAll(
      rig,
      w1,
      rig.commands.filter(
        (c) =>
          c.c === "command" && c.command.o === "lease" && !(c.command.lease.stage === 0 && c.command.lease.from === 1),
      ),
    );
    expect(leasesIn(all).filter((l) => l.stage === 2)).toHaveLength(1);
    expect(updatesIn(all).some((s) => s.stage === 2)).toBe(true);
  });

  test("a failure takes down what depends on it and nothing else", () => {
    const rig = new Rig();
    rig.join(w1, 2);
    rig.open();
    rig.ask({
      t: "stages",
      session,
      client,
      stages: [spec(0, 1), spec(1, 1), spec(2, 1, [{ a: "task", stage: 0, task: 0 }])],
    });
    const [a] = leasesIn(rig.commands);
    const out = rig.commit(w1, [failed(a as Lease)]);
    expect(updatesIn(out).map((s) => (s.r === "failed" ? [s.stage, s.error.code] : s.r))).toEqual([
      [0, "TASK_FAILED"],
      [2, "UPSTREAM_FAILED"],
    ]);
  });

  test("released stages are forgotten when nothing needs them (I7), and their objects freed", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.open();
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    rig.commit(w1, [stored(one(leasesIn(rig.commands)))]);
    rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [], released: [0] });
    expect(rig.state.jobs.get(session)?.stages.size).toBe(0);
    expect(rig.commands.some((c) => c.c === "command" && c.command.o === "free")).toBe(true);
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    expect(rig.state.jobs.get(session)?.stages.size).toBe(0);
  });

  test("a session whose client falls silent ends, with everything it held", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.open();
    rig.ask({ t: "stages", session, client, stages: [spec(0, 100)] });
    const silence = (ms: number): void => {
      for (let left = ms; left > 0; left -= 1_000) {
        rig.pass(1_000);
        rig.heartbeat(w1);
      }
    };
    silence(limits.sessionTimeoutMs - 1_000);
    expect(rig.state.jobs.size).toBe(1);
    silence(3_000);
    expect(rig.state.jobs.size).toBe(0);
    expect(rig.state.leases.size).toBe(0);
    expect(rig.state.queued).toBe(0);
  });
});

describe("exactly once", () => {
  test("a commit of another epoch is refused and counted (I2)", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.open();
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    const out = rig.commit(w1, [fill(one(leasesIn(rig.commands)))], { epoch: 0 });
    expect(updatesIn(out)).toEqual([]);
    expect(rig.count("commits_stale_refused")).toBe(1);
  });

  test("the same report twice is acknowledged twice and taken once (M2)", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.open();
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    const commit = fill(one(leasesIn(rig.commands)));
    expect(updatesIn(rig.commit(w1, [commit], { seq: 5 }))).toHaveLength(1);
    const again = rig.commit(w1, [commit], { seq: 5 });
    expect(updatesIn(again)).toEqual([]);
    expect(again.filter((c) => c.c === "command" && c.command.o === "ack")).toHaveLength(1);
  });

  test("a worker given up for lost commits nothing; its task's second attempt does", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.open();
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    const lease = one(leasesIn(rig.commands));
    rig.pass(limits.heartbeatTimeoutMs + 600);
    const second = one(leasesIn(rig.join(w2)));
    expect(second.attempt).toBe(2);
    expect(updatesIn(rig.commit(w1, [inline(lease, ["old"])]))).toEqual([]);
    expect(updatesIn(rig.commit(w2, [inline(second, ["new"])]))).toHaveLength(1);
    expect(rig.count("commits_stale_refused")).toBe(1);
  });

  test("a lost lease message is sent again after a heartbeat that does not list it (M4); an unknown lease is stopped", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.open();
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    const lease = one(leasesIn(rig.commands));
    rig.pass(2_000);
    const out = rig.heartbeat(w1, [{ lease: "1.99" as LeaseId, next: 0, to: 1, running: true }]);
    expect(leasesIn(out)).toEqual([lease]);
    expect(out.flatMap((c) => (c.c === "command" && c.command.o === "cancel" ? [c.command.lease] : []))).toEqual([
      "1.99",
    ]);
  });
});

describe("failures", () => {
  test("the function's failures spend its retries, with backoff; infrastructure failures do not (I8)", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.open();
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1, [], { retries: 1 })] });
    let lease = one(leasesIn(rig.commands));
    for (const code of ["BUNDLE_NOT_FOUND", "TASK_FAILED", "BUNDLE_NOT_FOUND"] as const) {
      expect(updatesIn(rig.commit(w1, [failed(lease, code)]))).toEqual([]);
      rig.heartbeat(w1);
      lease = one(leasesIn(rig.pass(1_000)));
    }
    expect(lease.attempt).toBe(4);
    const end = one(updatesIn(rig.commit(w1, [failed(lease)])));
    expect(end.r === "failed" && end.error.code).toBe("TASK_FAILED");
  });

  test("a task that was executing on three workers that died is quarantined, its neighbours are not", () => {
    const rig = new Rig();
    rig.open();
    rig.ask({ t: "stages", session, client, stages: [spec(0, 3)] });
    const told: ResultSegment[] = [];
    for (let i = 0; i < 3; i++) {
      const worker = `d${i}` as WorkerId;
      const lease = one(leasesIn(rig.join(worker)));
      rig.heartbeat(worker, [{ lease: lease.lease, next: lease.from, to: lease.to, running: true }]);
      told.push(...updatesIn(rig.pass(limits.heartbeatTimeoutMs + 600)));
    }
    rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [], released: [] });
    // The last of them might still come back.
    expect(told).toEqual([]);
    told.push(...updatesIn(rig.pass(3 * limits.heartbeatTimeoutMs)));
    expect(told.map((s) => (s.r === "failed" ? [s.from, s.to, s.error.code] : s.r))).toEqual([
      [0, 1, "TASK_QUARANTINED"],
    ]);
    const all = runAll(rig, w1, rig.join(w1));
    expect(updatesIn(all).map((s) => s.r)).not.toContain("failed");
  });

  test("a lost pure result is made again; another content for it raises the alarm (I1)", () => {
    for (const seed of [1, 2]) {
      const rig = new Rig();
      rig.join(w1);
      rig.open();
      rig.ask({ t: "stages", session, client, stages: [spec(0, 1, [], { pure: true })] });
      rig.commit(w1, [stored(one(leasesIn(rig.commands)), 1)]);
      rig.pass(limits.heartbeatTimeoutMs + 600);
      const again = one(leasesIn(rig.join(w2)));
      const told = one(updatesIn(rig.commit(w2, [stored(again, seed)])));
      expect(told.r).toBe(seed === 1 ? "stored" : "failed");
      expect(rig.count("nondeterminism_alarms")).toBe(seed === 1 ? 0 : 1);
    }
  });
});

describe("durable jobs", () => {
  const submit = (job: string, stages: StageSpec[], key?: string): ClientRequest => ({
    t: "submit",
    job: job as JobId,
    client,
    tenant,
    name: "job",
    stages,
    outputs: [stages.length - 1],
    ...(key === undefined ? {} : { key }),
  });
  const pure = { pure: true };
  const graph = [spec(0, 40, [{ a: "index" }], pure), spec(1, 1, [{ a: "stage", stage: 0, edge: "all" }], pure)];
  const status = (rig: Rig, job: string) => {
    const reply = rig.ask({ t: "status", job: job as JobId });
    return reply?.t === "status" ? reply.status : undefined;
  };

  test("runs to its end with a digest, and the same content again executes nothing", () => {
    const rig = new Rig();
    rig.join(w1, 2);
    rig.ask(submit("a", graph));
    runAll(rig, w1, rig.commands.slice());
    expect(status(rig, "a")).toMatchObject({ state: "succeeded", executed: 41, reused: 0, digest: "digest-of-1" });
    rig.ask(submit("b", graph));
    expect(status(rig, "b")).toMatchObject({ state: "succeeded", executed: 0, reused: 41 });
  });

  test("acknowledgements and answers wait for the journal; leases do not", () => {
    const rig = new Rig();
    rig.join(w1);
    rig.ask(submit("a", [spec(0, 1)]));
    const submitted = rig.commands.find((c) => c.c === "reply" && c.message.t === "submitted");
    expect(submitted).toMatchObject({ gated: true });
    const lease = one(leasesIn(rig.commands));
    const out = rig.commit(w1, [fill(lease)]);
    expect(out.find((c) => c.c === "command" && c.command.o === "ack")).toMatchObject({ gated: true });
    expect(out.findIndex((c) => c.c === "record")).toBeLessThan(
      out.findIndex((c) => c.c === "command" && c.command.o === "ack"),
    );
  });

  test("a key gives the earlier job for the same graph, and a conflict for another", () => {
    const rig = new Rig();
    expect(rig.ask(submit("a", graph, "k"))).toMatchObject({ t: "submitted", job: "a", existed: false });
    expect(rig.ask(submit("b", graph, "k"))).toMatchObject({ t: "submitted", job: "a", existed: true });
    expect(rig.ask(submit("c", [spec(0, 2)], "k"))).toMatchObject({ t: "error", error: { code: "CONFLICT" } });
  });

  test("replaying every prefix of the records gives the snapshot that the writer had, and a restart goes on from there (I9)", () => {
    const rig = new Rig();
    rig.join(w1, 2);
    rig.ask(submit("a", [spec(0, 8, [], { retries: 2 }), spec(1, 8, [{ a: "stage", stage: 0, edge: "one-to-one" }])]));
    rig.ask(submit("c", [spec(0, 5)]));
    const [first, ...rest] = leasesIn(rig.commands);
    rig.commit(w1, [failed(first as Lease)]);
    for (const lease of rest) rig.commit(w1, [fill(lease)]);
    rig.ask({ t: "cancel", job: "c" as JobId });
    const replica = createState({ epoch: 1 as Epoch });
    for (const record of rig.records) {
      applyRecord(replica, record);
      expect(snapshot(restore(structuredClone(snapshot(replica))))).toEqual(snapshot(replica));
    }
    expect(snapshot(replica)).toEqual(snapshot(rig.state));
    applyRecord(replica, { k: "epoch", epoch: 2 as Epoch });
    const next = new Rig(replica);
    next.now = rig.now + 60_000;
    const committedBefore = status(next, "a")?.succeeded as number;
    expect(committedBefore).toBeGreaterThan(0);
    const all = runAll(next, w1, next.join(w1, 2));
    for (let i = 0; i < 5 && status(next, "a")?.state === "running"; i++)
      all.push(...runAll(next, w1, next.pass(1_000)), ...next.heartbeat(w1));
    expect(status(next, "a")).toMatchObject({ state: "succeeded", executed: 16 });
    expect(leasesIn(all).reduce((sum, l) => sum + l.to - l.from, 0)).toBe(16 - committedBefore);
  });

  test("a failed task ends the job, and its other leases are stopped", () => {
    const rig = new Rig();
    rig.join(w1, 2);
    rig.ask(submit("a", [spec(0, 10)]));
    const [lease] = leasesIn(rig.commands);
    const out = rig.commit(w1, [failed(lease as Lease)]);
    expect(status(rig, "a")).toMatchObject({ state: "failed", error: { code: "TASK_FAILED" } });
    expect(out.some((c) => c.c === "command" && c.command.o === "cancel")).toBe(true);
    expect(rig.state.leases.size).toBe(0);
  });
});

describe("explain", () => {
  test("every place a task can be in has a reason", () => {
    const rig = new Rig();
    rig.open();
    rig.ask({
      t: "stages",
      session,
      client,
      stages: [spec(0, 2, [], { retries: 1 }), spec(1, 1, [{ a: "stage", stage: 0, edge: "all" }])],
    });
    const why = (stage: number, task = 0) => {
      const reply = rig.ask({ t: "explain", job: session, stage, task });
      return reply?.t === "explanation" ? [reply.explanation.state, reply.explanation.reason] : reply;
    };
    expect(why(0)).toEqual(["queued", "no-workers"]);
    expect(why(1)).toEqual(["waiting", "inputs"]);
    const lease = one(leasesIn(rig.join(w1)));
    expect(why(0, 1)).toEqual(["queued", "no-free-slot"]);
    expect(why(0)).toEqual(["leased", "behind-in-lease"]);
    rig.heartbeat(w1, [{ lease: lease.lease, next: 0, to: 1, running: true }]);
    expect(why(0)).toEqual(["running", "executing"]);
    rig.commit(w1, [failed(lease)]);
    expect(why(0)).toEqual(["retrying", "backoff"]);
  });
});
