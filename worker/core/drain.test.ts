/** Leaving without taking anything along, and what becomes of copies. */
import { describe, expect, test } from "vitest";
import type { ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import type { SchedulerCommand, StoredObject } from "../../proto/messages/worker.js";
import { Harness, kinds, sent } from "../../sim/worker-rig.js";
import type { WorkerCommand } from "./events.js";

const id = "sj_3-0" as ObjectId;
const object = (copy = false): StoredObject => ({
  id,
  bytes: 1e6,
  kind: 2,
  digest: new Uint8Array(16).fill(1),
  ...(copy ? { copy: true as const } : {}),
});
const leave = (needed: number): SchedulerCommand => ({ o: "leave", needed });

/** Joined, with one object that the scheduler knows of. */
function holder(copy = false): Harness {
  const harness = new Harness().join();
  harness.do({ e: "objects", added: [object(copy)], removed: [] });
  acknowledge(harness);
  return harness;
}
function acknowledge(harness: Harness): WorkerCommand[] {
  return harness
    .flush()
    .flatMap((message) => ("seq" in message ? harness.commands([{ o: "ack", seq: message.seq }]) : []));
}
const told = (harness: Harness) =>
  harness.flush().flatMap((m) => (m.t === "objects" ? [{ added: m.added, removed: m.removed }] : []));

describe("draining", () => {
  test("is said at once, and with objects the worker stays until the scheduler needs none of them", () => {
    const harness = holder();
    const out = harness.do({ e: "drain" });
    expect(sent(out)).toContainEqual(expect.objectContaining({ t: "heartbeat", draining: true }));
    expect(kinds(out)).not.toContain("stopped");
    expect(kinds(harness.commands([leave(1)]))).not.toContain("stopped");
    const last = harness.commands([leave(0)]);
    expect(kinds(last)).toContain("stopped");
    expect(sent(last).at(-1)).toMatchObject({ t: "deregister" });
  });

  test("without objects there is nothing to wait for", () => {
    expect(kinds(new Harness().join().do({ e: "drain" }))).toContain("stopped");
  });

  test("the word that it may go does not cover what came afterwards", () => {
    const harness = holder();
    harness.do({ e: "drain" });
    harness.do({ e: "objects", added: [{ ...object(), id: "sj_3-1" as ObjectId }], removed: [] });
    expect(kinds(harness.commands([leave(0)]))).not.toContain("stopped");
    harness.state.leave = { free: true, untilMs: 1e9 };
    harness.do({ e: "objects", added: [{ ...object(), id: "sj_3-2" as ObjectId }], removed: [] });
    expect(kinds(acknowledge(harness))).not.toContain("stopped");
    expect(kinds(harness.commands([leave(0)]))).toContain("stopped");
  });

  test("a scheduler that says nothing is not waited for longer than the grace, one that needs something is", () => {
    const harness = holder();
    harness.do({ e: "drain" });
    for (let ms = 0; ms < 3 * limits.drainGraceMs; ms += 1_000) {
      harness.tick(1_000);
      expect(kinds(harness.commands([leave(3)]))).not.toContain("stopped");
    }
    let stopped = 0;
    for (let ms = 1_000; ms <= limits.drainGraceMs && stopped === 0; ms += 1_000)
      if (kinds(harness.tick(1_000)).includes("stopped")) stopped = ms;
    expect(stopped).toBe(limits.drainGraceMs);
  });

  test("takes nothing over from others that leave", () => {
    const harness = holder();
    harness.do({ e: "drain" });
    const other: ObjectLocation = { id: "sj_4-0" as ObjectId, state: "ready", kind: 2, bytes: 10 };
    expect(kinds(harness.commands([{ o: "fetch", objects: [other] }]))).not.toContain("fetch");
    expect(told(harness)).toMatchObject([{ removed: ["sj_4-0"] }]);
  });
});

describe("copies", () => {
  test("that are to be kept are the worker's own from then on, and are told so", () => {
    const harness = holder(true);
    expect(harness.commands([{ o: "keep", ids: [id] }])).toContainEqual({ c: "keep", ids: [id] });
    expect(told(harness)).toMatchObject([{ added: [object()], removed: [] }]);
    expect(harness.state.objects.get(id)).not.toHaveProperty("copy");
    // Fetched once more it is still its own.
    harness.do({ e: "objects", added: [object(true)], removed: [] });
    expect(harness.state.objects.get(id)).not.toHaveProperty("copy");
  });

  test("that are not there any more are told as gone", () => {
    const harness = holder(true);
    harness.do({ e: "objects", added: [], removed: [id] });
    acknowledge(harness);
    expect(kinds(harness.commands([{ o: "keep", ids: [id] }]))).not.toContain("keep");
    expect(told(harness)).toMatchObject([{ removed: [id] }]);
  });
});
