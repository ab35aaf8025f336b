/** Followers of jobs: what they are sent, when, and what is kept of them. */
import { expect, test } from "vitest";
import type { ClientId, JobId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { client, fill, leasesIn, Rig, runAll, spec, tenant, w1 } from "../../sim/core-rig.js";
import type { Command } from "./events.js";

const job = "job" as JobId;
const other = "other" as ClientId;

const sent = (commands: readonly Command[]): [string, string, number][] =>
  commands.flatMap((command) =>
    command.c === "status" ? [[command.client, command.status.state, command.status.succeeded]] : [],
  );

function submitted(count = 4): Rig {
  const rig = new Rig();
  rig.join(w1);
  rig.ask({ t: "submit", job, client, tenant, name: "n", stages: [spec(0, count)], outputs: [0] });
  return rig;
}
const watch = (rig: Rig, who: ClientId = client) => rig.ask({ t: "watch", job, client: who });

test("a follower is answered with the status, and sent changes now and then and the end at once", () => {
  const rig = submitted();
  expect(watch(rig)).toMatchObject({ t: "status", status: { state: "running", succeeded: 0 } });
  watch(rig, other);
  const [lease] = leasesIn(rig.commands);
  if (!lease) throw new Error("nothing was leased");
  const whole = fill(lease);
  rig.commands.length = 0;
  expect(sent(rig.pass(1_000))).toEqual([]); // Nothing has changed.
  const after = runAll(rig, w1, [{ c: "command", worker: w1, command: { o: "lease", lease }, gated: false }]);
  expect(whole.segment.to).toBeGreaterThan(0);
  const all = sent(after);
  expect(all.slice(-2)).toEqual([
    [client, "succeeded", 4],
    [other, "succeeded", 4],
  ]);
  expect(after.every((command) => command.c !== "status" || command.gated)).toBe(true); // I6
  expect(rig.state.watches).toMatchObject({ count: 0 });
  expect(sent(rig.pass(2_000))).toEqual([]);
});

test("changes in the middle are sent, at most every 200 ms", () => {
  const rig = submitted(1_000);
  watch(rig);
  const [lease] = leasesIn(rig.commands);
  if (!lease) throw new Error("nothing was leased");
  rig.commit(w1, [fill(lease)], { done: [lease.lease] });
  const middle = sent(rig.pass(1_000));
  expect(middle).toEqual([[client, "running", lease.to - lease.from]]);
});

test("who does not ask again is followed no longer, nor is a job that is gone", () => {
  const rig = submitted();
  watch(rig);
  rig.pass(8_000);
  watch(rig, other);
  rig.pass(4_000);
  expect([...(rig.state.watches.jobs.get(job)?.clients.keys() ?? [])]).toEqual([other]);
  rig.pass(10_000);
  expect(rig.state.watches).toMatchObject({ count: 0, nextMs: Number.POSITIVE_INFINITY });
  expect(rig.state.watches.jobs.size).toBe(0);
});

test("followers are bounded; one too many is answered and not sent anything", () => {
  const rig = submitted();
  rig.state.watches.count = limits.watchesMax;
  expect(watch(rig)).toMatchObject({ t: "status" });
  expect(rig.state.watches.jobs.size).toBe(0);
});

test("a job that is not known is refused, and nothing is kept", () => {
  const rig = new Rig();
  expect(watch(rig)).toMatchObject({ t: "error", error: { code: "JOB_NOT_FOUND" } });
  expect(rig.state.watches.jobs.size).toBe(0);
});
