/** Pure functions of users and the engines that run them (E1 to E5 of engines.ts), by hand. */
import { describe, expect, test } from "vitest";
import { stageBase } from "../../proto/address.js";
import type { BundleId, ClientId, JobId, WorkerId } from "../../proto/ids.js";
import type { ClientReply } from "../../proto/messages/client.js";
import type { ArgSpec, StageSpec } from "../../proto/messages/stage.js";
import type { Lease } from "../../proto/messages/worker.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";
import {
  client,
  fill,
  inline,
  leasesIn,
  one,
  Rig,
  session,
  spec,
  stored,
  tenant,
  updatesIn,
  w1,
  w2,
} from "../../sim/core-rig.js";
import { applyRecord, type Command, createState, restore, snapshot } from "./index.js";

const a = { engine: { runtime: "node 20.20.2", v8: "11.3.244.8-node.38", arch: "x64" } };
const b = { engine: { runtime: "node 24.21.0", v8: "13.6.233.17-node.53", arch: "x64" } };
const engineA = "v8-11.3-x64";
const engineB = "v8-13.6-x64";
const w3 = "w3" as WorkerId;
const fn = { bundle: "ab".repeat(32) as BundleId, export: "f" };

const pure = (index: number, count: number, engine: string, args: ArgSpec[] = []): StageSpec => ({
  ...spec(index, count, args, { pure: true, engine }),
  fn,
});
const workersOf = (commands: Command[], stage: number): string[] =>
  commands.flatMap((c) =>
    c.c === "command" && c.command.o === "lease" && c.command.lease.stage === stage ? [c.worker] : [],
  );
const warnings = (rig: Rig): string[] =>
  rig.commands.flatMap((c) => (c.c === "log" && c.level === "warn" ? [c.text] : []));
const stages = (rig: Rig, ...list: StageSpec[]): ClientReply | undefined =>
  rig.ask({ t: "stages", session, client, stages: list });
const submit = (rig: Rig, job: string, ...list: StageSpec[]): ClientReply | undefined =>
  rig.ask({ t: "submit", job: job as JobId, client, tenant, name: "j", stages: list, outputs: [list.length - 1] });
const explain = (rig: Rig, stage: number, task: number) => {
  const reply = rig.ask({ t: "explain", job: session, stage, task });
  return reply?.t === "explanation" ? reply.explanation : undefined;
};
function mixed(): Rig {
  const rig = new Rig();
  rig.join(w1, 1, a);
  rig.join(w2, 1, b);
  rig.open();
  return rig;
}
const leaseOf = (commands: Command[], stage: number): Lease =>
  one(leasesIn(commands).filter((lease) => lease.stage === stage));

describe("addresses (E1)", () => {
  test("of a user's pure function name the engine; those of kernels, and of what is not pure, do not", () => {
    const none = (): never => expect.fail("no upstream");
    const base = (one: StageSpec) => stageBase(session, one, none);
    expect(base(pure(0, 3, engineA))).not.toBe(base(pure(0, 3, engineB)));
    expect(base(pure(0, 3, engineA))).toBe(base(pure(1, 3, engineA)));
    const kernel = (engine?: string) => spec(0, 3, [], { pure: true, ...(engine === undefined ? {} : { engine }) });
    expect(base(kernel(engineA))).toBe(base(kernel()));
    expect(base({ ...pure(0, 3, engineA), options: { ...pure(0, 3, engineA).options, pure: false } })).toBe(
      `s${session}_0`,
    );
    // Nothing is shared where no engine was known.
    expect(base(pure(4, 3, ""))).toBe(`s${session}_4`);
  });

  test("are told to clients: the engine of most slots, which stays until another has more", () => {
    const rig = new Rig();
    const engine = (): string | undefined => {
      const reply = rig.ask({ t: "open", client, session, tenant, version: PROTOCOL_VERSION });
      const heartbeat = rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [], released: [] });
      expect(heartbeat?.t === "heartbeat" ? heartbeat.engine : undefined).toBe(
        reply?.t === "opened" ? reply.engine : undefined,
      );
      return reply?.t === "opened" ? reply.engine : undefined;
    };
    expect(engine()).toBe("");
    rig.join(w1, 2, a);
    expect(engine()).toBe(engineA);
    rig.join(w2, 2, b);
    expect(engine()).toBe(engineA);
    rig.join(w3, 1, b);
    expect(engine()).toBe(engineB);
    for (const worker of [w1, w2, w3]) rig.receive({ t: "deregister", worker, epoch: rig.state.epoch });
    expect(engine()).toBe(engineB);
  });

  test("after a restart, before a worker has joined: the engine of the newest durable job", () => {
    const rig = new Rig();
    rig.join(w1, 1, a);
    submit(rig, "one", pure(0, 1, engineA));
    const again = new Rig(restore(snapshot(rig.state)));
    const reply = again.ask({ t: "open", client, session, tenant, version: PROTOCOL_VERSION });
    expect(reply?.t === "opened" ? reply.engine : undefined).toBe(engineA);
  });

  test("so a job is not given another engine's results, and is given those of its own", () => {
    const rig = mixed();
    submit(rig, "one", pure(0, 1, engineA));
    rig.commit(w1, [fill(leaseOf(rig.commands, 0))]);
    rig.commands.length = 0;
    submit(rig, "other", pure(0, 1, engineB));
    expect(rig.count("tasks_reused")).toBe(0);
    expect(workersOf(rig.commands, 0)).toEqual([w2]);
    rig.commands.length = 0;
    submit(rig, "same", pure(0, 1, engineA));
    expect(rig.count("tasks_reused")).toBe(1);
    expect(leasesIn(rig.commands)).toEqual([]);
  });
});

describe("leases (E2)", () => {
  test("of a pure stage go to its engine alone; explain says so; what stands behind it goes to the other engine meanwhile", () => {
    const rig = mixed();
    stages(rig, pure(0, 20_000, engineA), { ...spec(1, 1), fn }, spec(2, 1, [], { pure: true }));
    rig.pass(300);
    expect(new Set(workersOf(rig.commands, 0))).toEqual(new Set([w1]));
    expect([...workersOf(rig.commands, 1), ...workersOf(rig.commands, 2)]).toContain(w2);
    const lease = leasesIn(rig.commands).find(({ stage }) => stage === 1);
    if (lease) rig.commit(w2, [fill(lease)]);
    const kernel = leasesIn(rig.commands).find(({ stage }) => stage === 2);
    if (kernel) rig.commit(w2, [fill(kernel)]);
    expect(explain(rig, 0, 19_999)).toMatchObject({
      state: "queued",
      reason: "other-engine",
      text: expect.stringContaining(engineA),
    });
    for (let i = 0; i < 60; i++) {
      const open = [...rig.state.leases.values()];
      if (open.length === 0) break;
      for (const { id, worker, stage, from, to } of open)
        rig.commit(worker.id, [inline({ lease: id, stage: stage.index } as Lease, new Array(to - from).fill(1), from)]);
    }
    expect(new Set(workersOf(rig.commands, 0))).toEqual(new Set([w1]));
    expect(
      updatesIn(rig.commands)
        .filter(({ stage }) => stage === 0)
        .reduce((sum, { from, to }) => sum + to - from, 0),
    ).toBe(20_000);
    expect(rig.count("tasks_strayed")).toBe(0);
  });

  test("are not asked back for an idle worker of another engine", () => {
    const rig = new Rig();
    rig.join(w1, 1, a);
    rig.open();
    stages(rig, pure(0, 4, engineA), { ...pure(1, 1, engineA), fn: { ...fn, export: "long" } });
    // The function is measured as slow, so that the lease of many tasks is worth moving.
    const commit = fill(
      one(
        leasesIn(rig.commands)
          .filter(({ stage }) => stage === 0)
          .slice(0, 1),
      ),
    );
    rig.commit(w1, [{ ...commit, slotTimeUs: 9_000 * (commit.segment.to - commit.segment.from) }]);
    rig.join(w2, 1, b);
    rig.commands.length = 0;
    rig.pass(2_000);
    expect(rig.count("leases_revoked")).toBe(0);
  });

  test("of a stage for which no engine was known go where its first one went (E5), and its results are shared with nobody", () => {
    const rig = mixed();
    submit(rig, "one", pure(0, 30, ""));
    rig.pass(300);
    const first = new Set(workersOf(rig.commands, 0));
    expect(first.size).toBe(1);
    const [worker] = first;
    rig.commit(worker as WorkerId, [fill(leasesIn(rig.commands)[0] as Lease)]);
    expect(new Set(workersOf(rig.commands, 0))).toEqual(first);
    expect(rig.records.filter((r) => r.k === "commit").map((r) => (r.k === "commit" ? r.engine : undefined))).toEqual([
      worker === w1 ? engineA : engineB,
    ]);
    expect(rig.count("tasks_strayed")).toBe(0);
    const again = restore(snapshot(rig.state));
    expect(again.jobs.get("one" as JobId)?.stages.get(0)?.engine).toBe(worker === w1 ? engineA : engineB);
  });
});

describe("when no worker has the engine any more (E3)", () => {
  /** A job of engine A of which one task is committed by it, and the rest by another. */
  function strayed(): Rig {
    const rig = new Rig();
    rig.join(w1, 1, a);
    submit(rig, "one", pure(0, 3, engineA));
    rig.commit(w1, [fill(leasesIn(rig.commands)[0] as Lease)]);
    rig.receive({ t: "deregister", worker: w1, epoch: rig.state.epoch });
    rig.commands.length = 0;
    rig.join(w2, 1, b);
    for (let i = 0; i < 5; i++)
      for (const { id, from, to } of [...rig.state.leases.values()])
        rig.commit(w2, [inline({ lease: id, stage: 0 } as Lease, new Array(to - from).fill(from), from)]);
    return rig;
  }

  test("another runs the rest: it is warned of once, counted, and the job ends", () => {
    const rig = strayed();
    expect(rig.state.jobs.get("one" as JobId)?.state).toBe("succeeded");
    // The first lease was of two tasks.
    expect(rig.count("tasks_strayed")).toBe(1);
    expect(warnings(rig).filter((text) => text.includes("pure stage"))).toHaveLength(1);
  });

  test("its results serve no other job, also after a restart from journal or snapshot", () => {
    const rig = strayed();
    const replayed = createState({ epoch: rig.state.epoch });
    for (const record of rig.records) applyRecord(replayed, record);
    expect(snapshot(replayed)).toEqual(snapshot(rig.state));
    for (const state of [rig.state, replayed, restore(snapshot(rig.state))]) {
      const next = new Rig(state);
      submit(next, "two", pure(0, 3, engineA));
      expect(next.count("tasks_reused")).toBe(0);
      expect(next.state.jobs.get("two" as JobId)?.tally[4]).toBe(0);
    }
  });

  test("two such jobs at once are not compared with each other: their engines may differ", () => {
    const rig = strayed();
    rig.commands.length = 0;
    submit(rig, "two", pure(0, 1, engineA), pure(1, 3, engineA));
    for (let i = 0; i < 8; i++)
      for (const { id, stage, from, to } of [...rig.state.leases.values()])
        rig.commit(w2, [inline({ lease: id, stage: stage.index } as Lease, new Array(to - from).fill(77), from)]);
    expect(rig.state.jobs.get("two" as JobId)?.state).toBe("succeeded");
    expect(rig.count("nondeterminism_alarms")).toBe(0);
  });
});

describe("a lost result that is made again (E4)", () => {
  /** A stored result of engine A whose only holder has gone; `more`: the workers that are there then. */
  function lost(...more: [WorkerId, typeof a][]): Rig {
    const rig = new Rig();
    rig.join(w1, 1, a);
    rig.open();
    stages(rig, pure(0, 1, engineA));
    rig.commit(w1, [stored(one(leasesIn(rig.commands)), 1)]);
    rig.receive({ t: "deregister", worker: w1, epoch: rig.state.epoch });
    rig.commands.length = 0;
    for (const [worker, about] of more) rig.join(worker, 1, about);
    return rig;
  }

  test("is made by a worker of the same engine if there is one; another result is a nondeterminism", () => {
    const rig = lost([w2, b], [w3, a]);
    // The first to come may have got it: it alone was there.
    const [holder] = workersOf(rig.commands, 0);
    if (holder === w2) rig.receive({ t: "deregister", worker: w2, epoch: rig.state.epoch });
    const lease = leasesIn(rig.commands).at(-1) as Lease;
    expect(workersOf(rig.commands, 0).at(-1)).toBe(w3);
    rig.commit(w3, [stored(lease, 2)]);
    expect(rig.count("nondeterminism_alarms")).toBe(1);
    expect(updatesIn(rig.commands).at(-1)).toMatchObject({ r: "failed", error: { code: "NONDETERMINISTIC" } });
  });

  test("by another engine is good when it is the same, and otherwise says what happened instead of accusing the function", () => {
    const same = lost([w2, b]);
    same.commit(w2, [stored(one(leasesIn(same.commands)), 1)]);
    expect(updatesIn(same.commands).at(-1)).toMatchObject({ r: "stored" });
    const other = lost([w2, b]);
    other.commit(w2, [stored(one(leasesIn(other.commands)), 2)]);
    expect(updatesIn(other.commands).at(-1)).toMatchObject({
      r: "failed",
      error: { code: "ENGINE_CHANGED", message: expect.stringMatching(/v8-11\.3-x64.*v8-13\.6-x64/) },
    });
    expect(other.count("nondeterminism_alarms")).toBe(0);
  });

  test("a client of a version that knows no engines is served as before", () => {
    const rig = mixed();
    const old = "old" as ClientId;
    rig.ask({ t: "open", client: old, session: "olds" as JobId, tenant, version: PROTOCOL_VERSION });
    const plain = { ...spec(0, 2, [], { pure: true }), fn };
    rig.ask({ t: "stages", session: "olds" as JobId, client: old, stages: [plain] });
    expect(leasesIn(rig.commands).reduce((sum, { from, to }) => sum + to - from, 0)).toBe(2);
    expect(rig.state.jobs.get("olds" as JobId)?.stages.get(0)?.engine).toBeUndefined();
  });
});
