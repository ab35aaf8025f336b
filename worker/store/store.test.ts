import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { tableFromArrays, tableFromIPC, tableToIPC } from "apache-arrow";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { digestOf } from "../../proto/digest.js";
import type { ObjectId } from "../../proto/ids.js";
import { fc } from "../../proto/testing/drawn.js";
import { ObjectStore, type StoreOptions } from "./store.js";

let folder: string;
let stores: ObjectStore[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "volley-store-test-"));
  stores = [];
});
afterEach(() => {
  for (const store of stores) store.close();
  rmSync(folder, { recursive: true, force: true });
});

const KiB = 1024;
const open = (options: Partial<StoreOptions> = {}): ObjectStore => {
  const store = new ObjectStore({ budgetBytes: 256 * KiB, spillParent: folder, admissionTimeoutMs: 2_000, ...options });
  stores.push(store);
  return store;
};
const id = (n: number): ObjectId => `sjob_0-${n}` as ObjectId;
const bytesOf = (n: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (n * 31 + i * 7) & 255);
/** Quicker than toEqual. */
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const put = (store: ObjectStore, n: number, length: number): Promise<boolean> =>
  store.put(id(n), bytesOf(n, length), { kind: 3, digest: digestOf(3, bytesOf(n, length)) });
async function read(store: ObjectStore, n: number): Promise<Uint8Array> {
  const pin = await store.pin(id(n));
  const copy = pin.view.slice();
  pin.release();
  return copy;
}
const spillFiles = (): string[] => readdirSync(folder).flatMap((name) => readdirSync(join(folder, name)));

describe("objects", () => {
  test("are read back as they were written, and put again is the same object", async () => {
    const store = open();
    await put(store, 1, 1000);
    await put(store, 1, 1000);
    expect(await read(store, 1)).toEqual(bytesOf(1, 1000));
    expect(store.meta(id(1))).toEqual({ kind: 3, bytes: 1000, digest: digestOf(3, bytesOf(1, 1000)) });
    expect(store.stats).toMatchObject({ objects: 1, usedBytes: 1024, pinnedBytes: 0 });
  });

  test("Arrow tables are views on the shared memory", async () => {
    const store = open();
    const stream = tableToIPC(tableFromArrays({ price: Float64Array.of(1.5, 2.5), symbol: ["a", "ü"] }), "stream");
    await store.put(id(1), stream, { kind: 2, digest: digestOf(2, stream) });
    const pin = await store.pin(id(1));
    const table = tableFromIPC(pin.view);
    expect(table.toArray().map((row) => ({ ...row }))).toEqual([
      { price: 1.5, symbol: "a" },
      { price: 2.5, symbol: "ü" },
    ]);
    expect((table.getChild("price")?.data[0]?.values as Float64Array | undefined)?.buffer).toBe(store.memory.buffer);
    pin.release();
  });

  test("what is pinned survives being freed until its last release", async () => {
    const store = open();
    await put(store, 1, 1000);
    const [a, b] = [await store.pin(id(1)), await store.pin(id(1))];
    store.free(id(1));
    expect(store.has(id(1))).toBe(false);
    await expect(store.pin(id(1))).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
    a.release();
    a.release();
    expect(b.view).toEqual(bytesOf(1, 1000));
    expect(store.stats.usedBytes).toBe(1024);
    b.release();
    expect(store.stats).toMatchObject({ usedBytes: 0, pinnedBytes: 0, objects: 0 });
  });
});

describe("contents of one id", () => {
  const content = (n: number): { data: Uint8Array; meta: { kind: number; digest: Uint8Array } } => {
    const data = bytesOf(n, 1000);
    return { data, meta: { kind: 3, digest: digestOf(3, data) } };
  };
  const [a, b] = [content(1), content(2)];

  test("the newer stays, whichever comes first, and a reader gets the content it asks for or none", async () => {
    const store = open();
    expect(await store.put(id(1), a.data, a.meta, { order: 1 })).toBe(true);
    const early = await store.pin(id(1));
    expect(await store.put(id(1), b.data, b.meta, { order: 2 })).toBe(true);
    expect(await store.put(id(1), a.data, a.meta, { order: 1 })).toBe(false);
    expect(await read(store, 1)).toEqual(b.data);
    expect(store.has(id(1), b.meta.digest)).toBe(true);
    expect(store.has(id(1), a.meta.digest)).toBe(false);
    await expect(store.pin(id(1), a.meta.digest)).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
    // Who had pinned the older reads on.
    expect(same(early.view, a.data)).toBe(true);
    early.release();
    expect(store.stats).toMatchObject({ objects: 1, usedBytes: 1024, pinnedBytes: 0 });
    store.free(id(1), a.meta.digest);
    expect(store.has(id(1))).toBe(true);
    store.free(id(1), b.meta.digest);
    expect(store.stats).toMatchObject({ objects: 0, usedBytes: 0 });
  });

  test("a copy that becomes the worker's own stays its own when the fetch of it ends later", async () => {
    const dropped: ObjectId[] = [];
    const store = open({ onDropped: (object) => dropped.push(object) });
    const room = await store.allocate(a.data.byteLength);
    room.view.set(a.data);
    await store.put(id(1), a.data, a.meta, { order: 1 });
    expect(store.seal(id(1), room, a.meta, { copy: true, order: 5 })).toBe(true);
    expect(store.stats).toMatchObject({ objects: 1, usedBytes: 1024, copyBytes: 0 });
    for (let n = 10; n < 16; n++) await put(store, n, 60 * KiB);
    expect(dropped).toEqual([]);
    expect(await read(store, 1)).toEqual(a.data);
  });
});

describe("past the budget", () => {
  test("the least recently used go to disk and come back checked; pinned ones stay", async () => {
    const store = open();
    const pinned = await put(store, 0, 50 * KiB).then(() => store.pin(id(0)));
    for (let n = 1; n <= 12; n++) await put(store, n, 40 * KiB);
    expect(store.stats.usedBytes).toBeLessThanOrEqual(256 * KiB);
    expect(store.stats.spills).toBeGreaterThan(6);
    expect(store.stats.spilledBytes).toBeGreaterThan(0);
    expect(same(pinned.view, bytesOf(0, 50 * KiB))).toBe(true);
    for (let n = 1; n <= 12; n++) expect(same(await read(store, n), bytesOf(n, 40 * KiB))).toBe(true);
    pinned.release();
    for (let n = 0; n <= 12; n++) store.free(id(n));
    expect(store.stats).toMatchObject({ usedBytes: 0, spilledBytes: 0, objects: 0 });
  });

  test("the spill folder is private and empty after close", async () => {
    const store = open();
    for (let n = 0; n < 10; n++) await put(store, n, 60 * KiB);
    const [own] = readdirSync(folder);
    expect(statSync(join(folder, own as string)).mode & 0o777).toBe(0o700);
    expect(spillFiles().length).toBeGreaterThan(0);
    store.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("a file that comes back changed is CORRUPT, and the object is lost and told so", async () => {
    const lost: ObjectId[] = [];
    const store = open({ onLost: (object) => lost.push(object) });
    for (let n = 0; n < 10; n++) await put(store, n, 60 * KiB);
    for (const name of readdirSync(folder))
      for (const file of readdirSync(join(folder, name)))
        writeFileSync(join(folder, name, file), bytesOf(99, 60 * KiB));
    await expect(store.pin(id(0))).rejects.toMatchObject({ code: "CORRUPT" });
    expect(lost).toEqual([id(0)]);
    expect(store.has(id(0))).toBe(false);
    await expect(store.pin(id(0))).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
  });

  test("an allocation waits until room is released, and fails with OUT_OF_MEMORY when none is in time", async () => {
    const store = open({ admissionTimeoutMs: 150 });
    await put(store, 1, 200 * KiB);
    const pin = await store.pin(id(1));
    const waiting = store.allocate(100 * KiB);
    let admitted = false;
    void waiting.then(() => {
      admitted = true;
    });
    await turn();
    expect(admitted).toBe(false);
    pin.release();
    store.abandon(await waiting);
    const again = await store.pin(id(1));
    await expect(store.allocate(100 * KiB)).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
    again.release();
    await expect(store.allocate(300 * KiB)).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
  });

  test("copies are dropped to make room, without a file, and are told; pinned ones and owned ones are not", async () => {
    const dropped: ObjectId[] = [];
    const store = open({ onDropped: (object) => dropped.push(object) });
    for (const n of [1, 2, 3])
      await store.put(
        id(n),
        bytesOf(n, 60 * KiB),
        { kind: 3, digest: digestOf(3, bytesOf(n, 60 * KiB)) },
        { copy: true },
      );
    expect(store.stats.copyBytes).toBe(180 * KiB);
    store.own(id(3));
    const pin = await store.pin(id(1));
    await put(store, 4, 60 * KiB);
    await put(store, 5, 60 * KiB);
    expect(dropped).toEqual([id(2)]);
    expect(spillFiles()).toEqual([]);
    pin.release();
    await put(store, 6, 60 * KiB);
    expect(await read(store, 3)).toEqual(bytesOf(3, 60 * KiB));
    expect(dropped).not.toContain(id(3));
  });

  test("a result goes to disk at once when all else is pinned, instead of waiting for those who may wait for it", async () => {
    const store = open({ admissionTimeoutMs: 60_000 });
    await put(store, 1, 200 * KiB);
    const pin = await store.pin(id(1));
    await put(store, 2, 100 * KiB);
    expect(spillFiles()).toHaveLength(1);
    expect(store.stats).toMatchObject({ spilledBytes: 100 * KiB, pinnedBytes: 200 * KiB });
    pin.release();
    expect(same(await read(store, 2), bytesOf(2, 100 * KiB))).toBe(true);
  });

  test("what can never fit says so with both figures", async () => {
    const details = { neededBytes: 300 * KiB, storeBytes: 256 * KiB };
    await expect(open().allocate(300 * KiB)).rejects.toMatchObject({ code: "OUT_OF_MEMORY", details });
  });

  test("a full spill folder is OUT_OF_MEMORY at once, not a wait", async () => {
    const store = open({ spillBytesMax: 100 * KiB, admissionTimeoutMs: 60_000 });
    for (let n = 0; n < 4; n++) await put(store, n, 60 * KiB);
    await put(store, 4, 60 * KiB);
    await expect(Promise.all([5, 6, 7].map((n) => put(store, n, 60 * KiB)))).rejects.toMatchObject({
      code: "OUT_OF_MEMORY",
    });
  });
});

test("folders of dead processes of this host are removed at the start, those of others left alone", () => {
  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  const host = hostname().replace(/[^A-Za-z0-9.-]/g, "_");
  for (const name of [`${host}~${dead}~aa`, `elsewhere~${dead}~bb`, `${host}~${process.pid}~cc`, "unrelated"])
    mkdirSync(join(folder, name));
  open();
  const left = readdirSync(folder);
  expect(left).not.toContain(`${host}~${dead}~aa`);
  expect(left).toEqual(expect.arrayContaining([`elsewhere~${dead}~bb`, `${host}~${process.pid}~cc`, "unrelated"]));
});

test("any sequence of puts, pins, releases and frees keeps contents and bytes", async () => {
  const action = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("put" as const), n: fc.nat(20), size: fc.integer({ min: 1, max: 40 }) }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("pin" as const), n: fc.nat(20), size: fc.constant(0) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("release" as const), n: fc.nat(20), size: fc.constant(0) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("free" as const), n: fc.nat(20), size: fc.constant(0) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const store = open({ budgetBytes: 128 * KiB, admissionTimeoutMs: 20, spillBytesMax: 1 << 24 });
      const present = new Map<number, number>();
      const pins: { n: number; size: number; pin: Awaited<ReturnType<ObjectStore["pin"]>> }[] = [];
      for (const step of actions) {
        if (step.do === "put" && !present.has(step.n)) {
          const stale = pins.some((held) => held.n === step.n);
          if (stale) continue;
          const size = step.size * KiB;
          await put(store, step.n, size).then(
            () => present.set(step.n, size),
            (error: { code: string }) => expect(error.code).toBe("OUT_OF_MEMORY"),
          );
        } else if (step.do === "pin" && present.has(step.n)) {
          const size = present.get(step.n) as number;
          await store.pin(id(step.n)).then(
            (pin) => pins.push({ n: step.n, size, pin }),
            (error: { code: string }) => expect(error.code).toBe("OUT_OF_MEMORY"),
          );
        } else if (step.do === "release") pins.splice(step.n % Math.max(1, pins.length), 1)[0]?.pin.release();
        else if (step.do === "free") {
          store.free(id(step.n));
          present.delete(step.n);
        }
        for (const { n, size, pin } of pins) expect(Buffer.compare(pin.view, bytesOf(n, size))).toBe(0);
        expect(store.stats.usedBytes).toBeLessThanOrEqual(128 * KiB);
      }
      for (const { pin } of pins) pin.release();
      for (const [n, size] of present) expect(same(await read(store, n), bytesOf(n, size))).toBe(true);
      for (const n of present.keys()) store.free(id(n));
      expect(store.stats).toMatchObject({ usedBytes: 0, pinnedBytes: 0, spilledBytes: 0, objects: 0 });
      store.close();
    }),
    { numRuns: 25 },
  );
});
