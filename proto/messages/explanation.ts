/** Why a task is where it is, and what happened to it: the answer to `explain`; and to `story`. */
import { z } from "zod";
import { count, jobId, leaseId, u32, workerId } from "./scalars.js";

/** One thing that happened, and why. */
export const storyLine = z.object({
  /** 0: before this scheduler began. */
  atMs: count,
  text: z.string(),
  /** The event that this scheduler took in, by its number, as its log and its captures name it; and what it was. */
  cause: z.string(),
  worker: workerId.optional(),
  lease: leaseId.optional(),
  /** How many tasks it happened to together. */
  tasks: count.optional(),
});
export type StoryLine = z.infer<typeof storyLine>;

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
  /** The last that happened to it, oldest first, as far as it is kept. */
  story: z.array(storyLine).optional(),
});
export type Explanation = z.infer<typeof explanation>;
