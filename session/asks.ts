/**
 * Requests to the scheduler: idempotent, therefore repeated until answered or until their deadline. Owns how absence is
 * told: NO_SCHEDULER (nobody listened all the time), DISCONNECTED (no connection to NATS), TIMEOUT (somebody listened
 * but did not answer). What an answer means is its asker's business.
 */
import { fromWireError, VolleyError } from "../proto/errors.js";
import { limits } from "../proto/limits.js";
import type { ClientReply, ClientRequest } from "../proto/messages/client.js";
import type { Ask, Context, Purpose } from "./state.js";

const tryTimeoutMs = 3_000;
/** A timeout comes this much too late when the process stood still. */
const stoodStillMs = 1_000;
const pauseMsFirst = 20;
const pauseMsMax = 500;

/** Answers of a scheduler that is not (or not any more) the one to ask. */
const askAgain: ReadonlySet<string> = new Set(["STALE_EPOCH", "FENCED", "NO_SCHEDULER"]);
/** Failures of the way there. */
const notThere: ReadonlySet<string> = new Set(["NO_LISTENER", "TIMEOUT", "DISCONNECTED"]);

/** A question that has ended, and how. */
export interface Ended {
  readonly purpose: Purpose;
  readonly answer: ClientReply | VolleyError;
}

export function ask(
  ctx: Context,
  request: ClientRequest,
  expected: ClientReply["t"],
  purpose: Purpose,
  timeoutMs: number = limits.requestTimeoutMs,
): void {
  const { state, nowMs } = ctx;
  const one: Ask = {
    ask: state.nextAsk++,
    request,
    expected,
    timeoutMs,
    purpose,
    deadlineMs: nowMs + timeoutMs,
    pauseMs: pauseMsFirst,
    triedAtMs: nowMs,
    triedForMs: 0,
  };
  state.asks.set(one.ask, one);
  tryAsk(ctx, one);
}

/** Sends it (again). */
export function tryAsk(ctx: Context, one: Ask): void {
  if (!ctx.state.asks.has(one.ask)) return;
  one.triedAtMs = ctx.nowMs;
  one.triedForMs = Math.min(Math.max(1, one.deadlineMs - ctx.nowMs), tryTimeoutMs);
  ctx.out.push({ c: "request", ask: one.ask, request: one.request, timeoutMs: one.triedForMs });
}

/** `counts`: the scheduler that answered is the one to believe. undefined: it is asked again, or has ended before. */
export function onReply(ctx: Context, id: number, reply: ClientReply, counts: boolean): Ended | undefined {
  const one = ctx.state.asks.get(id);
  if (!one) return undefined;
  const what = JSON.stringify(one.request.t);
  if (!counts) {
    const text = `a scheduler of epoch ${reply.epoch} answered ${what}; epoch ${ctx.state.epochs.epoch} speaks`;
    return onFailure(ctx, one, new VolleyError("STALE_EPOCH", text));
  }
  if (reply.t === one.expected) return end(ctx, one, reply);
  if (reply.t !== "error")
    return end(ctx, one, new VolleyError("INTERNAL", `the scheduler answered ${what} with ${JSON.stringify(reply.t)}`));
  const failure = fromWireError(reply.error);
  return askAgain.has(failure.code) ? onFailure(ctx, one, failure) : end(ctx, one, failure);
}

export function onUnanswered(ctx: Context, id: number, error: VolleyError): Ended | undefined {
  const one = ctx.state.asks.get(id);
  if (!one) return undefined;
  return notThere.has(error.code) || askAgain.has(error.code) ? onFailure(ctx, one, error) : end(ctx, one, error);
}

function end(ctx: Context, one: Ask, answer: ClientReply | VolleyError): Ended {
  ctx.state.asks.delete(one.ask);
  return { purpose: one.purpose, answer };
}

/** After a pause once more, if there is time. */
function onFailure(ctx: Context, one: Ask, failure: VolleyError): Ended | undefined {
  const { nowMs, state } = ctx;
  // Time in which this process stood still was nobody's time to answer: the answer may be here, unread.
  const stillMs = nowMs - one.triedAtMs - one.triedForMs;
  if (stillMs > stoodStillMs) one.deadlineMs += stillMs;
  if (nowMs + one.pauseMs >= one.deadlineMs) return end(ctx, one, absence(one.request.t, one.timeoutMs, failure));
  state.timers.add(nowMs + one.pauseMs, { w: "ask", ask: one });
  one.pauseMs = Math.min(one.pauseMs * 2, pauseMsMax);
  return undefined;
}

function absence(what: string, timeoutMs: number, cause: VolleyError): VolleyError {
  const within = `${JSON.stringify(what)} within ${timeoutMs} ms`;
  if (cause.code === "NO_LISTENER" || cause.code === "NO_SCHEDULER")
    return new VolleyError(
      "NO_SCHEDULER",
      `no scheduler answered ${within}; start one with "volley up" or "volley scheduler"`,
      { cause },
    );
  if (cause.code === "DISCONNECTED")
    return new VolleyError(
      "DISCONNECTED",
      `no connection to NATS for ${within}; check that the server of VOLLEY_URL runs`,
      { cause },
    );
  if (cause.code === "TIMEOUT")
    return new VolleyError("TIMEOUT", `no answer to ${within}; the scheduler listens but does not answer`, { cause });
  return cause;
}
