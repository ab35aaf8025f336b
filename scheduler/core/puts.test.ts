/** What clients have put: whose it is, when it goes, and what becomes of what reads it when every copy is gone. */
import { describe, expect, test } from "vitest";
import type { ClientId, JobId, ObjectId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientReplyOf, ClientRequestOf } from "../../proto/messages/client.js";
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
import { applyRecord, createState, snapshot } from "./index.js";

const id = `c${"1".repeat(32)}-0` as ObjectId;
const facts = { id, kind: 3, bytes: 100_000, digest: new Uint8Array(16).fill(0x11) };
const reads = (index: number, options = {}) => spec(index, 1, [{ a: "object", id }], options);

class PutRig extends Rig {
  #said = 1_000;

  hold(generation = 1, by: { session: JobId; client: ClientId } = { session, client }): ObjectId[] {
    return (this.ask({ t: "hold", ...by, objects: [{ ...facts, generation }] }) as ClientReplyOf<"held">).missing;
  }

  emit(worker: WorkerId, added: (typeof facts)[], removed: ObjectId[] = []) {
    return this.receive({ t: "objects", worker, epoch: this.state.epoch, seq: this.#said++, added, removed });
  }

  heartbeatWith(said: Partial<ClientRequestOf<"heartbeat">>): ClientReplyOf<"heartbeat"> {
    return this.ask({
      t: "heartbeat",
      client,
      session,
      epoch: this.state.epoch,
      waiting: [],
      released: [],
      ...said,
    }) as ClientReplyOf<"heartbeat">;
  }

  submit(...stages: ReturnType<typeof spec>[]): void {
    this.ask({ t: "stages", session, client, stages });
  }

  freed(): [string, string][] {
    return this.commands.flatMap((c) =>
      c.c === "command" && c.command.o === "free" ? c.command.ids.map((one): [string, string] => [c.worker, one]) : [],
    );
  }
}

function started(): PutRig {
  const rig = new PutRig();
  rig.join(w1);
  rig.join(w2);
  rig.open();
  return rig;
}

function put(rig = started()): PutRig {
  rig.emit(w1, [facts]);
  expect(rig.hold()).toEqual([]);
  return rig;
}

describe("a put", () => {
  test("that its session drops is freed where it is, at once; one that it has put again since is not", () => {
    const rig = put();
    rig.hold(2);
    rig.heartbeatWith({ dropped: [{ id, generation: 1 }] });
    expect(rig.freed()).toEqual([]);
    rig.heartbeatWith({ dropped: [{ id, generation: 2 }] });
    expect(rig.freed()).toEqual([[w1, id]]);
    expect([rig.state.puts.size, rig.state.holders.size]).toEqual([0, 0]);
    rig.heartbeatWith({ dropped: [{ id, generation: 2 }] });
    expect(rig.hold(3)).toEqual([id]);
  });

  test("stays for another session that owns it, and for a stage that has yet to read it", () => {
    const rig = put();
    const other = { session: "other" as JobId, client: "client2" as ClientId };
    rig.ask({ t: "open", ...other, tenant, version: PROTOCOL_VERSION });
    rig.hold(7, other);
    rig.submit(reads(0));
    rig.heartbeatWith({ dropped: [{ id, generation: 1 }] });
    rig.ask({ t: "close", ...other });
    expect(rig.freed()).toEqual([]);
    runAll(rig, w1, rig.commands.slice());
    expect(rig.freed()).toEqual([[w1, id]]);
  });

  test("stays for a pure stage whose large result may have to be made again, until that is not needed either", () => {
    const rig = put();
    rig.submit(reads(0, { pure: true }));
    const lease = one(leasesIn(rig.commands));
    rig.commit(w1, [stored(lease)], { done: [lease.lease] });
    rig.heartbeatWith({ dropped: [{ id, generation: 1 }] });
    expect(rig.freed()).toEqual([]);
    rig.heartbeatWith({ released: [0] });
    expect(rig.freed().map(([, freed]) => freed)).toContain(id);
  });

  test("small and told with its bytes goes the same way", () => {
    const rig = started();
    const inline = new Uint8Array(10);
    rig.ask({ t: "put", session, id, kind: 3, bytes: 10, digest: facts.digest, inline, generation: 4 });
    rig.heartbeatWith({ dropped: [{ id, generation: 3 }] });
    expect(rig.state.puts.size).toBe(1);
    rig.heartbeatWith({ dropped: [{ id, generation: 4 }] });
    expect(rig.state.puts.size).toBe(0);
  });

  test("of a session that closes goes with it, also when workers tell of it afterwards", () => {
    const rig = put();
    rig.ask({ t: "close", session, client });
    expect(rig.freed()).toEqual([[w1, id]]);
    rig.emit(w1, [facts]);
    for (let ms = 0; ms < limits.sessionTimeoutMs + 120_000; ms += 4_000) {
      rig.pass(4_000);
      for (const worker of [w1, w2]) rig.heartbeat(worker);
    }
    expect(rig.state.puts.size).toBe(0);
    expect(rig.freed()).toHaveLength(2);
  });
});

describe("a put of which every copy is gone", () => {
  const lost = (rig: PutRig) => rig.emit(w1, [], [id]);

  test("is asked for with every heartbeat; what reads it waits, and runs when it is there again, wherever", () => {
    const rig = put();
    lost(rig);
    rig.submit(reads(0), spec(1, 1, [{ a: "task", stage: 0, task: 0 }]));
    expect(leasesIn(rig.commands)).toEqual([]);
    for (let ms = 0; ms < limits.heartbeatTimeoutMs; ms += 1_000) {
      rig.pass(1_000);
      for (const worker of [w1, w2]) rig.heartbeat(worker);
    }
    for (let i = 0; i < 3; i++) expect(rig.heartbeatWith({}).missing).toEqual([id]);
    expect(rig.ask({ t: "explain", job: session, stage: 0, task: 0 })).toMatchObject({
      explanation: { state: "waiting", reason: "inputs", text: expect.stringContaining(id) },
    });
    rig.emit(w2, [facts]);
    expect(rig.heartbeatWith({}).missing).toBeUndefined();
    runAll(rig, w1, rig.commands.slice());
    expect(updatesIn(rig.commands).map((s) => [s.stage, s.r])).toEqual([
      [0, "inline"],
      [1, "inline"],
    ]);
  });

  test("holds back what was queued, and what comes back from a worker that could not fetch it", () => {
    const rig = put();
    rig.submit(reads(0), reads(1), reads(2), reads(3));
    const leases = leasesIn(rig.commands);
    lost(rig);
    rig.commands.length = 0;
    const [first] = leases;
    if (!first) throw new Error("nothing was leased");
    const worker = [w1, w2].find((w) => rig.state.workers.get(w)?.leases.has(first.lease)) as WorkerId;
    rig.commit(worker, [], { back: [{ lease: first.lease, from: 0, to: 1 }], done: [first.lease] });
    for (let i = 0; i < 10; i++) {
      rig.pass(1_000);
      for (const one of [w1, w2])
        rig.heartbeat(
          one,
          leases.slice(1).map((l) => ({ lease: l.lease, next: 0, to: 1, running: true })),
        );
    }
    expect(leasesIn(rig.commands).filter((l) => l.stage === 0)).toEqual([]);
    rig.emit(w2, [facts]);
    for (let i = 0; i < 4; i++) {
      rig.pass(1_000);
      for (const one of [w1, w2])
        rig.heartbeat(
          one,
          leases.slice(1).map((l) => ({ lease: l.lease, next: 0, to: 1, running: true })),
        );
    }
    expect([...leasesIn(rig.commands), ...leases].some((l) => l.stage === 0)).toBe(true);
  });

  test("that its client gives up ends what reads it with OBJECT_LOST, which names it; the next put is a new one", () => {
    const rig = put();
    lost(rig);
    rig.submit(reads(0));
    rig.heartbeatWith({ dropped: [{ id, generation: 1 }] });
    expect(updatesIn(rig.commands)).toMatchObject([
      { r: "failed", stage: 0, error: { code: "OBJECT_LOST", details: { object: id } } },
    ]);
    rig.emit(w2, [facts]);
    expect(rig.hold(2)).toEqual([]);
    rig.submit(reads(1));
    expect(leasesIn(rig.commands).map((l) => l.stage)).toEqual([1]);
  });

  test("and that nobody puts again for as long as a client may be away is given up", () => {
    const rig = put();
    lost(rig);
    rig.submit(reads(0));
    for (let ms = 0; ms < limits.sessionTimeoutMs + 60_000; ms += 4_000) {
      rig.pass(4_000);
      for (const worker of [w1, w2]) rig.heartbeat(worker);
      rig.heartbeatWith({});
    }
    expect(updatesIn(rig.commands)).toMatchObject([{ r: "failed", stage: 0, error: { code: "OBJECT_LOST" } }]);
    expect(rig.state.puts.size).toBe(0);
  });

  test("that becomes durable is there", () => {
    const rig = put();
    lost(rig);
    rig.submit(reads(0));
    rig.ask({ t: "put", session, ...facts });
    const lease = one(leasesIn(rig.commands));
    rig.commit(w1, [fill(lease)], { done: [lease.lease] });
    expect(updatesIn(rig.commands).map((s) => s.r)).toEqual(["inline"]);
  });
});

test("whoever puts the bytes of what lies with a worker has them with the scheduler: a job may read them", () => {
  const rig = new PutRig();
  rig.join(w1);
  rig.open();
  rig.emit(w1, [facts]);
  rig.hold();
  rig.ask({ t: "put", session, ...facts, inline: new Uint8Array(facts.bytes) });
  const job = "job" as JobId;
  const said = rig.ask({ t: "submit", client, tenant, job, name: "job", stages: [reads(0)], outputs: [0] });
  expect(said).toMatchObject({ t: "submitted", job });
});

test("a job may read what a durable job has made, also when a session has made the same before", () => {
  const rig = new PutRig();
  rig.join(w1);
  rig.open();
  const jobs = ["one", "two"] as JobId[];
  const submit = (job: JobId, stages: ReturnType<typeof spec>[]) =>
    rig.ask({ t: "submit", client, tenant, job, name: job, stages, outputs: [0] });
  const pure = spec(0, 1, [], { pure: true });
  rig.submit(pure);
  // It takes nothing over: what a session has is not durable.
  const executed = rig.commands.length;
  submit(jobs[0] as JobId, [pure]);
  runAll(rig, w1, rig.commands.slice(0, executed));
  runAll(rig, w1, rig.commands.slice(executed));
  const made = rig.state.jobs.get(jobs[0] as JobId)?.stages.get(0)?.base;
  const reader = spec(0, 1, [{ a: "object", id: `${made}-0` as ObjectId }]);
  expect(submit(jobs[1] as JobId, [reader])).toMatchObject({ t: "submitted" });
});

test("a small put of a session that becomes durable is from then on what the journal says it is (I9)", () => {
  const rig = new PutRig();
  rig.join(w1);
  rig.open();
  const small = { id, kind: 3, bytes: 3, digest: facts.digest };
  rig.ask({ t: "put", session, ...small, inline: new Uint8Array(3) });
  const other = { ...small, id: `c${"2".repeat(32)}-0` as ObjectId };
  rig.ask({ t: "put", session, ...other });
  rig.ask({ t: "put", session, ...small });
  const replayed = createState({ epoch: rig.state.epoch });
  for (const record of rig.records) applyRecord(replayed, record);
  expect(snapshot(rig.state).puts).toEqual([other, small]);
  expect(snapshot(replayed).puts).toEqual([other, small]);
});

test("after a restart a put that its session holds waits for its worker, and is not called missing before workers have had time to say", () => {
  const rig = new PutRig();
  rig.join(w2);
  rig.open();
  expect(rig.hold()).toEqual([id]);
  rig.submit(reads(0));
  expect(rig.heartbeatWith({}).missing).toBeUndefined();
  rig.join(w1);
  rig.emit(w1, [facts]);
  expect(leasesIn(rig.commands).map((l) => l.stage)).toEqual([0]);
  const late = new PutRig();
  late.join(w2);
  late.open();
  late.hold();
  const passes = (ms: number): void => {
    for (let left = ms; left > 0; left -= 1_000) {
      late.pass(1_000);
      late.heartbeat(w2);
      late.heartbeatWith({});
    }
  };
  passes(limits.heartbeatTimeoutMs + 1_000);
  // Its client may put it again; it is not to give it up, for whoever holds it may be silent.
  expect(late.heartbeatWith({})).toMatchObject({ awaited: [id] });
  expect(late.heartbeatWith({}).missing).toBeUndefined();
  passes(limits.silentWorkerPatienceMs);
  expect(late.heartbeatWith({}).missing).toEqual([id]);
});
