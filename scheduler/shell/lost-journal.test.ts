/** Starts on storage that was lost in part: what is refused, what is gone on with, and what a person may decide. */
import { describe, expect, test } from "vitest";
import type { Durable } from "../../proto/durable/durable.js";
import { modelDurable } from "../../proto/durable/testing/model.js";
import { encodeEntry, encodeRecord, entryKind } from "./journal-format.js";
import { JournalWriter } from "./journal-writer.js";
import { type Recovered, recover } from "./recovery.js";
import { Snapshotter } from "./snapshots.js";
import { cancelRecord, entriesOf, type ScriptedState, scriptedCore } from "./testing/scripted-core.js";

const core = scriptedCore();
const nonce = new Uint8Array(8).fill(9);

function start(durable: Durable, acceptJournalLoss = 0, notes: string[] = []): Promise<Recovered<ScriptedState>> {
  return recover({
    core,
    durable,
    nonce,
    acceptJournalLoss,
    onNote: (level, text) => level === "warn" && notes.push(text),
  });
}

/** Starts, writes so many records, takes a snapshot if asked to. */
async function live(durable: Durable, records: number, snapshot: boolean): Promise<Recovered<ScriptedState>> {
  const recovered = await start(durable);
  const { state, epoch, lastSeq, snapshots } = recovered;
  const quiet = { onDurable: () => {}, onFatal: () => {}, onAppended: () => {}, onRetry: () => {} };
  const writer = new JournalWriter({
    journal: durable.journal,
    author: { epoch, nonce },
    lastSeq,
    entryBytesMax: 1_000,
    ...quiet,
  });
  for (let i = 0; i < records; i++) {
    core.applyRecord(state, cancelRecord(i));
    writer.push(cancelRecord(i));
    await writer.seal();
  }
  const capture = () => [{ epoch }, ...core.snapshot(state)];
  if (snapshot)
    await new Snapshotter({ durable, writer, capture, known: snapshots, onTaken: () => {}, onFailed: () => {} }).take();
  writer.abandon();
  return recovered;
}

const remade = (durable: Durable): Durable => ({ ...durable, journal: modelDurable().journal });

/** The journal as it was up to an entry. */
async function olderCopy(durable: Durable, upto: number): Promise<Durable> {
  const { journal } = modelDurable();
  for (const { seq, data } of await entriesOf(durable.journal)) if (seq <= upto) await journal.append(data, seq - 1);
  return { ...durable, journal };
}

/** A stream that was purged: it goes on counting. */
async function purged(durable: Durable): Promise<Durable> {
  await durable.journal.truncate(await durable.journal.lastSeq());
  return durable;
}

describe("a start is refused", () => {
  test("on a journal made anew, when there was a scheduler before, with or without a snapshot", async () => {
    for (const snapshot of [true, false]) {
      const durable = modelDurable();
      await live(durable, 3, snapshot);
      await live(durable, 3, snapshot);
      const error = await start(remade(durable)).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: "JOURNAL_LOST",
        message: expect.stringContaining("--accept-journal-loss 2"),
      });
      expect(String(error)).toContain("a scheduler of epoch 2 has written it");
      // The refusal changes nothing.
      expect(await start(remade(durable)).catch((thrown: unknown) => thrown)).toMatchObject({ code: "JOURNAL_LOST" });
    }
  });

  test("on a journal whose entries were purged, although it still counts from where it was", async () => {
    for (const snapshot of [true, false]) {
      const durable = modelDurable();
      await live(durable, 3, snapshot);
      await expect(start(await purged(durable))).rejects.toMatchObject({ code: "JOURNAL_LOST" });
    }
  });

  test("on a journal that is older than its snapshots", async () => {
    const durable = modelDurable();
    await live(durable, 5, true);
    await expect(start(await olderCopy(durable, 2))).rejects.toMatchObject({
      code: "JOURNAL_LOST",
      message: expect.stringContaining(
        "ends at entry 2, but a scheduler of epoch 1 has written it and there is a snapshot of its entry 6",
      ),
    });
  });

  test("with the number of another loss", async () => {
    const durable = modelDurable();
    await live(durable, 3, true);
    for (const number of [0, 2, 7])
      await expect(start(remade(durable), number)).rejects.toMatchObject({ code: "JOURNAL_LOST" });
  });
});

describe("a start goes on", () => {
  test("on a new cluster", async () => {
    expect((await start(modelDurable())).epoch).toBe(1);
  });

  test("after a crash between the creation of the journal and its first entry, and between that and the note of its epoch", async () => {
    const durable = modelDurable();
    await durable.journal.append(
      encodeEntry({ epoch: 1, nonce }, entryKind.records, [encodeRecord({ k: "epoch", epoch: 1 as never })]),
      0,
    );
    expect((await start(durable)).epoch).toBe(2);
  });

  test("behind a lost tail, above every epoch there was, and says so", async () => {
    const durable = modelDurable();
    await live(durable, 2, false);
    const upto = await durable.journal.lastSeq();
    for (let i = 0; i < 4; i++) await live(durable, 1, false);
    const notes: string[] = [];
    const again = await start(await olderCopy(durable, upto), 0, notes);
    expect(again.epoch).toBe(6);
    expect(again.state.records).toHaveLength(2);
    expect(notes.join()).toContain("a scheduler of epoch 5 has written it");
  });

  test("when a person has given the lost journal up: above its epochs, without what was in it, and so do the starts after that", async () => {
    const lost: ((durable: Durable) => Durable | Promise<Durable>)[] = [remade, purged];
    for (const lose of lost) {
      const durable = modelDurable();
      await live(durable, 3, true);
      await live(durable, 3, true);
      const broken = await lose(durable);
      const accepted = await start(broken, 2);
      expect(accepted).toMatchObject({ epoch: 3, snapshots: [] });
      expect(accepted.state.records).toEqual([]);
      const later = await live(broken, 4, true);
      expect(later.epoch).toBe(4);
      const last = await start(broken, 2);
      expect(last.epoch).toBe(5);
      expect(last.state.records).toHaveLength(4);
    }
  });

  test("with what an older copy has, when a person says so", async () => {
    const durable = modelDurable();
    await live(durable, 5, true);
    const older = await olderCopy(durable, 3);
    const accepted = await start(older, 1);
    expect(accepted.epoch).toBe(2);
    expect(accepted.state.records).toHaveLength(2);
    // Its entries reach the number of the snapshot that was given up, and another is taken there.
    for (let i = 0; i < 3; i++) await live(older, 1, true);
    expect((await start(older)).state.records).toHaveLength(5);
  });

  test("though the epoch cannot be noted", async () => {
    const durable = modelDurable();
    const notes: string[] = [];
    const put = (): Promise<void> => Promise.reject(new Error("no room"));
    const { names, read, get, has } = durable.snapshots;
    const snapshots = {
      names: names.bind(durable.snapshots),
      read: read.bind(durable.snapshots),
      get: get.bind(durable.snapshots),
      has: has.bind(durable.snapshots),
      delete: async () => {},
      clear: async () => {},
      put,
    };
    expect((await start({ ...durable, snapshots }, 0, notes)).epoch).toBe(1);
    expect(notes.join()).toContain("no room");
  });
});
