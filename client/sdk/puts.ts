/**
 * What this client puts: its values' bytes, on their way into the cluster and kept in case it loses them. Where each
 * put is, who needs it and when it is put again the session decides (session/placing.ts, session/needs.ts). Ids follow
 * from the bytes, so the same value is stored once.
 *
 * What is named before it is sent is digested here, and not sent when it is there already; what is streamed is digested
 * by the worker as it lands, and has a name after that.
 */
import { Table } from "apache-arrow";
import { contentId } from "../../proto/address.js";
import { digestOf } from "../../proto/digest.js";
import { isVolleyError, VolleyError } from "../../proto/errors.js";
import type { ObjectName } from "../../proto/frames/data-plane.js";
import { type Payload, payloadOf } from "../../proto/frames/payload.js";
import type { ObjectId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { type EncodedPieces, encodeInTurns } from "../../proto/values/in-turns.js";
import { type EncodedValue, encodeValue, type ValueKind, valueKind } from "../../proto/values/value.js";
import { putOf } from "../../session/session.js";
import type { DataPlane } from "./data.js";
import { PutRef } from "./refs.js";
import type { PutCarrier, Session } from "./session.js";
import { valueBytesMax } from "./sizes.js";
import { ValueCache } from "./value-cache.js";

/** An object that this client has put. */
export interface Put {
  /** Counts what this client puts. */
  readonly put: number;
  readonly id: ObjectId;
  /** Resolves when tasks may read it. Never an unhandled rejection. */
  readonly done: Promise<void>;
}

interface Entry {
  readonly put: number;
  readonly kind: ValueKind;
  name: ObjectName | undefined;
  readonly done: Promise<void>;
  settle: { resolve(): void; reject(error: VolleyError): void } | undefined;
  /** While it is being uploaded. */
  payload: Payload | undefined;
  forgotten: boolean;
}

type NamedEntry = Entry & { readonly name: ObjectName };

function assertFits(bytes: number): void {
  if (bytes > limits.objectBytesMax)
    throw new VolleyError(
      "TOO_LARGE",
      `value of ${bytes} bytes is over the limit of ${limits.objectBytesMax} for one object; split it`,
    );
}

const lost = (entry: Entry | undefined, put: number): VolleyError =>
  new VolleyError("OBJECT_LOST", `object ${entry?.name?.id ?? put} is gone, and its value is not here any more`);

export class Puts implements PutCarrier {
  readonly #session: Session;
  readonly #data: DataPlane;
  readonly #entries = new Map<number, Entry>();
  readonly #tables = new WeakMap<Table, NamedEntry>();
  readonly #kept = new ValueCache<Entry>();
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
    const entry = known && this.#entries.get(known.put);
    return entry && { put: entry.put, id, done: entry.done };
  }

  /** The bytes of a small value that this client has put. */
  inline(id: ObjectId): EncodedValue | undefined {
    const known = putOf(this.#session.state, id);
    return known?.inline && { kind: known.kind as ValueKind, data: known.inline };
  }

  /** A ref that the caller holds; the object is put when `done`. */
  ref<T>(encoded: EncodedValue, value: T | undefined): { ref: PutRef<T>; done: Promise<void> } {
    const { id, put, done } = this.start(encoded, value);
    const ref = new PutRef<T>(this.#session.id, id);
    this.#needWhile(ref, put);
    this.#held.set(ref, put);
    return { ref, done };
  }

  /** The ref of a value that is sent as it lies, once it is put: nothing of it may change until then. */
  async stream<T>({ kind, pieces, byteLength }: EncodedPieces, value: T | undefined): Promise<PutRef<T>> {
    assertFits(byteLength);
    this.#session.stayAlive();
    const put = this.#next++;
    const payload = payloadOf(pieces);
    const entry = this.#enter(put, kind, undefined, payload);
    this.#session.takeUntilFlush({
      e: "put",
      put: { put, name: undefined, kind, bytes: byteLength, inline: undefined },
    });
    this.#session.take({ e: "put-needed", put });
    try {
      await entry.done;
      const { id } = entry.name as ObjectName;
      const known = putOf(this.#session.state, id)?.put ?? put;
      this.#kept.keep(this.#entries.get(known) ?? entry, payload, value);
      const ref = new PutRef<T>(this.#session.id, id);
      this.#needWhile(ref, put);
      this.#held.set(ref, put);
      return ref;
    } finally {
      this.#session.take({ e: "put-unneeded", put });
    }
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

  /** Starts to put an encoded value; the caller must not change its bytes until it is done. */
  start(encoded: EncodedValue, value?: unknown): Put {
    const { put, name, done } = this.#start(encoded, value);
    return { put, id: name.id, done };
  }

  #start({ kind, data }: EncodedValue, value: unknown): NamedEntry {
    assertFits(data.byteLength);
    const digest = digestOf(kind, data);
    const name: ObjectName = { id: contentId(digest), digest };
    this.#session.stayAlive();
    // An inline object is put again after a scheduler's restart, so its bytes must be this client's own.
    const inline = data.byteLength <= limits.inlineBytesMax ? data.slice() : undefined;
    const payload = payloadOf(data);
    const known = putOf(this.#session.state, name.id);
    const before = known && this.#entries.get(known.put);
    if (before) {
      if (!inline) this.#kept.keep(before, payload, value);
      return { ...before, name };
    }
    const put = this.#next++;
    const entry = this.#enter(put, kind, name, inline ? undefined : payload);
    if (!inline) this.#kept.keep(entry, payload, value);
    this.#session.takeUntilFlush({ e: "put", put: { put, name, kind, bytes: data.byteLength, inline } });
    return entry as NamedEntry;
  }

  #enter(put: number, kind: ValueKind, name: ObjectName | undefined, payload: Payload | undefined): Entry {
    let settle: Entry["settle"];
    const done = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
    });
    done.catch(() => undefined);
    const entry: Entry = { put, kind, name, done, settle, payload, forgotten: false };
    this.#entries.set(put, entry);
    return entry;
  }

  /**
   * Small values as they are; large ones are put. An Arrow table, which cannot change, is put once while the caller has
   * it, however often it is passed.
   */
  encodeArgument(value: unknown): EncodedValue | Put {
    const table = value instanceof Table ? value : undefined;
    const known = table && this.#tables.get(table);
    if (known && !known.forgotten) return { put: known.put, id: known.name.id, done: known.done };
    const encoded = encodeValue(value);
    if (encoded.data.byteLength <= valueBytesMax) return encoded;
    const put = this.start(
      encoded.kind === valueKind.bytes ? { kind: encoded.kind, data: encoded.data.slice() } : encoded,
      value,
    );
    const entry = this.#entries.get(put.put);
    if (table && entry) {
      this.#tables.set(table, entry as NamedEntry);
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
      if (entry) entry.payload ??= await this.#again(entry);
      if (!entry?.payload) throw lost(entry, put);
      const { name, kind, payload } = entry;
      const given = await this.#data.offer(worker, { name, kind, payload }).catch((error: unknown) => {
        // It was changed since it was put.
        throw name && isVolleyError(error) && error.code === "INVALID_ARGUMENT" ? lost(entry, put) : error;
      });
      entry.name ??= given;
      this.#session.take({ e: "uploaded", put, name: entry.name });
    } catch (error) {
      this.#session.take({ e: "upload-failed", put, error: this.#session.failureOf(error) });
    }
  }

  /** What was kept of it; whether it is still the same its worker looks. */
  async #again(entry: Entry): Promise<Payload | undefined> {
    const kept = this.#kept.find(entry);
    if (kept?.k !== "value") return kept?.payload;
    try {
      const { kind, pieces } = await encodeInTurns(kept.value, () => this.#session.turn());
      return kind === entry.kind ? payloadOf(pieces) : undefined;
    } catch {
      return undefined;
    }
  }

  uploadOver(put: number): void {
    const entry = this.#entries.get(put);
    if (entry) entry.payload = undefined;
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
