/**
 * Tables of another copy of apache-arrow: its CommonJS build has the same classes under other identities, as a second
 * install has.
 */
import { createRequire } from "node:module";
import * as own from "apache-arrow";
import { describe, expect, it } from "vitest";
import { decodeValue, encodeValue, valueKind } from "./value.js";

const other = createRequire(import.meta.url)("apache-arrow") as typeof own;

const rows = (table: own.Table): string[] => table.toArray().map(String);
const columns = (table: own.Table): string[] =>
  table.schema.fields.map(({ name, type, nullable }) => `${name}: ${String(type)} ${nullable}`);

/** One column of every type whose values can be made from a list. */
function everyType({ vectorFromArray, ...arrow }: typeof own): Record<string, own.Vector> {
  const field = (name: string, type: own.DataType): own.Field => new arrow.Field(name, type, true);
  return {
    none: vectorFromArray([null, null, null], new arrow.Null()),
    i8: vectorFromArray([1, null, -3], new arrow.Int8()),
    u16: vectorFromArray([1, 2, 65_535], new arrow.Uint16()),
    i64: vectorFromArray([1n, null, -(2n ** 63n)], new arrow.Int64()),
    f32: vectorFromArray([1.5, null, Number.NaN], new arrow.Float32()),
    f64: vectorFromArray([1.5, -0, null], new arrow.Float64()),
    yes: vectorFromArray([true, null, false], new arrow.Bool()),
    text: vectorFromArray(["a", null, "é"], new arrow.Utf8()),
    bytes: vectorFromArray([Uint8Array.of(1), null, Uint8Array.of(2, 3)], new arrow.Binary()),
    day: vectorFromArray([new Date(0), null, new Date(86_400_000)], new arrow.DateDay()),
    at: vectorFromArray([1, null, 3], new arrow.TimestampMicrosecond("UTC")),
    time: vectorFromArray([1, null, 3], new arrow.TimeSecond()),
    for: vectorFromArray([1n, null, 3n], new arrow.DurationMillisecond()),
    symbol: vectorFromArray(["x", null, "x"], new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32())),
    list: vectorFromArray([[1, 2], null, []], new arrow.List(field("item", new arrow.Int32()))),
    pair: vectorFromArray([[1, 2], null, [3, 4]], new arrow.FixedSizeList(2, field("item", new arrow.Float64()))),
    bar: vectorFromArray(
      [{ p: 1, s: "a" }, null, { p: 2, s: "b" }],
      new arrow.Struct([field("p", new arrow.Float64()), field("s", new arrow.Utf8())]),
    ),
    fixed: vectorFromArray([Uint8Array.of(1, 2), null, Uint8Array.of(3, 4)], new arrow.FixedSizeBinary(2)),
  };
}

describe("a table of another copy of apache-arrow", () => {
  it("has other classes, which instanceof does not tell", () => {
    const table = other.tableFromArrays({ x: [1] });
    expect(table instanceof own.Table).toBe(true);
    expect(Object.getPrototypeOf(table)).not.toBe(own.Table.prototype);
  });

  it("arrives as one of ours, with every type, nulls and metadata", () => {
    const make = (arrow: typeof own): own.Table => new arrow.Table(everyType(arrow));
    const sent = encodeValue(make(other));
    const back = decodeValue(sent) as own.Table;
    expect(sent.kind).toBe(valueKind.arrow);
    expect(Object.getPrototypeOf(back)).toBe(own.Table.prototype);
    expect(columns(back)).toEqual(columns(make(own)));
    expect(rows(back)).toEqual(rows(make(own)));
    expect(Buffer.from(sent.data)).toEqual(Buffer.from(encodeValue(make(own)).data));
  });

  it("of several batches, sliced, without rows, and as a record batch", () => {
    const two = (arrow: typeof own): own.Table =>
      arrow
        .tableFromArrays({ x: Float64Array.of(1, 2), s: ["a", "b"] })
        .concat(arrow.tableFromArrays({ x: Float64Array.of(3), s: ["c"] }));
    const cases: ((arrow: typeof own) => own.Table)[] = [
      two,
      (arrow) => two(arrow).slice(1, 3),
      (arrow) => two(arrow).slice(1, 1),
      (arrow) =>
        new arrow.Table({ key: arrow.vectorFromArray([], new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32())) }),
      (arrow) =>
        new arrow.Table(
          new arrow.Schema(
            [new arrow.Field("a", new arrow.Float64(), false, new Map([["unit", "USD"]]))],
            new Map([["source", "test"]]),
          ),
        ),
    ];
    for (const make of cases) {
      const back = decodeValue(encodeValue(make(other))) as own.Table;
      expect([columns(back), rows(back)]).toEqual([columns(make(own)), rows(make(own))]);
      expect([back.schema.metadata, back.schema.fields[0]?.metadata]).toEqual([
        make(own).schema.metadata,
        make(own).schema.fields[0]?.metadata,
      ]);
    }
    const batch = other.tableFromArrays({ x: Float64Array.of(1, 2) }).batches[0];
    expect(rows(decodeValue(encodeValue(batch)) as own.Table)).toEqual(
      rows(own.tableFromArrays({ x: Float64Array.of(1, 2) })),
    );
  });

  it("stands inside other values, and its columns inside a table of ours", () => {
    const inside = decodeValue(encodeValue({ list: [other.tableFromArrays({ x: [1, 2] })] })) as { list: own.Table[] };
    expect(rows(inside.list[0] as own.Table)).toEqual(rows(own.tableFromArrays({ x: [1, 2] })));
    const mixed = new own.Table({
      a: own.makeVector(Float64Array.of(1, 2)),
      b: other.makeVector(Float64Array.of(3, 4)) as unknown as own.Vector<own.Float64>,
    });
    expect(rows(decodeValue(encodeValue(mixed)) as own.Table)).toEqual(['{"a": 1, "b": 3}', '{"a": 2, "b": 4}']);
  });

  it("that cannot be taken over is refused, and says whose it is", () => {
    const strange = Object.create({ getChildAt: () => null }) as object;
    Object.assign(strange, {
      schema: { fields: [{ name: "x", type: { typeId: 999, toString: () => "Quaternion" }, nullable: true }] },
      batches: [],
      numRows: 0,
    });
    expect(() => encodeValue({ t: strange })).toThrow(
      expect.objectContaining({
        code: "TASK_UNSERIALIZABLE",
        message: expect.stringMatching(
          /^value\.t is a table of another apache-arrow \(a version before 21; Volley's is 21\.2\) .*Quaternion/,
        ) as unknown,
      }),
    );
    expect(() => encodeValue([other.makeVector(Float64Array.of(1))])).toThrow(
      "value[0] is an Arrow vector; wrap it in a table",
    );
  });
});
