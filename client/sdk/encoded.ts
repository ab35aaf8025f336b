/** Values as they travel: their encoded bytes with the kind of encoding, whole or in pieces. */
import { equalBytes, RunningDigest } from "../../proto/digest.js";
import type { BlobContent } from "../../proto/durable/durable.js";
import { VolleyError } from "../../proto/errors.js";
import type { ObjectId } from "../../proto/ids.js";
import { decodeValue, type EncodedValue, type ValueKind, valueKind } from "../../proto/values/value.js";
import type { EncodedContent } from "./api.js";

export const contentOf = ({ kind, data }: EncodedValue): EncodedContent => ({
  kind,
  bytes: data.byteLength,
  pieces: async function* () {
    yield data;
  },
});

const kindNames: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(valueKind).map(([name, kind]) => [kind, name]),
);
const streamStart = Buffer.from([0xff, 0xff, 0xff, 0xff]);
const fileStart = Buffer.from("ARROW1");

/**
 * Reads bytes that somebody else has encoded, as others will. They stand in memory of their own, as Arrow has to.
 * Throws CORRUPT if they are not of that kind.
 */
export function checkEncoded({ kind, data }: EncodedValue): void {
  const what = `${data.byteLength} bytes said to be of kind ${kindNames[kind] ?? String(kind)}`;
  if (kindNames[kind] === undefined)
    throw new VolleyError("INVALID_ARGUMENT", `kind is ${String(kind)}; expected one of valueKind`);
  if (kind === valueKind.undefined && data.byteLength > 0)
    throw new VolleyError("CORRUPT", `${what}: undefined has no bytes`);
  if (kind === valueKind.arrow) {
    const start = Buffer.from(data.buffer, data.byteOffset, Math.min(8, data.byteLength));
    if (start.subarray(0, fileStart.byteLength).equals(fileStart))
      throw new VolleyError("CORRUPT", `${what} are an Arrow file; write it as a stream, or put tableFromIPC(bytes)`);
    if (!start.subarray(0, streamStart.byteLength).equals(streamStart))
      throw new VolleyError("CORRUPT", `${what} do not begin as an Arrow stream does`);
  }
  try {
    decodeValue({ kind, data });
  } catch (error) {
    throw new VolleyError("CORRUPT", `${what} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** What the durable store has of an object, of which the last piece comes only if all have the object's digest. */
export const storedContent = (
  id: ObjectId,
  kind: ValueKind,
  digest: Uint8Array,
  stored: BlobContent,
): EncodedContent => ({
  kind,
  bytes: stored.bytes,
  pieces: async function* () {
    const running = new RunningDigest(kind);
    let held: Uint8Array | undefined;
    for await (const piece of stored.pieces()) {
      if (held) yield held;
      running.add(piece);
      held = piece;
    }
    if (!equalBytes(running.end(), digest))
      throw new VolleyError("CORRUPT", `object ${id} in the durable store does not have the digest of its commit`);
    if (held) yield held;
  },
});
