/**
 * Blobs in JetStream object stores. The store writes a blob's entry after its last chunk has been acknowledged, so a blob is seen whole or not at all;
 * a writer that dies in between leaves chunks that nobody can see (they cost room until the bucket is removed).
 */
import { jetstream } from "@nats-io/jetstream";
import { type ObjectStore, Objm, StorageType, setSha256Backend } from "@nats-io/obj";
import { VolleyError } from "../errors.js";
import { limits } from "../limits.js";
import type { NatsTransport } from "../transport/nats.js";
import { type BlobStore, checkBlob } from "./durable.js";
import { deadlineMs, persist } from "./retry.js";

const requestTimeoutMs = 5_000;
/** Slower than this, and an attempt is given up. */
const bytesPerMsMin = 4 * 1024;
const chunkSlackBytes = 16 * 1024;

export async function openBlobs(transport: NatsTransport, bucket: string, replicas: number): Promise<BlobStore> {
  setSha256Backend("native"); // Eight times as fast as the default, which computes it in JavaScript.
  const stores = new Objm(jetstream(transport.natsConnection, { timeout: requestTimeoutMs }));
  return new NatsBlobs(transport, bucket, await stores.create(bucket, { storage: StorageType.File, replicas }));
}

class NatsBlobs implements BlobStore {
  readonly #transport: NatsTransport;
  readonly #bucket: string;
  readonly #store: ObjectStore;

  constructor(transport: NatsTransport, bucket: string, store: ObjectStore) {
    this.#transport = transport;
    this.#bucket = bucket;
    this.#store = store;
  }

  async put(name: string, data: Uint8Array): Promise<void> {
    checkBlob(this.#bucket, name, data.byteLength);
    // Not cut by a disconnect: an abandoned put could go on beside its repetition and leave its chunks behind. Its own requests time out.
    await this.#persist(`put of ${name}`, data.byteLength, false, async () => {
      if (await this.#has(name)) return;
      const chunkBytes = Math.max(64 * 1024, this.#transport.payloadBytesMax - chunkSlackBytes);
      await this.#store.putBlob({ name, options: { max_chunk_size: chunkBytes } }, data);
    });
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    return this.#persist(`get of ${name}`, limits.durableObjectBytesMax, true, async () => {
      try {
        const data = await this.#store.getBlob(name);
        return data === null ? undefined : data;
      } catch (error) {
        if (error instanceof Error && error.message.includes("corrupt object"))
          throw new VolleyError("CORRUPT", `blob ${name} in ${this.#bucket}: ${error.message}`, { cause: error });
        throw error;
      }
    });
  }

  async has(name: string): Promise<boolean> {
    return this.#persist(`look for ${name}`, 0, true, () => this.#has(name));
  }

  async delete(name: string): Promise<void> {
    await this.#persist(`deletion of ${name}`, 0, true, async () => {
      if (await this.#has(name)) await this.#store.delete(name);
    });
  }

  async #has(name: string): Promise<boolean> {
    const info = await this.#store.info(name);
    return info !== null && !info.deleted;
  }

  #persist<T>(what: string, bytes: number, cutOnDisconnect: boolean, attempt: () => Promise<T>): Promise<T> {
    const extraMs = Math.ceil(bytes / bytesPerMsMin);
    return persist(
      { transport: this.#transport, what: `${what} in ${this.#bucket}`, cutOnDisconnect, attemptTimeoutMs: 10_000 + extraMs, deadlineMs: deadlineMs + extraMs },
      attempt,
    );
  }
}
