/**
 * The step: one event in, commands out. The only place from which the session's state changes; no clock, no timers, no
 * randomness, no I/O.
 */
import { isVolleyError, VolleyError } from "../proto/errors.js";
import type { ClientReply, ClientReplyOf, ClientUpdate } from "../proto/messages/client.js";
import { ask, type Ended, onReply, onUnanswered, tryAsk } from "./asks.js";
import { onCancel, onCancelReply, tryCancel } from "./cancels.js";
import type { SessionCommand, SessionEvent } from "./events.js";
import { askLocations, locate, lookAgain, onFetched, onGet, onGetEnded, onLocated } from "./gets.js";
import { onHeartbeatOver, onListed } from "./heartbeat.js";
import { askOpen, lose, onEngine, onOpenReply, onReopened, onSentAgain, received, sendPut } from "./liveness.js";
import { lookAtFreshPuts, need, unneed } from "./needs.js";
import { hold, offer, onAwaited, onHeld, onMissing, onPlaced, onPut, onPutSent, onUploaded } from "./placing.js";
import { emit, onTaken } from "./restoring.js";
import { onBegan, onSubmitted, onUnbuilt, onUnknown, onUnsent, resendIncomplete, send } from "./sending.js";
import { accept, onReleased } from "./settling.js";
import type { Context, SessionState, Wake } from "./state.js";
import { beginTurns, turn } from "./turns.js";

const closeTimeoutMs = 1_000;

export function sessionStep(state: SessionState, event: SessionEvent, nowMs: number): SessionCommand[] {
  const ctx: Context = { state, nowMs, out: [], due: { send: false, emit: false, locate: false } };
  take(ctx, event);
  // One may give work to another: what was told lets what reads it go, and what goes may have to be told of first.
  const { due } = ctx;
  while (due.send || due.emit || due.locate) {
    const { send: sends, emit: asksHeartbeat, locate: locates } = due;
    due.send = false;
    due.emit = false;
    due.locate = false;
    if (sends) send(ctx);
    if (asksHeartbeat) emit(ctx);
    if (locates) askLocations(ctx);
  }
  return ctx.out;
}

/** When `ticked` is due; Infinity: not at all. Closed, it still ends what callers wait for. */
export function nextWakeMs({ phase, timers, asks, gets, cancels, offers }: SessionState): number {
  const waited = asks.size + gets.size + cancels.size + offers.running;
  return phase.p === "closed" && waited === 0 ? Number.POSITIVE_INFINITY : timers.nextMs;
}

function take(ctx: Context, event: SessionEvent): void {
  const { state } = ctx;
  switch (event.e) {
    case "start":
      state.link = event.up ? "up" : "down";
      if (state.phase.p !== "new") return;
      state.phase = { p: "opening" };
      askOpen(ctx, { w: "open" }, event.timeoutMs);
      return;
    case "link":
      state.link = event.up ? "up" : "down";
      if (event.up) resendIncomplete(ctx);
      return;
    case "ticked":
      for (let due = state.timers.take(ctx.nowMs); due; due = state.timers.take(ctx.nowMs)) wake(ctx, due);
      return;
    case "close":
      close(ctx);
      return;
    case "update":
      onUpdate(ctx, event.update);
      return;
    case "replied":
      onReplied(ctx, event.ask, event.reply);
      return;
    case "unanswered":
      onEnded(ctx, onUnanswered(ctx, event.ask, event.error));
      return;
    case "asked": {
      const { question, request, expected, timeoutMs } = event;
      ask(ctx, request, expected, { w: "question", question }, timeoutMs);
      return;
    }
    case "cancel":
      onCancel(ctx, event);
      return;
    default:
      takeWork(ctx, event);
  }
}

type Work = Extract<SessionEvent, { e: WorkEvent }>;
type WorkEvent = Exclude<
  SessionEvent["e"],
  "start" | "link" | "ticked" | "close" | "update" | "replied" | "unanswered" | "asked" | "cancel"
>;

/** What callers submit, put and get. */
function takeWork(ctx: Context, event: Work): void {
  const { state } = ctx;
  switch (event.e) {
    case "began":
      onBegan(ctx, event.index);
      return;
    case "submitted":
      onSubmitted(ctx, event.stage);
      return;
    case "unbuilt":
      onUnbuilt(ctx, event.index, event.error);
      return;
    case "unsent":
      onUnsent(ctx, event.indexes, event.error);
      return;
    case "released": {
      const stage = state.stages.get(event.index);
      if (stage) onReleased(ctx, stage);
      return;
    }
    case "flush":
      ctx.due.send = true;
      ctx.due.locate = true;
      lookAtFreshPuts(ctx);
      return;
    case "put":
      onPut(ctx, event.put);
      return;
    case "put-needed":
    case "put-unneeded": {
      const put = state.puts.get(event.put);
      if (put) (event.e === "put-needed" ? need : unneed)(ctx, put);
      return;
    }
    case "uploaded":
    case "upload-failed": {
      const put = state.puts.get(event.put);
      if (put) onUploaded(ctx, put, event.e === "uploaded" ? event.name : event.error);
      return;
    }
    case "get":
      onGet(ctx, event.get, event.id);
      return;
    case "get-ended":
      onGetEnded(ctx, event.get);
      return;
    case "fetched":
      onFetched(ctx, event.get, undefined);
      return;
    case "fetch-failed":
      onFetched(ctx, event.get, event.error);
      return;
    case "locate":
      locate(state, event.id, event);
      return;
  }
}

function wake(ctx: Context, due: Wake): void {
  switch (due.w) {
    case "turn":
      turn(ctx);
      return;
    case "send":
      ctx.due.send = true;
      return;
    case "ask":
      tryAsk(ctx, due.ask);
      return;
    case "offer":
      offer(ctx, due.put);
      return;
    case "hold":
      hold(ctx, due.put);
      return;
    case "send-put":
      sendPut(ctx, due.put, { w: "put", put: due.put });
      return;
    case "cancel":
      tryCancel(ctx, due.cancel);
      return;
    case "get":
      lookAgain(ctx, due.get);
      return;
  }
}

// ------------------------------------------------------------------------------------------------ from the scheduler

function onUpdate(ctx: Context, { session, epoch, segments }: ClientUpdate): void {
  const { state } = ctx;
  if (session !== state.options.session || !state.epochs.admits(epoch, ctx.nowMs)) return;
  received(ctx, epoch);
  for (const segment of segments) {
    const stage = state.stages.get(segment.stage);
    if (!stage || stage.state.s === "growing") continue;
    if (segment.r === "failed" && segment.error.code === "SESSION_LOST") onUnknown(ctx, stage, segment.error);
    else accept(ctx, stage, segment);
  }
}

function onReplied(ctx: Context, id: number, reply: ClientReply): void {
  if (!ctx.state.asks.has(id)) return;
  const counts = ctx.state.epochs.admits(reply.epoch, ctx.nowMs);
  if (counts) received(ctx, reply.epoch);
  onEnded(ctx, onReply(ctx, id, reply, counts));
}

/** Each answer to whoever asked. */
function onEnded(ctx: Context, ended: Ended | undefined): void {
  if (!ended) return;
  const { purpose, answer } = ended;
  switch (purpose.w) {
    case "open":
      onOpened(ctx, answer);
      return;
    case "reopen":
      onReopened(ctx, answer);
      return;
    case "heartbeat":
      onHeartbeat(ctx, purpose.sent, answer);
      return;
    case "close":
      onClosed(ctx);
      return;
    case "resume":
      onTaken(ctx, purpose.page, purpose.opening, answer);
      return;
    case "cancel":
      onCancelReply(ctx, purpose.cancel, answer);
      return;
    case "put":
      onPutSent(ctx, purpose.put, answer);
      return;
    case "put-again":
      onSentAgain(ctx, purpose.of, purpose.put, answer);
      return;
    case "hold-again":
      onSentAgain(ctx, purpose.of, undefined, answer);
      return;
    case "place":
      onPlaced(ctx, purpose.put, answer);
      return;
    case "hold":
      onHeld(ctx, purpose.put, answer);
      return;
    case "locate":
      onLocated(ctx, purpose.ids, purpose.askers, answer);
      return;
    case "question":
      ctx.out.push(
        isVolleyError(answer)
          ? { c: "not-answered", question: purpose.question, error: answer }
          : { c: "answered", question: purpose.question, reply: answer },
      );
  }
}

function onHeartbeat(ctx: Context, sent: Parameters<typeof onListed>[1], answer: ClientReply | VolleyError): void {
  // When it was not answered the next one tries again; S4 ends the waits if none gets through.
  if (!isVolleyError(answer) && answer.t === "heartbeat") {
    onEngine(ctx.state, answer.engine);
    onListed(ctx.state, sent);
    if (answer.missing) onMissing(ctx, answer.missing);
    if (answer.awaited) onAwaited(ctx, answer.awaited);
    if (!answer.known) lose(ctx);
  }
  onHeartbeatOver(ctx);
}

// ------------------------------------------------------------------------------------------------ opening and closing

function onOpened(ctx: Context, answer: ClientReply | VolleyError): void {
  const { state } = ctx;
  if (state.phase.p !== "opening") return;
  if (isVolleyError(answer)) {
    state.phase = { p: "closed", reason: answer };
    ctx.out.push({ c: "not-opened", error: answer });
    return;
  }
  onOpenReply(state, answer as ClientReplyOf<"opened">);
  state.opening++;
  state.phase = { p: "open" };
  beginTurns(ctx);
  ctx.due.send = true;
  ctx.out.push({ c: "opened" });
}

function close(ctx: Context): void {
  const { state } = ctx;
  if (state.phase.p === "closing" || state.phase.p === "closed") return;
  send(ctx);
  const reason = new VolleyError("CLOSED", "this connection to the cluster has been closed");
  state.phase = { p: "closing", reason };
  ctx.out.push({ c: "give-up", error: reason });
  for (const cancel of [...state.cancels.values()]) tryCancel(ctx, cancel);
  if (state.opening === 0) {
    onClosed(ctx);
    return;
  }
  const { client, session } = state.options;
  ask(ctx, { t: "close", client, session }, "ok", { w: "close" }, closeTimeoutMs);
}

function onClosed(ctx: Context): void {
  const { state } = ctx;
  if (state.phase.p !== "closing") return;
  state.phase = { p: "closed", reason: state.phase.reason };
  ctx.out.push({ c: "closed" });
}
