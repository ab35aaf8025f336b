import { describe, expect, test } from "vitest";
import { modelDurable } from "../../proto/durable/testing/model.js";
import type { JobId } from "../../proto/ids.js";
import type { JournalRecord } from "../core/events.js";
import { EntryReader, encodeEntry, entryKind } from "./journal-format.js";
import { JournalWriter } from "./journal-writer.js";
import { cancelRecord, entriesOf, FaultyJournal } from "./testing/scripted-core.js";

const author = { epoch: 1, nonce: new Uint8Array(8).fill(1) };

function setUp(entryBytesMax = 64 * 1024) {
  const journal = new FaultyJournal(modelDurable().journal);
  const seen = { durable: [] as number[], fatal: undefined as Error | undefined, retries: 0, appended: [] as number[] };
  const writer = new JournalWriter({
    journal,
    author,
    lastSeq: 0,
    entryBytesMax,
    onDurable: (n) => seen.durable.push(n),
    onFatal: (error) => {
      seen.fatal = error;
    },
    onAppended: (_seconds, _bytes, records) => seen.appended.push(records),
    onRetry: () => {
      seen.retries++;
    },
  });
  return { journal, writer, seen };
}

async function recordsIn(journal: FaultyJournal): Promise<JournalRecord[][]> {
  const reader = new EntryReader();
  return (await entriesOf(journal)).map(({ seq, data }) => reader.read(seq, data));
}

describe("journal writer", () => {
  test("gathers what comes while an append is in flight into one entry", async () => {
    const { journal, writer, seen } = setUp();
    journal.mode = "hold";
    writer.push(cancelRecord(0));
    await journal.nextAppend();
    for (let i = 1; i <= 100; i++) writer.push(cancelRecord(i));
    expect(writer.durable).toBe(0);
    journal.release();
    expect(await writer.seal()).toBe(2);
    expect(journal.appends).toBe(2);
    expect(seen.durable).toEqual([1, 101]);
    expect(await recordsIn(journal)).toEqual([
      [cancelRecord(0)],
      Array.from({ length: 100 }, (_, i) => cancelRecord(i + 1)),
    ]);
  });

  test("cuts entries at the limit and splits what is larger", async () => {
    const { journal, writer, seen } = setUp(1_000);
    const records: JournalRecord[] = [
      cancelRecord(1),
      { k: "forget", job: "y".repeat(2_500) as JobId },
      ...Array.from({ length: 100 }, (_, i) => cancelRecord(i)),
    ];
    for (const record of records) writer.push(record);
    await writer.seal();
    const entries = await entriesOf(journal);
    for (const { data } of entries) expect(data.byteLength).toBeLessThanOrEqual(1_000);
    expect((await recordsIn(journal)).flat()).toEqual(records);
    expect(seen.appended.reduce((sum, n) => sum + n, 0)).toBe(records.length);
    expect(writer.durable).toBe(records.length);
  });

  test("keeps records from both sides of a seal in different entries (W3)", async () => {
    const { journal, writer } = setUp();
    journal.mode = "hold";
    writer.push(cancelRecord(0));
    await journal.nextAppend();
    writer.push(cancelRecord(1));
    const first = writer.seal();
    writer.push(cancelRecord(2));
    const second = writer.seal();
    writer.push(cancelRecord(3));
    journal.release();
    expect(await first).toBe(2);
    expect(await second).toBe(3);
    await writer.seal();
    expect(await recordsIn(journal)).toEqual([
      [cancelRecord(0)],
      [cancelRecord(1)],
      [cancelRecord(2)],
      [cancelRecord(3)],
    ]);
  });

  test("tries again while the journal is away", async () => {
    const { journal, writer, seen } = setUp();
    journal.mode = "fail";
    writer.push(cancelRecord(1));
    await journal.nextAppend();
    await journal.nextAppend();
    expect(writer.durable).toBe(0);
    journal.mode = "through";
    expect(await writer.seal()).toBe(1);
    expect(seen.retries).toBeGreaterThan(0);
    expect(seen.fatal).toBeUndefined();
    expect(await recordsIn(journal)).toEqual([[cancelRecord(1)]]);
  });

  test("knows its own entry when only the answer was lost", async () => {
    const { journal, writer, seen } = setUp();
    journal.mode = "lose-answer";
    writer.push(cancelRecord(1));
    await journal.nextAppend();
    const retry = journal.nextAppend();
    await retry;
    journal.mode = "through";
    writer.push(cancelRecord(2));
    expect(await writer.seal()).toBe(2);
    expect(seen.fatal).toBeUndefined();
    expect(await recordsIn(journal)).toEqual([[cancelRecord(1)], [cancelRecord(2)]]);
  });

  test("ends for good when another writer has appended (W4)", async () => {
    const { journal, writer, seen } = setUp();
    await journal.append(encodeEntry({ epoch: 2, nonce: author.nonce }, entryKind.records, []), 0);
    writer.push(cancelRecord(1));
    await expect(writer.seal()).rejects.toMatchObject({ code: "FENCED" });
    expect(seen.fatal).toMatchObject({ code: "FENCED" });
    writer.push(cancelRecord(2));
    await expect(writer.seal()).rejects.toMatchObject({ code: "FENCED" });
    expect(writer.durable).toBe(0);
    expect((await entriesOf(journal)).length).toBe(1);
  });

  test("is fenced also when the other's entry came while the journal was away", async () => {
    const { journal, writer, seen } = setUp();
    journal.mode = "fail";
    writer.push(cancelRecord(1));
    await journal.nextAppend();
    journal.mode = "through";
    // The same records, another process: only the nonce differs.
    await journal.append(encodeEntry({ epoch: 1, nonce: new Uint8Array(8).fill(2) }, entryKind.records, []), 0);
    await expect(writer.seal()).rejects.toMatchObject({ code: "FENCED" });
    expect(seen.fatal).toMatchObject({ code: "FENCED" });
  });
});
