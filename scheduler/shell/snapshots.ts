/**
 * Snapshots of the durable state: taking, keeping and choosing them.
 *
 * S1 A snapshot is labelled with the journal entry whose records, and no later ones, it contains: state is read and the
 * journal sealed in one
 *    synchronous turn (W3).
 * S2 Its marker is in the journal before anything of it is in the store, so no blob is ever without a marker that finds
 * (or deletes) it. S3 The journal is cut only up to the snapshot before the newest one that is known good; so when the
 * newest cannot be read, the one before it
 *    and the entries behind it still give the same state.
 * S4 It lies in parts, of some megabytes each; the entry that names them is written last. So it has no size at which it
 * fails, and is there whole or not
 *    at all. Encoding and hashing go on between other work: what is captured does not change, however long that takes.
 */
import { createHash } from "node:crypto";
import { Packr } from "msgpackr";
import type { BlobStore, SchedulerStores } from "../../proto/durable/durable.js";
import { VolleyError } from "../../proto/errors.js";
import { nextTurn, type Runtime, realRuntime } from "../../proto/runtime.js";
import type { SnapshotMarker } from "./journal-format.js";
import type { JournalWriter } from "./journal-writer.js";

// Without moreTypes every kind of byte array has one form, so equal states have equal bytes wherever their bytes came
// from.
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: false, moreTypes: false, copyBuffers: true });

const snapshotVersion = 2;
/** A part is closed at this size; an item is not divided. */
const partBytes = 4 * 1024 * 1024;
/** Work between two looks at what else there is to do: a few milliseconds. */
const sliceBytes = 1024 * 1024;

export const snapshotName = (seq: number): string => `snapshot-${String(seq).padStart(16, "0")}`;
export const snapshotPartName = (seq: number, part: number): string => `${snapshotName(seq)}.${part}`;

export interface EncodedState {
  readonly parts: readonly Uint8Array[];
  /** SHA-256 hex of all parts together. */
  readonly hash: string;
}

/** Encodes items that nobody changes meanwhile. */
export async function encodeState(
  items: readonly unknown[],
  most = partBytes,
  runtime = realRuntime,
): Promise<EncodedState> {
  const hash = createHash("sha256");
  const parts: Uint8Array[] = [];
  let part: Uint8Array[] = [];
  let bytes = 0;
  let sinceTurn = 0;
  const close = (): void => {
    if (bytes === 0) return;
    parts.push(Buffer.concat(part));
    part = [];
    bytes = 0;
  };
  for (const item of items) {
    const encoded = packr.pack(item);
    hash.update(encoded);
    if (bytes + encoded.byteLength > most) close();
    part.push(encoded);
    bytes += encoded.byteLength;
    sinceTurn += encoded.byteLength + 64;
    if (sinceTurn < sliceBytes) continue;
    sinceTurn = 0;
    await nextTurn(runtime);
  }
  close();
  return { parts, hash: hash.digest("hex") };
}

interface SnapshotBlob {
  readonly version: number;
  readonly seq: number;
  readonly hash: string;
  /** How many there are. */
  readonly parts: number;
}

/** Version 1 had all of it in one blob. */
interface OldSnapshotBlob {
  readonly version: 1;
  readonly seq: number;
  readonly hash: string;
  readonly state: Uint8Array;
}

function unpack<T>(name: string, bytes: Uint8Array, how: (bytes: Uint8Array) => unknown): T {
  try {
    return how(bytes) as T;
  } catch (cause) {
    throw new VolleyError("CORRUPT", `${name} is not msgpack: ${(cause as Error).message}`, { cause });
  }
}

/**
 * The items behind this marker, verified; undefined: the snapshot was not finished. Fails with CORRUPT or
 * VERSION_MISMATCH.
 */
export async function readSnapshot(store: BlobStore, marker: SnapshotMarker): Promise<unknown[] | undefined> {
  const name = snapshotName(marker.seq);
  const bytes = await store.get(name);
  if (!bytes) return undefined;
  const blob = unpack<Partial<SnapshotBlob> | Partial<OldSnapshotBlob>>(name, bytes, (data) => packr.unpack(data));
  if (blob?.version !== snapshotVersion && blob?.version !== 1)
    throw new VolleyError(
      "VERSION_MISMATCH",
      `${name} has format ${String(blob?.version)}, this version reads ${snapshotVersion}`,
    );
  if (blob.seq !== marker.seq) throw new VolleyError("CORRUPT", `${name} is not a snapshot of entry ${marker.seq}`);
  const hash = createHash("sha256");
  const items: unknown[] = [];
  if ("state" in blob && blob.state instanceof Uint8Array) {
    hash.update(blob.state);
    const { epoch, state } = unpack<{ epoch: unknown; state: unknown }>(name, blob.state, (data) => packr.unpack(data));
    items.push({ epoch }, state);
  } else if ("parts" in blob && typeof blob.parts === "number") {
    for (let part = 0; part < blob.parts; part++) {
      const data = await store.get(snapshotPartName(marker.seq, part));
      if (!data) throw new VolleyError("CORRUPT", `${name} lacks its part ${part} of ${blob.parts}`);
      hash.update(data);
      // Not by push(...items): there may be more than a call takes arguments.
      for (const item of unpack<unknown[]>(name, data, (of) => packr.unpackMultiple(of) as unknown[])) items.push(item);
    }
  } else throw new VolleyError("CORRUPT", `${name} is not a snapshot of entry ${marker.seq}`);
  const found = hash.digest("hex");
  if (found !== marker.hash || found !== blob.hash)
    throw new VolleyError("CORRUPT", `${name} has hash ${found}, its marker says ${marker.hash}`);
  return items;
}

export interface SnapshotterOptions {
  readonly durable: SchedulerStores;
  readonly runtime?: Runtime;
  readonly writer: JournalWriter;
  /** The durable state as it is at the call, in items that do not change. */
  readonly capture: () => readonly unknown[];
  /** Snapshots that may exist: the last of them was read well, those before it stand behind it. */
  readonly known: readonly SnapshotMarker[];
  /** Those that were not finished or cannot be read: to be deleted. */
  readonly broken?: readonly SnapshotMarker[];
  readonly partBytes?: number;
  onTaken(seq: number, bytes: number, seconds: number): void;
  onFailed(error: unknown): void;
}

export class Snapshotter {
  readonly #options: SnapshotterOptions;
  /** Oldest first. Never one that is not known to be whole: the journal is cut behind the last but one. */
  #known: SnapshotMarker[];
  /** Of which something may be there, and which nobody relies on. */
  #gone: SnapshotMarker[];
  #running: Promise<void> | undefined;

  constructor(options: SnapshotterOptions) {
    this.#options = options;
    this.#known = [...options.known];
    this.#gone = [...(options.broken ?? [])];
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  /**
   * Takes one unless one is being taken; resolves when it and the clearing behind it are done. Failures go to
   * `onFailed`: the journal alone is enough.
   */
  take(): Promise<void> {
    this.#running ??= this.#take()
      .catch((error: unknown) => this.#options.onFailed(error))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #take(): Promise<void> {
    const { durable, writer, capture, runtime = realRuntime } = this.#options;
    const from = runtime.nowMs();
    // These two in one turn: S1.
    const items = capture();
    const sealed = writer.seal();
    // Whoever waits for both is told of the first that fails.
    const [{ parts, hash }, seq] = await Promise.all([encodeState(items, this.#options.partBytes, runtime), sealed]);
    if (seq === 0) return;
    const marker = { seq, hash, parts: parts.length };
    writer.pushMarker(marker);
    await writer.seal();
    // Until it is known to be whole it is one to be deleted.
    this.#gone.push(marker);
    let bytes = 0;
    for (const [n, part] of parts.entries()) {
      await durable.snapshots.put(snapshotPartName(seq, n), part);
      bytes += part.byteLength;
    }
    await durable.snapshots.put(
      snapshotName(seq),
      packr.pack({ version: snapshotVersion, seq, hash, parts: parts.length } satisfies SnapshotBlob),
    );
    const previous = this.#known.at(-1);
    this.#gone = [...this.#gone.filter((one) => one !== marker), ...this.#known.slice(0, -1)];
    this.#known = previous ? [previous, marker] : [marker];
    this.#options.onTaken(seq, bytes, (runtime.nowMs() - from) / 1000);
    for (let old = this.#gone[0]; old; old = this.#gone[0]) {
      await this.#delete(old);
      this.#gone.shift();
    }
    if (previous) await durable.journal.truncate(previous.seq);
  }

  /** What names the parts goes first. */
  async #delete({ seq, parts = 0 }: SnapshotMarker): Promise<void> {
    await this.#options.durable.snapshots.delete(snapshotName(seq));
    for (let n = 0; n < parts; n++) await this.#options.durable.snapshots.delete(snapshotPartName(seq, n));
  }
}
