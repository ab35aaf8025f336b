import { Table, tableFromIPC, tableToIPC } from "apache-arrow";
import { expect, test } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { float64Vector, ownFloat64Vector } from "./building.js";
import { optionalFloat64Column } from "./reading.js";

const special = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e308, -1e308);
const values = fc.array(fc.oneof({ weight: 3, arbitrary: fc.double() }, special), { maxLength: 40 });

test("NaN becomes null and nothing else does; what was missing is NaN again, also of a slice that came over the wire", () => {
  fc.assert(
    fc.property(values, fc.nat(40), (given, from) => {
      const before = Float64Array.from(given);
      const vector = float64Vector(before);
      expect(before).toEqual(Float64Array.from(given));
      expect([...vector]).toEqual(given.map((x) => (Number.isNaN(x) ? null : x)));
      expect(vector.nullCount).toBe(given.filter(Number.isNaN).length);
      const sent = tableFromIPC(tableToIPC(new Table({ x: vector }), "stream"));
      expect(optionalFloat64Column(sent, "x")).toEqual(before);
      expect(optionalFloat64Column(sent.slice(from), "x")).toEqual(before.slice(from));
    }),
    { numRuns: 1_000 },
  );
});

test("what lies under a null is 0, so that equal columns have equal bytes", () => {
  const bits = new BigUint64Array([0xfff8000000000001n, 0x7ff8000000000000n, 0x3ff0000000000000n]);
  const vector = ownFloat64Vector(new Float64Array(bits.buffer));
  expect(vector.data[0]?.values).toEqual(Float64Array.of(0, 0, 1));
});
