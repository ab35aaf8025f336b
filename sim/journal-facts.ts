/**
 * What the journal says: an index of the entries that landed, which the judges ask. What is durable is decided here and
 * nowhere else.
 */
import type { JobId } from "../proto/ids.js";
import type { StageSpec } from "../proto/messages/stage.js";
import type { JournalRecord } from "../scheduler/core/events.js";
import { EntryReader } from "../scheduler/shell/journal-format.js";
import type { Clock } from "./clock.js";
import { Violation } from "./job-model.js";

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

const retriesOf = (facts: JobFacts, stage: number): number =>
  facts.stages.find(({ index }) => index === stage)?.options.retries ?? 0;

export class JournalFacts {
  readonly jobs = new Map<JobId, JobFacts>();
  /** By epoch of their author: records that landed. */
  readonly records = new Map<number, number>();
  /** A job was forgotten. */
  onForget: ((job: JobId) => void) | undefined;
  readonly #reader = new EntryReader();
  readonly #clock: Clock;
  #epoch = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The highest epoch that was written. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Throws a Violation. */
  land(seq: number, data: Uint8Array): void {
    const records = this.#reader.read(seq, data);
    const { epoch } = this.#reader;
    this.records.set(epoch, (this.records.get(epoch) ?? 0) + records.length);
    for (const record of records) this.#note(record);
  }

  factsOf(job: JobId): JobFacts {
    const facts = this.jobs.get(job);
    if (!facts) throw new Violation("I6", `job ${job} is not in the journal`);
    return facts;
  }

  /** undefined: it is not. */
  committedAtMs(job: JobId, stage: number, task: number): number | undefined {
    return this.jobs.get(job)?.commits.get(stage)?.get(task);
  }

  #markFailure(job: JobId, stage: number, task: number): void {
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
        if (this.jobs.has(record.job)) throw new Violation("I1", `job ${record.job} was submitted twice`);
        this.jobs.set(record.job, {
          ended: undefined,
          digest: undefined,
          cancelled: false,
          commits: new Map(),
          stages: record.stages,
          failures: new Map(),
        });
        return;
      case "retry":
        this.#markFailure(record.job, record.stage, record.task);
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
        this.jobs.delete(record.job);
        this.onForget?.(record.job);
        return;
      }
      default:
        return;
    }
  }
}
