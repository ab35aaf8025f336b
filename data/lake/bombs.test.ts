/**
 * Small files that stand for large ones: each is refused, soon, and the process and the next file are none the worse.
 */
import { gzipSync } from "node:zlib";
import type { ColumnMetaData, FileMetaData, PageHeader, SchemaElement } from "hyparquet";
import { ByteWriter } from "hyparquet-writer";
import { writePageHeader } from "hyparquet-writer/src/datapage.js";
import { writeMetadata } from "hyparquet-writer/src/metadata.js";
import { serializeTCompactProtocol } from "hyparquet-writer/src/thrift.js";
import { describe, expect, it } from "vitest";
import { patienceMs } from "../../proto/testing/patience.js";
import { sampleTable } from "../ingest/testing/mutants.js";
import { encodeParquet, type ParquetReadOptions, readParquet } from "./index.js";

const magic = 0x31524150;
const mib = 1024 * 1024;

interface Page {
  readonly header: Partial<PageHeader> & { uncompressed_page_size: number };
  readonly data: Uint8Array;
}
interface Made {
  readonly pages: readonly Page[];
  readonly rows: number;
  readonly element: Omit<SchemaElement, "name">;
  readonly codec?: ColumnMetaData["codec"];
  /** Row groups and columns, all of them the same pages. */
  readonly groups?: number;
  readonly columns?: number;
}

/** A file made by hand: what a writer would never write. */
function fileOf({ pages, rows, element, codec = "GZIP", groups = 1, columns = 1 }: Made): Uint8Array {
  const writer = new ByteWriter();
  writer.appendUint32(magic);
  const start = BigInt(writer.offset);
  for (const { header, data } of pages) {
    writePageHeader(writer, { type: "DATA_PAGE_V2", compressed_page_size: data.length, ...header } as PageHeader);
    writer.appendBytes(data);
  }
  const names = Array.from({ length: columns }, (_, c) => `c${c}`);
  const chunk = (name: string): { file_offset: bigint; meta_data: ColumnMetaData } => ({
    file_offset: start,
    meta_data: {
      type: element.type as "INT32",
      encodings: ["PLAIN"],
      path_in_schema: [name],
      codec,
      num_values: BigInt(rows),
      total_uncompressed_size: 1n,
      total_compressed_size: BigInt(writer.offset) - start,
      data_page_offset: start,
    },
  });
  const group = { columns: names.map(chunk), total_byte_size: 1n, num_rows: BigInt(rows) };
  const metadata = {
    version: 2,
    schema: [{ name: "root", num_children: columns }, ...names.map((name) => ({ name, ...element }))],
    num_rows: BigInt(rows * groups),
    row_groups: Array.from({ length: groups }, () => group),
    created_by: "a test",
  };
  writeMetadata(writer, metadata as unknown as FileMetaData);
  writer.appendUint32(magic);
  return writer.getBytes().slice();
}

/** A file with this footer and nothing else. */
function withFooter(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  writer.appendUint32(magic);
  const start = writer.offset;
  write(writer);
  writer.appendUint32(writer.offset - start);
  writer.appendUint32(magic);
  return writer.getBytes().slice();
}

const v2 = (values: number, more: Record<string, unknown> = {}) => ({
  num_values: values,
  num_nulls: 0,
  num_rows: values,
  encoding: "PLAIN" as const,
  definition_levels_byte_length: 0,
  repetition_levels_byte_length: 0,
  is_compressed: true,
  ...more,
});
/** LEB128. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  return [...bytes, left];
}
const text = { type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" } as const;
const float = { type: "DOUBLE", repetition_type: "REQUIRED" } as const;

/** One text of `bytes` bytes. */
function longText(bytes: number): Uint8Array {
  const out = Buffer.alloc(bytes + 4, "a");
  out.writeUInt32LE(bytes, 0);
  return out;
}

function longTexts(pages: number, bytes: number): Uint8Array {
  const packed = gzipSync(longText(bytes));
  const page: Page = {
    header: { uncompressed_page_size: bytes + 4, data_page_header_v2: v2(1) as never },
    data: packed,
  };
  return fileOf({ pages: Array.from({ length: pages }, () => page), rows: pages, element: text });
}

/** A dictionary of one long word, and rows that all name it: one run of a few bytes. */
function oneLongWord(bytes: number, rows: number): Uint8Array {
  const word = longText(bytes);
  const run = Uint8Array.from([1, ...varint(rows * 2), 0]);
  return fileOf({
    codec: "UNCOMPRESSED",
    rows,
    element: text,
    pages: [
      {
        header: {
          type: "DICTIONARY_PAGE",
          uncompressed_page_size: word.length,
          dictionary_page_header: { num_values: 1, encoding: "PLAIN" } as never,
        },
        data: word,
      },
      {
        header: {
          uncompressed_page_size: run.length,
          data_page_header_v2: v2(rows, { encoding: "RLE_DICTIONARY", is_compressed: false }) as never,
        },
        data: run,
      },
    ],
  });
}

/** Rows that are all null: one run of definition levels. */
function nulls(rows: number, columns: number, groups = 1): Uint8Array {
  const levels = Uint8Array.from([...varint(rows * 2), 0]);
  const header = v2(rows, { num_nulls: rows, definition_levels_byte_length: levels.length, is_compressed: false });
  const pages = [
    { header: { uncompressed_page_size: levels.length, data_page_header_v2: header as never }, data: levels },
  ];
  return fileOf({
    codec: "UNCOMPRESSED",
    rows,
    columns,
    groups,
    element: { type: "DOUBLE", repetition_type: "OPTIONAL" },
    pages,
  });
}

const zeros = gzipSync(Buffer.alloc(300 * mib));
const pageOf = (announced: number): Uint8Array =>
  fileOf({
    rows: 1_000,
    element: float,
    pages: [{ header: { uncompressed_page_size: announced, data_page_header_v2: v2(1_000) as never }, data: zeros }],
  });

/** Groups in groups in groups. */
const deep = (depth: number): Uint8Array =>
  withFooter((writer) =>
    serializeTCompactProtocol(writer, {
      field_1: 2,
      field_2: Array.from({ length: depth }, (_, i) => ({ field_4: "g", field_5: i === depth - 1 ? 0 : 1 })),
      field_3: 0n,
      field_4: [],
    }),
  );
/** Field 2 is a list of 2^31 - 1 structs, or of lists of 30 million each. */
const endlessList = withFooter((writer) =>
  writer.appendBytes(Uint8Array.from([0x29, 0xfc, ...varint(2 ** 31 - 1), 0, 0, 0])),
);
const listsOfLists = withFooter((writer) =>
  writer.appendBytes(
    Uint8Array.from([
      0x29,
      0xf9,
      ...varint(40),
      ...Array.from({ length: 40 }, () => [0xf9, ...varint(30_000_000)]).flat(),
    ]),
  ),
);

describe("files made by hand are files", () => {
  it.each([
    ["pages of long text", longTexts(3, 1_000), 3],
    ["one long word", oneLongWord(1_000, 500), 500],
    ["nulls", nulls(5_000, 3, 2), 10_000],
  ])("%s", async (_, bytes, rows) => {
    const read = await readParquet(bytes);
    expect(read.rows).toBe(rows);
    expect(String(read.table.get(rows - 1)?.c0)).toMatch(/^(null|a{1000})$/);
  });
});

describe("bombs", () => {
  const bytesMax = 64 * mib;
  it.each<[string, Uint8Array, ParquetReadOptions, string, RegExp]>([
    [
      "a page that unpacks to more than it says",
      pageOf(8_000),
      {},
      "INVALID_DATA",
      /row group 0, column "c0" cannot be read/,
    ],
    [
      "a page that says it unpacks to 300 MiB",
      pageOf(300 * mib),
      {},
      "INVALID_DATA",
      /page 0 unpacks to 314572800 bytes; at most 268435456/,
    ],
    [
      "pages that unpack to more than is left",
      pageOf(200 * mib),
      { bytesMax },
      "TOO_LARGE",
      /unpacks to more than 134217728 bytes/,
    ],
    ["40 texts of 4 MiB in 200 kB", longTexts(40, 4 * mib), { bytesMax }, "TOO_LARGE", /unpacks to more than/],
    [
      "a word of 1 MiB in a million rows",
      oneLongWord(mib, 1_000_000),
      { bytesMax },
      "TOO_LARGE",
      /unpacks to more than 67108864 bytes/,
    ],
    [
      "the same, beyond what any object may have",
      oneLongWord(4 * mib, 1_000_000),
      {},
      "TOO_LARGE",
      /unpacks to more than 2147483647|unpacks to more than 2147483648/,
    ],
    [
      "20 million nulls in 20 columns",
      nulls(20_000_000, 20),
      {},
      "TOO_LARGE",
      /400000000|at most 20000000 rows and 200000000 values/,
    ],
    [
      "9 million nulls in 20 columns",
      nulls(9_000_000, 20),
      { bytesMax },
      "TOO_LARGE",
      /unpacks to more than 67108864 bytes/,
    ],
    ["one chunk for a thousand row groups", nulls(100_000, 1, 1_000), {}, "TOO_LARGE", /100000000 rows/],
    [
      "a schema of 200,000 levels",
      deep(200_000),
      {},
      "INVALID_DATA",
      /broken footer|no Parquet file|no flat Arrow type|columns/,
    ],
    ["a list of 2^31 entries", endlessList, {}, "INVALID_DATA", /./],
    ["lists of 30 million entries in a list", listsOfLists, {}, "INVALID_DATA", /./],
  ])("%s", async (_, bytes, options, code, message) => {
    expect(bytes.byteLength).toBeLessThan(5 * mib);
    const before = process.memoryUsage().arrayBuffers;
    await expect(readParquet(bytes, { timeoutMs: patienceMs, ...options })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * mib);
    expect((await readParquet(encodeParquet(sampleTable(5, 1)))).rows).toBe(5);
  });
});
