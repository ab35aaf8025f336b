import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { modelDurable } from "../../proto/durable/model.js";
import type { ObjectId, TenantId } from "../../proto/ids.js";
import { MemoryNetwork } from "../../proto/transport/memory.js";
import { PackWriter } from "../../proto/values/pack.js";
import { encodeValue } from "../../proto/values/value.js";
import type { ObjectRef, RemoteFunction } from "./api.js";
import type { Backend } from "./backend.js";
import { ClusterClient } from "./cluster.js";
import { memoryBackend, resultsOf, ScriptedScheduler } from "./scripted-scheduler.js";

let network: MemoryNetwork;
let scheduler: ScriptedScheduler;
let backend: ReturnType<typeof memoryBackend>;
let cluster: ClusterClient;
const errors: unknown[] = [];

async function open(options: { unreachableMs?: number; backend?: Backend } = {}): Promise<ClusterClient> {
  return ClusterClient.open({
    backend: options.backend ?? backend,
    tenant: "default" as TenantId,
    timeoutMs: 1_000,
    onError: (error) => errors.push(error),
    ...options,
  });
}

beforeEach(async () => {
  network = new MemoryNetwork();
  scheduler = new ScriptedScheduler(network);
  backend = memoryBackend(network, modelDurable());
  cluster = await open();
});
afterEach(async () => {
  await cluster.close();
  await scheduler.stop();
  expect(errors.splice(0)).toEqual([]);
});

const _identity = (): RemoteFunction<(x: number) => number> => cluster.kernel<(x: number) => number>("identity");
/** A function of a bundle, which is not pure unless told. The types are the test's own. */
const impure = async <F>(name: "f" | "g" = "f"): Promise<RemoteFunction<F>> => {
  const library = await cluster.deploy<typeof import("./fixture-tasks.js")>(
    new URL("./fixture-tasks.js", import.meta.url),
  );
  return library[name] as unknown as RemoteFunction<F>;
};

async function eventually(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within 5 s: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const stagesSent = () => scheduler.of("stages").flatMap(({ stages }) => stages);

describe("losses", () => {
  test("a stage that the scheduler never got is sent again when the beat shows it", async () => {
    const f = await impure<(a: number) => number>();
    let lost = 0;
    scheduler.onStage = () => lost++;
    const ref = f.submit(1);
    await eventually("sent", () => lost === 1);
    scheduler.execute((a) => a);
    scheduler.onRequest = (request) => {
      if (request.t === "beat")
        for (const stage of request.waiting)
          scheduler.send(request.client, request.session, [
            { r: "failed", stage, from: 0, to: 0, error: { code: "SESSION_LOST", message: "not known" } },
          ]);
      return undefined;
    };
    expect(await cluster.get(ref)).toBe(1);
  });

  test("a scheduler that stays ignorant, and says so without naming tasks, ends the stage with SESSION_LOST", async () => {
    const f = await impure<(a: number) => number>();
    scheduler.onStage = (stage, { client, session }) =>
      scheduler.send(client, session, [
        { r: "failed", stage: stage.index, from: 0, to: 0, error: { code: "SESSION_LOST", message: "not known" } },
      ]);
    await expect(cluster.get(f.map([1, 2]), { timeoutMs: 5_000 })).rejects.toMatchObject({ code: "SESSION_LOST" });
  });

  test("a scheduler that stays ignorant ends the stage with SESSION_LOST", async () => {
    const f = await impure<(a: number) => number>();
    scheduler.onStage = (stage, { client, session }) =>
      scheduler.send(client, session, [
        { r: "failed", stage: stage.index, from: 0, to: 1, error: { code: "SESSION_LOST", message: "not known" } },
      ]);
    await expect(cluster.get(f.submit(1))).rejects.toMatchObject({ code: "SESSION_LOST" });
  });

  test("a restarted scheduler gets the session and what is not complete; what that reads it is told before, with the results", async () => {
    const f = await impure<(a: unknown) => number>();
    scheduler.onStage = (stage, { client, session }) => {
      if (stage.index === 0) scheduler.send(client, session, [resultsOf(stage, () => 42)]);
    };
    const done = f.submit(1);
    expect(await cluster.get(done)).toBe(42);
    const waiting = f.submit(done as ObjectRef<unknown>);
    await eventually("sent", () => stagesSent().length === 2);
    await scheduler.restart();
    scheduler.execute((a) => (a as number) + 1);
    expect(await cluster.get(waiting)).toBe(43);
    expect(scheduler.of("open").map(({ session }) => session)).toEqual([
      scheduler.of("open")[0]?.session,
      scheduler.of("open")[0]?.session,
    ]);
    expect(scheduler.of("resume").flatMap(({ stages }) => stages)).toMatchObject([
      { spec: { index: 0, args: [] }, segments: [{ r: "inline" }], last: true },
    ]);
    expect(stagesSent().at(-1)).toMatchObject({ index: 1, args: [{ a: "task", stage: 0, task: 0 }] });
  });

  test("what was shown of a stage is told to a restarted scheduler, and only the rest of it is to run", async () => {
    const f = await impure<(a: number) => number>();
    scheduler.onStage = (_stage, { client, session }) => {
      const pack = new PackWriter();
      for (const value of ["shown 1", "shown 2"]) pack.add(encodeValue(value));
      const error = { code: "TASK_FAILED" as const, message: "shown" };
      scheduler.send(client, session, [
        { r: "inline", stage: 0, from: 1, to: 3, pack: pack.finish() },
        { r: "failed", stage: 0, from: 4, to: 5, error },
      ]);
    };
    const map = f.map([0, 1, 2, 3, 4, 5]);
    await cluster.wait(map, { count: 3 });
    await scheduler.restart();
    scheduler.execute((a) => `second execution of ${a}`);
    expect(await cluster.get([map.at(0), map.at(1), map.at(2), map.at(3), map.at(5)] as never)).toEqual([
      "second execution of 0",
      "shown 1",
      "shown 2",
      "second execution of 3",
      "second execution of 5",
    ]);
    const [resumed] = scheduler.of("resume").flatMap(({ stages }) => stages);
    expect(resumed?.spec).toMatchObject({ index: 0, count: 6, args: [{ a: "item" }] });
    expect(resumed?.segments.map(({ r, from, to }) => [r, from, to])).toEqual([
      ["inline", 1, 3],
      ["failed", 4, 5],
    ]);
    expect([scheduler.valueOf(0, 1), scheduler.valueOf(0, 2)]).toEqual(["shown 1", "shown 2"]);
  });

  test("large results are told to a restarted scheduler although nothing that is open reads them", async () => {
    const f = await impure<(a: number) => number>();
    const stored = { bytes: 5_000, kind: 1, digest: new Uint8Array(16).fill(3) };
    scheduler.onStage = (stage, { client, session }) =>
      scheduler.send(client, session, [{ r: "stored", stage: stage.index, from: 0, to: 1, stored: [stored] }]);
    const ref = f.submit(1);
    await cluster.wait([ref]);
    await scheduler.restart();
    await eventually("told", () => scheduler.told.has(0));
    const told = scheduler.told.get(0)?.get(0);
    expect(told?.r === "stored" && [...(told.stored[0]?.digest ?? [])]).toEqual([...stored.digest]);
    expect(stagesSent()).toHaveLength(1);
  });

  test.each(["open", "put", "resume"])(
    "an opening of which a %s fails is tried again, whole; nothing is skipped",
    async (t) => {
      const f = await impure<(a: unknown) => number>();
      const held = await cluster.put([1, 2, 3]);
      scheduler.onStage = (stage, { client, session }) => {
        if (stage.index === 0) scheduler.send(client, session, [resultsOf(stage, () => 42)]);
      };
      const done = f.submit(1);
      await cluster.get(done);
      const waiting = [
        f.submit(done as ObjectRef<unknown>),
        f.submit(held as ObjectRef<unknown>),
        f.map([7, 8]),
      ] as const;
      await eventually("sent", () => stagesSent().length === 4);
      let faults = 3;
      const usual = scheduler.onRequest;
      scheduler.onRequest = (request) => {
        if (request.t === t && faults-- > 0)
          return { t: "error", error: { code: t === "resume" ? "TIMEOUT" : "INTERNAL", message: "half-way" } };
        return usual(request);
      };
      const opened = scheduler.sessions;
      await scheduler.restart();
      if (t === "open") {
        const set = opened.set.bind(opened);
        opened.set = (session, client) => (faults-- > 0 ? opened : set(session, client));
      }
      scheduler.execute((a) => a);
      expect(await cluster.get(waiting[0])).toBe(42);
      expect(await cluster.get(waiting[2] as never)).toEqual([7, 8]);
      await eventually(
        "what reads the put is sent, after the put",
        () => stagesSent().filter(({ index }) => index === 2).length >= 2,
      );
      expect(faults).toBeLessThanOrEqual(0);
    },
  );

  test("a session that cannot be opened again ends the waits, although the scheduler answers", async () => {
    await cluster.close();
    backend = memoryBackend(network, modelDurable());
    cluster = await open({ unreachableMs: 2_000 });
    const f = await impure<(a: unknown) => number>();
    await cluster.put([1, 2, 3]);
    const ref = f.submit(1);
    await eventually("sent", () => stagesSent().length === 1);
    await scheduler.restart();
    scheduler.onRequest = (request) =>
      request.t === "put" ? { t: "error", error: { code: "TIMEOUT", message: "away" } } : undefined;
    await expect(cluster.get(ref)).rejects.toMatchObject({
      code: "DISCONNECTED",
      message: expect.stringContaining("opened again"),
    });
    scheduler.onRequest = () => undefined;
    scheduler.execute((a) => a);
    expect(await cluster.get(ref)).toBe(1);
  });

  test("a process that stood still does not take the cluster for gone", async () => {
    await cluster.close();
    backend = memoryBackend(network, modelDurable());
    cluster = await open({ unreachableMs: 500 });
    const f = await impure<(a: number) => number>();
    const ref = f.submit(5);
    await eventually("sent", () => stagesSent().length === 1);
    const value = cluster.get(ref);
    const until = performance.now() + 1_800;
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const [stages] = scheduler.of("stages");
    scheduler.send(stages?.client as never, stages?.session as never, [resultsOf(stagesSent()[0] as never, (a) => a)]);
    expect(await value).toBe(5);
  });

  test("after the connection was away, what is not complete is sent again", async () => {
    const f = await impure<(a: number) => number>();
    backend.control.setDisconnected(true);
    const ref = f.submit(5);
    await new Promise((resolve) => setImmediate(resolve));
    scheduler.execute((a) => a);
    backend.control.setDisconnected(false);
    expect(await cluster.get(ref)).toBe(5);
  });

  test("a cluster that is silent for too long ends the waits with DISCONNECTED, and a later wait may succeed", async () => {
    await cluster.close();
    backend = memoryBackend(network, modelDurable());
    cluster = await open({ unreachableMs: 2_000 });
    const f = await impure<(a: number) => number>();
    const ref = f.submit(5);
    await eventually("sent", () => stagesSent().length === 1);
    await scheduler.stop();
    await expect(cluster.get(ref)).rejects.toMatchObject({ code: "DISCONNECTED" });
    await scheduler.restart();
    scheduler.execute((a) => a);
    expect(await cluster.get(ref)).toBe(5);
  });

  test("requests are repeated while nobody listens, then NO_SCHEDULER", async () => {
    await scheduler.stop();
    const late = setTimeout(() => void scheduler.restart(), 100);
    scheduler.onRequest = (request) =>
      request.t === "workers" ? { t: "workers", workers: [], queued: 0, running: 0 } : undefined;
    expect((await cluster.workers()).workers).toEqual([]);
    clearTimeout(late);
    await scheduler.stop();
    await expect(open({ backend: memoryBackend(network, modelDurable()) })).rejects.toMatchObject({
      code: "NO_SCHEDULER",
    });
  });

  test("close ends waits with CLOSED and tells the scheduler", async () => {
    const f = await impure<(a: number) => number>();
    const pending = cluster.get(f.submit(1));
    const ended = expect(pending).rejects.toMatchObject({ code: "CLOSED" });
    await cluster.close();
    await ended;
    expect(scheduler.of("close")).toHaveLength(1);
    expect(() => f.submit(2)).toThrow(/closed/);
    await expect(cluster.get({ id: `c${"0".repeat(32)}-0` as ObjectId })).rejects.toMatchObject({ code: "CLOSED" });
  });
});
