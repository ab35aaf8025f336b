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
import type { BlobContent, BlobReader } from "./durable.js";

export const objectBlobName = (id: ObjectId, digest: Uint8Array): string =>
  id.startsWith("c") ? id : `${id}.${hexOf(digest)}`;

/**
 * The object, before its bytes are fetched; undefined: not there. Whether they have the digest is for the reader to
 * see: the store knows only that they are what was put.
 */
export async function openObject(
  blobs: BlobReader,
  id: ObjectId,
  digest: Uint8Array,
): Promise<BlobContent | undefined> {
  // Results stored by an earlier version stand under their ids alone.
  return (await blobs.read(objectBlobName(id, digest))) ?? (id.startsWith("c") ? undefined : await blobs.read(id));
}
