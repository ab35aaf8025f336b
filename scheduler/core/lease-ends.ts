/** How leases end: everything is accounted for, or given back, or their worker is gone. */
import type { WorkerRequestOf } from "../../proto/messages/worker.js";
import { endLease } from "./places.js";
import { failTasks, requeue } from "./progress.js";
import { infraFailuresMax, retryLater } from "./retries.js";
import { failureRecordOf } from "./stage.js";
import { isDraining } from "./standing.js";
import type { Context, LeaseRecord, WorkerRecord } from "./state.js";
import { revokeAnswered, wasAskedBack } from "./steal.js";

export function finishLease(ctx: Context, lease: LeaseRecord): void {
  ctx.state.stories.addLease("lease ended", lease, 0, 0);
  endLease(ctx.state, lease);
  ctx.out.push({
    c: "observe",
    metric: "lease_seconds",
    value: Math.max(0, ctx.state.nowMs - lease.grantedAtMs) / 1_000,
    tenant: lease.stage.job.tenant,
  });
}

/**
 * The unstarted rest of a lease comes back. Asked for: at once to the queue. Not asked for (the worker could not fetch
 * an input, say): after a pause.
 */
export function onBack(ctx: Context, worker: WorkerRecord, back: WorkerRequestOf<"commits">["back"][number]): void {
  const lease = worker.leases.get(back.lease);
  if (!lease) return;
  const asked = isDraining(worker) || wasAskedBack(lease, back.from);
  revokeAnswered(lease, back.from, back.to);
  for (const range of [...lease.open]) {
    const from = Math.max(range.from, back.from);
    const to = Math.min(range.to, back.to);
    if (from >= to) continue;
    lease.open.delete(from, to);
    const why = asked ? "given back as asked" : `given back: ${back.error?.message ?? "no reason given"}`;
    ctx.state.stories.addLease(why, lease, from, to, true);
    if (asked) {
      requeue(ctx, lease.stage, from, to);
      continue;
    }
    for (let task = from; task < to; task++) {
      const failureRecord = failureRecordOf(lease.stage, task);
      failureRecord.attempts++;
      failureRecord.infraFailures++;
      if (back.error) failureRecord.lastError = back.error;
      if (failureRecord.infraFailures > infraFailuresMax) {
        failTasks(
          ctx,
          lease.stage,
          task,
          task + 1,
          failureRecord.lastError ?? {
            code: "OBJECT_LOST",
            message: `task ${task} of stage ${lease.stage.index} was given back ${failureRecord.infraFailures} times: its inputs could not be fetched`,
          },
        );
      } else retryLater(ctx, lease.stage, task, failureRecord.infraFailures);
    }
  }
  if (back.to >= lease.to) lease.to = Math.max(lease.from, Math.min(lease.to, back.from));
  if (lease.open.isEmpty && ctx.state.leases.has(lease.id)) finishLease(ctx, lease);
}

/** A lease is over although tasks are open: they go back to the queue as further attempts. */
export function closeLease(ctx: Context, lease: LeaseRecord, why: string): void {
  for (const range of [...lease.open]) {
    ctx.state.stories.addLease(why, lease, range.from, range.to, true);
    lease.open.delete(range.from, range.to);
    for (let task = range.from; task < range.to; task++) failureRecordOf(lease.stage, task).attempts++;
    requeue(ctx, lease.stage, range.from, range.to);
  }
  if (ctx.state.leases.has(lease.id)) finishLease(ctx, lease);
}
