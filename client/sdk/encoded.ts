/** Values as they travel: their encoded bytes with the kind of encoding, whole or in pieces. */
import { equalBytes, RunningDigest } from "../../proto/digest.js";
import type { BlobContent } from "../../proto/durable/durable.js";
import { VolleyError } from "../../proto/errors.js";
import type { ObjectId } from "../../proto/ids.js";
import type { EncodedValue, ValueKind } from "../../proto/values/value.js";
import type { EncodedContent } from "./api.js";

export const contentOf = ({ kind, data }: EncodedValue): EncodedContent => ({
  kind,
  bytes: data.byteLength,
  pieces: async function* () {
    yield data;
  },
});

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
