/**
 * The form of journal entries, and nothing about when they are written.
 *
 *   u8 kind | u32 epoch | 8 bytes nonce | body                              (little-endian)
 *   kind 1  records   body: msgpack records, one behind the other
 *   kind 2  part      body: u32 index | u32 parts | bytes                   a record too large for one entry, in
 * consecutive entries
 *   kind 3  snapshot  body: msgpack SnapshotMarker
 *
 * The nonce is drawn once per process: entries of two schedulers that start at the same moment never have equal bytes,
 * so whoever asks "is this entry mine?" after an unknown outcome gets a true answer.
 *
 * F1 A record in parts exists only when its last part does: a tail without its end, cut off by a crash, is as if never
 * written. F2 Epochs never fall along the journal.
 */
import { Packr } from "msgpackr";
import { VolleyError } from "../../proto/errors.js";
import type { JournalRecord } from "../core/events.js";

const packr = new Packr({
  useRecords: false,
  encodeUndefinedAsNil: false,
  moreTypes: false,
  largeBigIntToFloat: false,
});

export const entryKind = { records: 1, part: 2, snapshot: 3 } as const;
export const entryHeadBytes = 13;
const partHeadBytes = 8;
export const nonceBytes = 8;

/**
 * Says that the state up to and with entry `seq` was put into the snapshot store under this hash. The blob may be
 * missing: it is written after the marker.
 */
export interface SnapshotMarker {
  readonly seq: number;
  /** SHA-256 hex of the encoded state. */
  readonly hash: string;
  /** How many blobs it lies in, besides the one that says so; absent in older ones. */
  readonly parts?: number;
}

export const encodeRecord = (record: JournalRecord): Uint8Array => packr.pack(record);

export interface EntryAuthor {
  readonly epoch: number;
  readonly nonce: Uint8Array;
}

export function encodeEntry(author: EntryAuthor, kind: number, bodies: readonly Uint8Array[]): Uint8Array {
  let bytes = entryHeadBytes;
  for (const body of bodies) bytes += body.byteLength;
  const entry = new Uint8Array(bytes);
  const view = new DataView(entry.buffer);
  entry[0] = kind;
  view.setUint32(1, author.epoch, true);
  entry.set(author.nonce, 5);
  let at = entryHeadBytes;
  for (const body of bodies) {
    entry.set(body, at);
    at += body.byteLength;
  }
  return entry;
}

export const encodeMarker = (author: EntryAuthor, marker: SnapshotMarker): Uint8Array =>
  encodeEntry(author, entryKind.snapshot, [packr.pack(marker)]);

/** How many entries of at most `entryBytesMax` a record of this size takes. */
export const partsOf = (recordBytes: number, entryBytesMax: number): number =>
  Math.ceil(recordBytes / (entryBytesMax - entryHeadBytes - partHeadBytes));

export function encodePart(
  author: EntryAuthor,
  record: Uint8Array,
  index: number,
  parts: number,
  entryBytesMax: number,
): Uint8Array {
  const room = entryBytesMax - entryHeadBytes - partHeadBytes;
  const head = new Uint8Array(partHeadBytes);
  const view = new DataView(head.buffer);
  view.setUint32(0, index, true);
  view.setUint32(4, parts, true);
  return encodeEntry(author, entryKind.part, [head, record.subarray(index * room, (index + 1) * room)]);
}

const corrupt = (seq: number, why: string, cause?: unknown): VolleyError =>
  new VolleyError("CORRUPT", `journal entry ${seq}: ${why}`, { cause });

/** The marker in this entry, if it is one; cheap for every other kind. */
export function markerOf(seq: number, entry: Uint8Array): SnapshotMarker | undefined {
  if (entry[0] !== entryKind.snapshot) return undefined;
  const marker = unpack(seq, entry.subarray(entryHeadBytes)) as Partial<SnapshotMarker>;
  if (typeof marker?.seq !== "number" || typeof marker.hash !== "string") throw corrupt(seq, "not a snapshot marker");
  return { seq: marker.seq, hash: marker.hash, ...(typeof marker.parts === "number" ? { parts: marker.parts } : {}) };
}

function unpack(seq: number, body: Uint8Array): unknown {
  try {
    return packr.unpack(body);
  } catch (cause) {
    throw corrupt(seq, `not msgpack: ${(cause as Error).message}`, cause);
  }
}

/** The journal is our own writing: what stands behind `k` is trusted. */
function checkRecord(seq: number, record: unknown): JournalRecord {
  if (typeof record !== "object" || record === null || typeof (record as { k?: unknown }).k !== "string")
    throw corrupt(seq, "holds something that is not a record");
  return record as JournalRecord;
}

/** Reads entries in journal order and gives their records; holds the parts of an unfinished record between calls. */
export class EntryReader {
  #parts: Uint8Array[] = [];
  #epoch = 0;
  #discarded = 0;

  /** Records in parts that were given up (F1). */
  get discarded(): number {
    return this.#discarded;
  }
  /** The epoch of the entry read last. */
  get epoch(): number {
    return this.#epoch;
  }

  read(seq: number, entry: Uint8Array): JournalRecord[] {
    if (entry.byteLength < entryHeadBytes) throw corrupt(seq, `${entry.byteLength} bytes are too few for a header`);
    const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
    const kind = entry[0];
    const epoch = view.getUint32(1, true);
    if (epoch < this.#epoch) throw corrupt(seq, `epoch ${epoch} after epoch ${this.#epoch}`);
    this.#epoch = epoch;
    const body = entry.subarray(entryHeadBytes);
    if (kind === entryKind.part) return this.#part(seq, body);
    this.#drop();
    if (kind === entryKind.snapshot) return [];
    if (kind !== entryKind.records)
      throw new VolleyError(
        "VERSION_MISMATCH",
        `journal entry ${seq} is of kind ${kind}, written by a newer version; start that version`,
      );
    let records: unknown[];
    try {
      records = body.byteLength === 0 ? [] : (packr.unpackMultiple(body) as unknown[]);
    } catch (cause) {
      throw corrupt(seq, `not msgpack: ${(cause as Error).message}`, cause);
    }
    return records.map((record) => checkRecord(seq, record));
  }

  #part(seq: number, body: Uint8Array): JournalRecord[] {
    if (body.byteLength < partHeadBytes) throw corrupt(seq, "a part without its header");
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const index = view.getUint32(0, true);
    const parts = view.getUint32(4, true);
    if (index === 0) this.#drop();
    if (index !== this.#parts.length)
      throw corrupt(seq, `part ${index} of ${parts} where part ${this.#parts.length} was due`);
    this.#parts.push(body.subarray(partHeadBytes));
    if (index + 1 < parts) return [];
    const whole = Buffer.concat(this.#parts);
    this.#parts = [];
    return [checkRecord(seq, unpack(seq, whole))];
  }

  #drop(): void {
    if (this.#parts.length === 0) return;
    this.#parts = [];
    this.#discarded++;
  }
}
