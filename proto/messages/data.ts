/**
 * Messages of the data plane: requests between peers on subjects.data(peer). The bytes themselves travel as frames
 * (frames/frame.ts).
 */
import { z } from "zod";
import { wireError } from "./results.js";
import { bytes, count, objectId } from "./scalars.js";
import { valueKind } from "./stage.js";

export const dataRequest = z.discriminatedUnion("t", [
  /**
   * Send object `id` as stream `stream` to `to`, an id of a frame peer. Answered at once with its size, or an error.
   * `digest`: that content or none. `suspect`: what came before did not have it, so the holder checks its own bytes
   * first. `digested`: who asks compares the digest of the whole, so that frames need no checksum of their own.
   */
  z.object({
    t: z.literal("get"),
    id: objectId,
    stream: z.string().max(64),
    to: z.string().max(64),
    digest: bytes.optional(),
    suspect: z.boolean().optional(),
    digested: z.boolean().optional(),
  }),
  /**
   * Offers an object. Answered with the stream to send it on, or `have`, or an error. Without `id` and `digest` it is
   * named by what lands, and the stream's end says the digest.
   */
  z.object({
    t: z.literal("put"),
    id: objectId.optional(),
    kind: valueKind,
    bytes: count,
    digest: bytes.optional(),
    from: z.string().max(64),
  }),
]);
export type DataRequest = z.infer<typeof dataRequest>;

export const dataReply = z.discriminatedUnion("t", [
  z.object({ t: z.literal("error"), error: wireError }),
  z.object({ t: z.literal("sending"), kind: valueKind, bytes: count, digest: bytes }),
  z.object({ t: z.literal("send"), stream: z.string().max(64), to: z.string().max(64) }),
  z.object({ t: z.literal("have") }),
]);
export type DataReply = z.infer<typeof dataReply>;
