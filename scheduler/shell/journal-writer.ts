/**
 * Group commit: records gather while one append is in flight and go out together as the next entry.
 *
 * W1 One append at a time, each with the sequence it expects to follow; so entries are in the order in which records
 * were given. W2 `durable` counts records that are on disk; it moves only after the append was confirmed, and never
 * back. W3 After `seal()` no entry holds records from both sides of the seal: a snapshot taken at that instant is
 * exactly the state up to that entry. W4 FENCED ends the writer for good: somebody else writes this journal now. Every
 * other failure is tried again, for as long as it takes.
 */

import type { Journal } from "../../proto/durable/durable.js";
import { isVolleyError, VolleyError } from "../../proto/errors.js";
import { type Runtime, realRuntime } from "../../proto/runtime.js";
import type { JournalRecord } from "../core/events.js";
import {
  type EntryAuthor,
  encodeEntry,
  encodeMarker,
  encodePart,
  encodeRecord,
  entryHeadBytes,
  entryKind,
  partsOf,
  type SnapshotMarker,
} from "./journal-format.js";

export interface JournalWriterOptions {
  readonly journal: Journal;
  readonly runtime?: Runtime;
  readonly author: EntryAuthor;
  /** Sequence of the journal's last entry. */
  readonly lastSeq: number;
  readonly entryBytesMax: number;
  /** More records are on disk: gated commands may go. */
  onDurable(durable: number): void;
  /** The writer has ended: FENCED, the journal was closed under it, or a bug. */
  onFatal(error: Error): void;
  onAppended(seconds: number, bytes: number, records: number): void;
  onRetry(error: unknown, tries: number): void;
}

/** What waits to be written: an encoded record, or a marker that is an entry of its own. */
type Pending = { readonly bytes: Uint8Array; readonly marker?: SnapshotMarker };

const retryMsFirst = 50;
const retryMsMax = 2_000;

export class JournalWriter {
  readonly #options: JournalWriterOptions;
  readonly #room: number;
  readonly #runtime: Runtime;
  #pending: Pending[] = [];
  /** Position in #pending of the first record not yet taken into an entry. */
  #head = 0;
  #given = 0;
  #durable = 0;
  #lastSeq: number;
  #seals: { at: number; resolve: (seq: number) => void; reject: (error: unknown) => void }[] = [];
  #running = false;
  #ended: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(options: JournalWriterOptions) {
    this.#options = options;
    this.#runtime = options.runtime ?? realRuntime;
    this.#lastSeq = options.lastSeq;
    this.#room = options.entryBytesMax - entryHeadBytes;
  }

  /** Records given so far; a gated command waits until `durable` reaches this number. */
  get given(): number {
    return this.#given;
  }
  get durable(): number {
    return this.#durable;
  }
  get lastSeq(): number {
    return this.#lastSeq;
  }

  push(record: JournalRecord): void {
    this.#add({ bytes: encodeRecord(record) });
  }

  pushMarker(marker: SnapshotMarker): void {
    this.#add({ bytes: new Uint8Array(0), marker });
  }

  #add(item: Pending): void {
    if (this.#ended) return;
    this.#pending.push(item);
    this.#given++;
    if (!this.#running) {
      this.#running = true;
      // One microtask later: the records of one step, and of one batch of messages, share an entry.
      queueMicrotask(() => {
        this.#run().catch((error: unknown) =>
          this.#end(error instanceof Error ? error : new Error(String(error)), true),
        );
      });
    }
  }

  /**
   * Cuts here (W3) and resolves, when everything given so far is on disk, with the sequence of the entry that holds the
   * last of it.
   */
  seal(): Promise<number> {
    if (this.#ended) return Promise.reject(this.#ended);
    if (this.#durable === this.#given) return Promise.resolve(this.#lastSeq);
    return new Promise((resolve, reject) => this.#seals.push({ at: this.#given, resolve, reject }));
  }

  /** Stops trying: what is not yet on disk is given up, as in a crash. */
  abandon(): void {
    this.#end(new VolleyError("CLOSED", "the journal writer was closed"), false);
  }

  async #run(): Promise<void> {
    while (this.#head < this.#pending.length && !this.#ended) {
      const taken = this.#take();
      for (const entry of taken.entries) {
        const seq = await this.#append(entry, entry === taken.entries.at(-1) ? taken.records : 0);
        if (seq === undefined) return;
        this.#lastSeq = seq;
      }
      this.#durable += taken.records;
      while (this.#seals[0] && this.#seals[0].at <= this.#durable) this.#seals.shift()?.resolve(this.#lastSeq);
      this.#options.onDurable(this.#durable);
    }
    this.#running = false;
  }

  /** The next entry's worth of pending records; a record too large for one entry comes alone, in parts. */
  #take(): { entries: Uint8Array[]; records: number } {
    const { author, entryBytesMax } = this.#options;
    const first = this.#pending[this.#head] as Pending;
    const taken: Uint8Array[] = [];
    const sealed = this.#seals[0] ? this.#seals[0].at - this.#durable : Number.POSITIVE_INFINITY;
    let bytes = 0;
    let at = this.#head;
    for (; at < this.#pending.length && taken.length < sealed; at++) {
      const item = this.#pending[at] as Pending;
      if (item.marker || bytes + item.bytes.byteLength > this.#room) break;
      taken.push(item.bytes);
      bytes += item.bytes.byteLength;
    }
    if (taken.length > 0) {
      this.#advance(at);
      return { entries: [encodeEntry(author, entryKind.records, taken)], records: taken.length };
    }
    this.#advance(this.#head + 1);
    if (first.marker) return { entries: [encodeMarker(author, first.marker)], records: 1 };
    const parts = partsOf(first.bytes.byteLength, entryBytesMax);
    return {
      entries: Array.from({ length: parts }, (_, i) => encodePart(author, first.bytes, i, parts, entryBytesMax)),
      records: 1,
    };
  }

  #advance(head: number): void {
    this.#head = head;
    if (head === this.#pending.length) {
      this.#pending = [];
      this.#head = 0;
    } else if (head > 4096) {
      this.#pending.splice(0, head);
      this.#head = 0;
    }
  }

  async #append(entry: Uint8Array, records: number): Promise<number | undefined> {
    const { journal } = this.#options;
    for (let tries = 0; !this.#ended; tries++) {
      const from = this.#runtime.nowMs();
      try {
        const seq = await journal.append(entry, this.#lastSeq);
        this.#options.onAppended((this.#runtime.nowMs() - from) / 1000, entry.byteLength, records);
        return seq;
      } catch (error) {
        if (this.#ended) return undefined;
        const code = isVolleyError(error) ? error.code : undefined;
        const mine = code === "FENCED" && tries > 0 ? await this.#isMine(entry) : false;
        if (mine === true) return this.#lastSeq + 1;
        if (mine === false && (code === "FENCED" || code === "CLOSED" || code === "TOO_LARGE")) {
          this.#end(error as VolleyError, true);
          return undefined;
        }
        this.#options.onRetry(error, tries + 1);
        await this.#pause(Math.min(retryMsFirst * 2 ** tries, retryMsMax));
      }
    }
    return undefined;
  }

  /**
   * After a failure of unknown outcome, FENCED may mean that our own entry did arrive. Its nonce says so; undefined:
   * the journal cannot be read now.
   */
  async #isMine(entry: Uint8Array): Promise<boolean | undefined> {
    try {
      for await (const { seq, data } of this.#options.journal.read(this.#lastSeq))
        return seq === this.#lastSeq + 1 && Buffer.compare(data, entry) === 0;
      return false;
    } catch {
      return undefined;
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#runtime.after(ms, resolve);
      this.#wake = () => {
        stop();
        resolve();
      };
    });
  }

  #end(error: Error, report: boolean): void {
    if (this.#ended) return;
    this.#ended = error;
    this.#pending = [];
    this.#head = 0;
    for (const seal of this.#seals.splice(0)) seal.reject(error);
    this.#wake?.();
    if (report) this.#options.onFatal(error);
  }
}
