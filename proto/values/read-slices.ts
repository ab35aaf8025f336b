/**
 * Large msgpack values are read in slices, so that the event loop turns between them: between the items of lists, and
 * between the entries of objects that no list holds. What lies between two ends of slices msgpackr reads (value.ts). A
 * typed array is a view on the bytes, where they lie as it needs them.
 */
import { VolleyError } from "../errors.js";
import { extension, typedCodes } from "./extensions.js";

/** Reads values that stand one behind the other, until `take` says false; it hears where each ends. */
export type ReadMany = (data: Uint8Array, take: (value: unknown, end: number) => boolean) => void;

/** A list with fewer items is read in one go, when it is an item of another. */
const slicedItemsMin = 256;

type TypedArrayOf = new (buffer: ArrayBufferLike, offset: number, length: number) => ArrayBufferView;
const typedArrays = new Map<number, TypedArrayOf & { readonly BYTES_PER_ELEMENT: number }>(
  [
    Int8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
  ].map((made) => [typedCodes[made.name as keyof typeof typedCodes], made]),
);

/** Bytes of an extension's head, with the code of a typed array, in front of more than 64 KiB. */
export const typedHeadBytes = 7;

/** The value, if it is one large typed array and its numbers stand where such an array can begin. */
export function typedView(data: Uint8Array): ArrayBufferView | undefined {
  if (data[0] !== 0xc9 || data[5] !== extension.typed) return undefined;
  const made = typedArrays.get(data[6] as number);
  const offset = data.byteOffset + typedHeadBytes;
  const bytes = data.byteLength - typedHeadBytes;
  if (!made || uint32(data, 1) !== bytes + 1 || bytes % made.BYTES_PER_ELEMENT !== 0) return undefined;
  if (offset % made.BYTES_PER_ELEMENT !== 0 || !(data.buffer instanceof ArrayBuffer)) return undefined;
  return new made(data.buffer, offset, bytes / made.BYTES_PER_ELEMENT);
}

const uint32 = (data: Uint8Array, at: number): number =>
  (((data[at] as number) << 24) |
    ((data[at + 1] as number) << 16) |
    ((data[at + 2] as number) << 8) |
    (data[at + 3] as number)) >>>
  0;

interface Head {
  readonly count: number;
  readonly bytes: number;
}

/** The head of a list or map at `at`: `fix` and `code16` are its forms' codes. */
function headAt(data: Uint8Array, at: number, fix: number, code16: number): Head | undefined {
  const code = data[at] as number;
  if ((code & 0xf0) === fix) return { count: code & 0xf, bytes: 1 };
  if (code === code16) return { count: ((data[at + 1] as number) << 8) | (data[at + 2] as number), bytes: 3 };
  if (code === code16 + 1) return { count: uint32(data, at + 1), bytes: 5 };
  return undefined;
}

const listHead = (data: Uint8Array, at: number): Head | undefined => headAt(data, at, 0x90, 0xdc);
const mapHead = (data: Uint8Array, at: number): Head | undefined => headAt(data, at, 0x80, 0xde);

/** One large value, read in slices. */
export class SlicedReading {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  readonly #many: ReadMany;
  readonly #steps: Generator<void, unknown>;
  #at = 0;
  #sliceEnds = 0;
  value: unknown;

  constructor(data: Uint8Array, many: ReadMany) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.#many = many;
    this.#steps = this.#any(true);
  }

  /** Reads about so many bytes more. True: `value` is all of it. */
  slice(bytes: number): boolean {
    this.#sliceEnds = this.#at + bytes;
    const { done, value } = this.#steps.next();
    if (!done) return false;
    if (this.#at !== this.#data.byteLength)
      throw new VolleyError("CORRUPT", `a value of ${this.#data.byteLength} bytes ends at ${this.#at}`);
    this.value = value;
    return true;
  }

  /** `free`: no list holds it. */
  *#any(free: boolean): Generator<void, unknown> {
    const list = listHead(this.#data, this.#at);
    if (list && (free || list.count >= slicedItemsMin)) return yield* this.#list(list);
    const map = free ? mapHead(this.#data, this.#at) : undefined;
    return map ? yield* this.#map(map) : this.#one();
  }

  #one(): unknown {
    let one: unknown;
    this.#many(this.#data.subarray(this.#at), (value, end) => {
      one = value;
      this.#at += end;
      return false;
    });
    return one;
  }

  *#map({ count, bytes }: Head): Generator<void, unknown> {
    this.#at += bytes;
    const object: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = String(this.#one());
      const value = yield* this.#any(true);
      // Ours are never written so; nobody else's shall set a prototype.
      if (key !== "__proto__") object[key] = value;
      if (this.#at >= this.#sliceEnds) yield;
    }
    return object;
  }

  *#list({ count, bytes }: Head): Generator<void, unknown> {
    this.#at += bytes;
    const items: unknown[] = [];
    while (items.length < count) {
      this.#numbers(items, count);
      if (items.length < count) {
        if (this.#isLargeList()) items.push(yield* this.#any(false));
        else this.#others(items, count);
      }
      if (this.#at >= this.#sliceEnds) yield;
    }
    return items;
  }

  #isLargeList(): boolean {
    const head = listHead(this.#data, this.#at);
    return head !== undefined && head.count >= slicedItemsMin;
  }

  /** The numbers that come next, until the slice is over. */
  #numbers(items: unknown[], count: number): void {
    const data = this.#data;
    let at = this.#at;
    const end = Math.min(this.#sliceEnds, data.byteLength - 9);
    while (items.length < count && at < end) {
      const code = data[at] as number;
      if (code === 0xcb) {
        items.push(this.#view.getFloat64(at + 1));
        at += 9;
      } else if (code < 0x80) {
        items.push(code);
        at += 1;
      } else if (code === 0xce) {
        items.push(this.#view.getUint32(at + 1));
        at += 5;
      } else if (code === 0xcd) {
        items.push(this.#view.getUint16(at + 1));
        at += 3;
      } else if (code === 0xcc) {
        items.push(data[at + 1]);
        at += 2;
      } else if (code >= 0xe0) {
        items.push(code - 0x100);
        at += 1;
      } else break;
    }
    this.#at = at;
  }

  /** What comes next, one at least, until the slice is over or a large list comes. */
  #others(items: unknown[], count: number): void {
    const begin = this.#at;
    this.#many(this.#data.subarray(begin), (value, end) => {
      items.push(value);
      this.#at = begin + end;
      return items.length < count && this.#at < this.#sliceEnds && !this.#isLargeList();
    });
  }
}
