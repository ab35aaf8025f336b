/**
 * Tells a scheduler that does not know them (it restarted, or gave the session up) of stages of which this client was
 * shown results.
 *
 * S3 What this client was shown stays (I1): a scheduler that does not know a stage is told its results before anything
 *    that reads them is sent, and executes only what is open. So nothing can read a second execution of what was shown.
 *    Large results are named; the workers that hold them tell the scheduler where.
 * R1 Stages are told in the order of their indexes, so that what one reads is known before it.
 * R2 Every page is repeated until it is answered; the order and the answers make it safe to begin again at any point.
 */
import { type ErrorCode, isVolleyError, toWireError, type VolleyError } from "../proto/errors.js";
import type { ClientReply } from "../proto/messages/client.js";
import { ask } from "./asks.js";
import { lose } from "./liveness.js";
import { pagesOf, splitPage } from "./pages.js";
import { onRestored, sendAgainWithReads } from "./sending.js";
import { failAll } from "./settling.js";
import type { Context, Page } from "./state.js";

/** Faults of the way there: the next turn tries again. */
const passing: ReadonlySet<ErrorCode> = new Set([
  "NO_SCHEDULER",
  "DISCONNECTED",
  "TIMEOUT",
  "STALE_EPOCH",
  "FENCED",
  "NO_LISTENER",
  "CLOSED",
]);

/** Tells what there is to tell, unless it is doing so. */
export function emit(ctx: Context): void {
  const { state } = ctx;
  if (state.restoring.run || state.phase.p !== "open") return;
  restoreNext(ctx);
}

function restoreNext(ctx: Context): void {
  const { state } = ctx;
  const { restoring } = state;
  for (;;) {
    if (restoring.run && restoring.run.opening !== state.opening) restoring.run = undefined;
    if (restoring.queue.size === 0) {
      // Everything that was to be told has been: what reads it may go.
      if (restoring.run) ctx.due.send = true;
      restoring.run = undefined;
      return;
    }
    const ordered = [...restoring.queue].sort((a, b) => a.index - b.index);
    restoring.run ??= { opening: state.opening, pages: pagesOf(ordered), split: [] };
    const page = restoring.run.split.shift() ?? (restoring.run.pages.next().value as Page | undefined);
    if (page) {
      const { session, client } = state.options;
      const purpose = { w: "resume", page, opening: state.opening } as const;
      ask(ctx, { t: "resume", session, client, stages: page.stages }, "ok", purpose);
      return;
    }
    restoring.run = undefined;
    ctx.due.send = true;
  }
}

export function onTaken(ctx: Context, page: Page, opening: number, answer: ClientReply | VolleyError): void {
  const { state } = ctx;
  const { restoring } = state;
  // What was told in an earlier opening is void.
  if (opening !== state.opening || state.phase.p !== "open") {
    restoring.run = undefined;
    ctx.due.emit = true;
    return;
  }
  if (!isVolleyError(answer)) {
    for (const stage of page.ends) if (restoring.queue.delete(stage)) onRestored(ctx, stage);
  } else if (answer.code === "JOB_NOT_FOUND" || passing.has(answer.code)) {
    restoring.run = undefined;
    if (answer.code === "JOB_NOT_FOUND") lose(ctx);
    return;
  } else if (page.stages.length > 1) {
    // One that is refused must not keep the others from being told.
    restoring.run?.split.unshift(...splitPage(page));
  } else onRefused(ctx, page, answer);
  restoreNext(ctx);
}

function onRefused(ctx: Context, page: Page, error: VolleyError): void {
  const index = page.stages[0]?.spec.index;
  const stage = page.ends[0] ?? (index === undefined ? undefined : ctx.state.stages.get(index));
  if (!stage || !ctx.state.restoring.queue.delete(stage)) return;
  // What it reads was sent without an answer, and may have been lost on its way.
  if (error.code === "INVALID_GRAPH" && sendAgainWithReads(ctx, stage)) return;
  if (stage.state.s === "settled") stage.state.untold = toWireError(error);
  else failAll(ctx, stage, toWireError(error));
  ctx.due.send = true;
}
