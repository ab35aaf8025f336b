/**
 * What survives every process: the journal (an append-only log with a fence) and blobs (bundles, objects, snapshots).
 * Forms: nats.ts on JetStream; testing/model.ts, a model for simulation and tests that is never offered as durable.
 * Each role is given the handles of what it may do, and no others.
 */
import { VolleyError } from "../errors.js";
import { limits } from "../limits.js";

export interface Journal {
  /**
   * Appends one entry and resolves with its sequence after the server has it on disk. Fails with FENCED when another
   * writer has appended since `expectedLastSeq`; the process must then stop speaking as scheduler. Unknown outcomes
   * (timeout, disconnect) are resolved inside, by reading the stream's end: the append is tried again only if it is not
   * there.
   */
  append(data: Uint8Array, expectedLastSeq: number): Promise<number>;
  /** Every entry with sequence > afterSeq, in order, up to the end as it was at the call. */
  read(afterSeq: number): AsyncIterable<{ seq: number; data: Uint8Array }>;
  /** Sequence of the last entry; 0 for an empty journal. */
  lastSeq(): Promise<number>;
  /** Forgets entries up to and including seq (they are in a snapshot). */
  truncate(uptoSeq: number): Promise<void>;
}

/** A blob that is there, before its bytes are fetched. */
export interface BlobContent {
  readonly bytes: number;
  /**
   * The bytes in order, each piece its own memory; once. The last piece is given only when all of them together are
   * what was written: CORRUPT before it, OBJECT_NOT_FOUND if it was deleted meanwhile.
   */
  pieces(): AsyncIterable<Uint8Array>;
}

export interface BlobReader {
  /** undefined: not there. */
  read(name: string): Promise<BlobContent | undefined>;
  /** The whole of it. undefined: not there. Fails with CORRUPT if what was read is not what was written. */
  get(name: string): Promise<Uint8Array | undefined>;
  has(name: string): Promise<boolean>;
}

export interface BlobWriter extends BlobReader {
  /**
   * Idempotent: names are content addresses or versions. Resolves when these bytes are durable under it; fails with
   * CONFLICT if it has others. `sha256`: of the bytes, hex, from a caller that has it: they are not hashed here then.
   */
  put(name: string, data: Uint8Array, sha256?: string): Promise<void>;
}

/** As its owner has it, who alone deletes. */
export interface BlobStore extends BlobWriter {
  delete(name: string): Promise<void>;
  /** Of every blob there is. For buckets of few. */
  names(): Promise<string[]>;
  /** Deletes all of them. */
  clear(): Promise<void>;
}

/** What clients (and the gateway) hold of the durable store; proto/permissions.ts says the same of their users. */
export interface ClientStores {
  readonly bundles: BlobWriter;
  readonly objects: BlobWriter;
}

export interface WorkerStores {
  readonly bundles: BlobReader;
  readonly objects: BlobWriter;
}

export interface SchedulerStores {
  readonly journal: Journal;
  readonly snapshots: BlobStore;
  /** Results of durable jobs that left the scheduler's heap. */
  readonly results: BlobStore;
  /** Those of sessions: of use to one scheduler process only, and emptied by the next. */
  readonly scratch: BlobStore;
}

/** All of it, for whoever makes it. */
export interface Durable extends SchedulerStores {
  readonly bundles: BlobStore;
  readonly objects: BlobStore;
}

/** A blob of one piece. */
export const inOnePiece = (data: Uint8Array): BlobContent => ({
  bytes: data.byteLength,
  pieces: async function* () {
    yield data;
  },
});

/** The bytes in one piece of memory: `into`, which is as long as they are, or their own. */
export async function joined(
  content: BlobContent,
  into: Uint8Array = new Uint8Array(content.bytes),
): Promise<Uint8Array> {
  let at = 0;
  for await (const piece of content.pieces()) {
    into.set(piece, at);
    at += piece.byteLength;
  }
  return into;
}

/** A name is written once: who finds other bytes there must not believe that his are kept. */
export const conflict = (bucket: string, name: string): VolleyError =>
  new VolleyError("CONFLICT", `blob ${name} in ${bucket} has other bytes already; they are left as they are`);

/** What every form refuses: INVALID_ARGUMENT for a name, TOO_LARGE for a size. */
export function checkBlob(bucket: string, name: string, bytes: number): void {
  if (!/^[\w.-]{1,200}$/.test(name))
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `blob name ${JSON.stringify(name)}: expected 1 to 200 letters, digits, _, . or -`,
    );
  if (bytes > limits.durableObjectBytesMax)
    throw new VolleyError(
      "TOO_LARGE",
      `blob ${name} of ${bytes} bytes is over the limit of ${limits.durableObjectBytesMax} bytes for ${bucket}`,
    );
}
