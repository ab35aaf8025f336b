import { Dictionary, Float64, Int32, Int64, Table, Utf8, type Vector, vectorFromArray } from "apache-arrow";
import { expect, test } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { requireKernel } from "../registry.js";

/** Key columns of every kind, for the numbers of the keys. */
const kinds: readonly ((keys: readonly number[]) => Vector)[] = [
  (keys) =>
    vectorFromArray(
      keys.map((key) => `S${key}`),
      new Utf8(),
    ),
  (keys) =>
    vectorFromArray(
      keys.map((key) => `S${key}`),
      new Dictionary(new Utf8(), new Int32()),
    ),
  (keys) => vectorFromArray(keys, new Int32()),
  (keys) => vectorFromArray(keys.map(BigInt), new Int64()),
];
const floats = (values: readonly (number | null)[]): Vector => vectorFromArray(values, new Float64());
const applied: readonly [string, Record<string, unknown>][] = [
  ["feature.sma", { window: 3, minPeriods: 1 }],
  ["feature.ema", { window: 2 }],
  ["feature.bollinger", { window: 2 }],
];

const rows = fc.array(
  fc.record({
    key: fc.nat(4),
    a: fc.option(fc.double({ min: -1e6, max: 1e6, noNaN: true })),
    b: fc.double({ min: 1, max: 2, noNaN: true }),
  }),
  {
    maxLength: 40,
  },
);

test("the rows of a key give what they give as a table of their own, whatever the order of the rows and the kind of the keys", () => {
  fc.assert(
    fc.property(
      rows,
      fc.constantFrom(...kinds),
      fc.constantFrom(...applied),
      fc.boolean(),
      (given, kind, [name, params], sorted) => {
        const order = sorted ? given.toSorted((x, y) => x.key - y.key) : given;
        const tableOf = (some: typeof given): Table =>
          new Table({
            key: kind(some.map(({ key }) => key)),
            a: floats(some.map(({ a }) => a)),
            b: floats(some.map(({ b }) => b)),
          });
        const run = (table: Table, more: object): Table =>
          requireKernel(name, 1).run(table, { ...params, columns: ["a", "b"], ...more }) as Table;
        const whole = run(tableOf(order), { by: "key" });
        for (const key of new Set(order.map((row) => row.key))) {
          const at = order.flatMap((row, i) => (row.key === key ? [i] : []));
          const alone = run(tableOf(at.map((i) => order[i] as (typeof given)[number])), {});
          for (const { name: column } of alone.schema.fields)
            expect(at.map((i) => whole.getChild(column)?.get(i))).toEqual([...(alone.getChild(column) ?? [])]);
        }
        expect(whole.numRows).toBe(order.length);
      },
    ),
    { numRuns: 1_000 },
  );
});
