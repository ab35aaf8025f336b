/**
 * What the client can put again when the cluster has lost it: the encoded bytes of the newest puts, within a budget,
 * and of others the caller's own value as long as the caller holds it. Either may have been changed since, so bytes are
 * good only if they still have the digest.
 */
import { digestOf, equalBytes } from "../../proto/digest.js";
import { type EncodedValue, encodeValue } from "../../proto/values/value.js";

const keptBytesMax = 32 * 1024 * 1024;

interface Named {
  readonly kind: number;
  readonly digest: Uint8Array;
}

export class KeptValues<N extends Named> {
  readonly #bytesMax: number;
  /** Oldest first. */
  readonly #data = new Map<N, Uint8Array>();
  readonly #values = new Map<N, WeakRef<object>>();
  #bytes = 0;

  constructor(bytesMax = keptBytesMax) {
    this.#bytesMax = bytesMax;
  }

  keep(note: N, data: Uint8Array, value?: unknown): void {
    if (typeof value === "object" && value !== null) this.#values.set(note, new WeakRef(value));
    this.#forgetData(note);
    if (data.byteLength > this.#bytesMax) return;
    this.#data.set(note, data);
    this.#bytes += data.byteLength;
    for (const oldest of this.#data.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#forgetData(oldest);
    }
  }

  forget(note: N): void {
    this.#forgetData(note);
    this.#values.delete(note);
  }

  #forgetData(note: N): void {
    const data = this.#data.get(note);
    if (!data) return;
    this.#data.delete(note);
    this.#bytes -= data.byteLength;
  }

  /** undefined: it is not to be had here any more. */
  find(note: N): Uint8Array | undefined {
    const isIt = ({ kind, data }: EncodedValue): boolean =>
      kind === note.kind && equalBytes(digestOf(kind, data), note.digest);
    const data = this.#data.get(note);
    if (data && isIt({ kind: note.kind as EncodedValue["kind"], data })) return data;
    const value = this.#values.get(note)?.deref();
    if (value === undefined) return undefined;
    try {
      const encoded = encodeValue(value);
      return isIt(encoded) ? encoded.data : undefined;
    } catch {
      return undefined;
    }
  }
}
