/** Who waits for which task of a stage. What is settled, and how, the session knows. */
import type { StageResults, TaskRun } from "../../session/session.js";

/** Called once: when its task is settled (no argument), or with the error that ends the wait. */
export type TaskWaiter = (failure?: Error) => void;

/** Waits for every task of [from, to). */
export interface RangeWaiter extends TaskRun {
  /**
   * Called once: at the first failed task (with its index), when all are settled, or with the error that ends the wait.
   */
  readonly done: (end: { failedTask?: number; failure?: Error }) => void;
  remaining: number;
}

export class StageWaits {
  readonly #tasks = new Map<number, TaskWaiter | Set<TaskWaiter>>();
  /** Most stages have none. */
  #ranges: Set<RangeWaiter> | undefined;

  get awaited(): boolean {
    return this.#tasks.size > 0 || (this.#ranges !== undefined && this.#ranges.size > 0);
  }

  /** `waiter` is called once, never synchronously from here. The task must not be settled yet. */
  whenTask(task: number, waiter: TaskWaiter): void {
    const present = this.#tasks.get(task);
    if (present === undefined) this.#tasks.set(task, waiter);
    else if (typeof present === "function") this.#tasks.set(task, new Set([present, waiter]));
    else present.add(waiter);
  }

  forgetTask(task: number, waiter: TaskWaiter): void {
    const present = this.#tasks.get(task);
    if (present === waiter) this.#tasks.delete(task);
    else if (present instanceof Set && present.delete(waiter) && present.size === 0) this.#tasks.delete(task);
  }

  /**
   * Returns undefined, and waits for nothing, when all of [from, to) are settled. A task that has failed already ends
   * the wait at once.
   */
  whenRange(results: StageResults, from: number, to: number, done: RangeWaiter["done"]): RangeWaiter | undefined {
    const { failedTask, open } = results.standing(from, to);
    if (failedTask !== undefined || open === 0) {
      done(failedTask === undefined ? {} : { failedTask });
      return undefined;
    }
    const waiter: RangeWaiter = { from, to, done, remaining: open };
    this.#ranges ??= new Set();
    this.#ranges.add(waiter);
    return waiter;
  }

  forgetRange(waiter: RangeWaiter): void {
    this.#ranges?.delete(waiter);
  }

  /** Ends every wait with an error; the tasks stay unsettled and may be waited for again. */
  failAll(failure: Error): void {
    const tasks = [...this.#tasks.values()];
    const ranges = [...(this.#ranges ?? [])];
    this.#tasks.clear();
    this.#ranges = undefined;
    for (const waiter of tasks) {
      if (typeof waiter === "function") waiter(failure);
      else for (const one of waiter) one(failure);
    }
    for (const waiter of ranges) waiter.done({ failure });
  }

  /** These tasks have been settled. */
  notify(from: number, to: number, failed: boolean): void {
    if (this.#tasks.size > 0) {
      // Walks the shorter of the two: the tasks that settled, or those that are waited for.
      if (to - from <= this.#tasks.size) for (let task = from; task < to; task++) this.#wake(task);
      else for (const task of [...this.#tasks.keys()]) if (task >= from && task < to) this.#wake(task);
    }
    if (!this.#ranges) return;
    for (const waiter of this.#ranges) {
      const first = Math.max(from, waiter.from);
      const overlap = Math.min(to, waiter.to) - first;
      if (overlap <= 0) continue;
      waiter.remaining -= overlap;
      if (!failed && waiter.remaining > 0) continue;
      this.#ranges.delete(waiter);
      waiter.done(failed ? { failedTask: first } : {});
    }
  }

  #wake(task: number): void {
    const waiter = this.#tasks.get(task);
    if (waiter === undefined) return;
    this.#tasks.delete(task);
    if (typeof waiter === "function") waiter();
    else for (const one of waiter) one();
  }
}
