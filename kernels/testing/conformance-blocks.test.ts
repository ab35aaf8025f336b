import { createHash } from "node:crypto";
import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Differences } from "./conformance.js";
import { compareStored, type StoredColumns } from "./conformance-blocks.js";

const rows = 1_000;
const packed = (values: Float64Array): string => deflateSync(Buffer.from(values.buffer)).toString("base64");

/** What conformance_blocks.py makes of whole numbers, which add exactly. */
function storedOf(values: Float64Array, edges: number[] = [], also: number[] = []): StoredColumns {
  const bits = new Uint8Array(Math.ceil(rows / 8));
  const starts = [...Array.from({ length: Math.ceil(rows / 64) }, (_, i) => i * 64), ...edges].sort((a, b) => a - b);
  const sums = new Float64Array(starts.length);
  values.forEach((value, i) => {
    if (Number.isNaN(value)) return;
    bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
    const block = starts.findLastIndex((start) => start <= i);
    sums[block] = (sums[block] as number) + value * (4 + ((i * 5) % 7));
  });
  const present = values.map((value) => (Number.isNaN(value) ? 0 : value));
  const rms = Math.sqrt(present.reduce((total, value) => total + value * value, 0) / present.length);
  const digest = createHash("sha256").update(Buffer.from(present.buffer)).digest("hex").slice(0, 16);
  const singles = packed(values.filter((_, i) => i % 251 === 0 || also.includes(i)));
  const column = { rows, mask: 0, singles, sums: packed(sums), rms, digest, also: "these" };
  return { masks: [deflateSync(bits).toString("base64")], columns: [column], edges, also: { these: also } };
}

const values = Float64Array.from({ length: rows }, (_, i) => (i % 50 === 3 ? Number.NaN : 100 + ((i * 37) % 101)));
const compared = (ours: Float64Array): ReturnType<Differences["result"]> => {
  const into = new Differences();
  compareStored(storedOf(values), 0, ours, into, true);
  return into.result();
};
const changed = (change: (ours: Float64Array) => void): Float64Array => {
  const ours = values.slice();
  change(ours);
  return ours;
};

describe("columns kept by blocks", () => {
  const same = { maxAbs: 0, maxRel: 0, blockAbs: 0, blockRel: 0, n: rows, uncompared: 0, singly: 4, nullsDiffer: 0 };
  it("are the same", () => expect(compared(values.slice())).toEqual(same));

  it("show any single value that differs at its full size, wherever it stands", () => {
    for (let row = 0; row < rows; row++) {
      const value = values[row] as number;
      if (Number.isNaN(value)) continue;
      const { maxAbs, blockAbs, blockRel, nullsDiffer } = compared(
        changed((ours) => {
          ours[row] = value * (1 + 1e-6);
        }),
      );
      const size = value * 1e-6;
      expect(blockAbs).toBeGreaterThan(size * 0.999);
      expect(blockAbs).toBeLessThan(size * 2.51);
      expect(blockRel).toBeGreaterThan(4e-7);
      expect(blockRel).toBeLessThan(6e-6);
      expect(maxAbs / size).toBeCloseTo(row % 251 === 0 ? 1 : 0, 6);
      expect(nullsDiffer).toBe(0);
    }
  });

  it("show neighbours that are exchanged", () => {
    const { blockAbs } = compared(changed((ours) => ours.set([values[11] as number, values[10] as number], 10)));
    expect(blockAbs).toBeGreaterThan(1);
  });

  it.each([1, 2, 3, 4, 5, 6, 8, 12])(
    "show an error that changes its sign every %i rows, and one that does not",
    (period) => {
      const { blockAbs } = compared(
        values.map((value, i) => value + (Math.floor(i / period) % 2 === 0 ? 0.01 : -0.01)),
      );
      expect(blockAbs).toBeGreaterThan(0.01);
      expect(compared(values.map((value) => value + 0.01)).blockAbs).toBeGreaterThan(0.64);
    },
  );

  it("show by their digest what the sums do not", () => {
    // 7 rows apart the weights are the same.
    const { maxAbs, blockAbs } = compared(
      changed((ours) => ours.set([ours[19] as number], 12) ?? ours.set([values[12] as number], 19)),
    );
    expect([maxAbs, blockAbs]).toEqual([0.5, 0]);
  });

  it("count rows where only one side has a value, and those of a block that are left uncompared for it", () => {
    // 64 to 69 are gone; of the block's other 58 rows 103 has no value on either side.
    const missing = compared(changed((ours) => ours.fill(Number.NaN, 64, 70)));
    expect(missing).toEqual({ ...same, n: rows - 57, uncompared: 57, nullsDiffer: 6 });
    const more = compared(changed((ours) => ours.fill(5, 3, 4)));
    expect(more).toEqual({ ...same, nullsDiffer: 1 });
  });

  it("leave nothing uncompared where blocks have edges and rows are kept themselves", () => {
    const kept = storedOf(values, [70, 80], [70, 71, 72, 73, 74, 75, 76, 77, 78, 79]);
    const into = new Differences();
    const theirs = values[79] as number;
    compareStored(
      kept,
      0,
      changed((ours) => ours.fill(Number.NaN, 71, 79).fill(500, 79, 80)),
      into,
      true,
    );
    expect(into.result()).toEqual({
      ...same,
      singly: 14,
      nullsDiffer: 8,
      maxAbs: 500 - theirs,
      maxRel: (500 - theirs) / theirs,
    });
  });

  it("of another length are refused", () =>
    expect(() => compared(values.subarray(1))).toThrow(/999 values against 1000/));
});
