/**
 * Large values are written in slices, so that the event loop turns between them, and in pieces, so that nothing is
 * copied to make room. Slices end between the items of lists, and between the entries of objects that no list holds;
 * what else there is (one row of a list, a map, a set) is written in one go.
 */
import { endPieces, head, piecesWritten, placeOfPieces, writeString } from "./bytes.js";
import {
  canBeMap,
  enter,
  itemOf,
  leave,
  type Walk,
  writeAny,
  writeArrayHead,
  writeInner,
  writeInnerInSlices,
  writeSlice,
} from "./write.js";

export interface Pieces {
  readonly pieces: readonly Uint8Array[];
  readonly byteLength: number;
}

/** A list with fewer items is written in one go, when it is an item of another. */
const slicedItemsMin = 256;

/** Where the slice under way ends; of the one value that is being written. */
let sliceEnds = 0;
const isSliceOver = (): boolean => piecesWritten() >= sliceEnds;

/** One value as msgpack, written in slices. */
export class SlicedWriting {
  readonly #walk: Walk = { trail: [], above: [], place: placeOfPieces() };
  readonly #steps: Generator<void>;

  constructor(value: unknown) {
    this.#steps = writeAnySliced(value);
  }

  /**
   * Writes about so many bytes more. undefined: there is more to write. Throws TASK_UNSERIALIZABLE with `details.path`,
   * TOO_LARGE.
   */
  slice(bytes: number): Pieces | undefined {
    const outer = sliceEnds;
    try {
      return writeSlice(this.#walk, () => {
        sliceEnds = piecesWritten() + bytes;
        return this.#steps.next().done ? endPieces() : undefined;
      });
    } finally {
      sliceEnds = outer;
    }
  }
}

function* writeAnySliced(value: unknown): Generator<void> {
  const proto: unknown = typeof value === "object" && value !== null ? Object.getPrototypeOf(value) : undefined;
  if (Array.isArray(value) && proto === Array.prototype) yield* writeArraySliced(value);
  else if (proto === Object.prototype) yield* writePlainSliced(value as object);
  else writeAny(value);
}

function* writeArraySliced(value: readonly unknown[]): Generator<void> {
  enter(value);
  const { length } = value;
  writeArrayHead(value, Array.prototype);
  for (let i = 0; i < length; i++) {
    const item = itemOf(value, i);
    if (Array.isArray(item) && item.length >= slicedItemsMin) yield* writeInnerInSlices(i, writeAnySliced(item));
    else writeInner(item, i);
    if (isSliceOver()) yield;
  }
  leave();
}

function* writePlainSliced(value: object): Generator<void> {
  const keys = Object.keys(value);
  if (!canBeMap(value, keys)) {
    writeAny(value);
    return;
  }
  enter(value);
  head(keys.length, 0x80, 0xf, 0xde);
  for (const key of keys) {
    writeString(key);
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === "object" && item !== null) yield* writeInnerInSlices(key, writeAnySliced(item));
    else writeInner(item, key);
    if (isSliceOver()) yield;
  }
  leave();
}
