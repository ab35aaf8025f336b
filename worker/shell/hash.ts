/** Digests of large bytes on the agent's thread, in pieces, so that heartbeats are not late behind them. */
import { createHash } from "node:crypto";
import { digestBytes, equalBytes } from "../../proto/digest.js";
import { VolleyError } from "../../proto/errors.js";
import type { ObjectId } from "../../proto/ids.js";
import { nextTurn, type Runtime } from "../../proto/runtime.js";

/** About 2 ms of hashing. */
const pieceBytes = 4 * 1024 * 1024;

/** Throws CORRUPT if `data` is not what `digest` says. */
export async function checkDigest(
  runtime: Runtime,
  id: ObjectId,
  kind: number,
  data: Uint8Array,
  digest: Uint8Array,
): Promise<void> {
  const hash = createHash("sha256").update(Uint8Array.of(kind));
  for (let at = 0; at < data.byteLength; at += pieceBytes) {
    if (at > 0) await nextTurn(runtime);
    hash.update(data.subarray(at, at + pieceBytes));
  }
  if (!equalBytes(hash.digest().subarray(0, digestBytes), digest))
    throw new VolleyError(
      "CORRUPT",
      `object ${id} of ${data.byteLength} bytes does not have the digest it was announced with`,
    );
}
