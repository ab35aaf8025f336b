/**
 * What is done at every turn (once a heartbeat).
 *
 * S4 Nothing waits for ever: when the cluster is not heard, or the session cannot be opened again, for `unreachableMs`,
 *    every wait ends with DISCONNECTED. Time in which this process itself stood still does not count.
 */
import { VolleyError } from "../proto/errors.js";
import { heartbeat } from "./heartbeat.js";
import { reopen } from "./liveness.js";
import { sweepPuts } from "./needs.js";
import type { Context } from "./state.js";

/** A turn comes this much too late when the process stood still (a busy caller, a signal, a suspended machine). */
const stoodStillMs = 1_000;
const intervalMsMax = 60_000;
const unreachableMsDefault = 60_000;

/** The turns begin: with the first opening. */
export function beginTurns({ state, nowMs }: Context): void {
  state.turnedMs = nowMs;
  state.receivedMs = nowMs;
  nextTurn(state, nowMs);
}

const nextTurn = (state: Context["state"], nowMs: number): void =>
  state.timers.add(nowMs + Math.min(state.intervalMs, intervalMsMax), { w: "turn" });

export function turn(ctx: Context): void {
  const { state, nowMs } = ctx;
  const { phase } = state;
  if (phase.p !== "open" && phase.p !== "lost") return;
  const stillMs = nowMs - state.turnedMs - state.intervalMs;
  state.turnedMs = nowMs;
  nextTurn(state, nowMs);
  if (stillMs > stoodStillMs) {
    state.receivedMs += stillMs;
    if (phase.p === "lost") phase.sinceMs += stillMs;
  }
  loseHope(ctx);
  if (phase.p === "lost") {
    reopen(ctx, phase);
    return;
  }
  heartbeat(ctx);
  if (state.restoring.queue.size > 0) ctx.due.emit = true;
  sweepPuts(ctx);
}

/** S4. Later waits have the same patience. */
function loseHope({ state, nowMs, out }: Context): void {
  const patienceMs = state.options.unreachableMs ?? unreachableMsDefault;
  const { phase } = state;
  const silentMs = nowMs - state.receivedMs;
  const lostMs = phase.p === "lost" ? nowMs - phase.sinceMs : 0;
  if (silentMs <= patienceMs && lostMs <= patienceMs) return;
  const what = silentMs > patienceMs ? "nothing was heard from the scheduler" : "the session could not be opened again";
  const text = `${what} for ${Math.round(Math.max(silentMs, lostMs) / 1000)} s; the tasks may still run: wait for their refs again when the cluster is back`;
  const cause = phase.p === "lost" ? phase.why : undefined;
  out.push({ c: "give-up", error: new VolleyError("DISCONNECTED", text, { cause }) });
  state.receivedMs = nowMs;
  if (phase.p === "lost") phase.sinceMs = nowMs;
}
