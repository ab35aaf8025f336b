import { Packr } from "msgpackr";
import { describe, expect, test } from "vitest";
import { encodeMessage } from "../../proto/codec.js";
import { sha256Hex } from "../../proto/digest.js";
import type { BlobStore, Durable } from "../../proto/durable/durable.js";
import { type ModelDurable, modelDurable } from "../../proto/durable/testing/model.js";
import type { Epoch } from "../../proto/ids.js";
import { encodeEntry, encodeRecord, entryKind, markerOf, type SnapshotMarker } from "./journal-format.js";
import { JournalWriter } from "./journal-writer.js";
import { type Recovered, recover } from "./recovery.js";
import { readSnapshot, Snapshotter, snapshotName, snapshotPartName } from "./snapshots.js";
import { cancelRecord, entriesOf, faultyDurable, type ScriptedState, scriptedCore } from "./testing/scripted-core.js";

const core = scriptedCore();
const packr = new Packr({ useRecords: false, moreTypes: false });
const nonce = (n: number): Uint8Array => new Uint8Array(8).fill(n);
const notes: string[] = [];
const start = (durable: Durable, n = 9): Promise<Recovered<ScriptedState>> =>
  recover({ core, durable, nonce: nonce(n), onNote: (_level, text) => notes.push(text) });

/** A scheduler's life: it recovers, and writes records as it is told. */
async function live(durable: Durable, n = 1) {
  const recovered = await start(durable, n);
  const { state, epoch } = recovered;
  const writer = new JournalWriter({
    journal: durable.journal,
    author: { epoch, nonce: nonce(n) },
    lastSeq: recovered.lastSeq,
    entryBytesMax: 1_000,
    onDurable: () => {},
    onFatal: () => {},
    onAppended: () => {},
    onRetry: () => {},
  });
  const failures: unknown[] = [];
  const snapshotter = new Snapshotter({
    durable,
    writer,
    capture: () => [{ epoch }, ...core.snapshot(state)],
    known: recovered.snapshots,
    broken: recovered.broken,
    onTaken: () => {},
    onFailed: (error) => failures.push(error),
  });
  const write = (i: number): void => {
    core.applyRecord(state, cancelRecord(i));
    writer.push(cancelRecord(i));
  };
  return { recovered, state, writer, snapshotter, write, failures };
}

const hashOf = (state: ScriptedState): string => sha256Hex(encodeMessage(core.snapshot(state)));

describe("recovery", () => {
  test("gives back what was written, under the next epoch", async () => {
    const durable = modelDurable();
    const first = await live(durable);
    expect(first.recovered.epoch).toBe(1);
    for (let i = 0; i < 100; i++) first.write(i);
    await first.writer.seal();
    const second = await start(durable);
    expect(second.epoch).toBe(2);
    expect(second.state.epoch).toBe(2);
    expect(second.state.records).toEqual(first.state.records);
    expect(second.atMs).toBe(99);
    expect(await durable.journal.lastSeq()).toBe(second.lastSeq);
  });

  test("snapshot, cut and replay equal full replay", async () => {
    const whole = modelDurable();
    const cut = modelDurable();
    const a = await live(whole);
    const b = await live(cut);
    for (let i = 0; i < 300; i++) {
      a.write(i);
      b.write(i);
      // In the middle of traffic: records before and after it are on their way.
      if (i % 70 === 69) void b.snapshotter.take();
      if (i % 10 === 9) await b.writer.seal();
    }
    await b.snapshotter.take();
    b.write(300);
    a.write(300);
    await Promise.all([a.writer.seal(), b.writer.seal()]);
    expect(b.failures).toEqual([]);
    expect((await entriesOf(cut.journal))[0]?.seq).toBeGreaterThan(1);
    const fromWhole = await start(whole);
    const fromCut = await start(cut);
    expect(fromCut.snapshots.length).toBe(2);
    expect(fromCut.records).toBeLessThan(fromWhole.records);
    expect(hashOf(fromCut.state)).toBe(hashOf(fromWhole.state));
    expect(fromCut.state.records.length).toBe(301);
  });

  test("a snapshot never holds a record that its label does not cover (S1)", async () => {
    const durable = faultyDurable(modelDurable());
    const scheduler = await live(durable);
    durable.journal.mode = "hold";
    scheduler.write(1);
    await durable.journal.nextAppend();
    scheduler.write(2);
    const taken = scheduler.snapshotter.take();
    scheduler.write(3);
    durable.journal.release();
    await taken;
    await scheduler.writer.seal();
    // Records 1 and 2 are in the snapshot; played over it, 3 comes exactly once.
    const again = await start(durable);
    expect(again.state.records).toEqual([cancelRecord(1), cancelRecord(2), cancelRecord(3)]);
    expect(again.records).toBe(1);
  });

  test.each(["missing", "corrupt"] as const)(
    "falls back to the snapshot before when the newest is %s",
    async (fault) => {
      const durable = modelDurable();
      const scheduler = await live(durable);
      const taken: number[] = [];
      for (let i = 0; i < 3; i++) {
        for (let j = 0; j < 5; j++) scheduler.write(10 * i + j);
        taken.push(await scheduler.writer.seal());
        await scheduler.snapshotter.take();
      }
      const newest = taken.at(-1) as number;
      const name = snapshotName(newest);
      const bytes = (await durable.snapshots.get(name)) as Uint8Array;
      await durable.snapshots.delete(name);
      if (fault === "corrupt") {
        const bad = bytes.slice();
        bad[bad.length >> 1] = (bad[bad.length >> 1] as number) ^ 1;
        await durable.snapshots.put(name, bad);
      }
      const again = await start(durable);
      expect(again.state.records).toEqual(scheduler.state.records);
      expect(again.snapshots.at(-1)?.seq).toBe(taken[1]);
    },
  );

  test("refuses to start over a hole", async () => {
    const durable = modelDurable();
    const scheduler = await live(durable);
    for (let i = 0; i < 3; i++) {
      scheduler.write(i);
      await scheduler.snapshotter.take();
    }
    const gone: BlobStore = {
      put: async () => {},
      has: async () => false,
      read: async () => undefined,
      get: async () => undefined,
      clear: async () => {},
      delete: async () => {},
      names: async () => [],
    };
    await expect(start({ ...durable, snapshots: gone })).rejects.toMatchObject({ code: "CORRUPT" });
  });

  test("keeps at most two snapshots, and the journal behind the older one", async () => {
    const durable = modelDurable();
    const scheduler = await live(durable);
    const taken: number[] = [];
    for (let i = 0; i < 5; i++) {
      scheduler.write(i);
      taken.push(await scheduler.writer.seal());
      await scheduler.snapshotter.take();
    }
    const kept = await Promise.all(taken.map((seq) => durable.snapshots.has(snapshotName(seq))));
    expect(kept).toEqual([false, false, false, true, true]);
    expect((await entriesOf(durable.journal))[0]?.seq).toBe((taken[3] as number) + 1);
  });

  test("a snapshot has no size at which it fails: it lies in parts, and is encoded between other work", async () => {
    const durable = modelDurable();
    const scheduler = await live(durable);
    const items = Array.from({ length: 600 }, (_, n) => ({ n, bytes: new Uint8Array(10_000).fill(n) }));
    const markers: number[] = [];
    const failures: unknown[] = [];
    const large = new Snapshotter({
      durable,
      writer: scheduler.writer,
      capture: () => [{ epoch: 1 }, ...items],
      known: [],
      partBytes: 100_000,
      onTaken: (seq) => markers.push(seq),
      onFailed: (error) => failures.push(error),
    });
    let turns = 0;
    let taking = true;
    const counting = (async () => {
      for (; taking; turns++) await new Promise((resolve) => setImmediate(resolve));
    })();
    await large.take();
    taking = false;
    await counting;
    expect(failures).toEqual([]);
    expect(turns).toBeGreaterThan(4);
    const [marker] = (await entriesOf(durable.journal)).flatMap(({ seq, data }) => markerOf(seq, data) ?? []);
    expect(marker?.parts).toBeGreaterThan(50);
    const read = await readSnapshot(durable.snapshots, marker as SnapshotMarker);
    expect(sha256Hex(encodeMessage(read))).toBe(sha256Hex(encodeMessage([{ epoch: 1 }, ...items])));
    await durable.snapshots.delete(snapshotPartName(marker?.seq as number, 7));
    await expect(readSnapshot(durable.snapshots, marker as SnapshotMarker)).rejects.toMatchObject({ code: "CORRUPT" });
  });

  test("a snapshot of version 1, all of it in one blob, is read", async () => {
    const { snapshots } = modelDurable();
    const state = packr.pack({ epoch: 3, state: { jobs: [] } });
    const hash = sha256Hex(state);
    await snapshots.put(snapshotName(5), packr.pack({ version: 1, seq: 5, hash, state }));
    expect(await readSnapshot(snapshots, { seq: 5, hash })).toEqual([{ epoch: 3 }, { jobs: [] }]);
  });

  test("a crash at any write or deletion of a snapshot loses nothing, and leaves nothing for ever", async () => {
    // Of a run in which nothing fails, how many there are.
    const count = async (failAt: number): Promise<{ calls: number; before: string; durable: ModelDurable }> => {
      const durable = modelDurable();
      let calls = 0;
      const crashing =
        <A extends unknown[], R>(run: (...args: A) => Promise<R>) =>
        (...args: A): Promise<R> =>
          calls++ >= failAt ? Promise.reject(new Error("the process is gone")) : run(...args);
      const snapshots = {
        ...durable.snapshots,
        get: durable.snapshots.get.bind(durable.snapshots),
        names: durable.snapshots.names.bind(durable.snapshots),
        put: crashing(durable.snapshots.put.bind(durable.snapshots)),
        delete: crashing(durable.snapshots.delete.bind(durable.snapshots)),
      } as BlobStore;
      const journal = new Proxy(durable.journal, {
        get: (of, key) =>
          key === "truncate"
            ? crashing(of.truncate.bind(of))
            : typeof of[key as "read"] === "function"
              ? of[key as "read"].bind(of)
              : of[key as never],
      });
      const scheduler = await live({ ...durable, snapshots, journal }, 1);
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 30; i++) scheduler.write(100 * round + i);
        await scheduler.writer.seal();
        await scheduler.snapshotter.take();
        if (scheduler.failures.length > 0) break;
      }
      const before = hashOf(scheduler.state);
      scheduler.writer.abandon();
      return { calls, before, durable };
    };
    const { calls } = await count(Number.POSITIVE_INFINITY);
    expect(calls).toBeGreaterThan(9);
    for (let failAt = 0; failAt < calls; failAt++) {
      const { before, durable } = await count(failAt);
      const again = await live(durable);
      expect(hashOf(again.state), `after a crash at call ${failAt}`).toBe(before);
      // Two whole snapshots later, nothing of the broken one is left.
      for (let round = 0; round < 2; round++) {
        again.write(1_000 + round);
        await again.writer.seal();
        await again.snapshotter.take();
      }
      expect(again.failures).toEqual([]);
      const markers = (await entriesOf(durable.journal)).flatMap(({ seq, data }) => markerOf(seq, data) ?? []);
      const named = new Set(
        markers.flatMap(({ seq, parts = 0 }) => [
          snapshotName(seq),
          ...Array.from({ length: parts }, (_, n) => snapshotPartName(seq, n)),
        ]),
      );
      const left = (await durable.snapshots.names()).filter((name) => name.startsWith("snapshot-") && !named.has(name));
      expect(left).toEqual([]);
    }
  });

  test("reads on while its predecessor still writes, then fences it", async () => {
    const durable = faultyDurable(modelDurable());
    const old = await live(durable, 1);
    old.write(1);
    await old.writer.seal();
    durable.journal.mode = "hold";
    const begun = durable.journal.nextAppend();
    const starting = start(durable, 2);
    await begun;
    // The new scheduler's epoch waits; the old one gets an entry in.
    durable.journal.mode = "through";
    old.write(2);
    await old.writer.seal();
    durable.journal.release();
    const recovered = await starting;
    expect(recovered.epoch).toBe(2);
    expect(recovered.state.records).toEqual([cancelRecord(1), cancelRecord(2)]);
    old.write(3);
    await expect(old.writer.seal()).rejects.toMatchObject({ code: "FENCED" });
  });

  test("of two that start together, one serves and the other stops", async () => {
    const durable = modelDurable();
    const both = await Promise.allSettled([start(durable, 1), start(durable, 2)]);
    expect(both.map((one) => one.status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(both.find((one) => one.status === "rejected")?.reason).toMatchObject({ code: "FENCED" });
  });

  test("refuses an entry that cannot be read", async () => {
    const durable = modelDurable();
    await durable.journal.append(
      encodeEntry({ epoch: 1 as Epoch, nonce: nonce(1) }, entryKind.records, [
        encodeRecord(cancelRecord(1)),
        Uint8Array.of(0xd9),
      ]),
      0,
    );
    await expect(start(durable)).rejects.toMatchObject({ code: "CORRUPT" });
  });
});
