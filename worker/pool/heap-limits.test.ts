/** A thread's heap: what is kept in it is bounded by bytes, and whoever exhausts it is named. */
import { afterEach, expect, test } from "vitest";
import type { ObjectId } from "../../proto/ids.js";
import { PackWriter } from "../../proto/values/pack.js";
import { encodeValue } from "../../proto/values/value.js";
import { ByteCache } from "./byte-cache.js";
import type { Source, ThreadArg } from "./run-message.js";
import { PoolRig } from "./testing/pool-rig.js";

let rig: PoolRig;
afterEach(() => rig?.close());

const same = (source: Source): ThreadArg => ({ a: "same", source });
const module = `
export const length = (i, list) => list.length;
export const only = (list) => (Array.isArray(list) ? list.length : list);
const kept = []; export const leaks = (mib) => { for (let i = 0; i < mib; i++) kept.push(new Array(131072).fill(i + 0.5)); return kept.length; };
`;

test("a cache holds what was used last, within its bytes; what alone is too large it does not keep", () => {
  const cache = new ByteCache<number>(100);
  cache.set("a", 1, 40);
  cache.set("b", 2, 40);
  expect(cache.get("a")).toBe(1);
  cache.set("c", 3, 40);
  expect([cache.get("a"), cache.get("b"), cache.get("c"), cache.bytes]).toEqual([1, undefined, 3, 80]);
  cache.set("a", 4, 10);
  cache.set("huge", 5, 101);
  expect([cache.get("a"), cache.get("huge"), cache.bytes]).toEqual([4, undefined, 50]);
});

test("any number of different large values pass through a small heap, used once or often", async () => {
  rig = new PoolRig({ heapBytes: 64 * 2 ** 20 });
  const url = rig.module(module);
  for (let i = 0; i < 16; i++) {
    const id = `v${i}-0`;
    await rig.put(
      id,
      Array.from({ length: 500_000 }, (_, k) => k + i / 7),
    );
    for (const count of [1, 3]) {
      const { values, errors } = await rig.pinned([id], ([source]) =>
        rig.run(url, "length", count, [{ a: "index" }, same(source as Source)]),
      );
      expect([...errors.values()]).toEqual([]);
      expect(values).toEqual(new Array(count).fill(500_000));
    }
    rig.store.free(id as ObjectId);
  }
  expect(rig.pool.threadsReplaced).toBe(0);
});

/** 14 MB on the wire, 112 in the heap, bit by bit. */
const tooLarge = (): boolean[][] => Array.from({ length: 1_400 }, () => new Array(10_000).fill(true) as boolean[]);

test("a shared value that no heap takes fails its tasks, saying so; the pool goes on", async () => {
  rig = new PoolRig({ heapBytes: 64 * 2 ** 20 });
  const url = rig.module(module);
  await rig.put("big-0", tooLarge());
  const { errors } = await rig.pinned(["big-0"], ([source]) =>
    rig.run(url, "length", 3, [{ a: "index" }, same(source as Source)]),
  );
  expect([...errors.keys()]).toEqual([0, 1, 2]);
  for (const error of errors.values())
    expect(error).toMatchObject({
      code: "TASK_OUT_OF_MEMORY",
      message: expect.stringContaining("while the arguments that its tasks share were decoded"),
    });
  expect((await rig.run(url, "only", 1, [{ a: "index" }])).values).toEqual([0]);
});

test("an array that surely does not fit is refused before it ends the whole process", async () => {
  rig = new PoolRig({ heapBytes: 64 * 2 ** 20 });
  const url = rig.module(module);
  await rig.put("flat-0", new Array(20_000_000).fill(true));
  const { errors } = await rig.pinned(["flat-0"], ([source]) =>
    rig.run(url, "length", 2, [{ a: "index" }, same(source as Source)]),
  );
  expect([...errors.values()].map(({ code }) => code)).toEqual(["TASK_OUT_OF_MEMORY", "TASK_OUT_OF_MEMORY"]);
  expect(errors.get(0)?.message).toContain("an array of 20000000 elements, which takes 153 MiB of a heap of 64");
  expect(rig.pool.threadsReplaced).toBe(0);
});

test("a task whose own arguments are too large fails alone", async () => {
  rig = new PoolRig({ heapBytes: 64 * 2 ** 20 });
  const url = rig.module(module);
  const pack = new PackWriter();
  for (const item of [10, tooLarge(), 30, 40]) pack.add(encodeValue(item));
  await rig.put("pack-0", pack.finish());
  const { values, errors } = await rig.pinned(["pack-0"], ([source]) =>
    rig.run(url, "only", 4, [{ a: "pack", pack: source as Source, first: 0 }]),
  );
  expect(values).toEqual([10, undefined, 30, 40]);
  expect([...errors.keys()]).toEqual([1]);
  expect(errors.get(1)).toMatchObject({
    code: "TASK_OUT_OF_MEMORY",
    message: expect.stringContaining("while its arguments were decoded, before the function was called"),
  });
});

test("what earlier code left in the heap is not the fault of who decodes next: it is tried again in a fresh thread", async () => {
  rig = new PoolRig({ heapBytes: 128 * 2 ** 20 });
  const url = rig.module(module);
  await rig.put(
    "v-0",
    Array.from({ length: 600 }, () => new Array(10_000).fill(true)),
  );
  expect((await rig.run(url, "leaks", 1, [{ a: "same", source: encodeValue(90) }])).values).toEqual([90]);
  const { values, errors } = await rig.pinned(["v-0"], ([source]) =>
    rig.run(url, "length", 2, [{ a: "index" }, same(source as Source)]),
  );
  expect([...errors.values()]).toEqual([]);
  expect(values).toEqual([600, 600]);
  expect(rig.pool.threadsReplaced, "the test must exhaust the heap").toBe(1);
});

test("a thread that has loaded many modules makes room by ending; nobody notices", async () => {
  rig = new PoolRig();
  for (let i = 0; i < 70; i++) {
    const { values, errors } = await rig.run(rig.module(`export const plus = (x) => x + ${i};`), "plus", 2, [
      { a: "index" },
    ]);
    expect([...errors.values()]).toEqual([]);
    expect(values).toEqual([i, i + 1]);
  }
  expect(rig.pool.threadsReplaced).toBe(1);
});
