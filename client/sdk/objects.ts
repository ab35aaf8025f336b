/**
 * Objects of the cluster as values: fetched from wherever they are, and made durable. What this client has put is
 * puts.ts' business.
 */

import { contentDigest, contentId } from "../../proto/address.js";
import { digestInTurns, digestOf, equalBytes } from "../../proto/digest.js";
import { joined } from "../../proto/durable/durable.js";
import { openObject } from "../../proto/durable/objects.js";
import { type ErrorCode, isVolleyError, VolleyError, type WireError } from "../../proto/errors.js";
import type { ObjectName } from "../../proto/frames/data-plane.js";
import type { ObjectId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import { type EncodedPieces, encodeInTurns, joinPieces } from "../../proto/values/in-turns.js";
import { errorOfTask } from "../../proto/values/thrown.js";
import { type EncodedValue, encodeValue, type ValueKind, valueKind } from "../../proto/values/value.js";
import type { Admit, EncodedContent } from "./api.js";
import type { Backend } from "./backend.js";
import type { DataPlane } from "./data.js";
import { checkEncoded, contentOf, storedContent } from "./encoded.js";
import type { Patience } from "./patience.js";
import { Puts } from "./puts.js";
import { PutRef } from "./refs.js";
import type { Session } from "./session.js";

interface FetchOptions {
  /** Asked before bytes are fetched. */
  readonly admit?: Admit | undefined;
  readonly patience?: Patience | undefined;
  /** The digest of the result that this client was shown (I1). */
  readonly shown?: Uint8Array;
}

interface Fetching {
  /** What lies in the durable store is given without fetching it. */
  readonly inPieces: boolean;
  readonly id: ObjectId;
  readonly options: FetchOptions;
  admitted: boolean;
  resolve(value: EncodedContent, whole: EncodedValue | undefined): void;
  reject(error: unknown): void;
}

/** Ids that are known to be durable; of those forgotten the store says that it has them. */
const durableMax = 10_000;
/** Failures of one copy of an object, after which the next one is tried. */
const elsewhere: ReadonlySet<ErrorCode> = new Set([
  "NO_LISTENER",
  "TIMEOUT",
  "DISCONNECTED",
  "OBJECT_NOT_FOUND",
  "CORRUPT",
  "WORKER_LOST",
  "OUT_OF_MEMORY",
]);

/** Raw bytes are the caller's own array, which it may change while they travel: under the name of what they were. */
const ownBytes = (encoded: EncodedValue): EncodedValue =>
  encoded.kind === valueKind.bytes ? { kind: encoded.kind, data: new Uint8Array(encoded.data) } : encoded;

export class Objects {
  readonly puts: Puts;
  readonly #session: Session;
  readonly #backend: Backend;
  readonly #data: DataPlane;
  readonly #durable = new Set<ObjectId>();
  readonly #fetching = new Map<number, Fetching>();
  /** A turn of the event loop. */
  readonly turn: () => Promise<void>;
  #nextGet = 1;

  constructor(session: Session, backend: Backend, data: DataPlane) {
    this.turn = () => session.turn();
    this.#session = session;
    this.#backend = backend;
    this.#data = data;
    this.puts = new Puts(session, data);
    session.carry({
      puts: this.puts,
      gets: { fetch: (get, location) => this.#carry(get, location), failed: (get, error) => this.#failed(get, error) },
    });
  }

  /**
   * A value above limits.frameBytes is read while it is sent, and must not change until the put has ended. Throws
   * TASK_UNSERIALIZABLE, TOO_LARGE.
   */
  async put<T>(value: T, options: { durable?: boolean } = {}): Promise<PutRef<T>> {
    this.#session.assertOpen();
    if (options.durable) return new PutRef<T>(this.#session.id, await this.keep(ownBytes(encodeValue(value))));
    const begun = encodeInTurns(value, this.turn);
    // What is small is read before the caller can change it.
    return this.#put(begun instanceof Promise ? await begun : begun, value);
  }

  /** The same of bytes that are encoded already. Throws CORRUPT if they cannot be read as what they are said to be. */
  async putEncoded<T>({ kind, data }: EncodedValue, options: { durable?: boolean } = {}): Promise<PutRef<T>> {
    this.#session.assertOpen();
    const own = { kind, data: new Uint8Array(data) };
    checkEncoded(own);
    if (options.durable) return new PutRef<T>(this.#session.id, await this.keep(own));
    return this.#put<T>({ kind, pieces: [own.data], byteLength: own.data.byteLength }, undefined);
  }

  async #put<T>(encoded: EncodedPieces, value: T | undefined): Promise<PutRef<T>> {
    this.#session.assertOpen();
    if (encoded.byteLength > limits.frameBytes) return this.puts.stream<T>(encoded, value);
    const { ref, done } = this.puts.ref<T>(joinPieces(encoded), value);
    await done;
    return ref;
  }

  // ---------------------------------------------------------------------------------------------- durable

  /**
   * Sees to it that what the object says is in the durable store and that the scheduler knows. Returns the name it has
   * there: a session's result is kept under the name of its bytes, because its own says what made it, and nobody could
   * tell a wrong one. TOO_LARGE above limits.durableObjectBytesMax.
   */
  async makeDurable(id: ObjectId): Promise<ObjectId> {
    if (this.#durable.has(id)) return id;
    if (!contentDigest(id)) {
      const { state, durable } = await this.#session.requests.locate(id);
      if (state === "ready" && durable) return id;
    }
    return this.keep(await this.fetch(id));
  }

  /** The same for bytes that this client has. */
  async keep(encoded: EncodedValue): Promise<ObjectId> {
    const { kind, data } = encoded;
    const large = data.byteLength > limits.frameBytes;
    const digest = large ? await digestInTurns(kind, data, this.turn) : digestOf(kind, data);
    const id = contentId(digest);
    if (!this.#durable.has(id)) await this.#keep({ id, digest }, encoded);
    return id;
  }

  async #keep({ id, digest }: ObjectName, { kind, data }: EncodedValue): Promise<void> {
    const bytes = data.byteLength;
    if (bytes > limits.durableObjectBytesMax) {
      throw new VolleyError(
        "TOO_LARGE",
        `object ${id} of ${bytes} bytes is over the limit of ${limits.durableObjectBytesMax} for the durable store; split it into several`,
      );
    }
    const durable = await this.#backend.durable();
    await durable.objects.put(id, data);
    await this.#session.requests.ask({ t: "put", session: this.#session.id, id, kind, bytes, digest }, "ok");
    this.#durable.add(id);
    if (this.#durable.size <= durableMax) return;
    for (const oldest of this.#durable) {
      this.#durable.delete(oldest);
      return;
    }
  }

  // ---------------------------------------------------------------------------------------------- fetch

  /**
   * The encoded value of an object. Waits while it is being made. Rejects with its error, OBJECT_NOT_FOUND,
   * OBJECT_LOST, TIMEOUT.
   */
  fetch(id: ObjectId, options: FetchOptions = {}): Promise<EncodedValue> {
    const inline = this.puts.inline(id);
    if (inline) return Promise.resolve(inline);
    return new Promise((resolve, reject) => {
      this.#get(id, options, false, (_content, whole) => whole && resolve(whole), reject);
    });
  }

  /** The same in pieces. What lies in the durable store is read as the pieces are, and its bytes are not asked for. */
  open(id: ObjectId, options: FetchOptions = {}): Promise<EncodedContent> {
    const inline = this.puts.inline(id);
    if (inline) return Promise.resolve(contentOf(inline));
    return new Promise((resolve, reject) => this.#get(id, options, true, resolve, reject));
  }

  #get(
    id: ObjectId,
    options: FetchOptions,
    inPieces: boolean,
    resolve: Fetching["resolve"],
    reject: Fetching["reject"],
  ): void {
    const get = this.#nextGet++;
    this.#fetching.set(get, { id, options, inPieces, admitted: options.admit === undefined, resolve, reject });
    this.#session.takeUntilFlush({ e: "get", get, id });
    options.patience?.onEnd(() => this.#giveUp(get));
  }

  /** Nobody waits for it any more; whoever asked was told so. */
  #giveUp(get: number): void {
    if (this.#fetching.delete(get)) this.#session.take({ e: "get-ended", get });
  }

  #carry(get: number, location: ObjectLocation): void {
    const one = this.#fetching.get(get);
    if (one) void this.#admitAndFetch(get, one, location);
  }

  async #admitAndFetch(get: number, one: Fetching, location: ObjectLocation): Promise<void> {
    const { id, options, resolve, reject } = one;
    try {
      const stored = one.inPieces ? await this.#stored(id, location, options.shown) : undefined;
      if (stored) {
        resolve(stored, undefined);
        if (this.#fetching.delete(get)) this.#session.take({ e: "fetched", get });
        return;
      }
    } catch (error) {
      this.#session.take({ e: "fetch-failed", get, error: this.#session.failureOf(error) });
      return;
    }
    try {
      if (!one.admitted) await options.admit?.(location.bytes ?? 0, (location.kind ?? valueKind.msgpack) as ValueKind);
      one.admitted = true;
    } catch (error) {
      reject(error);
      this.#giveUp(get);
      return;
    }
    try {
      const whole = await this.#fetchFrom(id, location, options.shown);
      resolve(contentOf(whole), whole);
      if (this.#fetching.delete(get)) this.#session.take({ e: "fetched", get });
    } catch (error) {
      this.#session.take({ e: "fetch-failed", get, error: this.#session.failureOf(error) });
    }
  }

  #failed(get: number, error: VolleyError | { readonly task: WireError }): void {
    const one = this.#fetching.get(get);
    this.#fetching.delete(get);
    one?.reject("task" in error ? errorOfTask(error.task) : error);
  }

  async #fetchFrom(id: ObjectId, location: ObjectLocation, shown: Uint8Array | undefined): Promise<EncodedValue> {
    const kind = (location.kind ?? valueKind.msgpack) as ValueKind;
    const expected = shown ?? location.digest;
    if (location.inline) {
      if (shown && !equalBytes(digestOf(kind, location.inline), shown))
        throw new VolleyError("CORRUPT", `object ${id} is not what this client was shown`);
      return { kind, data: location.inline };
    }
    let failure: VolleyError | undefined;
    for (const worker of location.workers ?? []) {
      try {
        return await this.#data.fetch(worker as WorkerId, id, expected, location.bytes ?? 0);
      } catch (error) {
        if (!isVolleyError(error) || !elsewhere.has(error.code)) throw error;
        failure = error;
      }
    }
    const stored = await this.#stored(id, location, shown);
    if (stored) return { kind, data: await joined(stored) };
    throw failure ?? new VolleyError("OBJECT_NOT_FOUND", `no worker holds object ${id} any more`);
  }

  /** The object in the durable store, if it is there. */
  async #stored(
    id: ObjectId,
    location: ObjectLocation,
    shown: Uint8Array | undefined,
  ): Promise<EncodedContent | undefined> {
    const digest = shown ?? location.digest;
    if (!location.durable || location.inline || !digest) return undefined;
    const stored = await openObject((await this.#backend.durable()).objects, id, digest);
    return stored && storedContent(id, (location.kind ?? valueKind.msgpack) as ValueKind, digest, stored);
  }
}
