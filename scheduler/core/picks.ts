/** What the tasks of one stage take of another one, in any order: found from either side. */
import type { EachRun } from "../../proto/each.js";

/** One argument of this form: where each of its runs comes from; undefined: it is durable, or cannot be away. */
export interface EachInputOf<S, P> {
  readonly of: readonly EachRun[];
  readonly sources: readonly ({ readonly upstream: S; readonly task: number } | { readonly put: P } | undefined)[];
}

/** Tasks [at, at + count) of the reader take tasks from `task` on. */
export interface Pick {
  readonly at: number;
  readonly task: number;
  readonly count: number;
}

/** What a reader takes of one upstream. */
export class Picks {
  readonly #picks: Pick[] = [];
  #sorted = true;
  #longest = 0;

  add(at: number, task: number, count: number): void {
    const last = this.#picks.at(-1);
    if (last && last.task > task) this.#sorted = false;
    this.#picks.push({ at, task, count });
    this.#longest = Math.max(this.#longest, count);
  }

  /** The reader's tasks that take any of the upstream's [from, to). */
  *readersOf(from: number, to: number): IterableIterator<{ from: number; to: number }> {
    if (!this.#sorted) {
      this.#picks.sort((a, b) => a.task - b.task);
      this.#sorted = true;
    }
    // None that begins farther before `from` than the longest is long can reach it.
    let low = 0;
    let high = this.#picks.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.#picks[mid] as Pick).task + this.#longest > from) high = mid;
      else low = mid + 1;
    }
    for (let i = low; i < this.#picks.length; i++) {
      const { at, task, count } = this.#picks[i] as Pick;
      if (task >= to) return;
      const start = Math.max(from, task);
      const end = Math.min(to, task + count);
      if (start < end) yield { from: at + start - task, to: at + end - task };
    }
  }

  /** The upstream's tasks that the reader's [from, to) take. */
  *readBy(from: number, to: number): IterableIterator<{ from: number; to: number }> {
    for (const { at, task, count } of this.#picks) {
      const start = Math.max(from, at);
      const end = Math.min(to, at + count);
      if (start < end) yield { from: task + start - at, to: task + end - at };
    }
  }
}
