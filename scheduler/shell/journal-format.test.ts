import { describe, expect, test } from "vitest";
import type { JobId } from "../../proto/ids.js";
import type { JournalRecord } from "../core/events.js";
import {
  EntryReader,
  encodeEntry,
  encodeMarker,
  encodePart,
  encodeRecord,
  entryKind,
  markerOf,
  partsOf,
} from "./journal-format.js";
import { cancelRecord } from "./testing/scripted-core.js";

const author = { epoch: 3, nonce: new Uint8Array(8).fill(7) };
const recordsEntry = (epoch: number, ...records: JournalRecord[]): Uint8Array =>
  encodeEntry({ ...author, epoch }, entryKind.records, records.map(encodeRecord));
const big: JournalRecord = { k: "forget", job: "x".repeat(5_000) as JobId };

function partsEntries(record: JournalRecord, entryBytesMax: number): Uint8Array[] {
  const bytes = encodeRecord(record);
  const parts = partsOf(bytes.byteLength, entryBytesMax);
  return Array.from({ length: parts }, (_, i) => encodePart(author, bytes, i, parts, entryBytesMax));
}

describe("journal entries", () => {
  test("give back the records they were made of", () => {
    const records = [cancelRecord(1), { k: "digest", job: "j" as JobId, digest: "ab" } satisfies JournalRecord];
    expect(new EntryReader().read(1, recordsEntry(3, ...records))).toEqual(records);
  });

  test("carry a large record in parts, none over the limit", () => {
    const entries = partsEntries(big, 1_000);
    expect(entries.length).toBe(6);
    for (const entry of entries) expect(entry.byteLength).toBeLessThanOrEqual(1_000);
    const reader = new EntryReader();
    const read = entries.map((entry, i) => reader.read(i + 1, entry));
    expect(read.slice(0, -1).flat()).toEqual([]);
    expect(read.at(-1)).toEqual([big]);
  });

  test("forget a record whose last part was never written (F1)", () => {
    const reader = new EntryReader();
    for (const entry of partsEntries(big, 1_000).slice(0, -1)) expect(reader.read(1, entry)).toEqual([]);
    expect(reader.read(2, recordsEntry(4, cancelRecord(1)))).toEqual([cancelRecord(1)]);
    expect(reader.discarded).toBe(1);
    // The next large record starts afresh.
    const again = partsEntries(big, 1_000).map((entry) => {
      entry[1] = 4;
      return reader.read(3, entry);
    });
    expect(again.flat()).toEqual([big]);
  });

  test("are refused when an epoch falls, bytes are cut or the kind is newer", () => {
    const reader = new EntryReader();
    reader.read(1, recordsEntry(5));
    expect(() => reader.read(2, recordsEntry(4))).toThrow(/entry 2: epoch 4 after epoch 5/);
    expect(() => new EntryReader().read(9, recordsEntry(1).subarray(0, 5))).toThrow(/entry 9: 5 bytes/);
    expect(() => new EntryReader().read(9, encodeEntry(author, 9, []))).toThrow(/kind 9/);
    expect(() => new EntryReader().read(9, encodeEntry(author, entryKind.records, [Uint8Array.of(0xd9)]))).toThrow(
      /entry 9: not msgpack/,
    );
    expect(() => new EntryReader().read(9, encodeEntry(author, entryKind.records, [Uint8Array.of(7)]))).toThrow(
      /entry 9: holds something/,
    );
    expect(() => new EntryReader().read(9, partsEntries(big, 1_000)[1] as Uint8Array)).toThrow(
      /part 1 of 6 where part 0 was due/,
    );
  });

  test("tell markers from everything else", () => {
    expect(markerOf(1, encodeMarker(author, { seq: 12, hash: "ff" }))).toEqual({ seq: 12, hash: "ff" });
    expect(markerOf(1, recordsEntry(3, cancelRecord(1)))).toBeUndefined();
  });
});
