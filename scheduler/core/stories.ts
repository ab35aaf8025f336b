/**
 * What happened to tasks, leases and workers last, as lines that name their cause. A line is about a run of tasks, so a
 * map of a million tasks has as many as it has leases, and not as it has tasks.
 *
 * S1 Bytes are bounded: two rings of `linesKept` lines. What went wrong, and what follows of tasks with which something
 * went wrong, has a ring of its own, so that the many that go well do not push it out.
 * S2 Lines hold names and no records: nothing is kept alive by them (I7).
 * S3 Nothing here is durable, or decides anything.
 */
import { type Cause, causeText, fromJournal } from "./cause.js";

export const linesKept = 4_096;

export interface StoryLine {
  /** Of all lines of this process. */
  order: number;
  atMs: number;
  cause: Cause;
  what: string;
  /** "": it is about no job's tasks. */
  job: string;
  stage: number;
  from: number;
  to: number;
  worker: string;
  lease: string;
}

/** What a line is about; what is left out it is not about. */
export type Subject = Partial<Pick<StoryLine, "job" | "stage" | "from" | "to" | "worker" | "lease">>;

class Ring {
  readonly #lines: StoryLine[] = [];
  readonly #kept: number;
  #next = 0;

  constructor(kept: number) {
    this.#kept = kept;
  }

  add(line: StoryLine): void {
    this.#lines[this.#next] = line;
    this.#next = this.#next + 1 === this.#kept ? 0 : this.#next + 1;
  }

  [Symbol.iterator](): IterableIterator<StoryLine> {
    return this.#lines.values();
  }
}

export class Stories {
  /** Why what is noted now happens. */
  cause: Cause = fromJournal;
  nowMs = 0;
  readonly #well: Ring;
  readonly #wrong: Ring;
  #count = 0;

  constructor(kept = linesKept) {
    this.#well = new Ring(kept);
    this.#wrong = new Ring(kept);
  }

  /** `wrong`: something went wrong, or had gone wrong with these tasks before. */
  note(what: string, subject: Subject, wrong = false): void {
    const { job = "", stage = 0, from = 0, to = 0, worker = "", lease = "" } = subject;
    const line: StoryLine = {
      order: this.#count++,
      atMs: this.nowMs,
      cause: this.cause,
      what,
      job,
      stage,
      from,
      to,
      worker,
      lease,
    };
    (wrong ? this.#wrong : this.#well).add(line);
  }

  /** Those of its lines that are kept, oldest first */
  ofTask(job: string, stage: number, task: number): StoryLine[] {
    return this.#select((line) => line.job === job && line.stage === stage && line.from <= task && task < line.to);
  }

  ofLease(lease: string): StoryLine[] {
    return this.#select((line) => line.lease === lease);
  }

  ofWorker(worker: string): StoryLine[] {
    return this.#select((line) => line.worker === worker);
  }

  #select(is: (line: StoryLine) => boolean): StoryLine[] {
    const found: StoryLine[] = [];
    for (const ring of [this.#well, this.#wrong]) for (const line of ring) if (is(line)) found.push(line);
    return found.sort((a, b) => a.order - b.order);
  }
}

/** For people: what, where, by what. */
export function lineText({ what, cause, from, to, worker, lease, job }: StoryLine): string {
  const tasks = job !== "" && to - from > 1 ? `, with tasks ${from} to ${to - 1}` : "";
  const where = [worker === "" ? "" : ` on ${worker}`, lease === "" ? "" : ` (lease ${lease})`].join("");
  return `${what}${where}${tasks} [${causeText(cause)}]`;
}
