import { describe, expect, test } from "vitest";
import { digestOf } from "../../proto/digest.js";
import { objectBlobName } from "../../proto/durable/objects.js";
import { type BundleId, type LeaseId, type ObjectBase, objectIdOf } from "../../proto/ids.js";
import { eventually } from "../../proto/testing/patience.js";

import { job, lease, packOf, rigOfEachTest, value } from "./testing/agent-rig.js";

const rig = rigOfEachTest();

describe("a lease", () => {
  test("runs a bundle's function over a range, from a pack cut to the range", async () => {
    await rig().startAgent("w1");
    rig().scheduler.command("w1", {
      o: "lease",
      lease: lease("1.1", "add", [{ a: "item", pack: packOf([10, 20, 30]) }, value(1)], { from: 100, to: 103 }),
    });
    await rig().scheduler.ended("1.1");
    expect([100, 101, 102].map((task) => rig().scheduler.value("1.1", task))).toEqual([11, 21, 31]);
    expect(rig().scheduler.commits.every((commit) => commit.segment.stage === 5)).toBe(true);
  });

  test("of a durable job carries digests, and its large results are in the durable store before they are committed", async () => {
    await rig().startAgent("w1");
    rig().scheduler.command(
      "w1",
      { o: "lease", lease: lease("1.1", "large", [{ a: "index" }], { from: 3, to: 5, durable: true }) },
      { o: "lease", lease: lease("1.2", "double", [value(4)], { durable: true }) },
    );
    await rig().scheduler.ended("1.1", "1.2");
    const stored = rig().scheduler.commits.flatMap(({ segment }) => (segment.r === "stored" ? segment.stored : []));
    expect(stored).toHaveLength(2);
    expect(stored[0]).toMatchObject({ bytes: 20_000, kind: 3 });
    expect(Uint8Array.from(stored[0]?.digest ?? [])).toEqual(digestOf(3, new Uint8Array(20_000).fill(3)));
    const fours = new Uint8Array(20_000).fill(4);
    expect(
      await rig().durable.objects.get(objectBlobName(objectIdOf(`s${job}_5` as ObjectBase, 4), digestOf(3, fours))),
    ).toEqual(fours);
    const inline = rig().scheduler.commits.find(({ segment }) => segment.r === "inline");
    expect(inline?.segment.r === "inline" && inline.segment.digests?.byteLength).toBe(16);
  });

  test("of a task that an uncommitted execution has left a result of commits its own bytes, here and in the durable store", async () => {
    await rig().startAgent("w1");
    const id = objectIdOf(`s${job}_5` as ObjectBase, 0);
    const orphan = new Uint8Array(20_000).fill(9);
    await rig().durable.objects.put(objectBlobName(id, digestOf(3, orphan)), orphan);
    // 5.1 is executed under an earlier epoch, and its commit is void; then the task is executed again by the same
    // worker, with another result.
    for (const epoch of [1, 2]) {
      rig().scheduler.epoch = epoch;
      rig().scheduler.command("w1", {
        o: "lease",
        lease: lease(`${epoch}.1`, "filled", [value(6 + epoch)], { durable: true }),
      });
      await rig().scheduler.ended(`${epoch}.1`);
    }
    const last = rig().scheduler.commits.at(-1)?.segment;
    const eights = new Uint8Array(20_000).fill(8);
    expect(last?.r === "stored" && Uint8Array.from(last.stored[0]?.digest ?? [])).toEqual(digestOf(3, eights));
    expect(await rig().durable.objects.get(objectBlobName(id, digestOf(3, eights)))).toEqual(eights);
    expect(await rig().getFrom("w1", id, digestOf(3, eights))).toEqual(eights);
    await expect(rig().getFrom("w1", id, digestOf(3, orphan))).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
  });

  test("of code that is not in the store fails its tasks with BUNDLE_NOT_FOUND", async () => {
    await rig().startAgent("w1");
    rig().scheduler.command("w1", {
      o: "lease",
      lease: lease("1.1", "f", [], { fn: { bundle: "e".repeat(64) as BundleId, export: "f" }, to: 3 }),
    });
    await rig().scheduler.ended("1.1");
    expect(rig().scheduler.failure("1.1", 2)).toMatchObject({ code: "BUNDLE_NOT_FOUND" });
  });
});

describe("the agent", () => {
  test("heartbeats while its only slot is busy, and a cancelled lease ends", async () => {
    await rig().startAgent("w1");
    rig().scheduler.command("w1", { o: "lease", lease: lease("1.1", "wait", [value(60_000)]) });
    await eventually(() =>
      expect(
        rig().scheduler.received.filter((m) => m.t === "heartbeat" && m.leases[0]?.running).length,
      ).toBeGreaterThan(2),
    );
    rig().scheduler.command("w1", { o: "cancel", lease: "1.1" as LeaseId });
    await rig().scheduler.ended("1.1");
    expect(rig().scheduler.back).toEqual([{ lease: "1.1", from: 0, to: 1 }]);
  });

  test("follows a new scheduler: old leases end, and it tells what it holds", async () => {
    await rig().startAgent("w1");
    const id = await rig().putInto("w1", 3, new Uint8Array(10_000).fill(1));
    rig().scheduler.command("w1", { o: "lease", lease: lease("1.1", "wait", [value(60_000)]) });
    await eventually(() =>
      expect(rig().scheduler.received.some((m) => m.t === "heartbeat" && m.leases.length === 1)).toBe(true),
    );
    rig().scheduler.epoch = 2;
    rig().scheduler.known.clear();
    rig().scheduler.received.length = 0;
    await eventually(() =>
      expect(rig().scheduler.received.some((m) => m.t === "register" && m.objects.length === 1)).toBe(true),
    );
    expect(rig().scheduler.received.find((m) => m.t === "register")).toMatchObject({ leases: [], objects: [{ id }] });
    rig().scheduler.command("w1", { o: "lease", lease: lease("2.1", "double", [value(21)]) });
    await rig().scheduler.ended("2.1");
    expect(rig().scheduler.value("2.1", 0)).toBe(42);
    expect(rig().scheduler.done).not.toContain("1.1");
  });

  test("sends commits again after the network was away", async () => {
    await rig().startAgent("w1");
    rig().scheduler.command("w1", { o: "lease", lease: lease("1.1", "wait", [value(150)]) });
    await eventually(() =>
      expect(rig().scheduler.received.some((m) => m.t === "heartbeat" && m.leases.length === 1)).toBe(true),
    );
    rig().network.setDown(true);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(rig().scheduler.commits).toEqual([]);
    rig().network.setDown(false);
    await rig().scheduler.ended("1.1");
    expect(rig().scheduler.value("1.1", 0)).toBe(150);
  });

  test("drains: the running task finishes, the rest goes back, bye is the last word", async () => {
    const agent = await rig().startAgent("w1");
    rig().scheduler.command(
      "w1",
      { o: "lease", lease: lease("1.1", "wait", [value(60)], { to: 50 }) },
      { o: "lease", lease: lease("1.2", "wait", [value(60)], { to: 50 }) },
    );
    await eventually(() => expect(rig().scheduler.commits.length).toBeGreaterThan(0));
    await agent.drain();
    await eventually(() => expect(rig().scheduler.received.at(-1)?.t).toBe("deregister"));
    const finished = rig().scheduler.commits.reduce((sum, { segment }) => sum + segment.to - segment.from, 0);
    expect(finished).toBeGreaterThan(0);
    expect(finished + rig().scheduler.back.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(100);
  });
});
