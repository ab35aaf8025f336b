/**
 * The places that a worker has for leases: one a slot, and one more each, so that the next is there when a slot's
 * thread returns. A lease that has run holds none, although its last results are still being stored.
 */
import { hasRun, markReturned } from "./lease-phase.js";
import { removeLease } from "./stage.js";
import type { LeaseRecord, State, WorkerRecord } from "./state.js";

/** Leases that hold a slot of the worker, or wait there for one. */
export const leasesToRun = (worker: WorkerRecord): number => worker.leases.size - worker.leasesRan;

/** Of those at most; only what is of higher priority than what waits goes beyond it. */
export const leasesMax = (worker: WorkerRecord): number => 2 * worker.slots;

export const hasFreeSlot = (worker: WorkerRecord): boolean => leasesToRun(worker) < worker.slots;

/** Its slot is free for others. */
export function markRan(lease: LeaseRecord | undefined): void {
  if (lease && markReturned(lease)) lease.worker.leasesRan++;
}

/** Takes the lease out of the tables. Its open tasks must have been dealt with. */
export function endLease(state: State, lease: LeaseRecord): void {
  state.leases.delete(lease.id);
  lease.worker.leases.delete(lease.id);
  if (hasRun(lease)) lease.worker.leasesRan--;
  removeLease(lease.stage, lease);
}
