import { createHash } from "node:crypto";
import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Differences } from "./conformance.js";
import { compareKept, type KeptColumns } from "./conformance-blocks.js";

const rows = 1_000;
const packed = (values: Float64Array): string => deflateSync(Buffer.from(values.buffer)).toString("base64");

/** What conformance_blocks.py makes of whole numbers, which add exactly. */
function keptOf(values: Float64Array): KeptColumns {
  const bits = new Uint8Array(Math.ceil(rows / 8));
  const sums = new Float64Array(Math.ceil(rows / 64));
  values.forEach((value, i) => {
    if (Number.isNaN(value)) return;
    bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
    sums[i >> 6] = (sums[i >> 6] as number) + value * (1 + ((i * 5) % 7));
  });
  const present = values.map((value) => (Number.isNaN(value) ? 0 : value));
  const rms = Math.sqrt(present.reduce((total, value) => total + value * value, 0) / present.length);
  const digest = createHash("sha256").update(Buffer.from(present.buffer)).digest("hex").slice(0, 16);
  const singles = packed(values.filter((_, i) => i % 127 === 0));
  return { masks: [deflateSync(bits).toString("base64")], columns: [{ rows, mask: 0, singles, sums: packed(sums), rms, digest }] };
}

const values = Float64Array.from({ length: rows }, (_, i) => (i % 50 === 3 ? Number.NaN : 100 + ((i * 37) % 101)));
const compared = (ours: Float64Array): ReturnType<Differences["result"]> => {
  const into = new Differences();
  compareKept(keptOf(values), 0, ours, into, true);
  return into.result();
};
const changed = (change: (ours: Float64Array) => void): Float64Array => {
  const ours = values.slice();
  change(ours);
  return ours;
};

describe("columns kept by blocks", () => {
  it("are the same", () => expect(compared(values.slice())).toEqual({ maxAbs: 0, maxRel: 0, n: rows, nullsDiffer: 0 }));

  it("show any single value that differs, wherever it stands", () => {
    for (let row = 0; row < rows; row++) {
      if (Number.isNaN(values[row])) continue;
      const { maxAbs, maxRel, nullsDiffer } = compared(
        changed((ours) => {
          ours[row] = (ours[row] as number) * (1 + 1e-6);
        }),
      );
      expect(maxAbs).toBeGreaterThan(2e-5);
      expect(maxRel).toBeGreaterThan(1e-7);
      expect(maxRel).toBeLessThan(1e-5);
      expect(nullsDiffer).toBe(0);
    }
  });

  it("show neighbours that are exchanged", () => {
    const { maxAbs } = compared(changed((ours) => ours.set([values[11] as number, values[10] as number], 10)));
    expect(maxAbs).toBeGreaterThan(1);
  });

  it("show by their digest what the sums do not", () => {
    // 7 rows apart the weights are the same.
    const { maxAbs } = compared(changed((ours) => ours.set([ours[19] as number], 12) ?? ours.set([values[12] as number], 19)));
    expect(maxAbs).toBe(0.5);
  });

  it("count rows where only one side has a value, and leave them out of the sums", () => {
    const missing = compared(changed((ours) => ours.fill(Number.NaN, 64, 70)));
    expect(missing).toEqual({ maxAbs: 0, maxRel: 0, n: rows, nullsDiffer: 6 });
    const more = compared(changed((ours) => ours.fill(5, 3, 4)));
    expect(more).toEqual({ maxAbs: 0, maxRel: 0, n: rows, nullsDiffer: 1 });
  });

  it("of another length are refused", () => expect(() => compared(values.subarray(1))).toThrow(/999 values against 1000/));
});
