/** Large values, encoded and decoded with turns between: the same bytes and values as in one go. */
import { isDeepStrictEqual } from "node:util";
import { tableFromArrays, tableFromIPC } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../testing/drawn.js";
import { decodeInTurns, type EncodedPieces, encodeInTurns, joinPieces } from "./in-turns.js";
import { typedHeadBytes } from "./read-slices.js";
import { decodeValue, encodeValue, valueKind } from "./value.js";

let turns = 0;
const turn = async (): Promise<void> => {
  turns++;
  await new Promise((resolve) => setImmediate(resolve));
};
const encode = async (value: unknown): Promise<EncodedPieces> => encodeInTurns(value, turn);
const sameBytes = async (value: unknown): Promise<void> => {
  const whole = encodeValue(value);
  const { kind, data } = joinPieces(await encode(value));
  expect([kind, Buffer.compare(data, whole.data)]).toEqual([whole.kind, 0]);
};

const rows = (count: number): object[] =>
  Array.from({ length: count }, (_, id) => ({
    id,
    price: id / 7,
    tags: ["a", `é${id}`],
    at: new Date(id),
    big: 2n ** 70n,
  }));
const numbers = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => [i, -i, i + 0.5, Number.NaN, -0, 2 ** 40, i % 7][i % 7] as number);

/** Larger than a slice each. */
const large: readonly [string, unknown][] = [
  ["numbers", numbers(200_000)],
  ["rows", rows(30_000)],
  ["columns", { id: numbers(100_000), name: Array.from({ length: 100_000 }, (_, i) => `n${i % 900}`), more: { x: 1 } }],
  ["lists in lists", [numbers(60_000), [numbers(300), numbers(3)], "between", numbers(100_000), null, undefined]],
  ["a typed array", Float64Array.from(numbers(200_000))],
  ["typed arrays in an object", { a: new Float32Array(400_000).fill(1.5), b: new BigInt64Array(100_000).fill(-3n) }],
  ["bytes in a list", [new Uint8Array(900_000).fill(7), "end"]],
  ["a map", new Map(numbers(100_000).map((x, i) => [`k${i}`, x]))],
  ["an object with an odd key", { ...JSON.parse('{"__proto__": 5}'), rest: numbers(150_000) }],
  ["a text", "é".repeat(600_000)],
];

describe("a large value", () => {
  it.each(large)("has the bytes it has in one go: %s", async (_name, value) => sameBytes(value));

  it.each(large)("comes back equal: %s", async (_name, value) => {
    const encoded = joinPieces(await encode(value));
    expect(isDeepStrictEqual(await decodeInTurns(encoded, turn), decodeValue(encoded))).toBe(true);
    expect(isDeepStrictEqual(await decodeInTurns(encoded, turn), value)).toBe(true);
  });

  it("leaves the event loop between its slices, both ways", async () => {
    turns = 0;
    const encoded = joinPieces(await encode(rows(30_000)));
    const after = turns;
    expect(after).toBeGreaterThan(5);
    await decodeInTurns(encoded, turn);
    expect(turns).toBeGreaterThan(after + 5);
  });

  it("may be encoded while others are, large and small, and while its own getters encode", async () => {
    const getters = rows(20_000).map((row, i) =>
      Object.defineProperty(row, "own", { enumerable: true, get: () => encodeValue([i, "x"]).data.byteLength }),
    );
    const all = [encode(getters), encode(numbers(150_000)), encode(rows(20_000))];
    for (let i = 0; i < 50; i++) {
      expect(decodeValue(encodeValue({ i, text: "small" }))).toEqual({ i, text: "small" });
      await turn();
    }
    const wholes = [getters, numbers(150_000), rows(20_000)].map((value) => encodeValue(value).data);
    for (const [i, one] of all.entries())
      expect(Buffer.compare(joinPieces(await one).data, wholes[i] as Uint8Array)).toBe(0);
  });

  it("that cannot be sent is refused with its path, whichever slice it is in, and the next is as ever", async () => {
    const bad = { list: [1, numbers(150_000), { deep: [() => 1] }] };
    await expect(encode(bad)).rejects.toMatchObject({
      code: "TASK_UNSERIALIZABLE",
      details: { path: "value.list[2].deep[0]" },
    });
    const cycle: unknown[] = [...numbers(150_000)];
    cycle.push(cycle);
    await expect(encode(cycle)).rejects.toMatchObject({ code: "TASK_UNSERIALIZABLE" });
    const sparse = numbers(150_000);
    delete sparse[140_000];
    await expect(encode(sparse)).rejects.toMatchObject({ message: expect.stringContaining("sparse") });
    await sameBytes(numbers(150_000));
  });

  it("that is small is encoded before the call returns", () => {
    const value = { a: [1, 2, 3] };
    const encoded = encodeInTurns(value, turn);
    value.a[0] = 9;
    expect(decodeValue(joinPieces(encoded as EncodedPieces))).toEqual({ a: [1, 2, 3] });
  });
});

describe("what lies in memory as it is sent", () => {
  it("is a view: the columns of a table, a typed array, bytes", async () => {
    const x = Float64Array.from(numbers(100_000));
    const held = (pieces: readonly Uint8Array[], buffer: ArrayBufferLike): boolean =>
      pieces.some((piece) => piece.buffer === buffer && piece.byteLength >= 800_000);
    const table = tableFromArrays({ x, name: ["a"].concat(Array.from({ length: 99_999 }, () => "b")) });
    await sameBytes(table);
    const { pieces } = await encode(table);
    const column = table.getChild("x")?.data[0]?.values as Float64Array;
    expect(held(pieces, column.buffer)).toBe(true);
    expect(
      tableFromIPC(joinPieces(await encode(table)).data)
        .getChild("x")
        ?.get(5),
    ).toBe(x[5]);
    expect(held((await encode(x)).pieces, x.buffer)).toBe(true);
    const bytes = new Uint8Array(900_000);
    expect((await encode(bytes)).pieces).toEqual([bytes]);
  });

  it("is read in place: a typed array that lies as it needs, on whole memory or in a copy", async () => {
    const value = Float64Array.from(numbers(100_000));
    const { data } = joinPieces(await encode(value));
    for (const before of [1, 3]) {
      const memory = new Uint8Array(before + data.byteLength);
      memory.set(data, before);
      const back = (await decodeInTurns(
        { kind: valueKind.msgpack, data: memory.subarray(before) },
        turn,
      )) as Float64Array;
      expect([isDeepStrictEqual(back, value), back.buffer === memory.buffer]).toEqual([
        true,
        (before + typedHeadBytes) % 8 === 0,
      ]);
    }
  });
});

it("any value has the same bytes, and comes back the same, whatever the slices", async () => {
  const leaf = fc.oneof(fc.double(), fc.integer(), fc.string(), fc.boolean(), fc.constant(null), fc.uint8Array());
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie("value"), { maxLength: 6 }),
      fc.dictionary(
        fc.string().filter((key) => key !== "__proto__"),
        tie("value"),
        { maxKeys: 5, noNullPrototype: true },
      ),
    ),
  }));
  await fc.assert(
    fc.asyncProperty(fc.array(value, { maxLength: 20 }), async (parts) => {
      // Large enough to be sliced, by what stands between.
      const filled = [parts, numbers(70_000), { parts }, numbers(70_000), ...parts];
      const encoded = joinPieces(await encode(filled));
      expect(Buffer.compare(encoded.data, encodeValue(filled).data)).toBe(0);
      expect(isDeepStrictEqual(await decodeInTurns(encoded, turn), filled)).toBe(true);
    }),
    { numRuns: 15 },
  );
});
