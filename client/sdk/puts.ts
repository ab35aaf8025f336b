/**
 * What this client has put: where each value is on its way into the cluster and out of it again.
 *
 * A put of at most limits.inlineBytesMax is told to the scheduler with its bytes; a larger one is offered to a worker
 * that the scheduler names, and then held. Ids follow from the bytes, so the same value is put once.
 *
 * U1 An object is this session's from its put until nothing here needs it: no ref, no table that the caller still has,
 * no stage that is to be sent or
 *    has not ended. A few that were needed last linger, because loops pass the same value again and again. Then a beat
 * lists it as dropped (M8). U2 What the scheduler calls missing is put again from what is kept (kept-values.ts); what
 * is not to be had any more is dropped, so that what reads it
 *    ends, and the next put of the value is a new one.
 * U3 A full cluster is waited for: what lingers is given back at once, and the offer is made again.
 */
import { Table } from "apache-arrow";
import { digestOf, hexOf } from "../../proto/digest.js";
import { type ErrorCode, isVolleyError, VolleyError } from "../../proto/errors.js";
import { type ObjectBase, type ObjectId, objectIdOf } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { sleep } from "../../proto/timer.js";
import { type EncodedValue, encodeValue, type ValueKind, valueKind } from "../../proto/values/value.js";
import type { DataPlane } from "./data.js";
import { KeptValues } from "./kept-values.js";
import { Limiter } from "./limiter.js";
import { PutRef } from "./refs.js";
import type { Session } from "./session.js";
import { valueBytesMax } from "./sizes.js";

/** An object that this client has put. */
export interface Put {
  readonly id: ObjectId;
  readonly kind: ValueKind;
  readonly bytes: number;
  readonly digest: Uint8Array;
  readonly inline: Uint8Array | undefined;
  readonly generation: number;
  /** Resolves when tasks may read it. Never an unhandled rejection. */
  done: Promise<void>;
  /** Who needs it (U1). */
  needs: number;
  dropped: boolean;
}

const offersMax = 8;
const holdsMax = 1_000;
const tellsMax = 16;
const placeTriesMax = 4;
/** U3. */
const roomPatienceMs = 120_000;
const lingerMs = 30_000;
const lingeringMax = 4;
const lingeringBytesMax = 16 * 1024 * 1024;
/** Failures of one worker, after which another one is asked. */
const elsewhere: ReadonlySet<ErrorCode> = new Set([
  "NO_LISTENER",
  "TIMEOUT",
  "DISCONNECTED",
  "CORRUPT",
  "WORKER_LOST",
  "OUT_OF_MEMORY",
  "NO_SCHEDULER",
]);
const passing: ReadonlySet<ErrorCode> = new Set([
  "NO_SCHEDULER",
  "DISCONNECTED",
  "TIMEOUT",
  "JOB_NOT_FOUND",
  "STALE_EPOCH",
  "FENCED",
  "CLOSED",
  "INTERNAL",
]);

const quiet = (promise: Promise<void>): Promise<void> => {
  promise.catch(() => undefined);
  return promise;
};

export class Puts {
  readonly #session: Session;
  readonly #data: DataPlane;
  readonly #byId = new Map<ObjectId, Put>();
  readonly #tables = new WeakMap<Table, Put>();
  readonly #kept = new KeptValues<Put>();
  readonly #collected: FinalizationRegistry<Put>;
  readonly #offers = new Limiter(offersMax);
  /** Not needed, and since when; oldest first. */
  readonly #lingering = new Map<Put, number>();
  readonly #replacing = new Set<Put>();
  #generation = 0;

  constructor(session: Session, data: DataPlane) {
    this.#session = session;
    this.#data = data;
    this.#collected = new FinalizationRegistry((put) => this.drop(put));
  }

  get(id: ObjectId): Put | undefined {
    return this.#byId.get(id);
  }

  get size(): number {
    return this.#byId.size;
  }

  /** A ref that the caller holds; the object is put when `done`. */
  ref<T>(encoded: EncodedValue, value: T): { ref: PutRef<T>; done: Promise<void> } {
    const put = this.start(encoded, value);
    const ref = new PutRef<T>(this.#session.id, put.id);
    this.need(put);
    this.#collected.register(ref, put);
    return { ref, done: put.done };
  }

  /** Starts to put an encoded value; the caller must not change its bytes until it is done. */
  start(encoded: EncodedValue, value?: unknown): Put {
    const { kind, data } = encoded;
    if (data.byteLength > limits.objectBytesMax)
      throw new VolleyError(
        "TOO_LARGE",
        `value of ${data.byteLength} bytes is over the limit of ${limits.objectBytesMax} for one object; split it`,
      );
    const digest = digestOf(kind, data);
    const id = objectIdOf(`c${hexOf(digest)}` as ObjectBase, 0);
    const known = this.#byId.get(id);
    this.#session.live.stayAlive();
    if (known) {
      if (!known.inline) this.#kept.keep(known, data, value);
      return known;
    }
    // An inline object is put again after a scheduler's restart, so its bytes must be this client's own.
    const inline = data.byteLength <= limits.inlineBytesMax ? data.slice() : undefined;
    const generation = ++this.#generation;
    const put: Put = {
      id,
      kind,
      bytes: data.byteLength,
      digest,
      inline,
      generation,
      done: Promise.resolve(),
      needs: 0,
      dropped: false,
    };
    this.#byId.set(id, put);
    if (!inline) this.#kept.keep(put, data, value);
    this.#place(put, data);
    // Whoever needs it says so in this turn.
    setImmediate(() => this.#lingerIfUnneeded(put));
    return put;
  }

  /**
   * Small values as they are; large ones are put. An Arrow table, which cannot change, is put once while the caller has
   * it, however often it is passed.
   */
  encodeArgument(value: unknown): EncodedValue | Put {
    const table = value instanceof Table ? value : undefined;
    const known = table && this.#tables.get(table);
    if (known && !known.dropped) return known;
    const encoded = encodeValue(value);
    if (encoded.data.byteLength <= valueBytesMax) return encoded;
    const put = this.start(
      encoded.kind === valueKind.bytes ? { kind: encoded.kind, data: encoded.data.slice() } : encoded,
      value,
    );
    if (table) {
      this.#tables.set(table, put);
      this.need(put);
      this.#collected.register(table, put);
    }
    return put;
  }

  // ---------------------------------------------------------------------------------------------- needs (U1)

  need(put: Put): void {
    put.needs++;
    this.#lingering.delete(put);
  }

  drop(put: Put): void {
    put.needs--;
    this.#lingerIfUnneeded(put);
  }

  #lingerIfUnneeded(put: Put): void {
    if (put.needs > 0 || put.dropped) return;
    if (put.inline) {
      this.#giveBack(put);
      return;
    }
    this.#lingering.delete(put);
    this.#lingering.set(put, performance.now());
    let bytes = 0;
    for (const one of this.#lingering.keys()) bytes += one.bytes;
    for (const oldest of this.#lingering.keys()) {
      if (this.#lingering.size <= lingeringMax && (bytes <= lingeringBytesMax || this.#lingering.size <= 2)) break;
      bytes -= oldest.bytes;
      this.#giveBack(oldest);
    }
  }

  /** Now and then: nobody has needed them for a while. */
  sweep(): void {
    const before = performance.now() - lingerMs;
    for (const [put, since] of this.#lingering) if (since < before) this.#giveBack(put);
  }

  #giveBack(put: Put): void {
    this.#lingering.delete(put);
    this.#forget(put);
    // What is still on its way would arrive after the word that it is not needed.
    void put.done.catch(() => undefined).then(() => this.#session.dropObject(put));
  }

  #forget(put: Put): void {
    put.dropped = true;
    this.#kept.forget(put);
    if (this.#byId.get(put.id) === put) this.#byId.delete(put.id);
  }

  // ---------------------------------------------------------------------------------------------- placing

  #place(put: Put, data: Uint8Array): void {
    put.done = quiet(put.inline ? this.#tell(put) : this.#offers.run(() => this.#offer(put, data)));
    // The next put of the value is a new one.
    put.done.catch(() => this.#forget(put));
  }

  async #tell({ id, kind, bytes, digest, inline, generation }: Put): Promise<void> {
    await this.#session.requests.ask(
      { t: "put", session: this.#session.id, id, kind, bytes, digest, generation, ...(inline ? { inline } : {}) },
      "ok",
    );
  }

  async #offer(put: Put, data: Uint8Array): Promise<void> {
    const { id, kind, digest, bytes } = put;
    let fullSince: number | undefined;
    for (let tries = 1; ; tries++) {
      try {
        const { worker } = await this.#session.requests.ask({ t: "place", bytes }, "placed");
        await this.#data.offer(worker, { id, kind, digest, data });
        if ((await this.#hold([put])).length === 0) return;
        throw new VolleyError("WORKER_LOST", `worker ${worker} took object ${id} and was lost; put it again`);
      } catch (error) {
        if (!isVolleyError(error) || !elsewhere.has(error.code)) throw error;
        // With details it is for good: no worker's store is large enough.
        const full = error.code === "OUT_OF_MEMORY" && error.details?.neededBytes === undefined;
        fullSince = full ? (fullSince ?? performance.now()) : undefined;
        if (full ? performance.now() - (fullSince ?? 0) > roomPatienceMs : tries >= placeTriesMax) throw error;
        if (full) this.#makeRoom();
        await sleep(Math.min(50 * tries, 1_000));
      }
    }
  }

  /** U3. */
  #makeRoom(): void {
    for (const put of [...this.#lingering.keys()]) this.#giveBack(put);
    this.#session.live.beatSoon();
  }

  /** Returns those that nobody has. The session may have to be opened first. */
  async #hold(puts: readonly Put[]): Promise<ObjectId[]> {
    const objects = puts.map(({ id, kind, bytes, digest, generation }) => ({ id, kind, bytes, digest, generation }));
    for (let tries = 1; ; tries++) {
      try {
        const { id: session, client } = this.#session;
        return (await this.#session.requests.ask({ t: "hold", session, client, objects }, "held")).missing;
      } catch (error) {
        if (!isVolleyError(error) || error.code !== "JOB_NOT_FOUND" || tries > 10) throw error;
        this.#session.live.lose();
        await sleep(200);
      }
    }
  }

  // ---------------------------------------------------------------------------------------------- losses (U2)

  /** The scheduler says that nobody has these. */
  onMissing(ids: readonly ObjectId[]): void {
    for (const id of ids) {
      const put = this.#byId.get(id);
      if (put && !put.inline && !this.#replacing.has(put)) void this.#replace(put);
    }
  }

  async #replace(put: Put): Promise<void> {
    this.#replacing.add(put);
    try {
      await put.done;
      const data = this.#kept.find(put);
      if (!data) throw new VolleyError("OBJECT_LOST", `object ${put.id} is gone, and its value is not here any more`);
      await this.#offers.run(() => this.#offer(put, data));
    } catch {
      // Whatever reads it ends with OBJECT_LOST, and says to put it again.
      if (!put.dropped) this.#giveBack(put);
    } finally {
      this.#replacing.delete(put);
    }
  }

  /**
   * Tells a scheduler that does not know this session what is in the cluster. Rejects when it cannot be reached; what
   * it refuses is dropped.
   */
  async tellAgain(): Promise<void> {
    const placed: Put[] = [];
    const tells = new Limiter(tellsMax);
    const told: Promise<void>[] = [];
    for (const put of this.#byId.values()) {
      if (!put.inline) placed.push(put);
      else told.push(tells.run(() => this.#tell(put)).catch((error: unknown) => this.#refused(put, error)));
    }
    await Promise.all(told);
    for (let at = 0; at < placed.length; at += holdsMax) {
      const page = placed.slice(at, at + holdsMax);
      const objects = page.map(({ id, kind, bytes, digest, generation }) => ({ id, kind, bytes, digest, generation }));
      // What is missing is said again with the beats, when workers have had time to say what they hold.
      await this.#session.requests.ask(
        { t: "hold", session: this.#session.id, client: this.#session.client, objects },
        "held",
      );
    }
  }

  #refused(put: Put, error: unknown): void {
    if (!isVolleyError(error) || passing.has(error.code)) throw error;
    this.#forget(put);
  }
}
