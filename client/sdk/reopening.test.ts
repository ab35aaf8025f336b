import { describe, expect, test } from "vitest";
import { modelDurable } from "../../proto/durable/testing/model.js";
import type { ObjectId } from "../../proto/ids.js";
import { patienceMs, until } from "../../proto/testing/patience.js";
import { PackWriter } from "../../proto/values/pack.js";
import { encodeValue } from "../../proto/values/value.js";
import type { ObjectRef } from "./api.js";
import { memoryBackend, resultsOf } from "./testing/scripted-scheduler.js";
import { sessionRig } from "./testing/session-rig.js";

const rig = sessionRig();

describe("losses", () => {
  test("a stage that the scheduler never got is sent again when the heartbeat shows it", async () => {
    const f = await rig.impure<(a: number) => number>();
    let lost = 0;
    rig.scheduler.onStage = () => lost++;
    const ref = f.submit(1);
    await until("sent", () => lost === 1);
    rig.scheduler.execute((a) => a);
    rig.scheduler.onRequest = (request) => {
      if (request.t === "heartbeat")
        for (const stage of request.waiting)
          rig.scheduler.send(request.client, request.session, [
            { r: "failed", stage, from: 0, to: 0, error: { code: "SESSION_LOST", message: "not known" } },
          ]);
      return undefined;
    };
    expect(await rig.cluster.get(ref)).toBe(1);
  });

  test("a scheduler that stays ignorant, and says so without naming tasks, ends the stage with SESSION_LOST", async () => {
    const f = await rig.impure<(a: number) => number>();
    rig.scheduler.onStage = (stage, { client, session }) =>
      rig.scheduler.send(client, session, [
        { r: "failed", stage: stage.index, from: 0, to: 0, error: { code: "SESSION_LOST", message: "not known" } },
      ]);
    await expect(rig.cluster.get(f.map([1, 2]), { timeoutMs: patienceMs })).rejects.toMatchObject({
      code: "SESSION_LOST",
    });
  });

  test("a scheduler that stays ignorant ends the stage with SESSION_LOST", async () => {
    const f = await rig.impure<(a: number) => number>();
    rig.scheduler.onStage = (stage, { client, session }) =>
      rig.scheduler.send(client, session, [
        { r: "failed", stage: stage.index, from: 0, to: 1, error: { code: "SESSION_LOST", message: "not known" } },
      ]);
    await expect(rig.cluster.get(f.submit(1))).rejects.toMatchObject({ code: "SESSION_LOST" });
  });

  test("a restarted scheduler gets the session and what is not complete; what that reads it is told before, with the results", async () => {
    const f = await rig.impure<(a: unknown) => number>();
    rig.scheduler.onStage = (stage, { client, session }) => {
      if (stage.index === 0) rig.scheduler.send(client, session, [resultsOf(stage, () => 42)]);
    };
    const done = f.submit(1);
    expect(await rig.cluster.get(done)).toBe(42);
    const waiting = f.submit(done as ObjectRef<unknown>);
    await until("sent", () => rig.stagesSent().length === 2);
    await rig.scheduler.restart();
    rig.scheduler.execute((a) => (a as number) + 1);
    expect(await rig.cluster.get(waiting)).toBe(43);
    expect(rig.scheduler.of("open").map(({ session }) => session)).toEqual([
      rig.scheduler.of("open")[0]?.session,
      rig.scheduler.of("open")[0]?.session,
    ]);
    expect(rig.scheduler.of("resume").flatMap(({ stages }) => stages)).toMatchObject([
      { spec: { index: 0, args: [] }, segments: [{ r: "inline" }], last: true },
    ]);
    expect(rig.stagesSent().at(-1)).toMatchObject({ index: 1, args: [{ a: "task", stage: 0, task: 0 }] });
  });

  test("what was shown of a stage is told to a restarted scheduler, and only the rest of it is to run", async () => {
    const f = await rig.impure<(a: number) => number>();
    rig.scheduler.onStage = (_stage, { client, session }) => {
      const pack = new PackWriter();
      for (const value of ["shown 1", "shown 2"]) pack.add(encodeValue(value));
      const error = { code: "TASK_FAILED" as const, message: "shown" };
      rig.scheduler.send(client, session, [
        { r: "inline", stage: 0, from: 1, to: 3, pack: pack.finish() },
        { r: "failed", stage: 0, from: 4, to: 5, error },
      ]);
    };
    const map = f.map([0, 1, 2, 3, 4, 5]);
    await rig.cluster.wait(map, { count: 3 });
    await rig.scheduler.restart();
    rig.scheduler.execute((a) => `second execution of ${a}`);
    expect(await rig.cluster.get([map.at(0), map.at(1), map.at(2), map.at(3), map.at(5)] as never)).toEqual([
      "second execution of 0",
      "shown 1",
      "shown 2",
      "second execution of 3",
      "second execution of 5",
    ]);
    const [resumed] = rig.scheduler.of("resume").flatMap(({ stages }) => stages);
    expect(resumed?.spec).toMatchObject({ index: 0, count: 6, args: [{ a: "item" }] });
    expect(resumed?.segments.map(({ r, from, to }) => [r, from, to])).toEqual([
      ["inline", 1, 3],
      ["failed", 4, 5],
    ]);
    expect([rig.scheduler.valueOf(0, 1), rig.scheduler.valueOf(0, 2)]).toEqual(["shown 1", "shown 2"]);
  });

  test("large results are told to a restarted scheduler although nothing that is open reads them", async () => {
    const f = await rig.impure<(a: number) => number>();
    const stored = { bytes: 5_000, kind: 1, digest: new Uint8Array(16).fill(3) };
    rig.scheduler.onStage = (stage, { client, session }) =>
      rig.scheduler.send(client, session, [{ r: "stored", stage: stage.index, from: 0, to: 1, stored: [stored] }]);
    const ref = f.submit(1);
    await rig.cluster.wait([ref]);
    await rig.scheduler.restart();
    await until("told", () => rig.scheduler.told.has(0));
    const told = rig.scheduler.told.get(0)?.get(0);
    expect(told?.r === "stored" && [...(told.stored[0]?.digest ?? [])]).toEqual([...stored.digest]);
    expect(rig.stagesSent()).toHaveLength(1);
  });

  test.each(["open", "put", "resume"])(
    "an opening of which a %s fails is tried again, whole; nothing is skipped",
    async (t) => {
      const f = await rig.impure<(a: unknown) => number>();
      const held = await rig.cluster.put([1, 2, 3]);
      rig.scheduler.onStage = (stage, { client, session }) => {
        if (stage.index === 0) rig.scheduler.send(client, session, [resultsOf(stage, () => 42)]);
      };
      const done = f.submit(1);
      await rig.cluster.get(done);
      const waiting = [
        f.submit(done as ObjectRef<unknown>),
        f.submit(held as ObjectRef<unknown>),
        f.map([7, 8]),
      ] as const;
      await until("sent", () => rig.stagesSent().length === 4);
      let faults = 3;
      const usual = rig.scheduler.onRequest;
      rig.scheduler.onRequest = (request) => {
        if (request.t === t && faults-- > 0)
          return { t: "error", error: { code: t === "resume" ? "TIMEOUT" : "INTERNAL", message: "half-way" } };
        return usual(request);
      };
      const opened = rig.scheduler.sessions;
      await rig.scheduler.restart();
      if (t === "open") {
        const set = opened.set.bind(opened);
        opened.set = (session, client) => (faults-- > 0 ? opened : set(session, client));
      }
      rig.scheduler.execute((a) => a);
      expect(await rig.cluster.get(waiting[0])).toBe(42);
      expect(await rig.cluster.get(waiting[2] as never)).toEqual([7, 8]);
      await until(
        "what reads the put is sent, after the put",
        () => rig.stagesSent().filter(({ index }) => index === 2).length >= 2,
      );
      expect(faults).toBeLessThanOrEqual(0);
    },
  );

  test("a session that cannot be opened again ends the waits, although the scheduler answers", async () => {
    await rig.cluster.close();
    rig.backend = memoryBackend(rig.network, modelDurable());
    rig.cluster = await rig.open({ unreachableMs: 2_000 });
    const f = await rig.impure<(a: unknown) => number>();
    await rig.cluster.put([1, 2, 3]);
    const ref = f.submit(1);
    await until("sent", () => rig.stagesSent().length === 1);
    await rig.scheduler.restart();
    rig.scheduler.onRequest = (request) =>
      request.t === "put" ? { t: "error", error: { code: "TIMEOUT", message: "away" } } : undefined;
    await expect(rig.cluster.get(ref)).rejects.toMatchObject({
      code: "DISCONNECTED",
      message: expect.stringContaining("opened again"),
    });
    rig.scheduler.onRequest = () => undefined;
    rig.scheduler.execute((a) => a);
    expect(await rig.cluster.get(ref)).toBe(1);
  });

  test("a process that stood still does not take the cluster for gone", async () => {
    await rig.cluster.close();
    rig.backend = memoryBackend(rig.network, modelDurable());
    rig.cluster = await rig.open({ unreachableMs: 500 });
    const f = await rig.impure<(a: number) => number>();
    const ref = f.submit(5);
    await until("sent", () => rig.stagesSent().length === 1);
    const value = rig.cluster.get(ref);
    const endMs = performance.now() + 1_800;
    while (performance.now() < endMs);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const [stages] = rig.scheduler.of("stages");
    rig.scheduler.send(stages?.client as never, stages?.session as never, [
      resultsOf(rig.stagesSent()[0] as never, (a) => a),
    ]);
    expect(await value).toBe(5);
  });

  test("after the connection was away, what is not complete is sent again", async () => {
    const f = await rig.impure<(a: number) => number>();
    rig.backend.control.setDisconnected(true);
    const ref = f.submit(5);
    await new Promise((resolve) => setImmediate(resolve));
    rig.scheduler.execute((a) => a);
    rig.backend.control.setDisconnected(false);
    expect(await rig.cluster.get(ref)).toBe(5);
  });

  test("a cluster that is silent for too long ends the waits with DISCONNECTED, and a later wait may succeed", async () => {
    await rig.cluster.close();
    rig.backend = memoryBackend(rig.network, modelDurable());
    rig.cluster = await rig.open({ unreachableMs: 2_000 });
    const f = await rig.impure<(a: number) => number>();
    const ref = f.submit(5);
    await until("sent", () => rig.stagesSent().length === 1);
    await rig.scheduler.stop();
    await expect(rig.cluster.get(ref)).rejects.toMatchObject({ code: "DISCONNECTED" });
    await rig.scheduler.restart();
    rig.scheduler.execute((a) => a);
    expect(await rig.cluster.get(ref)).toBe(5);
  });

  test("requests are repeated while nobody listens, then NO_SCHEDULER", async () => {
    await rig.scheduler.stop();
    const late = setTimeout(() => void rig.scheduler.restart(), 100);
    rig.scheduler.onRequest = (request) =>
      request.t === "workers" ? { t: "workers", workers: [], queued: 0, running: 0 } : undefined;
    expect((await rig.cluster.workers()).workers).toEqual([]);
    clearTimeout(late);
    await rig.scheduler.stop();
    const backend = memoryBackend(rig.network, modelDurable());
    await expect(rig.open({ backend, timeoutMs: 500 })).rejects.toMatchObject({
      code: "NO_SCHEDULER",
    });
  });

  test("close ends waits with CLOSED and tells the scheduler", async () => {
    const f = await rig.impure<(a: number) => number>();
    const pending = rig.cluster.get(f.submit(1));
    const ended = expect(pending).rejects.toMatchObject({ code: "CLOSED" });
    await rig.cluster.close();
    await ended;
    expect(rig.scheduler.of("close")).toHaveLength(1);
    expect(() => f.submit(2)).toThrow(/closed/);
    await expect(rig.cluster.get({ id: `c${"0".repeat(32)}-0` as ObjectId })).rejects.toMatchObject({ code: "CLOSED" });
  });
});
