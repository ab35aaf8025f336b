/** Tries that failed, and when they are made again (I8); timers that are due. */
import { errorCatalogue, type WireError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import { isQuarantined } from "./departed.js";
import { failTasks, requeue } from "./progress.js";
import { write } from "./records.js";
import { claimPatienceMs, takeShared } from "./resume.js";
import { needRoom } from "./room.js";
import { failureRecordOf } from "./stage.js";
import { type Context, type StageRecord, setStates, taskState } from "./state.js";

/** Failures reported by workers that are not the function's own are retried this often. */
export const infraFailuresMax = 10;
/** They are so at every try. */
const definite: ReadonlySet<WireError["code"]> = new Set(["FUNCTION_NOT_FOUND", "TASK_UNSERIALIZABLE", "TOO_LARGE"]);

/**
 * Failures whose class says "never" are the function's own and spend its retries; the others are infrastructure (I8).
 */
export function onFailure(ctx: Context, stage: StageRecord, from: number, to: number, error: WireError): void {
  const users = errorCatalogue[error.code].retry === "never";
  for (let task = from; task < to; task++) {
    if (stage.states.at(task) !== taskState.leased) continue;
    const failureRecord = failureRecordOf(stage, task);
    failureRecord.lastError = error;
    const failures = users ? failureRecord.userFailures : ++failureRecord.infraFailures;
    const { neededBytes } = error.code === "OUT_OF_MEMORY" ? (error.details ?? {}) : {};
    if (
      typeof neededBytes === "number" &&
      !needRoom(ctx, stage, neededBytes, task, task + 1, `the result of task ${task} takes`)
    )
      continue;
    const final =
      definite.has(error.code) || (users ? failures >= stage.spec.options.retries : failures > infraFailuresMax);
    if (final) {
      failTasks(ctx, stage, task, task + 1, error);
      continue;
    }
    if (users)
      write(ctx, { k: "retry", job: stage.job.id, stage: stage.index, task, error }, stage.job.kind === "durable");
    ctx.out.push({ c: "count", metric: "tasks_retried", by: 1, tenant: stage.job.tenant });
    failureRecord.attempts++;
    retryLater(ctx, stage, task, failures);
  }
}

/** Exponential backoff with jitter of ±25 %, drawn from task and attempt, since the core draws no random numbers. */
export function retryLater(ctx: Context, stage: StageRecord, task: number, failures: number): void {
  const { state } = ctx;
  if (stage.job.state !== "running") return;
  const base = Math.min(limits.retryBackoffMsMax, limits.retryBackoffMsFirst * 2 ** Math.min(failures, 20));
  const jitter = ((Math.imul(task + 1, 2_654_435_761) ^ Math.imul(failures + 1, 40_503)) >>> 0) / 2 ** 32;
  setStates(state, stage, task, task + 1, taskState.retrying);
  state.retries.add(state.nowMs + base * (0.75 + 0.5 * jitter), { stage, task });
}

/** Timers that are due: their tasks may be leased again. */
export function onRetryTimers(ctx: Context): void {
  const { state } = ctx;
  for (let due = state.retries.take(state.nowMs); due; due = state.retries.take(state.nowMs)) {
    const { stage, task } = due;
    if (stage.states.at(task) !== taskState.retrying) continue;
    const claimed = stage.failureRecords.get(task)?.claimed;
    if (claimed && takeShared(ctx, stage, task)) continue;
    if (claimed && (claimed.silence || state.listenedMs - claimed.at < claimPatienceMs(stage)))
      state.retries.add(state.nowMs + limits.heartbeatIntervalMs, due);
    else if (claimed && stage.spec.options.pure) {
      // resume.ts: nobody has it. It is made again, and must be what was shown.
      Object.assign(failureRecordOf(stage, task), { claimed: undefined, expected: claimed.stored.digest });
      ctx.out.push({ c: "count", metric: "objects_recomputed", by: 1, tenant: stage.job.tenant });
      requeue(ctx, stage, task, task + 1);
    } else if (claimed) {
      // A second execution could give a second value.
      failTasks(ctx, stage, task, task + 1, {
        code: "OBJECT_LOST",
        message: `the result of task ${task} of stage ${stage.index} was made before the scheduler restarted, and no worker holds it any more; submit it again`,
      });
    } else if (!isQuarantined(ctx, stage, task)) requeue(ctx, stage, task, task + 1);
  }
}
