/** Large results that a thread writes straight into the store: whole or not at all, and nothing is left behind. */
import { tableFromArrays } from "apache-arrow";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { digestOf, hexOf, sha256Hex } from "../../proto/digest.js";
import { type JobId, type ObjectBase, objectIdOf } from "../../proto/ids.js";
import { patienceMs } from "../../proto/testing/patience.js";
import { decodeValue, encodeValue } from "../../proto/values/value.js";
import { alignedBytes } from "../store/allocator.js";
import { ObjectStore } from "../store/store.js";
import { SlotPool } from "./pool.js";
import { RoomGrants } from "./room-grants.js";
import type { LargeResult, RunListener, RunSpec } from "./run-spec.js";
import { SlotRig } from "./testing/slot-rig.js";

const base = "0123456789abcdefghijkl" as ObjectBase;
const budgetBytes = 32 * 2 ** 20;

let rig: SlotRig;
let store: ObjectStore;
let pool: SlotPool;
let large: Map<number, LargeResult>;
let failed: Map<number, string>;

beforeEach(() => {
  rig = new SlotRig();
  store = new ObjectStore({ budgetBytes });
  pool = new SlotPool({ slots: 1, memory: store.memory, store, heapBytesMax: 96 * 2 ** 20 });
  large = new Map();
  failed = new Map();
});
afterEach(async () => {
  await pool.close();
  await rig.close();
  store.close();
});

/** Keeps what it hears, as a worker does. */
const keeping: RunListener = {
  results(segment) {
    if (segment.r !== "failed") throw new Error("a small result");
    for (let task = segment.from; task < segment.to; task++) failed.set(task, segment.error.code);
  },
  large(result) {
    large.set(result.task, result);
    const { room, kind, digest, task } = result;
    if (room) store.seal(objectIdOf(base, task), room, { kind, digest });
    result.stored();
  },
};

const specOf = (text: string, name: string, from: number, to: number): RunSpec => ({
  job: "j1" as JobId,
  stage: 2,
  attempt: 1,
  seed: undefined,
  fn: { bundle: "b".repeat(64), url: rig.module(text), export: name },
  args: [{ a: "index" }],
  from,
  to,
  digests: false,
  timeoutMs: patienceMs,
});

const run = (text: string, from: number, to: number) => pool.run(0, specOf(text, "f", from, to), keeping);

const sealedBytes = (): number => [...large.values()].reduce((sum, { data }) => sum + alignedBytes(data.byteLength), 0);

describe("large results", () => {
  test("lie in the store when they are heard of, with the digest of what lies there, and nothing else stays", async () => {
    const sizes = [20_000, 300_000, 20_001, 5_000_000, 16_001, 700_000];
    await run(
      `const sizes = ${JSON.stringify(sizes)};\nexport const f = (i) => new Uint8Array(sizes[i]).fill(i + 1);`,
      0,
      sizes.length,
    ).done;
    for (const [i, bytes] of sizes.entries()) {
      const pin = await store.pin(objectIdOf(base, i));
      expect(Buffer.compare(pin.view, new Uint8Array(bytes).fill(i + 1))).toBe(0);
      expect(pin.digest).toEqual(digestOf(pin.kind, pin.view));
      expect(large.get(i)?.room?.offset).toBe(pin.offset);
      pin.release();
    }
    expect(store.stats.usedBytes).toBe(sealedBytes());
    for (let i = 0; i < sizes.length; i++) store.free(objectIdOf(base, i));
    expect(store.stats.usedBytes).toBe(0);
  });

  test("of durable jobs carry the SHA-256 of their bytes, so that nobody else hashes them; others do not", async () => {
    const text = "export const f = (i) => new Uint8Array(i < 2 ? 30_000 : 5_000_000).fill(i);";
    const posting = new SlotPool({ slots: 1, memory: store.memory, heapBytesMax: 96 * 2 ** 20 });
    for (const from of [pool, posting]) {
      large.clear();
      await from.run(0, { ...specOf(text, "f", 0, 3), digests: true }, keeping).done;
      expect(large.size).toBe(3);
      for (const { data, digest, sha256, kind, room } of large.values()) {
        expect(room !== undefined).toBe(from === pool);
        expect(hexOf(sha256 as Uint8Array)).toBe(sha256Hex(data));
        expect(digest).toEqual(digestOf(kind, data));
      }
    }
    await posting.close();
    for (let i = 0; i < 3; i++) store.free(objectIdOf(base, i));
    await run(text, 0, 1).done;
    expect(large.get(0)?.sha256).toBeUndefined();
  });

  test("of runs behind each other are as those of one run", async () => {
    const text = "export const f = (i) => new Uint8Array(30_000).fill(i);";
    let before = run(text, 0, 20);
    for (let from = 20; from < 200; from += 20) {
      const next = run(text, from, from + 20);
      await before.vacated;
      before = next;
    }
    await before.done;
    expect(large.size).toBe(200);
    for (const [i, { data, room }] of large) {
      expect(room).toBeDefined();
      expect(data.every((byte) => byte === i % 256)).toBe(true);
    }
    expect(store.stats.usedBytes).toBe(sealedBytes());
  });

  test("tables are encoded in place, with the bytes they have anywhere", async () => {
    await run(
      `const { tableFromArrays } = globalThis[Symbol.for("volley.shared")]["apache-arrow"];
export const f = (i) => tableFromArrays({ x: Float64Array.from({ length: 10_000 }, (_, k) => i * k) });`,
      0,
      3,
    ).done;
    for (let i = 0; i < 3; i++) {
      const table = tableFromArrays({ x: Float64Array.from({ length: 10_000 }, (_, k) => i * k) });
      const { kind, data, digest, room } = large.get(i) as LargeResult;
      expect(room).toBeDefined();
      expect(Buffer.compare(data, encodeValue(table).data)).toBe(0);
      expect(digest).toEqual(digestOf(kind, data));
      expect((decodeValue({ kind: kind as 2, data }) as typeof table).numRows).toBe(10_000);
    }
  });

  test("that cannot be encoded fail, and the next is whole", async () => {
    await run(
      `const arrow = globalThis[Symbol.for("volley.shared")]["apache-arrow"];
const one = arrow.tableFromArrays({ x: Float64Array.from({ length: 10_000 }, (_, k) => k) });
const other = arrow.tableFromArrays({ y: Int32Array.from({ length: 10_000 }, (_, k) => k) });
export const f = (i) => i === 1 ? new arrow.Table(one.schema, [...one.batches, ...other.batches]) : new Uint8Array(50_000).fill(7);`,
      0,
      3,
    ).done;
    expect([...failed.keys()]).toEqual([1]);
    expect([...large.keys()]).toEqual([0, 2]);
    expect(large.get(2)?.data.every((byte) => byte === 7)).toBe(true);
    expect(store.stats.usedBytes).toBe(sealedBytes());
  });

  test("for which the store has no room are posted", async () => {
    const pins: { release(): void }[] = [];
    for (let i = 0; i < 4; i++) {
      const room = await store.allocate(budgetBytes / 4);
      const id = objectIdOf(base, 1000 + i);
      store.seal(id, room, { kind: 3, digest: digestOf(3, room.view) });
      pins.push(await store.pin(id));
    }
    await run("export const f = (i) => new Uint8Array(100_000).fill(i);", 0, 3).done;
    expect([...large.keys()]).toEqual([0, 1, 2]);
    for (const [i, { room, data }] of large) {
      expect(room).toBeUndefined();
      expect(Buffer.compare(data, new Uint8Array(100_000).fill(i))).toBe(0);
    }
    for (const pin of pins) pin.release();
  });

  test("wait for others to go to disk, when those may", async () => {
    for (let i = 0; i < 4; i++) {
      const room = await store.allocate(budgetBytes / 4);
      store.seal(objectIdOf(base, 1000 + i), room, { kind: 3, digest: digestOf(3, room.view) });
    }
    await run("export const f = (i) => new Uint8Array(3_000_000).fill(i);", 0, 2).done;
    for (const [i, { room, data }] of large) {
      expect(room).toBeDefined();
      expect(data.every((byte) => byte === i)).toBe(true);
    }
    expect(store.stats.spills).toBeGreaterThan(0);
  });
});

describe("a thread that dies", () => {
  test("leaves what it had made, fails one task, and keeps no room", async () => {
    await run(
      `export const f = (i) => { if (i === 3) process.exit(1); return new Uint8Array(200_000 + i).fill(i); };`,
      0,
      6,
    ).done;
    expect([...failed]).toEqual([[3, "TASK_EXITED"]]);
    expect([...large.keys()].sort()).toEqual([0, 1, 2, 4, 5]);
    for (const [i, { data, digest, kind }] of large) {
      expect(Buffer.compare(data, new Uint8Array(200_000 + i).fill(i))).toBe(0);
      expect(digest).toEqual(digestOf(kind, data));
    }
    expect(store.stats.usedBytes).toBe(sealedBytes());
  });

  test("in the middle of its writing, at any moment, leaves no room and no torn object", async () => {
    for (let round = 0; round < 8; round++) {
      const from = 100 * round;
      const started = run(`export const f = (i) => new Uint8Array(2_000_000).fill(i);`, from, from + 100);
      await new Promise((resolve) => setTimeout(resolve, 5 + 7 * round));
      started.kill();
      await started.done;
      for (const [i, { data, digest, kind }] of large) {
        expect(data.every((byte) => byte === i % 256)).toBe(true);
        expect(digest).toEqual(digestOf(kind, data));
        store.free(objectIdOf(base, i));
      }
      large.clear();
      expect(store.stats.usedBytes).toBe(0);
    }
  });
});

describe("grants", () => {
  const fresh = () => new RoomGrants(new Int32Array(new SharedArrayBuffer(16)));

  test("beyond 2 GiB arrive as they were given", () => {
    const grants = fresh();
    expect(grants.grant({ offset: 3_500_000_000, bytes: 2_300_000_000 }, false)).toBe(true);
    expect(grants.take(1, () => undefined)).toEqual({ offset: 3_500_000_000, bytes: 2_300_000_000 });
    expect(grants.isEmpty).toBe(true);
  });

  test("are not written over each other, nor over a question", () => {
    const grants = fresh();
    expect(grants.grant({ offset: 64, bytes: 640 }, false)).toBe(true);
    expect(grants.grant({ offset: 128, bytes: 10 }, false)).toBe(false);
    expect(grants.take(1, () => undefined)).toEqual({ offset: 64, bytes: 640 });
    const taken = grants.take(77, () => {
      expect(grants.wantedBytes).toBe(77);
      expect(grants.grant({ offset: 192, bytes: 64 }, false)).toBe(false);
      expect(grants.grant({ offset: 256, bytes: 128 }, true)).toBe(true);
    });
    expect(taken).toEqual({ offset: 256, bytes: 128 });
    expect(grants.take(5, () => grants.refuse())).toBeUndefined();
    expect(grants.isEmpty).toBe(true);
  });
});
