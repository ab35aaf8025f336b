/** Ends those of a stage's tasks that have not ended: at the scheduler, or here if it has not heard of them. */
import { isVolleyError, VolleyError, type WireError } from "../proto/errors.js";
import { limits } from "../proto/limits.js";
import type { ClientReply } from "../proto/messages/client.js";
import { ask } from "./asks.js";
import { lose } from "./liveness.js";
import { sendOnceMore } from "./sending.js";
import { fail } from "./settling.js";
import type { Cancel, Context } from "./state.js";

const cancelled: WireError = { code: "CANCELLED", message: "cancelled by its owner" };
const lookAgainMs = 20;

export function onCancel(ctx: Context, given: Omit<Cancel, "deadlineMs">): void {
  const cancel = { ...given, deadlineMs: ctx.nowMs + limits.requestTimeoutMs };
  ctx.state.cancels.set(cancel.cancel, cancel);
  tryCancel(ctx, cancel);
}

export function tryCancel(ctx: Context, cancel: Cancel): void {
  const { state, nowMs } = ctx;
  if (!state.cancels.has(cancel.cancel)) return;
  const { index: stage, from, to } = cancel;
  const record = state.stages.get(stage);
  const over = state.phase.p === "closing" || state.phase.p === "closed";
  const open = record && !over ? [...record.results.open(from, Math.min(to, record.count))] : [];
  if (!record || open.length === 0) end(ctx, cancel, undefined);
  else if (state.restoring.queue.has(record)) {
    if (nowMs <= cancel.deadlineMs) state.timers.add(nowMs + lookAgainMs, { w: "cancel", cancel });
    else {
      const text = `the scheduler could not be told of stage ${stage} within ${limits.requestTimeoutMs} ms`;
      end(ctx, cancel, new VolleyError("TIMEOUT", text));
    }
  } else if (state.phase.p !== "open" || record.sentIn !== state.opening) {
    // The scheduler has not heard of it, and what is ended here is not sent (S3).
    for (const run of open) fail(ctx, record, run, cancelled);
    end(ctx, cancel, undefined);
  } else ask(ctx, { t: "cancel", job: state.options.session, stage, from, to }, "cancelled", { w: "cancel", cancel });
}

export function onCancelReply(ctx: Context, cancel: Cancel, answer: ClientReply | VolleyError): void {
  if (isVolleyError(answer) && answer.code !== "JOB_NOT_FOUND") end(ctx, cancel, answer);
  else if (!isVolleyError(answer) && answer.t === "cancelled" && answer.known) end(ctx, cancel, undefined);
  else {
    // It did not know the stage, and will not hear of these tasks.
    if (isVolleyError(answer)) lose(ctx);
    const stage = ctx.state.stages.get(cancel.index);
    if (stage) sendOnceMore(ctx, stage);
    tryCancel(ctx, cancel);
  }
}

function end({ state, out }: Context, { cancel }: Cancel, error: VolleyError | undefined): void {
  if (state.cancels.delete(cancel)) out.push({ c: "cancelled", cancel, error });
}
