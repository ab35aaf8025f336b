/**
 * What is sent: bytes in one piece, or in several that are sent as if they stood one behind the other. So a value whose
 * parts lie in several places (the columns of a table) need not be joined first.
 */

export interface Payload {
  readonly byteLength: number;
  /** The `bytes` from `from` on: a view where they lie in one piece, else a copy. May lie in shared memory. */
  part(from: number, bytes: number): Uint8Array;
}

export function payloadOf(data: Uint8Array | readonly Uint8Array[]): Payload {
  if (data instanceof Uint8Array)
    return { byteLength: data.byteLength, part: (from, bytes) => data.subarray(from, from + bytes) };
  return new Pieces(data);
}

class Pieces implements Payload {
  readonly byteLength: number;
  readonly #pieces: readonly Uint8Array[];
  /** Where each piece begins. */
  readonly #starts: Float64Array;

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = pieces.filter((piece) => piece.byteLength > 0);
    this.#starts = new Float64Array(this.#pieces.length);
    let at = 0;
    for (const [i, piece] of this.#pieces.entries()) {
      this.#starts[i] = at;
      at += piece.byteLength;
    }
    this.byteLength = at;
  }

  part(from: number, bytes: number): Uint8Array {
    let index = this.#pieceAt(from);
    const first = this.#pieces[index];
    const offset = from - (this.#starts[index] ?? 0);
    if (first && offset + bytes <= first.byteLength) return first.subarray(offset, offset + bytes);
    const joined = new Uint8Array(Math.max(0, Math.min(bytes, this.byteLength - from)));
    let at = 0;
    for (let skip = offset; at < joined.byteLength; skip = 0) {
      const piece = (this.#pieces[index++] as Uint8Array).subarray(skip, skip + joined.byteLength - at);
      joined.set(piece, at);
      at += piece.byteLength;
    }
    return joined;
  }

  /** The last piece that begins at `at` or before. */
  #pieceAt(at: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] as number) <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
