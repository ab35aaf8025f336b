/**
 * What survives every process: the journal with its fence, snapshots, and durable objects. Appends take time to arrive and to be confirmed;
 * a process that dies in between never learns whether its entry is there.
 *
 * Everything that lands is entered into an index of facts, which the oracles ask: what is durable is decided here and nowhere else.
 */

import { Packr } from "msgpackr";
import { encodeMessage } from "../../proto/codec.js";
import { digestOf, equalBytes } from "../../proto/digest.js";
import { objectBlobName } from "../../proto/durable/objects.js";
import type { JobId, ObjectId } from "../../proto/ids.js";
import type { JournalRecord } from "../core/events.js";
import type { Clock } from "./clock.js";
import { Violation } from "./job-model.js";
import type { Random } from "./random.js";

const packr = new Packr({ useRecords: false });

/** Plain data as it would lie on a disk, and back. */
export const packPlain = (data: unknown): Uint8Array => packr.pack(data);
export const unpackPlain = (data: Uint8Array): unknown => packr.unpack(data);

export interface StoredValue {
  readonly kind: number;
  readonly data: Uint8Array;
}

interface JobFacts {
  ended: string | undefined;
  digest: string | undefined;
  cancelled: boolean;
  /** By stage, when the commits of its tasks landed. */
  readonly commits: Map<number, Map<number, number>>;
}

export class Disk {
  readonly entries: Uint8Array[] = [];
  readonly snapshots: { readonly seq: number; readonly data: Uint8Array }[] = [];
  /** By the names of proto/durable/objects.ts. */
  readonly #blobs = new Map<string, StoredValue>();
  /** Blobs of results. */
  readonly results = new Map<string, Uint8Array>();
  readonly facts = new Map<JobId, JobFacts>();
  /** Violations found by the index when an entry lands, in the middle of somebody's callback. */
  readonly faults: Violation[] = [];
  /** Off only for a planted bug. */
  fenced = true;
  delayMs = 1;
  #epoch = 0;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** A name is written once, as in the real store. */
  keepObject(id: ObjectId, value: StoredValue): void {
    const name = objectBlobName(id, digestOf(value.kind, value.data));
    const known = this.#blobs.get(name);
    if (known && !equalBytes(known.data, value.data)) throw new Violation("values", `blob ${name} is written with other bytes than it has`);
    if (!known) this.#blobs.set(name, value);
  }

  object(id: ObjectId, digest: Uint8Array): StoredValue | undefined {
    return this.#blobs.get(objectBlobName(id, digest));
  }

  read(seq: number): JournalRecord[] {
    return packr.unpack(this.entries[seq] as Uint8Array) as JournalRecord[];
  }

  /** `reachable`: asked when the entry would arrive; false delays it. `onDone` says whether it landed (false: FENCED). */
  append(records: readonly JournalRecord[], expectedLastSeq: number, reachable: () => boolean, onDone: (landed: boolean) => void): void {
    const data = encodeMessage(records);
    const arrive = (): void => {
      if (!reachable()) {
        this.#clock.after(100, arrive);
        return;
      }
      const landed = !this.fenced || this.entries.length === expectedLastSeq;
      if (landed) this.#land(data);
      this.#clock.after(this.#random.delay(this.delayMs), () => onDone(landed));
    };
    this.#clock.after(this.#random.delay(this.delayMs), arrive);
  }

  #land(data: Uint8Array): void {
    this.entries.push(data);
    for (const record of this.read(this.entries.length - 1)) {
      try {
        this.#note(record);
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        this.faults.push(error);
      }
    }
  }

  factsOf(job: JobId): JobFacts {
    const facts = this.facts.get(job);
    if (!facts) throw new Violation("I6", `job ${job} is not in the journal`);
    return facts;
  }

  /** undefined: it is not. */
  committedAtMs(job: JobId, stage: number, task: number): number | undefined {
    return this.facts.get(job)?.commits.get(stage)?.get(task);
  }

  #note(record: JournalRecord): void {
    switch (record.k) {
      case "epoch":
        if (record.epoch <= this.#epoch) throw new Violation("epochs", `epoch ${record.epoch} was written after epoch ${this.#epoch}`);
        this.#epoch = record.epoch;
        return;
      case "submit":
        if (this.facts.has(record.job)) throw new Violation("I1", `job ${record.job} was submitted twice`);
        this.facts.set(record.job, { ended: undefined, digest: undefined, cancelled: false, commits: new Map() });
        return;
      case "commit": {
        const facts = this.factsOf(record.job);
        const { stage, from, to } = record.segment;
        const commits = facts.commits.get(stage) ?? new Map<number, number>();
        facts.commits.set(stage, commits);
        for (let task = from; task < to; task++) {
          if (commits.has(task)) throw new Violation("I1", `task ${task} of stage ${stage} of ${record.job} was committed twice`);
          if (facts.ended !== undefined) throw new Violation("I1", `task ${task} of stage ${stage} of ${record.job} was committed after the job's end`);
          commits.set(task, this.#clock.nowMs);
        }
        return;
      }
      case "cancel":
        this.factsOf(record.job).cancelled = true;
        return;
      case "end": {
        const facts = this.factsOf(record.job);
        if (facts.ended !== undefined) throw new Violation("I1", `job ${record.job} ended twice: ${facts.ended}, then ${record.state}`);
        facts.ended = record.state;
        return;
      }
      case "digest":
        this.factsOf(record.job).digest = record.digest;
        return;
      default:
        return;
    }
  }
}
