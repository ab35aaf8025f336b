import {
  Bool,
  Dictionary,
  Field,
  Float64,
  Int32,
  List,
  makeData,
  makeVector,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableFromArrays,
  tableFromIPC,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { decodeTable, encodeTable } from "./table.js";

const rowsOf = (table: Table): string[] =>
  table.toArray().map((row) => JSON.stringify(row, (_key, value) => (typeof value === "bigint" ? `${value}n` : value)));
const sent = (table: Table): Table => decodeTable(encodeTable(table));
const hex = (table: Table): string => Buffer.from(encodeTable(table)).toString("hex");

describe("tables on the wire", () => {
  it("come back as they went, as views on what was received", () => {
    const table = new Table({
      f: makeVector(Float64Array.of(1, Number.NaN, -0)),
      i: vectorFromArray([1, null, 3], new Int32()),
      s: vectorFromArray(["a", null, "ü"], new Utf8()),
      d: vectorFromArray(["x", "y", "x"], new Dictionary(new Utf8(), new Int32())),
      b: vectorFromArray([true, null, false], new Bool()),
      l: vectorFromArray([[1, 2], null, []], new List(new Field("item", new Float64(), true))),
    });
    expect(rowsOf(sent(table))).toEqual(rowsOf(table));
    const bytes = encodeTable(table);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
    shared.set(bytes);
    const back = decodeTable(shared);
    expect(rowsOf(back)).toEqual(rowsOf(table));
    expect(back.getChild("f")?.data[0]?.values.buffer).toBe(shared.buffer);
  });

  it("are read from bytes that are not aligned", () => {
    const table = tableFromArrays({ f: Float64Array.of(1, 2, 3), s: ["a", "b", "c"] });
    const bytes = encodeTable(table);
    for (const offset of [1, 4]) {
      const moved = new Uint8Array(bytes.byteLength + offset);
      moved.set(bytes, offset);
      expect(rowsOf(decodeTable(moved.subarray(offset)))).toEqual(rowsOf(table));
    }
  });

  it("is what the library writes, where that is sound", () => {
    const table = tableFromArrays({ a: Float64Array.of(1, 2), b: Int32Array.of(3, 4) });
    expect(Buffer.compare(encodeTable(table), tableToIPC(table, "stream"))).toBe(0);
  });

  it("empty: no rows, no columns, no batches", () => {
    const schema = new Schema([new Field("a", new Float64()), new Field("s", new Utf8())]);
    for (const table of [
      new Table(schema),
      tableFromArrays({ a: new Float64Array(0) }),
      new Table({}),
      tableFromArrays({ a: [1, 2], s: ["x", "y"] }).slice(1, 1),
    ]) {
      const back = sent(table);
      expect(back.numRows).toBe(0);
      expect(back.schema.names).toEqual(table.schema.names);
    }
  });

  it("columns that share a buffer, whole, sliced or overlapping", () => {
    const values = Float64Array.from({ length: 20 }, (_, i) => i);
    const column = makeVector(values);
    const table = new Table({ a: column, b: column, c: makeVector(values.subarray(0, 20)) });
    expect(() => tableFromIPC(tableToIPC(table, "stream"))).toThrow(); // The reason for a writer of our own.
    expect(rowsOf(sent(table))).toEqual(rowsOf(table));
    const overlapping = new Table({
      early: makeVector(values.subarray(0, 16)),
      late: makeVector(values.subarray(4, 20)),
      back: makeVector(values.subarray(2, 18)),
    });
    expect(rowsOf(sent(overlapping))).toEqual(rowsOf(overlapping));
    expect(rowsOf(sent(table.slice(3, 11)))).toEqual(rowsOf(table.slice(3, 11)));
    const text = vectorFromArray(["one", "two", null], new Utf8());
    const texts = new Table({ a: text, b: text });
    expect(rowsOf(sent(texts))).toEqual(rowsOf(texts));
  });

  it("columns over one shared memory, one behind the other", () => {
    const memory = new SharedArrayBuffer(4_096);
    const column = (at: number): Float64Array => new Float64Array(memory, at, 16).fill(at);
    const table = new Table({ a: makeVector(column(0)), b: makeVector(column(128)), c: makeVector(column(64)) });
    expect(rowsOf(sent(table))).toEqual(rowsOf(table));
  });

  it("dictionaries: ids do not show, columns of two received tables do not clash", () => {
    const make = (): Table => tableFromArrays({ s: ["x", "y", "x"] });
    const first = hex(make());
    for (let i = 0; i < 3; i++) make();
    expect(hex(make())).toBe(first);
    expect(hex(sent(make()))).toBe(first);
    const [left, right] = [sent(tableFromArrays({ s: ["a", "b"] })), sent(tableFromArrays({ t: ["c", "d"] }))];
    const joined = new Table({ s: left.getChild("s") as never, t: right.getChild("t") as never });
    expect(rowsOf(sent(joined))).toEqual(['{"s":"a","t":"c"}', '{"s":"b","t":"d"}']);
  });

  it("a dictionary column without rows", () => {
    const table = new Table({ key: vectorFromArray([], new Dictionary(new Utf8(), new Int32())) });
    const back = decodeTable(encodeTable(table));
    expect([back.numRows, back.schema.fields.map((field) => `${field.name}: ${field.type}`)]).toEqual([
      0,
      ["key: Dictionary<Int32, Utf8>"],
    ]);
  });

  it("dictionaries inside lists and structs", () => {
    const type = new Struct([new Field("sym", new Dictionary(new Utf8(), new Int32())), new Field("v", new Float64())]);
    const inStruct = (): Table =>
      new Table({
        row: vectorFromArray(
          [
            { sym: "a", v: 1 },
            { sym: "b", v: 2 },
          ],
          type,
        ),
      });
    expect(rowsOf(sent(sent(inStruct())))).toEqual(rowsOf(inStruct()));
    const other = new Struct([
      new Field("sym", new Dictionary(new Utf8(), new Int32())),
      new Field("v", new Float64()),
    ]);
    const again = new Table({
      row: vectorFromArray(
        [
          { sym: "a", v: 1 },
          { sym: "b", v: 2 },
        ],
        other,
      ),
    });
    expect(hex(again)).toBe(hex(inStruct()));
  });

  it("several batches, with their own dictionaries", () => {
    const table = tableFromArrays({ s: ["a", "b"], v: Float64Array.of(1, 2) }).concat(
      tableFromArrays({ s: ["c", "a"], v: Float64Array.of(3, 4) }),
    );
    expect(table.batches.length).toBe(2);
    expect(rowsOf(sent(table))).toEqual(rowsOf(table));
  });

  it("metadata of schema and fields", () => {
    const schema = new Schema(
      [new Field("a", new Float64(), false, new Map([["unit", "USD"]]))],
      new Map([["source", "test"]]),
    );
    const data = makeData({
      type: new Struct(schema.fields),
      length: 1,
      nullCount: 0,
      children: [makeData({ type: new Float64(), data: Float64Array.of(1) })],
    });
    const back = sent(new Table(schema, [new RecordBatch(schema, data)]));
    expect(back.schema.metadata.get("source")).toBe("test");
    expect(back.schema.fields[0]?.metadata.get("unit")).toBe("USD");
  });

  it("batches of different schemas are refused, not cut off", () => {
    const one = tableFromArrays({ a: Float64Array.of(1) });
    const two = tableFromArrays({ b: Int32Array.of(2) });
    const forged = new Table(one.schema, [...one.batches]);
    forged.batches.push(...(two.batches as never[]));
    Object.defineProperty(forged, "numRows", { value: 2 });
    expect(() => encodeTable(forged)).toThrow(expect.objectContaining({ code: "TASK_UNSERIALIZABLE" }));
  });
});
