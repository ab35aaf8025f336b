/**
 * Getting objects into this worker's store, from wherever they are: other workers' memory first, the durable store
 * after that. Fetches of one object are shared. What is fetched for leases is kept as a copy, because the next lease
 * will most likely read it too, until the store needs the room.
 *
 * O1 Whoever knows an input's digest (its commit's, its put's) gets those bytes or none. What this worker holds under
 * the same id with another digest
 *    is not taken: it is of an execution that was not committed, or of an earlier job of the same id.
 */

import { type BlobReader, joined } from "../../proto/durable/durable.js";
import { openObject } from "../../proto/durable/objects.js";
import { fromWireError, isVolleyError, VolleyError } from "../../proto/errors.js";
import { fetchObject } from "../../proto/frames/data-plane.js";
import type { FramePeer } from "../../proto/frames/peer.js";
import type { ObjectId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import type { StoredObject } from "../../proto/messages/worker.js";
import { pause, type Runtime, realRuntime } from "../../proto/runtime.js";
import type { Transport } from "../../proto/transport/transport.js";
import type { Allocation, ObjectStore, Pin } from "../store/store.js";
import { ask } from "./ask.js";
import { checkDigest } from "./hash.js";

export interface ObjectFetcherOptions {
  readonly worker: WorkerId;
  readonly store: ObjectStore;
  readonly control: Transport;
  /** The highest epoch seen. */
  readonly epoch?: () => number;
  readonly frames: FramePeer;
  readonly framesTransport: Transport;
  readonly durable: BlobReader;
  readonly runtime?: Runtime;
  /** Grows with every lease taken: what comes later is the newer (store S5). */
  order(): number;
  /** A copy is here that others may fetch too. */
  onCopied?(object: StoredObject): void;
  onFetched?(bytes: number, seconds: number): void;
  /** The scheduler takes this worker for a holder, and it is not, or of something else. */
  onMissing?(id: ObjectId): void;
}

export type Found =
  | { readonly kind: number; readonly data: Uint8Array; release(): void }
  | { readonly pin: Pin; release(): void };

const attemptsMax = 4;
/** Objects taken over from a worker that leaves, at once. */
const lanesMax = 4;
const bytesPerSecondMin = 4 * 1024 * 1024;
const nothing = (): void => undefined;

export class ObjectFetcher {
  readonly #options: ObjectFetcherOptions;
  readonly #runtime: Runtime;
  readonly #fetches = new Map<ObjectId, Promise<void>>();
  readonly #lanes: Promise<void>[] = [];
  #nextLane = 0;

  constructor(options: ObjectFetcherOptions) {
    this.#options = options;
    this.#runtime = options.runtime ?? realRuntime;
  }

  /**
   * The object, pinned until `release`. `known`: what the lease said of it. Rejects with UPSTREAM_FAILED if it can
   * never be had, with OBJECT_LOST, OUT_OF_MEMORY or a fault of the network when it could not be had in several tries.
   */
  async get(id: ObjectId, known?: ObjectLocation): Promise<Found> {
    let location = known;
    let last: unknown;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      if (attempt > 0) await pause(this.#runtime, 50 * 4 ** (attempt - 1));
      try {
        if (location?.digest && this.#options.store.has(id, location.digest))
          return await this.#pinned(id, location.digest);
        if (location?.state !== "ready" || attempt > 0) location = await this.#locate(id);
        if (location.inline && location.kind !== undefined)
          return { kind: location.kind, data: location.inline, release: nothing };
        if (!this.#options.store.has(id, location.digest)) await this.#shared(id, location);
        return await this.#pinned(id, location.digest);
      } catch (error) {
        if (!isVolleyError(error) || error.code === "UPSTREAM_FAILED" || error.code === "CLOSED") throw error;
        last = error;
      }
    }
    throw last;
  }

  /** Fetches the object to keep it. Never fails: whether it is here is to be looked at afterwards. */
  async take(location: ObjectLocation): Promise<void> {
    const { id, digest } = location;
    const { store } = this.#options;
    if (digest && !store.has(id, digest)) await this.#inLane(() => this.#shared(id, location)).catch(nothing);
    if (digest && store.has(id, digest)) store.own(id);
  }

  /** A few at a time, each behind the one before in its lane. */
  #inLane(work: () => Promise<void>): Promise<void> {
    const lane = this.#nextLane++ % lanesMax;
    const done = (this.#lanes[lane] ?? Promise.resolve()).then(work);
    this.#lanes[lane] = done.catch(nothing);
    return done;
  }

  async #pinned(id: ObjectId, digest: Uint8Array | undefined): Promise<Found> {
    const pin = await this.#options.store.pin(id, digest);
    return { pin, release: () => pin.release() };
  }

  async #locate(id: ObjectId): Promise<ObjectLocation> {
    const { locations } = await ask(
      this.#options.control,
      { t: "locate", ids: [id] },
      this.#options.epoch ?? (() => 0),
      this.#runtime,
    );
    const location = locations.find((candidate) => candidate.id === id);
    if (location?.state === "failed")
      throw new VolleyError(
        "UPSTREAM_FAILED",
        `input ${id} failed${location.error ? `: ${fromWireError(location.error).message}` : ""}`,
      );
    if (location?.state !== "ready")
      throw new VolleyError("OBJECT_LOST", `input ${id} is ${location?.state ?? "unknown"} to the scheduler`);
    return location;
  }

  #shared(id: ObjectId, location: ObjectLocation): Promise<void> {
    let fetch = this.#fetches.get(id);
    if (!fetch) {
      fetch = this.#fetch(id, location).finally(() => this.#fetches.delete(id));
      this.#fetches.set(id, fetch);
    }
    return fetch;
  }

  async #fetch(id: ObjectId, location: ObjectLocation): Promise<void> {
    const startedAt = this.#runtime.nowMs();
    let last: unknown = new VolleyError("OBJECT_LOST", `input ${id} is held by no worker and not in the durable store`);
    for (const holder of shuffled(location.workers ?? [], this.#runtime)) {
      if (holder === this.#options.worker) {
        this.#options.onMissing?.(id);
        continue;
      }
      try {
        const bytes = await this.#fromWorker(id, holder, location);
        this.#options.onFetched?.(bytes, (this.#runtime.nowMs() - startedAt) / 1000);
        return;
      } catch (error) {
        // Without room here, another holder does not help.
        if (isVolleyError(error) && (error.code === "OUT_OF_MEMORY" || error.code === "CLOSED")) throw error;
        last = error;
      }
    }
    if (!location.durable) throw last;
    const bytes = await this.#fromDurable(id, location);
    this.#options.onFetched?.(bytes, (this.#runtime.nowMs() - startedAt) / 1000);
  }

  async #fromWorker(id: ObjectId, holder: WorkerId, location: ObjectLocation): Promise<number> {
    const { store, frames, framesTransport } = this.#options;
    let room: Allocation | undefined;
    const allocate = async (meta: { bytes: number }): Promise<Uint8Array> => {
      if (room) store.abandon(room);
      room = undefined;
      room = await store.allocate(meta.bytes);
      return room.view;
    };
    try {
      const timeoutMs = limits.requestTimeoutMs + Math.ceil((location.bytes ?? 0) / bytesPerSecondMin) * 1_000;
      const order = this.#options.order();
      const { kind, digest, bytes } = await fetchObject({
        transport: framesTransport,
        frames,
        from: holder,
        id,
        digest: location.digest,
        allocate,
        timeoutMs,
      });
      if (!room) throw new VolleyError("INTERNAL", `object ${id} came without memory`);
      const filled = room;
      room = undefined;
      if (!store.seal(id, filled, { kind, digest }, { copy: true, order })) throw superseded(id);
      this.#options.onCopied?.({ id, bytes, kind, digest, copy: true });
      return bytes;
    } finally {
      if (room) store.abandon(room);
    }
  }

  async #fromDurable(id: ObjectId, location: ObjectLocation): Promise<number> {
    const { store, durable } = this.#options;
    const { kind, digest } = location;
    if (kind === undefined || digest === undefined)
      throw new VolleyError("INTERNAL", `the kind or digest of object ${id} is not known`);
    const order = this.#options.order();
    const content = await openObject(durable, id, digest);
    if (!content)
      throw new VolleyError("OBJECT_LOST", `object ${id} is not in the durable store, although the scheduler says so`);
    const { bytes } = content;
    let room: Allocation | undefined = await store.allocate(bytes);
    try {
      await checkDigest(this.#runtime, id, kind, await joined(content, room.view), digest);
      const filled = room;
      room = undefined;
      if (!store.seal(id, filled, { kind, digest }, { copy: true, order })) throw superseded(id);
    } finally {
      if (room) store.abandon(room);
    }
    this.#options.onCopied?.({ id, bytes, kind, digest, copy: true });
    return bytes;
  }
}

const superseded = (id: ObjectId): VolleyError =>
  new VolleyError("OBJECT_LOST", `object ${id} was replaced by a newer content of its id meanwhile`);

/** Readers of one object spread over its holders. */
function shuffled<T>(list: readonly T[], runtime: Runtime): T[] {
  const keys = runtime.randomBytes(list.length);
  return list
    .map((value, i) => ({ value, key: keys[i] as number }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value);
}
