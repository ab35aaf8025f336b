import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { modelDurable } from "../../proto/durable/testing/model.js";
import type { ClientRequest } from "../../proto/messages/client.js";
import { until } from "../../proto/testing/patience.js";
import { PackReader, PackWriter } from "../../proto/values/pack.js";
import { encodeValue } from "../../proto/values/value.js";
import type { ObjectRef, RemoteFunction } from "./api.js";
import { memoryBackend, resultsOf } from "./testing/scripted-scheduler.js";
import { sessionRig } from "./testing/session-rig.js";

const rig = sessionRig();
const identity = (): RemoteFunction<(x: number) => number> => rig.cluster.kernel<(x: number) => number>("identity");

describe("submissions of one tick", () => {
  test("with plain arguments join one stage, whose arguments travel in packs", async () => {
    rig.scheduler.execute((a, b) => (a as number) * 10 + (b as number));
    const f = await rig.impure<(a: number, b: number) => number>();
    const refs = Array.from({ length: 5 }, (_, i) => f.submit(i, 1));
    expect(await rig.cluster.get(refs)).toEqual([1, 11, 21, 31, 41]);
    expect(rig.stagesSent()).toHaveLength(1);
    expect(rig.stagesSent()[0]).toMatchObject({ count: 5, args: [{ a: "item" }, { a: "item" }] });
  });

  test("waiting for each at once does not part them: a thousand loops share messages", async () => {
    rig.scheduler.execute((a) => a);
    const f = await rig.impure<(a: number) => number>();
    const loop = async (from: number) => {
      for (let i = from; i < from + 3; i++) expect(await rig.cluster.get(f.submit(i))).toBe(i);
    };
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => loop(10 * i)));
    expect(rig.scheduler.of("stages").length).toBeLessThanOrEqual(6);
  });

  test("of different functions or options are different stages of one message", async () => {
    rig.scheduler.execute((a) => a);
    const f = await rig.impure<(a: number) => number>("f");
    const g = await rig.impure<(a: number) => number>("g");
    await rig.cluster.get([f.submit(1), g.submit(2), f.with({ retries: 2 }).submit(3), f.submit(4)]);
    expect(rig.scheduler.of("stages")).toHaveLength(1);
    expect(rig.stagesSent().map(({ count, options, name }) => [name, count, options.retries])).toEqual([
      ["f", 2, 0],
      ["g", 1, 0],
      ["f", 1, 2],
    ]);
  });

  test("of a pure function are stages of their own, so that their addresses depend on nothing else", async () => {
    rig.scheduler.execute((a) => a);
    const alone = identity().submit(7);
    const id = alone.id;
    identity().submit(8);
    await rig.cluster.get(alone);
    const other = identity().submit(7);
    expect(other.id).toBe(id);
    expect(id).toMatch(/^p[0-9a-f]{32}-0$/);
    await rig.cluster.get(other);
    expect(rig.stagesSent().map(({ count }) => count)).toEqual([1, 1, 1]);
  });

  test("of a user's pure function are addressed with the engine that the scheduler named; where it knows none, with their place in the session", async () => {
    rig.scheduler.execute((a) => a);
    const run = async (): Promise<{ id: string; engines: unknown[] }> => {
      const own = await rig.open({ backend: memoryBackend(rig.network, modelDurable()) });
      const library = await own.deploy<typeof import("./testing/fixture-tasks.js")>(
        new URL("./testing/fixture-tasks.js", import.meta.url),
        { pure: true },
      );
      const ref = (library.f as unknown as RemoteFunction<(x: number) => number>).submit(7);
      const of = own.kernel<(x: number) => number>("identity").submit(7);
      await own.get([ref, of] as never);
      await own.close();
      return {
        id: ref.id,
        engines: rig
          .stagesSent()
          .slice(-2)
          .map(({ options }) => options.engine),
      };
    };
    const before = await run();
    expect(before.engines).toEqual([undefined, undefined]);
    rig.scheduler.engine = "v8-1.2-x64";
    const one = await run();
    expect(one.engines).toEqual(["v8-1.2-x64", undefined]);
    rig.scheduler.engine = "v8-3.4-x64";
    const other = await run();
    expect(new Set([before.id, one.id, other.id]).size).toBe(3);
    expect(other.id).toMatch(/^p/);
    rig.scheduler.engine = "";
    expect((await run()).id).toMatch(/^s/);
  });

  test("bytes changed by the caller after submit are sent as they were", async () => {
    rig.scheduler.execute((a) => (a as Uint8Array)[0]);
    const f = await rig.impure<(a: Uint8Array) => number>();
    const bytes = Uint8Array.of(1);
    const first = f.submit(bytes);
    bytes[0] = 2;
    const second = f.submit(bytes);
    bytes[0] = 3;
    expect(await rig.cluster.get([first, second])).toEqual([1, 2]);
  });

  test("more than a message holds is cut into several, none above the limit", async () => {
    rig.scheduler.execute((a) => (a as string).length);
    const f = await rig.impure<(a: string) => number>();
    const refs = Array.from({ length: 100 }, (_, i) => f.submit("x".repeat(30_000 + i)));
    expect(await rig.cluster.get(refs)).toEqual(refs.map((_, i) => 30_000 + i));
    expect(rig.scheduler.of("stages").length).toBeGreaterThan(4);
  });
});

test("arguments that together are too large for a message are put, also inside lists", async () => {
  const placed: number[] = [];
  rig.scheduler.onRequest = (request) => {
    if (request.t !== "place") return undefined;
    placed.push(request.bytes);
    return { t: "error", error: { code: "NO_WORKERS", message: "none" } };
  };
  const f = await rig.impure<(...args: unknown[]) => number>();
  const ref = f.submit(1);
  const big = f.submit([ref, ...Array.from({ length: 10 }, (_, i) => String(i).repeat(40_000))]);
  const wide = f.submit(...Array.from({ length: 10 }, (_, i) => String(i).repeat(41_000)));
  await expect(rig.cluster.get(big)).rejects.toMatchObject({ code: "NO_WORKERS" });
  await expect(rig.cluster.get(wide)).rejects.toMatchObject({ code: "NO_WORKERS" });
  expect([placed.filter((bytes) => bytes < 41_000).length, placed.filter((bytes) => bytes > 41_000).length]).toEqual([
    4, 4,
  ]);
});

describe("refs as arguments", () => {
  test("become edges, in their own stage, whether single, in a list or as a whole map", async () => {
    const f = await rig.impure<(a: unknown) => number>();
    const a = f.submit(1);
    const map = f.map([1, 2, 3]);
    f.submit(a as ObjectRef<unknown>);
    f.submit([a, 5]);
    f.submit(map as never);
    f.map(map as never);
    await until("sent", () => rig.stagesSent().length === 6);
    expect(rig.stagesSent().map(({ args }) => args[0])).toMatchObject([
      { a: "item" },
      { a: "item" },
      { a: "task", stage: 0, task: 0 },
      { a: "list", of: [{ a: "task", stage: 0, task: 0 }, { a: "value" }] },
      { a: "stage", stage: 1, edge: "all" },
      { a: "stage", stage: 1, edge: "one-to-one" },
    ]);
  });

  test("of another connection are refused", async () => {
    const other = await rig.open({ backend: memoryBackend(rig.network, modelDurable()) });
    const ref = other.kernel<(x: number) => number>("identity").submit(1);
    expect(() => identity().submit(ref)).toThrow(/another connection/);
    await other.close();
  });
});

describe("results", () => {
  test("that come twice, overlapping and out of order are taken once", async () => {
    const f = await rig.impure<(a: number) => number>();
    const map = f.map([0, 1, 2, 3, 4, 5]);
    await until("sent", () => rig.stagesSent().length === 1);
    const { client, session } = rig.scheduler.of("stages")[0] as ClientRequest & { t: "stages" };
    const part = (from: number, to: number, of: (i: number) => number) => {
      const pack = new PackWriter();
      for (let i = from; i < to; i++) pack.add(encodeValue(of(i)));
      return { r: "inline" as const, stage: 0, from, to, pack: pack.finish() };
    };
    rig.scheduler.send(client, session, [part(3, 5, (i) => i)]);
    rig.scheduler.send(client, session, [part(1, 4, (i) => 100 + i), part(3, 5, (i) => 200 + i)]);
    rig.scheduler.send(client, session, [part(0, 6, (i) => 300 + i)]);
    expect(await rig.cluster.get(map)).toEqual([300, 101, 102, 3, 4, 305]);
  });

  test("of a lower epoch are refused", async () => {
    const f = await rig.impure<(a: number) => number>();
    rig.scheduler.epoch = 5;
    const ref = f.submit(1);
    await until(
      "sent",
      () => rig.stagesSent().length >= 1 && rig.scheduler.of("heartbeat").some(({ epoch }) => (epoch as number) === 5),
    );
    const { client, session, stages } = rig.scheduler.of("stages")[0] as ClientRequest & { t: "stages" };
    rig.scheduler.send(client, session, [resultsOf(stages[0] as never, () => "stale")], 4);
    rig.scheduler.send(client, session, [resultsOf(stages[0] as never, () => "fresh")], 5);
    expect(await rig.cluster.get(ref)).toBe("fresh");
  });

  test("an error carries the code, message and stack of the task, and disturbs nobody who did not ask", async () => {
    rig.scheduler.onStage = (stage, { client, session }) =>
      rig.scheduler.send(client, session, [
        {
          r: "failed",
          stage: stage.index,
          from: 0,
          to: stage.count,
          error: { code: "TASK_FAILED", message: "RangeError: no", stack: "at tasks.ts:3:1" },
        },
      ]);
    const f = await rig.impure<(a: number) => number>();
    const ref = f.submit(1);
    f.submit(2);
    await expect(rig.cluster.get(ref)).rejects.toMatchObject({
      code: "TASK_FAILED",
      message: "RangeError: no",
      remoteStack: "at tasks.ts:3:1",
    });
    await expect(rig.cluster.get(f.map([1, 2]))).rejects.toMatchObject({ code: "TASK_FAILED" });
  });

  test("wait gives what is ready and stops at its count or time", async () => {
    const f = await rig.impure<(a: number) => number>();
    const map = f.map([0, 1, 2]);
    await until("sent", () => rig.stagesSent().length === 1);
    const { client, session } = rig.scheduler.of("stages")[0] as ClientRequest & { t: "stages" };
    const none = await rig.cluster.wait(map, { timeoutMs: 5 });
    expect([none.ready.length, none.pending.length]).toEqual([0, 3]);
    const one = rig.cluster.wait(map, { count: 1 });
    const pack = new PackWriter();
    pack.add(encodeValue("b"));
    rig.scheduler.send(client, session, [{ r: "inline", stage: 0, from: 1, to: 2, pack: pack.finish() }]);
    const { ready, pending } = await one;
    expect([ready.map(({ id }) => id.slice(-2)), pending.length]).toEqual([["-1"], 2]);
    await expect(rig.cluster.get(map, { timeoutMs: 5 })).rejects.toMatchObject({ code: "TIMEOUT" });
  });
});

describe("refs that are dropped", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;

  test("release their stage with the next heartbeat once it is complete", async () => {
    rig.scheduler.execute((a) => a);
    const f = await rig.impure<(a: number) => number>();
    await (async () => {
      await rig.cluster.get(f.map([1, 2, 3]));
    })();
    await until("released", () => {
      collect();
      return rig.scheduler.of("heartbeat").some(({ released }) => released.includes(0));
    });
  });
});

describe("put", () => {
  test("a small value is told to the scheduler with its bytes, once, and read back without asking", async () => {
    const [a, b] = await Promise.all([rig.cluster.put({ x: 1 }), rig.cluster.put({ x: 1 })]);
    expect(a.id).toBe(b.id);
    expect(await rig.cluster.get(a)).toEqual({ x: 1 });
    expect(rig.scheduler.of("put")).toHaveLength(1);
    expect(rig.scheduler.of("put")[0]).toMatchObject({ id: a.id, kind: 1 });
  });

  test("a value that cannot be sent is named by its path", async () => {
    await expect(rig.cluster.put({ a: [() => 1] })).rejects.toMatchObject({
      code: "TASK_UNSERIALIZABLE",
      message: expect.stringContaining("value.a[0]"),
    });
  });
});

describe("graphs", () => {
  test("what a graph reads is durable before it is submitted, and large values become durable objects", async () => {
    const order: string[] = [];
    rig.scheduler.onRequest = (request) => {
      order.push(request.t);
      return request.t === "submit" ? { t: "submitted", job: request.job, existed: false } : undefined;
    };
    const small = await rig.cluster.put([1, 2, 3]);
    const big = "y".repeat(300_000);
    const f = await rig.impure<(...args: unknown[]) => number>();
    const graph = rig.cluster.graph("g");
    const first = graph.map(f, [1, 2], { shared: [small, big] });
    const second = graph.each(f, first);
    graph.all(f, second, { shared: [first] });
    const job = await rig.cluster.run(graph);
    expect(order.filter((t) => t !== "heartbeat")).toEqual(["put", "put", "put", "submit"]);
    const [submit] = rig.scheduler.of("submit");
    expect(job.id).toBe(submit?.job);
    expect(submit?.stages.map(({ args }) => args)).toMatchObject([
      [{ a: "item" }, { a: "object", id: small.id }, { a: "object" }],
      [{ a: "stage", stage: 0, edge: "one-to-one" }],
      [
        { a: "stage", stage: 1, edge: "all" },
        { a: "stage", stage: 0, edge: "all" },
      ],
    ]);
    expect(submit?.outputs).toEqual([2]);
    const items = submit?.stages[0]?.args[0];
    expect(items?.a === "item" && new PackReader(items.pack).count).toBe(2);
    const durable = await rig.backend.durable();
    expect(await durable.objects.has(small.id)).toBe(true);
  });

  test("a graph without stages and a foreign stage are INVALID_GRAPH", async () => {
    await expect(rig.cluster.run(rig.cluster.graph("empty"))).rejects.toMatchObject({ code: "INVALID_GRAPH" });
    const f = identity();
    const foreign = rig.cluster.graph("a").stage(f as never, [1] as never);
    expect(() => rig.cluster.graph("b").each(f as never, foreign)).toThrow(/graph "b"/);
  });

  test("options outside their limits are named", () => {
    expect(() => identity().with({ retries: -1 })).toThrow(/option retries/);
  });
});
