/** Values as they travel: put and got without being encoded or decoded here. */
import { type Table, tableFromArrays, tableToIPC } from "apache-arrow";
import { describe, expect, expectTypeOf, test } from "vitest";
import { encodeTable, encodeValue, valueKind } from "../../proto/values/value.js";
import type { ObjectRef } from "./api.js";
import { sessionRig } from "./testing/session-rig.js";

const rig = sessionRig();
const table = tableFromArrays({ x: [1, 2, 3] });

describe("what is encoded already", () => {
  test("is put as it is, under the name that the value itself would have", async () => {
    const value = { a: [1, "two"] };
    const ref = await rig.cluster.putEncoded<typeof value>(encodeValue(value));
    expect(ref.id).toBe((await rig.cluster.put(value)).id);
    expectTypeOf(ref).toEqualTypeOf<ObjectRef<typeof value>>();
    const arrow = await rig.cluster.putEncoded({ kind: valueKind.arrow, data: encodeTable(table) });
    expect(arrow.id).toBe((await rig.cluster.put(table)).id);
    expectTypeOf(arrow).toEqualTypeOf<ObjectRef<Table>>();
    expect((await rig.cluster.get(arrow)).getChild("x")?.toArray()).toEqual(new Float64Array([1, 2, 3]));
  });

  test("is copied: whoever changes it afterwards changes nothing that was put", async () => {
    const data = encodeTable(table);
    const ref = await rig.cluster.putEncoded({ kind: valueKind.arrow, data });
    data.fill(0);
    expect((await rig.cluster.get(ref)).numRows).toBe(3);
  });

  test("stands where it stands: an Arrow stream in the middle of other bytes", async () => {
    const stream = tableToIPC(table, "stream");
    const around = new Uint8Array(stream.byteLength + 3);
    around.set(stream, 3);
    const ref = await rig.cluster.putEncoded({ kind: valueKind.arrow, data: around.subarray(3) });
    expect((await rig.cluster.get(ref)).numRows).toBe(3);
  });

  test.each([
    ["an Arrow file", { kind: valueKind.arrow, data: tableToIPC(table, "file") }, /Arrow file; write it as a stream/],
    ["no Arrow", { kind: valueKind.arrow, data: new Uint8Array(64) }, /do not begin as an Arrow stream/],
    ["a cut Arrow stream", { kind: valueKind.arrow, data: encodeTable(table).slice(0, 60) }, /cannot be read/],
    ["cut msgpack", { kind: valueKind.msgpack, data: Uint8Array.of(0xda, 0x01) }, /cannot be read/],
    ["an undefined with bytes", { kind: valueKind.undefined, data: new Uint8Array(1) }, /undefined has no bytes/],
  ])("is CORRUPT if it is %s", async (_name, encoded, message) => {
    await expect(rig.cluster.putEncoded(encoded)).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringMatching(message),
    });
  });

  test("of no kind is INVALID_ARGUMENT", async () => {
    await expect(rig.cluster.putEncoded({ kind: 9 as 1, data: new Uint8Array(1) })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  test("is got as it is, in pieces", async () => {
    const ref = await rig.cluster.put(table);
    const content = await rig.cluster.getEncoded(ref);
    const pieces: Uint8Array[] = [];
    for await (const piece of content.pieces()) pieces.push(piece);
    expect(content.kind).toBe(valueKind.arrow);
    expect(Buffer.concat(pieces)).toEqual(Buffer.from(encodeTable(table)));
    expect(content.bytes).toBe(Buffer.concat(pieces).byteLength);
  });

  test("is read from the durable store, whose spoilt bytes never come whole", async () => {
    const value = new Uint8Array(2 * 1024 * 1024).fill(7);
    const ref = await rig.cluster.put(value, { durable: true });
    const digest = Uint8Array.from(Buffer.from(ref.id.slice(1, 33), "hex"));
    rig.scheduler.onRequest = (request) =>
      request.t === "locate"
        ? {
            t: "located",
            locations: request.ids.map((id) => ({ id, state: "ready" as const, durable: true, kind: 3, digest })),
          }
        : undefined;
    const { objects } = await rig.backend.durable();
    const whole = await rig.cluster.getEncoded(ref);
    let bytes = 0;
    for await (const piece of whole.pieces()) bytes += piece.byteLength;
    expect(bytes).toBe(value.byteLength);

    const read = objects.read.bind(objects);
    objects.read = async (name) => {
      const content = await read(name);
      return (
        content && {
          ...content,
          pieces: async function* () {
            yield value.subarray(1);
            yield value.subarray(0, 1).map(() => 8);
          },
        }
      );
    };
    const spoilt = await rig.cluster.getEncoded(ref);
    let given = 0;
    await expect(
      (async () => {
        for await (const piece of spoilt.pieces()) given += piece.byteLength;
      })(),
    ).rejects.toMatchObject({ code: "CORRUPT" });
    expect(given).toBeLessThan(value.byteLength);
  });
});
