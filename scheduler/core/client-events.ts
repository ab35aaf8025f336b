/**
 * What clients ask: sessions and their stages, durable jobs, cancels, questions. Every handler is idempotent (M1, M5).
 */

import { leavesOf, objectsRead, stagesRead } from "../../proto/args.js";
import { beginningsOf } from "../../proto/each.js";
import type { WireError } from "../../proto/errors.js";
import type { JobId, ObjectBase, ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientReply, ClientRequestOf } from "../../proto/messages/client.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { isCompatible, PROTOCOL_VERSION } from "../../proto/version.js";
import { concerned } from "./each.js";
import { clusterEngine } from "./engines.js";
import type { PutFacts, ReplyToken } from "./events.js";
import { createSession } from "./job-record.js";
import { countBlockers, setOpen, sourceOf } from "./links.js";
import { received } from "./liveness.js";
import { durableFacts, isReusable } from "./locate.js";
import { makeAgain } from "./losses.js";
import {
  admit,
  cancelTasks,
  commitSegment,
  emit,
  endJob,
  failTasks,
  forgetIfUnused,
  freeObjects,
  objectIds,
  settleJob,
} from "./progress.js";
import { disown, dropPuts, missingOf } from "./puts.js";
import { addStage, dropStage, forgetJob, write } from "./records.js";
import { sliceSegment } from "./segments.js";
import {
  type Context,
  isStageComplete,
  isTerminal,
  type SessionRecord,
  type StageRecord,
  sessionOf,
  type TaskState,
  tallyOf,
  taskState,
} from "./state.js";

/** Distributes Omit over the union of replies. */
type Answer = ClientReply extends infer R ? (R extends { epoch: unknown } ? Omit<R, "epoch"> : never) : never;

export function answer(ctx: Context, to: ReplyToken | undefined, message: Answer, gated = false): void {
  if (to !== undefined)
    ctx.out.push({ c: "reply", to, message: { ...message, epoch: ctx.state.epoch } as ClientReply, gated });
}

export const refuse = (ctx: Context, to: ReplyToken | undefined, error: WireError): void =>
  answer(ctx, to, { t: "error", error });

// ------------------------------------------------------------------------------------------------ sessions

export function onOpen(ctx: Context, request: ClientRequestOf<"open">, reply: ReplyToken | undefined): void {
  const { state } = ctx;
  if (!isCompatible(request.version)) {
    refuse(ctx, reply, {
      code: "VERSION_MISMATCH",
      message: `client ${request.client} speaks protocol ${request.version}, this scheduler ${PROTOCOL_VERSION}`,
    });
    return;
  }
  let session = sessionOf(state, request.session, request.client);
  if (!session && state.jobs.has(request.session)) {
    refuse(ctx, reply, { code: "CONFLICT", message: `session ${request.session} belongs to another client` });
    return;
  }
  if (!session) {
    const before = state.sessions.get(request.client);
    if (before) closeSession(ctx, before);
    const { session: id, tenant, client } = request;
    session = createSession({ id, tenant, client, submittedAtMs: state.nowMs });
    state.jobs.set(id, session);
    state.sessions.set(client, session);
  }
  received(state, session);
  answer(ctx, reply, {
    t: "opened",
    heartbeatIntervalMs: limits.heartbeatIntervalMs,
    engine: clusterEngine(state),
  });
}

export function onStages(ctx: Context, request: ClientRequestOf<"stages">, bases: readonly ObjectBase[]): void {
  const session = sessionOf(ctx.state, request.session, request.client);
  if (!session) return;
  received(ctx.state, session);
  request.stages.forEach((spec, i) => {
    if (session.stages.has(spec.index) || session.forgotten.has(spec.index)) return;
    addSessionStage(ctx, session, spec, bases[i] as ObjectBase);
  });
}

function addSessionStage(ctx: Context, session: SessionRecord, spec: StageSpec, base: ObjectBase): void {
  // A stage whose upstream did not arrive is not taken: the client sends both again.
  for (const index of stagesRead(spec.args)) if (!session.stages.has(index)) return;
  const stage = addStage(ctx.state, session, spec, base);
  ctx.out.push({ c: "count", metric: "tasks_submitted", by: spec.count, tenant: session.tenant });
  startStage(ctx, stage);
}

/** Sets a session's stage going: what others have made is taken, what is ready is queued, what cannot be ends. */
export function startStage(ctx: Context, stage: StageRecord): void {
  const { spec } = stage;
  for (const { id, from, to } of unknownObjects(ctx, spec))
    failTasks(ctx, stage, from, to, {
      code: "OBJECT_NOT_FOUND",
      message: `object ${id} is not known to the cluster: put it again`,
      details: { object: id },
    });
  if (isStageComplete(stage)) return;
  for (const { upstream, entry } of stage.links) {
    if (tallyOf(upstream, taskState.failed) === 0) continue;
    const [low, high] = entry.kind === "task" ? [entry.task, entry.task + 1] : [0, upstream.spec.count];
    for (const failed of [...upstream.results.overlapping(low, high)]) {
      if (failed.r !== "failed") continue;
      for (const { from, to } of concerned(entry, failed.from, failed.to))
        failTasks(ctx, stage, from, to, {
          code: "UPSTREAM_FAILED",
          message: `an input failed: task ${failed.from} of stage ${upstream.index}: ${failed.error.message}`,
          details: { cause: failed.error.code },
        });
    }
  }
  if (spec.options.pure) reuse(ctx, stage);
  const gone = makeAgain(ctx, stage, 0, spec.count);
  if (!gone) return;
  failTasks(ctx, stage, 0, spec.count, {
    code: "OBJECT_LOST",
    message: `what it reads has been given up, and cannot be made again: stage ${gone.index}, which it was made from, has been forgotten`,
  });
}

/** Objects that nobody has, and the tasks that would read them. */
function* unknownObjects(ctx: Context, spec: StageSpec): IterableIterator<{ id: ObjectId; from: number; to: number }> {
  const isKnown = (id: ObjectId): boolean => ctx.state.puts.has(id) || sourceOf(ctx.state, id) !== undefined;
  for (const leaf of leavesOf(spec.args)) {
    if (leaf.a === "each") {
      const starts = beginningsOf(leaf.of);
      for (const [i, id] of leaf.of.entries())
        if (typeof id === "string" && !isKnown(id))
          yield { id, from: starts[i] as number, to: starts[i + 1] as number };
    } else {
      for (const id of objectsRead([leaf])) if (!isKnown(id)) yield { id, from: 0, to: spec.count };
    }
  }
}

/** Takes results that other stages of the same base have: the same content made them. */
function reuse(ctx: Context, stage: StageRecord): void {
  for (const source of ctx.state.catalog.made(stage.base)) {
    if (isStageComplete(stage)) return;
    if (source === stage) continue;
    for (const segment of [...source.results]) {
      if (segment.r === "failed" || !isReusable(ctx.state, source, segment, stage.job.kind === "durable")) continue;
      for (let i = segment.from; i < segment.to; ) {
        const end = stage.states.runEnd(i, segment.to);
        if (!isTerminal(stage.states.at(i) as TaskState)) {
          const part = { ...sliceSegment(segment, i, end), stage: stage.index };
          commitSegment(ctx, stage, part, { slotTimeUs: 0, reused: true });
        }
        i = end;
      }
    }
  }
}

export function onClientHeartbeat(
  ctx: Context,
  request: ClientRequestOf<"heartbeat">,
  reply: ReplyToken | undefined,
): void {
  const { state } = ctx;
  const session = sessionOf(state, request.session, request.client);
  if (!session) {
    answer(ctx, reply, { t: "heartbeat", known: false });
    return;
  }
  received(state, session);
  const { missing, awaited } = session.missing.size > 0 ? missingOf(state, session) : { missing: [], awaited: [] };
  answer(ctx, reply, {
    t: "heartbeat",
    known: true,
    engine: clusterEngine(state),
    ...(missing.length > 0 ? { missing } : {}),
    ...(awaited.length > 0 ? { awaited } : {}),
  });
  if (request.dropped) dropPuts(ctx, session, request.dropped);
  for (const index of request.released) {
    const stage = session.stages.get(index);
    if (!stage) continue;
    stage.released = true;
    forgetIfUnused(ctx, stage);
  }
  const gaps = new Map(request.gaps);
  for (const index of request.waiting) {
    const stage = session.stages.get(index);
    if (stage) resend(ctx, stage, gaps.get(index));
    else unknownStage(ctx, session, index);
  }
}

/** A failed segment of no tasks tells the client that its stage never arrived (or was forgotten): it sends it again. */
function unknownStage(ctx: Context, session: SessionRecord, index: number): void {
  const error: WireError = { code: "SESSION_LOST", message: `stage ${index} is not known to the scheduler` };
  ctx.out.push({
    c: "update",
    client: session.client,
    session: session.id,
    segment: { r: "failed", stage: index, from: 0, to: 0, error },
  });
}

/** M5. What was sent a moment ago is under way; after that, ever more patience for stages that still grow. */
function resend(ctx: Context, stage: StageRecord, gaps: readonly number[] = [0, stage.spec.count]): void {
  const { state } = ctx;
  if (stage.job.kind !== "session" || stage.results.count === 0) return;
  if (state.nowMs - stage.sentAtMs < Math.max(limits.heartbeatIntervalMs, stage.resendAfterMs)) return;
  stage.resendAfterMs = isStageComplete(stage) ? 0 : Math.min(60_000, Math.max(2_000, 2 * stage.resendAfterMs));
  stage.sentAtMs = state.nowMs;
  for (let i = 0; i + 1 < gaps.length; i += 2) {
    const [from, to] = [gaps[i] as number, Math.min(gaps[i + 1] as number, stage.spec.count)];
    for (const segment of stage.results.overlapping(from, to))
      emit(ctx, stage, sliceSegment(segment, Math.max(segment.from, from), Math.min(segment.to, to)));
  }
}

/** Ends a session: its tasks are cancelled, its stages and the objects only it put are forgotten (I7). */
export function closeSession(ctx: Context, session: SessionRecord): void {
  const { state } = ctx;
  if (session.state === "running") endJob(ctx, session, "cancelled");
  const ids = new Set<ObjectId>();
  for (const stage of [...session.stages.values()]) {
    for (const id of objectIds(state, stage)) ids.add(id);
    // Stages of other jobs that wait for this one's results will not get them.
    for (const entry of stage.dependents ?? []) {
      if (entry.stage.job !== session && !isStageComplete(entry.stage) && !isStageComplete(stage)) {
        failTasks(ctx, entry.stage, 0, entry.stage.spec.count, {
          code: "UPSTREAM_FAILED",
          message: `the session that was making an input has ended`,
        });
      }
    }
    const upstreams = stage.links.map(({ upstream }) => upstream);
    dropStage(state, stage);
    for (const upstream of upstreams) if (upstream.job !== session) forgetIfUnused(ctx, upstream);
  }
  forgetJob(state, session);
  state.sessions.delete(session.client);
  freeObjects(ctx, ids);
  for (const put of [...state.puts.values()]) disown(ctx, put, session);
}

// ------------------------------------------------------------------------------------------------ durable jobs

export function onSubmit(
  ctx: Context,
  request: ClientRequestOf<"submit">,
  bases: readonly ObjectBase[],
  contentHash: string,
  reply: ReplyToken | undefined,
): void {
  const { state } = ctx;
  const keyed = request.key === undefined ? undefined : state.keys.get(`${request.tenant}/${request.key}`);
  const known = state.jobs.get(request.job) ?? (keyed === undefined ? undefined : state.jobs.get(keyed));
  if (known) {
    const what = known.id === request.job ? `job id ${request.job}` : `idempotency key ${JSON.stringify(request.key)}`;
    if (known.kind === "durable" && known.contentHash === contentHash)
      answer(ctx, reply, { t: "submitted", job: known.id, existed: true }, true);
    else
      refuse(ctx, reply, { code: "CONFLICT", message: `${what} was used before for another graph (job ${known.id})` });
    return;
  }
  const objects = new Map<ObjectId, PutFacts>();
  for (const [position, spec] of request.stages.entries()) {
    for (const id of objectsRead(spec.args)) {
      const facts = durableFacts(state, id);
      if (!facts) {
        refuse(ctx, reply, {
          code: "OBJECT_NOT_FOUND",
          message: `stages.${position}: object ${id} is not in the durable store; upload it first`,
          details: { path: `stages.${position}.args`, object: id },
        });
        return;
      }
      objects.set(id, facts);
    }
  }
  const { job: id, tenant, name, key, stages, outputs } = request;
  const total = stages.reduce((sum, spec) => sum + spec.count, 0);
  write(
    ctx,
    {
      k: "submit",
      job: id,
      tenant,
      name,
      ...(key === undefined ? {} : { key }),
      contentHash,
      stages,
      bases: [...bases],
      outputs,
      objects: [...objects.values()],
      atMs: state.nowMs,
    },
    true,
  );
  ctx.out.push({ c: "count", metric: "tasks_submitted", by: total, tenant });
  answer(ctx, reply, { t: "submitted", job: id, existed: false }, true);
  startJob(ctx, id);
}

/**
 * Sets a durable job going: what others have made is taken, what is ready is queued, what is finished is settled. Also
 * after a restart.
 */
export function startJob(ctx: Context, id: JobId): void {
  const { state } = ctx;
  state.unsettled.delete(id);
  const job = state.jobs.get(id);
  if (job?.state !== "running") return;
  for (const stage of job.stages.values()) {
    const failed =
      tallyOf(stage, taskState.failed) === 0 ? undefined : [...stage.results].find((segment) => segment.r === "failed");
    if (failed?.r === "failed") {
      // The journal ended between a task's failure and its job's.
      endJob(ctx, job, "failed", failed.error);
      return;
    }
  }
  for (const stage of job.stages.values()) {
    if (stage.spec.options.pure) reuse(ctx, stage);
    if (job.state !== "running") return;
  }
  for (const stage of job.stages.values()) {
    countBlockers(stage);
    if (isStageComplete(stage)) setOpen(stage, false);
    admit(ctx, stage, 0, stage.spec.count);
  }
  settleJob(ctx, job);
}

export function onCancel(ctx: Context, request: ClientRequestOf<"cancel">, reply: ReplyToken | undefined): void {
  const job = ctx.state.jobs.get(request.job);
  if (!job) {
    refuse(ctx, reply, jobNotFound(request.job));
    return;
  }
  if (job.kind === "durable") {
    if (job.state === "running")
      endJob(ctx, job, "cancelled", { code: "CANCELLED", message: "cancelled by its owner" });
    answer(ctx, reply, { t: "ok" }, true);
    return;
  }
  const { stage: index, from = 0, to = Number.POSITIVE_INFINITY } = request;
  let tasks = 0;
  const known = index === undefined || job.stages.has(index) || job.forgotten.has(index);
  for (const stage of [...job.stages.values()]) {
    if (index === undefined || stage.index === index)
      tasks += cancelTasks(ctx, stage, from, Math.min(to, stage.spec.count));
  }
  answer(ctx, reply, index === undefined ? { t: "ok" } : { t: "cancelled", known, tasks });
}

export const jobNotFound = (job: string): WireError => ({
  code: "JOB_NOT_FOUND",
  message: `no job ${job}: it was never submitted here, or has been forgotten`,
});
