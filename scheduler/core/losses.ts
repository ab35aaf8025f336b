/**
 * Results whose last copy is gone: pure ones are made again; others wait for a holder that is merely silent
 * (silence.ts), or end with an error (I5).
 */
import { type ObjectId, splitObjectId } from "../../proto/ids.js";
import type { StoredResult } from "../../proto/messages/results.js";
import type { StoredObject } from "../../proto/messages/worker.js";
import { sameBytes } from "../../proto/same-bytes.js";
import { addHolder } from "./copies.js";
import { concerned } from "./each.js";
import { readsShelved, revive } from "./lineage.js";
import { isPerTask, setOpen, unmeet } from "./links.js";
import { isDurablyMade } from "./locate.js";
import { admit, commitSegment, failTasks } from "./progress.js";
import { awaitResult, silentHolderOf } from "./silence.js";
import { failureRecordOf } from "./stage.js";
import { type Context, isStageComplete, type StageRecord, setStates, taskState, type WorkerRecord } from "./state.js";

/** Nobody who is heard holds the object any more. */
export function loseObject(ctx: Context, id: ObjectId): void {
  const { state } = ctx;
  const dash = id.lastIndexOf("-");
  const task = Number(id.slice(dash + 1));
  const silent = silentHolderOf(state, id);
  for (const stage of [...state.catalog.made(id.slice(0, dash) as never)]) {
    const segment = stage.results.at(task);
    if (stage.job.kind === "durable" || segment?.r !== "stored" || stage.states.at(task) !== taskState.succeeded)
      continue;
    const stored = segment.stored[task - segment.from] as StoredResult;
    // A session was shown what a durable job has made: that is where it is read from now on.
    if (!stage.spec.options.pure && isDurablyMade(state, id, stored.digest)) continue;
    stage.results.remove(task);
    if (isStageComplete(stage)) setOpen(stage, true);
    setStates(state, stage, task, task + 1, taskState.waiting);
    block(ctx, stage, task);
    if (stage.spec.options.pure) {
      failureRecordOf(stage, task).expected = stored.digest;
      const gone = makeAgain(ctx, stage, task, task + 1);
      if (!gone) {
        ctx.out.push({ c: "count", metric: "objects_lost", by: 1, tenant: stage.job.tenant });
        ctx.out.push({ c: "count", metric: "objects_recomputed", by: 1, tenant: stage.job.tenant });
      } else if (silent) awaitResult(ctx, stage, task, stored, silent);
      else loseResult(ctx, stage, task, id, gone);
    } else if (silent) awaitResult(ctx, stage, task, stored, silent);
    else loseResult(ctx, stage, task, id);
  }
}

/** A worker that was silent tells of a result that is to be made again: it need not be, unless somebody has begun. */
export function findAgain(ctx: Context, worker: WorkerRecord, object: StoredObject): void {
  const { base, index } = splitObjectId(object.id);
  for (const stage of [...ctx.state.catalog.of(base)]) {
    const failureRecord = stage.failureRecords.get(index);
    if (!failureRecord?.expected || failureRecord.claimed || !sameBytes(failureRecord.expected, object.digest))
      continue;
    const state = stage.states.at(index);
    if (state !== taskState.waiting && state !== taskState.queued) continue;
    failureRecord.expected = undefined;
    const { bytes, kind, digest } = object;
    const segment = { r: "stored" as const, stage: stage.index, from: index, to: index + 1 };
    addHolder(ctx.state, object.id, worker.id);
    commitSegment(ctx, stage, { ...segment, stored: [{ bytes, kind, digest }] }, { slotTimeUs: 0, reused: true });
  }
}

/** It cannot be had any more. `gone`: it could have been made again, but for this stage, which has been forgotten. */
export function loseResult(ctx: Context, stage: StageRecord, task: number, id: ObjectId, gone?: StageRecord): void {
  ctx.out.push({ c: "count", metric: "objects_lost", by: 1, tenant: stage.job.tenant });
  failTasks(ctx, stage, task, task + 1, {
    code: "OBJECT_LOST",
    message: gone
      ? `the worker that held ${id} is gone, and it cannot be made again: stage ${gone.index}, which it was made from, has been forgotten`
      : `the worker that held ${id} is gone; its function is not declared pure, so it is not run again`,
  });
}

/**
 * Tasks that wait are queued when their inputs are there; inputs that were given up are made again first, and theirs.
 * Returns the stage that has been forgotten and would be needed; nothing has changed then.
 */
export function makeAgain(ctx: Context, stage: StageRecord, from: number, to: number): StageRecord | undefined {
  if (readsShelved(stage)) {
    const found = revive(ctx.state, stage, from, to);
    if ("gone" in found) return found.gone;
    for (const { stage: upstream, from: start, to: end } of found.revived) {
      ctx.out.push({ c: "count", metric: "objects_recomputed", by: end - start, tenant: upstream.job.tenant });
      admit(ctx, upstream, start, end);
    }
  }
  admit(ctx, stage, from, to);
  return undefined;
}

/** A success was taken back: dependents that have not started wait again. */
function block(ctx: Context, upstream: StageRecord, task: number): void {
  for (const entry of upstream.dependents?.of(task, task + 1) ?? []) {
    if (!isPerTask(entry) && !unmeet(upstream, entry)) continue;
    for (const { from, to } of concerned(entry, task, task + 1)) waitAgain(ctx, entry.stage, from, to);
  }
}

/** Tasks that were queued wait: an input has gone. */
export function waitAgain(ctx: Context, stage: StageRecord, from: number, to: number): void {
  for (const range of [...stage.queue]) {
    const low = Math.max(range.from, from);
    const high = Math.min(range.to, to);
    if (low < high) setStates(ctx.state, stage, low, high, taskState.waiting);
  }
}
