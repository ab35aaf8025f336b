/**
 * The heartbeat: what it asks for (M5), and what it gives back. It lists the stages whose results are due, of those
 * that are settled in part only what is missing, and the stages and objects that the scheduler need not keep any more,
 * until a heartbeat that lists them has been answered.
 */
import type { Epoch } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { ClientRequestOf } from "../proto/messages/client.js";
import { ask } from "./asks.js";
import type { Context, PutRecord, SessionState } from "./state.js";

type Heartbeat = ClientRequestOf<"heartbeat">;

/**
 * Runs of missing tasks named of one stage, and in all of a heartbeat; further ones are asked for by later heartbeats,
 * when these have come.
 */
const runsListedMax = 100;
const runsListedInAllMax = 10_000;
/** Objects of so many bytes do not wait for the next heartbeat: the cluster may want the room. */
const bytesWaitingMax = 8 * 1024 * 1024;

/** Stages of this opening that were sent before `sentBeforeMs`: the others have had no time. */
function waitingOf(state: SessionState, sentBeforeMs: number): Pick<Heartbeat, "waiting" | "gaps"> {
  const waiting: number[] = [];
  const gaps: [number, number[]][] = [];
  let room = runsListedInAllMax;
  for (const { index, count, results, sentIn, state: at } of state.stages.values()) {
    if (at.s !== "open" || sentIn !== state.opening || at.sentAtMs >= sentBeforeMs) continue;
    if (results.settled > 0) {
      if (room <= 0) continue;
      const runs: number[] = [];
      for (const { from, to } of results.open(0, count)) {
        runs.push(from, to);
        if (runs.length >= 2 * runsListedMax) break;
      }
      room -= runs.length / 2;
      gaps.push([index, runs]);
    }
    waiting.push(index);
    if (waiting.length === limits.heartbeatStagesMax) break;
  }
  return { waiting, gaps };
}

/** Unless one is under way, or the session is not open. */
export function heartbeat(ctx: Context): void {
  const { state, nowMs } = ctx;
  if (state.beating.b !== "idle" || state.phase.p !== "open") return;
  state.droppedBytes = 0;
  const dropped = state.dropped.slice(0, limits.objectsListedMax);
  const { client, session } = state.options;
  const sent: Heartbeat = {
    t: "heartbeat",
    client,
    session,
    epoch: state.epoch as Epoch,
    ...waitingOf(state, nowMs - state.intervalMs),
    released: state.released.slice(0, limits.heartbeatStagesMax),
    ...(dropped.length > 0 ? { dropped } : {}),
  };
  state.beating = { b: "asked" };
  ask(ctx, sent, "heartbeat", { w: "heartbeat", sent }, state.intervalMs);
}

/** Says what is not needed any more, out of turn. */
export function heartbeatSoon(ctx: Context): void {
  if (ctx.state.beating.b === "idle") heartbeat(ctx);
  else ctx.state.beating = { b: "asked-and-due" };
}

/** The heartbeat was answered: what it listed is known. */
export function onListed(state: SessionState, { released, dropped }: Heartbeat): void {
  state.released = state.released.slice(released.length);
  state.dropped = state.dropped.slice(dropped?.length ?? 0);
}

/** The heartbeat has ended, answered or not. */
export function onHeartbeatOver(ctx: Context): void {
  const due = ctx.state.beating.b === "asked-and-due";
  ctx.state.beating = { b: "idle" };
  if (due) heartbeat(ctx);
}

/** An object that was put is not needed any more. */
export function listDropped(ctx: Context, { name, generation, bytes }: PutRecord): void {
  const { state } = ctx;
  // Nobody was told of what has no name.
  if (!name) return;
  if (state.phase.p === "closing" || state.phase.p === "closed") return;
  state.dropped.push({ id: name.id, generation });
  state.droppedBytes += bytes;
  if (state.droppedBytes > bytesWaitingMax || state.dropped.length > limits.objectsListedMax / 2) heartbeatSoon(ctx);
}
