/**
 * What survives every process, as JetStream keeps it: the journal with its fence, and buckets of blobs. Everything
 * takes time to arrive and to be confirmed; a process that dies in between never learns whether its entry is there.
 * Requests wait while their way is interrupted, and are given up after a minute, as proto/durable/retry.ts does.
 */
import { digestOf, equalBytes } from "../proto/digest.js";
import {
  type BlobStore,
  checkBlob,
  conflict,
  type Durable,
  inOnePiece,
  type Journal,
} from "../proto/durable/durable.js";
import { objectBlobName } from "../proto/durable/objects.js";
import { deadlineMs } from "../proto/durable/retry.js";
import { fenced } from "../proto/durable/testing/model.js";
import { VolleyError } from "../proto/errors.js";
import type { JobId, ObjectId } from "../proto/ids.js";
import type { Clock } from "./clock.js";
import { Violation } from "./job-model.js";
import { JournalFacts } from "./journal-facts.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";

/** After so long an append without an answer is given up. */
const silentMs = 5_000;
const lookAgainMs = 100;

export interface StoredValue {
  readonly kind: number;
  readonly data: Uint8Array;
}

export interface Entry {
  readonly seq: number;
  readonly data: Uint8Array;
}

type Bucket = Map<string, Uint8Array>;

/** Whose request it is, and whether it gets through now. */
interface Caller {
  readonly process: Process;
  isCut(): boolean;
}

const outOfReach = (what: string): VolleyError =>
  new VolleyError("DISCONNECTED", `${what} did not succeed; whether it happened is not known`);

export class Disk {
  /** All that ever landed, also what was cut off since: the judges replay it from its beginning. */
  readonly entries: Entry[] = [];
  readonly facts: JournalFacts;
  /** Violations found when an entry lands, in the middle of somebody's callback. */
  readonly faults: Violation[] = [];
  /** Chances that an append is refused (the disk is full, say), and that it lands but its answer does not come. */
  refusal = 0;
  silence = 0;
  /** Chance that a blob's being written or deleted fails; it may have happened all the same. */
  blobRefusal = 0;
  delayMs = 1;
  #cutTo = 0;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #objects: Bucket = new Map();
  readonly #bundles: Bucket = new Map();
  readonly #snapshots: Bucket = new Map();
  readonly #results: Bucket = new Map();
  readonly #scratch: Bucket = new Map();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.facts = new JournalFacts(clock);
  }

  /** The stores as one process sees them. */
  open(caller: Caller): Durable {
    const blobs = (name: string, bucket: Bucket): BlobStore => this.#blobs(caller, name, bucket);
    return {
      journal: this.#journal(caller),
      bundles: blobs("bundles", this.#bundles),
      objects: blobs("objects", this.#objects),
      snapshots: blobs("snapshots", this.#snapshots),
      results: blobs("results", this.#results),
      scratch: blobs("scratch", this.#scratch),
    };
  }

  /** A name is written once, as in the real store. */
  keepObject(id: ObjectId, value: StoredValue): void {
    const name = objectBlobName(id, digestOf(value.kind, value.data));
    const known = this.#objects.get(name);
    if (known && !equalBytes(known, value.data))
      throw new Violation("values", `blob ${name} is written with other bytes than it has`);
    if (!known) this.#objects.set(name, value.data);
  }

  /** Values of the model's functions are all of one kind. */
  object(id: ObjectId, digest: Uint8Array): StoredValue | undefined {
    const data = this.#objects.get(objectBlobName(id, digest));
    return data && { kind: 3, data };
  }

  committedAtMs(job: JobId, stage: number, task: number): number | undefined {
    return this.facts.committedAtMs(job, stage, task);
  }

  /** There and back; `effect` happens in between. `late`: the answer does not come, and is given up. */
  #ask<T>(caller: Caller, what: string, effect: () => T, late: () => boolean = () => false): Promise<T> {
    const { process } = caller;
    const sinceMs = this.#clock.nowMs;
    return new Promise((resolve, reject) => {
      const answer = (afterMs: number, settle: () => void): void =>
        this.#clock.after(afterMs, () => process.receive(settle));
      const arrive = (): void => {
        if (caller.isCut()) {
          if (process.dead) return;
          if (this.#clock.nowMs - sinceMs > deadlineMs) process.receive(() => reject(outOfReach(what)));
          else this.#clock.after(lookAgainMs, arrive);
          return;
        }
        let settle: () => void;
        try {
          const value = effect();
          settle = () => resolve(value);
        } catch (error) {
          settle = () => reject(error as Error);
        }
        if (late()) answer(silentMs, () => reject(outOfReach(what)));
        else answer(this.#random.delay(this.delayMs), settle);
      };
      this.#clock.after(this.#random.delay(this.delayMs), arrive);
    });
  }

  // ---------------------------------------------------------------------------------------------- journal

  #journal(caller: Caller): Journal {
    const ask = <T>(what: string, effect: () => T): Promise<T> => this.#ask(caller, what, effect);
    return {
      append: (data, expectedLastSeq) => {
        const copy = data.slice();
        return this.#ask(
          caller,
          "an append to the journal",
          () => this.#append(copy, expectedLastSeq),
          () => this.silence > 0 && this.#random.chance(this.silence),
        );
      },
      read: (afterSeq) => this.#read(caller, afterSeq),
      lastSeq: () => ask("asking for the journal's end", () => this.entries.length),
      truncate: (uptoSeq) =>
        ask("cutting the journal", () => {
          this.#cutTo = Math.max(this.#cutTo, uptoSeq);
        }),
    };
  }

  async *#read(caller: Caller, afterSeq: number): AsyncIterable<Entry> {
    const entries = await this.#ask(caller, "reading the journal", () =>
      this.entries.slice(Math.max(afterSeq, this.#cutTo)),
    );
    for (const { seq, data } of entries) yield { seq, data: data.slice() };
  }

  #append(data: Uint8Array, expectedLastSeq: number): number {
    if (this.refusal > 0 && this.#random.chance(this.refusal))
      throw new VolleyError("OUT_OF_MEMORY", "an append to the journal: JetStream has no room left");
    if (this.entries.length !== expectedLastSeq) throw fenced(expectedLastSeq);
    const seq = this.entries.length + 1;
    this.entries.push({ seq, data });
    try {
      this.facts.land(seq, data);
    } catch (error) {
      this.faults.push(error instanceof Violation ? error : new Violation("epochs", String(error)));
    }
    return seq;
  }

  // ---------------------------------------------------------------------------------------------- blobs

  #blobs(caller: Caller, bucket: string, blobs: Bucket): BlobStore {
    const ask = <T>(what: string, effect: () => T): Promise<T> => this.#ask(caller, `${what} in ${bucket}`, effect);
    const change = (what: string, effect: () => void): Promise<void> =>
      ask(what, () => {
        const fails = this.blobRefusal > 0 && this.#random.chance(this.blobRefusal);
        if (!fails || this.#random.chance(0.5)) effect();
        if (fails) throw outOfReach(what);
      });
    return {
      put: async (name, data) => {
        checkBlob(bucket, name, data.byteLength);
        const copy = data.slice();
        await change(`writing ${name}`, () => {
          const known = blobs.get(name);
          if (known && !equalBytes(known, copy)) throw conflict(bucket, name);
          if (!known) blobs.set(name, copy);
        });
      },
      read: (name) =>
        ask(`reading ${name}`, () => {
          const data = blobs.get(name);
          return data && inOnePiece(data.slice());
        }),
      get: (name) => ask(`reading ${name}`, () => blobs.get(name)?.slice()),
      has: (name) => ask(`looking for ${name}`, () => blobs.has(name)),
      delete: (name) =>
        change(`deleting ${name}`, () => {
          blobs.delete(name);
        }),
      names: () => ask("listing", () => [...blobs.keys()]),
      clear: () => change("clearing", () => blobs.clear()),
    };
  }
}
