/**
 * What survives every process: the journal (an append-only log with a fence) and blobs (bundles, objects, snapshots).
 * Forms: nats.ts on JetStream; model.ts, a model for simulation and tests that is never offered as durable.
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

export interface BlobStore {
  /**
   * Idempotent: names are content addresses or versions. Resolves when these bytes are durable under it; fails with
   * CONFLICT if it has others.
   */
  put(name: string, data: Uint8Array): Promise<void>;
  /** undefined: not there. Fails with CORRUPT if what was read is not what was written. */
  get(name: string): Promise<Uint8Array | undefined>;
  has(name: string): Promise<boolean>;
  delete(name: string): Promise<void>;
  /** Of every blob there is. For buckets of few. */
  names(): Promise<string[]>;
  /** Deletes all of them. */
  clear(): Promise<void>;
}

export interface Durable {
  readonly journal: Journal;
  readonly bundles: BlobStore;
  readonly objects: BlobStore;
  readonly snapshots: BlobStore;
  /** Results of durable jobs that left the scheduler's heap. */
  readonly results: BlobStore;
  /** Those of sessions: of use to one scheduler process only, and emptied by the next. */
  readonly scratch: BlobStore;
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
