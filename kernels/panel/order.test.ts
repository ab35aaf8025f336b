import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { Sorter } from "./order.js";

/** Evenly, like a bell, on few values, over many magnitudes, and with what has no width. */
const even = fc.double({ min: -1e3, max: 1e3, noNaN: true });
const shapes: readonly fc.Arbitrary<number>[] = [
  even,
  fc.tuple(even, even, even).map(([a, b, c]) => a + b + c),
  fc.integer({ min: -2, max: 2 }),
  fc.integer({ min: -300, max: 300 }).map((power) => 10 ** power),
  fc.oneof({ weight: 30, arbitrary: even }, { weight: 1, arbitrary: fc.constantFrom(1e15, -1e15, 0, -0) }),
  fc.oneof({ weight: 30, arbitrary: even }, { weight: 1, arbitrary: fc.constantFrom(Infinity, -Infinity) }),
  fc.constantFrom(5e-324, 0, -0, 1e-323, 2e-323),
  fc.constantFrom(-1.7e308, 1.7e308, 1, 0),
  fc.double({ noNaN: true }),
];

/**
 * Arrays longer than any list that fast-check likes to make: a short one over and over, with something added to some.
 */
const arrays = fc
  .oneof(
    ...shapes.map((shape) =>
      fc.tuple(fc.array(shape, { minLength: 1, maxLength: 60, size: "max" }), fc.integer({ min: 1, max: 6 }), shape),
    ),
  )
  .map(([some, times, other]) =>
    Float64Array.from({ length: some.length * times }, (_, i) =>
      i % 7 === 3 ? other : (some[(i * 5) % some.length] as number),
    ),
  );

describe("Sorter", () => {
  it("sorts, keeps equals in their order, and knows where each came from, however the numbers lie", () => {
    const sorter = new Sorter();
    let longest = 0;
    fc.assert(
      fc.property(arrays, fc.boolean(), (values, descending) => {
        const keys = values.map((value) => (descending ? -value : value));
        const expected = Array.from(keys.keys()).sort((a, b) => {
          const [x, y] = [keys[a] as number, keys[b] as number];
          return x < y ? -1 : x > y ? 1 : a - b;
        });
        // One sorter for all: what is left of longer arrays is in nobody's way.
        const made = sorter.sort(values, descending);
        expect([...made.places]).toEqual(expected);
        expect([...made.keys]).toEqual(expected.map((place) => keys[place]));
        longest = Math.max(longest, values.length);
      }),
      { numRuns: 2 * casesPerKernel },
    );
    expect(longest).toBeGreaterThan(200);
  });

  it("sorts nothing, and a hundred thousand numbers of which all but one lie together", () => {
    const sorter = new Sorter();
    expect([...sorter.sort(new Float64Array(0)).keys]).toEqual([]);
    const many = Float64Array.from({ length: 100_000 }, (_, i) => (i === 7 ? 1e12 : (i * 7_919) % 100_003));
    expect([...sorter.sort(many).keys]).toEqual([...many.toSorted()]);
  });
});
