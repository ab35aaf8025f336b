/**
 * The results of one stage as they arrive: runs of tasks that share one pack. Owns order and duplicates (the first
 * result of a task wins, I1). Who waits for which task is the driver's business. A run costs one object for any number
 * of tasks, so a map of a million has no object per task here.
 */
import type { WireError } from "../proto/errors.js";
import type { ResultSegment, StoredResult } from "../proto/messages/results.js";
import type { EncodedValue } from "../proto/values/kind.js";
import { notPlain, PackReader } from "../proto/values/pack.js";

export type Outcome =
  | { readonly o: "inline"; readonly value: EncodedValue }
  | { readonly o: "stored"; readonly stored: StoredResult }
  | { readonly o: "failed"; readonly error: WireError };

export interface TaskRun {
  readonly from: number;
  readonly to: number;
}

interface Run {
  readonly from: number;
  readonly to: number;
  readonly content:
    | { readonly r: "inline"; readonly pack: PackReader }
    | { readonly r: "stored"; readonly stored: readonly StoredResult[] }
    | { readonly r: "failed"; readonly error: WireError };
  /** Task `from` is item `offset` of the content. */
  readonly offset: number;
}

/** What one stored result takes in a message, about. */
const storedBytes = 64;

export class StageResults {
  /** Known when the stage has stopped growing; until then nothing arrives. */
  #count: number | undefined;
  readonly #runs: Run[] = [];
  #settled = 0;

  constructor(count?: number) {
    this.#count = count;
  }

  setCount(count: number): void {
    this.#count = count;
  }

  get complete(): boolean {
    return this.#settled === this.#count;
  }

  get settled(): number {
    return this.#settled;
  }

  isSettled(task: number): boolean {
    const run = this.#runs[this.#find(task)];
    return run !== undefined && run.from <= task;
  }

  /** The runs of tasks of [from, to) that are not settled. */
  *open(from: number, to: number): IterableIterator<TaskRun> {
    let at = from;
    for (let i = this.#find(from); at < to; i++) {
      const run = this.#runs[i];
      const end = run ? Math.min(run.from, to) : to;
      if (end > at) yield { from: at, to: end };
      if (!run) return;
      at = Math.max(at, run.to);
    }
  }

  /** Of the tasks [from, to): the first that has failed, and how many are not settled. */
  standing(from: number, to: number): { readonly failedTask: number | undefined; readonly open: number } {
    let open = to - from;
    for (let at = this.#find(from); at < this.#runs.length; at++) {
      const run = this.#runs[at] as Run;
      if (run.from >= to) break;
      if (run.content.r === "failed") return { failedTask: Math.max(run.from, from), open };
      open -= Math.min(run.to, to) - Math.max(run.from, from);
    }
    return { failedTask: undefined, open };
  }

  /** The runs of tasks that have a value. */
  *successes(): IterableIterator<TaskRun> {
    for (const { from, to, content } of this.#runs) if (content.r !== "failed") yield { from, to };
  }

  get hasStored(): boolean {
    return this.#runs.some((run) => run.content.r === "stored");
  }

  /** What is settled, as segments of the stage, none much larger than `bytesMax` unless one result is. */
  *segments(stage: number, bytesMax: number): IterableIterator<ResultSegment> {
    for (const { from, to, content, offset } of this.#runs) {
      if (content.r === "failed") {
        yield { r: "failed", stage, from, to, error: content.error };
        continue;
      }
      for (let at = from; at < to; ) {
        const first = at - from + offset;
        let bytes = 0;
        let end = at;
        do {
          bytes += content.r === "inline" ? 8 + content.pack.at(end - from + offset).data.byteLength : storedBytes;
          end++;
        } while (end < to && bytes < bytesMax);
        const last = end - from + offset;
        if (content.r === "inline")
          yield { r: "inline", stage, from: at, to: end, pack: content.pack.slice(first, last) };
        else yield { r: "stored", stage, from: at, to: end, stored: content.stored.slice(first, last) };
        at = end;
      }
    }
  }

  /**
   * What {@link outcome} would be for as long as tasks share a run, value by value: for each task of [from, to), which
   * are settled, that is undefined or a number `plain` is called, for all others `other`.
   */
  each(
    from: number,
    to: number,
    plain: (task: number, value: number | undefined) => void,
    other: (task: number) => void,
  ): void {
    for (let task = from, at = this.#find(from); task < to; at++) {
      const run = this.#runs[at];
      if (!run || run.from > task) throw new RangeError(`task ${task} is not settled`);
      const { content, offset } = run;
      const end = Math.min(run.to, to);
      for (; task < end; task++) {
        const value = content.r === "inline" ? content.pack.plain(task - run.from + offset) : notPlain;
        if (value === notPlain) other(task);
        else plain(task, value);
      }
    }
  }

  outcome(task: number): Outcome | undefined {
    const run = this.#runs[this.#find(task)];
    if (!run || run.from > task) return undefined;
    const { content } = run;
    const item = task - run.from + run.offset;
    if (content.r === "inline") return { o: "inline", value: content.pack.at(item) };
    if (content.r === "stored") return { o: "stored", stored: content.stored[item] as StoredResult };
    return { o: "failed", error: content.error };
  }

  /** Takes a segment; tasks that are settled already keep what they have. Returns the runs that are news. */
  accept(segment: ResultSegment): readonly TaskRun[] {
    const content =
      segment.r === "inline"
        ? { r: segment.r, pack: new PackReader(segment.pack) }
        : segment.r === "stored"
          ? { r: segment.r, stored: segment.stored }
          : { r: segment.r, error: segment.error };
    const items =
      content.r === "inline"
        ? content.pack.count
        : content.r === "stored"
          ? content.stored.length
          : segment.to - segment.from;
    const to = Math.min(segment.to, this.#count ?? 0);
    if (items !== segment.to - segment.from)
      throw new RangeError(`a segment of tasks [${segment.from}, ${segment.to}) has ${items} results`);
    const fresh: TaskRun[] = [];
    let at = this.#find(segment.from);
    let from = segment.from;
    while (from < to) {
      const next = this.#runs[at];
      const gapEnd = next ? Math.min(next.from, to) : to;
      if (gapEnd > from) {
        this.#runs.splice(at++, 0, { from, to: gapEnd, content, offset: from - segment.from });
        this.#settled += gapEnd - from;
        fresh.push({ from, to: gapEnd });
      }
      if (!next) break;
      from = Math.max(from, next.to);
      at++;
    }
    return fresh;
  }

  /** Position of the first run that ends after `task`. */
  #find(task: number): number {
    const runs = this.#runs;
    let low = 0;
    let high = runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((runs[middle] as Run).to > task) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
