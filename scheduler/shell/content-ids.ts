/**
 * An object named by its bytes is what its name says, for every tenant that reads it: what a client or worker tells of
 * one is compared with the name before anybody hears of it. Bytes that are elsewhere (a worker's store, the durable
 * store) are compared with the digest by whoever reads them.
 */
import { contentDigest } from "../../proto/address.js";
import { digestOf, equalBytes, hexOf } from "../../proto/digest.js";
import { toWireError, VolleyError, type WireError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import type { ClientRequestOf } from "../../proto/messages/client.js";
import type { StoredObject, WorkerRequest } from "../../proto/messages/worker.js";

/** Throws INVALID_ARGUMENT for an id that is not the digest's, CORRUPT for bytes that are not, TOO_LARGE. */
export function checkPut({ id, kind, bytes, digest, inline }: ClientRequestOf<"put">): void {
  const named = contentDigest(id);
  if (!named)
    throw new VolleyError("INVALID_ARGUMENT", `object ${id} is not named by its bytes; only such objects can be put`);
  if (!equalBytes(named, digest))
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `object ${id} was put with the digest ${hexOf(digest)}, which is not the one of its name`,
    );
  if (!inline) return;
  if (inline.byteLength > limits.inlineBytesMax)
    throw new VolleyError(
      "TOO_LARGE",
      `object ${id} was put inline with ${inline.byteLength} bytes, over the limit of ${limits.inlineBytesMax}`,
    );
  if (inline.byteLength !== bytes || !equalBytes(digestOf(kind, inline), named))
    throw new VolleyError(
      "CORRUPT",
      `the ${inline.byteLength} bytes put as object ${id} do not have the digest of its name`,
    );
}

/**
 * What a worker holds under a name that its bytes do not have is as if it did not hold it: taken out of the message,
 * and told of.
 */
export function dropMisnamed(request: WorkerRequest, onMisnamed: (error: WireError) => void): void {
  if (request.t === "objects") request.added = request.added.filter((object) => isNamedRightly(object, onMisnamed));
  else if (request.t === "register")
    request.objects = request.objects.filter((object) => isNamedRightly(object, onMisnamed));
}

function isNamedRightly({ id, digest }: StoredObject, onMisnamed: (error: WireError) => void): boolean {
  const named = contentDigest(id);
  if (!named || equalBytes(named, digest)) return true;
  onMisnamed(
    toWireError(
      new VolleyError(
        "CORRUPT",
        `a worker announced object ${id} with the digest ${hexOf(digest)}, which is not the one of its name`,
      ),
    ),
  );
  return false;
}
