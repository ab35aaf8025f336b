/** The agent with real slots and a real store, over a network in memory, against a scheduler that a test scripts. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { digestOf } from "../../proto/digest.js";
import { type ModelDurable, modelDurable } from "../../proto/durable/model.js";
import { objectBlobName } from "../../proto/durable/objects.js";
import { fetchObject, offerObject } from "../../proto/frames/data-plane.js";
import { FramePeer } from "../../proto/frames/peer.js";
import {
  type BundleId,
  type Epoch,
  type JobId,
  type LeaseId,
  type ObjectBase,
  type ObjectId,
  objectIdOf,
  type WorkerId,
} from "../../proto/ids.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import type { ArgSpec } from "../../proto/messages/stage.js";
import type { Lease, WorkerOrder } from "../../proto/messages/worker.js";
import { eventually, patienceMs } from "../../proto/testing/patience.js";
import { MemoryNetwork } from "../../proto/transport/memory.js";
import { PackWriter } from "../../proto/values/pack.js";
import { encodeValue } from "../../proto/values/value.js";
import { Agent } from "./agent.js";
import { FakeScheduler } from "./testing/fake-scheduler.js";

const source = `
const { taskContext } = globalThis[Symbol.for("volley.shared")].volley;
export const double = (x) => 2 * x;
export const add = (a, b) => a + b;
export const large = (i) => new Uint8Array(20_000).fill(i);
export const total = (list) => list.reduce((sum, x) => sum + (typeof x === "number" ? x : x.length), 0);
export const sumOf = (t) => { let s = 0; for (const v of t.getChild("x")) s += v; return s; };
export const filled = (i) => new Uint8Array(20_000).fill(i);
export const first = (bytes) => bytes[0];
export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms, ms));
`;
const bundle = createHash("sha256").update(source).digest("hex") as BundleId;
const job = "job1" as JobId;
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

let network: MemoryNetwork;
let scheduler: FakeScheduler;
let durable: ModelDurable;
let folder: string;
let agents: Agent[];
let closing: (() => Promise<unknown>)[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "volley-agent-test-"));
  network = new MemoryNetwork();
  scheduler = new FakeScheduler(network.connect("scheduler"));
  durable = modelDurable();
  await durable.bundles.put(bundle, Buffer.from(source));
  agents = [];
  closing = [];
});
afterEach(async () => {
  for (const close of closing) await close();
  await Promise.all(agents.map((agent) => agent.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function startAgent(name: string, more: { slots?: number; storeBytes?: number } = {}): Promise<Agent> {
  const agent = new Agent({
    worker: name as WorkerId,
    node: "test",
    slots: more.slots ?? 1,
    storeBytes: more.storeBytes ?? 64 * 2 ** 20,
    threadHeapBytes: 128 * 2 ** 20,
    spillParent: folder,
    bundleFolder: join(folder, "bundles"),
    control: network.connect(`${name}-control`),
    frames: network.connect(`${name}-frames`),
    durable,
    log: quiet,
  });
  agents.push(agent);
  agent.start();
  await agent.joined;
  return agent;
}

const lease = (id: string, name: string, args: ArgSpec[], more: Partial<Lease> = {}): Lease => ({
  lease: id as LeaseId,
  job,
  stage: 5,
  base: `s${job}_5` as ObjectBase,
  fn: { bundle, export: name },
  from: 0,
  to: 1,
  attempt: 0,
  args,
  bases: [],
  inputs: [],
  durable: false,
  options: { retries: 0, timeoutMs: patienceMs, pure: false, priority: 0 },
  ...more,
});
const value = (v: unknown): ArgSpec => ({ a: "value", ...encodeValue(v) });
const packOf = (values: unknown[]): Uint8Array => {
  const pack = new PackWriter();
  for (const v of values) pack.add(encodeValue(v));
  return pack.finish();
};
const locationOf = (id: ObjectId, kind: number, data: Uint8Array, more: Partial<ObjectLocation>): ObjectLocation => ({
  id,
  state: "ready",
  kind,
  bytes: data.byteLength,
  digest: digestOf(kind, data),
  ...more,
});

describe("a lease", () => {
  test("runs a bundle's function over a range, from a pack cut to the range", async () => {
    await startAgent("w1");
    scheduler.order("w1", {
      o: "lease",
      lease: lease("1.1", "add", [{ a: "item", pack: packOf([10, 20, 30]) }, value(1)], { from: 100, to: 103 }),
    });
    await scheduler.ended("1.1");
    expect([100, 101, 102].map((task) => scheduler.value("1.1", task))).toEqual([11, 21, 31]);
    expect(scheduler.commits.every((commit) => commit.segment.stage === 5)).toBe(true);
  });

  test("of a durable job carries digests, and its large results are in the durable store before they are committed", async () => {
    await startAgent("w1");
    scheduler.order(
      "w1",
      { o: "lease", lease: lease("1.1", "large", [{ a: "index" }], { from: 3, to: 5, durable: true }) },
      { o: "lease", lease: lease("1.2", "double", [value(4)], { durable: true }) },
    );
    await scheduler.ended("1.1", "1.2");
    const stored = scheduler.commits.flatMap(({ segment }) => (segment.r === "stored" ? segment.stored : []));
    expect(stored).toHaveLength(2);
    expect(stored[0]).toMatchObject({ bytes: 20_000, kind: 3 });
    expect(Uint8Array.from(stored[0]?.digest ?? [])).toEqual(digestOf(3, new Uint8Array(20_000).fill(3)));
    const fours = new Uint8Array(20_000).fill(4);
    expect(
      await durable.objects.get(objectBlobName(objectIdOf(`s${job}_5` as ObjectBase, 4), digestOf(3, fours))),
    ).toEqual(fours);
    const inline = scheduler.commits.find(({ segment }) => segment.r === "inline");
    expect(inline?.segment.r === "inline" && inline.segment.digests?.byteLength).toBe(16);
  });

  test("of a task that an uncommitted execution has left a result of commits its own bytes, here and in the durable store", async () => {
    await startAgent("w1");
    const id = objectIdOf(`s${job}_5` as ObjectBase, 0);
    const orphan = new Uint8Array(20_000).fill(9);
    await durable.objects.put(objectBlobName(id, digestOf(3, orphan)), orphan);
    // 5.1 is executed under an earlier epoch, and its commit is void; then the task is executed again by the same
    // worker, with another result.
    for (const epoch of [1, 2]) {
      scheduler.epoch = epoch;
      scheduler.order("w1", {
        o: "lease",
        lease: lease(`${epoch}.1`, "filled", [value(6 + epoch)], { durable: true }),
      });
      await scheduler.ended(`${epoch}.1`);
    }
    const last = scheduler.commits.at(-1)?.segment;
    const eights = new Uint8Array(20_000).fill(8);
    expect(last?.r === "stored" && Uint8Array.from(last.stored[0]?.digest ?? [])).toEqual(digestOf(3, eights));
    expect(await durable.objects.get(objectBlobName(id, digestOf(3, eights)))).toEqual(eights);
    expect(await getFrom("w1", id, digestOf(3, eights))).toEqual(eights);
    await expect(getFrom("w1", id, digestOf(3, orphan))).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
  });

  test("of code that is not in the store fails its tasks with BUNDLE_NOT_FOUND", async () => {
    await startAgent("w1");
    scheduler.order("w1", {
      o: "lease",
      lease: lease("1.1", "f", [], { fn: { bundle: "e".repeat(64) as BundleId, export: "f" }, to: 3 }),
    });
    await scheduler.ended("1.1");
    expect(scheduler.failure("1.1", 2)).toMatchObject({ code: "BUNDLE_NOT_FOUND" });
  });
});

describe("inputs", () => {
  test("are fetched from the worker that holds them, in place for the task; copies are told as such", async () => {
    await startAgent("w1");
    const other = await startAgent("w2");
    const stream = tableToIPC(tableFromArrays({ x: Float64Array.from({ length: 100_000 }, (_, i) => i) }), "stream");
    const id = await putInto("w1", 2, stream);
    scheduler.order("w2", {
      o: "lease",
      lease: lease("1.1", "sumOf", [{ a: "object", id }], {
        to: 4,
        inputs: [locationOf(id, 2, stream, { workers: ["w1" as WorkerId] })],
      }),
    });
    await scheduler.ended("1.1");
    expect([0, 3].map((task) => scheduler.value("1.1", task))).toEqual([4_999_950_000, 4_999_950_000]);
    expect(other.figures().store.objects).toBe(1);
    // A message that is not answered soon is sent again.
    const added = scheduler.heard.flatMap((m) => (m.t === "objects" && m.worker === "w2" ? m.added : []));
    expect(new Set(added.map((object) => `${object.id} ${object.copy}`))).toEqual(new Set([`${id} true`]));
  });

  test("are the committed bytes, not others that this worker holds under the same id", async () => {
    await startAgent("w1");
    const id = objectIdOf(`s${job}_5` as ObjectBase, 0);
    const committed = new Uint8Array(20_000).fill(3);
    // An execution of this worker's that another one was quicker than.
    scheduler.order("w1", { o: "lease", lease: lease("1.1", "filled", [value(7)]) });
    await scheduler.ended("1.1");
    await durable.objects.put(objectBlobName(id, digestOf(3, committed)), committed);
    scheduler.order("w1", {
      o: "lease",
      lease: lease("1.2", "first", [{ a: "object", id }], {
        stage: 6,
        inputs: [locationOf(id, 3, committed, { durable: true, workers: ["w1" as WorkerId] })],
      }),
    });
    await scheduler.ended("1.2");
    expect(scheduler.value("1.2", 0)).toBe(3);
  });

  test("of which the lease says nothing are asked for, and come from the durable store when no worker has them", async () => {
    await startAgent("w1");
    const data = Uint8Array.of(42, ...new Uint8Array(9999));
    const id = objectIdOf("p0123456789abcdef0123456789abcdef" as ObjectBase, 7);
    await durable.objects.put(id, data);
    scheduler.answer = (request) => ({
      t: "located",
      epoch: 1 as Epoch,
      locations:
        request.t === "locate"
          ? request.ids.map((asked) => locationOf(asked, 3, data, { durable: true, workers: ["gone" as WorkerId] }))
          : [],
    });
    scheduler.order("w1", { o: "lease", lease: lease("1.1", "first", [{ a: "object", id }]) });
    await scheduler.ended("1.1");
    expect(scheduler.value("1.1", 0)).toBe(42);
  });

  test("that cannot be had give the lease back", async () => {
    await startAgent("w1");
    const id = objectIdOf("p0123456789abcdef0123456789abcdef" as ObjectBase, 0);
    scheduler.answer = () => ({ t: "located", epoch: 1 as Epoch, locations: [{ id, state: "unknown" }] });
    scheduler.order("w1", { o: "lease", lease: lease("1.1", "first", [{ a: "object", id }], { to: 9 }) });
    await scheduler.ended("1.1");
    expect(scheduler.back).toMatchObject([{ lease: "1.1", from: 0, to: 9, error: { code: "OBJECT_LOST" } }]);
    expect(scheduler.commits).toEqual([]);
  });

  test("with other bytes than their digest says are not used", async () => {
    await startAgent("w1");
    const data = new Uint8Array(10_000);
    const id = objectIdOf("p0123456789abcdef0123456789abcdef" as ObjectBase, 0);
    await durable.objects.put(
      id,
      data.map(() => 1),
    );
    const location = locationOf(id, 3, data, { durable: true });
    scheduler.answer = () => ({ t: "located", epoch: 1 as Epoch, locations: [location] });
    scheduler.order("w1", { o: "lease", lease: lease("1.1", "first", [{ a: "object", id }], { inputs: [location] }) });
    await scheduler.ended("1.1");
    expect(scheduler.back).toHaveLength(1);
  });

  test("all results of a stage come page by page, large ones from where they are, and are asked for once", async () => {
    await startAgent("w1");
    const base = `s${job}_2` as ObjectBase;
    const large = encodeValue("x".repeat(50_000));
    await durable.objects.put(objectIdOf(base, 2), large.data);
    const asked: string[] = [];
    scheduler.answer = (request) => {
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
    const all = (id: string): WorkerOrder => ({
      o: "lease",
      lease: lease(id, "total", [{ a: "stage", stage: 2, edge: "all" }], { bases: [[2, base, 4]], to: 2 }),
    });
    scheduler.order("w1", all("1.1"));
    await scheduler.ended("1.1");
    scheduler.order("w1", all("1.2"));
    await scheduler.ended("1.2");
    expect([scheduler.value("1.1", 1), scheduler.value("1.2", 0)]).toEqual([50_007, 50_007]);
    expect(asked.filter((t) => t === "results")).toHaveLength(2);
  });

  test("one-to-one: task i takes output i", async () => {
    await startAgent("w1");
    const base = `s${job}_2` as ObjectBase;
    const inputs = [6, 7].map((i) => ({
      ...locationOf(objectIdOf(base, i), 1, encodeValue(i * 100).data, {}),
      inline: encodeValue(i * 100).data,
    }));
    scheduler.order("w1", {
      o: "lease",
      lease: lease("1.1", "double", [{ a: "stage", stage: 2, edge: "one-to-one" }], {
        from: 6,
        to: 8,
        bases: [[2, base, 10]],
        inputs,
      }),
    });
    await scheduler.ended("1.1");
    expect([6, 7].map((i) => scheduler.value("1.1", i))).toEqual([1200, 1400]);
  });
});

async function putInto(worker: string, kind: 1 | 2 | 3, payload: Uint8Array): Promise<ObjectId> {
  const transport = network.connect("client-frames");
  const frames = new FramePeer({ transport, peer: `client${closing.length}` });
  closing.push(() => frames.close());
  const digest = digestOf(kind, payload);
  const id = `c${Buffer.from(digest).toString("hex")}-0` as ObjectId;
  await offerObject({ transport, frames, to: worker, id, kind, digest, payload, timeoutMs: patienceMs });
  return id;
}

async function getFrom(worker: string, id: ObjectId, digest: Uint8Array): Promise<Uint8Array> {
  const transport = network.connect("reader-frames");
  const frames = new FramePeer({ transport, peer: `reader${closing.length}` });
  closing.push(() => frames.close());
  const { data } = await fetchObject({
    transport,
    frames,
    from: worker,
    id,
    digest,
    allocate: ({ bytes }) => new Uint8Array(bytes),
    timeoutMs: patienceMs,
  });
  return data;
}

describe("peers", () => {
  test("a put is confirmed only after the scheduler has acknowledged it", async () => {
    await startAgent("w1");
    scheduler.acks = false;
    let confirmed = false;
    const put = putInto("w1", 3, new Uint8Array(100_000).fill(9)).then((id) => {
      confirmed = true;
      return id;
    });
    await eventually(() => expect(scheduler.heard.some((m) => m.t === "objects")).toBe(true));
    expect(confirmed).toBe(false);
    scheduler.acks = true;
    const id = await put;
    expect(scheduler.heard.find((m) => m.t === "objects")).toMatchObject({ added: [{ id, bytes: 100_000, kind: 3 }] });
  });

  test("what was put can be fetched, and is gone after `free`", async () => {
    const agent = await startAgent("w1");
    const payload = new Uint8Array(1_000_000).map((_, i) => i * 7);
    const id = await putInto("w1", 3, payload);
    const transport = network.connect("reader");
    const frames = new FramePeer({ transport, peer: "reader" });
    closing.push(() => frames.close());
    const fetch = () =>
      fetchObject({
        transport,
        frames,
        from: "w1",
        id,
        allocate: (meta) => new Uint8Array(meta.bytes),
        timeoutMs: patienceMs,
      });
    expect(Buffer.compare((await fetch()).data, payload)).toBe(0);
    scheduler.order("w1", { o: "free", ids: [id] });
    await eventually(() => expect(agent.figures().store).toMatchObject({ objects: 0, usedBytes: 0 }));
    await expect(fetch()).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
  });

  test("an object that is not named by its bytes is refused", async () => {
    await startAgent("w1");
    const transport = network.connect("liar");
    const frames = new FramePeer({ transport, peer: "liar" });
    closing.push(() => frames.close());
    const payload = new Uint8Array(10_000);
    const offer = (id: string, digest: Uint8Array) =>
      offerObject({ transport, frames, to: "w1", id: id as ObjectId, kind: 3, digest, payload, timeoutMs: patienceMs });
    await expect(offer(`s${job}_1-0`, digestOf(3, payload))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const wrong = digestOf(3, new Uint8Array(5));
    await expect(offer(`c${Buffer.from(wrong).toString("hex")}-0`, wrong)).rejects.toMatchObject({
      code: expect.stringMatching(/CORRUPT|TIMEOUT/),
    });
    // Where the offer timed out first (a busy machine), the room is given back when the transfer's own end comes.
    await eventually(() => expect(agents[0]?.figures().store.usedBytes).toBe(0));
  });
});

describe("the agent", () => {
  test("beats while its only slot is busy, and a cancelled lease ends", async () => {
    await startAgent("w1");
    scheduler.order("w1", { o: "lease", lease: lease("1.1", "wait", [value(60_000)]) });
    await eventually(() =>
      expect(scheduler.heard.filter((m) => m.t === "beat" && m.leases[0]?.running).length).toBeGreaterThan(2),
    );
    scheduler.order("w1", { o: "cancel", lease: "1.1" as LeaseId });
    await scheduler.ended("1.1");
    expect(scheduler.back).toEqual([{ lease: "1.1", from: 0, to: 1 }]);
  });

  test("follows a new scheduler: old leases end, and it tells what it holds", async () => {
    await startAgent("w1");
    const id = await putInto("w1", 3, new Uint8Array(10_000).fill(1));
    scheduler.order("w1", { o: "lease", lease: lease("1.1", "wait", [value(60_000)]) });
    await eventually(() => expect(scheduler.heard.some((m) => m.t === "beat" && m.leases.length === 1)).toBe(true));
    scheduler.epoch = 2;
    scheduler.known.clear();
    scheduler.heard.length = 0;
    await eventually(() => expect(scheduler.heard.some((m) => m.t === "hello" && m.objects.length === 1)).toBe(true));
    expect(scheduler.heard.find((m) => m.t === "hello")).toMatchObject({ leases: [], objects: [{ id }] });
    scheduler.order("w1", { o: "lease", lease: lease("2.1", "double", [value(21)]) });
    await scheduler.ended("2.1");
    expect(scheduler.value("2.1", 0)).toBe(42);
    expect(scheduler.done).not.toContain("1.1");
  });

  test("sends commits again after the network was away", async () => {
    await startAgent("w1");
    scheduler.order("w1", { o: "lease", lease: lease("1.1", "wait", [value(150)]) });
    await eventually(() => expect(scheduler.heard.some((m) => m.t === "beat" && m.leases.length === 1)).toBe(true));
    network.setDown(true);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(scheduler.commits).toEqual([]);
    network.setDown(false);
    await scheduler.ended("1.1");
    expect(scheduler.value("1.1", 0)).toBe(150);
  });

  test("drains: the running task finishes, the rest goes back, bye is the last word", async () => {
    const agent = await startAgent("w1");
    scheduler.order(
      "w1",
      { o: "lease", lease: lease("1.1", "wait", [value(60)], { to: 50 }) },
      { o: "lease", lease: lease("1.2", "wait", [value(60)], { to: 50 }) },
    );
    await eventually(() => expect(scheduler.commits.length).toBeGreaterThan(0));
    await agent.drain();
    await eventually(() => expect(scheduler.heard.at(-1)?.t).toBe("bye"));
    const finished = scheduler.commits.reduce((sum, { segment }) => sum + segment.to - segment.from, 0);
    expect(finished).toBeGreaterThan(0);
    expect(finished + scheduler.back.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(100);
  });
});
