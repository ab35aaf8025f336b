/** Results arrive, stages end and are given back. */
import type { WireError } from "../proto/errors.js";
import type { ResultSegment } from "../proto/messages/results.js";
import { unneed } from "./needs.js";
import type { TaskRun } from "./results.js";
import { markReads } from "./shown-inputs.js";
import type { Context, StageRecord } from "./state.js";

/** Takes the segment's results as far as they are news (I1). */
export function accept(ctx: Context, stage: StageRecord, segment: ResultSegment): void {
  let fresh: readonly TaskRun[];
  try {
    fresh = stage.results.accept(segment);
  } catch (error) {
    ctx.out.push({ c: "fault", error }); // Dropped; the next heartbeat asks for it again.
    return;
  }
  for (const { from, to } of fresh)
    ctx.out.push({ c: "settled", index: stage.index, from, to, failed: segment.r === "failed" });
  if (stage.results.complete) onComplete(ctx, stage);
}

/** Tasks [from, to) end with this error, unless they have ended. */
export function fail(ctx: Context, stage: StageRecord, { from, to }: TaskRun, error: WireError): void {
  accept(ctx, stage, { r: "failed", stage: stage.index, from, to, error });
}

/** What is open of the stage ends with this error. */
export const failAll = (ctx: Context, stage: StageRecord, error: WireError): void =>
  fail(ctx, stage, { from: 0, to: stage.count }, error);

/** What made it is not needed any more. */
function onComplete(ctx: Context, stage: StageRecord): void {
  const { state } = stage;
  if (state.s === "settled") return;
  if (state.s === "growing") {
    stage.state = { s: "settled", callee: undefined, untold: undefined };
  } else {
    markReads(stage);
    const { fn, name, options } = state.spec;
    stage.state = {
      s: "settled",
      callee: { fn, ...(name === undefined ? {} : { name }), options },
      untold: undefined,
    };
    for (const put of state.puts) {
      put.waiting.delete(stage);
      unneed(ctx, put);
    }
    for (const read of state.reads) {
      read.readers--;
      releaseIfGone(ctx, read);
    }
    if (ctx.state.window.settle(stage)) ctx.due.send = true;
  }
  releaseIfGone(ctx, stage);
}

/** No ref of it is left. */
export function onReleased(ctx: Context, stage: StageRecord): void {
  stage.refs = "gone";
  releaseIfGone(ctx, stage);
}

/** It goes when it has ended, and nothing reads it or can. */
function releaseIfGone({ state }: Context, stage: StageRecord): void {
  if (stage.refs === "held" || stage.readers > 0 || stage.state.s !== "settled") return;
  if (state.stages.delete(stage.index)) state.released.push(stage.index);
}
