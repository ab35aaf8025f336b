/**
 * What survives every process: the journal with its fence, snapshots, and durable objects. Appends take time to arrive
 * and to be confirmed; a process that dies in between never learns whether its entry is there.
 *
 * Everything that lands is entered into an index of facts, which the oracles ask: what is durable is decided here and
 * nowhere else.
 */

import { Packr } from "msgpackr";
import { encodeMessage } from "../proto/codec.js";
import { digestOf, equalBytes } from "../proto/digest.js";
import { objectBlobName } from "../proto/durable/objects.js";
import type { JobId, ObjectId } from "../proto/ids.js";
import type { StageSpec } from "../proto/messages/stage.js";
import type { JournalRecord } from "../scheduler/core/events.js";
import type { Clock } from "./clock.js";
import { Violation } from "./job-model.js";
import type { Random } from "./random.js";

/** After so long an append without an answer is given up. */
const silentMs = 5_000;

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
  readonly stages: readonly StageSpec[];
  /** By `stage/task`: failures that were written down. */
  readonly failures: Map<string, number>;
}

/** failed: nobody knows whether the entry is there. */
export type AppendOutcome = "landed" | "fenced" | "failed";

const retriesOf = (facts: JobFacts, stage: number): number =>
  facts.stages.find(({ index }) => index === stage)?.options.retries ?? 0;

export class Disk {
  readonly entries: Uint8Array[] = [];
  /** By entry, which process wrote it: the nonce of a real entry. */
  readonly authors: string[] = [];
  /** Chances that an append is refused (the disk is full, say), and that it lands but its answer does not come. */
  refusal = 0;
  silence = 0;
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
  /** A job was forgotten. */
  onForget: ((job: JobId) => void) | undefined;
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
    if (known && !equalBytes(known.data, value.data))
      throw new Violation("values", `blob ${name} is written with other bytes than it has`);
    if (!known) this.#blobs.set(name, value);
  }

  object(id: ObjectId, digest: Uint8Array): StoredValue | undefined {
    return this.#blobs.get(objectBlobName(id, digest));
  }

  read(seq: number): JournalRecord[] {
    return packr.unpack(this.entries[seq] as Uint8Array) as JournalRecord[];
  }

  /** `reachable`: asked when the entry would arrive; false delays it. */
  append(
    author: string,
    records: readonly JournalRecord[],
    expectedLastSeq: number,
    reachable: () => boolean,
    onDone: (outcome: AppendOutcome) => void,
  ): void {
    const data = encodeMessage(records);
    const arrive = (): void => {
      if (!reachable()) {
        this.#clock.after(100, arrive);
        return;
      }
      if (this.refusal > 0 && this.#random.chance(this.refusal)) {
        this.#clock.after(this.#random.delay(this.delayMs), () => onDone("failed"));
        return;
      }
      const landed = !this.fenced || this.entries.length === expectedLastSeq;
      if (landed) {
        this.authors.push(author);
        this.#land(data);
      }
      const silent = this.silence > 0 && this.#random.chance(this.silence);
      if (silent) this.#clock.after(silentMs, () => onDone("failed"));
      else this.#clock.after(this.#random.delay(this.delayMs), () => onDone(landed ? "landed" : "fenced"));
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

  #noteFailure(job: JobId, stage: number, task: number): void {
    const facts = this.factsOf(job);
    const failures = (facts.failures.get(`${stage}/${task}`) ?? 0) + 1;
    facts.failures.set(`${stage}/${task}`, failures);
    if (failures > retriesOf(facts, stage))
      throw new Violation(
        "retries",
        `task ${task} of stage ${stage} of ${job} has failed ${failures} times and is to be tried again`,
      );
  }

  #note(record: JournalRecord): void {
    switch (record.k) {
      case "epoch":
        if (record.epoch <= this.#epoch)
          throw new Violation("epochs", `epoch ${record.epoch} was written after epoch ${this.#epoch}`);
        this.#epoch = record.epoch;
        return;
      case "submit":
        if (this.facts.has(record.job)) throw new Violation("I1", `job ${record.job} was submitted twice`);
        this.facts.set(record.job, {
          ended: undefined,
          digest: undefined,
          cancelled: false,
          commits: new Map(),
          stages: record.stages,
          failures: new Map(),
        });
        return;
      case "retry":
        this.#noteFailure(record.job, record.stage, record.task);
        return;
      case "commit": {
        const facts = this.factsOf(record.job);
        const { stage, from, to } = record.segment;
        const commits = facts.commits.get(stage) ?? new Map<number, number>();
        facts.commits.set(stage, commits);
        if (record.segment.r === "failed" && record.segment.error.code === "TASK_FAILED") {
          const failures = facts.failures.get(`${stage}/${from}`) ?? 0;
          const retries = retriesOf(facts, stage);
          if (failures !== retries)
            throw new Violation(
              "retries",
              `task ${from} of stage ${stage} of ${record.job} ends after ${failures} failures that count; it has ${retries} retries`,
            );
        }
        for (let task = from; task < to; task++) {
          if (commits.has(task))
            throw new Violation("I1", `task ${task} of stage ${stage} of ${record.job} was committed twice`);
          if (facts.ended !== undefined)
            throw new Violation(
              "I1",
              `task ${task} of stage ${stage} of ${record.job} was committed after the job's end`,
            );
          commits.set(task, this.#clock.nowMs);
        }
        return;
      }
      case "cancel":
        this.factsOf(record.job).cancelled = true;
        return;
      case "end": {
        const facts = this.factsOf(record.job);
        if (facts.ended !== undefined)
          throw new Violation("I1", `job ${record.job} ended twice: ${facts.ended}, then ${record.state}`);
        facts.ended = record.state;
        return;
      }
      case "digest":
        this.factsOf(record.job).digest = record.digest;
        return;
      case "forget": {
        const { ended } = this.factsOf(record.job);
        if (ended === undefined) throw new Violation("I7", `job ${record.job} is forgotten before its end`);
        this.facts.delete(record.job);
        this.onForget?.(record.job);
        return;
      }
      default:
        return;
    }
  }
}
