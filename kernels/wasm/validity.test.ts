import { expect, test } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { maskedFloat64Vector, ownFloat64Vector } from "../columns/building.js";
import { openWasmEngine } from "./engine.js";

const engine = openWasmEngine();
if (!engine) throw new Error("WebAssembly kernels are not built");
const place = engine.memory.grow(180) * 65_536;
const inMemory = (values: readonly number[]): Float64Array => {
  const column = new Float64Array(engine.memory.buffer, place, values.length);
  column.set(values);
  return column;
};
const special = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e308, -1e308);

test("in the memory NaN becomes null as it does elsewhere: the same bits, and the same values under them", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 3, arbitrary: fc.double() }, special), { maxLength: 50 }), (given) => {
      const values = inMemory(given);
      const validity = engine.validity(values);
      const [ours] = maskedFloat64Vector(values, validity ?? { nullCount: -1, nullBitmap: new Uint8Array(0) }).data;
      const [expected] = ownFloat64Vector(Float64Array.from(given)).data;
      expect(ours?.nullCount).toBe(expected?.nullCount);
      expect(ours?.nullBitmap).toEqual(expected?.nullBitmap);
      expect(Array.from(ours?.values as Float64Array)).toEqual(Array.from(expected?.values as Float64Array));
    }),
    { numRuns: 1_000 },
  );
});

test("also where a column is longer than the room for its bits, and never for a column that lies elsewhere", () => {
  const values = inMemory(Array.from({ length: 1_400_000 }, (_, i) => (i % 1_000 === 7 ? Number.NaN : 1)));
  const { nullCount, nullBitmap } = engine.validity(values) ?? { nullCount: 0, nullBitmap: new Uint8Array(0) };
  expect(nullCount).toBe(1_400);
  expect(nullBitmap.filter((bits) => bits !== 255)).toEqual(new Uint8Array(1_400).fill(127));
  expect(engine.validity(new Float64Array(8))).toBe(undefined);
});
