/**
 * What follows from results: commits and failures, and what they set free or take down (losses: losses.ts). Live steps
 * only; durable facts go through `write`.
 *
 * A failure of a durable job's task ends the job (its other tasks are cancelled); in a session it takes down what
 * depends on it and nothing else.
 */

import type { WireError } from "../../proto/errors.js";
import { type ObjectId, objectIdOf, type WorkerId } from "../../proto/ids.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { JobState } from "../../proto/messages/status.js";
import { addHolder } from "./copies.js";
import { concerned, isThere } from "./each.js";
import { engineToRecord, markStray } from "./engines.js";
import type { ChunkSegment, HeldSegment } from "./events.js";
import { drop, letGo, shelve, useOf } from "./lineage.js";
import { isPerTask, meet, setOpen } from "./links.js";
import { isBaseKnown } from "./locate.js";
import { considerOffload } from "./offload.js";
import { endLease } from "./places.js";
import { write } from "./records.js";
import {
  type Context,
  type Dependent,
  isStageComplete,
  isTerminal,
  type JobRecord,
  type StageRecord,
  type State,
  setStates,
  type TaskState,
  tallyOf,
  taskState,
} from "./state.js";
import { Turns } from "./turns.js";
import { sendEnd } from "./watches.js";
import { sendCommand } from "./worker-commands.js";

// ------------------------------------------------------------------------------------------------ queueing

function listReady(state: State, stage: StageRecord): void {
  if (stage.listed || stage.queue.isEmpty) return;
  stage.listed = true;
  stage.queuedAtMs = state.nowMs;
  const { priority } = stage.spec.options;
  let list = state.ready.get(priority);
  if (!list) {
    list = new Turns();
    state.ready.set(priority, list);
  }
  list.push(stage);
}

/** Queues those tasks of [from, to) that wait and whose inputs are all there. */
export function admit(ctx: Context, stage: StageRecord, from: number, to: number): void {
  if (stage.blockers > 0 || stage.missing > 0 || stage.held || stage.job.state !== "running") return;
  const { perTask, each } = stage;
  for (let i = from; i < to; ) {
    if (stage.states.at(i) !== taskState.waiting) {
      i = stage.states.runEnd(i, to);
      continue;
    }
    // The narrowest first: no run is walked farther than the tasks that are decided together.
    let end = to;
    let ready = true;
    for (const input of each) {
      const found = isThere(input, i, end);
      ready &&= found.there;
      end = found.end;
    }
    for (const { upstream } of perTask) {
      ready &&= upstream.states.at(i) === taskState.succeeded;
      end = upstream.states.runEnd(i, end);
    }
    end = stage.states.runEnd(i, end);
    if (ready) setStates(ctx.state, stage, i, end, taskState.queued);
    i = end;
  }
  listReady(ctx.state, stage);
}

/**
 * Tasks whose lease or timer ended without a result go back to the queue, or wait if an input has been lost meanwhile.
 */
export function requeue(ctx: Context, stage: StageRecord, from: number, to: number): void {
  setStates(ctx.state, stage, from, to, taskState.waiting);
  admit(ctx, stage, from, to);
}

// ------------------------------------------------------------------------------------------------ leases

/**
 * Before tasks of [from, to) are closed from outside their leases: stops those leases and puts their other tasks back.
 */
function revokeLeases(ctx: Context, stage: StageRecord, from: number, to: number): void {
  for (const lease of [...stage.leases]) {
    if (lease.from >= to || lease.to <= from) continue;
    const before = lease.open.size;
    lease.open.delete(from, to);
    if (lease.open.size === before) continue;
    sendCommand(ctx, lease.worker, { o: "cancel", lease: lease.id });
    for (const range of [...lease.open]) {
      lease.open.delete(range.from, range.to);
      requeue(ctx, stage, range.from, range.to);
    }
    ctx.state.stories.addLease("lease cancelled", lease, 0, 0);
    endLease(ctx.state, lease);
  }
}

// ------------------------------------------------------------------------------------------------ results

export function emit(ctx: Context, stage: StageRecord, segment: HeldSegment): void {
  const { job } = stage;
  // What it says itself the client need not hear, and what is made again of a stage whose refs are gone is nobody's to
  // hear.
  if (job.kind !== "session" || stage.held || stage.released) return;
  stage.sentAtMs = ctx.state.nowMs;
  const { client, id: session } = job;
  if (segment.r === "chunk")
    ctx.out.push({ c: "deferred", what: { d: "update", client, session, chunk: segment }, gated: false });
  else ctx.out.push({ c: "update", client, session, segment });
}

/**
 * A valid commit: the tasks of the segment succeed. The caller has checked that they are open in a live lease, or that
 * they are reused.
 */
export function commitSegment(
  ctx: Context,
  stage: StageRecord,
  segment: Exclude<HeldSegment, { r: "failed" }>,
  from: { worker?: WorkerId; slotTimeUs: number; reused: boolean },
): void {
  const { job } = stage;
  const { worker, slotTimeUs, reused } = from;
  const engine =
    stage.engine === undefined || worker === undefined
      ? undefined
      : engineToRecord(stage, ctx.state.workers.get(worker));
  const origin = { ...(worker ? { worker } : {}), ...(engine === undefined ? {} : { engine }) };
  if (engine !== undefined) markStray(ctx, stage, engine, segment.to - segment.from);
  write(ctx, { k: "commit", job: job.id, segment, slotTimeUs, reused, ...origin }, job.kind === "durable");
  if (segment.r === "stored" && from.worker) {
    for (let i = segment.from; i < segment.to; i++) addHolder(ctx.state, objectIdOf(stage.base, i), from.worker);
  }
  ctx.out.push({
    c: "count",
    metric: from.reused ? "tasks_reused" : "tasks_committed",
    by: segment.to - segment.from,
    tenant: job.tenant,
  });
  emit(ctx, stage, segment);
  if (stage.dependents)
    for (const entry of stage.dependents.of(segment.from, segment.to))
      release(ctx, stage, entry, segment.from, segment.to);
  settleStage(ctx, stage);
}

/** What a success sets free. */
function release(ctx: Context, upstream: StageRecord, entry: Dependent, from: number, to: number): void {
  const { stage } = entry;
  if (isPerTask(entry)) {
    for (const range of concerned(entry, from, to)) admit(ctx, stage, range.from, range.to);
    return;
  }
  if (meet(upstream, entry) && stage.blockers === 0) admit(ctx, stage, 0, stage.spec.count);
}

/**
 * Fails the tasks of [from, to) that have not ended, and in a session all that depends on them. Returns how many of the
 * first there were.
 */
export function failTasks(
  ctx: Context,
  first: StageRecord,
  firstFrom: number,
  firstTo: number,
  firstError: WireError,
): number {
  const work = [{ stage: first, from: firstFrom, to: firstTo, error: firstError }];
  let ended: number | undefined;
  for (let item = work.pop(); item; item = work.pop()) {
    const { stage, from, to, error } = item;
    if (stage.job.state !== "running") continue;
    revokeLeases(ctx, stage, from, to);
    const failed = failRuns(ctx, stage, from, to, error);
    ended ??= failed;
    if (failed === 0) continue;
    if (stage.job.kind === "durable") {
      endJob(ctx, stage.job, "failed", error);
      continue;
    }
    const cause: WireError =
      error.code === "UPSTREAM_FAILED"
        ? error
        : {
            code: "UPSTREAM_FAILED",
            message: `an input failed: task ${from} of stage ${stage.index}${stage.spec.name ? ` (${stage.spec.name})` : ""}: ${error.message}`,
            details: { cause: error.code },
          };
    for (const entry of stage.dependents?.of(from, to) ?? [])
      for (const range of concerned(entry, from, to)) work.push({ stage: entry.stage, ...range, error: cause });
    settleStage(ctx, stage);
  }
  return ended ?? 0;
}

function failRuns(ctx: Context, stage: StageRecord, from: number, to: number, error: WireError): number {
  let failed = 0;
  for (let i = from; i < to; ) {
    const end = stage.states.runEnd(i, to);
    if (isTerminal(stage.states.at(i) as TaskState)) {
      i = end;
      continue;
    }
    const segment: ResultSegment = { r: "failed", stage: stage.index, from: i, to: end, error };
    write(ctx, { k: "commit", job: stage.job.id, segment, slotTimeUs: 0, reused: false }, stage.job.kind === "durable");
    ctx.out.push({ c: "count", metric: "tasks_failed", by: end - i, tenant: stage.job.tenant, label: error.code });
    emit(ctx, stage, segment);
    failed += end - i;
    i = end;
  }
  return failed;
}

export function cancelTasks(ctx: Context, stage: StageRecord, from: number, to: number): number {
  return failTasks(ctx, stage, from, to, { code: "CANCELLED", message: "cancelled by its owner" });
}

// ------------------------------------------------------------------------------------------------ ends

/**
 * After tasks of a stage ended: ends its durable job when it was the last, forgets a session's stage that nobody needs.
 */
export function settleStage(ctx: Context, stage: StageRecord): void {
  const { job } = stage;
  if (job.looseBytes > 0) considerOffload(ctx, job);
  if (job.kind === "durable") {
    if (isStageComplete(stage)) setOpen(stage, false);
    settleJob(ctx, job);
    return;
  }
  if (!isStageComplete(stage)) return;
  for (const upstream of letGo(ctx.state, stage)) forgetIfUnused(ctx, upstream);
  forgetIfUnused(ctx, stage);
}

/** A durable job whose every task has succeeded asks for the digest of its outputs, and ends when it comes. */
export function settleJob(ctx: Context, job: JobRecord): void {
  if (job.kind !== "durable" || job.state !== "running" || job.digest.d !== "none") return;
  if (job.tally[taskState.succeeded] !== job.tasks) return;
  job.digest = { d: "computing" };
  const parts: (Uint8Array | ChunkSegment)[] = [];
  for (const output of job.outputs) {
    for (const segment of job.stages.get(output)?.results ?? []) {
      if (segment.r === "inline" && segment.digests) parts.push(segment.digests);
      if (segment.r === "stored") for (const stored of segment.stored) parts.push(stored.digest);
      if (segment.r === "chunk") parts.push(segment);
    }
  }
  if (parts.some((part) => !(part instanceof Uint8Array)))
    ctx.out.push({ c: "deferred", what: { d: "digest", job: job.id, parts }, gated: false });
  else ctx.out.push({ c: "digest", job: job.id, parts: parts as Uint8Array[] });
}

/** Ends a durable job, or a session. Leases stop; what has not ended is cancelled. */
export function endJob(ctx: Context, job: JobRecord, state: JobState, error?: WireError): void {
  for (const stage of job.stages.values()) {
    revokeLeases(ctx, stage, 0, stage.spec.count);
    const { succeeded, failed, cancelled, shelved } = taskState;
    const open = [succeeded, failed, cancelled, shelved].reduce<number>(
      (left, ended) => left - tallyOf(stage, ended),
      stage.spec.count,
    );
    if (open > 0) ctx.out.push({ c: "count", metric: "tasks_cancelled", by: open, tenant: job.tenant });
  }
  write(
    ctx,
    { k: "end", job: job.id, state, atMs: ctx.state.nowMs, ...(error ? { error } : {}) },
    job.kind === "durable",
  );
  ctx.out.push({
    c: "log",
    level: state === "succeeded" ? "info" : "warn",
    text: `job ${state}`,
    fields: { job: job.id, name: job.name, ...(error ? { code: error.code, error: error.message } : {}) },
  });
  sendEnd(ctx, job);
  if (job.kind === "durable") considerOffload(ctx, job);
}

/**
 * Frees the copies that workers hold of objects of dropped stages, where no other stage has the same base. What is in
 * the durable store stays: deleting it could race with a worker that is about to commit the same object for a new job,
 * and a lost result is worse than a kept one.
 */
export function freeObjects(ctx: Context, ids: Iterable<ObjectId>): void {
  const byWorker = new Map<WorkerId, ObjectId[]>();
  for (const id of ids) {
    if (isBaseKnown(ctx.state, id)) continue;
    for (const worker of ctx.state.holders.get(id) ?? []) {
      const list = byWorker.get(worker);
      if (list) list.push(id);
      else byWorker.set(worker, [id]);
      const record = ctx.state.workers.get(worker);
      record?.objects.delete(id);
      record?.copies.delete(id);
    }
    ctx.state.holders.delete(id);
  }
  for (const [id, list] of byWorker) {
    const worker = ctx.state.workers.get(id);
    if (worker) sendCommand(ctx, worker, { o: "free", ids: list });
  }
}

/**
 * Ids of the stage's objects: those that its results name, and those that workers hold although no result names them
 * (any more).
 */
export function* objectIds(state: State, stage: StageRecord): IterableIterator<ObjectId> {
  const { base, spec } = stage;
  if (state.holders.size > 0 && state.holders.size < spec.count) {
    for (const id of state.holders.keys()) if (id.startsWith(`${base}-`)) yield id;
  } else if (state.holders.size > 0) {
    for (let i = 0; i < spec.count; i++) {
      const id = objectIdOf(base, i);
      if (state.holders.has(id)) yield id;
    }
  }
  for (const segment of stage.results) {
    if (segment.r === "stored") for (let i = segment.from; i < segment.to; i++) yield objectIdOf(stage.base, i);
  }
}

/**
 * A session's stage goes when its client has released it and nothing that reads it is still to come (I7); or is shelved
 * (lineage.ts), if it may be needed.
 */
export function forgetIfUnused(ctx: Context, first: StageRecord): void {
  const { state } = ctx;
  if (useOf(first) === "results") return;
  const work = [first];
  for (let stage = work.pop(); stage; stage = work.pop()) {
    if (stage.job.stages.get(stage.index) !== stage) continue;
    const use = useOf(stage);
    if (use === "results") continue;
    if (use === "none") {
      const ids = new Set(objectIds(state, stage));
      work.push(...drop(state, stage));
      freeObjects(ctx, ids);
      continue;
    }
    if (tallyOf(stage, taskState.succeeded) === 0) continue;
    const ids = new Set(objectIds(state, stage));
    const excess = shelve(state, stage);
    freeObjects(ctx, ids);
    if (excess) work.push(...drop(state, excess));
  }
}
