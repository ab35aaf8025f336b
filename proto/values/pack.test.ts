import { describe, expect, it } from "vitest";
import { fc } from "../testing/drawn.js";
import { notPlain, PackReader, PackWriter } from "./pack.js";
import { decodeValue, type EncodedValue, encodeValue } from "./value.js";

const item: fc.Arbitrary<EncodedValue> = fc.record({
  kind: fc.constantFrom(0, 1, 2, 3),
  data: fc.uint8Array({ maxLength: 20 }),
});
const packOf = (items: readonly EncodedValue[]): Uint8Array => {
  const writer = new PackWriter();
  for (const value of items) writer.add(value);
  expect(writer.count).toBe(items.length);
  expect(writer.payloadBytes).toBe(items.reduce((sum, { data }) => sum + data.byteLength, 0));
  return writer.finish();
};
const itemsOf = (pack: Uint8Array): { kind: number; data: number[] }[] => {
  const reader = new PackReader(pack);
  return Array.from({ length: reader.count }, (_, i) => ({ kind: reader.at(i).kind, data: [...reader.at(i).data] }));
};
const plain = (items: readonly EncodedValue[]): { kind: number; data: number[] }[] =>
  items.map(({ kind, data }) => ({ kind, data: [...data] }));
const corrupt = expect.objectContaining({ code: "CORRUPT" });

describe("packs", () => {
  it("give back every item, wherever they lie in memory", () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 30 }), fc.nat(7), (items, offset) => {
        const pack = packOf(items);
        const moved = new Uint8Array(pack.byteLength + offset);
        moved.set(pack, offset);
        expect(itemsOf(moved.subarray(offset))).toEqual(plain(items));
      }),
    );
  });

  it("a slice is the pack of the slice, and slices of slices too", () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 30 }), fc.nat(30), fc.nat(30), fc.nat(30), (items, a, b, c) => {
        const [from, to] = [Math.min(a, b, items.length), Math.min(Math.max(a, b), items.length)];
        const slice = new PackReader(packOf(items)).slice(from, to);
        expect(Buffer.compare(slice, packOf(items.slice(from, to)))).toBe(0);
        const cut = Math.min(c, to - from);
        const reader = new PackReader(slice);
        expect([...itemsOf(reader.slice(0, cut)), ...itemsOf(reader.slice(cut, to - from))]).toEqual(
          plain(items.slice(from, to)),
        );
      }),
    );
  });

  it("items and slices that are not there are refused", () => {
    const reader = new PackReader(packOf([{ kind: 1, data: Uint8Array.of(1) }]));
    for (const index of [-1, 1, Number.NaN]) expect(() => reader.at(index)).toThrow(corrupt);
    for (const [from, to] of [
      [-1, 0],
      [0, 2],
      [1, 0],
      [Number.NaN, 1],
    ] as const)
      expect(() => reader.slice(from, to)).toThrow(corrupt);
  });

  it("any bytes are read as a sound pack or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          expect(
            Buffer.compare(
              packOf(itemsOf(bytes).map(({ kind, data }) => ({ kind, data: Uint8Array.from(data) }) as EncodedValue)),
              bytes,
            ),
          ).toBe(0);
        } catch (error) {
          expect(error).toEqual(corrupt);
        }
      }),
    );
  });

  it("undefined and numbers are read without decoding, and are what decoding gives; anything else is not plain", () => {
    const number = fc.oneof(fc.integer(), fc.double(), fc.integer({ min: 0, max: 300 }), fc.constantFrom(-0, 2 ** 32));
    const value = fc.oneof(number, fc.constantFrom(undefined, null, true, "", "a", 5n), fc.array(number));
    fc.assert(
      fc.property(fc.array(value), (values) => {
        const reader = new PackReader(packOf(values.map((one) => encodeValue(one))));
        values.forEach((one, i) => {
          const plain = reader.plain(i);
          if (plain === notPlain) expect(typeof one === "undefined" || one === 5).toBe(false);
          else expect(plain).toBe(decodeValue(reader.at(i)));
          if (typeof one === "object" || typeof one === "string") expect(plain).toBe(notPlain);
        });
      }),
    );
  });

  it("bytes that only look like a number are not plain", () => {
    const datas = [[], [0xce, 1], [0xcb, 1, 2, 3], [0xff], [1, 2]];
    const reader = new PackReader(packOf(datas.map((data) => ({ kind: 1, data: Uint8Array.from(data) }))));
    for (let i = 0; i < datas.length; i++) expect(reader.plain(i)).toBe(notPlain);
    expect(() => reader.plain(datas.length)).toThrow(corrupt);
  });

  it("a damaged header is refused: too short, too many items, ends that go back, unknown kinds, wrong total", () => {
    const good = packOf([
      { kind: 1, data: Uint8Array.of(1, 2) },
      { kind: 2, data: Uint8Array.of(3) },
    ]);
    const changed = (at: number, value: number): Uint8Array => good.with(at, value);
    expect(itemsOf(good).length).toBe(2);
    for (const bad of [
      good.subarray(0, 3),
      changed(0, 9),
      changed(3, 255),
      changed(4, 4),
      changed(12, 4),
      good.subarray(0, good.length - 1),
      Uint8Array.from([...good, 0]),
    ]) {
      expect(() => new PackReader(bad)).toThrow(corrupt);
    }
  });
});
