/**
 * Objects of the cluster as values: fetched from wherever they are, and made durable. What this client has put is
 * puts.ts' business.
 */

import { contentDigest } from "../../proto/address.js";
import { digestOf, equalBytes, hexOf } from "../../proto/digest.js";
import { readObject } from "../../proto/durable/objects.js";
import { type ErrorCode, isVolleyError, VolleyError } from "../../proto/errors.js";
import { type ObjectBase, type ObjectId, objectIdOf, type WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import { sleep } from "../../proto/timer.js";
import { errorOfTask } from "../../proto/values/thrown.js";
import { type EncodedValue, encodeValue, type ValueKind, valueKind } from "../../proto/values/value.js";
import type { Admit } from "./api.js";
import type { Backend } from "./backend.js";
import type { DataPlane } from "./data.js";
import { Limiter } from "./limiter.js";
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

type Answer = (location: ObjectLocation | Error) => void;

const transfersMax = 8;
const locatedMax = 10_000;
/** Ids that are known to be durable; of those forgotten the store says that it has them. */
const durableMax = 10_000;
/** An object that nobody knows may be announced again after a scheduler's restart. */
const unknownGraceMs = 1_000;
const unreachableMs = 60_000;
const pollMsMax = 500;
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
  #asked = new Map<ObjectId, Answer[]>();
  readonly #fetches = new Limiter(transfersMax);

  constructor(session: Session, backend: Backend, data: DataPlane) {
    this.#session = session;
    this.#backend = backend;
    this.#data = data;
    this.puts = new Puts(session, data);
  }

  /** Throws TASK_UNSERIALIZABLE, TOO_LARGE. */
  async put<T>(value: T, options: { durable?: boolean } = {}): Promise<PutRef<T>> {
    this.#session.assertOpen();
    const encoded = ownBytes(encodeValue(value));
    if (options.durable) return new PutRef<T>(this.#session.id, await this.keep(encoded));
    const { ref, done } = this.puts.ref(encoded, value);
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
      const { state, durable } = await this.#locate(id);
      if (state === "ready" && durable) return id;
    }
    return this.keep(await this.fetch(id));
  }

  /** The same for bytes that this client has. */
  async keep(encoded: EncodedValue): Promise<ObjectId> {
    const id = objectIdOf(`c${hexOf(digestOf(encoded.kind, encoded.data))}` as ObjectBase, 0);
    if (!this.#durable.has(id)) await this.#keep(id, encoded);
    return id;
  }

  async #keep(id: ObjectId, { kind, data }: EncodedValue): Promise<void> {
    const bytes = data.byteLength;
    if (bytes > limits.durableObjectBytesMax) {
      throw new VolleyError(
        "TOO_LARGE",
        `object ${id} of ${bytes} bytes is over the limit of ${limits.durableObjectBytesMax} for the durable store; split it into several`,
      );
    }
    const durable = await this.#backend.durable();
    await durable.objects.put(id, data);
    await this.#session.requests.ask(
      { t: "put", session: this.#session.id, id, kind, bytes, digest: digestOf(kind, data) },
      "ok",
    );
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
  async fetch(id: ObjectId, options: FetchOptions = {}): Promise<EncodedValue> {
    const put = this.puts.get(id);
    if (put?.inline) return { kind: put.kind, data: put.inline };
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
      if (location.state === "failed")
        throw location.error
          ? errorOfTask(location.error)
          : new VolleyError("OBJECT_LOST", `object ${id} could not be made`);
      if (location.state === "unknown") {
        // A scheduler that has just started may hear of it in a moment.
        if (this.#session.unsettled) unknownSince = undefined;
        unknownSince ??= now;
        // What this client has put it puts again, if it can.
        const graceMs = this.puts.get(id) ? unreachableMs : unknownGraceMs;
        if (now - unknownSince > graceMs)
          throw failure ?? new VolleyError("OBJECT_NOT_FOUND", `no object ${id} is known to the cluster`);
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
      const answer = (location: ObjectLocation | Error): void =>
        location instanceof Error ? reject(location) : resolve(location);
      const waiting = this.#asked.get(id);
      if (waiting) waiting.push(answer);
      else this.#asked.set(id, [answer]);
    });
  }

  async #ask(ids: ObjectId[], asked: ReadonlyMap<ObjectId, readonly Answer[]>): Promise<void> {
    let answer: (id: ObjectId) => ObjectLocation | Error;
    try {
      const { locations } = await this.#session.requests.ask({ t: "locate", ids }, "located", {
        timeoutMs: unreachableMs,
      });
      const byId = new Map(locations.map((location) => [location.id, location]));
      answer = (id) => byId.get(id) ?? { id, state: "unknown" };
    } catch (error) {
      answer = () => error as Error;
    }
    for (const id of ids) for (const tell of asked.get(id) ?? []) tell(answer(id));
  }
}
