import {
  Field,
  Float64,
  Int32,
  List,
  makeTable,
  Table,
  tableFromArrays,
  tableFromIPC,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { isVolleyError, type VolleyError } from "../../proto/errors.js";
import { decode } from "./decode.js";
import type { Ingested } from "./ingested.js";
import { mutate, sampleStream, sampleTable, structureBytes } from "./testing/mutants.js";

const take = (bytes: Uint8Array): Ingested => decode(bytes, { format: "arrow" });
const refusal = (bytes: Uint8Array): VolleyError => {
  try {
    take(bytes);
  } catch (error) {
    if (isVolleyError(error)) return error;
    throw error;
  }
  throw new Error("was taken");
};
const rowsOf = (table: Table): unknown[] => table.toArray().map((row) => (row as { toJSON(): unknown }).toJSON());

describe("a whole Arrow stream", () => {
  it("reads back with the same rows and types", () => {
    const table = sampleTable();
    const result = take(tableToIPC(table, "stream"));
    const back = tableFromIPC(result.data);
    expect(result.rows).toBe(180);
    expect(rowsOf(back)).toEqual(rowsOf(table));
    expect(result.columns.map((c) => c.type)).toEqual(table.schema.fields.map((f) => String(f.type)));
    expect(result.columns.map((c) => c.nulls)).toEqual(
      table.schema.fields.map((f) => table.getChild(f.name)?.nullCount),
    );
  });

  it("has the same bytes however the sender cut its batches, and when decoded twice", () => {
    const [whole, cut] = [sampleTable(180, 1), sampleTable(60, 3)];
    const first = take(tableToIPC(whole, "stream"));
    expect(take(tableToIPC(cut, "stream")).data).toEqual(first.data);
    expect(take(first.data).data).toEqual(first.data);
  });

  it("is the same in the file format around it", () => {
    // A file has one dictionary for each column, so one batch.
    const table = sampleTable(60, 1);
    expect(take(tableToIPC(table, "file")).data).toEqual(take(tableToIPC(table, "stream")).data);
  });

  it("may have no rows", () => {
    const result = take(tableToIPC(new Table({ a: vectorFromArray([], new Float64()) }), "stream"));
    expect(result).toMatchObject({ rows: 0, columns: [{ name: "a", type: "Float64", nulls: 0 }] });
    expect(tableFromIPC(result.data).numRows).toBe(0);
  });

  it("takes bytes that start at an odd address", () => {
    const stream = sampleStream();
    const shifted = new Uint8Array(stream.byteLength + 3).subarray(3);
    shifted.set(stream);
    expect(take(shifted).data).toEqual(take(stream).data);
  });

  it("keeps a dictionary that changes between batches apart", () => {
    const table = sampleTable(61, 3);
    const dictionaries = table.batches.map((batch) => [
      ...(batch.getChild("symbol")?.memoize().data[0]?.dictionary ?? []),
    ]);
    expect(dictionaries[0]).not.toEqual(dictionaries[1]);
    expect(rowsOf(tableFromIPC(take(tableToIPC(table, "stream")).data))).toEqual(rowsOf(table));
  });
});

describe("an Arrow stream that is refused", () => {
  const stream = sampleStream();
  const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

  it.each([
    ["empty", () => new Uint8Array(0), /cut off/],
    ["text", () => Buffer.from("date,open\n2000-01-01,1\n"), /not the start of an Arrow stream/],
    [
      "a file cut off",
      () => tableToIPC(sampleTable(60, 1), "file").slice(0, -1),
      /does not end with ARROW1: it was cut off/,
    ],
    [
      "a file whose index is longer than itself",
      () => withIndexOf(0x7fff_ffff),
      /says that its index has 2147483647 bytes/,
    ],
    ["a file whose index is nothing", () => withIndexOf(0), /says that its index has 0 bytes/],
    [
      "a file whose index begins elsewhere",
      () => withIndexOf(8),
      /points outside of itself|broken vtable|has no schema/,
    ],
    [
      "a file that names its batch twice",
      () => withBatchTwice(),
      /index of the Arrow file has a message of \d+ bytes at byte \d+, where/,
    ],
    ["cut in the middle", () => stream.slice(0, stream.byteLength - 200), /./],
    ["cut at a message boundary", () => stream.slice(0, stream.byteLength - 8), /without its end marker/],
    ["with bytes behind its end", () => Buffer.concat([stream, Buffer.alloc(8)]), /follow the end/],
    ["with a list column", () => tableToIPC(makeListTable(), "stream"), /children|List/],
    ["with two columns of one name", () => renamed(), /two columns .* named "weighu"|"weighu"/],
  ])("%s", (_, make, message) => {
    const error = refusal(make());
    expect(error.code).toBe("INVALID_DATA");
    expect(error.message).toMatch(message);
  });

  function withIndexOf(length: number): Uint8Array {
    const file = tableToIPC(sampleTable(60, 1), "file").slice();
    view(file).setInt32(file.byteLength - 10, length, true);
    return file;
  }

  /** Two batches whose places are made one. */
  function withBatchTwice(): Uint8Array {
    const file = tableToIPC(
      new Table({ a: vectorFromArray([1, 2, 3], new Float64()) }).concat(
        new Table({ a: vectorFromArray([4, 5, 6], new Float64()) }),
      ),
      "file",
    ).slice();
    expect(take(file).rows).toBe(6);
    const at = Buffer.from(file).lastIndexOf(Buffer.from(BigInt64Array.of(8n).buffer));
    file.copyWithin(at + 24, at, at + 24);
    return file;
  }

  function makeListTable(): Table {
    return new Table({ a: vectorFromArray([[1, 2], [3]], new List(new Field("item", new Float64(), true))) });
  }
  function renamed(): Uint8Array {
    return tableToIPC(makeTable({ weighu: Float64Array.of(1), weighv: Float64Array.of(2) }), "stream").map(
      (byte, i, all) =>
        byte === 0x76 && Buffer.from(all.subarray(i - 5, i)).toString("latin1") === "weigh" ? 0x75 : byte,
    );
  }

  it("text that is not UTF-8", () => {
    const bytes = tableToIPC(new Table({ s: vectorFromArray(["abc", "déf"], new Utf8()) }), "stream");
    const at = Buffer.from(bytes).indexOf("abcd");
    bytes[at] = 0xff;
    expect(refusal(bytes).message).toMatch(/"s" has text that is not UTF-8/);
  });

  it("offsets that step back", () => {
    const bytes = tableToIPC(new Table({ s: vectorFromArray(["abc", "def", "ghi"], new Utf8()) }), "stream");
    const at = Buffer.from(bytes).indexOf(Buffer.from(Int32Array.of(0, 3, 6, 9).buffer));
    view(bytes).setInt32(at + 8, 2, true);
    expect(refusal(bytes).message).toMatch(/step back from 3 to 2/);
  });

  it("dictionary indices beyond the dictionary", () => {
    const bytes = tableToIPC(tableFromArrays({ s: ["a", "b", "a"] }), "stream");
    const at = Buffer.from(bytes).lastIndexOf(Buffer.from(Int32Array.of(0, 1, 0).buffer));
    view(bytes).setInt32(at, 2, true);
    expect(refusal(bytes).message).toMatch(/word 2 of a dictionary of 2 at row 0/);
  });

  it("more rows than are allowed", () => {
    expect(() => decode(stream, { format: "arrow", rowsMax: 100 })).toThrow(/at most 100 are taken/);
  });

  it("bytes that are not the ones announced", () => {
    const sent = Uint8Array.from(stream);
    const at = Buffer.from(sent).indexOf(Buffer.from(Float64Array.of(100).buffer));
    sent[at + 3] = 1;
    expect(take(sent).rows).toBe(180);
    const sha256 = "0".repeat(64);
    expect(() => decode(sent, { format: "arrow", sha256 })).toThrow(/have the SHA-256 [0-9a-f]{64}, not 0{64}/);
  });
});

describe.each(["stream", "file"] as const)("2,000 mutants of a %s", (form) => {
  it("are refused with a reason, or are a table of as many rows and columns that differs in values only", () => {
    const [rows, batches] = form === "stream" ? [40, 2] : [80, 1];
    const stream = tableToIPC(sampleTable(rows, batches), form);
    const structure = form === "stream" ? structureBytes(stream) : fileStructure(stream);
    let refused = 0;
    for (let seed = 1; seed <= 2_000; seed++) {
      const mutant = mutate(stream, structure, seed);
      let result: Ingested;
      try {
        result = take(mutant);
      } catch (error) {
        expect(isVolleyError(error), `seed ${seed}: ${error}`).toBe(true);
        expect(["INVALID_DATA", "TOO_LARGE"], `seed ${seed}`).toContain((error as VolleyError).code);
        refused++;
        continue;
      }
      const back = tableFromIPC(result.data);
      expect([back.numRows, back.numCols], `seed ${seed}`).toEqual([80, 10]);
      expect(back.toArray().length).toBe(80);
    }
    expect(refused).toBeGreaterThan(1_000);
  });
});

/** Messages, and the index, where the schema is. */
function fileStructure(file: Uint8Array): number[] {
  const messages = structureBytes(file.subarray(8)).map((at) => at + 8);
  const end = (messages.at(-1) ?? 0) + 1;
  return [...messages, ...Array.from({ length: file.byteLength - end }, (_, i) => end + i)];
}

describe("streams made to exhaust memory", () => {
  it("cannot ask for rows that are not there", () => {
    const bytes = tableToIPC(new Table({ a: vectorFromArray([1, 2, 3], new Int32()) }), "stream");
    const structure = new Set(structureBytes(bytes));
    let changed = 0;
    for (let at = 0; at + 8 <= bytes.byteLength; at += 4) {
      if (!structure.has(at) || view8(bytes, at) !== 3n) continue;
      const huge = Uint8Array.from(bytes);
      new DataView(huge.buffer).setBigInt64(at, 0x7fff_ffffn, true);
      expect(["INVALID_DATA", "TOO_LARGE"]).toContain(refusal(huge).code);
      changed++;
    }
    expect(changed).toBeGreaterThanOrEqual(2);
  });
  const view8 = (bytes: Uint8Array, at: number): bigint =>
    new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(at, true);
});
