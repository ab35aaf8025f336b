/** What a client puts: how long it is its own, and what it does when the cluster has lost it or is full. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Table, tableFromArrays } from "apache-arrow";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { contentId } from "../../proto/address.js";
import { modelDurable } from "../../proto/durable/testing/model.js";
import { VolleyError } from "../../proto/errors.js";
import { serveData } from "../../proto/frames/data-plane.js";
import { FramePeer } from "../../proto/frames/peer.js";
import type { ObjectId, TenantId, WorkerId } from "../../proto/ids.js";
import { patienceMs, until } from "../../proto/testing/patience.js";
import { MemoryNetwork } from "../../proto/transport/testing/memory.js";
import type { ObjectRef, RemoteFunction } from "./api.js";
import { ClusterClient } from "./cluster.js";
import { memoryBackend, resultsOf, ScriptedScheduler } from "./testing/scripted-scheduler.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

let scheduler: ScriptedScheduler;
let cluster: ClusterClient;
let held: Set<ObjectId>;
let offers: number;
let full: number;
let missing: ObjectId[];
let closers: (() => Promise<void>)[];

beforeEach(async () => {
  const network = new MemoryNetwork();
  scheduler = new ScriptedScheduler(network);
  held = new Set();
  offers = 0;
  full = 0;
  missing = [];
  const transport = network.connect("w1");
  const frames = new FramePeer({ transport, peer: "w1" });
  serveData({
    transport,
    frames,
    lookup: () => undefined,
    accept: (put) => {
      offers++;
      if (full-- > 0) throw new VolleyError("OUT_OF_MEMORY", "full for now");
      return {
        target: new Uint8Array(put.bytes),
        commit: ({ id, digest }) => {
          if (id !== contentId(digest)) throw new VolleyError("INVALID_ARGUMENT", "not what its name says");
          held.add(id);
        },
        abort: () => undefined,
      };
    },
  });
  closers = [() => frames.close(), () => transport.close()];
  scheduler.onRequest = (request) => {
    if (request.t === "place") return { t: "placed", worker: "w1" as WorkerId };
    if (request.t === "hold")
      return { t: "held", missing: request.objects.map(({ id }) => id).filter((id) => !held.has(id)) };
    if (request.t === "heartbeat") {
      for (const { id } of request.dropped ?? []) held.delete(id);
      return {
        t: "heartbeat",
        known: scheduler.sessions.has(request.session),
        ...(missing.length > 0 ? { missing } : {}),
      };
    }
    return undefined;
  };
  const backend = memoryBackend(network, modelDurable());
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

const bytes = (fill: number, size = 1_000_000): Uint8Array => new Uint8Array(size).fill(fill);
/** Each once: a heartbeat that was not answered in time is sent again. */
const dropped = (): { id: ObjectId; generation: number }[] => {
  const listed = scheduler.of("heartbeat").flatMap((heartbeat) => heartbeat.dropped ?? []);
  return [...new Map(listed.map((one) => [`${one.id} ${one.generation}`, one])).values()];
};
const f = <A>(): RemoteFunction<(a: A) => number> => cluster.kernel<(a: A) => number>("identity");

describe("what is not needed any more is given back:", () => {
  test("arguments of calls that have ended, but for a few that a loop may pass again", async () => {
    scheduler.onStage = (stage, { client, session }) => scheduler.send(client, session, [resultsOf(stage, () => 1)]);
    for (let i = 0; i < 20; i++) await cluster.get(f<Uint8Array>().submit(bytes(i)));
    await until("dropped", () => dropped().length === 16);
    expect(held.size).toBe(4);
    const before = offers;
    for (let i = 0; i < 3; i++) await cluster.get(f<Uint8Array>().submit(bytes(19)));
    expect(offers).toBe(before);
  });

  test("nothing while its stage has not ended", async () => {
    const refs = Array.from({ length: 8 }, (_, i) => f<Uint8Array>().submit(bytes(i)));
    await until("sent", () => scheduler.of("stages").flatMap(({ stages }) => stages).length === 8);
    const heartbeats = scheduler.of("heartbeat").length;
    await until("three heartbeats", () => scheduler.of("heartbeat").length > heartbeats + 3);
    expect([dropped().length, held.size, refs.length]).toEqual([0, 8, 8]);
  });

  test("puts whose refs are collected, large and small; those whose refs live stay", async () => {
    const kept = await cluster.put(bytes(1));
    await (async () => {
      for (let i = 10; i < 18; i++) await cluster.put(bytes(i));
      for (let i = 0; i < 3; i++) await cluster.put({ small: i });
    })();
    await until("dropped", () => {
      collect();
      return dropped().length === 7;
    });
    expect(held.has(kept.id)).toBe(true);
    expect(dropped().some(({ id }) => id === kept.id)).toBe(false);
  });

  test("a table stays in the cluster while the caller has it", async () => {
    scheduler.onStage = (stage, { client, session }) => scheduler.send(client, session, [resultsOf(stage, () => 1)]);
    const table = tableFromArrays({ x: new Float64Array(50_000) });
    await cluster.get(f<Table>().submit(table));
    for (let i = 0; i < 10; i++) await cluster.get(f<Uint8Array>().submit(bytes(i)));
    await until("others are dropped", () => dropped().length === 6);
    const before = offers;
    await cluster.get(f<Table>().submit(table));
    expect(offers).toBe(before);
  });

  test("the same value put again has a higher generation than what was dropped", async () => {
    scheduler.onStage = (stage, { client, session }) => scheduler.send(client, session, [resultsOf(stage, () => 1)]);
    for (const fill of [1, 2, 3, 4, 5, 1]) await cluster.get(f<Uint8Array>().submit(bytes(fill)));
    const holds = scheduler.of("hold").flatMap(({ objects }) => objects);
    const [first, again] = holds.filter(({ id }) => id === holds[0]?.id);
    await until("the first is dropped", () => dropped().some(({ id }) => id === first?.id));
    expect(dropped().find(({ id }) => id === first?.id)?.generation).toBe(first?.generation);
    expect(again?.generation).toBeGreaterThan(first?.generation ?? Number.POSITIVE_INFINITY);
  });
});

describe("what the cluster has lost", () => {
  async function lose(ref: ObjectRef<unknown>): Promise<void> {
    held.delete(ref.id);
    missing = [ref.id];
    await until("put again or dropped", () => held.has(ref.id) || dropped().some(({ id }) => id === ref.id));
    missing = [];
  }

  test("is put again, without the caller", async () => {
    const ref = await cluster.put(bytes(1));
    await lose(ref);
    expect([held.has(ref.id), offers, dropped()]).toEqual([true, 2, []]);
  });

  test("is put again from the caller's own value when there is too much to keep the bytes of", async () => {
    const first = { numbers: Array.from({ length: 200_000 }, (_, i) => i) };
    const ref = await cluster.put(first);
    const others = await Promise.all([cluster.put(bytes(2, 20_000_000)), cluster.put(bytes(3, 20_000_000))]);
    await lose(ref);
    expect([held.has(ref.id), others.length]).toEqual([true, 2]);
  });

  test("and the caller has changed is dropped instead of put as something else; put anew it is there", async () => {
    const value = { numbers: Array.from({ length: 200_000 }, (_, i) => i) };
    const ref = await cluster.put(value);
    const others = await Promise.all([cluster.put(bytes(2, 20_000_000)), cluster.put(bytes(3, 20_000_000))]);
    value.numbers[5] = 77;
    await lose(ref);
    expect([held.has(ref.id), dropped().map(({ id }) => id), others.length]).toEqual([false, [ref.id], 2]);
    value.numbers[5] = 5;
    const again = await cluster.put(value);
    expect([again.id, held.has(ref.id)]).toEqual([ref.id, true]);
  });
});

test("a full cluster is waited for, and what lingers is given back to make room", async () => {
  scheduler.onStage = (stage, { client, session }) => scheduler.send(client, session, [resultsOf(stage, () => 1)]);
  for (let i = 0; i < 3; i++) await cluster.get(f<Uint8Array>().submit(bytes(i)));
  full = 6;
  const ref = await cluster.put(bytes(9));
  expect(held.has(ref.id)).toBe(true);
  expect(dropped()).toHaveLength(3);
});

test("a job's id can be given, and is in the error when a submission is not answered", async () => {
  const graph = cluster.graph("g");
  graph.stage(f<number>() as never, [1] as never);
  const answered = scheduler.onRequest;
  scheduler.onRequest = (request) =>
    request.t === "submit" ? { t: "submitted", job: request.job, existed: false } : answered(request);
  expect((await cluster.run(graph, { id: "mine-7" })).id).toBe("mine-7");
  await expect(cluster.run(graph, { id: "no name" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  scheduler.onRequest = (request) =>
    request.t === "submit" ? { t: "error", error: { code: "UNAUTHENTICATED", message: "no" } } : answered(request);
  await expect(cluster.run(graph)).rejects.toMatchObject({ code: "UNAUTHENTICATED", details: undefined });
});
