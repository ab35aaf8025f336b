/** What a task receives is its own: whatever it or others do to memory, every task reads the value that was passed. */
import { type Table, tableFromArrays } from "apache-arrow";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ObjectId } from "../../proto/ids.js";
import { PackWriter } from "../../proto/values/pack.js";
import { encodeValue } from "../../proto/values/value.js";
import type { Source, ThreadArg } from "./run-message.js";
import { PoolRig } from "./testing/pool-rig.js";

let rig: PoolRig;
beforeAll(() => {
  rig = new PoolRig();
});
afterAll(() => rig.close());

let ids = 0;
const freshId = (): string => `v${++ids}-0`;

const inline = (value: unknown): ThreadArg => ({ a: "same", source: encodeValue(value) });
const same = (source: Source): ThreadArg => ({ a: "same", source });

test("a list of tables is read where its parts lie now, not where they lay before they were spilled", async () => {
  const rig = new PoolRig({ storeBytes: 1 << 20 });
  const url = rig.module("export const firsts = (tables) => tables.map((table) => table.getChild('x').get(0));");
  const put = (id: string, value: number): Promise<void> =>
    rig.put(id, tableFromArrays({ x: new Float64Array(40_000).fill(value) }));
  const read = (): Promise<unknown> =>
    rig.pinned(["p-0", "p-1"], async (sources) => {
      const parts = sources.map((one) => ({ one }));
      return (await rig.run(url, "firsts", 1, [{ a: "all", parts, key: "p" }])).values[0];
    });
  await put("p-0", 1);
  await put("p-1", 2);
  expect(await read()).toEqual([1, 2]);
  await put("q-0", 777);
  await put("q-1", 888);
  expect(rig.store.stats.spills, "the test must make them move").toBeGreaterThan(0);
  expect(await read()).toEqual([1, 2]);
  await rig.close();
});

test("a list of a stage whose name was used before is the list it is now", async () => {
  const url = rig.module("export const sum = (list) => list.reduce((a, b) => a + b, 0);");
  const list = (values: number[]): ThreadArg => {
    const pack = new PackWriter();
    for (const value of values) pack.add(encodeValue(value));
    return { a: "all", key: "s-1", parts: [{ pack: { kind: 3, data: pack.finish() } }] };
  };
  const first = Array.from({ length: 3_000 }, (_, i) => i + 0.5);
  expect((await rig.run(url, "sum", 2, [list(first)])).values[1]).toBe(4_500_000);
  expect((await rig.run(url, "sum", 2, [list(first.map((x) => -x))])).values[1]).toBe(-4_500_000);
});

/** Everyday code that works in place, and returns what it saw before and after. */
const inPlace = `
export const sorts = (list) => { const before = list.slice(0, 3); list.sort((a, b) => a - b); return [before, list[0]]; };
export const scales = (o) => { const w = o.w ?? o; const was = w[0]; for (let i = 0; i < w.length; i++) w[i] *= 0.5; return [was, w[0]]; };
export const counts = (map) => { map.set("n", (map.get("n") ?? 0) + 1); return map.get("n"); };
export const grows = (set) => { set.add(set.size); return set.size; };
export const moves = (o) => { o.at.setFullYear(1999); o.deep.list.push(1); o.n = (o.n ?? 0) + 1; return [o.at.getFullYear(), o.deep.list.length, o.n]; };
export const raw = (bytes) => { const was = bytes[0]; bytes[0] += 1; return was; };
`;

describe.each([20, 2_000, 40_000])("a value of %i numbers, whatever the number of tasks and however it comes", (n) => {
  const numbers = Array.from({ length: n }, (_, i) => ((i * 7_919) % n) + 0.5);
  const cases: [string, unknown, unknown][] = [
    ["sorts", numbers, [numbers.slice(0, 3), 0.5]],
    ["scales", Float64Array.from(numbers), [0.5, 0.25]],
    ["scales", { w: Float32Array.from(numbers), text: "x".repeat(n) }, [0.5, 0.25]],
    ["counts", new Map(numbers.map((x) => [`k${x}`, x])), 1],
    ["grows", new Set(numbers), n + 1],
    [
      "moves",
      { at: new Date(Date.UTC(2024, 1, 1)), deep: { list: numbers.slice() }, pad: [{ a: [1, [2, { b: 3 }]] }] },
      [1999, n + 1, 1],
    ],
    ["raw", new Uint8Array(n).fill(7), 7],
  ];
  test.each(cases)("%s", async (name, value, expected) => {
    const url = rig.module(inPlace);
    const id = freshId();
    await rig.put(id, value);
    for (const count of [1, 5]) {
      const all = Array.from({ length: count }, () => expected);
      for (let round = 0; round < 3; round++)
        expect(
          (await rig.pinned([id], (sources) => rig.run(url, name, count, sources.map(same)))).values,
          `stored, ${count} tasks`,
        ).toEqual(all);
      expect((await rig.run(url, name, count, [inline(value)])).values, `inline, ${count} tasks`).toEqual(all);
      const listed = await rig.pinned([id], (sources) =>
        rig.run(url, name, count, [{ a: "each", first: 0, sources: new Array(count).fill(sources[0]) }]),
      );
      expect(listed.values, `one each, ${count} tasks`).toEqual(all);
    }
  });
});

describe("tables", () => {
  const module = `
const arrow = globalThis[Symbol.for("volley.shared")]["apache-arrow"];
const first = (t) => t.getChild("x").get(0);
export const toArray = (t) => { const a = t.getChild("x").toArray(); const was = a[0]; a[0] += 1; return [was, first(t)]; };
export const buffers = (t) => { const d = t.data[0].children[0]; const was = d.values[0]; new Float64Array(d.values.buffer).fill(99); return [was, d.values.buffer instanceof SharedArrayBuffer]; };
export const batches = (t) => { const a = t.batches[0].getChildAt(0).data[0].buffers[1]; const was = a[0]; a[0] = 5; return was; };
export const sets = (t) => { const v = t.getChild("x"); const was = v.get(0); v.set(0, 77); return [was, v.get(0), first(t)]; };
export const rows = (t) => { const row = t.get(0); const was = row.x; row.x = 3; row[Symbol.for("parent")].children[0].values.fill(4); return [was, row.s, t.get(t.numRows - 1).s]; };
export const slices = (t) => { const s = t.slice(1, 3); const a = s.getChild("x").toArray(); a.fill(-1); return [s.getChild("s").toArray(), t.getChild("x").get(1)]; };
export const selects = (t) => { const s = t.select(["x"]); s.getChild("x").toArray().fill(8); return s.getChild("x").get(2); };
export const dictionary = (t) => { const d = t.getChild("d"); const was = d.get(1); d.data[0].values.fill(0); d.data[0].dictionary.data[0].values.fill(65); return was; };
export const nulls = (t) => { const v = t.getChild("m"); const was = [v.nullCount, v.isValid(1), v.get(1), v.get(2)]; v.data[0].nullBitmap?.fill(255); return was; };
export const metadata = (t) => { try { t.schema.metadata.set("a", "b"); return "written"; } catch (error) { return error.name; } };
export const iterates = (t) => [[...t.getChild("x")].length, [...t.getChild("s")].join(""), [...t].map((row) => row.x).length];
export const reads = (t) => first(t);
export const same = (t) => t;
export const part = (t) => t.slice(1, 3).select(["s", "x"]);
export const changed = (t) => { t.getChild("x").toArray()[0] = 42; return t; };
let kept; let copied;
export const keeps = (t) => { kept ??= t; copied ??= t.getChild("y").toArray(); if (kept === t) return "first"; const codes = []; for (const read of [(v) => v.get(0), (v) => v.toArray()]) try { codes.push(read(kept.getChild("x"))); } catch (error) { codes.push(error.code); } return [...codes, copied[0], kept.getChild("y").get(0)]; };
`;
  const x = Float64Array.of(10, 11, 12, 13);
  const table = (): Table =>
    tableFromArrays({
      x,
      s: ["a", "bé", "c", "d"],
      d: ["k", "l", "k", "l"],
      m: [1, null, 3, 4],
      y: Float64Array.of(5, 6, 7, 8),
    });
  const run = async (name: string, count = 3): Promise<unknown[]> => {
    const { values, errors } = await rig.pinned([id], (sources) =>
      rig.run(rig.module(module), name, count, sources.map(same)),
    );
    expect([...errors.values()]).toEqual([]);
    return values;
  };

  let id: string;
  beforeEach(async () => {
    id = freshId();
    await rig.put(id, table());
  });
  afterEach(async () => {
    // Whatever was tried: the object is what it was.
    const pin = await rig.store.pin(id as ObjectId);
    const { data } = encodeValue(table());
    expect(Buffer.compare(pin.view, data), "the object in the store was written to").toBe(0);
    pin.release();
  });

  test.each([
    ["toArray", [10, 11]],
    ["buffers", [10, false]],
    ["batches", 10],
    ["sets", [10, 77, 77]],
    ["rows", [10, "a", "d"]],
    ["slices", [["bé", "c"], 11]],
    ["selects", 8],
    ["dictionary", "l"],
    ["nulls", [1, false, null, 3]],
    ["metadata", "TypeError"],
    ["iterates", [4, "abécd", 4]],
  ])("%s: the next task sees what was passed", async (name, expected) => {
    expect(await run(name)).toEqual([expected, expected, expected]);
    expect(await run("reads")).toEqual([10, 10, 10]);
  });

  test("results are what they were made of: the whole, a part, one that was changed", async () => {
    const rows = (value: unknown): unknown => (value as Table).toArray().map((row) => [row.x, row.s]);
    const [same] = await run("same", 1);
    expect(rows(same)).toEqual([10, 11, 12, 13].map((v, i) => [v, ["a", "bé", "c", "d"][i]]));
    const [part] = await run("part", 1);
    expect(rows(part)).toEqual([
      [11, "bé"],
      [12, "c"],
    ]);
    const changed = await run("changed", 2);
    expect(changed.map((value) => (value as Table).getChild("x")?.toArray())).toEqual([
      Float64Array.of(42, 11, 12, 13),
      Float64Array.of(42, 11, 12, 13),
    ]);
  });

  test("a table that was kept beyond its task refuses to be read; what was copied of it stays", async () => {
    expect(await run("keeps", 2)).toEqual(["first", ["INVALID_ARGUMENT", "INVALID_ARGUMENT", 5, 5]]);
  });

  test("tables inside of other values, in lists and in packs are the task's own as well", async () => {
    const url = rig.module(
      `export const bumps = (o) => { const t = o.t ?? o[0] ?? o; const a = t.getChild("x").toArray(); return a[0]++; };`,
    );
    const nested = freshId();
    await rig.put(nested, { t: table(), pad: "x".repeat(10_000) });
    expect((await rig.pinned([nested], (sources) => rig.run(url, "bumps", 3, sources.map(same)))).values).toEqual([
      10, 10, 10,
    ]);
    expect((await rig.run(url, "bumps", 3, [inline(table())])).values).toEqual([10, 10, 10]);
    for (const count of [1, 3]) {
      const listed = await rig.pinned([id], ([one]) =>
        rig.run(url, "bumps", count, [{ a: "all", key: "l", parts: [{ one: one as Source }] }]),
      );
      expect(listed.values).toEqual(new Array(count).fill(10));
    }
  });
});
