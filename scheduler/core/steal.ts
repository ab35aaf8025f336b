/**
 * When nothing is queued and a slot is idle, the unstarted half of the longest lease elsewhere is asked back.
 *
 * T1 For every idle slot at most one lease is being asked, so that a burst of events does not call everything back.
 * T2 Every revocation is answered: by what is given back, or by an empty range when everything has been started; then
 * it is not asked again. T3 An answer that does not come is not waited for: after `patienceMs` other leases are asked
 * instead. It counts all the same when it comes.
 */

import { costUs, leaseFloorUs } from "./dispatch.js";
import { pinOf } from "./engines.js";
import { askBack, giveUpAsking, hasRun, isRunning, markAnswer } from "./lease-phase.js";
import { leasesToRun } from "./places.js";
import { isDraining } from "./standing.js";
import type { Context, LeaseRecord, State } from "./state.js";
import { sendCommand } from "./worker-commands.js";

/** A lease's unstarted rest is worth moving if it is at least this much work. */
const stealFloorUs = 5_000;
/** Long against a heartbeat, at which a revocation is sent again. */
const patienceMs = 3_000;
/** A lease that did not answer is not asked again before. */
const againMs = 10_000;

export function steal(ctx: Context): void {
  const { state } = ctx;
  if (state.queued > 0 || state.leases.size === 0) return;
  const idle = idleSlots(state);
  if (idle === 0) return;
  const mixed = state.engines.size > 1;
  let asked = 0;
  let best: LeaseRecord | undefined;
  let bestUs = stealFloorUs;
  for (const lease of state.leases.values()) {
    if (isAsked(state, lease)) {
      if (++asked >= idle) return;
      continue;
    }
    if (hasRun(lease) || !mayBeAsked(state, lease)) continue;
    if (mixed && idleSlots(state, pinOf(state, lease.stage)) === 0) continue;
    const movable = lease.open.size - (isBehind(lease) ? 0 : 1);
    const us = movable * (costUs(state, lease.stage) ?? leaseFloorUs);
    if (movable > 0 && us > bestUs) {
      best = lease;
      bestUs = us;
    }
  }
  if (!best) return;
  const next = best.open.first()?.from ?? best.from;
  const keepTo = isBehind(best) ? next : Math.min(best.to - 1, next + Math.max(1, Math.ceil((best.to - next) / 2)));
  best.askedFrom = Math.min(keepTo, best.askedFrom);
  askBack(best, state.nowMs);
  state.stories.addLease("asked back", best, keepTo, best.to);
  ctx.out.push({ c: "count", metric: "leases_revoked", by: 1, tenant: best.stage.job.tenant });
  sendRevoke(ctx, best);
}

const mayBeAsked = ({ nowMs }: State, { recall }: LeaseRecord): boolean =>
  recall.r === "none" && nowMs >= recall.notBeforeMs;

/** It waits at its worker for a slot: all of it can be moved. */
const isBehind = (lease: LeaseRecord): boolean => leasesToRun(lease.worker) > lease.worker.slots && !isRunning(lease);

/** Of all workers, or of those of one engine. */
function idleSlots(state: State, engine?: string): number {
  let idle = 0;
  for (const worker of state.workers.values())
    if (!isDraining(worker) && (engine === undefined || worker.family === engine))
      idle += Math.max(0, worker.slots - leasesToRun(worker));
  return idle;
}

/** A revocation is under way. One that has waited too long is given up (T3). */
function isAsked(state: State, lease: LeaseRecord): boolean {
  const { recall } = lease;
  if (recall.r !== "asked") return false;
  if (state.nowMs - recall.sinceMs < patienceMs) return true;
  giveUpAsking(lease, state.nowMs + againMs);
  return false;
}

/** Says again what may have been lost on its way. */
export function repeatRevoke(ctx: Context, lease: LeaseRecord): void {
  if (isAsked(ctx.state, lease)) sendRevoke(ctx, lease);
}

function sendRevoke(ctx: Context, lease: LeaseRecord): void {
  sendCommand(ctx, lease.worker, { o: "revoke", lease: lease.id, keepTo: Math.min(lease.askedFrom, lease.to) });
}

/** The worker has given back [from, to) of the lease; an empty range says that there is nothing to give (T2). */
export function revokeAnswered(lease: LeaseRecord, from: number, to: number): void {
  markAnswer(lease, from >= to);
}

/** Whether the range from `from` on was asked for. */
export const wasAskedBack = (lease: LeaseRecord, from: number): boolean => from >= lease.askedFrom;
