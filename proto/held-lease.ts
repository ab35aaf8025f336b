/** A lease as the worker that holds it tells of it. */
import { z } from "zod";
import { leaseId, u32 } from "./wire-scalars.js";

export const heldLease = z.object({
  lease: leaseId,
  /** First task not yet finished; tasks before it are committed or in an unacknowledged commit. */
  next: u32,
  to: u32,
  /** A slot is executing task `next`. */
  running: z.boolean(),
  /** What it needs before it can run: its inputs and code are on their way, or wait for room in the object store. */
  waits: z.enum(["inputs", "memory"]).optional(),
});
export type HeldLease = z.infer<typeof heldLease>;
