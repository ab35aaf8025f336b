/** Jobs and workers as listings show them: `status()`, `workers()`, `GET /v1/workers`, `volley top`. */
import { z } from "zod";
import type { EngineFacts } from "../engine.js";
import { wireError } from "./results.js";
import { count, jobId, tenantId, workerId } from "./scalars.js";

export const jobState = z.enum(["running", "succeeded", "failed", "cancelled"]);
export type JobState = z.infer<typeof jobState>;
export const stageStatus = z.object({
  index: count,
  name: z.string(),
  count,
  waiting: count,
  queued: count,
  running: count,
  succeeded: count,
  failed: count,
  cancelled: count,
  /** Of the succeeded: taken from the content-addressed store without executing. */
  reused: count,
  retried: count,
});
export type StageStatus = z.infer<typeof stageStatus>;

export const jobStatus = z.object({
  job: jobId,
  name: z.string(),
  tenant: tenantId,
  durable: z.boolean(),
  state: jobState,
  submittedAtMs: count,
  endedAtMs: count.optional(),
  stages: z.array(stageStatus),
  outputs: z.array(count),
  tasks: count,
  succeeded: count,
  reused: count,
  /** Tasks committed by executing, in this job. */
  executed: count,
  retried: count,
  /** Slot time used so far, microseconds. */
  slotTimeUs: count,
  /** Bytes of all results. */
  resultBytes: count,
  error: wireError.optional(),
  /** SHA-256 hex over the digests of the outputs' tasks in order; of durable jobs that succeeded. */
  digest: z.string().optional(),
});
export type JobStatus = z.infer<typeof jobStatus>;

const short = (most: number) => z.string().min(1).max(most);
export const engineFacts = z.object({
  runtime: short(64),
  v8: short(64),
  arch: short(32),
}) satisfies z.ZodType<EngineFacts>;

export const workerStatus = z.object({
  worker: workerId,
  node: z.string(),
  pid: count,
  /** Volley's version, and what executes the code there; absent of a worker of an older version, which does not say. */
  volley: z.string().optional(),
  engine: engineFacts.optional(),
  slots: count,
  slotsBusy: count,
  leases: count,
  draining: z.boolean(),
  storeBytes: count,
  storeBudgetBytes: count,
  spilledBytes: count,
  tasksDone: count,
  lastHeardMs: count,
});
export type WorkerStatus = z.infer<typeof workerStatus>;
