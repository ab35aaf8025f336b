import { describe, expect, test } from "vitest";
import { until } from "../../proto/testing/patience.js";
import { PackWriter } from "../../proto/values/pack.js";
import { encodeValue } from "../../proto/values/value.js";
import type { ObjectRef } from "./api.js";
import { sessionRig } from "./testing/session-rig.js";

const rig = sessionRig();

describe("cancel", () => {
  const cancelled = { code: "CANCELLED" };

  test("while an argument is uploaded ends the task: it is never sent", async () => {
    let placed = 0;
    rig.scheduler.onRequest = (request) => {
      if (request.t !== "place") return undefined;
      placed++;
      return { t: "error", error: { code: "NO_SCHEDULER", message: "later" } };
    };
    const f = await rig.impure<(a: unknown, b?: unknown) => number>();
    const ref = f.submit(new Uint8Array(1_000_000));
    const after = f.submit(ref as ObjectRef<unknown>);
    await rig.cluster.cancel(ref);
    await expect(rig.cluster.get(ref)).rejects.toMatchObject(cancelled);
    await until("being uploaded", () => placed > 0);
    rig.scheduler.onRequest = (request) =>
      request.t === "place" ? { t: "error", error: { code: "NO_WORKERS", message: "none" } } : undefined;
    await until(
      "what reads it is sent after it, and it as ended",
      () => rig.stagesSent().length === 1 && rig.scheduler.told.has(0),
    );
    rig.scheduler.onRequest = () => undefined;
    expect(rig.stagesSent()[0]?.index).toBe(1);
    expect(rig.scheduler.told.get(0)?.get(0)).toMatchObject({ r: "failed", error: cancelled });
    await rig.cluster.cancel(after);
  });

  test("of a part of a map that waits for an upload cancels that part, and the rest runs", async () => {
    rig.scheduler.onRequest = (request) =>
      request.t === "place" ? { t: "error", error: { code: "NO_SCHEDULER", message: "later" } } : undefined;
    const f = await rig.impure<(a: unknown, b?: unknown) => number>();
    const map = f.map([1, 2, 3], { shared: [new Uint8Array(1_000_000)] } as never);
    await rig.cluster.cancel(map.at(1));
    rig.scheduler.onRequest = () => undefined;
    await expect(rig.cluster.get(map.at(1))).rejects.toMatchObject(cancelled);
  });

  test("of a stage that the scheduler never got ends it here, and it is not sent again", async () => {
    const f = await rig.impure<(a: number) => number>();
    rig.scheduler.onRequest = (request) =>
      request.t === "cancel" ? { t: "cancelled", known: false, tasks: 0 } : undefined;
    const map = f.map([1, 2]);
    await until("sent", () => rig.stagesSent().length === 1);
    await rig.cluster.cancel(map);
    await expect(rig.cluster.get(map)).rejects.toMatchObject(cancelled);
    const heartbeats = rig.scheduler.of("heartbeat").length;
    await until("two heartbeats", () => rig.scheduler.of("heartbeat").length > heartbeats + 2);
    expect(rig.stagesSent()).toHaveLength(1);
  });

  test("on a scheduler that restarted ends what was not shown; what was shown stays", async () => {
    const f = await rig.impure<(a: number) => number>();
    rig.scheduler.onStage = (_stage, { client, session }) => {
      const pack = new PackWriter();
      pack.add(encodeValue("shown"));
      rig.scheduler.send(client, session, [{ r: "inline", stage: 0, from: 0, to: 1, pack: pack.finish() }]);
    };
    const map = f.map([1, 2]);
    await rig.cluster.wait(map, { count: 1 });
    rig.scheduler.onRequest = (request) =>
      request.t === "cancel" ? { t: "error", error: { code: "JOB_NOT_FOUND", message: "no job" } } : undefined;
    await rig.cluster.cancel(map);
    expect(await rig.cluster.get(map.at(0))).toBe("shown");
    await expect(rig.cluster.get(map.at(1))).rejects.toMatchObject(cancelled);
  });

  test("of what has ended asks nobody", async () => {
    rig.scheduler.execute((a) => a);
    const f = await rig.impure<(a: number) => number>();
    const ref = f.submit(1);
    await rig.cluster.get(ref);
    await rig.cluster.cancel(ref);
    expect(await rig.cluster.get(ref)).toBe(1);
    expect(rig.scheduler.of("cancel")).toEqual([]);
  });

  test("of what was submitted in the same tick asks the scheduler after telling it of the task", async () => {
    const f = await rig.impure<(a: number) => number>();
    await rig.cluster.cancel(f.submit(1));
    expect(rig.scheduler.received.filter(({ t }) => t === "stages" || t === "cancel").map(({ t }) => t)).toEqual([
      "stages",
      "cancel",
    ]);
  });
});
