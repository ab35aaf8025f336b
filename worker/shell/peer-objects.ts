/**
 * What this worker does for other peers: gives its objects, and takes puts. A put is confirmed only when the scheduler
 * knows where it is.
 */

import { contentId } from "../../proto/address.js";
import { equalBytes } from "../../proto/digest.js";
import { VolleyError } from "../../proto/errors.js";
import {
  type Acceptance,
  type Lookup,
  type PutRequest,
  type ServeOptions,
  serveData,
} from "../../proto/frames/data-plane.js";
import type { ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { StoredObject } from "../../proto/messages/worker.js";
import { pause, type Runtime, realRuntime } from "../../proto/runtime.js";
import type { Subscription } from "../../proto/transport/transport.js";
import type { ValueKind } from "../../proto/values/kind.js";
import type { WorkerEvent } from "../core/events.js";
import type { ObjectStore } from "../store/store.js";
import { checkDigest } from "./hash.js";

/** Longer than a scheduler takes to restart, shorter than clients wait. */
const announceTimeoutMs = 8_000;

export class PeerObjects {
  readonly #store: ObjectStore;
  readonly #emit: (event: WorkerEvent) => void;
  readonly #leaves: () => boolean;
  readonly #runtime: Runtime;
  /** Puts that the scheduler has not acknowledged. */
  readonly #tokens = new Map<number, () => void>();
  #nextToken = 1;

  constructor(
    store: ObjectStore,
    emit: (event: WorkerEvent) => void,
    leaves: () => boolean,
    runtime: Runtime = realRuntime,
  ) {
    this.#runtime = runtime;
    this.#store = store;
    this.#emit = emit;
    this.#leaves = leaves;
  }

  serve(options: Pick<ServeOptions, "transport" | "frames" | "onError">): Subscription {
    return serveData({
      ...options,
      lookup: (id, wanted) => this.#lookup(id, wanted),
      accept: (put) => this.#accept(put),
    });
  }

  acknowledged(token: number): void {
    this.#tokens.get(token)?.();
    this.#tokens.delete(token);
  }

  /** Somebody was told that it is here. If it is not, the scheduler hears so, and has it made again. */
  async #lookup(
    id: ObjectId,
    { digest, suspect }: { digest?: Uint8Array | undefined; suspect?: boolean | undefined },
  ): Promise<Lookup | undefined> {
    const held = this.#store.meta(id);
    if (!held || (digest && !equalBytes(held.digest, digest))) {
      this.#emit({ e: "objects", added: held ? [{ id, ...held }] : [], removed: held ? [] : [id] });
      return undefined;
    }
    const pin = await this.#store.pin(id, digest);
    try {
      if (suspect) await checkDigest(this.#runtime, id, pin.kind, pin.view, pin.digest);
    } catch {
      pin.release();
      this.#store.free(id);
      this.#emit({ e: "objects", added: [], removed: [id] });
      return undefined;
    }
    return { kind: pin.kind as ValueKind, digest: pin.digest, data: pin.view, release: pin.release };
  }

  async #accept(put: PutRequest): Promise<Acceptance | "have"> {
    const { id, kind, bytes, digest: named } = put;
    if ((id === undefined) !== (named === undefined) || (named && id !== contentId(named)))
      throw new VolleyError("INVALID_ARGUMENT", `object ${id} is not named by its bytes; only such objects can be put`);
    if (bytes > limits.objectBytesMax)
      throw new VolleyError(
        "TOO_LARGE",
        `${id ? `object ${id}` : "an object"} of ${bytes} bytes is over the limit of ${limits.objectBytesMax}`,
      );
    if (this.#leaves()) throw new VolleyError("WORKER_LOST", "this worker is leaving: put it to another");
    if (id && named && this.#store.has(id, named)) {
      this.#store.own(id);
      await this.#announce({ id, kind, bytes, digest: named });
      return "have";
    }
    const room = await this.#store.allocate(bytes);
    let open = true;
    return {
      target: room.view,
      commit: async ({ id, digest }) => {
        if (named && !equalBytes(digest, named)) throw notThose(put);
        open = false;
        this.#store.seal(id, room, { kind, digest });
        await this.#announce({ id, kind, bytes, digest });
      },
      abort: () => {
        if (open) this.#store.abandon(room);
        open = false;
      },
    };
  }

  /** Resolves when the scheduler has acknowledged it. */
  async #announce(object: StoredObject): Promise<void> {
    const token = this.#nextToken++;
    const stop = new AbortController();
    const acknowledged = new Promise<"acknowledged">((resolve) =>
      this.#tokens.set(token, () => resolve("acknowledged")),
    );
    this.#emit({ e: "objects", added: [object], removed: [], token });
    const late = pause(this.#runtime, announceTimeoutMs, stop.signal).then(
      () => "late" as const,
      () => "late" as const,
    );
    const outcome = await Promise.race([acknowledged, late]);
    stop.abort();
    this.#tokens.delete(token);
    if (outcome === "late")
      throw new VolleyError(
        "NO_SCHEDULER",
        `no scheduler has acknowledged object ${object.id} within ${announceTimeoutMs} ms`,
      );
  }
}

/** Every frame was intact: the bytes are others than those of the name, and sending them once more does not help. */
const notThose = ({ id, bytes }: PutRequest): VolleyError =>
  new VolleyError("INVALID_ARGUMENT", `the ${bytes} bytes put as object ${id} do not have the digest of its name`);
