/** msgpack for messages: bytes are capped before decoding, the schema is checked after. */
import { Packr } from "msgpackr";
import type { z } from "zod";
import { VolleyError } from "./errors.js";

const packr = new Packr({
  useRecords: false,
  encodeUndefinedAsNil: false,
  moreTypes: false,
  largeBigIntToFloat: false,
});

/** Messages from inside the cluster may be as large as NATS lets through; beyond this it is not one of ours. */
const decodeBytesMax = 64 * 1024 * 1024;

/** Encodes a message. The result owns its memory. */
export function encodeMessage(message: unknown): Uint8Array {
  return packr.pack(message);
}

/** Decodes what this process or its predecessors wrote and a digest vouches for. */
export const decodeRaw = (data: Uint8Array): unknown => packr.unpack(data);

/** Decodes and validates. Throws INVALID_ARGUMENT with the path of the first fault, TOO_LARGE past the cap. */
export function decodeMessage<S extends z.ZodType>(schema: S, data: Uint8Array): z.infer<S> {
  if (data.byteLength > decodeBytesMax)
    throw new VolleyError("TOO_LARGE", `message of ${data.byteLength} bytes is over the limit of ${decodeBytesMax}`);
  let raw: unknown;
  try {
    raw = packr.unpack(data);
  } catch (cause) {
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `message of ${data.byteLength} bytes is not msgpack: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
  }
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path.join(".") ?? "";
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `message field ${path === "" ? "(root)" : path}: ${issue?.message ?? "invalid"}`,
    { details: { path } },
  );
}
