/**
 * What cannot fit into any worker's store is refused, at once and with the figures; what fits into some goes to those.
 */

import { failTasks } from "./progress.js";
import { isDraining } from "./standing.js";
import type { Context, StageRecord, State } from "./state.js";

/** Of the workers that take work; 0 without any. */
export function largestStoreBytes(state: State): number {
  let largest = 0;
  for (const worker of state.workers.values())
    if (!isDraining(worker)) largest = Math.max(largest, worker.storeBudgetBytes);
  return largest;
}

/**
 * Tasks [from, to) of the stage need so much of a store at once. True: there is a worker that has it, and the stage
 * goes to no other from now on.
 */
export function needRoom(
  ctx: Context,
  stage: StageRecord,
  neededBytes: number,
  from: number,
  to: number,
  what: string,
): boolean {
  const storeBytes = largestStoreBytes(ctx.state);
  if (neededBytes <= storeBytes) {
    stage.roomBytes = Math.max(stage.roomBytes, neededBytes);
    return true;
  }
  failTasks(ctx, stage, from, to, {
    code: "OUT_OF_MEMORY",
    message: `stage ${stage.index}${stage.spec.name ? ` (${stage.spec.name})` : ""}: ${what} ${neededBytes} bytes of a worker's object store at once, the largest has ${storeBytes}; give workers more (VOLLEY_STORE_BYTES), or split the data`,
    details: { neededBytes, storeBytes },
  });
  return false;
}
