/** A durable store in memory, with faults on demand: for tests and simulation, never offered as durable. */
import { equalBytes } from "../../digest.js";
import { VolleyError } from "../../errors.js";
import {
  type BlobContent,
  type BlobStore,
  checkBlob,
  conflict,
  type Durable,
  inOnePiece,
  type Journal,
} from "../durable.js";

export interface ModelJournal extends Journal {
  /**
   * The next append fails with FENCED, and so does every one after it, as if another writer had appended (and its entry
   * been truncated).
   */
  fenceNext(): void;
  /** Appends wait for this before they happen; undefined lifts it. */
  delayAppends(gate: Promise<unknown> | undefined): void;
  /** Everything appended and not truncated. */
  readonly entries: readonly { readonly seq: number; readonly data: Uint8Array }[];
}

export interface ModelDurable extends Durable {
  readonly journal: ModelJournal;
}

export function modelDurable(): ModelDurable {
  return {
    journal: new MemoryJournal(),
    bundles: new MemoryBlobs("bundles"),
    objects: new MemoryBlobs("objects"),
    snapshots: new MemoryBlobs("snapshots"),
    results: new MemoryBlobs("results"),
    scratch: new MemoryBlobs("scratch"),
  };
}

export const fenced = (expectedLastSeq: number): VolleyError =>
  new VolleyError(
    "FENCED",
    `another scheduler has written to the journal after entry ${expectedLastSeq}; this one must stop`,
  );

class MemoryJournal implements ModelJournal {
  #entries: { readonly seq: number; readonly data: Uint8Array }[] = [];
  #last = 0;
  #gate: Promise<unknown> | undefined;

  get entries(): readonly { readonly seq: number; readonly data: Uint8Array }[] {
    return this.#entries;
  }

  fenceNext(): void {
    this.#last++;
  }

  delayAppends(gate: Promise<unknown> | undefined): void {
    this.#gate = gate;
  }

  async append(data: Uint8Array, expectedLastSeq: number): Promise<number> {
    const copy = data.slice();
    await this.#gate;
    if (expectedLastSeq !== this.#last) throw fenced(expectedLastSeq);
    this.#last++;
    this.#entries.push({ seq: this.#last, data: copy });
    return this.#last;
  }

  async *read(afterSeq: number): AsyncIterable<{ seq: number; data: Uint8Array }> {
    const upTo = this.#last;
    for (const { seq, data } of [...this.#entries]) {
      if (seq > afterSeq && seq <= upTo) yield { seq, data: data.slice() };
    }
  }

  async lastSeq(): Promise<number> {
    return this.#last;
  }

  async truncate(uptoSeq: number): Promise<void> {
    this.#entries = this.#entries.filter(({ seq }) => seq > uptoSeq);
  }
}

class MemoryBlobs implements BlobStore {
  readonly #bucket: string;
  readonly #blobs = new Map<string, Uint8Array>();

  constructor(bucket: string) {
    this.#bucket = bucket;
  }

  async put(name: string, data: Uint8Array): Promise<void> {
    checkBlob(this.#bucket, name, data.byteLength);
    const known = this.#blobs.get(name);
    if (known && !equalBytes(known, data)) throw conflict(this.#bucket, name);
    if (!known) this.#blobs.set(name, data.slice());
  }

  async read(name: string): Promise<BlobContent | undefined> {
    const data = await this.get(name);
    return data && inOnePiece(data);
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    return this.#blobs.get(name)?.slice();
  }

  async has(name: string): Promise<boolean> {
    return this.#blobs.has(name);
  }

  async delete(name: string): Promise<void> {
    this.#blobs.delete(name);
  }

  async names(): Promise<string[]> {
    return [...this.#blobs.keys()];
  }

  async clear(): Promise<void> {
    this.#blobs.clear();
  }
}
