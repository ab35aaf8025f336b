/** A right table that is joined again is not prepared again, and whatever was joined with it before changes nothing. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Int32, Table, TimestampMillisecond, TimestampSecond, Utf8, type Vector, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { ByKeys } from "../columns/by-keys.js";
import { requireKernel } from "../registry.js";
import { rightSideOf } from "./side-cache.js";

const join = requireKernel("asof.join", 1);
const pit = requireKernel("asof.pit", 1);
const table = (): Table => new Table({ v: vectorFromArray(Int32Array.of(1)) });
const copyOf = ({ schema, batches }: Table): Table => new Table(schema, batches);

describe("the prepared right side", () => {
  const counted = (): { made: number; make: () => ByKeys } => {
    const count = { made: 0, make: (): ByKeys => new ByKeys([], ++count.made) };
    return count;
  };

  it("is one for a table and the parameters that decide, and another for any other", () => {
    const [right, calendar] = [table(), table()];
    const count = counted();
    const side = rightSideOf([right], "a", count.make);
    expect(rightSideOf([right], "a", count.make)).toBe(side);
    expect(count.made).toBe(1);
    for (const [tables, deciding] of [
      [[right], "b"],
      [[right, calendar], "a"],
      [[copyOf(right)], "a"],
    ] as const)
      expect(rightSideOf(tables, deciding, count.make)).not.toBe(side);
    expect(count.made).toBe(4);
    expect(rightSideOf([right], "a", count.make)).toBe(side);
  });

  it("gives way to four that were used later", () => {
    const [right, ...others] = Array.from({ length: 6 }, table) as [Table, ...Table[]];
    const count = counted();
    const side = rightSideOf([right], "a", count.make);
    for (const other of others.slice(0, 3)) rightSideOf([other], "a", count.make);
    expect(rightSideOf([right], "a", count.make)).toBe(side);
    for (const other of others.slice(1)) rightSideOf([other], "a", count.make);
    expect(count.made).toBe(6);
    expect(rightSideOf([right], "a", count.make)).not.toBe(side);
  });

  it("is not made of a table that cannot be: the error comes again", () => {
    const right = table();
    const fail = (): ByKeys => {
      throw new Error("no");
    };
    expect(() => rightSideOf([right], "a", fail)).toThrow("no");
    expect(() => rightSideOf([right], "a", fail)).toThrow("no");
  });

  it("keeps no table alive", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const left = new Table({ t: vectorFromArray(Float64Array.of(1)) });
    const joined = (): WeakRef<Table> => {
      const right = new Table({ t: vectorFromArray(Float64Array.of(1)), v: vectorFromArray(Int32Array.of(7)) });
      for (let i = 0; i < 2; i++)
        expect((join.run(left, right, { on: "t", columns: ["v"] }) as Table).getChild("v")?.get(0)).toBe(7);
      return new WeakRef(right);
    };
    const right = joined();
    // What a WeakRef gave lives to the end of its turn.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(right.deref()).toBe(undefined);
  });
});

describe("joining one right table in every way, one after the other", () => {
  const seconds = (...values: number[]): Vector =>
    vectorFromArray(
      values.map((value) => value * 1_000),
      new TimestampSecond(),
    );
  const texts = (...values: string[]): Vector => vectorFromArray(values, new Utf8());
  const numbers = (...values: number[]): Vector => vectorFromArray(values, new Int32());
  const right = new Table({
    k: texts("A", "A", "B", "A", "B", "A"),
    j: numbers(1, 1, 1, 1, 1, 1),
    t: seconds(10, 10, 11, 20, 25, 30),
    known: seconds(12, 15, 11, 40, 26, 31),
    v: numbers(0, 1, 2, 3, 4, 5),
  });
  const times = [5, 10, 11, 15, 20, 24, 31, 41];
  const lefts = [new TimestampSecond(), new TimestampMillisecond()].map((type) => {
    const t = vectorFromArray(
      times.flatMap((time) => [time * 1_000, time * 1_000]),
      type,
    );
    return new Table({
      k: texts(...times.flatMap(() => ["A", "B"])),
      j: numbers(...times.flatMap(() => [1, 1])),
      t,
      other: t,
    });
  });
  const valuesOf = (result: Table): unknown =>
    result.schema.fields.map(({ name }) => [name, ...(result.getChild(name) ?? [])]);

  it("on one axis gives what tables of their own give", () => {
    const ways = [
      { direction: "backward" },
      { direction: "backward", exact: false },
      { direction: "backward", ties: "first" },
      { direction: "forward" },
      { direction: "forward", ties: "last" },
      { direction: "nearest" },
      { direction: "nearest", midway: "later" },
      { tolerance: 3_000 },
      { tolerance: 5_000 },
      { by: [] },
      { by: ["k", "j"] },
      { on: { left: "t", right: "known" }, by: [] },
      { on: { left: "other", right: "t" } },
      { columns: [] },
      { prefix: "p_", suffix: "_s" },
      { keep: ["t"] },
    ];
    // The feed of knowledge times does not ascend by key: that way is refused, before and after others.
    const resultOf = (left: Table, of: Table, way: object): unknown => {
      try {
        return valuesOf(join.run(left, of, { on: "t", by: "k", ...way }) as Table);
      } catch (error) {
        return String(error);
      }
    };
    const alone = lefts.map((left) => ways.map((way) => resultOf(left, copyOf(right), way)));
    expect(new Set(alone[0]?.map((one) => JSON.stringify(one))).size).toBeGreaterThan(10);
    for (const first of ways) {
      ways.forEach((second, i) => {
        lefts.forEach((left, l) => {
          resultOf(left, right, first);
          expect(resultOf(left, right, second), JSON.stringify([first, second])).toEqual(alone[l]?.[i]);
        });
      });
    }
  });

  it("on two axes, with calendars, gives what tables of their own give", () => {
    const calendars = [new Table({ open: seconds(14, 28, 60) }), new Table({ open: seconds(16, 33, 60) })];
    const ways: [object, Table | undefined][] = [
      [{}, undefined],
      [{ known: "t" }, undefined],
      [{ event: "known" }, undefined],
      [{ maxAge: 6_000 }, undefined],
      [{ decisionMs: 4_000 }, undefined],
      [{ publication: { delayMs: 3_000 } }, undefined],
      ...calendars.map((calendar): [object, Table] => [{ publication: { sessions: "open" } }, calendar]),
      [{ publication: { sessions: "open", leadMs: 2_500 } }, calendars[0]],
      [{ by: [] }, undefined],
    ];
    const run = (left: Table, facts: Table, [way, calendar]: [object, Table | undefined]): unknown =>
      valuesOf(pit.run(left, facts, { time: "t", event: "t", by: "k", columns: ["v"], ...way }, calendar) as Table);
    const alone = lefts.map((left) => ways.map((way) => run(left, copyOf(right), way)));
    expect(new Set(alone[0]?.map((one) => JSON.stringify(one))).size).toBeGreaterThan(7);
    for (const first of ways) {
      ways.forEach((second, i) => {
        lefts.forEach((left, l) => {
          run(left, right, first);
          expect(run(left, right, second), JSON.stringify([first[0], second[0]])).toEqual(alone[l]?.[i]);
        });
      });
    }
  });
});
