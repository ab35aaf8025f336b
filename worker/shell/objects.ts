/**
 * Getting objects into this worker's store, from wherever they are: other workers' memory first, the durable store after that. Fetches of one object are
 * shared. Copies fetched for leases are kept for a while after the last lease that read them, because the next lease will most likely read them too;
 * they are nobody's only copy, so the scheduler is not told of them.
 */

import { fetchObject } from "../../proto/data-plane.js";
import { digestOf } from "../../proto/digest.js";
import type { BlobStore } from "../../proto/durable/durable.js";
import { fromWireError, isVolleyError, VolleyError } from "../../proto/errors.js";
import type { FramePeer } from "../../proto/frame-peer.js";
import type { ObjectId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ObjectLocation } from "../../proto/messages.js";
import { sleep as delay } from "../../proto/timer.js";
import type { Transport } from "../../proto/transport/transport.js";
import type { Allocation, ObjectStore, Pin } from "../store/store.js";
import { ask } from "./ask.js";
import { checkDigest } from "./hash.js";

export interface ObjectFetcherOptions {
  readonly worker: WorkerId;
  readonly store: ObjectStore;
  readonly control: Transport;
  readonly frames: FramePeer;
  readonly framesTransport: Transport;
  readonly durable: BlobStore;
  /** How long an unused copy is kept. */
  readonly copyIdleMs?: number;
  onFetched?(bytes: number, seconds: number): void;
  /** The scheduler takes this worker for a holder, and it is not. */
  onMissing?(id: ObjectId): void;
}

export type Found = { readonly kind: number; readonly data: Uint8Array; release(): void } | { readonly pin: Pin; release(): void };

const attemptsMax = 4;
const bytesPerSecondMin = 4 * 1024 * 1024;
const nothing = (): void => undefined;

export class ObjectFetcher {
  readonly #options: ObjectFetcherOptions;
  readonly #fetches = new Map<ObjectId, Promise<void>>();
  /** Copies and when they were last used. */
  readonly #copies = new Map<ObjectId, number>();
  readonly #sweep: NodeJS.Timeout;

  constructor(options: ObjectFetcherOptions) {
    this.#options = options;
    const idleMs = options.copyIdleMs ?? 15_000;
    this.#sweep = setInterval(() => this.#dropIdle(idleMs), Math.max(10, idleMs / 4)).unref();
  }

  /** The object is this worker's to keep now (it made it, or was given it). */
  own(id: ObjectId): void {
    this.#copies.delete(id);
  }

  /**
   * The object, pinned until `release`. `known`: what the lease said of it. Rejects with UPSTREAM_FAILED if it can never be had,
   * with OBJECT_LOST, OUT_OF_MEMORY or a fault of the network when it could not be had in several tries.
   */
  async get(id: ObjectId, known?: ObjectLocation): Promise<Found> {
    let location = known;
    let last: unknown;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      if (attempt > 0) await delay(50 * 4 ** (attempt - 1));
      try {
        if (this.#options.store.has(id)) return await this.#pinned(id);
        if (location?.state !== "ready" || attempt > 0) location = await this.#locate(id);
        if (location.inline && location.kind !== undefined) return { kind: location.kind, data: location.inline, release: nothing };
        await this.#shared(id, location);
        return await this.#pinned(id);
      } catch (error) {
        if (!isVolleyError(error) || error.code === "UPSTREAM_FAILED" || error.code === "CLOSED") throw error;
        last = error;
      }
    }
    throw last;
  }

  async #pinned(id: ObjectId): Promise<Found> {
    const pin = await this.#options.store.pin(id);
    return {
      pin,
      release: () => {
        pin.release();
        if (this.#copies.has(id)) this.#copies.set(id, performance.now());
      },
    };
  }

  async #locate(id: ObjectId): Promise<ObjectLocation> {
    const { locations } = await ask(this.#options.control, { t: "locate", ids: [id] });
    const location = locations.find((candidate) => candidate.id === id);
    if (location?.state === "failed")
      throw new VolleyError("UPSTREAM_FAILED", `input ${id} failed${location.error ? `: ${fromWireError(location.error).message}` : ""}`);
    if (location?.state !== "ready") throw new VolleyError("OBJECT_LOST", `input ${id} is ${location?.state ?? "unknown"} to the scheduler`);
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
    const startedAt = performance.now();
    let last: unknown = new VolleyError("OBJECT_LOST", `input ${id} is held by no worker and not in the durable store`);
    for (const holder of shuffled(location.workers ?? [])) {
      if (holder === this.#options.worker) {
        this.#options.onMissing?.(id);
        continue;
      }
      try {
        const bytes = await this.#fromWorker(id, holder, location);
        this.#options.onFetched?.(bytes, (performance.now() - startedAt) / 1000);
        return;
      } catch (error) {
        // Without room here, another holder does not help.
        if (isVolleyError(error) && (error.code === "OUT_OF_MEMORY" || error.code === "CLOSED")) throw error;
        last = error;
      }
    }
    if (!location.durable) throw last;
    const bytes = await this.#fromDurable(id, location);
    this.#options.onFetched?.(bytes, (performance.now() - startedAt) / 1000);
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
      const meta = await fetchObject({ transport: framesTransport, frames, from: holder, id, allocate, timeoutMs });
      await checkDigest(id, meta.kind, meta.data, location.digest ?? meta.digest);
      if (!room) throw new VolleyError("INTERNAL", `object ${id} came without memory`);
      this.#copies.set(id, performance.now());
      store.seal(id, room, { kind: meta.kind, digest: meta.digest });
      room = undefined;
      return meta.bytes;
    } finally {
      if (room) store.abandon(room);
    }
  }

  async #fromDurable(id: ObjectId, location: ObjectLocation): Promise<number> {
    const { store, durable } = this.#options;
    if (location.kind === undefined) throw new VolleyError("INTERNAL", `the kind of object ${id} is not known`);
    const data = await durable.get(id);
    if (!data) throw new VolleyError("OBJECT_LOST", `object ${id} is not in the durable store, although the scheduler says so`);
    if (location.digest) await checkDigest(id, location.kind, data, location.digest);
    this.#copies.set(id, performance.now());
    await store.put(id, data, { kind: location.kind, digest: location.digest ?? digestOf(location.kind, data) });
    return data.byteLength;
  }

  #dropIdle(idleMs: number): void {
    const before = performance.now() - idleMs;
    for (const [id, usedAt] of this.#copies) {
      if (usedAt > before || this.#fetches.has(id)) continue;
      // A pinned copy goes at its last release; should another lease want it, it is fetched again.
      this.#copies.delete(id);
      this.#options.store.free(id);
    }
  }

  close(): void {
    clearInterval(this.#sweep);
  }
}

/** Readers of one object spread over its holders. */
function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((value) => ({ value, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value);
}
