import {
  Dictionary,
  Float64,
  Int32,
  Int64,
  makeData,
  Table,
  TimestampMicrosecond,
  TimestampNanosecond,
  TimestampSecond,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { VolleyError } from "../../proto/errors.js";
import { requireKernel } from "../registry.js";
import { openAsofJoin } from "./join.js";

const join = requireKernel("asof.join", 1);
const pit = requireKernel("asof.pit", 1);
const floats = (...values: (number | null)[]): Vector => vectorFromArray(values, new Float64());
const texts = (...values: (string | null)[]): Vector => vectorFromArray(values, new Utf8());
const seconds = (...values: bigint[]): Vector =>
  new Vector([
    makeData({ type: new TimestampSecond(), length: values.length, nullCount: 0, data: BigInt64Array.from(values) }),
  ]);

/** What it throws, which must be INVALID_ARGUMENT. */
function fault(run: () => unknown): { message: string; details: Readonly<Record<string, unknown>> | undefined } {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(VolleyError);
    const { code, message, details } = error as VolleyError;
    expect(code).toBe("INVALID_ARGUMENT");
    return { message, details };
  }
  throw new Error("it did not throw");
}

const left = new Table({ k: texts("A", "B", "A"), t: floats(1, 1, 2) });
const right = new Table({ k: texts("A", "B", "A"), t: floats(1, 1, 2), v: floats(1, 2, 3) });

describe("faults of asof.join name column, row and value", () => {
  it("unsorted times within a group, on either side, with the row before", () => {
    const bad = new Table({ k: texts("A", "B", "A", "B"), t: floats(5, 1, 4.5, 2), v: floats(1, 2, 3, 4) });
    const onRight = fault(() => join.run(left, bad, { on: "t", by: "k" }));
    expect(onRight.message).toBe(
      'asof.join: column "t" of the right table is not sorted within its group: row 2 is 4.5, earlier than row 0 (5); sort the table by this column first',
    );
    expect(onRight.details).toMatchObject({ table: "right", column: "t", row: 2, value: "4.5" });
    expect(fault(() => join.run(bad, right, { on: "t", by: "k" })).message).toMatch(
      /"t" of the left table is not sorted .* row 2 is 4\.5, earlier than row 0 \(5\)/,
    );
    const instants = new Table({ t: seconds(1_563_408_000n, 1_562_976_000n) });
    expect(fault(() => join.run(instants, instants, { on: "t", suffix: "2" })).message).toMatch(
      /row 1 is 2019-07-13T00:00:00\.000Z, earlier than row 0 \(2019-07-18T00:00:00\.000Z\)/,
    );
  });

  it("nanoseconds one apart are told apart", () => {
    const type = new TimestampNanosecond();
    const stamps = (...values: bigint[]): Table =>
      new Table({
        t: new Vector([makeData({ type, length: values.length, nullCount: 0, data: BigInt64Array.from(values) })]),
      });
    const ordered = stamps(1_700_000_000_000_000_001n, 1_700_000_000_000_000_002n);
    const reversed = stamps(1_700_000_000_000_000_002n, 1_700_000_000_000_000_001n);
    expect(fault(() => join.run(ordered, reversed, { on: "t", columns: [] })).message).toMatch(
      /right table is not sorted .* row 1/,
    );
    expect(fault(() => join.run(reversed, ordered, { on: "t", columns: [] })).message).toMatch(
      /left table is not sorted .* row 1/,
    );
  });

  it("order across the edge of partitions", () => {
    const stream = openAsofJoin(right, { on: "t", by: "k", columns: ["v"] });
    stream.push(left);
    const next = new Table({ k: texts("A"), t: floats(1.5) });
    expect(fault(() => stream.push(next)).message).toMatch(
      /row 0 is 1\.5, earlier than the last row of the partition before/,
    );
  });

  it("missing columns, with those there are", () => {
    expect(fault(() => join.run(left, right, { on: "time" }))).toMatchObject({
      message:
        'asof.join: column "time" is missing in the right table, which has k, t, v; expected a timestamp, date, integer or float (32 or 64 bits)',
      details: { kernel: "asof.join", table: "right", column: "time" },
    });
    expect(fault(() => join.run(left, right, { on: { left: "T", right: "t" } })).message).toMatch(
      /column "T" is missing in the left table, which has k, t; expected a timestamp/,
    );
    expect(fault(() => join.run(left, right, { on: "t", by: ["k", "z"] })).message).toMatch(
      /column "z" is missing in the right table/,
    );
    expect(fault(() => join.run(left, right, { on: "t", by: [{ left: "y", right: "k" }] })).message).toMatch(
      /column "y" is missing in the left table/,
    );
    expect(fault(() => join.run(left, right, { on: "t", columns: ["w"] })).message).toMatch(
      /column "w" is missing in the right table/,
    );
    expect(fault(() => join.run(left, right, { on: "t", keep: ["w"] })).message).toMatch(
      /column "w" is missing in the left table/,
    );
  });

  it("wrong types", () => {
    expect(fault(() => join.run(left, right, { on: "k" })).message).toMatch(
      /column "k" of the left table is Utf8; a time is a timestamp, .*; the table has k, t$/,
    );
    expect(fault(() => join.run(left, new Table({ t: seconds(1n) }), { on: "t" })).message).toMatch(
      /column "t" of the right table is Timestamp<SECOND>, but column "t" of the left table is Float64; cast one of them/,
    );
    expect(fault(() => join.run(left, right, { on: "t", by: "v" })).message).toMatch(
      /column "v" of the right table is Float64; a key is text, .*; the table has k, t, v$/,
    );
    const numbered = new Table({ k: vectorFromArray([1, 2, 3], new Int32()), t: floats(1, 1, 2) });
    expect(fault(() => join.run(numbered, right, { on: "t", by: "k" })).message).toMatch(
      /"k" of the left table is Int32, but column "k" of the right table is Utf8/,
    );
  });

  it("instants too far away to be compared exactly", () => {
    const far = new Table({ t: seconds(9_000_000_000_000_000n) });
    const near = new Table({
      t: new Vector([
        makeData({ type: new TimestampMicrosecond(), length: 1, nullCount: 0, data: BigInt64Array.of(0n) }),
      ]),
    });
    expect(fault(() => join.run(far, near, { on: "t", columns: [] }))).toMatchObject({
      details: { table: "left", column: "t", row: 0 },
    });
  });

  it("names that would be there twice", () => {
    const both = new Table({ t: floats(1), v: floats(1), v_right: floats(1) });
    expect(fault(() => join.run(both, right, { on: "t", columns: ["v"] })).message).toMatch(
      /two columns "v_right"; choose another params\.prefix or params\.suffix/,
    );
  });

  it.each([
    [{}, /params\.on is undefined/],
    [{ on: "t", direction: "sideways" }, /params\.direction is "sideways"/],
    [{ on: "t", tolerance: -1 }, /params\.tolerance is -1/],
    [{ on: "t", tolerance: Number.NaN }, /params\.tolerance is/],
    [{ on: "t", by: 7 }, /params\.by is 7: expected a column name/],
    [{ on: "t", ties: "any" }, /params\.ties is "any"/],
    [{ on: "t", exact: 1 }, /params\.exact is 1/],
    [{ on: "t", allow: true }, /params is .*allow/],
  ])("wrong parameters %j", (params, message) => {
    expect(fault(() => join.run(left, right, params)).message).toMatch(message);
  });

  it("carries of other joins", () => {
    const params = { on: "t", by: "k", columns: ["v"], withCarry: true };
    const first = join.run(left, right, params) as { carry: { progress: { cursors: Int32Array }[] } };
    expect(fault(() => join.run(left, right.slice(1), params, first)).message).toMatch(
      /carry\.rightRows is 3, this partition has 2/,
    );
    expect(
      fault(() => pit.run(left, right, { time: "t", event: "t", known: "t", by: "k" }, undefined, first)).message,
    ).toMatch(/carry\.kernel is asof\.join/);
    expect(fault(() => join.run(left, right, params, { carry: 1 })).message).toMatch(
      /carry is .*expected what the previous partition returned/,
    );
    const damaged = structuredClone(first.carry);
    (damaged.progress[0] as { cursors: Int32Array }).cursors[0] = 99;
    expect(fault(() => join.run(left, right, params, damaged)).message).toMatch(
      /carry\.progress\.cursors\.0 is 99, outside its group/,
    );
    const other = new Table({ k: texts("A", "C", "D"), t: floats(1, 1, 2), v: floats(1, 2, 3) });
    expect(fault(() => join.run(left, other, params, first)).message).toMatch(
      /carry\.progress\.cursors has 2 numbers, expected 3/,
    );
  });
});

describe("faults of asof.pit", () => {
  const facts = new Table({ event: seconds(1n), known: seconds(2n), v: floats(1) });
  const days = new Table({ date: seconds(5n, 6n) });

  it("missing columns, calendars and wrong types", () => {
    expect(fault(() => pit.run(days, facts, { known: "filed" })).message).toMatch(
      /asof\.pit: column "filed" is missing in the right table, which has event, known, v/,
    );
    expect(fault(() => pit.run(days, facts, { time: "day" })).message).toMatch(
      /column "day" is missing in the left table, which has date/,
    );
    expect(fault(() => pit.run(days, facts, { known: "v" })).message).toMatch(
      /column "v" of the right table is Float64, but column "date" of the left table is Timestamp/,
    );
    expect(fault(() => pit.run(days, facts, { publication: { sessions: "open" } })).message).toMatch(
      /sessions is "open", but there is no calendar argument/,
    );
    const calendar = new Table({ open: seconds(9n, 8n) });
    expect(fault(() => pit.run(days, facts, { publication: { sessions: "opens" } }, calendar)).message).toMatch(
      /"opens" is missing in the calendar table/,
    );
    expect(fault(() => pit.run(days, facts, { publication: { sessions: "open" } }, calendar)).message).toMatch(
      /"open" of the calendar table is not sorted.*row 1 is 1970-01-01T00:00:08/,
    );
    const gap = new Table({ open: vectorFromArray([1_000, null], new TimestampSecond()) });
    expect(fault(() => pit.run(days, facts, { publication: { sessions: "open" } }, gap)).message).toMatch(
      /"open" of the calendar table is null in row 1/,
    );
    const plain = new Table({ event: floats(1), known: floats(1), date: floats(1) });
    expect(fault(() => pit.run(plain, plain, { columns: [], publication: { delayMs: 5 } })).message).toMatch(
      /publication needs dates or timestamps/,
    );
    expect(fault(() => pit.run(plain, plain, { columns: [], decisionMs: 5 })).message).toMatch(
      /params\.decisionMs is 5, .* needs dates or timestamps|decisionMs/,
    );
  });

  it("an unsorted left table, wrong parameters", () => {
    expect(fault(() => pit.run(new Table({ date: seconds(6n, 5n) }), facts, {})).message).toMatch(
      /"date" of the left table is not sorted .* row 1/,
    );
    expect(fault(() => pit.run(days, facts, { publication: { cutoff: "25:00" } })).message).toMatch(
      /params\.publication\.cutoff is "25:00": expected a time of day/,
    );
    expect(fault(() => pit.run(days, facts, { maxAge: -1 })).message).toMatch(/params\.maxAge is -1/);
  });
});

describe("empty partitions and sides", () => {
  const noLeft = left.slice(0, 0);
  const noRight = right.slice(0, 0);

  it.each(["backward", "forward", "nearest"])("looking %s", (direction) => {
    const params = { on: "t", by: "k", direction, columns: ["v"] };
    const nothing = join.run(left, noRight, params) as Table;
    expect([...(nothing.getChild("v") ?? [])]).toEqual([null, null, null]);
    const empty = join.run(noLeft, right, params) as Table;
    expect(empty.numRows).toBe(0);
    expect(empty.schema.fields.map((field) => `${field.name}: ${field.type}`)).toEqual([
      "k: Utf8",
      "t: Float64",
      "v: Float64",
    ]);
    expect((join.run(noLeft, noRight, params) as Table).numRows).toBe(0);
  });

  it("an empty partition hands on what it got", () => {
    const params = { on: "t", by: "k", columns: ["v"], withCarry: true };
    const first = join.run(left, right, params) as { carry: unknown };
    const second = join.run(noLeft, right, params, first) as { carry: unknown };
    expect(second.carry).toEqual(first.carry);
  });

  it("empty facts", () => {
    const facts = new Table({ event: seconds(), known: seconds(), v: floats() });
    expect([...((pit.run(new Table({ date: seconds(5n) }), facts, {}) as Table).getChild("v") ?? [])]).toEqual([null]);
  });
});

describe("columns of the result", () => {
  it("by-keys are not taken twice, clashing names get the suffix, all get the prefix", () => {
    const names = (params: object): string[] =>
      (join.run(left, right, { on: "t", by: "k", ...params }) as Table).schema.fields.map((field) => field.name);
    expect(names({})).toEqual(["k", "t", "t_right", "v"]);
    expect(names({ prefix: "q_" })).toEqual(["k", "t", "q_t", "q_v"]);
    expect(names({ suffix: "2", columns: ["k", "v"], keep: ["k"] })).toEqual(["k", "k2", "v"]);
    expect(names({ columns: [] })).toEqual(["k", "t"]);
  });

  it("differently named keys; dictionaries meet text; int32 meets int64", () => {
    const probe = new Table({
      symbol: vectorFromArray(["B", "A", "Z", null], new Dictionary(new Utf8(), new Int32())),
      at: floats(9, 9, 9, 9),
    });
    const joined = join.run(probe, right, {
      on: { left: "at", right: "t" },
      by: { left: "symbol", right: "k" },
      columns: ["v"],
    }) as Table;
    expect([...(joined.getChild("v") ?? [])]).toEqual([2, 3, null, null]);
    const wide = new Table({ k: vectorFromArray([-1n, 5n], new Int64()), t: floats(1, 1), v: floats(1, 2) });
    const narrow = new Table({ k: vectorFromArray([5, -1], new Int32()), t: floats(1, 1) });
    expect([...((join.run(narrow, wide, { on: "t", by: "k", columns: ["v"] }) as Table).getChild("v") ?? [])]).toEqual([
      2, 1,
    ]);
  });
});
