/**
 * The state of every task of a stage, in space that follows from how mixed the states are and not from how many tasks
 * there are: a stage whose tasks are all in one state is one number, otherwise each page of tasks is one number or,
 * while its tasks differ, a byte a task. So a request may name ten million tasks without the scheduler growing by ten
 * million bytes, and what is done to whole stages costs a step a page.
 */
import { invariant } from "../../proto/errors.js";
import { type TaskStateName, taskMachine } from "./transitions.js";

/**
 * waiting: an input is missing. queued: may be leased. retrying: waits for its backoff timer. The last four are
 * terminal; shelved: it succeeded, and its result was given up (lineage.ts).
 */
export const taskState = {
  waiting: 0,
  queued: 1,
  leased: 2,
  retrying: 3,
  succeeded: 4,
  failed: 5,
  cancelled: 6,
  shelved: 7,
} as const;
export type TaskState = (typeof taskState)[keyof typeof taskState];
export const isTerminal = (state: number): boolean => state >= taskState.succeeded;

const names = Object.keys(taskState) as TaskStateName[];
export const taskStateName = (state: TaskState): TaskStateName => names[state] as TaskStateName;

/** By 8 * from + to: that the step is in the table. */
const legal = Uint8Array.from({ length: 64 }, (_, at) => {
  const [from, to] = [names[at >> 3], names[at & 7]];
  return from && to && taskMachine.steps[from][to] !== undefined ? 1 : 0;
});

/** Tasks may go from the one state to the other. */
export const isTaskStep = (from: TaskState, to: TaskState): boolean => legal[8 * from + to] === 1;

const pageBits = 14;
const pageTasks = 1 << pageBits;
const pageMask = pageTasks - 1;

/** Tasks of one page that differ. `tally` counts them by state, so that it is known when they no longer do. */
interface MixedPage {
  readonly bytes: Uint8Array;
  readonly tally: number[];
}
type Page = TaskState | MixedPage;

export class TaskStates {
  readonly count: number;
  /** Of all tasks; undefined while they differ, and then there are pages. */
  #all: TaskState | undefined = taskState.waiting;
  #pages: Page[] | undefined;

  constructor(count: number) {
    this.count = count;
  }

  /** Bytes kept for tasks one by one. */
  get mixedBytes(): number {
    return (
      this.#pages?.reduce<number>((sum, page) => sum + (typeof page === "number" ? 0 : page.bytes.byteLength), 0) ?? 0
    );
  }

  /** undefined: there is no such task. */
  at(task: number): TaskState | undefined {
    if (!(task >= 0 && task < this.count)) return undefined;
    if (this.#all !== undefined) return this.#all;
    const page = (this.#pages as Page[])[task >> pageBits] as Page;
    return typeof page === "number" ? page : (page.bytes[task & pageMask] as TaskState);
  }

  /** The end of the run of tasks from `task` on that are in one state; at most `to`. */
  runEnd(task: number, to: number): number {
    if (this.#all !== undefined) return Math.min(to, this.count);
    const state = this.at(task);
    const pages = this.#pages as Page[];
    let end = task;
    while (end < to) {
      const page = pages[end >> pageBits] as Page;
      const pageEnd = Math.min(to, (end | pageMask) + 1);
      if (typeof page === "number") {
        if (page !== state) return end;
        end = pageEnd;
        continue;
      }
      const base = end & ~pageMask;
      const { bytes } = page;
      while (end < pageEnd && bytes[end - base] === state) end++;
      if (end < pageEnd) return end;
    }
    return end;
  }

  /** Puts [from, to), which are all in state `before`, into state `next`. */
  fill(from: number, to: number, before: TaskState, next: TaskState): void {
    if (from === 0 && to === this.count) {
      this.#all = next;
      this.#pages = undefined;
      return;
    }
    const pages = this.#open();
    let uniform = false;
    for (let at = from; at < to; ) {
      const index = at >> pageBits;
      const base = index << pageBits;
      const size = Math.min(pageTasks, this.count - base);
      const end = Math.min(to, base + size);
      pages[index] = filled(pages[index] as Page, at - base, end - base, size, before, next);
      uniform ||= pages[index] === next;
      at = end;
    }
    // Only a page that has just become uniform can have been the last that differed.
    if (uniform && pages.length <= uniformSearchMax && pages.every((page) => page === next)) {
      this.#all = next;
      this.#pages = undefined;
    }
  }

  #open(): Page[] {
    if (this.#all !== undefined) {
      this.#pages = new Array<Page>(Math.ceil(this.count / pageTasks)).fill(this.#all);
      this.#all = undefined;
    }
    return this.#pages as Page[];
  }
}

/**
 * Longer lists of pages are left as they are: a word a page is little, and looking through them again and again is not.
 */
const uniformSearchMax = 64;

function filled(page: Page, from: number, to: number, size: number, before: TaskState, next: TaskState): Page {
  if (to - from === size) return next;
  let mixed: MixedPage;
  if (typeof page === "number") {
    const tally = [0, 0, 0, 0, 0, 0, 0, 0];
    tally[page] = size;
    mixed = { bytes: new Uint8Array(size).fill(page), tally };
  } else mixed = page;
  const { bytes, tally } = mixed;
  bytes.fill(next, from, to);
  tally[before] = (tally[before] as number) - (to - from);
  tally[next] = (tally[next] as number) + (to - from);
  invariant((tally[before] as number) >= 0, `tasks [${from}, ${to}) of a page were not all in state ${before}`);
  return tally[next] === size ? next : mixed;
}
