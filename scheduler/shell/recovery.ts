/**
 * From what is durable to a state that may speak: the newest good snapshot, the entries behind it, and an `epoch` entry
 * of our own.
 *
 * R1 The epoch entry is the fence: from its append on, whoever spoke before fails at its next append.
 * R2 While we replay, a predecessor may still append. Its entries are replayed too, and the epoch is tried again; but
 * if one of them is itself an
 *    epoch, another scheduler is starting with us and was first: we stop.
 * R3 A journal with a hole before its first entry, or an entry that cannot be read, is never played over: a state with
 * holes would forget what clients were told.
 *    Nor is one begun with that is gone, or older than its snapshots: see lost-journal.ts.
 */

import type { SchedulerStores } from "../../proto/durable/durable.js";
import { isVolleyError, VolleyError } from "../../proto/errors.js";
import type { Epoch, SchedulerStart } from "../../proto/ids.js";
import type { JournalRecord } from "../core/events.js";
import type { CorePort } from "./core-port.js";
import {
  type EntryAuthor,
  EntryReader,
  encodeEntry,
  encodeRecord,
  entryKind,
  markerOf,
  type SnapshotMarker,
} from "./journal-format.js";
import { checkJournal, rememberEpoch, remembered } from "./lost-journal.js";
import { readSnapshot } from "./snapshots.js";

export interface Recovered<S> {
  readonly state: S;
  readonly epoch: Epoch;
  /** The record of the epoch, applied already. */
  readonly began: JournalRecord;
  readonly lastSeq: number;
  /** Snapshots that may exist: the one used is the last. Empty when none was used. */
  readonly snapshots: readonly SnapshotMarker[];
  /** Snapshots that were not finished, or cannot be read. */
  readonly broken: readonly SnapshotMarker[];
  readonly records: number;
  readonly entries: number;
  /** The latest time that a record speaks of. */
  readonly atMs: number;
}

export interface RecoveryOptions<S> {
  readonly core: CorePort<S>;
  readonly durable: SchedulerStores;
  readonly nonce: Uint8Array;
  /** The epoch whose journal a person has given up (lost-journal.ts); 0: none. */
  readonly acceptJournalLoss?: number;
  onNote(level: "info" | "warn", text: string, fields: Record<string, string | number>): void;
}

/** Entries read while looking for snapshots are kept up to this size, so that most journals are read once. */
const cacheBytesMax = 64 * 1024 * 1024;
/** Tries of the epoch entry against a predecessor that is still appending. */
const takeoverTriesMax = 1_000;

export async function recover<S>(options: RecoveryOptions<S>): Promise<Recovered<S>> {
  const { durable, acceptJournalLoss = 0 } = options;
  const known = await remembered(durable);
  const goOnBehind = await checkJournal(durable, known, acceptJournalLoss);
  const replay = new Replay(options);
  await replay.start();
  if (goOnBehind !== undefined) replay.lastSeq = goOnBehind;
  for (let tries = 0; tries < takeoverTriesMax; tries++) {
    const read = await replay.catchUp(tries > 0);
    if (tries > 1 && read === 0)
      throw new VolleyError(
        "CORRUPT",
        `the journal ends behind entry ${replay.lastSeq}, but nothing behind it can be read`,
      );
    const epoch = (Math.max(replay.epoch, known.epoch) + 1) as Epoch;
    const author: EntryAuthor = { epoch, nonce: options.nonce };
    const record: JournalRecord = {
      k: "epoch",
      epoch,
      start: startOf(options.nonce),
      ...(goOnBehind === undefined ? {} : { afresh: true }),
    };
    try {
      const lastSeq = await durable.journal.append(
        encodeEntry(author, entryKind.records, [encodeRecord(record)]),
        replay.lastSeq,
      );
      options.core.applyRecord(replay.state, record);
      if (known.epoch > replay.epoch) options.onNote("warn", lostTailText(replay.epoch, known.epoch), { epoch });
      // Without it the journal is as good; what is lost is that its loss would be noticed.
      await rememberEpoch(durable, epoch, known).catch((error: unknown) =>
        options.onNote("warn", `the epoch was not noted beside the snapshots: ${error}`, { epoch }),
      );
      return {
        state: replay.state,
        epoch,
        began: record,
        lastSeq,
        snapshots: replay.snapshots,
        broken: replay.broken,
        records: replay.records,
        entries: replay.entries,
        atMs: replay.atMs,
      };
    } catch (error) {
      if (!isVolleyError(error) || error.code !== "FENCED") throw error;
      options.onNote("info", "the scheduler before this one is still writing; reading on", { lastSeq: replay.lastSeq });
    }
  }
  throw new VolleyError(
    "FENCED",
    `another scheduler keeps writing to the journal; gave up after ${takeoverTriesMax} tries`,
  );
}

const lostTailText = (found: number, known: number): string =>
  `the journal knows of epoch ${found}, but a scheduler of epoch ${known} has written it: it has lost its last writes (a power failure, an older copy). ` +
  "What they said is forgotten, and what is submitted again is executed again";

/**
 * The nonce of the journal's entries, as far as it goes into ids: strings of fewer than 16 bytes are read several times
 * as fast.
 */
const startOf = (nonce: Uint8Array): SchedulerStart =>
  Buffer.from(nonce).toString("base64url").slice(0, 6) as SchedulerStart;

interface Entry {
  readonly seq: number;
  readonly data: Uint8Array;
}

const beginsAfresh = ({ seq, data }: Entry): boolean =>
  new EntryReader().read(seq, data).some((record) => record.k === "epoch" && record.afresh);

class Replay<S> {
  readonly #options: RecoveryOptions<S>;
  readonly #reader = new EntryReader();
  /** What `start` has read already; undefined when it was too much. */
  #kept: Entry[] | undefined = [];
  #state: S | undefined;
  snapshots: SnapshotMarker[] = [];
  broken: SnapshotMarker[] = [];
  epoch = 0;
  lastSeq = 0;
  records = 0;
  entries = 0;
  atMs = 0;

  constructor(options: RecoveryOptions<S>) {
    this.#options = options;
  }

  get state(): S {
    if (this.#state === undefined) throw new VolleyError("INTERNAL", "replay has not been started");
    return this.#state;
  }

  /** Chooses the newest snapshot that is there and whole. */
  async start(): Promise<void> {
    const { core, durable, onNote } = this.#options;
    const markers: SnapshotMarker[] = [];
    const bad: SnapshotMarker[] = [];
    let first: Entry | undefined;
    let bytes = 0;
    for await (const { seq, data } of durable.journal.read(0)) {
      first ??= { seq, data };
      bytes += data.byteLength;
      if (bytes > cacheBytesMax) this.#kept = undefined;
      this.#kept?.push({ seq, data });
      const marker = markerOf(seq, data);
      if (marker) markers.push(marker);
    }
    while (markers.length > 0) {
      const marker = markers.at(-1) as SnapshotMarker;
      try {
        const data = await readSnapshot(durable.snapshots, marker);
        if (data !== undefined) {
          this.#use(data, marker, markers);
          break;
        }
        onNote("warn", "a snapshot was not finished; using the one before it", { seq: marker.seq });
      } catch (error) {
        if (!isVolleyError(error) || error.code !== "CORRUPT") throw error;
        onNote("warn", `${error.message}; using the one before it`, { seq: marker.seq });
      }
      markers.pop();
      bad.push(marker);
    }
    this.broken = bad;
    this.#state ??= core.create(0 as Epoch);
    if (first && this.snapshots.length === 0 && beginsAfresh(first)) this.lastSeq = first.seq - 1;
    if (first && first.seq > this.lastSeq + 1)
      throw new VolleyError(
        "CORRUPT",
        `the journal starts at entry ${first.seq}, but the newest readable snapshot ends at ${this.lastSeq}: entries between them are lost`,
      );
  }

  #use([head, ...items]: readonly unknown[], marker: SnapshotMarker, markers: SnapshotMarker[]): void {
    const { epoch } = head as { epoch: Epoch };
    this.#state = this.#options.core.restore(items, epoch);
    this.epoch = epoch;
    this.lastSeq = marker.seq;
    this.snapshots = [...markers];
  }

  /** Plays every entry behind `lastSeq` and says how many there were. `late`: they came while we were starting (R2). */
  async catchUp(late: boolean): Promise<number> {
    const before = this.entries;
    const kept = this.#kept ?? [];
    this.#kept = undefined;
    for (const { seq, data } of kept) if (seq > this.lastSeq) this.#play(seq, data, late);
    for await (const { seq, data } of this.#options.durable.journal.read(this.lastSeq)) this.#play(seq, data, late);
    return this.entries - before;
  }

  #play(seq: number, data: Uint8Array, late: boolean): void {
    const { core, onNote } = this.#options;
    if (seq !== this.lastSeq + 1)
      throw new VolleyError(
        "CORRUPT",
        `journal entry ${seq} follows entry ${this.lastSeq}: entries between them are lost`,
      );
    const discarded = this.#reader.discarded;
    for (const record of this.#reader.read(seq, data)) {
      if (record.k === "epoch") {
        // A scheduler that may have been deposed writes an epoch, too, to find out (shell.ts).
        if (late && record.epoch > this.epoch)
          throw new VolleyError("FENCED", `another scheduler started at the same time and took epoch ${record.epoch}`);
        this.epoch = record.epoch;
      }
      if ("atMs" in record && record.atMs > this.atMs) this.atMs = record.atMs;
      core.applyRecord(this.state, record);
      this.records++;
    }
    if (this.#reader.discarded > discarded)
      onNote("warn", "a record was not written to its end and never counted", { seq });
    this.lastSeq = seq;
    this.entries++;
  }
}
