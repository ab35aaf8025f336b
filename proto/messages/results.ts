/** Results as messages carry them: runs of tasks with values, particulars or an error; and where objects are. */
import { z } from "zod";
import { type ErrorCode, isErrorCode } from "../errors.js";
import { bytes, count, objectId, u32, workerId } from "./scalars.js";
import { valueKind } from "./stage.js";

export const wireError = z.object({
  code: z.custom<ErrorCode>(isErrorCode, { error: "expected a code of the error catalogue" }),
  message: z.string(),
  stack: z.string().optional(),
  thrown: z
    .string()
    .max(64 * 1024)
    .optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

/**
 * The particulars of one result that is too large to travel inline. digest: the first 16 bytes of SHA-256 over kind
 * byte and payload.
 */
export const storedResult = z.object({ bytes: count, kind: valueKind, digest: bytes });
export type StoredResult = z.infer<typeof storedResult>;

/**
 * A run of tasks [from, to) of one stage with results of one form. `digests`: 16 bytes a task, present for durable
 * jobs.
 */
export const resultSegment = z.discriminatedUnion("r", [
  z.object({ r: z.literal("inline"), stage: count, from: u32, to: u32, pack: bytes, digests: bytes.optional() }),
  z.object({ r: z.literal("stored"), stage: count, from: u32, to: u32, stored: z.array(storedResult) }),
  z.object({ r: z.literal("failed"), stage: count, from: u32, to: u32, error: wireError }),
]);
export type ResultSegment = z.infer<typeof resultSegment>;

/** Where the bytes of an object are. */
export const objectLocation = z.object({
  id: objectId,
  state: z.enum(["ready", "pending", "failed", "unknown"]),
  kind: valueKind.optional(),
  bytes: count.optional(),
  digest: bytes.optional(),
  inline: bytes.optional(),
  workers: z.array(workerId).optional(),
  /** It is in the durable store under its id. */
  durable: z.boolean().optional(),
  error: wireError.optional(),
});
export type ObjectLocation = z.infer<typeof objectLocation>;
