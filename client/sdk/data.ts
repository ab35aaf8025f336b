/** Objects between this client and workers, in frames on a connection of their own. */

import { VolleyError } from "../../proto/errors.js";
import { fetchObject, offerObject } from "../../proto/frames/data-plane.js";
import { FramePeer } from "../../proto/frames/peer.js";
import type { ClientId, ObjectId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { Runtime } from "../../proto/runtime.js";
import type { Transport } from "../../proto/transport/transport.js";
import type { EncodedValue, ValueKind } from "../../proto/values/value.js";
import type { Backend } from "./backend.js";

export interface OfferedObject {
  readonly id: ObjectId;
  readonly kind: ValueKind;
  readonly digest: Uint8Array;
  readonly data: Uint8Array;
}

/** At least this fast, or the transfer is given up. */
const bytesPerSecondMin = 4 * 1024 * 1024;

export class DataPlane {
  readonly #backend: Backend;
  readonly #client: ClientId;
  readonly #onError: (error: unknown) => void;
  readonly #runtime: Runtime | undefined;
  #peer: Promise<{ transport: Transport; frames: FramePeer }> | undefined;

  constructor(backend: Backend, client: ClientId, onError: (error: unknown) => void, runtime?: Runtime) {
    this.#backend = backend;
    this.#client = client;
    this.#onError = onError;
    this.#runtime = runtime;
  }

  /** Resolves when the worker has stored it. Rejects with NO_LISTENER, OUT_OF_MEMORY, TIMEOUT. */
  async offer(worker: WorkerId, object: OfferedObject): Promise<void> {
    const { transport, frames } = await this.#open();
    const { id, kind, digest, data } = object;
    await offerObject({
      transport,
      frames,
      to: worker,
      id,
      kind,
      digest,
      payload: data,
      timeoutMs: timeoutFor(data.byteLength),
    });
  }

  /**
   * The payload is this client's own memory. `expected`: the digest that the scheduler knows; what lands must have it.
   */
  async fetch(worker: WorkerId, id: ObjectId, expected: Uint8Array | undefined, bytes: number): Promise<EncodedValue> {
    const { transport, frames } = await this.#open();
    const allocate = (meta: { bytes: number }): Uint8Array => {
      if (meta.bytes > limits.objectBytesMax)
        throw new VolleyError(
          "TOO_LARGE",
          `object ${id} of ${meta.bytes} bytes is over the limit of ${limits.objectBytesMax}`,
        );
      return new Uint8Array(Buffer.allocUnsafeSlow(meta.bytes).buffer);
    };
    const { kind, data } = await fetchObject({
      transport,
      frames,
      from: worker,
      id,
      digest: expected,
      allocate,
      timeoutMs: timeoutFor(bytes),
    });
    return { kind, data };
  }

  async #open(): Promise<{ transport: Transport; frames: FramePeer }> {
    this.#peer ??= this.#connect();
    try {
      return await this.#peer;
    } catch (error) {
      this.#peer = undefined;
      throw error;
    }
  }

  async #connect(): Promise<{ transport: Transport; frames: FramePeer }> {
    const transport = await this.#backend.frames();
    const runtime = this.#runtime ? { runtime: this.#runtime } : {};
    return { transport, frames: new FramePeer({ transport, peer: this.#client, onError: this.#onError, ...runtime }) };
  }

  async close(): Promise<void> {
    const peer = await this.#peer?.catch(() => undefined);
    await peer?.frames.close();
  }
}

const timeoutFor = (bytes: number): number => limits.requestTimeoutMs + Math.ceil(bytes / bytesPerSecondMin) * 1_000;
