/** A worker that alone falls silent and comes back has lost nothing; one that does not has lost what it alone held. */
import { describe, expect, test } from "vitest";
import type { Instance, ObjectId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientReplyOf } from "../../proto/messages/client.js";
import type { Lease, StoredObject } from "../../proto/messages/worker.js";
import { client, leasesIn, Rig, runAll, session, spec, stored, updatesIn, w1, w2 } from "../../sim/core-rig.js";

const first = "first" as Instance;
const second = "second" as Instance;
const make = (lease: Lease) => stored(lease, lease.stage + 1);
const putId = `c${"1".repeat(32)}-0` as ObjectId;
const put = { id: putId, kind: 3, bytes: 100_000, digest: new Uint8Array(16).fill(0x11) };

class SilenceRig extends Rig {
  #said = 5_000;

  resultOf(stage: number, seed = stage + 1): StoredObject {
    const base = this.state.jobs.get(session)?.stages.get(stage)?.base;
    return { id: `${base}-0` as ObjectId, kind: 2, bytes: 1e6, digest: new Uint8Array(16).fill(seed) };
  }

  /** Time passes; only these workers, and the client, are heard. */
  while(ms: number, ...received: WorkerId[]): void {
    for (let left = ms; left > 0; left -= 1_000) {
      this.pass(1_000);
      for (const worker of received) this.heartbeat(worker);
      this.sessionHeartbeat();
    }
  }

  sessionHeartbeat(said: { dropped?: { id: ObjectId; generation: number }[] } = {}): ClientReplyOf<"heartbeat"> {
    const request = {
      t: "heartbeat" as const,
      client,
      session,
      epoch: this.state.epoch,
      waiting: [],
      released: [],
      ...said,
    };
    return this.ask(request) as ClientReplyOf<"heartbeat">;
  }

  emit(worker: WorkerId, added: StoredObject[], instance = this.instances.get(worker)): void {
    const { epoch } = this.state;
    this.receive({ t: "objects", worker, instance, epoch, seq: this.#said++, added, removed: [] });
  }

  hold(): void {
    this.ask({ t: "hold", session, client, objects: [{ ...put, generation: 1 }] });
  }

  failures(): string[] {
    return updatesIn(this.commands).flatMap((s) => (s.r === "failed" ? [`${s.stage} ${s.error.code}`] : []));
  }

  explain(stage: number): unknown {
    return this.ask({ t: "explain", job: session, stage, task: 0 });
  }

  locate(id: ObjectId): unknown {
    return (this.ask({ t: "locate", ids: [id] }) as ClientReplyOf<"located">).locations[0];
  }
}

const silentMs = limits.heartbeatTimeoutMs + 3_000;

/** Stage 0 has run on w1, which alone has its result; then w1 falls silent, and w2 is there. */
function scene(options: { pure?: boolean } = {}): SilenceRig {
  const rig = new SilenceRig();
  rig.open();
  rig.join(w1, 1, { instance: first });
  rig.ask({ t: "stages", session, client, stages: [spec(0, 1, [], options)] });
  runAll(rig, w1, rig.commands.slice(), make);
  rig.join(w2);
  rig.while(silentMs, w2);
  expect(rig.state.workers.has(w1)).toBe(false);
  rig.commands.length = 0;
  return rig;
}

const read = spec(1, 1, [{ a: "stage", stage: 0, edge: "all" }]);

describe("the only copy of an impure result", () => {
  test("is waited for, and so does what reads it; when its worker speaks again it is the same, and nothing ran twice", () => {
    const rig = scene();
    const result = rig.resultOf(0);
    rig.ask({ t: "stages", session, client, stages: [read] });
    expect(rig.explain(0)).toMatchObject({ explanation: { state: "retrying", reason: "holder-silent", worker: w1 } });
    expect(rig.explain(1)).toMatchObject({ explanation: { state: "waiting", reason: "holder-silent", worker: w1 } });
    expect(rig.locate(result.id)).toMatchObject({ state: "pending" });
    rig.while(10_000, w2);
    expect(leasesIn(rig.commands)).toEqual([]);
    rig.join(w1, 1, { instance: first, objects: [result] });
    expect(rig.locate(result.id)).toMatchObject({ state: "ready", workers: [w1], digest: result.digest });
    expect(leasesIn(rig.commands).map((lease) => lease.stage)).toEqual([1]);
    expect(rig.failures()).toEqual([]);
  });

  test("is lost when another process takes the name of its worker", () => {
    const rig = scene();
    rig.join(w1, 1, { instance: second });
    expect(rig.failures()).toEqual(["0 OBJECT_LOST"]);
  });

  test("is lost when its worker deregisters after all", () => {
    const rig = scene();
    rig.receive({ t: "deregister", worker: w1, instance: first, epoch: rig.state.epoch });
    expect(rig.failures()).toEqual(["0 OBJECT_LOST"]);
  });

  test("is lost when its worker has been waited for long enough, and what reads it ends", () => {
    const rig = scene();
    rig.ask({ t: "stages", session, client, stages: [read] });
    rig.while(limits.silentWorkerPatienceMs - silentMs, w2);
    expect(rig.failures()).toEqual([]);
    rig.while(silentMs, w2);
    expect(rig.failures()).toEqual(["0 OBJECT_LOST", "1 UPSTREAM_FAILED"]);
  });

  test("is not waited for by a task that its client has cancelled", () => {
    const rig = scene();
    rig.ask({ t: "cancel", job: session, stage: 0, from: 0, to: 1 });
    expect(rig.failures()).toEqual(["0 CANCELLED"]);
    rig.join(w1, 1, { instance: second });
    rig.while(limits.silentWorkerPatienceMs + silentMs, w2);
    expect(rig.failures()).toEqual(["0 CANCELLED"]);
  });

  test("that another silent worker has too is waited for as long as one of them may come", () => {
    const rig = new SilenceRig();
    rig.open();
    rig.join(w1, 1, { instance: first });
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    runAll(rig, w1, rig.commands.slice(), make);
    rig.join(w2, 1, { instance: second });
    rig.emit(w2, [{ ...rig.resultOf(0), copy: true }]);
    const w3 = "w3" as WorkerId;
    rig.join(w3);
    rig.while(silentMs, w3);
    rig.receive({ t: "deregister", worker: w2, instance: second, epoch: rig.state.epoch });
    rig.while(1_000, w3);
    expect(rig.failures()).toEqual([]);
    rig.receive({ t: "deregister", worker: w1, instance: first, epoch: rig.state.epoch });
    expect(rig.failures()).toEqual(["0 OBJECT_LOST"]);
  });
});

describe("the only copy of a pure result", () => {
  test("is made again at once, without waiting for anybody", () => {
    const rig = new SilenceRig();
    rig.open();
    rig.join(w1, 1, { instance: first });
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1, [], { pure: true })] });
    runAll(rig, w1, rig.commands.slice(), make);
    rig.join(w2);
    rig.commands.length = 0;
    rig.while(silentMs, w2);
    expect(leasesIn(rig.commands)[0]).toMatchObject({ stage: 0, attempt: 1 });
  });

  test("that waits for an impure input is there with it when the worker comes back, and is not made again", () => {
    const rig = new SilenceRig();
    rig.open();
    rig.join(w1, 1, { instance: first });
    const reader = spec(1, 1, [{ a: "stage", stage: 0, edge: "one-to-one" }], { pure: true });
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1), reader] });
    runAll(rig, w1, rig.commands.slice(), make);
    rig.join(w2);
    rig.while(silentMs, w2);
    rig.commands.length = 0;
    expect(rig.explain(1)).toMatchObject({ explanation: { state: "waiting", reason: "holder-silent" } });
    rig.join(w1, 1, { instance: first, objects: [rig.resultOf(1), rig.resultOf(0)] });
    expect(leasesIn(rig.commands)).toEqual([]);
    expect(rig.locate(rig.resultOf(1).id)).toMatchObject({ state: "ready", workers: [w1] });
  });
});

describe("the only copy of a put", () => {
  function putScene(): SilenceRig {
    const rig = new SilenceRig();
    rig.open();
    rig.join(w1, 1, { instance: first });
    rig.join(w2);
    rig.emit(w1, [put]);
    rig.hold();
    // What is missing soon after a start of the scheduler is not asked for at once.
    rig.while(31_000, w1, w2);
    rig.while(silentMs, w2);
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1, [{ a: "object", id: putId }])] });
    rig.commands.length = 0;
    return rig;
  }

  test("is waited for: its client is asked for it, but not to give it up; and is there when its worker comes back", () => {
    const rig = putScene();
    expect(rig.explain(0)).toMatchObject({ explanation: { state: "waiting", reason: "holder-silent", worker: w1 } });
    expect(rig.sessionHeartbeat()).toMatchObject({ awaited: [putId] });
    expect(rig.sessionHeartbeat().missing).toBeUndefined();
    rig.join(w1, 1, { instance: first, objects: [put] });
    expect(leasesIn(rig.commands).map((lease) => lease.stage)).toEqual([0]);
    expect(rig.sessionHeartbeat().awaited).toBeUndefined();
  });

  test("may be put again meanwhile", () => {
    const rig = putScene();
    rig.emit(w2, [put]);
    expect(leasesIn(rig.commands).map((lease) => lease.stage)).toEqual([0]);
  });

  test("that its client has dropped is waited for by what reads it, and no longer than its worker may come", () => {
    const rig = putScene();
    rig.sessionHeartbeat({ dropped: [{ id: putId, generation: 1 }] });
    rig.while(5_000, w2);
    expect(rig.failures()).toEqual([]);
    rig.while(limits.silentWorkerPatienceMs, w2);
    expect(rig.failures()).toEqual(["0 OBJECT_LOST"]);
  });

  test("is missing when another process has taken the name of its worker", () => {
    const rig = putScene();
    rig.join(w1, 1, { instance: second });
    expect(rig.sessionHeartbeat().missing).toEqual([putId]);
  });
});
