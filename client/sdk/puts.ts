/**
 * What this client puts: its values' bytes, on their way into the cluster and kept in case it loses them. Where each
 * put is, who needs it and when it is put again the session decides (session/placing.ts, session/needs.ts). Ids follow
 * from the bytes, so the same value is put once.
 */
import { Table } from "apache-arrow";
import { digestOf, hexOf } from "../../proto/digest.js";
import { VolleyError } from "../../proto/errors.js";
import { type ObjectBase, type ObjectId, objectIdOf, type WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { type EncodedValue, encodeValue, type ValueKind, valueKind } from "../../proto/values/value.js";
import { putOf } from "../../session/session.js";
import type { DataPlane } from "./data.js";
import { KeptValues } from "./kept-values.js";
import { PutRef } from "./refs.js";
import type { PutCarrier, Session } from "./session.js";
import { valueBytesMax } from "./sizes.js";

/** An object that this client has put. */
export interface Put {
  /** Counts what this client puts. */
  readonly put: number;
  readonly id: ObjectId;
  readonly kind: ValueKind;
  readonly digest: Uint8Array;
  /** Resolves when tasks may read it. Never an unhandled rejection. */
  readonly done: Promise<void>;
}

interface Entry extends Put {
  settle: { resolve(): void; reject(error: VolleyError): void } | undefined;
  /** While it is being uploaded. */
  data: Uint8Array | undefined;
  forgotten: boolean;
}

export class Puts implements PutCarrier {
  readonly #session: Session;
  readonly #data: DataPlane;
  readonly #entries = new Map<number, Entry>();
  readonly #tables = new WeakMap<Table, Entry>();
  readonly #kept = new KeptValues<Entry>();
  readonly #held = new WeakMap<PutRef<unknown>, number>();
  readonly #collected: FinalizationRegistry<number>;
  #next = 1;

  constructor(session: Session, data: DataPlane) {
    this.#session = session;
    this.#data = data;
    this.#collected = new FinalizationRegistry((put) => session.take({ e: "put-unneeded", put }));
  }

  get(id: ObjectId): Put | undefined {
    const known = putOf(this.#session.state, id);
    return known && this.#entries.get(known.put);
  }

  /** The bytes of a small value that this client has put. */
  inline(id: ObjectId): EncodedValue | undefined {
    const known = putOf(this.#session.state, id);
    return known?.inline && { kind: known.kind as ValueKind, data: known.inline };
  }

  /** A ref that the caller holds; the object is put when `done`. */
  ref<T>(encoded: EncodedValue, value: T, digest?: Uint8Array): { ref: PutRef<T>; done: Promise<void> } {
    const { id, put, done } = this.start(encoded, value, digest);
    const ref = new PutRef<T>(this.#session.id, id);
    this.#needWhile(ref, put);
    this.#held.set(ref, put);
    return { ref, done };
  }

  #needWhile(holder: object, put: number): void {
    this.#session.take({ e: "put-needed", put });
    this.#collected.register(holder, put, holder);
  }

  /** The caller is done with the ref, before the garbage collector finds that. */
  release(ref: PutRef<unknown>): void {
    const put = this.#held.get(ref);
    if (put === undefined || !this.#collected.unregister(ref)) return;
    ref.release();
    this.#session.take({ e: "put-unneeded", put });
  }

  /**
   * Starts to put an encoded value; the caller must not change its bytes until it is done. `digest`: its own, where
   * the caller has it; a worker does not take what has another.
   */
  start(encoded: EncodedValue, value?: unknown, digest = digestOf(encoded.kind, encoded.data)): Put {
    const { kind, data } = encoded;
    if (data.byteLength > limits.objectBytesMax)
      throw new VolleyError(
        "TOO_LARGE",
        `value of ${data.byteLength} bytes is over the limit of ${limits.objectBytesMax} for one object; split it`,
      );
    const id = objectIdOf(`c${hexOf(digest)}` as ObjectBase, 0);
    this.#session.stayAlive();
    // An inline object is put again after a scheduler's restart, so its bytes must be this client's own.
    const inline = data.byteLength <= limits.inlineBytesMax ? data.slice() : undefined;
    const known = putOf(this.#session.state, id);
    const before = known && this.#entries.get(known.put);
    if (before) {
      if (!inline) this.#kept.keep(before, data, value);
      return before;
    }
    const entry = this.#enter({ put: this.#next++, id, kind, digest }, inline ? undefined : data);
    if (!inline) this.#kept.keep(entry, data, value);
    const { put } = entry;
    this.#session.takeUntilFlush({ e: "put", put: { put, id, kind, bytes: data.byteLength, digest, inline } });
    return entry;
  }

  #enter(facts: Omit<Put, "done">, data: Uint8Array | undefined): Entry {
    let settle: Entry["settle"];
    const done = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
    });
    done.catch(() => undefined);
    const entry: Entry = { ...facts, done, settle, data, forgotten: false };
    this.#entries.set(facts.put, entry);
    return entry;
  }

  /**
   * Small values as they are; large ones are put. An Arrow table, which cannot change, is put once while the caller has
   * it, however often it is passed.
   */
  encodeArgument(value: unknown): EncodedValue | Put {
    const table = value instanceof Table ? value : undefined;
    const known = table && this.#tables.get(table);
    if (known && !known.forgotten) return known;
    const encoded = encodeValue(value);
    if (encoded.data.byteLength <= valueBytesMax) return encoded;
    const put = this.start(
      encoded.kind === valueKind.bytes ? { kind: encoded.kind, data: encoded.data.slice() } : encoded,
      value,
    );
    const entry = this.#entries.get(put.put);
    if (table && entry) {
      this.#tables.set(table, entry);
      this.#needWhile(table, put.put);
    }
    return put;
  }

  // ---------------------------------------------------------------------------------------------- for the session

  upload(put: number, worker: WorkerId): void {
    void this.#upload(put, worker);
  }

  async #upload(put: number, worker: WorkerId): Promise<void> {
    const entry = this.#entries.get(put);
    try {
      if (entry) entry.data ??= this.#kept.find(entry);
      if (!entry?.data)
        throw new VolleyError("OBJECT_LOST", `object ${entry?.id ?? put} is gone, and its value is not here any more`);
      const { id, kind, digest, data } = entry;
      await this.#data.offer(worker, { id, kind, digest, data });
      this.#session.take({ e: "uploaded", put });
    } catch (error) {
      this.#session.take({ e: "upload-failed", put, error: this.#session.failureOf(error) });
    }
  }

  uploadOver(put: number): void {
    const entry = this.#entries.get(put);
    if (entry) entry.data = undefined;
  }

  done(put: number, error: VolleyError | undefined): void {
    const entry = this.#entries.get(put);
    if (!entry) return;
    if (error) entry.settle?.reject(error);
    else entry.settle?.resolve();
    entry.settle = undefined;
    this.#leaveIfOver(entry);
  }

  forgotten(put: number): void {
    const entry = this.#entries.get(put);
    if (!entry) return;
    entry.forgotten = true;
    this.#kept.forget(entry);
    this.#leaveIfOver(entry);
  }

  #leaveIfOver({ put, forgotten, settle }: Entry): void {
    if (forgotten && !settle) this.#entries.delete(put);
  }
}
