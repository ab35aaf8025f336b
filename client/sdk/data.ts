/** Objects between this client and workers, in frames on a connection of their own. */

import { contentId } from "../../proto/address.js";
import { VolleyError } from "../../proto/errors.js";
import { fetchObject, type ObjectName, offerObject } from "../../proto/frames/data-plane.js";
import type { Payload } from "../../proto/frames/payload.js";
import { FramePeer } from "../../proto/frames/peer.js";
import type { ClientId, ObjectId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { Runtime } from "../../proto/runtime.js";
import type { Transport } from "../../proto/transport/transport.js";
import { typedHeadBytes } from "../../proto/values/read-slices.js";
import { type EncodedValue, type ValueKind, valueKind } from "../../proto/values/value.js";
import type { Backend } from "./backend.js";

export interface OfferedObject {
  /** What it has to be; undefined: the worker digests what lands. */
  readonly name: ObjectName | undefined;
  readonly kind: ValueKind;
  readonly payload: Payload;
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

  /**
   * Resolves with its name when the worker has stored it. Rejects with NO_LISTENER, OUT_OF_MEMORY, TIMEOUT, and
   * INVALID_ARGUMENT when it is not what its name says.
   */
  async offer(worker: WorkerId, object: OfferedObject): Promise<ObjectName> {
    const { transport, frames } = await this.#open();
    const timeoutMs = timeoutFor(object.payload.byteLength);
    const { digest } = await offerObject({ transport, frames, to: worker, ...object, timeoutMs });
    return { id: contentId(digest), digest };
  }

  /**
   * The payload is this client's own memory, and lies so that a typed array can be a view on it. `expected`: the digest
   * that the scheduler knows; what lands must have it.
   */
  async fetch(worker: WorkerId, id: ObjectId, expected: Uint8Array | undefined, bytes: number): Promise<EncodedValue> {
    const { transport, frames } = await this.#open();
    const allocate = (meta: { kind: ValueKind; bytes: number }): Uint8Array => {
      if (meta.bytes > limits.objectBytesMax)
        throw new VolleyError(
          "TOO_LARGE",
          `object ${id} of ${meta.bytes} bytes is over the limit of ${limits.objectBytesMax}`,
        );
      const before = meta.kind === valueKind.msgpack ? -typedHeadBytes & 7 : 0;
      return new Uint8Array(Buffer.allocUnsafeSlow(before + meta.bytes).buffer, before);
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
