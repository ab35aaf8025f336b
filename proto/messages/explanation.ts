/** Why a task is where it is: the answer to `explain`. */
import { z } from "zod";
import { count, jobId, leaseId, u32, workerId } from "./scalars.js";

export const explanation = z.object({
  job: jobId,
  stage: count,
  task: u32,
  state: z.enum(["waiting", "queued", "leased", "running", "retrying", "succeeded", "failed", "cancelled"]),
  /** Machine-readable: listed in docs/ARCHITECTURE.md. */
  reason: z.string(),
  text: z.string(),
  attempt: count,
  worker: workerId.optional(),
  lease: leaseId.optional(),
  unmet: z.array(z.object({ stage: count, missing: count })).optional(),
  retryInMs: count.optional(),
  queueAhead: count.optional(),
});
export type Explanation = z.infer<typeof explanation>;
