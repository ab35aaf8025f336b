/**
 * The pages of one column chunk. Before hyparquet decodes it, every page header is read and held against what the footer announced, so that no
 * number in the file makes the decoder loop, or allocate more than the rows and bytes that were agreed to.
 */
import { brotliDecompressSync, crc32, gunzipSync } from "node:zlib";
import type { Compressors } from "hyparquet";
import { parquetHeader, readColumn } from "hyparquet/src/column.js";
import { decompressZstd, compressors as portable } from "hyparquet-compressors";
import type { ColumnType } from "./column-type.js";

const pageBytesMax = 268_435_456;
const chunkBytesMax = 2_147_483_648;

/** Node's own where it has them; they stop at the size announced. */
const compressors: Compressors = {
  ...portable,
  GZIP: (input, length) => gunzipSync(input, { maxOutputLength: Math.max(length, 1) }),
  BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: Math.max(length, 1) }),
  ZSTD: (input, length) => decompressZstd(input, new Uint8Array(length)),
};

type ColumnDecoder = Parameters<typeof readColumn>[2];

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The chunk's values in runs; null where there is none. Throws an Error that says what is wrong. */
export function readChunk(bytes: Uint8Array<ArrayBuffer>, name: string, { element }: ColumnType, codec: string, rows: number): ArrayLike<unknown>[] {
  checkPages(bytes, rows);
  const leaf = { children: [], count: 1, element, path: [name] };
  const root = { children: [leaf], count: 1, element: { name: "root", num_children: 1 }, path: [] };
  const decoder = {
    pathInSchema: [name],
    type: element.type,
    element,
    schemaPath: [root, leaf],
    codec,
    compressors,
    utf8: false,
    parsers: { stringFromBytes: (text: Uint8Array) => strict.decode(text) },
  } as unknown as ColumnDecoder;
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  return readColumn(reader, { groupStart: 0, selectStart: 0, selectEnd: rows, groupRows: rows }, decoder).data;
}

function checkPages(bytes: Uint8Array, rows: number): void {
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  let [values, total, page] = [0, 0, 0];
  for (; values < rows; page++) {
    if (reader.offset >= bytes.byteLength) throw new Error(`has ${values} of ${rows} values in its ${page} pages`);
    const header = parquetHeader(reader);
    const { compressed_page_size: size, uncompressed_page_size: unpacked } = header;
    if (!isSize(size) || size > bytes.byteLength - reader.offset)
      throw new Error(`page ${page} is ${size} bytes long where ${bytes.byteLength - reader.offset} are left`);
    if (!isSize(unpacked) || unpacked > pageBytesMax) throw new Error(`page ${page} unpacks to ${unpacked} bytes; at most ${pageBytesMax} are taken`);
    total += unpacked;
    if (total > chunkBytesMax) throw new Error(`unpacks to more than ${chunkBytesMax} bytes`);
    if (header.crc !== undefined && crc32(bytes.subarray(reader.offset, reader.offset + size)) !== header.crc >>> 0)
      throw new Error(`page ${page} fails its checksum`);
    reader.offset += size;
    if (header.type === "DICTIONARY_PAGE") {
      const entries = header.dictionary_page_header?.num_values;
      // A value takes a bit at least.
      if (!isSize(entries) || entries > unpacked * 8) throw new Error(`page ${page}, a dictionary of ${unpacked} bytes, says that it has ${entries} entries`);
      continue;
    }
    const count = header.data_page_header?.num_values ?? header.data_page_header_v2?.num_values;
    if (!isSize(count)) throw new Error(`page ${page} (${header.type}) has ${count} values`);
    const levels = header.data_page_header_v2;
    if (levels) {
      const { num_nulls: nulls, definition_levels_byte_length: definition, repetition_levels_byte_length: repetition } = levels;
      if (!isSize(nulls) || nulls > count) throw new Error(`page ${page} has ${nulls} nulls among ${count} values`);
      if (!isSize(definition) || !isSize(repetition) || definition + repetition > size) throw new Error(`page ${page} has levels longer than itself`);
    }
    values += count;
  }
  if (values !== rows) throw new Error(`has ${values} values for ${rows} rows`);
}

const isSize = (value: number | undefined): value is number => typeof value === "number" && Number.isInteger(value) && value >= 0;
