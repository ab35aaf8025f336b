import { describe, expect, test } from "vitest";
import type { Epoch, LeaseId, ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { SchedulerCommand } from "../../proto/messages/worker.js";
import { fc } from "../../proto/testing/drawn.js";
import { Harness, inline, kinds, leaseOf, sent } from "../../sim/worker-rig.js";
import type { WorkerCommand } from "./events.js";
import { checkWorkerInvariants, leasesRememberedMax } from "./state.js";
import { workerStep } from "./step.js";

describe("joining", () => {
  test("hello is sent at once and again until it is answered, then heartbeats follow", () => {
    const h = new Harness();
    expect(sent(h.do({ e: "start" }))).toMatchObject([{ t: "register", worker: "w1", slots: 2 }]);
    expect(sent(h.tick(500))).toEqual([]);
    expect(sent(h.tick(600))).toMatchObject([{ t: "register" }]);
    expect(kinds(h.commands([{ o: "welcome", heartbeatIntervalMs: 1000 }]))).toContain("joined");
    expect(sent(h.tick(500))).toEqual([]);
    expect(sent(h.tick(500))).toMatchObject([{ t: "heartbeat", epoch: 1, leases: [] }]);
  });

  test("a scheduler that does not know the worker is told everything again, and unacknowledged commits follow the welcome", () => {
    const h = new Harness().join().running("1.1");
    h.results("1.1", inline(0, 10));
    h.ended("1.1");
    h.flush();
    expect(sent(h.commands([{ o: "unknown" }]))).toMatchObject([
      { t: "register", leases: [{ lease: "1.1", next: 10, running: false }] },
    ]);
    expect(sent(h.commands([{ o: "welcome", heartbeatIntervalMs: 1000 }]))).toMatchObject([
      { t: "commits", done: ["1.1"] },
    ]);
  });

  test("more objects than one hello carries make several, the last one without `more`", () => {
    const h = new Harness().join();
    const added = Array.from({ length: 9000 }, (_, i) => ({
      id: `sj_1-${i}` as ObjectId,
      bytes: 1,
      kind: 1,
      digest: new Uint8Array(16),
    }));
    h.do({ e: "objects", added, removed: [] });
    const registrations = sent(h.commands([{ o: "unknown" }]));
    expect(registrations.map((m) => m.t === "register" && m.objects.length)).toEqual([4000, 4000, 1000]);
  });

  test("a refusal is handed out with its reason", () => {
    const h = new Harness();
    h.do({ e: "start" });
    expect(h.commands([{ o: "refused", error: { code: "VERSION_MISMATCH", message: "too old" } }])).toContainEqual({
      c: "refused",
      error: { code: "VERSION_MISMATCH", message: "too old" },
    });
  });
});

describe("leases", () => {
  test("a lease is prepared, runs when ready, commits, and is remembered after the ack", () => {
    const h = new Harness().join();
    expect(h.lease("1.1")).toContainEqual({ c: "prepare", lease: leaseOf("1.1") });
    expect(h.do({ e: "ready", lease: "1.1" as LeaseId })).toContainEqual({
      c: "run",
      lease: leaseOf("1.1"),
      slot: 0,
      from: 0,
      to: 10,
    });
    h.results("1.1", inline(0, 4));
    h.results("1.1", inline(4, 10));
    expect(h.ended("1.1")).toContainEqual({ c: "release", lease: "1.1" });
    const [message] = h.flush();
    expect(message).toMatchObject({ t: "commits", seq: 1, done: ["1.1"], back: [] });
    expect(message?.t === "commits" && message.commits.length).toBe(2);
    h.commands([{ o: "ack", seq: 1 }]);
    expect(h.state.leases.size).toBe(0);
    expect(h.state.over.has("1.1" as LeaseId)).toBe(true);
  });

  test("M3: the same lease again is ignored while it is held, and answered by `done` when it is over", () => {
    const h = new Harness().join();
    h.lease("1.1");
    expect(kinds(h.lease("1.1"))).toEqual([]); // preparing
    h.do({ e: "ready", lease: "1.1" as LeaseId });
    expect(kinds(h.lease("1.1"))).toEqual([]); // running
    h.results("1.1", inline(0, 10));
    h.ended("1.1");
    h.flush();
    expect(kinds(h.lease("1.1"))).toEqual([]); // finishing
    h.commands([{ o: "ack", seq: 1 }]);
    expect(kinds(h.lease("1.1"))).toEqual([]); // over
    expect(h.flush()).toMatchObject([{ t: "commits", commits: [], done: ["1.1"] }]);
  });

  test("what a run left without a result is given back, whatever the order of its results", () => {
    const h = new Harness().join().running("1.1");
    h.results("1.1", inline(6, 8));
    h.results("1.1", inline(0, 2));
    h.ended("1.1");
    expect(h.flush()).toMatchObject([
      {
        t: "commits",
        back: [
          { lease: "1.1", from: 2, to: 6 },
          { lease: "1.1", from: 8, to: 10 },
        ],
        done: ["1.1"],
      },
    ]);
  });

  test("inputs that cannot be had give the lease back; a fault of the function fails its tasks", () => {
    const h = new Harness().join();
    h.lease("1.1");
    h.do({ e: "unready", lease: "1.1" as LeaseId, error: { code: "TIMEOUT", message: "no" }, giveBack: true });
    expect(h.flush()).toMatchObject([{ back: [{ lease: "1.1", from: 0, to: 10 }], done: ["1.1"], commits: [] }]);
    h.lease("1.2");
    h.do({
      e: "unready",
      lease: "1.2" as LeaseId,
      error: { code: "FUNCTION_NOT_FOUND", message: "no" },
      giveBack: false,
    });
    expect(h.flush()).toMatchObject([
      {
        back: [],
        done: ["1.2"],
        commits: [{ segment: { r: "failed", from: 0, to: 10, error: { code: "FUNCTION_NOT_FOUND" } } }],
      },
    ]);
  });
});

describe("commits (M2)", () => {
  test("are kept and sent again until acknowledged", () => {
    const h = new Harness().join().running("1.1");
    h.results("1.1", inline(0, 10));
    h.flush();
    expect(sent(h.tick(limits.commitResendMs - 100)).filter((m) => m.t === "commits")).toEqual([]);
    expect(sent(h.tick(100)).filter((m) => m.t === "commits")).toMatchObject([{ seq: 1 }]);
    h.commands([{ o: "ack", seq: 1 }]);
    expect(sent(h.tick(5000)).filter((m) => m.t === "commits")).toEqual([]);
  });

  test("are cut into messages under the limit, ends in the last", () => {
    const h = new Harness().join().running("1.1", 0, 4);
    for (let i = 0; i < 4; i++)
      h.results("1.1", { r: "inline", stage: 3, from: i, to: i + 1, pack: new Uint8Array(200 * 1024) });
    h.ended("1.1");
    const messages = h.flush();
    expect(messages.map((m) => m.t === "commits" && [m.commits.length, m.done.length])).toEqual([
      [2, 0],
      [2, 1],
    ]);
  });

  test("are sent again at once when the connection is back", () => {
    const h = new Harness().join().running("1.1");
    h.results("1.1", inline(0, 1));
    h.flush();
    expect(sent(h.do({ e: "connected" })).map((m) => m.t)).toEqual(["heartbeat", "commits"]);
  });
});

test("a result that only the durable store has leaves what is held here under its id as it is", () => {
  const w = new Harness().join().running("a", 0, 1);
  const digestOf = (seed: number) => new Uint8Array(16).fill(seed);
  const made = (seed: number) => ({
    r: "stored" as const,
    stage: 3,
    from: 0,
    to: 1,
    stored: [{ bytes: 1, kind: 2, digest: digestOf(seed) }],
  });
  const id = "sj_3-0" as ObjectId;
  w.results("a", made(1));
  w.ended("a");
  w.running("b", 0, 1);
  w.do({ e: "results", lease: "b" as LeaseId, segment: made(2), slotTimeUs: 1, elsewhere: true });
  expect(w.state.objects.get(id)?.digest).toEqual(digestOf(1));
  const commits = w.flush().flatMap((message) => (message.t === "commits" ? message.commits : []));
  expect(commits.map(({ segment }) => segment)).toContainEqual(made(2));
});

describe("epochs (M6)", () => {
  test("a lower epoch is refused and counted", () => {
    const h = new Harness().join(5);
    const out = h.commands([{ o: "lease", lease: leaseOf("4.1") }], 4);
    expect(out).toEqual([{ c: "count", metric: "commands_stale_refused", by: 1 }]);
  });

  test("a higher epoch voids leases and commits, registers, and keeps telling objects until they are acknowledged", () => {
    const h = new Harness().join().running("1.1");
    h.lease("1.2");
    h.results("1.1", {
      r: "stored",
      stage: 3,
      from: 0,
      to: 1,
      stored: [{ bytes: 9000, kind: 1, digest: new Uint8Array(16) }],
    });
    h.do({
      e: "objects",
      added: [{ id: "c00-0" as ObjectId, bytes: 5, kind: 3, digest: new Uint8Array(16) }],
      removed: [],
      token: 7,
    });
    h.flush();
    const out = h.commands([{ o: "unknown" }], 2);
    expect(out).toContainEqual({ c: "kill", lease: "1.1" });
    expect(out).toContainEqual({ c: "release", lease: "1.2" });
    expect(out).toContainEqual({ c: "count", metric: "commits_voided", by: 1 });
    expect(sent(out)).toMatchObject([{ t: "register", leases: [], objects: [{ id: "sj_3-0" }, { id: "c00-0" }] }]);
    h.commands([{ o: "welcome", heartbeatIntervalMs: 1000 }], 2);
    const [objects] = h.flush();
    expect(objects).toMatchObject({ t: "objects", epoch: 2, added: [{ id: "c00-0" }] });
    expect(h.commands([{ o: "ack", seq: objects?.t === "objects" ? objects.seq : -1 }], 2)).toContainEqual({
      c: "objectsAcked",
      token: 7,
    });
    // The void run holds its slot until its thread has stopped; its results are dropped.
    expect(
      h.results("1.1", {
        r: "stored",
        stage: 3,
        from: 1,
        to: 2,
        stored: [{ bytes: 1, kind: 1, digest: new Uint8Array(16) }],
      }),
    ).toEqual([{ c: "free", ids: ["sj_3-1"] }]);
    expect(h.ended("1.1")).toContainEqual({ c: "release", lease: "1.1" });
    expect(h.flush()).toEqual([]);
    expect(h.state.leases.size).toBe(0);
  });
});

describe("drain", () => {
  test("gives back what waits, lets the running task finish, says bye when all is acknowledged", () => {
    const h = new Harness().join().running("1.1").running("1.2");
    h.lease("1.3");
    const out = h.do({ e: "drain" });
    expect(out.filter((c) => c.c === "limit")).toHaveLength(2);
    h.do({ e: "limited", lease: "1.1" as LeaseId, to: 1 });
    h.do({ e: "limited", lease: "1.2" as LeaseId, to: 0 });
    h.ended("1.2");
    h.results("1.1", inline(0, 1));
    h.ended("1.1");
    h.lease("1.4");
    const [message] = h.flush();
    expect(message?.t === "commits" && message.back.length).toBe(4);
    const last = h.commands([{ o: "ack", seq: 1 }]);
    expect(kinds(last)).toEqual(["send", "stopped"]);
    expect(sent(last)).toMatchObject([{ t: "deregister" }]);
  });

  test("without a scheduler it ends at once", () => {
    const h = new Harness();
    h.do({ e: "start" });
    expect(kinds(h.do({ e: "drain" }))).toEqual(["stopped"]);
  });
});

test("remembered leases are bounded", () => {
  const h = new Harness().join();
  for (let i = 0; i < leasesRememberedMax + 100; i++)
    workerStep(
      h.state,
      {
        e: "commands",
        message: { t: "commands", epoch: 1 as Epoch, commands: [{ o: "cancel", lease: `1.${i}` as LeaseId }] },
      },
      0,
    );
  checkWorkerInvariants(h.state);
  expect(h.state.over.size).toBe(leasesRememberedMax);
});

/**
 * The worker against a scheduler that says anything at any time: every task of every lease is committed or given back
 * exactly once per lease.
 */
test("random commands: invariants hold, and every lease ends with each of its tasks accounted for once", () => {
  const action = fc.oneof(
    fc.record({ a: fc.constant("lease" as const), n: fc.nat(8), size: fc.integer({ min: 1, max: 6 }) }),
    fc.record({
      a: fc.constantFrom(
        "ready" as const,
        "unready" as const,
        "ended" as const,
        "cancel" as const,
        "ackAll" as const,
        "tick" as const,
        "flush" as const,
      ),
      n: fc.nat(8),
    }),
    fc.record({ a: fc.constantFrom("results" as const, "revoke" as const), n: fc.nat(8), at: fc.nat(5) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
      const h = new Harness().join();
      const accounted = new Map<string, number[]>();
      const sizes = new Map<string, number>();
      const over = new Map<string, number>();
      const received = new Set<number>();
      const runs = new Map<string, { to: number; next: number }>();
      const receive = (commands: WorkerCommand[]): void => {
        for (const c of commands) {
          if (c.c === "run") runs.set(c.lease.lease, { to: c.to, next: c.from });
          if (c.c === "kill") {
            runs.delete(c.lease);
            receive(h.ended(c.lease));
          }
          if (c.c === "limit") {
            const run = runs.get(c.lease);
            if (run) {
              run.to = Math.min(run.to, Math.max(c.to, run.next));
              receive(h.do({ e: "limited", lease: c.lease, to: run.to }));
            }
          }
          if (c.c !== "send" || c.message.t !== "commits" || received.has(c.message.seq)) continue;
          received.add(c.message.seq);
          for (const { lease, segment } of c.message.commits)
            for (let t = segment.from; t < segment.to; t++) accounted.get(lease)?.push(t);
          for (const { lease, from, to } of c.message.back)
            for (let t = from; t < to; t++) accounted.get(lease)?.push(t);
          for (const lease of c.message.done) over.set(lease, (over.get(lease) ?? 0) + 1);
        }
      };
      const commands = (o: SchedulerCommand[]): void => receive(h.commands(o));
      for (const step of actions) {
        const id = `1.${step.n}` as LeaseId;
        const run = runs.get(id);
        if (step.a === "lease" && !accounted.has(id)) {
          if (!h.state.over.has(id)) {
            accounted.set(id, []);
            sizes.set(id, step.size);
          }
          commands([{ o: "lease", lease: leaseOf(id, 0, step.size) }]);
        } else if (step.a === "ready") receive(h.do({ e: "ready", lease: id }));
        else if (step.a === "unready")
          receive(
            h.do({ e: "unready", lease: id, error: { code: "TIMEOUT", message: "" }, giveBack: step.n % 2 === 0 }),
          );
        else if (step.a === "cancel") commands([{ o: "cancel", lease: id }]);
        else if (step.a === "revoke") commands([{ o: "revoke", lease: id, keepTo: step.at }]);
        else if (step.a === "results" && run && run.next < run.to) {
          receive(h.results(id, inline(run.next, run.next + 1)));
          run.next++;
        } else if (step.a === "ended" && run) {
          runs.delete(id);
          receive(h.ended(id));
        } else if (step.a === "ackAll") commands([...h.state.outbox.keys()].map((seq) => ({ o: "ack" as const, seq })));
        else if (step.a === "flush") receive(h.do({ e: "flush" }));
        else if (step.a === "tick") {
          h.now += 50;
          receive(h.do({ e: "tick", storeBytes: 0, spilledBytes: 0 }));
        }
      }
      for (const id of accounted.keys()) commands([{ o: "cancel", lease: id as LeaseId }]);
      receive(h.do({ e: "flush" }));
      for (const [id, tasks] of accounted) {
        expect(
          [...tasks].sort((a, b) => a - b),
          id,
        ).toEqual([...Array(sizes.get(id)).keys()]);
        expect(over.get(id) ?? 0).toBeGreaterThan(0);
      }
    }),
    { numRuns: 400 },
  );
});
