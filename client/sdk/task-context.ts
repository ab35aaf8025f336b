/**
 * What a function may know of the task it runs as. The worker thread sets it; this is the face that user code imports.
 */
import { VolleyError } from "../../proto/errors.js";
import type { JobId } from "../../proto/ids.js";

/** Where a worker thread keeps the modules it shares with bundles, by package name: `globalThis[Symbol.for(key)]`. */
export const sharedModulesKey = "volley.shared";

export interface TaskContext {
  readonly job: JobId;
  readonly stage: number;
  /** Index inside the stage. */
  readonly task: number;
  readonly attempt: number;
  /**
   * The task's draw from the seed of its function (TaskOptions.seed), the same in every attempt; absent without a seed.
   */
  readonly seed?: number | bigint;
}

/** Throws INVALID_ARGUMENT outside a task. */
export function taskContext(): TaskContext {
  const shared = (globalThis as Record<symbol, unknown>)[Symbol.for(sharedModulesKey)] as
    | { volley?: { taskContext?: () => TaskContext } }
    | undefined;
  const inside = shared?.volley?.taskContext;
  if (!inside)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      "taskContext() was called outside a task; only functions that run on the cluster have one",
    );
  return inside();
}
