import { expect, test } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { PackWriter } from "../../proto/values/pack.js";
import { encodeValue } from "../../proto/values/value.js";
import { packItems } from "./pack-items.js";

function reference(items: readonly unknown[]): Uint8Array {
  const pack = new PackWriter();
  for (const item of items) pack.add(encodeValue(item));
  return pack.finish();
}

test("the bytes are those of PackWriter and encodeValue", () => {
  const edges = [
    0,
    -0,
    1,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53,
    -1,
    -32,
    -33,
    -129,
    0.5,
    -0.1,
    1e300,
    5e-324,
    Number.NaN,
    Infinity,
    -Infinity,
  ];
  expect(packItems(edges)).toEqual(reference(edges));
  const value = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.string(),
    fc.boolean(),
    fc.constant(undefined),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }),
    fc.dictionary(fc.string(), fc.integer()),
  );
  fc.assert(
    fc.property(
      fc.array(value, { maxLength: 200 }),
      (items) => Buffer.compare(packItems(items), reference(items)) === 0,
    ),
  );
});

test("what is longer than the first buffer is kept whole", () => {
  const items = Array.from({ length: 20_000 }, (_, i) => `item ${i}`);
  expect(packItems(items)).toEqual(reference(items));
});
