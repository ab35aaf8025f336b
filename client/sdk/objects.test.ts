import { type Table, tableFromArrays } from "apache-arrow";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestOf } from "../../proto/digest.js";
import { modelDurable } from "../../proto/durable/testing/model.js";
import { VolleyError } from "../../proto/errors.js";
import { serveData } from "../../proto/frames/data-plane.js";
import { FramePeer } from "../../proto/frames/peer.js";
import type { ObjectId, TenantId, WorkerId } from "../../proto/ids.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import { patienceMs } from "../../proto/testing/patience.js";
import { MemoryNetwork } from "../../proto/transport/testing/memory.js";
import type { ValueKind } from "../../proto/values/value.js";
import { ClusterClient } from "./cluster.js";
import { memoryBackend, ScriptedScheduler } from "./testing/scripted-scheduler.js";

interface Held {
  kind: ValueKind;
  digest: Uint8Array;
  data: Uint8Array;
}

/** Workers that hold objects, and a scheduler that knows where. */
let network: MemoryNetwork;
let scheduler: ScriptedScheduler;
let cluster: ClusterClient;
let backend: ReturnType<typeof memoryBackend>;
let workers: Map<string, Map<ObjectId, Held>>;
let refuse: Map<string, VolleyError>;
let closers: (() => Promise<void>)[];
let placements: string[];

function addWorker(name: string): void {
  const held = new Map<ObjectId, Held>();
  workers.set(name, held);
  const transport = network.connect(name);
  const frames = new FramePeer({ transport, peer: name });
  serveData({
    transport,
    frames,
    lookup: (id) => {
      const found = held.get(id);
      return found && { ...found, release: () => undefined };
    },
    accept: (put) => {
      const error = refuse.get(name);
      if (error) throw error;
      if (put.id && held.has(put.id)) return "have";
      const target = new Uint8Array(put.bytes);
      return {
        target,
        commit: ({ id, digest }) => void held.set(id, { kind: put.kind as ValueKind, digest, data: target }),
        abort: () => undefined,
      };
    },
  });
  closers.push(async () => {
    await frames.close();
    await transport.close();
  });
}

function locate(id: ObjectId): ObjectLocation {
  const holders = [...workers].filter(([, held]) => held.has(id)).map(([name]) => name as WorkerId);
  const held = [...workers.values()].find((objects) => objects.has(id))?.get(id);
  return held
    ? { id, state: "ready", kind: held.kind, bytes: held.data.byteLength, digest: held.digest, workers: holders }
    : { id, state: "unknown" };
}

beforeEach(async () => {
  network = new MemoryNetwork();
  scheduler = new ScriptedScheduler(network);
  workers = new Map();
  refuse = new Map();
  closers = [];
  placements = ["w1"];
  addWorker("w1");
  addWorker("w2");
  scheduler.onRequest = (request) => {
    if (request.t === "place")
      return { t: "placed", worker: (placements.length > 1 ? placements.shift() : placements[0]) as WorkerId };
    if (request.t === "locate") return { t: "located", locations: request.ids.map(locate) };
    return undefined;
  };
  backend = memoryBackend(network, modelDurable());
  cluster = await ClusterClient.open({
    backend,
    tenant: "default" as TenantId,
    timeoutMs: patienceMs,
    onError: (error) => expect.unreachable(String(error)),
  });
});
afterEach(async () => {
  await cluster.close();
  for (const close of closers) await close();
  await scheduler.stop();
});

const large = (): Table => tableFromArrays({ x: Float64Array.from({ length: 500_000 }, (_, i) => i) });

test("a large value goes to the worker that the scheduler names, and comes back as the same table, on its own memory", async () => {
  const ref = await cluster.put(large());
  const held = workers.get("w1")?.get(ref.id);
  expect(held?.data.byteLength).toBeGreaterThan(4_000_000);
  const table = await cluster.get(ref);
  expect(table.numRows).toBe(500_000);
  expect(table.getChild("x")?.get(499_999)).toBe(499_999);
});

test("the same table passed to many calls is encoded and sent once", async () => {
  const table = large();
  const f = cluster.kernel<(t: Table, k: number) => number>("identity");
  f.submit(table, 1);
  f.submit(table, 2);
  while (scheduler.of("stages").flatMap(({ stages }) => stages).length < 2)
    await new Promise((resolve) => setImmediate(resolve));
  expect(scheduler.of("place")).toHaveLength(1);
  const args = scheduler.of("stages").flatMap(({ stages }) => stages.map((stage) => stage.args[0]));
  expect(args).toEqual([args[0], args[0]]);
  expect(args[0]).toMatchObject({ a: "object" });
});

test("a map of many items sends them as one object and its stage after it", async () => {
  const f = cluster.kernel<(x: number) => number>("identity");
  f.map(Array.from({ length: 100_000 }, (_, i) => i));
  while (scheduler.of("stages").length === 0) await new Promise((resolve) => setImmediate(resolve));
  const [stage] = scheduler.of("stages").flatMap(({ stages }) => stages);
  expect(stage).toMatchObject({ count: 100_000, args: [{ a: "items" }] });
  expect(workers.get("w1")?.size).toBe(1);
});

test("a worker that is full or gone is passed over", async () => {
  placements = ["gone", "w1", "w2"];
  refuse.set("w1", new VolleyError("OUT_OF_MEMORY", "full"));
  const ref = await cluster.put(new Uint8Array(100_000).fill(7));
  expect(workers.get("w2")?.has(ref.id)).toBe(true);
});

test("an upload that fails everywhere fails the calls that need it, and nothing else", async () => {
  refuse.set("w1", new VolleyError("OUT_OF_MEMORY", "never", { details: { neededBytes: 9, storeBytes: 5 } }));
  const ref = cluster.kernel<(t: Table) => number>("identity").submit(large());
  await expect(cluster.get(ref)).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
});

test("a copy that is gone or corrupt is passed over; when all are corrupt, that is said", async () => {
  const ref = await cluster.put(new Uint8Array(100_000).fill(7));
  const good = workers.get("w1")?.get(ref.id) as Held;
  const bad = { ...good, data: good.data.slice().fill(8) };
  workers.get("w2")?.set(ref.id, good);
  workers.get("w1")?.set(ref.id, bad);
  expect((await cluster.get(ref))[5]).toBe(7);
});

test("what no worker holds any more is read from the durable store, and its digest is checked", async () => {
  const data = new Uint8Array(100_000).fill(9);
  const ref = await cluster.put(data, { durable: true });
  expect(workers.get("w1")?.size).toBe(0);
  const digest = digestOf(3, data);
  scheduler.onRequest = (request) =>
    request.t === "locate"
      ? {
          t: "located",
          locations: request.ids.map((id) => ({
            id,
            state: "ready",
            kind: 3,
            bytes: data.byteLength,
            digest,
            workers: ["gone" as WorkerId],
            durable: true,
          })),
        }
      : undefined;
  expect((await cluster.get(ref))[99_999]).toBe(9);
});

test("an object that nobody knows is OBJECT_NOT_FOUND, a pending one is waited for, a failed one rejects with its error", async () => {
  const id = `c${"1".repeat(32)}-0` as ObjectId;
  await expect(cluster.get({ id })).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
  let asked = 0;
  scheduler.onRequest = (request) => {
    if (request.t !== "locate") return undefined;
    const location: ObjectLocation =
      ++asked < 3 ? { id, state: "pending" } : { id, state: "ready", kind: 1, bytes: 1, inline: Uint8Array.of(5) };
    return { t: "located", locations: [location] };
  };
  expect(await cluster.get({ id })).toBe(5);
  scheduler.onRequest = (request) =>
    request.t === "locate"
      ? { t: "located", locations: [{ id, state: "failed", error: { code: "TASK_FAILED", message: "Error: x" } }] }
      : undefined;
  await expect(cluster.get({ id })).rejects.toMatchObject({ code: "TASK_FAILED" });
});
