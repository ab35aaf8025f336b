import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  Dictionary,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  LargeUtf8,
  List,
  Null,
  Struct,
  Table,
  TimeMicrosecond,
  TimestampNanosecond,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { decodeTable, encodeTable } from "../../proto/values/value.js";
import { gather } from "./gather.js";

const rows = Int32Array.of(3, -1, 0, 0, 2, 1, 4, -1, 3);

const cases: readonly (readonly [string, DataType, readonly unknown[]])[] = [
  ["int8", new Int8(), [1, -2, null, 4, 5]],
  ["int16", new Int16(), [1, -2, null, 4, 5]],
  ["int32", new Int32(), [1, -2, null, 4, 5]],
  ["int64", new Int64(), [1n, -(2n ** 60n), null, 4n, 5n]],
  ["float32", new Float32(), [1.5, -2, null, 4, 5]],
  ["float64", new Float64(), [1.5, -0, null, Number.POSITIVE_INFINITY, 5]],
  ["bool", new Bool(), [true, false, null, true, false]],
  ["date", new DateDay(), [new Date(0), new Date(864e5), null, new Date(2 * 864e5), new Date(3 * 864e5)]],
  ["timestamp", new TimestampNanosecond(), [1, 2, null, 4, 5]],
  ["time", new TimeMicrosecond(), [1n, 2n, null, 4n, 5n]],
  ["decimal", new Decimal(2, 20), [1, 2, null, 4, 5].map((value) => value && Uint32Array.of(value, 0, 0, 0))],
  ["utf8", new Utf8(), ["one", "", null, "ключ", "five"]],
  ["large utf8", new LargeUtf8(), ["one", "", null, "ключ", "five"]],
  ["binary", new Binary(), [Uint8Array.of(1), Uint8Array.of(), null, Uint8Array.of(2, 3), Uint8Array.of(4)]],
  [
    "fixed-size binary",
    new FixedSizeBinary(3),
    [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6), null, Uint8Array.of(7, 8, 9), Uint8Array.of(0, 0, 1)],
  ],
  ["dictionary", new Dictionary(new Utf8(), new Int32()), ["one", "two", null, "one", "five"]],
  ["list", new List(new Field("item", new Int32(), true)), [[1, 2], [], null, [3], [4, 5, 6]]],
  [
    "fixed-size list",
    new FixedSizeList(2, new Field("item", new Int32(), true)),
    [[1, 2], [3, 4], null, [5, 6], [7, 8]],
  ],
  [
    "struct",
    new Struct([new Field("a", new Int32(), true), new Field("b", new Utf8(), true)]),
    [{ a: 1, b: "x" }, { a: 2, b: "y" }, null, { a: 3, b: null }, { a: 5, b: "z" }],
  ],
  ["list of text", new List(new Field("item", new Utf8(), true)), [["a", null], [], null, ["ключ"], ["c", "d"]]],
  ["null", new Null(), [null, null, null, null, null]],
];

const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, inner) =>
      typeof inner === "bigint" ? `${inner}n` : Object.is(inner, -0) ? "-0" : inner,
    ),
  );

describe("gather", () => {
  it.each(cases)(
    "%s: rows by index, nulls, and -1 for null; in one batch, in several, and through the wire",
    (_name, type, values) => {
      const whole = vectorFromArray(values as unknown[], type as Utf8);
      const expected = [...rows].map((row) => (row < 0 ? null : plain(whole.get(row))));
      // Slices keep the offset of the bits; the second dictionary is another object.
      const parts = [whole.slice(0, 1), whole.slice(1, 4), vectorFromArray(values.slice(4) as unknown[], type as Utf8)];
      const chunked = new Vector(parts.flatMap((part) => part.data));
      for (const source of [whole, chunked]) {
        const gathered = new Vector([gather(source, rows)]);
        expect([...Array(rows.length).keys()].map((i) => plain(gathered.get(i)))).toEqual(expected);
        const back = decodeTable(encodeTable(new Table({ gathered }))).getChild("gathered");
        expect([...Array(rows.length).keys()].map((i) => plain(back?.get(i)))).toEqual(expected);
      }
      const none = new Vector([gather(new Vector(whole.slice(0, 0).data), Int32Array.of(-1))]);
      expect(none.get(0)).toBeNull();
    },
  );

  it("no nulls, no bitmap", () => {
    expect(gather(vectorFromArray([1, 2, 3], new Int32()), Int32Array.of(2, 0)).nullCount).toBe(0);
  });

  it("a NaN keeps its bits", () => {
    const bits = new BigUint64Array([0x7ff4_0000_dead_beefn]);
    const gathered = gather(vectorFromArray(new Float64Array(bits.buffer)), Int32Array.of(0));
    expect(new BigUint64Array((gathered.values as Float64Array).buffer)[0]).toBe(0x7ff4_0000_dead_beefn);
  });
});
