/** What this worker does for other peers: gives its objects, and takes puts. A put is confirmed only when the scheduler knows where it is. */

import { type Acceptance, type Lookup, type PutRequest, type ServeOptions, serveData } from "../../proto/data-plane.js";
import { hexOf } from "../../proto/digest.js";
import { VolleyError } from "../../proto/errors.js";
import { type ClientId, isName, type ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { StoredObject } from "../../proto/messages.js";
import { sleep as delay } from "../../proto/timer.js";
import type { Subscription } from "../../proto/transport/transport.js";
import type { ValueKind } from "../../proto/value-kind.js";
import type { WorkerEvent } from "../core/events.js";
import type { ObjectStore } from "../store/store.js";
import { checkDigest } from "./hash.js";
import type { ObjectFetcher } from "./objects.js";

/** Longer than a scheduler takes to restart, shorter than clients wait. */
const announceTimeoutMs = 8_000;

export class PeerObjects {
  readonly #store: ObjectStore;
  readonly #objects: ObjectFetcher;
  readonly #tell: (event: WorkerEvent) => void;
  /** Puts that the scheduler has not acknowledged. */
  readonly #tokens = new Map<number, () => void>();
  #nextToken = 1;

  constructor(store: ObjectStore, objects: ObjectFetcher, tell: (event: WorkerEvent) => void) {
    this.#store = store;
    this.#objects = objects;
    this.#tell = tell;
  }

  serve(options: Pick<ServeOptions, "transport" | "frames" | "onError">): Subscription {
    return serveData({ ...options, lookup: (id) => this.#lookup(id), accept: (put) => this.#accept(put) });
  }

  acknowledged(token: number): void {
    this.#tokens.get(token)?.();
    this.#tokens.delete(token);
  }

  async #lookup(id: ObjectId): Promise<Lookup | undefined> {
    if (!this.#store.has(id)) {
      // Somebody was told that it is here. The scheduler hears that it is not, and has it made again.
      this.#tell({ e: "objects", added: [], removed: [id] });
      return undefined;
    }
    const pin = await this.#store.pin(id);
    return { kind: pin.kind as ValueKind, digest: pin.digest, data: pin.view, release: pin.release };
  }

  async #accept(put: PutRequest): Promise<Acceptance | "have"> {
    if (put.id !== `c${hexOf(put.digest)}-0`)
      throw new VolleyError("INVALID_ARGUMENT", `object ${put.id} is not named by its bytes; only such objects can be put`);
    if (put.bytes > limits.objectBytesMax)
      throw new VolleyError("TOO_LARGE", `object ${put.id} of ${put.bytes} bytes is over the limit of ${limits.objectBytesMax}`);
    if (this.#store.has(put.id)) {
      this.#objects.own(put.id);
      await this.#announce(put);
      return "have";
    }
    const room = await this.#store.allocate(put.bytes);
    let open = true;
    return {
      target: room.view,
      commit: async () => {
        await checkDigest(put.id, put.kind, room.view, put.digest);
        open = false;
        this.#objects.own(put.id);
        this.#store.seal(put.id, room, { kind: put.kind, digest: put.digest });
        await this.#announce(put);
      },
      abort: () => {
        if (open) this.#store.abandon(room);
        open = false;
      },
    };
  }

  /** Resolves when the scheduler has acknowledged it. */
  async #announce(put: PutRequest): Promise<void> {
    const token = this.#nextToken++;
    const object: StoredObject = {
      id: put.id,
      bytes: put.bytes,
      kind: put.kind,
      digest: put.digest,
      ...(isName(put.from) ? { owner: put.from as ClientId } : {}),
    };
    const stop = new AbortController();
    const acknowledged = new Promise<"acknowledged">((resolve) => this.#tokens.set(token, () => resolve("acknowledged")));
    this.#tell({ e: "objects", added: [object], removed: [], token });
    const late = delay(announceTimeoutMs, "late" as const, { signal: stop.signal }).catch(() => "late" as const);
    const outcome = await Promise.race([acknowledged, late]);
    stop.abort();
    this.#tokens.delete(token);
    if (outcome === "late") throw new VolleyError("NO_SCHEDULER", `no scheduler has acknowledged object ${put.id} within ${announceTimeoutMs} ms`);
  }
}
