/**
 * Objects that clients have put: whose they are, who reads them, and what becomes of them.
 *
 * P1 A put is kept while a session owns it (from `hold` or `put` until its client lists it as dropped) or a stage reads
 * it that has tasks to go or may
 *    run again. After that its copies are freed at once. Generations tell a late `dropped` from the owning that
 * followed it (M8). P2 A put whose every copy is gone is missing. Its owners are told with every heartbeat and can put
 * it again; what reads it waits for that. If no owner is
 *    left, or none has put it again in time, what reads it ends with OBJECT_LOST.
 */
import type { ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientRequestOf } from "../../proto/messages/client.js";
import { waitAgain } from "./losses.js";
import { admit, failTasks, freeObjects } from "./progress.js";
import { createPut, isAway, type Presence, setPresence, there } from "./put-record.js";
import { isAwaited, silentHolderOf } from "./silence.js";
import {
  type Context,
  isStageComplete,
  type PutRecord,
  type SessionRecord,
  type StageRecord,
  type State,
  sessionOf,
} from "./state.js";

/** Soon after a start workers have not all said what they hold: of what is missing then they are given time to. */
const startMs = 30_000;

type Held = ClientRequestOf<"hold">["objects"][number];

export function hold(state: State, session: SessionRecord, { generation, ...facts }: Held): PutRecord {
  let put = state.puts.get(facts.id);
  if (!put) {
    put = createPut(facts, false, presenceOf(state, facts.id));
    state.puts.set(facts.id, put);
  }
  own(put, session, generation);
  return put;
}

function presenceOf(state: State, id: ObjectId): Presence {
  if (state.holders.has(id)) return there;
  return { is: "awaited", at: state.listenedMs, from: silentHolderOf(state, id) ?? "start" };
}

export function own(put: PutRecord, session: SessionRecord, generation: number): void {
  put.owners.set(session.id, Math.max(generation, put.owners.get(session.id) ?? 0));
  if (isAway(put)) session.missing.add(put.facts.id);
}

/** The session's client needs them no more. */
export function dropPuts(
  ctx: Context,
  session: SessionRecord,
  dropped: readonly { id: ObjectId; generation: number }[],
): void {
  for (const { id, generation } of dropped) {
    const put = ctx.state.puts.get(id);
    const owned = put?.owners.get(session.id);
    if (put && owned !== undefined && owned <= generation) disown(ctx, put, session);
  }
}

export function disown(ctx: Context, put: PutRecord, session: SessionRecord): void {
  if (!put.owners.delete(session.id)) return;
  session.missing.delete(put.facts.id);
  if (put.owners.size > 0) return;
  if (isAway(put) && !isAwaited(ctx.state, put)) giveUp(ctx, put);
  else dropIfUnneeded(ctx, put);
}

function dropIfUnneeded(ctx: Context, put: PutRecord): void {
  const { id } = put.facts;
  if (
    put.durable ||
    put.owners.size > 0 ||
    put.readers.size > 0 ||
    ctx.state.readers.has(id) ||
    ctx.state.puts.get(id) !== put
  )
    return;
  ctx.state.puts.delete(id);
  freeObjects(ctx, [id]);
}

/** After a step: puts that lost their last reader. */
export function dropUnread(ctx: Context): void {
  for (const put of ctx.state.unread) dropIfUnneeded(ctx, put);
  ctx.state.unread.clear();
}

// ------------------------------------------------------------------------------------------------ losses

/** P2: its last copy is gone. */
export function losePut(ctx: Context, put: PutRecord): void {
  if (put.durable || put.facts.inline || isAway(put)) return;
  const { state } = ctx;
  const from = silentHolderOf(state, put.facts.id);
  const at = state.listenedMs;
  setPresence(put, from ? { is: "awaited", at, from } : { is: "missing", at });
  for (const stage of put.readers) {
    if (!stage.eachPuts?.has(put)) stage.missing++;
    for (const { from, to } of readingTasks(stage, put)) waitAgain(ctx, stage, from, to);
  }
  for (const owner of put.owners.keys()) sessionOf(state, owner)?.missing.add(put.facts.id);
  if (put.owners.size === 0 && !from) giveUp(ctx, put);
}

/** It is not waited for any more: who owns it may put it again. */
export function abandonPut(ctx: Context, put: PutRecord): void {
  setPresence(put, { is: "missing", at: ctx.state.listenedMs });
  if (put.owners.size === 0) giveUp(ctx, put);
}

/** It is there (again). */
export function findPut(ctx: Context, put: PutRecord): void {
  if (!isAway(put)) return;
  setPresence(put, there);
  for (const owner of put.owners.keys()) sessionOf(ctx.state, owner)?.missing.delete(put.facts.id);
  for (const stage of [...put.readers]) {
    if (!stage.eachPuts?.has(put)) stage.missing--;
    for (const { from, to } of readingTasks(stage, put)) admit(ctx, stage, from, to);
  }
}

/** The stage's tasks that read it. */
function* readingTasks(stage: StageRecord, put: PutRecord): IterableIterator<{ from: number; to: number }> {
  const tasks = stage.eachPuts?.get(put);
  if (tasks) for (const task of tasks) yield { from: task, to: task + 1 };
  else yield { from: 0, to: stage.spec.count };
}

function giveUp(ctx: Context, put: PutRecord): void {
  const { id } = put.facts;
  const error = {
    code: "OBJECT_LOST" as const,
    message: `object ${id} is gone: every copy was on workers that left, and its client does not hold its value any more; put it again`,
    details: { object: id },
  };
  for (const stage of [...put.readers]) {
    if (isStageComplete(stage)) continue;
    for (const { from, to } of [...readingTasks(stage, put)]) failTasks(ctx, stage, from, to, error);
  }
  // What has ended and may run again finds it gone then.
  for (const stage of put.readers) {
    stage.puts = stage.puts.filter((one) => one !== put);
    if (!stage.eachPuts?.has(put)) stage.missing--;
  }
  put.readers.clear();
  for (const owner of put.owners.keys()) sessionOf(ctx.state, owner)?.missing.delete(id);
  if (ctx.state.puts.get(id) === put) ctx.state.puts.delete(id);
}

/** What the session's client should put again; and, `awaited`, what it should put again if it can. */
export function missingOf(state: State, session: SessionRecord): { missing: ObjectId[]; awaited: ObjectId[] } {
  const missing: ObjectId[] = [];
  const awaited: ObjectId[] = [];
  const graceMs = state.listenedMs < startMs ? limits.heartbeatTimeoutMs : 0;
  for (const id of session.missing) {
    const put = state.puts.get(id);
    if (put?.presence.is !== "awaited" && put?.presence.is !== "missing") continue;
    if (state.listenedMs - put.presence.at < graceMs) continue;
    (isAwaited(state, put) ? awaited : missing).push(id);
    if (missing.length + awaited.length === limits.objectsListedMax) break;
  }
  return { missing, awaited };
}

/** Now and then: nobody has put them again for as long as a client may be away. */
export function sweepMissing(ctx: Context): void {
  for (const session of [...ctx.state.sessions.values()]) {
    for (const id of [...session.missing]) {
      const put = ctx.state.puts.get(id);
      if (!put || put.presence.is === "there") continue;
      if (ctx.state.listenedMs - put.presence.at > limits.sessionTimeoutMs) giveUp(ctx, put);
    }
  }
  // Those without an owner that were awaited when the owner went.
  for (const put of [...ctx.state.puts.values()])
    if (isAway(put) && put.owners.size === 0 && !isAwaited(ctx.state, put)) giveUp(ctx, put);
}
