/**
 * Stages leave.
 *
 * S1 They leave in the order of their indexes, all of one tick in as few messages as their bytes allow; a stage waits
 *    for its uploads and for the stages it reads.
 * S2 A stage's specification is kept until every result is here: it is sent again after a reconnect, when the scheduler
 *    says that it does not know it (SESSION_LOST of that stage), and after the session was opened again (M1).
 * S6 At most a window of stages and bytes is at the scheduler unsettled; the rest waits here, in order (window.ts).
 */
import { argsBytes } from "../proto/args.js";
import type { WireError } from "../proto/errors.js";
import { stageBaseOf } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { StageSpec } from "../proto/messages/stage.js";
import type { NewStage } from "./events.js";
import { need } from "./needs.js";
import { failAll } from "./settling.js";
import {
  type Context,
  newStage,
  type OpenState,
  type PutRecord,
  type SessionState,
  type StageRecord,
} from "./state.js";

const specHeadBytes = 320;
/** Stages the scheduler says it does not know are sent again this often. */
const resendsMax = 5;
const resendPauseMs = 50;

/** Bytes of a specification in a message, about. */
export const specBytes = (spec: StageSpec): number => specHeadBytes + argsBytes(spec.args);

export function onBegan({ state }: Context, index: number): void {
  // What grows is not pure: its base follows from its place.
  if (!state.stages.has(index)) state.stages.set(index, newStage(index, stageBaseOf(state.options.session, index)));
}

export function onSubmitted(ctx: Context, { index, spec, base, reads, puts }: NewStage): void {
  const { state } = ctx;
  const stage = state.stages.get(index) ?? newStage(index, base);
  if (stage.state.s !== "growing") return;
  state.stages.set(index, stage);
  stage.base = base;
  stage.count = spec.count;
  stage.results.setCount(spec.count);
  const needed = puts.map((put) => state.puts.get(put)).filter((put) => put !== undefined);
  const open: OpenState = {
    s: "open",
    spec,
    reads: reads.map((read) => state.stages.get(read)).filter((read) => read !== undefined),
    puts: needed,
    uploads: 0,
    sentAtMs: 0,
    resends: 0,
    at: "sent",
    readUnseen: [],
  };
  stage.state = open;
  for (const read of open.reads) read.readers++;
  for (const put of needed) awaitPut(ctx, stage, open, put);
  queue(state, stage, open);
}

function awaitPut(ctx: Context, stage: StageRecord, open: OpenState, put: PutRecord): void {
  need(ctx, put);
  const { p } = put.state;
  if ((p !== "restoring" && p !== "placing") || put.waiting.has(stage)) return;
  open.uploads++;
  put.waiting.add(stage);
}

/** A stage that had begun and cannot be built: its one task ends with the error. */
export function onUnbuilt(ctx: Context, index: number, error: WireError): void {
  const stage = ctx.state.stages.get(index);
  if (stage?.state.s !== "growing") return;
  stage.count = 1;
  stage.results.setCount(1);
  failAll(ctx, stage, error);
}

/** An upload that stages wait for has ended. */
export function onPutDone(ctx: Context, put: PutRecord, error: WireError | undefined): void {
  const waiting = [...put.waiting];
  put.waiting.clear();
  for (const stage of waiting) {
    if (stage.state.s !== "open") continue;
    stage.state.uploads--;
    if (error) failAll(ctx, stage, error);
    else if (stage.state.uploads === 0) ctx.due.send = true;
  }
}

function queue(state: SessionState, stage: StageRecord, open: OpenState): void {
  if (open.at === "outbox") return;
  open.at = "outbox";
  const last = state.outbox.at(-1);
  state.outbox.push(stage);
  if (last && last.index > stage.index) state.outbox.sort((a, b) => a.index - b.index);
}

/** The scheduler has no such stage, and what is open of it is to go out once more. */
export function sendOnceMore(ctx: Context, stage: StageRecord): void {
  stage.sentIn = 0;
  if (stage.state.s === "open") queue(ctx.state, stage, stage.state);
  ctx.due.send = true;
}

/** After a reconnect, and when the session was opened anew. Of what has results the scheduler that sent them knows. */
export function resendIncomplete(ctx: Context): void {
  const { state } = ctx;
  state.window.forgetHeld();
  state.outbox = [];
  for (const stage of state.stages.values()) {
    const open = stage.state;
    if (open.s !== "open") continue;
    if (open.at === "sent" && stage.sentIn === state.opening && stage.results.settled > 0) continue;
    open.at = "outbox";
    state.outbox.push(stage);
  }
  state.outbox.sort((a, b) => a.index - b.index);
  ctx.due.send = true;
}

/** The scheduler does not know the stage: it is sent again, a few times. */
export function onUnknown(ctx: Context, stage: StageRecord, error: WireError): void {
  const open = stage.state;
  if (open.s !== "open" || open.at === "outbox" || ctx.state.restoring.queue.has(stage)) return;
  if (++open.resends > resendsMax) {
    failAll(ctx, stage, error);
    return;
  }
  queue(ctx.state, stage, open);
  ctx.state.timers.add(ctx.nowMs + resendPauseMs * open.resends, { w: "send" });
}

/** The scheduler says that it does not know what the stage reads: both go out once more, a few times. */
export function sendAgainWithReads(ctx: Context, stage: StageRecord): boolean {
  const open = stage.state;
  if (open.s !== "open" || ++open.resends > resendsMax) return false;
  for (const read of open.reads) sendOnceMore(ctx, read);
  queue(ctx.state, stage, open);
  ctx.state.timers.add(ctx.nowMs + resendPauseMs * open.resends, { w: "send" });
  return true;
}

/** S1. What can go goes. */
export function send(ctx: Context): void {
  const { state } = ctx;
  if (state.phase.p !== "open" || state.link !== "up") return;
  const taken = state.window.take();
  const ready = taken.length > 0 ? [...taken, ...state.outbox] : state.outbox;
  if (ready.length === 0) return;
  const held: StageRecord[] = [];
  let batch: StageSpec[] = [];
  let bytes = 0;
  state.outbox = held;
  for (const [i, stage] of ready.entries()) {
    if (stage.state.s !== "open") continue;
    const open = stage.state;
    const when = whenSendable(ctx, stage, open);
    if (when !== "now") {
      open.at = when === "later" ? "outbox" : "sent";
      if (when === "later") held.push(stage);
      continue;
    }
    if (state.window.isFull && !state.window.has(stage)) {
      open.at = "behind";
      state.window.hold(stage, i < taken.length);
      continue;
    }
    const size = specBytes(open.spec);
    state.window.add(stage, size);
    if (bytes + size > limits.messageBytesMax && batch.length > 0) {
      publish(ctx, batch);
      batch = [];
      bytes = 0;
    }
    batch.push(open.spec);
    bytes += size;
    open.at = "sent";
    onRestored(ctx, stage);
  }
  if (batch.length > 0) publish(ctx, batch);
}

/** The scheduler has been told of it, or the message is on its way. */
export function onRestored({ state, nowMs }: Context, stage: StageRecord): void {
  stage.sentIn = state.opening;
  if (stage.state.s === "open") stage.state.sentAtMs = nowMs;
}

/**
 * Whether the stage can go out as it is. "never": it is told to the scheduler otherwise, or has ended, for it cannot be
 * sent at all. What must be told before is queued for that.
 */
function whenSendable(ctx: Context, stage: StageRecord, { uploads, reads }: OpenState): "now" | "later" | "never" {
  const { state } = ctx;
  const { queue: restoring } = state.restoring;
  if (restoring.has(stage)) return "never";
  if (uploads > 0) return "later";
  let when: "now" | "later" = "now";
  for (const read of reads) {
    if (read.sentIn === state.opening) continue;
    when = "later";
    if (read.state.s !== "settled") continue;
    if (read.state.untold) {
      // Not as an answer of the scheduler: sending again (S2) would not find the inputs either.
      failAll(ctx, stage, {
        code: "SESSION_LOST",
        message: `the scheduler restarted and an input of this task is not there any more: ${read.state.untold.message}`,
      });
      return "never";
    }
    restoring.add(read);
    ctx.due.emit = true;
  }
  if (when === "later" || stage.results.settled === 0) return when;
  // Partly settled: as what it is, and not whole.
  restoring.add(stage);
  ctx.due.emit = true;
  return "never";
}

function publish({ state, out }: Context, stages: StageSpec[]): void {
  const { session, client } = state.options;
  out.push({ c: "publish", message: { t: "stages", session, client, stages } });
}

/** The transport did not take them: over its limit, or closed. One stage too many must not fail the others. */
export function onUnsent(ctx: Context, indexes: readonly number[], error: WireError): void {
  for (const index of indexes) {
    const stage = ctx.state.stages.get(index);
    if (stage?.state.s !== "open") continue;
    if (indexes.length > 1) publish(ctx, [stage.state.spec]);
    else failAll(ctx, stage, error);
  }
}
