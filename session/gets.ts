/**
 * Objects on their way to callers: where each is, asked in batches; fetched from one of those places, a few at a time;
 * asked again while it is being made, and when it could not be had. Ends with the object, its error, OBJECT_NOT_FOUND
 * or OBJECT_LOST.
 */
import { type ErrorCode, isVolleyError, VolleyError } from "../proto/errors.js";
import type { ObjectId } from "../proto/ids.js";
import type { ClientReply } from "../proto/messages/client.js";
import type { ObjectLocation } from "../proto/messages/results.js";
import { ask } from "./asks.js";
import type { SessionCommand } from "./events.js";
import { type Context, type Get, isUnsettled, type Locating } from "./state.js";

const fetchesMax = 8;
const locatedMax = 10_000;
/** An object that nobody knows may be announced again after a scheduler's restart. */
const unknownGraceMs = 1_000;
const unreachableMs = 60_000;
const pauseMsFirst = 5;
const pauseMsMax = 500;
/** Failures of one copy of an object, after which it is looked for again. */
const elsewhere: ReadonlySet<ErrorCode> = new Set([
  "NO_LISTENER",
  "TIMEOUT",
  "DISCONNECTED",
  "OBJECT_NOT_FOUND",
  "CORRUPT",
  "WORKER_LOST",
  "OUT_OF_MEMORY",
]);

export function onGet({ state }: Context, get: number, id: ObjectId): void {
  const one: Get = {
    get,
    id,
    state: "queued",
    pauseMs: pauseMsFirst,
    failure: undefined,
    unknownSinceMs: undefined,
    failingSinceMs: undefined,
  };
  state.gets.set(get, one);
  state.fetches.queue.add(one);
  fetchNext(state);
}

function fetchNext(state: Context["state"]): void {
  const { fetches } = state;
  for (const get of fetches.queue) {
    if (fetches.running >= fetchesMax) return;
    fetches.queue.delete(get);
    fetches.running++;
    look(state, get);
  }
}

function look(state: Context["state"], get: Get): void {
  get.state = "locating";
  locate(state, get.id, { get });
}

/** The pause is over. */
export function lookAgain(ctx: Context, get: Get): void {
  if (get.state !== "pausing") return;
  look(ctx.state, get);
  ctx.due.locate = true;
}

export function locate(state: Context["state"], id: ObjectId, asker: Locating): void {
  const askers = state.toLocate.get(id);
  if (askers) askers.push(asker);
  else state.toLocate.set(id, [asker]);
}

/** Questions of one tick travel as one. */
export function askLocations(ctx: Context): void {
  const { state } = ctx;
  if (state.toLocate.size === 0) return;
  const askers = state.toLocate;
  state.toLocate = new Map();
  const all = [...askers.keys()];
  for (let at = 0; at < all.length; at += locatedMax) {
    const ids = all.slice(at, at + locatedMax);
    ask(ctx, { t: "locate", ids }, "located", { w: "locate", ids, askers }, unreachableMs);
  }
}

export function onLocated(
  ctx: Context,
  ids: readonly ObjectId[],
  askers: ReadonlyMap<ObjectId, readonly Locating[]>,
  answer: ClientReply | VolleyError,
): void {
  const byId = new Map<ObjectId, ObjectLocation>();
  if (!isVolleyError(answer) && answer.t === "located")
    for (const location of answer.locations) byId.set(location.id, location);
  for (const id of ids) {
    const found = isVolleyError(answer) ? answer : (byId.get(id) ?? { id, state: "unknown" as const });
    for (const asker of askers.get(id) ?? []) {
      if ("get" in asker) onFound(ctx, asker.get, found);
      else if (isVolleyError(found)) ctx.out.push({ c: "not-answered", question: asker.question, error: found });
      else ctx.out.push({ c: "located", question: asker.question, location: found });
    }
  }
}

function onFound(ctx: Context, get: Get, found: ObjectLocation | VolleyError): void {
  const { nowMs, state } = ctx;
  if (get.state !== "locating") return;
  if (isVolleyError(found)) fail(ctx, get, found);
  else if (found.state === "failed") {
    const lost = new VolleyError("OBJECT_LOST", `object ${get.id} could not be made`);
    fail(ctx, get, found.error ? { task: found.error } : lost);
  } else if (found.state === "ready") {
    get.unknownSinceMs = undefined;
    get.state = "fetching";
    ctx.out.push({ c: "fetch", get: get.get, location: found });
  } else if (found.state === "pending") pause(ctx, get);
  else {
    // A scheduler that has just started may hear of it in a moment.
    if (isUnsettled(state)) get.unknownSinceMs = undefined;
    get.unknownSinceMs ??= nowMs;
    // What this client has put it puts again, if it can.
    const graceMs = state.putsById.has(get.id) ? unreachableMs : unknownGraceMs;
    if (nowMs - get.unknownSinceMs <= graceMs) pause(ctx, get);
    else
      fail(ctx, get, get.failure ?? new VolleyError("OBJECT_NOT_FOUND", `no object ${get.id} is known to the cluster`));
  }
}

function pause({ state, nowMs }: Context, get: Get): void {
  get.state = "pausing";
  state.timers.add(nowMs + get.pauseMs, { w: "get", get });
  get.pauseMs = Math.min(get.pauseMs * 2, pauseMsMax);
}

export function onFetched(ctx: Context, id: number, error: VolleyError | undefined): void {
  const get = ctx.state.gets.get(id);
  if (get?.state !== "fetching") return;
  if (!error) {
    end(ctx, get);
    return;
  }
  get.failure = error;
  get.failingSinceMs ??= ctx.nowMs;
  if (elsewhere.has(error.code) && ctx.nowMs - get.failingSinceMs <= unreachableMs) pause(ctx, get);
  else fail(ctx, get, error);
}

function fail(ctx: Context, get: Get, error: Extract<SessionCommand, { c: "get-failed" }>["error"]): void {
  end(ctx, get);
  ctx.out.push({ c: "get-failed", get: get.get, error });
}

/** Nobody waits for it any more. */
export function onGetEnded(ctx: Context, id: number): void {
  const get = ctx.state.gets.get(id);
  if (get) end(ctx, get);
}

function end(ctx: Context, get: Get): void {
  const { gets, fetches } = ctx.state;
  gets.delete(get.get);
  if (get.state === "queued") fetches.queue.delete(get);
  else fetches.running--;
  get.state = "over";
  fetchNext(ctx.state);
  if (ctx.state.toLocate.size > 0) ctx.due.locate = true;
}
