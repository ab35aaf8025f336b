/**
 * Values that do not travel inside messages: put, fetched, made durable. Owns what this client knows of the objects it has put.
 *
 * A put of at most limits.inlineBytesMax is told to the scheduler with its bytes; a larger one is offered to a worker that the scheduler names.
 * Ids follow from the bytes, so the same value is put once.
 */

import { Table } from "apache-arrow";
import { digestOf, equalBytes, hexOf } from "../../proto/digest.js";
import { readObject } from "../../proto/durable/objects.js";
import { isVolleyError, VolleyError } from "../../proto/errors.js";
import { type ObjectBase, type ObjectId, objectIdOf, type WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ObjectLocation } from "../../proto/messages.js";
import { errorOfTask } from "../../proto/thrown.js";
import { sleep } from "../../proto/timer.js";
import { type EncodedValue, encodeValue, type ValueKind, valueKind } from "../../proto/value.js";
import type { Admit } from "./api.js";
import type { Backend } from "./backend.js";
import type { DataPlane } from "./data.js";
import { Limiter } from "./limiter.js";
import type { Patience } from "./patience.js";
import { PutRef } from "./refs.js";
import type { Session } from "./session.js";
import { valueBytesMax } from "./sizes.js";

export interface Put {
  readonly id: ObjectId;
  /** Resolves when tasks may read it. Never an unhandled rejection. */
  readonly done: Promise<void>;
}

interface FetchOptions {
  /** Asked before bytes are fetched. */
  readonly admit?: Admit | undefined;
  readonly patience?: Patience | undefined;
  /** The digest of the result that this client was shown (I1). */
  readonly shown?: Uint8Array;
}

type Answer = (location: ObjectLocation | Error) => void;

interface Note {
  readonly kind: ValueKind;
  readonly bytes: number;
  readonly digest: Uint8Array;
  readonly inline: Uint8Array | undefined;
  durable: boolean;
  placed: Promise<void> | undefined;
  /** Refs that users hold. */
  refs: number;
}

const transfersMax = 8;
const locatedMax = 10_000;
const placeTriesMax = 4;
/** An object that nobody knows may be announced again after a scheduler's restart. */
const unknownGraceMs = 1_000;
const unreachableMs = 60_000;
const pollMsMax = 500;
/** Failures of one copy of an object, after which the next one is tried. */
const elsewhere = new Set(["NO_LISTENER", "TIMEOUT", "DISCONNECTED", "OBJECT_NOT_FOUND", "CORRUPT", "WORKER_LOST", "OUT_OF_MEMORY"]);

const quiet = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(() => undefined);
  return promise;
};

export class Objects {
  readonly #session: Session;
  readonly #backend: Backend;
  readonly #data: DataPlane;
  readonly #notes = new Map<ObjectId, Note>();
  readonly #tables = new WeakMap<Table, Put>();
  readonly #refs: FinalizationRegistry<ObjectId>;
  #asked = new Map<ObjectId, Answer[]>();
  readonly #fetches = new Limiter(transfersMax);
  readonly #offers = new Limiter(transfersMax);

  constructor(session: Session, backend: Backend, data: DataPlane) {
    this.#session = session;
    this.#backend = backend;
    this.#data = data;
    this.#refs = new FinalizationRegistry((id) => this.#unreferenced(id));
  }

  // ---------------------------------------------------------------------------------------------- put

  /** Throws TASK_UNSERIALIZABLE, TOO_LARGE. */
  async put<T>(value: T, options: { durable?: boolean } = {}): Promise<PutRef<T>> {
    this.#session.assertOpen();
    const encoded = encodeValue(value);
    const { id, note } = this.#note(encoded);
    const ref = new PutRef<T>(this.#session.id, id);
    note.refs++;
    this.#refs.register(ref, id);
    if (options.durable) await this.#keep(id, note, encoded.data);
    else await this.#place(id, note, encoded.data);
    return ref;
  }

  /** Starts to put an encoded value; the caller must not change its bytes. */
  startPut(encoded: EncodedValue): Put {
    const { id, note } = this.#note(encoded);
    return { id, done: quiet(this.#place(id, note, encoded.data)) };
  }

  /** Small values as they are; large ones are put. An Arrow table, which cannot change, is put once however often it is passed. */
  encodeArgument(value: unknown): EncodedValue | Put {
    const table = value instanceof Table ? value : undefined;
    const known = table && this.#tables.get(table);
    if (known) return known;
    const encoded = encodeValue(value);
    if (encoded.data.byteLength <= valueBytesMax) return encoded;
    const put = this.startPut(encoded.kind === valueKind.bytes ? { kind: encoded.kind, data: encoded.data.slice() } : encoded);
    if (table) {
      this.#tables.set(table, put);
      put.done.catch(() => this.#tables.delete(table));
    }
    return put;
  }

  #note(encoded: EncodedValue): { id: ObjectId; note: Note } {
    const { kind, data } = encoded;
    if (data.byteLength > limits.objectBytesMax)
      throw new VolleyError("TOO_LARGE", `value of ${data.byteLength} bytes is over the limit of ${limits.objectBytesMax} for one object; split it`);
    const digest = digestOf(kind, data);
    const id = objectIdOf(`c${hexOf(digest)}` as ObjectBase, 0);
    let note = this.#notes.get(id);
    if (!note) {
      // An inline object is put again after a scheduler's restart, so its bytes must be this client's own.
      note = {
        kind,
        bytes: data.byteLength,
        digest,
        inline: data.byteLength <= limits.inlineBytesMax ? data.slice() : undefined,
        durable: false,
        placed: undefined,
        refs: 0,
      };
      this.#notes.set(id, note);
    }
    return { id, note };
  }

  #place(id: ObjectId, note: Note, data: Uint8Array): Promise<void> {
    if (note.durable) return Promise.resolve();
    if (!note.placed) {
      note.placed = note.inline ? this.#tell(id, note) : this.#offers.run(() => this.#offer(id, note, data));
      note.placed.catch(() => {
        note.placed = undefined;
      });
    }
    return note.placed;
  }

  async #tell(id: ObjectId, note: Note): Promise<void> {
    const { kind, bytes, digest, inline } = note;
    await this.#session.requests.ask({ t: "put", session: this.#session.id, id, kind, bytes, digest, ...(inline && !note.durable ? { inline } : {}) }, "ok");
  }

  async #offer(id: ObjectId, note: Note, data: Uint8Array): Promise<void> {
    for (let tries = 1; ; tries++) {
      const { worker } = await this.#session.requests.ask({ t: "place", bytes: note.bytes }, "placed");
      try {
        await this.#data.offer(worker, { id, kind: note.kind, digest: note.digest, data });
        break;
      } catch (error) {
        if (!isVolleyError(error) || !elsewhere.has(error.code) || tries === placeTriesMax) throw error;
        await sleep(50 * tries);
      }
    }
    // The worker tells the scheduler; a stage that names the object must not overtake that.
    for (let waitedMs = 0, pauseMs = 1; ; waitedMs += pauseMs, pauseMs = Math.min(pauseMs * 2, 100)) {
      const { state } = await this.#locate(id);
      if (state === "ready") return;
      if (waitedMs > limits.requestTimeoutMs)
        throw new VolleyError("TIMEOUT", `the worker took ${id} but the scheduler has not heard of it within ${limits.requestTimeoutMs} ms; put it again`);
      await sleep(pauseMs);
    }
  }

  #unreferenced(id: ObjectId): void {
    const note = this.#notes.get(id);
    if (note && --note.refs <= 0 && note.inline) this.#notes.delete(id);
  }

  // ---------------------------------------------------------------------------------------------- durable

  /** Sees to it that the object is in the durable store and that the scheduler knows. TOO_LARGE above limits.durableObjectBytesMax. */
  async makeDurable(id: ObjectId): Promise<void> {
    let note = this.#notes.get(id);
    if (note?.durable) return;
    const encoded = note?.inline ? { kind: note.kind, data: note.inline } : await this.fetch(id);
    const digest = note?.digest ?? digestOf(encoded.kind, encoded.data);
    note ??= { kind: encoded.kind, bytes: encoded.data.byteLength, digest, inline: undefined, durable: false, placed: undefined, refs: 0 };
    this.#notes.set(id, note);
    await this.#keep(id, note, encoded.data);
  }

  /** The same for bytes that this client has. */
  async keep(encoded: EncodedValue): Promise<ObjectId> {
    const { id, note } = this.#note(encoded);
    await this.#keep(id, note, encoded.data);
    return id;
  }

  async #keep(id: ObjectId, note: Note, data: Uint8Array): Promise<void> {
    if (note.durable) return;
    if (note.bytes > limits.durableObjectBytesMax) {
      throw new VolleyError(
        "TOO_LARGE",
        `object ${id} of ${note.bytes} bytes is over the limit of ${limits.durableObjectBytesMax} for the durable store; split it into several`,
      );
    }
    const durable = await this.#backend.durable();
    await durable.objects.put(id, data);
    note.durable = true;
    try {
      await this.#tell(id, note);
    } catch (error) {
      note.durable = false;
      throw error;
    }
  }

  /**
   * Tells a scheduler that has restarted of the small and durable objects. Workers announce the others themselves: waits until it knows all of
   * `needed`, or until it should have heard of them.
   */
  async tellAgain(needed: ReadonlySet<ObjectId>): Promise<void> {
    for (const [id, note] of this.#notes) if (note.durable || note.inline) await this.#tell(id, note);
    const deadline = performance.now() + 2 * limits.heartbeatTimeoutMs;
    for (const id of needed) {
      for (let pauseMs = 5; performance.now() < deadline; pauseMs = Math.min(pauseMs * 2, 200)) {
        if ((await this.#locate(id)).state !== "unknown") break;
        await sleep(pauseMs);
      }
    }
  }

  // ---------------------------------------------------------------------------------------------- fetch

  /** The encoded value of an object. Waits while it is being made. Rejects with its error, OBJECT_NOT_FOUND, OBJECT_LOST, TIMEOUT. */
  async fetch(id: ObjectId, options: FetchOptions = {}): Promise<EncodedValue> {
    const note = this.#notes.get(id);
    if (note?.inline) return { kind: note.kind, data: note.inline };
    return this.#fetches.run(() => this.#fetch(id, options), options.patience);
  }

  async #fetch(id: ObjectId, { patience, shown, admit }: FetchOptions): Promise<EncodedValue> {
    let admitted = admit === undefined;
    let failure: VolleyError | undefined;
    let unknownSince: number | undefined;
    let failingSince: number | undefined;
    for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 2, pollMsMax)) {
      const location = await this.#locate(id);
      const now = performance.now();
      if (location.state === "failed") throw location.error ? errorOfTask(location.error) : new VolleyError("OBJECT_LOST", `object ${id} could not be made`);
      if (location.state === "unknown") {
        // A scheduler that has just started may hear of it in a moment.
        if (this.#session.unsettled) unknownSince = undefined;
        unknownSince ??= now;
        if (now - unknownSince > unknownGraceMs) throw failure ?? new VolleyError("OBJECT_NOT_FOUND", `no object ${id} is known to the cluster`);
      } else if (location.state === "ready") {
        unknownSince = undefined;
        if (!admitted) await admit?.(location.bytes ?? 0, (location.kind ?? valueKind.msgpack) as ValueKind);
        admitted = true;
        const found = await this.#fetchFrom(id, location, shown).catch((error: unknown) => {
          if (!isVolleyError(error) || !elsewhere.has(error.code)) throw error;
          return error;
        });
        if (!isVolleyError(found)) return found;
        failure = found;
        failingSince ??= now;
        if (now - failingSince > unreachableMs) throw failure;
      }
      await sleep(pauseMs);
      patience?.check();
    }
  }

  async #fetchFrom(id: ObjectId, location: ObjectLocation, shown: Uint8Array | undefined): Promise<EncodedValue> {
    const kind = (location.kind ?? valueKind.msgpack) as ValueKind;
    const expected = shown ?? location.digest;
    if (location.inline) {
      if (shown && !equalBytes(digestOf(kind, location.inline), shown)) throw new VolleyError("CORRUPT", `object ${id} is not what this client was shown`);
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
    if (location.durable && expected) {
      const data = await readObject((await this.#backend.durable()).objects, id, expected, (found) => {
        if (!equalBytes(digestOf(kind, found), expected))
          throw new VolleyError("CORRUPT", `object ${id} in the durable store does not have the digest of its commit`);
      });
      if (data) return { kind, data };
    }
    throw failure ?? new VolleyError("OBJECT_NOT_FOUND", `no worker holds object ${id} any more`);
  }

  /** Questions of one tick travel as one. */
  #locate(id: ObjectId): Promise<ObjectLocation> {
    return new Promise((resolve, reject) => {
      if (this.#asked.size === 0) {
        process.nextTick(() => {
          const asked = this.#asked;
          this.#asked = new Map();
          const ids = [...asked.keys()];
          for (let at = 0; at < ids.length; at += locatedMax) void this.#ask(ids.slice(at, at + locatedMax), asked);
        });
      }
      const answer = (location: ObjectLocation | Error): void => (location instanceof Error ? reject(location) : resolve(location));
      const waiting = this.#asked.get(id);
      if (waiting) waiting.push(answer);
      else this.#asked.set(id, [answer]);
    });
  }

  async #ask(ids: ObjectId[], asked: ReadonlyMap<ObjectId, readonly Answer[]>): Promise<void> {
    let answer: (id: ObjectId) => ObjectLocation | Error;
    try {
      const { locations } = await this.#session.requests.ask({ t: "locate", ids }, "located", { timeoutMs: unreachableMs });
      const byId = new Map(locations.map((location) => [location.id, location]));
      answer = (id) => byId.get(id) ?? { id, state: "unknown" };
    } catch (error) {
      answer = () => error as Error;
    }
    for (const id of ids) for (const tell of asked.get(id) ?? []) tell(answer(id));
  }
}
