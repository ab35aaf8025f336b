/** Waits: how long they last, and that nothing is left of one that has ended. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { modelDurable } from "../../proto/durable/testing/model.js";
import type { ObjectId, TenantId } from "../../proto/ids.js";
import type { JobStatus } from "../../proto/messages/status.js";
import { patienceMs, until } from "../../proto/testing/patience.js";
import { MemoryNetwork } from "../../proto/transport/testing/memory.js";
import type { RemoteFunction } from "./api.js";
import { ClusterClient } from "./cluster.js";
import { memoryBackend, resultsOf, ScriptedScheduler } from "./testing/scripted-scheduler.js";
import { StageWaits } from "./waits.js";

let scheduler: ScriptedScheduler;
let cluster: ClusterClient;

beforeEach(async () => {
  const network = new MemoryNetwork();
  scheduler = new ScriptedScheduler(network);
  cluster = await ClusterClient.open({
    backend: memoryBackend(network, modelDurable()),
    tenant: "default" as TenantId,
    timeoutMs: patienceMs,
    onError: (error) => expect.unreachable(String(error)),
  });
});
afterEach(async () => {
  await cluster.close();
  await scheduler.stop();
});

const identity = (): RemoteFunction<(x: number) => number> => cluster.kernel<(x: number) => number>("identity");
const long = [2 ** 31, 30 * 86_400_000, Number.POSITIVE_INFINITY];
const wrong = [Number.NaN, -1, Number.NEGATIVE_INFINITY];

describe("a timeout", () => {
  test.each(long)("of %d ms does not end a wait at once", async (timeoutMs) => {
    const stages: (() => void)[] = [];
    scheduler.onStage = (stage, { client, session }) =>
      stages.push(() => scheduler.send(client, session, [resultsOf(stage, (x) => x)]));
    const ref = identity().submit(5);
    const waits = [
      cluster.get(ref, { timeoutMs }),
      cluster.get([ref], { timeoutMs }),
      cluster.wait([ref], { timeoutMs }),
    ] as const;
    // Node's own timer of such a time fires after 1 ms.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await until("sent", () => stages.length === 1);
    for (const answer of stages) answer();
    const [one, list, waited] = await Promise.all(waits);
    expect([one, list, waited.ready.length]).toEqual([5, [5], 1]);
  });

  test.each(long)("of %d ms does not end the wait for a job at once", async (timeoutMs) => {
    let asked = 0;
    const status = {
      job: "j",
      name: "n",
      tenant: "default",
      durable: true,
      submittedAtMs: 0,
      stages: [],
      outputs: [0],
      error: undefined,
    } as unknown as JobStatus;
    const stats = { tasks: 1, succeeded: 1, reused: 0, executed: 1, retried: 0, slotTimeUs: 0, resultBytes: 0 };
    scheduler.onRequest = (request) =>
      request.t === "watch"
        ? { t: "status", status: { ...status, ...stats, state: ++asked < 2 ? "running" : "succeeded" } }
        : undefined;
    expect(await cluster.job("j").done({ timeoutMs })).toMatchObject({ state: "succeeded" });
  });

  test.each(wrong)("of %d is INVALID_ARGUMENT", async (timeoutMs) => {
    const ref = identity().submit(5);
    const invalid = { code: "INVALID_ARGUMENT", message: expect.stringContaining(String(timeoutMs)) };
    await expect(cluster.get(ref, { timeoutMs })).rejects.toMatchObject(invalid);
    await expect(cluster.get([ref], { timeoutMs })).rejects.toMatchObject(invalid);
    await expect(cluster.get({ id: `c${"0".repeat(32)}-0` as ObjectId }, { timeoutMs })).rejects.toMatchObject(invalid);
    await expect(cluster.wait([ref], { timeoutMs })).rejects.toMatchObject(invalid);
    await expect(cluster.job("j").done({ timeoutMs })).rejects.toMatchObject(invalid);
  });

  test("of 0 gives what is here, and else TIMEOUT", async () => {
    scheduler.execute((x) => x);
    const here = identity().submit(5);
    expect(await cluster.get(here)).toBe(5);
    expect(await cluster.get(here, { timeoutMs: 0 })).toBe(5);
    scheduler.onStage = () => undefined;
    await expect(cluster.get(identity().submit(6), { timeoutMs: 0 })).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  test("that is over when the answer is here already, because the caller's own loop was busy, gives the answer", async () => {
    scheduler.onStage = (stage, { client, session }) => {
      scheduler.send(client, session, [resultsOf(stage, (x) => x)]);
      const endMs = performance.now() + 120;
      while (performance.now() < endMs);
    };
    const value = cluster.get(identity().submit(5), { timeoutMs: 100 });
    expect(await value).toBe(5);
  });

  test("a count that is none is INVALID_ARGUMENT, and not a wait for ever", async () => {
    await expect(cluster.wait([identity().submit(5)], { count: Number.NaN })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});

describe("of a wait that has ended nothing is left:", () => {
  test("get, get of a list, get of a map and wait that timed out have no waiter at the stage any more", async () => {
    const f = await cluster.deploy<typeof import("./testing/fixture-tasks.js")>(
      new URL("./testing/fixture-tasks.js", import.meta.url),
    );
    const map = (f.f as unknown as RemoteFunction<(x: number) => number>).map([1, 2, 3]) as unknown as {
      handle: { stage: { waits: StageWaits } };
    };
    const refs = [...(map as unknown as Iterable<never>)];
    const { waits: waiters } = map.handle.stage;
    const timedOut = { code: "TIMEOUT" };
    const waits = [
      expect(cluster.get(refs[0] as never, { timeoutMs: 1 })).rejects.toMatchObject(timedOut),
      expect(cluster.get(refs[0] as never, { timeoutMs: 2 })).rejects.toMatchObject(timedOut),
      expect(cluster.get(refs, { timeoutMs: 1 })).rejects.toMatchObject(timedOut),
      expect(cluster.get(map as never, { timeoutMs: 1 })).rejects.toMatchObject(timedOut),
      cluster.wait(refs, { timeoutMs: 1 }),
    ];
    expect(waiters.awaited).toBe(true);
    await Promise.all(waits);
    expect(waiters.awaited).toBe(false);
  });

  test("a list of which one has failed waits for the others no more", async () => {
    scheduler.onStage = (stage, { client, session }) => {
      if (stage.index === 0)
        scheduler.send(client, session, [
          { r: "failed", stage: 0, from: 0, to: 1, error: { code: "TASK_FAILED", message: "no" } },
        ]);
    };
    const refs = [identity().submit(1), identity().submit(2)];
    const { waits: waiters } = (refs[1] as unknown as { handle: { stage: { waits: StageWaits } } }).handle.stage;
    await expect(cluster.get(refs)).rejects.toMatchObject({ code: "TASK_FAILED" });
    expect(waiters.awaited).toBe(false);
  });

  test("a waiter that is taken out twice takes no other with it", () => {
    const waits = new StageWaits();
    const called: string[] = [];
    const a = (): void => void called.push("a");
    const b = (): void => void called.push("b");
    const c = (): void => void called.push("c");
    for (const waiter of [a, b, c]) waits.whenTask(0, waiter);
    waits.forgetTask(0, b);
    waits.forgetTask(0, b);
    waits.notify(0, 1, true);
    expect(called).toEqual(["a", "c"]);
  });
});
