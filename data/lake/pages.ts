/**
 * The pages of one column chunk. Before hyparquet decodes it, every page header is read and held against what the
 * footer announced, so that no number in the file makes the decoder loop, or allocate more than the rows and bytes that
 * were agreed to.
 */
import { brotliDecompressSync, crc32, gunzipSync } from "node:zlib";
import type { Compressors, DecodedArray, PageHeader } from "hyparquet";
import { parquetHeader, readPage } from "hyparquet/src/column.js";
import { convert } from "hyparquet/src/convert.js";
import { decompressZstd, compressors as portable } from "hyparquet-compressors";
import type { BytesBudget } from "./bytes-budget.js";
import type { ColumnType } from "./column-type.js";
import { checkThriftShape } from "./thrift-shape.js";

const pageValuesMax = 2_097_152;
const textBytesMax = 16_777_216;
const pageBytesMax = 268_435_456;

/** Node's own where it has them; they stop at the size announced. */
const compressors: Compressors = {
  ...portable,
  GZIP: (input, length) => gunzipSync(input, { maxOutputLength: Math.max(length, 1) }),
  BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: Math.max(length, 1) }),
  ZSTD: (input, length) => decompressZstd(input, new Uint8Array(length)),
};

type ColumnDecoder = Parameters<typeof readPage>[2];

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export interface ChunkOf {
  readonly name: string;
  readonly type: ColumnType;
  readonly codec: string;
  readonly rows: number;
}

/**
 * The chunk's values in runs, a page at a time; null where there is none. Throws an Error that says what is wrong, or
 * TOO_LARGE if it unpacks to more than is left. What V8 allocates for a page stays below what would end the process
 * instead of the thread (thrift-shape.ts).
 */
export function* readChunk(
  bytes: Uint8Array<ArrayBuffer>,
  { name, type: { element }, codec, rows }: ChunkOf,
  unpacked: BytesBudget,
): Generator<ArrayLike<unknown>> {
  checkPages(bytes, rows, unpacked);
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
    parsers: { stringFromBytes: textOf },
  } as unknown as ColumnDecoder;
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  let dictionary: DecodedArray | undefined;
  for (let read = 0; read < rows; ) {
    const header = parquetHeader(reader);
    const { data } = readPage(reader, header, decoder, dictionary, undefined, 0);
    if (!data) throw new Error(`has a page (${header.type}) without values`);
    if (header.type === "DICTIONARY_PAGE") {
      dictionary = convert(data, decoder);
      continue;
    }
    // As checkPages has it: a page that decodes to fewer values, or none, must not make this loop for ever.
    const count = header.data_page_header?.num_values ?? header.data_page_header_v2?.num_values ?? 0;
    if (data.length !== count) throw new Error(`has a page of ${data.length} values that says it has ${count}`);
    read += count;
    yield data;
  }
}

function textOf(text: Uint8Array): string {
  if (text.byteLength > textBytesMax)
    throw new Error(`has a text of ${text.byteLength} bytes; at most ${textBytesMax} are taken`);
  return strict.decode(text);
}

function checkPages(bytes: Uint8Array, rows: number, budget: BytesBudget): void {
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  let [values, page] = [0, 0];
  for (; values < rows; page++) {
    if (reader.offset >= bytes.byteLength) throw new Error(`has ${values} of ${rows} values in its ${page} pages`);
    checkThriftShape(reader.view, reader.offset);
    const header = parquetHeader(reader);
    const { compressed_page_size: size, uncompressed_page_size: unpacked } = header;
    if (!isSize(size) || size > bytes.byteLength - reader.offset)
      throw new Error(`page ${page} is ${size} bytes long where ${bytes.byteLength - reader.offset} are left`);
    if (!isSize(unpacked) || unpacked > pageBytesMax)
      throw new Error(`page ${page} unpacks to ${unpacked} bytes; at most ${pageBytesMax} are taken`);
    budget.take(unpacked);
    if (header.crc !== undefined && crc32(bytes.subarray(reader.offset, reader.offset + size)) !== header.crc >>> 0)
      throw new Error(`page ${page} fails its checksum`);
    reader.offset += size;
    if (header.type === "DICTIONARY_PAGE") checkEntries(header, page, unpacked);
    else values += valuesOf(header, page, size);
  }
  if (values !== rows) throw new Error(`has ${values} values for ${rows} rows`);
}

function checkEntries(header: PageHeader, page: number, unpacked: number): void {
  const entries = header.dictionary_page_header?.num_values;
  // A value takes a bit at least.
  if (!isSize(entries) || entries > Math.min(unpacked * 8, pageValuesMax))
    throw new Error(`page ${page}, a dictionary of ${unpacked} bytes, says that it has ${entries} entries`);
}

function valuesOf(header: PageHeader, page: number, size: number): number {
  const levels = header.data_page_header_v2;
  const count = header.data_page_header?.num_values ?? levels?.num_values;
  if (!isSize(count)) throw new Error(`page ${page} (${header.type}) has ${count} values`);
  if (count > pageValuesMax)
    throw new Error(
      `page ${page} has ${count} values; at most ${pageValuesMax} are taken. Write it with smaller pages or row groups`,
    );
  if (levels) {
    const {
      num_nulls: nulls,
      definition_levels_byte_length: definition,
      repetition_levels_byte_length: repetition,
    } = levels;
    if (!isSize(nulls) || nulls > count) throw new Error(`page ${page} has ${nulls} nulls among ${count} values`);
    if (!isSize(definition) || !isSize(repetition) || definition + repetition > size)
      throw new Error(`page ${page} has levels longer than itself`);
  }
  return count;
}

const isSize = (value: number | undefined): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0;
