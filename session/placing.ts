/**
 * How what is put gets into the cluster. A put of at most limits.inlineBytesMax is told to the scheduler with its
 * bytes; a larger one is offered to a worker that the scheduler names, and then held.
 *
 * U2 What the scheduler calls missing is put again from what its caller kept; what is not to be had any more is given
 *    back, so that what reads it ends, and the next put of the value is a new one. Nobody waits for it as for a first
 *    put, and giving it up loses it: so it is offered for longer, while workers fail one after the other.
 * U3 A full cluster is waited for: what lingers is given back at once, and the offer is made again. So are the workers
 *    of a scheduler that has just taken over, or says that it has just begun: they are on their way to it.
 * U4 What has no name gets the one of the digest that its worker says. Nothing can read it before; what turns out to be
 *    here already is one with it from then on.
 */
import { type ErrorCode, isVolleyError, toWireError, VolleyError } from "../proto/errors.js";
import type { ObjectId } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { ClientReply } from "../proto/messages/client.js";
import { ask } from "./asks.js";
import type { NewPut, PutName } from "./events.js";
import { heartbeatSoon, listDropped } from "./heartbeat.js";
import { factsOf, lose, sendPut } from "./liveness.js";
import { forget, giveBack, giveBackLingering, go as leaveForGood } from "./needs.js";
import { onPutDone } from "./sending.js";
import { type Context, isNamed, type NamedPut, type Placement, type PutRecord } from "./state.js";

const offersMax = 8;
/** Others are tried so often, and until the scheduler must have noticed that a worker is dead. */
const placeTriesMax = 4;
const placeTriesMs = limits.heartbeatTimeoutMs + 5_000;
/** The session may have to be opened first, for a minute. */
const lostTriesMax = 300;
const lostPauseMs = 200;
/** U3. */
const roomPatienceMs = 120_000;
const workersReturnMs = 10_000;
const offerPauseMs = 50;
const offerPauseMsMax = 1_000;
/** Failures of one worker, after which another one is asked. */
const elsewhere: ReadonlySet<ErrorCode> = new Set([
  "NO_LISTENER",
  "TIMEOUT",
  "DISCONNECTED",
  "CORRUPT",
  "WORKER_LOST",
  "OUT_OF_MEMORY",
  "NO_SCHEDULER",
  // The worker has given the stream up, or has had all of it and its word was lost: it is offered again.
  "CANCELLED",
]);

type Answer = ClientReply | VolleyError;

export function onPut(ctx: Context, { inline, ...facts }: NewPut): void {
  const { state } = ctx;
  const put: PutRecord = {
    ...facts,
    also: [],
    generation: facts.put,
    inline,
    state: inline ? { p: "restoring", lost: 0 } : { p: "placing", way: firstWay },
    needs: 0,
    waiting: new Set(),
  };
  state.puts.set(put.put, put);
  if (isNamed(put)) state.putsById.set(put.name.id, put);
  state.freshPuts.push(put);
  if (inline && isNamed(put)) sendPut(ctx, put, { w: "put", put });
  else {
    state.offers.queue.add(put);
    offerNext(ctx);
  }
}

/** A small value has been told, or cannot be. */
export function onPutSent(ctx: Context, put: NamedPut, answer: Answer): void {
  const { state } = put;
  if (
    state.p === "restoring" &&
    isVolleyError(answer) &&
    answer.code === "JOB_NOT_FOUND" &&
    state.lost < lostTriesMax
  ) {
    put.state = { p: "restoring", lost: state.lost + 1 };
    lose(ctx);
    ctx.state.timers.add(ctx.nowMs + lostPauseMs, { w: "send-put", put });
    return;
  }
  end(ctx, put, isVolleyError(answer) ? answer : undefined);
}

// ------------------------------------------------------------------------------------------------ the way

const firstWay: Placement = { at: "queue", tries: 0, failingSinceMs: undefined };

const wayOf = ({ state }: PutRecord): Placement | undefined =>
  state.p === "placing" || state.p === "leaving" ? state.way : state.p === "placed" ? state.again : undefined;

function go(put: PutRecord, way: Placement): void {
  if (put.state.p === "placed") put.state = { ...put.state, again: way };
  else if (put.state.p === "placing" || put.state.p === "leaving") put.state = { p: put.state.p, way };
}

function offerNext(ctx: Context): void {
  const { offers } = ctx.state;
  for (const put of offers.queue) {
    if (offers.running >= offersMax) return;
    offers.queue.delete(put);
    offers.running++;
    offer(ctx, put);
  }
}

/** Asks for a worker (again). */
export function offer(ctx: Context, put: PutRecord): void {
  const way = wayOf(put);
  if (way?.at !== "queue" && way?.at !== "pausing") return;
  go(put, { at: "asking", tries: way.tries + 1, failingSinceMs: way.failingSinceMs });
  ask(ctx, { t: "place", bytes: put.bytes }, "placed", { w: "place", put });
}

export function onPlaced(ctx: Context, put: PutRecord, answer: Answer): void {
  const way = wayOf(put);
  if (way?.at !== "asking") return;
  if (isVolleyError(answer)) onWayFailed(ctx, put, way, answer);
  else if (answer.t === "placed") {
    const { worker } = answer;
    go(put, { ...way, at: "uploading", worker, holds: 0 });
    ctx.out.push({ c: "upload", put: put.put, worker });
  }
}

/** The worker has it, or not. */
export function onUploaded(ctx: Context, put: PutRecord, outcome: PutName | VolleyError): void {
  const way = wayOf(put);
  if (way?.at !== "uploading") return;
  if (isVolleyError(outcome)) onWayFailed(ctx, put, way, outcome);
  else {
    put.name ??= outcome;
    go(put, { ...way, at: "holding" });
    hold(ctx, put);
  }
}

export function hold(ctx: Context, put: PutRecord): void {
  const way = wayOf(put);
  if (way?.at !== "holding" || !isNamed(put)) return;
  go(put, { ...way, holds: way.holds + 1 });
  const { session, client } = ctx.state.options;
  ask(ctx, { t: "hold", session, client, objects: [factsOf(put)] }, "held", { w: "hold", put });
}

export function onHeld(ctx: Context, put: PutRecord, answer: Answer): void {
  const way = wayOf(put);
  if (way?.at !== "holding") return;
  if (isVolleyError(answer)) {
    if (answer.code === "JOB_NOT_FOUND" && way.holds <= lostTriesMax) {
      lose(ctx);
      ctx.state.timers.add(ctx.nowMs + lostPauseMs, { w: "hold", put });
    } else onWayFailed(ctx, put, way, answer);
  } else if (answer.t === "held" && answer.missing.length > 0) {
    const text = `worker ${way.worker} took object ${put.name?.id} and was lost; put it again`;
    onWayFailed(ctx, put, way, new VolleyError("WORKER_LOST", text));
  } else endWay(ctx, put, undefined);
}

function onWayFailed(ctx: Context, put: PutRecord, { tries, failingSinceMs }: Placement, error: VolleyError): void {
  const { nowMs, state } = ctx;
  // With details it is for good: no worker's store is large enough.
  const full = error.code === "OUT_OF_MEMORY" && error.details?.neededBytes === undefined;
  const since = failingSinceMs ?? nowMs;
  const isPatient = full || put.state.p === "placed";
  const over = isPatient ? nowMs - since > roomPatienceMs : tries >= placeTriesMax && nowMs - since > placeTriesMs;
  const returning = error.code === "NO_WORKERS" && (error.details?.joiningMs !== undefined || areWorkersReturning(ctx));
  if (!returning && (over || !elsewhere.has(error.code))) {
    endWay(ctx, put, error);
    return;
  }
  if (full) {
    giveBackLingering(ctx);
    heartbeatSoon(ctx);
  }
  go(put, { at: "pausing", tries, failingSinceMs: since });
  state.timers.add(nowMs + Math.min(offerPauseMs * tries, offerPauseMsMax), { w: "offer", put });
}

function areWorkersReturning({ state, nowMs }: Context): boolean {
  const { phase, opening, openedMs } = state;
  return phase.p === "lost" || (phase.p === "open" && opening > 1 && nowMs - openedMs < workersReturnMs);
}

function endWay(ctx: Context, put: PutRecord, error: VolleyError | undefined): void {
  ctx.state.offers.running--;
  ctx.out.push({ c: "upload-over", put: put.put });
  end(ctx, put, error);
  offerNext(ctx);
}

/** It is in the cluster, or cannot be put there. */
function end(ctx: Context, put: PutRecord, error: VolleyError | undefined): void {
  const { p } = put.state;
  if (p === "gone") return;
  if (p === "placed") {
    // Put again. Whatever reads it ends with OBJECT_LOST if that failed, and says to put it once more.
    const { awaited } = put.state;
    put.state = { p: "placed", again: undefined, ...(awaited && error ? { awaited } : {}) };
    if (error && !awaited) giveBack(ctx, put);
    return;
  }
  if (p === "leaving") {
    leaveForGood(ctx, put, error);
    if (!isAnothers(ctx, put)) listDropped(ctx, put);
  } else if (error) forget(ctx, put, error);
  else if (!isAnothers(ctx, put)) {
    put.state = { p: "placed", again: undefined };
    if (isNamed(put)) ctx.state.putsById.set(put.name.id, put);
  }
  ctx.out.push({ c: "put-done", put: put.put, error });
  onPutDone(ctx, put, error && toWireError(error));
}

/** U4: another put has brought the same bytes, and is there. Whoever needs this one needs that from now on. */
function isAnothers({ state }: Context, put: PutRecord): boolean {
  const known = put.name && state.putsById.get(put.name.id);
  if (!known || known === put) return false;
  // What is given back later is given back by the newest: the scheduler was told of both.
  known.generation = Math.max(known.generation, put.generation);
  if (put.state.p === "gone") return true;
  known.needs += put.needs;
  if (known.needs > 0) state.lingering.delete(known);
  put.needs = 0;
  put.state = { p: "gone", error: undefined };
  for (const place of [put.put, ...put.also]) {
    known.also.push(place);
    state.puts.set(place, known);
  }
  return true;
}

/** U2. The scheduler says that nobody has these. */
export function onMissing(ctx: Context, ids: readonly ObjectId[]): void {
  for (const id of ids) putAgain(ctx, id, false);
  offerNext(ctx);
}

/** Whoever has these is silent, and may come back with them. They are put again once, if their values are here. */
export function onAwaited(ctx: Context, ids: readonly ObjectId[]): void {
  for (const id of ids) putAgain(ctx, id, true);
  offerNext(ctx);
}

function putAgain({ state }: Context, id: ObjectId, awaited: boolean): void {
  const put = state.putsById.get(id);
  if (!put || put.inline || put.state.p !== "placed" || put.state.again || (awaited && put.state.awaited)) return;
  put.state = { p: "placed", again: firstWay, ...(awaited ? { awaited } : {}) };
  state.offers.queue.add(put);
}
