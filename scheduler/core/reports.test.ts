/** Reports of a worker that overtake each other, or come for the first time late. */
import { expect, test } from "vitest";
import { client, fill, leasesIn, one, Rig, session, spec, w1 } from "../../sim/core-rig.js";

/** One lease of two tasks; `first`: what the worker says of its first report. */
function scene(first: number) {
  const rig = new Rig();
  rig.open();
  rig.state.costs.set("kernel/k0/1", 1_000);
  rig.join(w1, 1, { reportsFrom: first });
  rig.ask({ t: "stages", session, client, stages: [spec(0, 4)] });
  const lease = leasesIn(rig.commands)[0];
  if (!lease) throw new Error("no lease");
  const whole = fill(lease);
  rig.commands.length = 0;
  return { rig, lease, whole };
}

test.each([1, 7])(
  "a lease is not closed by an end that overtakes the worker's very first report (number %i)",
  (first) => {
    const { rig, lease, whole } = scene(first);
    rig.commit(w1, [], { seq: first + 1, done: [lease.lease] });
    expect(rig.state.leases.has(lease.lease)).toBe(true);
    rig.commit(w1, [whole], { seq: first });
    expect(rig.state.leases.has(lease.lease)).toBe(false);
    expect(rig.count("tasks_committed")).toBe(lease.to - lease.from);
    expect(rig.count("commits_stale_refused")).toBe(0);
  },
);

test("what a beat says was acknowledged is not waited for", () => {
  const { rig, lease } = scene(1);
  rig.commit(w1, [], { seq: 3, done: [lease.lease] });
  expect(rig.state.leases.has(lease.lease)).toBe(true);
  rig.hear({
    t: "beat",
    worker: w1,
    epoch: rig.state.epoch,
    leases: [],
    slotsBusy: 0,
    storeBytes: 0,
    spilledBytes: 0,
    draining: false,
    reportsFrom: 3,
  });
  rig.commit(w1, [], { seq: 4, done: [lease.lease] });
  expect(rig.state.leases.has(lease.lease)).toBe(false);
  expect(one(leasesIn(rig.commands).filter(({ from }) => from === lease.from)).attempt).toBe(2);
});
