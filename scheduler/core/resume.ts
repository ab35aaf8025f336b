/**
 * Stages of a session that was opened again (the scheduler restarted, or had given the session up): the client says
 * what it was shown of each. What it was shown stays the result (I1): those tasks are settled without executing, and
 * what reads them reads that. Only the others run.
 *
 * A large result is where its worker keeps it. A worker that has not been heard yet is waited for; if the object does
 * not turn up in time, its task ends with OBJECT_LOST: it is not executed a second time for a second value.
 */

import type { JobId, ObjectBase } from "../../proto/ids.js";
import { objectIdOf, splitObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientRequestOf } from "../../proto/messages/client.js";
import type { ResultSegment, StoredResult } from "../../proto/messages/results.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import type { StoredObject } from "../../proto/messages/worker.js";
import { sameBytes } from "../../proto/same-bytes.js";
import { answer, jobNotFound, refuse, startStage } from "./client-events.js";
import { addHolder } from "./copies.js";
import type { ReplyToken } from "./events.js";
import { received } from "./liveness.js";
import { isDurablyMade, standingOf } from "./locate.js";
import { commitSegment, failTasks } from "./progress.js";
import { addStage } from "./records.js";
import { sliceSegment } from "./segments.js";
import { failureRecordOf } from "./stage.js";
import {
  type Context,
  type SessionRecord,
  type StageRecord,
  sessionOf,
  setStates,
  taskState,
  type WorkerRecord,
} from "./state.js";

/**
 * How long a result that a worker should have is looked for, in listening time. Workers register to a new scheduler
 * within a few heartbeats; one that is silent just then may have the only copy of what cannot be made again.
 */
export const claimPatienceMs = (stage: StageRecord): number =>
  stage.spec.options.pure ? claimLookMs : limits.silentWorkerPatienceMs;
/** After that long it is looked whether another call of the same content has it. */
const claimLookMs = 15_000;

type Resumed = ClientRequestOf<"resume">["stages"][number];

/** `bases`: one for each stage of the request. */
export function onResume(
  ctx: Context,
  request: ClientRequestOf<"resume">,
  bases: readonly ObjectBase[],
  reply: ReplyToken | undefined,
): void {
  const session = sessionOf(ctx.state, request.session, request.client);
  if (!session) {
    refuse(ctx, reply, jobNotFound(request.session as JobId));
    return;
  }
  received(ctx.state, session);
  request.stages.forEach((resumed, i) => resumeStage(ctx, session, resumed, bases[i] as ObjectBase));
  answer(ctx, reply, { t: "ok" });
}

function resumeStage(ctx: Context, session: SessionRecord, resumed: Resumed, base: ObjectBase): void {
  const { spec, segments, last } = resumed;
  if (session.forgotten.has(spec.index)) return;
  const known = session.stages.get(spec.index);
  // A copy of what was said before: it is known, and may have gone on since (M1).
  if (known && !known.held) return;
  const settled = resumed.base !== undefined;
  const stage = known ?? holdStage(ctx, session, settled ? withoutWork(spec) : spec, base);
  for (const segment of segments) claim(ctx, stage, segment);
  if (!last) return;
  stage.held = false;
  if (settled) failRest(ctx, stage);
  startStage(ctx, stage);
}

/**
 * Nothing of it is executed any more, neither now nor when a result is lost: what made the results is not known here.
 */
const withoutWork = (spec: StageSpec): StageSpec => ({ ...spec, args: [], options: { ...spec.options, pure: false } });

function holdStage(ctx: Context, session: SessionRecord, spec: StageSpec, base: ObjectBase): StageRecord {
  const stage = addStage(ctx.state, session, spec, base);
  stage.held = true;
  stage.ownOnly = true;
  return stage;
}

/** Runs of tasks of [from, to) of which nothing is known yet. */
function* openRuns(stage: StageRecord, from: number, to: number): IterableIterator<{ from: number; to: number }> {
  for (let at = from; at < to; ) {
    const end = stage.states.runEnd(at, to);
    if (stage.states.at(at) === taskState.waiting) yield { from: at, to: end };
    at = end;
  }
}

function claim(ctx: Context, stage: StageRecord, segment: ResultSegment): void {
  for (const { from, to } of [...openRuns(stage, segment.from, Math.min(segment.to, stage.spec.count))]) {
    const part = sliceSegment(segment, from, to);
    if (part.r === "failed") failTasks(ctx, stage, from, to, part.error);
    else if (part.r === "inline") commitSegment(ctx, stage, part, { slotTimeUs: 0, reused: true });
    else part.stored.forEach((stored, i) => claimStored(ctx, stage, from + i, stored));
  }
}

function claimStored(ctx: Context, stage: StageRecord, task: number, stored: StoredResult): void {
  const { state } = ctx;
  failureRecordOf(stage, task).claimed = { stored, at: state.listenedMs };
  setStates(state, stage, task, task + 1, taskState.retrying);
  state.retries.add(state.nowMs + claimLookMs, { stage, task });
  const id = objectIdOf(stage.base, task);
  for (const { worker, digest } of state.strangers.get(id) ?? []) {
    const record = state.workers.get(worker);
    if (!record) continue;
    findClaim(ctx, record, { id, digest });
    // The first of them settles the claim; the others have it, too.
    if (sameBytes(digest, stored.digest)) addHolder(state, id, record.id);
  }
  state.strangers.delete(id);
  takeShared(ctx, stage, task);
}

/** Another call of the same content may have the result that is waited for: true if it has. */
export function takeShared(ctx: Context, stage: StageRecord, task: number): boolean {
  const { state } = ctx;
  const id = objectIdOf(stage.base, task);
  const digest = stage.failureRecords.get(task)?.claimed?.stored.digest;
  if (!digest || standingOf(state, { id, digest }) !== "object") return false;
  if (!state.holders.has(id) && !isDurablyMade(state, id, digest)) return false;
  takeClaim(ctx, stage, task);
  return true;
}

/** The result is there. */
function takeClaim(ctx: Context, stage: StageRecord, task: number): void {
  const failureRecord = failureRecordOf(stage, task);
  const { stored } = failureRecord.claimed ?? {};
  failureRecord.claimed = undefined;
  if (!stored || stage.states.at(task) !== taskState.retrying) return;
  commitSegment(
    ctx,
    stage,
    { r: "stored", stage: stage.index, from: task, to: task + 1, stored: [stored] },
    { slotTimeUs: 0, reused: true },
  );
}

function failRest(ctx: Context, stage: StageRecord): void {
  for (const { from, to } of [...openRuns(stage, 0, stage.spec.count)])
    failTasks(ctx, stage, from, to, {
      code: "SESSION_LOST",
      message: "the scheduler restarted, and what this task gave is not known any more; submit it again",
    });
}

/**
 * A worker tells of an object: is it what a client said was made? (Other bytes of the id are freed at the next telling,
 * when the result is known.)
 */
export function findClaim(ctx: Context, worker: WorkerRecord, object: Pick<StoredObject, "id" | "digest">): void {
  const { base, index } = splitObjectId(object.id);
  for (const stage of [...ctx.state.catalog.of(base)]) {
    const failureRecord = stage.failureRecords.get(index);
    if (!failureRecord?.claimed || !sameBytes(failureRecord.claimed.stored.digest, object.digest)) continue;
    addHolder(ctx.state, object.id, worker.id);
    takeClaim(ctx, stage, index);
  }
}

/**
 * Whether an object is kept although nobody knows that it is a result: soon after a start its session may come and say
 * that it was shown this. Other calls of the same content may be known before, and have no result of their own.
 */
export function markStranger(ctx: Context, worker: WorkerRecord, object: StoredObject): boolean {
  const { state } = ctx;
  if (state.listenedMs > limits.sessionTimeoutMs) {
    state.strangers.clear();
    return false;
  }
  const known = (state.strangers.get(object.id) ?? []).filter((one) => one.worker !== worker.id);
  state.strangers.set(object.id, [...known, { worker: worker.id, digest: object.digest }]);
  return true;
}
