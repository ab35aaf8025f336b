/** Who is declared dead, and who is not: silence in time in which the scheduler could hear, while it heard others. */
import { expect, test } from "vitest";
import type { JobId, ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { client, leasesIn, one, Rig, session, spec, stored, updatesIn, w1, w2 } from "../../sim/core-rig.js";
import { explain } from "./explain.js";

const timeoutMs = limits.heartbeatTimeoutMs;
const alive = (rig: Rig): string[] => [...rig.state.workers.keys()];

/** Two workers; w1 holds the only copy of a result that cannot be made again, and executes a task. */
function scene(): Rig {
  const rig = new Rig();
  rig.open();
  rig.join(w1);
  rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
  rig.commit(w1, [stored(one(leasesIn(rig.commands)))]);
  rig.join(w2);
  return rig;
}

test("a worker that is silent while others are heard is lost", () => {
  const rig = scene();
  for (let i = 0; i < 7; i++) {
    rig.heartbeat(w2);
    rig.hush(1_000);
  }
  expect(alive(rig)).toEqual([w2]);
});

test("the first heartbeat that is read after a pause of the scheduler condemns nobody whose heartbeats wait behind it", () => {
  const rig = scene();
  rig.now += 60_000;
  rig.heartbeat(w2);
  expect(alive(rig)).toEqual([w1, w2]);
  rig.hush(100, 100);
  rig.heartbeat(w1);
  rig.hush(1_000);
  expect(alive(rig)).toEqual([w1, w2]);
  expect(rig.count("objects_lost")).toBe(0);
});

test("time in which nothing could be heard moves everybody's deadline, workers' and sessions'", () => {
  const rig = scene();
  for (let i = 0; i < 20; i++) {
    rig.hush(10_000, 0);
    rig.ask({ t: "list", limit: 1 });
  }
  expect(alive(rig)).toEqual([w1, w2]);
  expect(rig.state.sessions.size).toBe(1);
  rig.pass(timeoutMs + 600);
  expect(alive(rig)).toEqual([]);
  expect(rig.state.sessions.size).toBe(1);
});

test("while nobody is heard nobody is lost, and whoever speaks first does not condemn the others", () => {
  const rig = scene();
  rig.hush(300_000);
  expect(alive(rig)).toEqual([w1, w2]);
  expect(rig.state.sessions.size).toBe(1);
  rig.heartbeat(w2);
  rig.hush(2_000);
  rig.heartbeat(w1);
  rig.heartbeat(w2);
  rig.hush(1_000);
  rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [], released: [] });
  rig.hush(1_000);
  expect(alive(rig)).toEqual([w1, w2]);
  expect(rig.state.sessions.size).toBe(1);
  expect(rig.count("objects_lost")).toBe(0);
});

test("a peer that speaks seldom does not keep the dead among the living for ever", () => {
  const rig = scene();
  let askedMs = 0;
  for (; rig.state.workers.size > 0 && askedMs < 300_000; askedMs += 4_000) {
    rig.ask({ t: "list", limit: 1 });
    rig.hush(4_000);
  }
  expect(rig.state.workers.size).toBe(0);
});

test("what was put and belongs to nobody yet is kept while nobody could have claimed it", () => {
  const rig = scene();
  const id = `c${"0".repeat(32)}-0` as ObjectId;
  rig.ask({
    t: "put",
    session: "another" as JobId,
    id,
    kind: 1,
    bytes: 1,
    digest: new Uint8Array(16),
    inline: Uint8Array.of(1),
  });
  for (let i = 0; i < 20; i++) {
    rig.hush(30_000, 0);
    rig.heartbeat(w1);
    rig.heartbeat(w2);
  }
  expect(rig.state.puts.has(id)).toBe(true);
});

test("explain says how long a worker could have been heard and was not", () => {
  const rig = new Rig();
  rig.open();
  rig.join(w1);
  rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
  const stage = rig.state.jobs.get(session)?.stages.get(0);
  if (!stage) throw new Error("no stage");
  rig.hush(60_000, 0);
  expect(explain(rig.state, stage, 0).reason).toBe("behind-in-lease");
  rig.pass(4_000);
  expect(explain(rig.state, stage, 0)).toMatchObject({
    reason: "worker-silent",
    text: expect.stringContaining("4000 ms"),
  });
});

test("the results of a session are there after an outage of every length", () => {
  const rig = scene();
  rig.hush(3_600_000, 0);
  rig.heartbeat(w1);
  rig.heartbeat(w2);
  rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [0], released: [] });
  rig.hush(200);
  const [located] = (
    rig.ask({ t: "locate", ids: [`s${session}_0-0` as ObjectId] }) as { locations: { state: string }[] }
  ).locations;
  expect(located?.state).toBe("ready");
  expect(updatesIn(rig.commands).some((segment) => segment.r === "failed")).toBe(false);
});
