/**
 * How long what was put is this session's.
 *
 * U1 An object is this session's from its put until nothing here needs it: no ref, no table that the caller still has,
 *    no stage that is to be sent or has not ended. A few that were needed last linger, because loops pass the same
 *    value again and again. Then a heartbeat lists it as dropped (M8).
 */
import type { VolleyError } from "../proto/errors.js";
import { listDropped } from "./heartbeat.js";
import type { Context, PutRecord } from "./state.js";

const lingerMs = 30_000;
const lingeringMax = 4;
const lingeringBytesMax = 16 * 1024 * 1024;

export function need(ctx: Context, put: PutRecord): void {
  put.needs++;
  ctx.state.lingering.delete(put);
}

export function unneed(ctx: Context, put: PutRecord): void {
  put.needs--;
  lingerIfUnneeded(ctx, put);
}

const isOurs = ({ state: { p } }: PutRecord): boolean => p !== "leaving" && p !== "gone";

export function lingerIfUnneeded(ctx: Context, put: PutRecord): void {
  if (put.needs > 0 || !isOurs(put)) return;
  if (put.inline) {
    giveBack(ctx, put);
    return;
  }
  const { lingering } = ctx.state;
  lingering.delete(put);
  lingering.set(put, ctx.nowMs);
  let bytes = 0;
  for (const one of lingering.keys()) bytes += one.bytes;
  for (const oldest of lingering.keys()) {
    if (lingering.size <= lingeringMax && (bytes <= lingeringBytesMax || lingering.size <= 2)) break;
    bytes -= oldest.bytes;
    giveBack(ctx, oldest);
  }
}

/** What was put in this tick, and nobody has said to need. */
export function lookAtFreshPuts(ctx: Context): void {
  const fresh = ctx.state.freshPuts;
  if (fresh.length === 0) return;
  ctx.state.freshPuts = [];
  for (const put of fresh) lingerIfUnneeded(ctx, put);
}

/** Now and then: nobody has needed them for a while. */
export function sweepPuts(ctx: Context): void {
  const before = ctx.nowMs - lingerMs;
  for (const [put, since] of ctx.state.lingering) if (since < before) giveBack(ctx, put);
}

/** U3: the cluster is full. */
export function giveBackLingering(ctx: Context): void {
  for (const put of [...ctx.state.lingering.keys()]) giveBack(ctx, put);
}

/** The scheduler is told once what is still on its way has arrived: it would arrive after the word. */
export function giveBack(ctx: Context, put: PutRecord): void {
  const { state } = put;
  if (!isOurs(put)) return;
  leave(ctx, put);
  if (state.p === "placing") put.state = { p: "leaving", way: state.way };
  else if (state.p === "placed" && state.again) put.state = { p: "leaving", way: state.again };
  else if (state.p === "restoring") put.state = { p: "leaving", way: undefined };
  else {
    go(ctx, put, undefined);
    listDropped(ctx, put);
  }
}

/** It is not there, and the next put of the value is a new one. */
export function forget(ctx: Context, put: PutRecord, error: VolleyError | undefined): void {
  if (isOurs(put)) leave(ctx, put);
  go(ctx, put, error);
}

/** Its way is over, and nobody here knows it any more. */
export function go({ state }: Context, put: PutRecord, error: VolleyError | undefined): void {
  put.state = { p: "gone", error };
  for (const place of [put.put, ...put.also]) state.puts.delete(place);
}

function leave({ state, out }: Context, put: PutRecord): void {
  state.lingering.delete(put);
  if (put.name && state.putsById.get(put.name.id) === put) state.putsById.delete(put.name.id);
  for (const place of [put.put, ...put.also]) out.push({ c: "put-forgotten", put: place });
}
