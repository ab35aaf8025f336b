import { Worker } from "node:worker_threads";
import { tableFromArrays, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import type { VolleyError } from "../errors.js";
import { fc } from "../testing/drawn.js";
import { decodeValue, encodeValue, valueKind } from "./value.js";

const roundTrip = (value: unknown): unknown => decodeValue(encodeValue(value));
const bytesOf = (value: unknown): string => Buffer.from(encodeValue(value).data).toString("hex");
const pathOf = (value: unknown): unknown => {
  try {
    encodeValue(value);
    return "sent";
  } catch (error) {
    expect(error).toMatchObject({ code: "TASK_UNSERIALIZABLE" });
    const { details, message } = error as VolleyError;
    expect(message).toContain(details?.path);
    return details?.path;
  }
};

/** Everything that may be sent, without tables. */
const anyValue = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom(
      undefined,
      null,
      true,
      false,
      -0,
      0,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      0xffff_ffff,
      2 ** 32,
      2 ** 53,
      -1,
      -(2 ** 31),
    ),
    fc.double(),
    fc.integer(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.string({ unit: "grapheme" }),
    fc.date(),
    fc.uint8Array().map((bytes) => bytes),
    fc.float64Array(),
    fc.int16Array(),
    fc.bigInt64Array(),
  ),
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    tie("leaf"),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(
      fc.string().filter((key) => key !== "__proto__"),
      tie("value"),
      { maxKeys: 5, noNullPrototype: true },
    ),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map((entries) => new Map(entries)),
    fc.array(tie("value"), { maxLength: 4 }).map((members) => new Set(members)),
  ),
})).value;

describe("values", () => {
  it("come back as they went, and give the same bytes again", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const back = roundTrip(value);
        expect(back).toStrictEqual(value);
        expect(bytesOf(back)).toBe(bytesOf(value));
      }),
      { numRuns: 400 },
    );
  });

  it.each([-0, Number.NaN, Number.POSITIVE_INFINITY, 0, 127, 128, 2 ** 32 - 1, 2 ** 32, -1, 1.5])(
    "number %d keeps its identity, alone and nested",
    (value) => {
      expect(Object.is(roundTrip(value), value)).toBe(true);
      expect(Object.is((roundTrip([[value]]) as number[][])[0]?.[0], value)).toBe(true);
      expect(Object.is((roundTrip({ a: { b: value } }) as { a: { b: number } }).a.b, value)).toBe(true);
    },
  );

  it("NaN gives the same bytes whatever its bits", () => {
    const other = new Float64Array(new BigUint64Array([0xfff8_0000_0000_0001n]).buffer)[0] as number;
    expect(Number.isNaN(other)).toBe(true);
    expect(bytesOf(other)).toBe(bytesOf(Number.NaN));
    expect(bytesOf([{ sharpe: other }])).toBe(bytesOf([{ sharpe: Number.NaN }]));
  });

  it("errors keep name, message and cause", () => {
    const back = roundTrip({ e: new RangeError("too far", { cause: { map: new Map([["at", -0]]) } }) }) as { e: Error };
    expect(back.e).toBeInstanceOf(RangeError);
    expect(back.e.message).toBe("too far");
    expect(back.e.cause).toStrictEqual({ map: new Map([["at", -0]]) });
  });

  it("typed arrays of every kind, over shared memory, and buffers", () => {
    const value = [
      new Float32Array([1.5]),
      new Uint8ClampedArray([300]),
      new Uint32Array([7]),
      new BigUint64Array([2n ** 64n - 1n]),
      new DataView(Uint8Array.of(1, 2).buffer),
      Uint8Array.of(9).buffer,
    ];
    expect(roundTrip(value)).toStrictEqual(value);
    const shared = new Float64Array(new SharedArrayBuffer(16), 8, 1).fill(2.5);
    expect(roundTrip({ shared })).toStrictEqual({ shared: new Float64Array([2.5]) });
    expect(roundTrip(shared)).toStrictEqual(new Float64Array([2.5]));
  });

  it("bytes are themselves, without a copy; a Buffer is bytes", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    expect(encodeValue(bytes)).toEqual({ kind: valueKind.bytes, data: bytes });
    expect(roundTrip(bytes)).toBe(bytes);
    expect(encodeValue(Buffer.from("x")).kind).toBe(valueKind.bytes);
  });

  it("what cannot be sent is named by its path", () => {
    const cycle: Record<string, unknown> = { deep: [{}] };
    (cycle.deep as Record<string, unknown>[])[0] = { back: cycle };
    let nested: unknown = 1;
    for (let i = 0; i < 300; i++) nested = [nested];
    expect(pathOf(() => 1)).toBe("value");
    expect(pathOf(Symbol("x"))).toBe("value");
    expect(pathOf({ a: [1, { "b c": function named() {} }] })).toBe('value.a[1]["b c"]');
    expect(pathOf({ when: new Map([["k", Symbol("x")]]) })).toBe('value.when.get("k")');
    expect(pathOf(new Map([[() => 1, 1]]))).toBe("value key");
    expect(pathOf([new Set([new Date(), Promise.resolve()])])).toBe("value[0] member");
    expect(pathOf(new (class Portfolio {})())).toBe("value");
    expect(pathOf({ p: new URL("http://x") })).toBe("value.p");
    expect(pathOf({ e: new Error("x", { cause: Symbol("y") }) })).toBe("value.e.cause");
    expect(pathOf(cycle)).toBe("value.deep[0].back");
    expect(pathOf(nested)).toMatch(/^value(\[0\]){200}$/);
    expect(pathOf(vectorFromArray([1]))).toBe("value");
    // The walk begins anew after an error.
    expect(pathOf({ ok: 1 })).toBe("sent");
    expect(pathOf({ f: Symbol("x") })).toBe("value.f");
  });

  it("the same object twice is no cycle", () => {
    const one = { a: 1 };
    expect(roundTrip([one, one, { one }])).toStrictEqual([one, one, { one }]);
  });

  it("objects of another realm and without prototype are plain", async () => {
    const { runInNewContext } = await import("node:vm");
    expect(roundTrip(runInNewContext("({ a: [1, { b: 2 }] })"))).toEqual({ a: [1, { b: 2 }] });
    expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toEqual({ a: 1 });
  });

  it("are decoded from shared memory", () => {
    const value = {
      text: "a long enough text, with ü and €, for the slow path of the decoder",
      list: [1, 2.5, new Map([["k", -0]])],
      bytes: Uint8Array.of(1, 2, 3),
      table: tableFromArrays({ x: [1, 2], s: ["a", "b"] }),
    };
    const { kind, data } = encodeValue(value);
    const shared = new Uint8Array(new SharedArrayBuffer(data.byteLength + 3), 3);
    shared.set(data);
    const back = decodeValue({ kind, data: shared }) as typeof value;
    expect({ ...back, table: undefined }).toStrictEqual({ ...value, table: undefined });
    expect(back.table.toArray().map(String)).toEqual(value.table.toArray().map(String));
  });

  it("small ones are encoded fast", () => {
    const rounds = 300_000;
    const cpuSeconds = (run: (i: number) => unknown): number => {
      for (let i = 0; i < 100_000; i++) run(i);
      const before = process.cpuUsage();
      for (let i = 0; i < rounds; i++) run(i);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1e6;
    };
    // Figures here are 10 and 3 million a second; the bounds leave room for slow machines and for coverage.
    expect(rounds / cpuSeconds((i) => encodeValue(i + 0.5))).toBeGreaterThan(1_000_000);
    expect(rounds / cpuSeconds((i) => encodeValue({ fast: i, slow: 30, name: "x" }))).toBeGreaterThan(300_000);
  });
});

describe("tables", () => {
  it("inside other values", () => {
    const table = tableFromArrays({ price: Float64Array.of(1, 2, 3), symbol: ["a", "b", "a"] });
    const back = roundTrip({ list: [table], byName: new Map([["t", table]]) }) as {
      list: (typeof table)[];
      byName: Map<string, typeof table>;
    };
    for (const got of [back.list[0], back.byName.get("t")])
      expect(got?.toArray().map(String)).toEqual(table.toArray().map(String));
  });

  it("give the same bytes in a process that has made other tables before", async () => {
    const source = `
      const { parentPort } = require("node:worker_threads");
      (async () => {
        const { tableFromArrays } = await import("apache-arrow");
        const { encodeValue } = await import(${JSON.stringify(new URL("./value.js", import.meta.url).href)});
        for (let i = 0; i < 7; i++) tableFromArrays({ s: ["other"] });
        const table = tableFromArrays({ s: ["x", "y"], v: Float64Array.of(1, 2) });
        parentPort.postMessage([table, { nested: [table] }].map((value) => Buffer.from(encodeValue(value).data).toString("hex")));
      })();`;
    const worker = new Worker(source, { eval: true });
    const there = await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    await worker.terminate();
    const table = tableFromArrays({ s: ["x", "y"], v: Float64Array.of(1, 2) });
    expect(there).toEqual([bytesOf(table), bytesOf({ nested: [table] })]);
  });
});
