/** Reports of a worker that overtake each other, or come for the first time late. */
import { expect, test } from "vitest";
import type { ObjectId } from "../../proto/ids.js";
import type { StoredObject } from "../../proto/messages/worker.js";
import { client, fill, leasesIn, one, Rig, session, spec, stored, w1 } from "../../sim/core-rig.js";

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

test("what a heartbeat says was acknowledged is not waited for", () => {
  const { rig, lease } = scene(1);
  rig.commit(w1, [], { seq: 3, done: [lease.lease] });
  expect(rig.state.leases.has(lease.lease)).toBe(true);
  rig.receive({
    t: "heartbeat",
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

/** Stage 0 has one large result on w1; reports go on at number 2. */
function holding() {
  const rig = new Rig();
  rig.open();
  rig.join(w1, 1, { reportsFrom: 1 });
  rig.ask({ t: "stages", session, client, stages: [spec(0, 1, [], { pure: true })] });
  const lease = one(leasesIn(rig.commands));
  const object = { id: `${lease.base}-0` as ObjectId, kind: 2, bytes: 1e6, digest: new Uint8Array(16).fill(1) };
  const emit = (seq: number, added: StoredObject[], removed: ObjectId[] = []) =>
    rig.receive({ t: "objects", worker: w1, epoch: rig.state.epoch, seq, added, removed });
  const isHeld = () => rig.state.holders.get(object.id)?.has(w1) === true;
  return { rig, lease, object, emit, isHeld };
}

test("a report that an object is gone counts although one after it has overtaken it", () => {
  const { rig, lease, object, emit, isHeld } = holding();
  rig.commit(w1, [stored(lease)], { seq: 1 });
  expect(isHeld()).toBe(true);
  emit(3, []);
  emit(2, [], [object.id]);
  expect(isHeld()).toBe(false);
});

test("it does not count when a later report has told that the object is there again", () => {
  const { rig, lease, object, emit, isHeld } = holding();
  rig.commit(w1, [stored(lease)], { seq: 1 });
  emit(3, [object]);
  emit(2, [], [object.id]);
  expect(isHeld()).toBe(true);
  emit(4, [], [object.id]);
  expect(isHeld()).toBe(false);
  expect(rig.state.workers.get(w1)?.touched.size).toBe(0);
});

test("what is gone since is not held for a result, or a report, that comes late", () => {
  const late = holding();
  late.emit(2, [], [late.object.id]);
  late.rig.commit(w1, [stored(late.lease)], { seq: 1 });
  expect(late.isHeld()).toBe(false);
  const told = holding();
  told.rig.commit(w1, [stored(told.lease)], { seq: 1 });
  told.emit(3, [], [told.object.id]);
  told.emit(2, [told.object]);
  expect(told.isHeld()).toBe(false);
});

test("a hello that comes late, or again, does not bring back what was reported gone after it", () => {
  const { rig, lease, object, emit, isHeld } = holding();
  rig.commit(w1, [stored(lease)], { seq: 1 });
  emit(2, [], [object.id]);
  rig.join(w1, 1, { objects: [object], reportsFrom: 1, reportsTo: 2 });
  expect(isHeld()).toBe(false);
});
