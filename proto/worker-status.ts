/** A worker as listings show it: `workers()`, `GET /v1/workers`, `volley top`. */
import { z } from "zod";
import type { EngineFacts } from "./engine.js";
import { count, workerId } from "./wire-scalars.js";

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
