/**
 * Whether the scheduler that speaks knows this client's session: openings, and what is done when it does not.
 *
 * S5 An opening counts when all of it has succeeded (the session, then what was put); one that fails half-way is tried
 *    again, whole.
 */
import { type ErrorCode, isVolleyError, type VolleyError } from "../proto/errors.js";
import { limits } from "../proto/limits.js";
import type { ClientReply, ClientReplyOf, ClientRequestOf } from "../proto/messages/client.js";
import { PROTOCOL_VERSION } from "../proto/version.js";
import { ask } from "./asks.js";
import { forget } from "./needs.js";
import { resendIncomplete } from "./sending.js";
import { fail } from "./settling.js";
import { readButUnseen, readUnseen } from "./shown-inputs.js";
import type { Context, NamedPut, Phase, Purpose, PutRecord, Reopening, SessionState } from "./state.js";

const intervalMsMin = 10;
const holdsMax = 1_000;
const sendsMax = 16;
/** Failures of the way; what is refused otherwise is not told again. */
const passing: ReadonlySet<ErrorCode> = new Set([
  "NO_SCHEDULER",
  "DISCONNECTED",
  "TIMEOUT",
  "JOB_NOT_FOUND",
  "STALE_EPOCH",
  "FENCED",
  "CLOSED",
  "INTERNAL",
]);

export type Lost = Extract<Phase, { p: "lost" }>;

/** As `hold` and `put` name it. */
export const factsOf = ({ name, kind, bytes, generation }: NamedPut): ClientRequestOf<"hold">["objects"][number] => ({
  ...name,
  kind,
  bytes,
  generation,
});

export function sendPut(ctx: Context, put: NamedPut, purpose: Purpose): void {
  const { session } = ctx.state.options;
  const { inline } = put;
  ask(ctx, { t: "put", session, ...factsOf(put), ...(inline ? { inline } : {}) }, "ok", purpose);
}

export function askOpen(ctx: Context, purpose: Purpose, timeoutMs: number): void {
  const { client, session, tenant } = ctx.state.options;
  ask(ctx, { t: "open", client, session, tenant, version: PROTOCOL_VERSION }, "opened", purpose, timeoutMs);
}

/** What the scheduler says of itself when it opens the session. */
export function onOpenReply(
  state: SessionState,
  { heartbeatIntervalMs, epoch, engine }: ClientReplyOf<"opened">,
): void {
  state.intervalMs = Math.max(intervalMsMin, heartbeatIntervalMs);
  state.openedEpoch = epoch;
  onEngine(state, engine);
}

/** What is known stays when a scheduler that has just started knows of no worker yet. */
export function onEngine(state: SessionState, engine: string | undefined): void {
  if (engine !== undefined && (engine !== "" || state.engine === undefined)) state.engine = engine;
}

export function received(ctx: Context, epoch: number): void {
  const { state } = ctx;
  state.receivedMs = ctx.nowMs;
  if (epoch === state.epoch) return;
  // A lower one: the cluster came back from an older copy (epoch-watch.ts).
  state.epoch = epoch;
  // Another scheduler cannot know this session.
  if (state.opening > 0 && epoch !== state.openedEpoch) lose(ctx);
}

/** The scheduler does not know the session: it is opened again. */
export function lose(ctx: Context): void {
  const { state } = ctx;
  if (state.phase.p === "open")
    state.phase = { p: "lost", sinceMs: ctx.nowMs, why: undefined, reopening: { r: "due" } };
  if (state.phase.p === "lost") reopen(ctx, state.phase);
}

/** S5. Unless it is being opened. */
export function reopen(ctx: Context, lost: Lost): void {
  if (lost.reopening.r !== "due") return;
  lost.reopening = { r: "asking" };
  askOpen(ctx, { w: "reopen" }, limits.requestTimeoutMs);
}

export function onReopened(ctx: Context, answer: ClientReply | VolleyError): void {
  const { state } = ctx;
  const lost = state.phase;
  if (lost.p !== "lost" || lost.reopening.r !== "asking") return;
  if (isVolleyError(answer)) {
    tryLater(lost, answer);
    return;
  }
  onOpenReply(state, answer as ClientReplyOf<"opened">);
  const puts: NamedPut[] = [];
  const placed: NamedPut[] = [];
  for (const put of state.putsById.values()) (put.inline ? puts : placed).push(put);
  const holds: NamedPut[][] = [];
  for (let at = 0; at < placed.length; at += holdsMax) holds.push(placed.slice(at, at + holdsMax));
  lost.reopening = { r: "restoring", puts: puts.reverse(), holds: holds.reverse(), asked: new Set() };
  sendPuts(ctx, lost);
}

function tryLater(lost: Lost, why: VolleyError): void {
  lost.why = why;
  lost.reopening = { r: "due" };
}

/** Tells the scheduler what is in the cluster: small values first, then who holds the large ones. */
function sendPuts(ctx: Context, lost: Lost): void {
  const restoring = lost.reopening;
  if (restoring.r !== "restoring") return;
  const { session, client } = ctx.state.options;
  while (restoring.asked.size < sendsMax) {
    const put = restoring.puts.pop();
    if (!put) break;
    restoring.asked.add(put);
    sendPut(ctx, put, { w: "put-again", put, of: restoring });
  }
  if (restoring.asked.size > 0) return;
  const page = restoring.holds.pop();
  if (!page) {
    complete(ctx);
    return;
  }
  // What is missing is said again with the heartbeats, when workers have had time to say what they hold.
  ask(ctx, { t: "hold", session, client, objects: page.map(factsOf) }, "held", { w: "hold-again", of: restoring });
}

/** The answer to something that an opening tells; `put`: that, or a page of large ones. */
export function onSentAgain(
  ctx: Context,
  of: Reopening,
  put: PutRecord | undefined,
  answer: ClientReply | VolleyError,
): void {
  const lost = ctx.state.phase;
  if (lost.p !== "lost" || lost.reopening !== of || of.r !== "restoring") return;
  if (isVolleyError(answer)) {
    if (!put || passing.has(answer.code)) {
      tryLater(lost, answer);
      return;
    }
    // Refused: it must not keep the others from being told.
    if (put.state.p === "placed") forget(ctx, put, answer);
  }
  if (put) of.asked.delete(put);
  sendPuts(ctx, lost);
}

/** All of it has been told. What is open is sent again; what was shown stays (S3). */
function complete(ctx: Context): void {
  const { state } = ctx;
  const lost = state.phase as Lost;
  // Another one may speak by now.
  if (state.openedEpoch !== state.epoch) {
    lost.reopening = { r: "due" };
    return;
  }
  state.opening++;
  state.openedMs = ctx.nowMs;
  state.phase = { p: "open" };
  state.restoring.queue.clear();
  for (const { stage, run } of readButUnseen(state.stages.values())) fail(ctx, stage, run, readUnseen);
  for (const stage of state.stages.values()) {
    if (stage.state.s === "open") stage.state.resends = 0;
    // Refs to large results must stay good; of small ones the values are here, and they are told when something reads
    // them.
    else if (stage.state.s === "settled" && stage.results.hasStored) state.restoring.queue.add(stage);
  }
  ctx.due.emit = true;
  resendIncomplete(ctx);
}
