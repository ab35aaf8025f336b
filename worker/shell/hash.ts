/** Digests of large bytes on the agent's thread, in pieces, so that heartbeats are not late behind them. */
import { digestInTurns, equalBytes } from "../../proto/digest.js";
import { VolleyError } from "../../proto/errors.js";
import type { ObjectId } from "../../proto/ids.js";
import { nextTurn, type Runtime } from "../../proto/runtime.js";

/** Throws CORRUPT if `data` is not what `digest` says. */
export async function checkDigest(
  runtime: Runtime,
  id: ObjectId,
  kind: number,
  data: Uint8Array,
  digest: Uint8Array,
): Promise<void> {
  if (!equalBytes(await digestInTurns(kind, data, () => nextTurn(runtime)), digest))
    throw new VolleyError(
      "CORRUPT",
      `object ${id} of ${data.byteLength} bytes does not have the digest it was announced with`,
    );
}
