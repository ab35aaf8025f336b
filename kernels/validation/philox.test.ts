import { describe, expect, it } from "vitest";
import { philox4x32, UniformPairs, uniform53 } from "./philox.js";

const hex = (words: Uint32Array): string => [...words].map((word) => word.toString(16).padStart(8, "0")).join(" ");

describe("Philox4x32-10", () => {
  // The known answers of the Random123 library (kat_vectors), the last with digits of pi.
  it.each([
    [[0, 0, 0, 0], [0, 0], "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], "408f276d 41c83b0e a20bc7c6 6d5451fd"],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], "d16cfe09 94fdcceb 5001e420 24126ea1"],
  ])("counter %j under key %j gives the published words", (counter, [key0, key1], words) => {
    const out = new Uint32Array(4);
    philox4x32(counter, key0 as number, key1 as number, out);
    expect(hex(out)).toBe(words);
  });

  it("multiplies as 64-bit integers do", () => {
    // One round more or less, or one carry lost, changes every word: compare with BigInt over many counters.
    const mask = 0xffff_ffffn;
    const out = new Uint32Array(4);
    for (let i = 0; i < 1_000; i++) {
      const counter = [
        Math.imul(i, 0x9e3779b1) >>> 0,
        Math.imul(i, 0x85ebca6b) >>> 0,
        Math.imul(i, 0xc2b2ae35) >>> 0,
        i,
      ];
      let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
      let [k0, k1] = [BigInt(i * 7), 0xfedcba98n];
      for (let round = 0; round < 10; round++) {
        const [p0, p1] = [0xd2511f53n * c0, 0xcd9e8d57n * c2];
        [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & mask, (p0 >> 32n) ^ c3 ^ k1, p0 & mask];
        k0 = (k0 + 0x9e3779b9n) & mask;
        k1 = (k1 + 0xbb67ae85n) & mask;
      }
      philox4x32(counter, i * 7, 0xfedcba98, out);
      expect([...out].map(BigInt)).toEqual([c0, c1, c2, c3]);
    }
  });

  it("uniform numbers are in [0, 1), and streams and seeds beyond 32 bits are their own", () => {
    expect(uniform53(0, 0)).toBe(0);
    expect(uniform53(0xffffffff, 0xffffffff)).toBe(1 - 2 ** -53);
    const draws = [
      [1, 0],
      [2, 0],
      [1, 1],
      [1 + 2 ** 32, 0],
      [1, 2 ** 32],
    ].map(([seed, stream]) => {
      const pairs = new UniformPairs(seed as number, stream as number);
      pairs.draw(3);
      return pairs.first;
    });
    expect(new Set(draws).size).toBe(5);
    const pairs = new UniformPairs(9, 9);
    let [sum, squares] = [0, 0];
    for (let step = 0; step < 20_000; step++) {
      pairs.draw(step);
      for (const u of [pairs.first, pairs.second]) {
        sum += u;
        squares += u * u;
      }
    }
    // Means of 40,000: within five standard errors.
    expect(Math.abs(sum / 40_000 - 1 / 2)).toBeLessThan(5 * Math.sqrt(1 / 12 / 40_000));
    expect(Math.abs(squares / 40_000 - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / 40_000));
  });
});
