/** What a worker process says of itself, which commands are for it, and what it says before it may be too late. */
import { describe, expect, test } from "vitest";
import type { Epoch, Instance, LeaseId, ObjectId, SchedulerStart } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { StoredObject, WorkerRequest } from "../../proto/messages/worker.js";
import { Harness, identity, inline, kinds, leaseOf, sent } from "../../sim/worker-rig.js";
import { createWorkerState } from "./state.js";

const mine = "mine" as Instance;
const intervals = { heartbeatIntervalMs: 1_000 };

function harness(): Harness {
  const h = new Harness();
  h.state = createWorkerState({ ...identity, instance: mine }, 1_000);
  return h;
}

describe("a worker process", () => {
  test("names itself in everything it says", () => {
    const h = harness();
    const said: WorkerRequest[] = sent(h.do({ e: "start" }));
    h.commands([{ o: "welcome", ...intervals }]);
    h.running("1.1");
    h.results("1.1", inline(0, 10));
    h.do({ e: "objects", added: [], removed: [`c${"0".repeat(32)}-0` as ObjectId] });
    said.push(...h.flush(), ...sent(h.tick(1_500)));
    h.ended("1.1");
    h.do({ e: "drain" });
    for (let round = 0; round < 3; round++) {
      const more = h.flush();
      said.push(...more);
      for (const message of more)
        if ("seq" in message) said.push(...sent(h.commands([{ o: "ack", seq: message.seq }])));
      for (const message of said.slice())
        if ("seq" in message) said.push(...sent(h.commands([{ o: "ack", seq: message.seq }])));
    }
    expect(new Set(said.map((message) => message.t))).toEqual(
      new Set(["register", "commits", "objects", "heartbeat", "deregister"]),
    );
    expect(said.filter((message) => message.instance !== mine)).toEqual([]);
  });

  test("leaves alone what is meant for another process of its name", () => {
    const h = harness().join();
    const order = (instance: string) =>
      h.do({
        e: "commands",
        message: {
          t: "commands",
          epoch: 1 as Epoch,
          instance: instance as Instance,
          commands: [{ o: "lease", lease: leaseOf("1.1") }],
        },
      });
    expect(kinds(order("other"))).toEqual(["count"]);
    expect(h.state.leases.size).toBe(0);
    expect(kinds(order("mine"))).toContain("prepare");
  });

  test("ends when it is told that another has its name", () => {
    const h = harness().join();
    const error = { code: "SUPERSEDED", message: "another" } as const;
    expect(h.commands([{ o: "refused", error }])).toContainEqual({ c: "refused", error });
  });

  test("says whom it has followed, once it was welcomed", () => {
    const h = harness();
    expect(sent(h.do({ e: "start" }))[0]).not.toHaveProperty("followed");
    h.commands([{ o: "welcome", ...intervals, start: "abcdefgh" as SchedulerStart }], 7);
    expect(sent(h.commands([{ o: "unknown" }], 7))).toMatchObject([
      { t: "register", followed: { epoch: 7, start: "abcdefgh" } },
    ]);
    h.commands([{ o: "welcome", ...intervals, start: "12345678" as SchedulerStart }], 8);
    expect(sent(h.commands([{ o: "unknown" }], 8))).toMatchObject([
      { t: "register", followed: { epoch: 8, start: "12345678" } },
    ]);
  });

  test("tells of a start that the scheduler asked for before the run begins, and of no other", () => {
    const h = harness().join();
    h.lease("1.1");
    expect(kinds(h.do({ e: "ready", lease: "1.1" as LeaseId }))).toEqual(["run"]);
    h.commands([{ o: "lease", lease: { ...leaseOf("1.2"), heartbeatAtStart: true } }]);
    const out = h.do({ e: "ready", lease: "1.2" as LeaseId });
    expect(kinds(out)).toEqual(["send", "run"]);
    expect(sent(out)).toMatchObject([{ t: "heartbeat", leases: [{ lease: "1.1" }, { lease: "1.2", running: true }] }]);
  });
});

describe("an object that went and was made anew", () => {
  const object: StoredObject = { id: "sj_3-0" as ObjectId, bytes: 9, kind: 3, digest: new Uint8Array(16) };
  const stored = {
    r: "stored",
    stage: 3,
    from: 0,
    to: 1,
    stored: [{ bytes: 9, kind: 3, digest: new Uint8Array(16) }],
  } as const;

  test("is not said to be gone by a report that was lost and is sent again", () => {
    for (const again of ["put", "made"] as const) {
      const h = harness().join();
      h.do({ e: "objects", added: [], removed: [object.id] });
      expect(h.flush()).toMatchObject([{ t: "objects", removed: [object.id] }]);
      if (again === "put") h.do({ e: "objects", added: [object], removed: [] });
      else h.running("1.1").results("1.1", { ...stored, stored: [...stored.stored] });
      h.flush();
      const resent = sent(h.tick(limits.commitResendMs));
      const [report] = resent.filter((message) => message.t === "objects");
      expect(report?.removed).toEqual([]);
    }
  });
});
