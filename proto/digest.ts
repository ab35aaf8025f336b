import { createHash, type Hash } from "node:crypto";

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

/** {@link digestOf} of a payload that comes in pieces. */
export class RunningDigest {
  readonly #hash: Hash;

  constructor(kind: number) {
    this.#hash = createHash("sha256").update(Uint8Array.of(kind));
  }

  add(piece: Uint8Array): void {
    this.#hash.update(piece);
  }

  /** Once, at the end. */
  end(): Uint8Array {
    return new Uint8Array(this.#hash.digest().subarray(0, digestBytes));
  }
}

/** About 2 ms of hashing. */
const pieceBytes = 4 * 1024 * 1024;

/** {@link digestOf} of large bytes in pieces, with a turn of the event loop after each. */
export async function digestInTurns(kind: number, payload: Uint8Array, turn: () => Promise<void>): Promise<Uint8Array> {
  const digest = new RunningDigest(kind);
  for (let at = 0; at < payload.byteLength; at += pieceBytes) {
    if (at > 0) await turn();
    digest.add(payload.subarray(at, at + pieceBytes));
  }
  return digest.end();
}
