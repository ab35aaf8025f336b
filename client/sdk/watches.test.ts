/** Following a job: what the scheduler sends is shown at once, and what was lost on the way is asked for. */
import { describe, expect, test } from "vitest";
import type { ClientRequestOf } from "../../proto/messages/client.js";
import type { JobStatus } from "../../proto/messages/status.js";
import { eventually } from "../../proto/testing/patience.js";
import { sessionRig } from "./testing/session-rig.js";

const rig = sessionRig();

const statusOf = (succeeded: number, state: JobStatus["state"] = "running"): JobStatus =>
  ({
    ...{ job: "j", name: "n", tenant: "default", durable: true, state, submittedAtMs: 0, stages: [], outputs: [0] },
    ...{ tasks: 3, succeeded, reused: 0, executed: succeeded, retried: 0, slotTimeUs: 0, resultBytes: 0 },
  }) as unknown as JobStatus;

/** Answers every question of a follower with this. */
function answers(status: () => JobStatus): void {
  rig.scheduler.onRequest = (request) => (request.t === "watch" ? { t: "status", status: status() } : undefined);
}
const follower = (): ClientRequestOf<"watch">["client"] =>
  (rig.scheduler.of("watch")[0] as ClientRequestOf<"watch">).client;

describe("a job that is followed", () => {
  test("shows what is sent, without another question", async () => {
    answers(() => statusOf(0));
    const shown: number[] = [];
    for await (const { succeeded } of rig.cluster.job("j").progress()) {
      shown.push(succeeded);
      const next = shown.length;
      rig.scheduler.sendStatus(follower(), statusOf(next, next === 3 ? "succeeded" : "running"));
    }
    expect(shown).toEqual([0, 1, 2, 3]);
    expect(rig.scheduler.of("watch")).toHaveLength(1);
  });

  test("ends although its end was lost on the way", async () => {
    let state: JobStatus["state"] = "running";
    answers(() => statusOf(3, state));
    const done = rig.cluster.job("j").done();
    await eventually(() => expect(rig.scheduler.of("watch")).toHaveLength(1));
    state = "succeeded"; // And nobody is told.
    expect(await done).toMatchObject({ state: "succeeded" });
  });

  test("is followed at a scheduler that has just begun, and what the one before still says is not shown", async () => {
    answers(() => statusOf(1));
    const updates = rig.cluster.job("j").progress()[Symbol.asyncIterator]();
    expect((await updates.next()).value).toMatchObject({ succeeded: 1 });
    const client = follower();
    await rig.scheduler.restart();
    const next = updates.next();
    await eventually(() => expect(rig.scheduler.of("watch").length).toBeGreaterThan(1));
    rig.scheduler.sendStatus(client, statusOf(2));
    expect((await next).value).toMatchObject({ succeeded: 2 });
    rig.scheduler.sendStatus(client, statusOf(3, "failed"), rig.scheduler.epoch - 1);
    rig.scheduler.sendStatus(client, statusOf(3, "succeeded"));
    expect((await updates.next()).value).toMatchObject({ state: "succeeded" });
  });

  test("by two at once is shown to both", async () => {
    answers(() => statusOf(0));
    const job = rig.cluster.job("j");
    const both = [job.done(), job.done()];
    await eventually(() => expect(rig.scheduler.of("watch")).toHaveLength(2));
    rig.scheduler.sendStatus(follower(), statusOf(3, "succeeded"));
    expect((await Promise.all(both)).map(({ state }) => state)).toEqual(["succeeded", "succeeded"]);
  });
});
