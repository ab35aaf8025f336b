/**
 * A table for one task reads as the table itself, for every type and shape, and never through the memory of the store
 * once it has been asked for.
 */
import {
  Binary,
  Bool,
  DateDay,
  Decimal,
  Dictionary,
  Field,
  FixedSizeList,
  Float32,
  Float64,
  Int8,
  Int32,
  Int64,
  LargeUtf8,
  List,
  Map_ as MapType,
  Struct,
  type Table,
  Table as TableClass,
  TimestampMicrosecond,
  tableFromArrays,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { expect, test } from "vitest";
import { decodeTable, encodeTable } from "../../proto/values/value.js";
import { bareTable, SharedTable, TaskScope } from "./private-table.js";

const rows = 40;
const some = <T>(make: (i: number) => T): (T | null)[] =>
  Array.from({ length: rows }, (_, i) => (i % 7 === 3 ? null : make(i)));

/** Two batches of every type, over shared memory. */
function everything(): { table: Table; memory: Uint8Array; bytes: Uint8Array } {
  const item = new Field("item", new Float64(), true);
  const pair = new Struct([new Field("a", new Int32()), new Field("b", new Utf8())]);
  const one = new TableClass({
    bool: vectorFromArray(
      some((i) => i % 2 === 0),
      new Bool(),
    ),
    int8: vectorFromArray(
      some((i) => i),
      new Int8(),
    ),
    int64: vectorFromArray(
      some((i) => BigInt(i) * 10n ** 12n),
      new Int64(),
    ),
    float32: vectorFromArray(
      some((i) => i / 4),
      new Float32(),
    ),
    float64: vectorFromArray(Float64Array.from({ length: rows }, (_, i) => i + 0.5)),
    text: vectorFromArray(
      some((i) => `té${i}`),
      new Utf8(),
    ),
    large: vectorFromArray(
      some((i) => "x".repeat(i)),
      new LargeUtf8(),
    ),
    bytes: vectorFromArray(
      some((i) => Uint8Array.of(i, i + 1)),
      new Binary(),
    ),
    day: vectorFromArray(
      some((i) => new Date(i * 86_400_000)),
      new DateDay(),
    ),
    at: vectorFromArray(
      some((i) => i * 1_000),
      new TimestampMicrosecond(),
    ),
    decimal: vectorFromArray(
      some((i) => Uint32Array.of(i, 0, 0, 0)),
      new Decimal(2, 20, 128),
    ),
    symbol: vectorFromArray(
      some((i) => ["KO", "PEP", "MSFT"][i % 3] as string),
      new Dictionary(new Utf8(), new Int32()),
    ),
    list: vectorFromArray(
      some((i) => Array.from({ length: i % 4 }, (_, k) => k + i)),
      new List(item),
    ),
    pairs: vectorFromArray(
      some((i) => [i, i + 1]),
      new FixedSizeList(2, item),
    ),
    struct: vectorFromArray(
      some((i) => ({ a: i, b: `b${i}` })),
      pair,
    ),
    map: vectorFromArray(
      some((i) => new Map([[`k${i}`, i]])),
      new MapType(
        new Field(
          "entries",
          new Struct<{ key: Utf8; value: Float64 }>([
            new Field("key", new Utf8()) as never,
            new Field("value", new Float64(), true) as never,
          ]),
        ),
      ),
    ),
  }) as Table;
  const bytes = encodeTable(one.concat(one));
  const memory = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
  memory.set(bytes);
  return { table: decodeTable(memory), memory, bytes };
}

const read = (table: Table): unknown[][] =>
  table.schema.fields.map((_, c) =>
    Array.from({ length: table.numRows }, (_, r) => String(table.getChildAt(c)?.get(r))),
  );
const ways: [string, (table: Table) => unknown][] = [
  ["values one by one", read],
  ["rows", (table) => table.toArray().map(String)],
  ["single rows", (table) => [0, 1, rows, 2 * rows - 1].map((i) => String(table.get(i)))],
  [
    "arrays",
    (table) =>
      table.schema.fields.map(({ name }) => Array.from(table.getChild(name)?.toArray() as ArrayLike<unknown>, String)),
  ],
  [
    "iterators",
    (table) => table.schema.fields.map((_, c) => [...(table.getChildAt(c) as Iterable<unknown>)].map(String)),
  ],
  [
    "validity",
    (table) =>
      table.schema.fields.map((_, c) => [
        table.getChildAt(c)?.nullCount,
        ...Array.from({ length: rows }, (_, r) => table.getChildAt(c)?.isValid(r)),
      ]),
  ],
  ["a part that spans batches", (table) => read(table.slice(rows - 5, rows + 5))],
  ["a part of a part", (table) => read(table.slice(3, 30).slice(4, 9))],
  ["a selection", (table) => read(table.select(["symbol", "list", "text"]))],
  ["the stream", (table) => Buffer.from(encodeTable(table)).toString("base64")],
  ["the stream of a part", (table) => Buffer.from(encodeTable(table.slice(5, rows + 9))).toString("base64")],
  ["the bare stream", (table) => Buffer.from(encodeTable(bareTable(table))).toString("base64")],
  [
    "the bare stream of a selection",
    (table) => Buffer.from(encodeTable(bareTable(table.select(["text", "symbol"])))).toString("base64"),
  ],
  ["schema", (table) => String(table.schema)],
];

test.each(ways)("%s", (_, way) => {
  const { table, memory, bytes } = everything();
  const shared = new SharedTable(decodeTable(memory));
  const scope = new TaskScope();
  expect(way(shared.for(scope))).toEqual(way(table));
  // A second time over what was copied by then, and after other ways.
  const used = shared.for(scope);
  for (const [, other] of ways) other(used);
  expect(way(used)).toEqual(way(table));
  expect(Buffer.compare(memory, bytes)).toBe(0);
});

/** Every array that can be reached by names and indexes, without the hidden memory. */
function arraysOf(value: unknown, seen = new Set<unknown>(), found: ArrayBufferView[] = []): ArrayBufferView[] {
  if (typeof value !== "object" || value === null || seen.has(value)) return found;
  seen.add(value);
  if (ArrayBuffer.isView(value)) {
    found.push(value);
    return found;
  }
  const names = new Set<string | symbol>();
  for (let at: object | null = value; at && at !== Object.prototype; at = Object.getPrototypeOf(at) as object | null)
    for (const name of Reflect.ownKeys(at)) names.add(name);
  for (const name of names) {
    let inner: unknown;
    try {
      inner = (value as Record<string | symbol, unknown>)[name];
    } catch {
      continue;
    }
    arraysOf(inner, seen, found);
  }
  return found;
}

test("no array that can be reached from the table lies in shared memory", () => {
  const { memory } = everything();
  const table = new SharedTable(decodeTable(memory)).for(new TaskScope());
  const parts = [
    table,
    table.get(1),
    table.getChild("list"),
    table.getChild("list")?.get(2),
    table.getChild("struct")?.get(0),
    table.getChild("map")?.get(0),
    table.getChild("bytes")?.get(0),
    table.slice(1, 3),
    table.batches[0]?.slice(1, 2),
  ];
  const arrays = arraysOf([...parts]);
  expect(arrays.length).toBeGreaterThan(30);
  expect(arrays.filter(({ buffer }) => buffer instanceof SharedArrayBuffer)).toEqual([]);
});

test("a table without rows, and one without columns", () => {
  for (const table of [tableFromArrays({ x: new Float64Array(0) }), new TableClass() as Table]) {
    const shared = new SharedTable(decodeTable(encodeTable(table)));
    const own = shared.for(new TaskScope());
    expect([own.numRows, own.numCols, own.toArray()]).toEqual([0, table.numCols, []]);
    expect(own.getChild("x")?.length ?? 0).toBe(0);
  }
});
