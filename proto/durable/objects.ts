/**
 * Objects in the durable store.
 *
 * The id of a put names its bytes. The id of a result does not: a task that runs again (its worker died before the
 * commit, its job's id is used again) may make others, and only one of them is committed. So a result's digest stands
 * in its blob's name: two executions never meet under one name, and whoever reads what a commit names reads those bytes
 * or none.
 */
import { hexOf } from "../digest.js";
import type { ObjectId } from "../ids.js";
import type { BlobStore } from "./durable.js";

export const objectBlobName = (id: ObjectId, digest: Uint8Array): string =>
  id.startsWith("c") ? id : `${id}.${hexOf(digest)}`;

/** The object's bytes; undefined: not there. `check` throws CORRUPT if they do not have the digest. */
export async function readObject(
  blobs: BlobStore,
  id: ObjectId,
  digest: Uint8Array,
  check: (data: Uint8Array) => void | Promise<void>,
): Promise<Uint8Array | undefined> {
  // Results stored by an earlier version stand under their ids alone.
  for (const name of new Set([objectBlobName(id, digest), id])) {
    const data = await blobs.get(name);
    if (!data) continue;
    await check(data);
    return data;
  }
  return undefined;
}
