import { createHash } from "node:crypto";

export const digestBytes = 16;

export const sha256Hex = (data: Uint8Array | string): string => createHash("sha256").update(data).digest("hex");

/** The digest of a value: the first 16 bytes of SHA-256 over its kind byte and payload. */
export function digestOf(kind: number, payload: Uint8Array): Uint8Array {
  const hash = createHash("sha256").update(Uint8Array.of(kind)).update(payload).digest();
  return new Uint8Array(hash.subarray(0, digestBytes));
}

export const hexOf = (data: Uint8Array): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && Buffer.compare(a, b) === 0;
}
