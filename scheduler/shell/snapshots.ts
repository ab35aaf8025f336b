/**
 * Snapshots of the durable state: taking, keeping and choosing them.
 *
 * S1 A snapshot is labelled with the journal entry whose records, and no later ones, it contains: state is read and the journal sealed in one
 *    synchronous turn (W3).
 * S2 Its marker is in the journal before the blob is in the store, so no blob is ever without a marker that finds (or deletes) it.
 * S3 The journal is cut only up to the snapshot before the newest one that is known good; so when the newest cannot be read, the one before it
 *    and the entries behind it still give the same state.
 */
import { Packr } from "msgpackr";
import { sha256Hex } from "../../proto/digest.js";
import type { BlobStore, Durable } from "../../proto/durable/durable.js";
import { VolleyError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import type { SnapshotMarker } from "./journal-format.js";
import type { JournalWriter } from "./journal-writer.js";

// Without moreTypes every kind of byte array has one form, so equal states have equal bytes wherever their bytes came from.
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: false, moreTypes: false, copyBuffers: true });

const snapshotVersion = 1;

export const snapshotName = (seq: number): string => `snapshot-${String(seq).padStart(16, "0")}`;

/** Encodes state as it is now; the data may share memory with the live state, so this never waits. */
export const encodeState = (data: unknown): Uint8Array => packr.pack(data);
export const stateHash = (encoded: Uint8Array): string => sha256Hex(encoded);

interface SnapshotBlob {
  readonly version: number;
  readonly seq: number;
  readonly hash: string;
  readonly state: Uint8Array;
}

/** The state behind this marker, verified; undefined: there is no such blob. Fails with CORRUPT or VERSION_MISMATCH. */
export async function readSnapshot(store: BlobStore, marker: SnapshotMarker): Promise<unknown> {
  const name = snapshotName(marker.seq);
  const bytes = await store.get(name);
  if (!bytes) return undefined;
  let blob: Partial<SnapshotBlob>;
  try {
    blob = packr.unpack(bytes) as Partial<SnapshotBlob>;
  } catch (cause) {
    throw new VolleyError("CORRUPT", `${name} is not msgpack: ${(cause as Error).message}`, { cause });
  }
  if (blob?.version !== snapshotVersion)
    throw new VolleyError("VERSION_MISMATCH", `${name} has format ${String(blob?.version)}, this version reads ${snapshotVersion}`);
  if (!(blob.state instanceof Uint8Array) || blob.seq !== marker.seq) throw new VolleyError("CORRUPT", `${name} is not a snapshot of entry ${marker.seq}`);
  const hash = stateHash(blob.state);
  if (hash !== marker.hash || hash !== blob.hash) throw new VolleyError("CORRUPT", `${name} has hash ${hash}, its marker says ${marker.hash}`);
  return packr.unpack(blob.state);
}

export interface SnapshotterOptions {
  readonly durable: Durable;
  readonly writer: JournalWriter;
  /** The durable state as it is at the call. */
  readonly capture: () => unknown;
  /** Snapshots that may exist; the last of them was read (or written) well. */
  readonly known: readonly SnapshotMarker[];
  readonly bytesMax?: number;
  onTaken(seq: number, bytes: number, seconds: number): void;
  onFailed(error: unknown): void;
}

export class Snapshotter {
  readonly #options: SnapshotterOptions;
  #known: SnapshotMarker[];
  #running: Promise<void> | undefined;

  constructor(options: SnapshotterOptions) {
    this.#options = options;
    this.#known = [...options.known];
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  /** Takes one unless one is being taken; resolves when it and the clearing behind it are done. Failures go to `onFailed`: the journal alone is enough. */
  take(): Promise<void> {
    this.#running ??= this.#take()
      .catch((error: unknown) => this.#options.onFailed(error))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #take(): Promise<void> {
    const { durable, writer, capture, bytesMax = limits.durableObjectBytesMax } = this.#options;
    const from = performance.now();
    // These two in one turn: S1.
    const state = encodeState(capture());
    const sealed = writer.seal();
    const hash = stateHash(state);
    const seq = await sealed;
    if (seq === 0) return;
    const blob = packr.pack({ version: snapshotVersion, seq, hash, state } satisfies SnapshotBlob);
    if (blob.byteLength > bytesMax)
      throw new VolleyError(
        "TOO_LARGE",
        `snapshot of entry ${seq} has ${blob.byteLength} bytes, over the limit of ${bytesMax}; the journal keeps growing until jobs are forgotten`,
      );
    const marker = { seq, hash };
    writer.pushMarker(marker);
    await writer.seal();
    // Before it is known to be good it stands first: to be deleted one day, never to be relied on.
    this.#known.unshift(marker);
    await durable.snapshots.put(snapshotName(seq), blob);
    const known = this.#known.filter((one) => one !== marker);
    const previous = known.pop();
    const old = known;
    this.#known = previous ? [previous, marker] : [marker];
    this.#options.onTaken(seq, blob.byteLength, (performance.now() - from) / 1000);
    for (const gone of old) await durable.snapshots.delete(snapshotName(gone.seq));
    if (previous) await durable.journal.truncate(previous.seq);
  }
}
