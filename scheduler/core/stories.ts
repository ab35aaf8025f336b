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

/** Lines are written over in place: nothing is allocated for one once the ring is full. */
class Ring {
  readonly #lines: StoryLine[] = [];
  readonly #kept: number;
  #next = 0;

  constructor(kept: number) {
    this.#kept = kept;
  }

  next(): StoryLine {
    const at = this.#next;
    this.#next = at + 1 === this.#kept ? 0 : at + 1;
    const known = this.#lines[at];
    if (known) return known;
    const line: StoryLine = {
      order: 0,
      atMs: 0,
      cause: fromJournal,
      what: "",
      job: "",
      stage: 0,
      from: 0,
      to: 0,
      worker: "",
      lease: "",
    };
    this.#lines.push(line);
    return line;
  }

  [Symbol.iterator](): IterableIterator<StoryLine> {
    return this.#lines.values();
  }
}

interface Leased {
  readonly id: string;
  readonly attempt: number;
  readonly worker: { readonly id: string };
  readonly stage: { readonly index: number; readonly job: { readonly id: string } };
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

  #line(what: string, wrong: boolean): StoryLine {
    const line = (wrong ? this.#wrong : this.#well).next();
    line.order = this.#count++;
    line.atMs = this.nowMs;
    line.cause = this.cause;
    line.what = what;
    return line;
  }

  /** Of tasks [from, to). `wrong`: something went wrong, or had gone wrong with them before. */
  addTasks(what: string, job: string, stage: number, from: number, to: number, wrong: boolean): void {
    const line = this.#line(what, wrong);
    line.job = job;
    line.stage = stage;
    line.from = from;
    line.to = to;
    line.worker = "";
    line.lease = "";
  }

  /** Of tasks [from, to) of a lease; of none, of the lease itself. */
  addLease(what: string, lease: Leased, from: number, to: number, wrong = lease.attempt > 1): void {
    const line = this.#line(what, wrong);
    line.job = lease.stage.job.id;
    line.stage = lease.stage.index;
    line.from = from;
    line.to = to;
    line.worker = lease.worker.id;
    line.lease = lease.id;
  }

  addWorker(what: string, worker: string, wrong = false): void {
    const line = this.#line(what, wrong);
    line.job = "";
    line.stage = line.from = line.to = 0;
    line.worker = worker;
    line.lease = "";
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
    for (const ring of [this.#well, this.#wrong]) for (const line of ring) if (is(line)) found.push({ ...line });
    return found.sort((a, b) => a.order - b.order);
  }
}

/** For people: what, where, by what. */
export function lineText({ what, cause, from, to, worker, lease, job }: StoryLine): string {
  const tasks = job !== "" && to - from > 1 ? `, with tasks ${from} to ${to - 1}` : "";
  const where = [worker === "" ? "" : ` on ${worker}`, lease === "" ? "" : ` (lease ${lease})`].join("");
  return `${what}${where}${tasks} [${causeText(cause)}]`;
}
