/** A job's state as clients are told it. */
import type { JobStatus, StageStatus } from "../../proto/messages/status.js";
import { type JobRecord, type StageRecord, tallyOf, taskState } from "./state.js";

export function stageStatusOf(stage: StageRecord): StageStatus {
  return {
    index: stage.index,
    name: stage.spec.name ?? ("bundle" in stage.spec.fn ? stage.spec.fn.export : stage.spec.fn.kernel),
    count: stage.spec.count,
    waiting: tallyOf(stage, taskState.waiting) + tallyOf(stage, taskState.retrying),
    queued: tallyOf(stage, taskState.queued),
    running: tallyOf(stage, taskState.leased),
    succeeded: tallyOf(stage, taskState.succeeded) + tallyOf(stage, taskState.shelved),
    failed: tallyOf(stage, taskState.failed),
    cancelled: tallyOf(stage, taskState.cancelled),
    reused: stage.reused,
    retried: stage.retried,
  };
}

/** A session may have very many stages: its status lists the newest only. */
export const stagesListedMax = 1_000;

function newest(job: JobRecord, most: number): StageStatus[] {
  const stages: StageStatus[] = [];
  let skip = job.stages.size - most;
  if (skip >= job.stages.size) return stages;
  for (const stage of job.stages.values()) if (--skip < 0) stages.push(stageStatusOf(stage));
  return stages;
}

export function jobStatusOf(job: JobRecord, stagesMax = stagesListedMax): JobStatus {
  return {
    job: job.id,
    name: job.name,
    tenant: job.tenant,
    durable: job.kind === "durable",
    state: job.state,
    submittedAtMs: job.submittedAtMs,
    ...(job.endedAtMs === undefined ? {} : { endedAtMs: job.endedAtMs }),
    stages: newest(job, stagesMax),
    outputs: job.kind === "durable" ? [...job.outputs] : [],
    tasks: job.tasks,
    succeeded: (job.tally[taskState.succeeded] as number) + (job.tally[taskState.shelved] as number),
    reused: job.reused,
    executed: job.executed,
    retried: job.retried,
    slotTimeUs: job.slotTimeUs,
    resultBytes: job.resultBytes,
    ...(job.error ? { error: job.error } : {}),
    ...(job.kind === "durable" && job.digest.d === "known" ? { digest: job.digest.digest } : {}),
  };
}
