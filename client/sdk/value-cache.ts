/**
 * What the client can put again when the cluster has lost it: the encoded bytes of the newest puts, within a budget,
 * and of others the caller's own value as long as the caller holds it. Either may have been changed since, so whoever
 * takes it looks whether it still has the digest.
 */
import type { Payload } from "../../proto/frames/payload.js";

const cacheBytesMax = 32 * 1024 * 1024;

export type Kept =
  | { readonly k: "bytes"; readonly payload: Payload }
  /** To be encoded again. */
  | { readonly k: "value"; readonly value: object };

export class ValueCache<N extends object> {
  readonly #bytesMax: number;
  /** Oldest first. */
  readonly #payloads = new Map<N, Payload>();
  readonly #values = new Map<N, WeakRef<object>>();
  #bytes = 0;

  constructor(bytesMax = cacheBytesMax) {
    this.#bytesMax = bytesMax;
  }

  keep(cached: N, payload: Payload, value?: unknown): void {
    if (typeof value === "object" && value !== null) this.#values.set(cached, new WeakRef(value));
    this.#forgetPayload(cached);
    if (payload.byteLength > this.#bytesMax) return;
    this.#payloads.set(cached, payload);
    this.#bytes += payload.byteLength;
    for (const oldest of this.#payloads.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#forgetPayload(oldest);
    }
  }

  forget(cached: N): void {
    this.#forgetPayload(cached);
    this.#values.delete(cached);
  }

  #forgetPayload(cached: N): void {
    const payload = this.#payloads.get(cached);
    if (!payload) return;
    this.#payloads.delete(cached);
    this.#bytes -= payload.byteLength;
  }

  /** undefined: it is not to be had here any more. */
  find(cached: N): Kept | undefined {
    const payload = this.#payloads.get(cached);
    if (payload) return { k: "bytes", payload };
    const value = this.#values.get(cached)?.deref();
    return value && { k: "value", value };
  }
}
