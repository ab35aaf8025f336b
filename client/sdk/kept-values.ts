/**
 * What the client can put again when the cluster has lost it: the encoded bytes of the newest puts, within a budget,
 * and of others the caller's own value as long as the caller holds it. Either may have been changed since, so whoever
 * takes it looks whether it still has the digest.
 */
import type { Payload } from "../../proto/frames/payload.js";

const keptBytesMax = 32 * 1024 * 1024;

export type Kept =
  | { readonly k: "bytes"; readonly payload: Payload }
  /** To be encoded again. */
  | { readonly k: "value"; readonly value: object };

export class KeptValues<N extends object> {
  readonly #bytesMax: number;
  /** Oldest first. */
  readonly #payloads = new Map<N, Payload>();
  readonly #values = new Map<N, WeakRef<object>>();
  #bytes = 0;

  constructor(bytesMax = keptBytesMax) {
    this.#bytesMax = bytesMax;
  }

  keep(note: N, payload: Payload, value?: unknown): void {
    if (typeof value === "object" && value !== null) this.#values.set(note, new WeakRef(value));
    this.#forgetPayload(note);
    if (payload.byteLength > this.#bytesMax) return;
    this.#payloads.set(note, payload);
    this.#bytes += payload.byteLength;
    for (const oldest of this.#payloads.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#forgetPayload(oldest);
    }
  }

  forget(note: N): void {
    this.#forgetPayload(note);
    this.#values.delete(note);
  }

  #forgetPayload(note: N): void {
    const payload = this.#payloads.get(note);
    if (!payload) return;
    this.#payloads.delete(note);
    this.#bytes -= payload.byteLength;
  }

  /** undefined: it is not to be had here any more. */
  find(note: N): Kept | undefined {
    const payload = this.#payloads.get(note);
    if (payload) return { k: "bytes", payload };
    const value = this.#values.get(note)?.deref();
    return value && { k: "value", value };
  }
}
