/**
 * The Arrow file format (Feather version 2): messages between two magic words, and behind them an index with the schema
 * and where the messages are. They are read where the index says: some writers leave the schema out in front
 * (apache-arrow for JavaScript) or write it in another way (polars).
 */
import { type Block, type Index, readIndex } from "./arrow-metadata.js";
import { invalidData } from "./ingested.js";

const magic = "ARROW1";
/** The magic word, padded to 8 bytes. */
const headBytes = 8;
/** The index's length, and the magic word again. */
const tailBytes = 10;

const says = (bytes: Uint8Array, from: number): boolean =>
  Buffer.from(bytes.subarray(from, from + magic.length)).toString("latin1") === magic;

/** The index of an Arrow file, checked; undefined for a stream. Throws INVALID_DATA. */
export function indexOf(bytes: Uint8Array): Index | undefined {
  if (!says(bytes, 0)) return undefined;
  const { byteLength } = bytes;
  if (byteLength < headBytes + tailBytes || !says(bytes, byteLength - magic.length))
    throw invalidData(`the Arrow file of ${byteLength} bytes does not end with ${magic}: it was cut off`);
  const length = new DataView(bytes.buffer, bytes.byteOffset + byteLength - tailBytes, 4).getInt32(0, true);
  const end = byteLength - tailBytes - length;
  if (length <= 0 || end < headBytes)
    throw invalidData(`the Arrow file says that its index has ${length} bytes, in a file of ${byteLength}`);
  const index = readIndex(bytes.subarray(end, byteLength - tailBytes));
  checkApart([...index.dictionaries, ...index.batches], end);
  return index;
}

/** No byte belongs to two messages: else a small file could name one batch a million times. */
function checkApart(blocks: readonly Block[], end: number): void {
  let previous = headBytes;
  for (const { offset, bytes } of [...blocks].sort((a, b) => a.offset - b.offset)) {
    if (offset < previous || bytes < 8 || offset + bytes > end)
      throw invalidData(
        `the index of the Arrow file has a message of ${bytes} bytes at byte ${offset}, where ${previous} to ${end} are left`,
      );
    previous = offset + bytes;
  }
}
