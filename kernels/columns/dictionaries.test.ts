import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { BytesDictionary, PairDictionary } from "./dictionaries.js";

describe("dictionaries", () => {
  it("number pairs in the order of first sight, as a Map would, over every growth", () => {
    const half = fc.oneof(
      fc.integer({ min: 0, max: 70_000 }),
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.constant(0),
      fc.constant(-1),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(half, half), { maxLength: 600 }), (pairs) => {
        const dictionary = new PairDictionary();
        const expected = new Map<string, number>();
        for (const [hi, lo] of pairs) {
          const key = `${hi} ${lo}`;
          expect(dictionary.id(hi, lo, false)).toBe(expected.get(key) ?? -1);
          if (!expected.has(key)) expected.set(key, expected.size);
          expect(dictionary.id(hi, lo, true)).toBe(expected.get(key));
        }
        expect(dictionary.size).toBe(expected.size);
      }),
      { numRuns: 200 },
    );
  });

  it("number texts by their bytes, the empty one too, over every growth", () => {
    const encoder = new TextEncoder();
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string({ maxLength: 3 }), fc.string({ unit: "binary", maxLength: 40 })), {
          maxLength: 600,
        }),
        (texts) => {
          const dictionary = new BytesDictionary();
          const expected = new Map<string, number>();
          const all = texts.map((text) => encoder.encode(text));
          const source = new Uint8Array(all.reduce((sum, bytes) => sum + bytes.length, 0));
          let at = 0;
          for (const bytes of all) {
            source.set(bytes, at);
            const key = bytes.join();
            if (!expected.has(key)) {
              expect(dictionary.id(source, at, at + bytes.length, false)).toBe(-1);
              expected.set(key, expected.size);
            }
            expect(dictionary.id(source, at, at + bytes.length, true)).toBe(expected.get(key));
            at += bytes.length;
          }
          expect(dictionary.size).toBe(expected.size);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("hold a hundred thousand keys", () => {
    const dictionary = new PairDictionary();
    const idOf = (i: number, add: boolean): number => dictionary.id(i % 7, (i * 65_537) | 0, add);
    for (let i = 0; i < 100_000; i++)
      if (idOf(i, true) !== i) throw new Error(`key ${i} is taken for ${idOf(i, true)}`);
    for (let i = 0; i < 100_000; i++) if (idOf(i, false) !== i) throw new Error(`key ${i} is lost`);
    expect(dictionary.id(9, 9, false)).toBe(-1);
  });
});
