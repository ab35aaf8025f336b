/**
 * What a running task may ask about itself, and the global through which bundles reach the worker's own apache-arrow
 * and `volley` (a bundle that brought its own copy of apache-arrow would make tables that ours does not recognise).
 */
import { AsyncLocalStorage } from "node:async_hooks";
import * as arrow from "apache-arrow";
import { errorCatalogue, isVolleyError, VolleyError } from "../../proto/errors.js";
import type { JobId } from "../../proto/ids.js";
import { valueKind } from "../../proto/values/kind.js";

export interface TaskContext {
  readonly job: JobId;
  readonly stage: number;
  readonly task: number;
  readonly attempt: number;
  /**
   * Of stages with a seed: the task's own, the same in every attempt and on every worker. A non-negative safe integer.
   */
  readonly seed?: number;
}

/** Follows asynchronous calls, so that what goes wrong later is attributed to the task it came from. */
export const running = new AsyncLocalStorage<TaskContext>();

/** The context of the running task. Throws outside of one. */
export function taskContext(): TaskContext {
  const context = running.getStore();
  if (!context) throw new VolleyError("INVALID_ARGUMENT", "taskContext() was called outside of a task");
  return context;
}

const golden = 0x9e37_79b9_7f4a_7c15n;
const mask = 0xffff_ffff_ffff_ffffn;

/** Number `place` of the sequence that SplitMix64 makes of the seed, its upper 53 bits. */
export function taskSeed(seed: number, place: number): number {
  let z = (BigInt(seed) + golden * BigInt(place + 1)) & mask;
  z = ((z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & mask;
  z = ((z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn) & mask;
  return Number((z ^ (z >> 31n)) >> 11n);
}

/** What the program's side of the package exports, and a task has no use for. */
const outsideOnly = (name: string) => (): never => {
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `${name}() was called inside a task: tasks do not submit work; return what the next task needs, and submit that from the program`,
  );
};

/**
 * `import … from "volley"` inside a task: every name that the program's side exports, so that none is missing without a
 * word.
 */
export const volleyInTasks = Object.freeze({
  taskContext,
  VolleyError,
  isVolleyError,
  errorCatalogue,
  valueKind,
  ...Object.fromEntries(
    ["connect", "bootstrapGraph", "cpcvGraph", "overfittingGraph", "walkForwardGraph"].map((name) => [
      name,
      outsideOnly(name),
    ]),
  ),
});

export function installSharedModules(): void {
  const part = (path: string): Promise<unknown> =>
    import(/^apache-arrow\/[\w./-]+$/.test(path) ? path : "apache-arrow");
  const shared = Object.freeze({ "apache-arrow": arrow, part, volley: volleyInTasks });
  Object.defineProperty(globalThis, Symbol.for("volley.shared"), {
    value: shared,
    configurable: false,
    writable: false,
  });
}
