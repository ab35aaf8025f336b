import { tableFromArrays, tableToIPC } from "apache-arrow";
import { describe, expect, test } from "vitest";
import { digestOf } from "../../proto/digest.js";
import { objectBlobName } from "../../proto/durable/objects.js";
import { type Epoch, type ObjectBase, objectIdOf, type WorkerId } from "../../proto/ids.js";
import type { SchedulerCommand } from "../../proto/messages/worker.js";
import { encodeValue } from "../../proto/values/value.js";

import { job, lease, locationOf, packOf, rigOfEachTest, value } from "./testing/agent-rig.js";

const rig = rigOfEachTest();

describe("inputs", () => {
  test("are fetched from the worker that holds them, in place for the task; copies are told as such", async () => {
    await rig().startAgent("w1");
    const other = await rig().startAgent("w2");
    const stream = tableToIPC(tableFromArrays({ x: Float64Array.from({ length: 100_000 }, (_, i) => i) }), "stream");
    const id = await rig().putInto("w1", 2, stream);
    rig().scheduler.command("w2", {
      o: "lease",
      lease: lease("1.1", "sumOf", [{ a: "object", id }], {
        to: 4,
        inputs: [locationOf(id, 2, stream, { workers: ["w1" as WorkerId] })],
      }),
    });
    await rig().scheduler.ended("1.1");
    expect([0, 3].map((task) => rig().scheduler.value("1.1", task))).toEqual([4_999_950_000, 4_999_950_000]);
    expect(other.stats().store.objects).toBe(1);
    // A message that is not answered soon is sent again.
    const added = rig().scheduler.received.flatMap((m) => (m.t === "objects" && m.worker === "w2" ? m.added : []));
    expect(new Set(added.map((object) => `${object.id} ${object.copy}`))).toEqual(new Set([`${id} true`]));
  });

  test("are the committed bytes, not others that this worker holds under the same id", async () => {
    await rig().startAgent("w1");
    const id = objectIdOf(`s${job}_5` as ObjectBase, 0);
    const committed = new Uint8Array(20_000).fill(3);
    // An execution of this worker's that another one was quicker than.
    rig().scheduler.command("w1", { o: "lease", lease: lease("1.1", "filled", [value(7)]) });
    await rig().scheduler.ended("1.1");
    await rig().durable.objects.put(objectBlobName(id, digestOf(3, committed)), committed);
    rig().scheduler.command("w1", {
      o: "lease",
      lease: lease("1.2", "first", [{ a: "object", id }], {
        stage: 6,
        inputs: [locationOf(id, 3, committed, { durable: true, workers: ["w1" as WorkerId] })],
      }),
    });
    await rig().scheduler.ended("1.2");
    expect(rig().scheduler.value("1.2", 0)).toBe(3);
  });

  test("of which the lease says nothing are asked for, and come from the durable store when no worker has them", async () => {
    await rig().startAgent("w1");
    const data = Uint8Array.of(42, ...new Uint8Array(9999));
    const id = objectIdOf("p0123456789abcdef0123456789abcdef" as ObjectBase, 7);
    await rig().durable.objects.put(id, data);
    rig().scheduler.answer = (request) => ({
      t: "located",
      epoch: 1 as Epoch,
      locations:
        request.t === "locate"
          ? request.ids.map((asked) => locationOf(asked, 3, data, { durable: true, workers: ["gone" as WorkerId] }))
          : [],
    });
    rig().scheduler.command("w1", { o: "lease", lease: lease("1.1", "first", [{ a: "object", id }]) });
    await rig().scheduler.ended("1.1");
    expect(rig().scheduler.value("1.1", 0)).toBe(42);
  });

  test("that cannot be had give the lease back", async () => {
    await rig().startAgent("w1");
    const id = objectIdOf("p0123456789abcdef0123456789abcdef" as ObjectBase, 0);
    rig().scheduler.answer = () => ({ t: "located", epoch: 1 as Epoch, locations: [{ id, state: "unknown" }] });
    rig().scheduler.command("w1", { o: "lease", lease: lease("1.1", "first", [{ a: "object", id }], { to: 9 }) });
    await rig().scheduler.ended("1.1");
    expect(rig().scheduler.back).toMatchObject([{ lease: "1.1", from: 0, to: 9, error: { code: "OBJECT_LOST" } }]);
    expect(rig().scheduler.commits).toEqual([]);
  });

  test("with other bytes than their digest says are not used", async () => {
    await rig().startAgent("w1");
    const data = new Uint8Array(10_000);
    const id = objectIdOf("p0123456789abcdef0123456789abcdef" as ObjectBase, 0);
    await rig().durable.objects.put(
      id,
      data.map(() => 1),
    );
    const location = locationOf(id, 3, data, { durable: true });
    rig().scheduler.answer = () => ({ t: "located", epoch: 1 as Epoch, locations: [location] });
    rig().scheduler.command("w1", {
      o: "lease",
      lease: lease("1.1", "first", [{ a: "object", id }], { inputs: [location] }),
    });
    await rig().scheduler.ended("1.1");
    expect(rig().scheduler.back).toHaveLength(1);
  });

  test("all results of a stage come page by page, large ones from where they are, and are asked for once", async () => {
    await rig().startAgent("w1");
    const base = `s${job}_2` as ObjectBase;
    const large = encodeValue("x".repeat(50_000));
    await rig().durable.objects.put(objectIdOf(base, 2), large.data);
    const asked: string[] = [];
    rig().scheduler.answer = (request) => {
      asked.push(request.t);
      if (request.t === "locate")
        return {
          t: "located",
          epoch: 1 as Epoch,
          locations: request.ids.map((id) => locationOf(id, large.kind, large.data, { durable: true })),
        };
      if (request.t !== "results") throw new Error(request.t);
      if (request.from === 0)
        return {
          t: "results",
          epoch: 1 as Epoch,
          base,
          segments: [{ r: "inline", stage: 2, from: 0, to: 2, pack: packOf([1, 2]) }],
          next: 2,
        };
      const stored = { bytes: large.data.byteLength, kind: large.kind, digest: digestOf(large.kind, large.data) };
      return {
        t: "results",
        epoch: 1 as Epoch,
        base,
        segments: [
          { r: "stored", stage: 2, from: 2, to: 3, stored: [stored] },
          { r: "inline", stage: 2, from: 3, to: 4, pack: packOf([4]) },
        ],
      };
    };
    const all = (id: string): SchedulerCommand => ({
      o: "lease",
      lease: lease(id, "total", [{ a: "stage", stage: 2, edge: "all" }], { bases: [[2, base, 4]], to: 2 }),
    });
    rig().scheduler.command("w1", all("1.1"));
    await rig().scheduler.ended("1.1");
    rig().scheduler.command("w1", all("1.2"));
    await rig().scheduler.ended("1.2");
    expect([rig().scheduler.value("1.1", 1), rig().scheduler.value("1.2", 0)]).toEqual([50_007, 50_007]);
    expect(asked.filter((t) => t === "results")).toHaveLength(2);
  });

  test("one-to-one: task i takes output i", async () => {
    await rig().startAgent("w1");
    const base = `s${job}_2` as ObjectBase;
    const inputs = [6, 7].map((i) => ({
      ...locationOf(objectIdOf(base, i), 1, encodeValue(i * 100).data, {}),
      inline: encodeValue(i * 100).data,
    }));
    rig().scheduler.command("w1", {
      o: "lease",
      lease: lease("1.1", "double", [{ a: "stage", stage: 2, edge: "one-to-one" }], {
        from: 6,
        to: 8,
        bases: [[2, base, 10]],
        inputs,
      }),
    });
    await rig().scheduler.ended("1.1");
    expect([6, 7].map((i) => rig().scheduler.value("1.1", i))).toEqual([1200, 1400]);
  });
});
