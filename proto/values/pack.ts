/**
 * A pack: a list of encoded values in one run of bytes, so that a range of tasks has its arguments or results in one
 * message and any item can be taken without decoding the others.
 *
 *   u32 count | u32 ends[count] (byte offset of each item's end, from the start of the payloads) | u8 kinds[count] |
 * payloads
 *
 * Little-endian, payloads unaligned (a large aligned payload is an object, not an item of a pack).
 */
import { VolleyError } from "../errors.js";
import { type EncodedValue, valueKind, valueKinds } from "./kind.js";

/** What {@link PackReader.plain} says of an item that takes decoding. */
export const notPlain: unique symbol = Symbol("notPlain");

const corrupt = (why: string): VolleyError => new VolleyError("CORRUPT", `pack: ${why}`);

export class PackWriter {
  #ends: number[] = [];
  #kinds: number[] = [];
  #parts: Uint8Array[] = [];
  #bytes = 0;

  get count(): number {
    return this.#kinds.length;
  }
  /** Payload bytes so far. */
  get payloadBytes(): number {
    return this.#bytes;
  }

  add(value: EncodedValue): void {
    this.#kinds.push(value.kind);
    if (value.data.byteLength > 0) this.#parts.push(value.data);
    this.#bytes += value.data.byteLength;
    this.#ends.push(this.#bytes);
  }

  finish(): Uint8Array<ArrayBuffer> {
    const count = this.#kinds.length;
    const head = 4 + 5 * count;
    const out = new Uint8Array(head + this.#bytes);
    const view = new DataView(out.buffer);
    view.setUint32(0, count, true);
    for (let i = 0; i < count; i++) {
      view.setUint32(4 + 4 * i, this.#ends[i] as number, true);
      out[4 + 4 * count + i] = this.#kinds[i] as number;
    }
    let at = head;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.byteLength;
    }
    return out;
  }
}

/** Reads a pack in place; items are views on its bytes. The header is validated once, in the constructor. */
export class PackReader {
  readonly count: number;
  readonly #data: Uint8Array;
  readonly #view: DataView;
  readonly #head: number;

  /** One that was validated before: items are found without a look at the others, so taking n items of n costs n. */
  static trusted(data: Uint8Array): PackReader {
    return new PackReader(data, true);
  }

  constructor(data: Uint8Array, trusted = false) {
    if (data.byteLength < 4) throw corrupt(`${data.byteLength} bytes are too few for a header`);
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.count = this.#view.getUint32(0, true);
    this.#head = 4 + 5 * this.count;
    if (this.#head > data.byteLength)
      throw corrupt(`header of ${this.count} items does not fit into ${data.byteLength} bytes`);
    if (trusted) return;
    let previous = 0;
    for (let i = 0; i < this.count; i++) {
      const end = this.#view.getUint32(4 + 4 * i, true);
      if (end < previous) throw corrupt(`item ${i} ends before it starts`);
      if ((data[4 + 4 * this.count + i] as number) >= valueKinds) throw corrupt(`item ${i} has an unknown kind`);
      previous = end;
    }
    if (this.#head + previous !== data.byteLength)
      throw corrupt(`items end at ${this.#head + previous}, the bytes at ${data.byteLength}`);
  }

  at(index: number): EncodedValue {
    if (!(index >= 0 && index < this.count)) throw corrupt(`no item ${index} in a pack of ${this.count}`);
    const start = index === 0 ? 0 : this.#view.getUint32(4 + 4 * (index - 1), true);
    const end = this.#view.getUint32(4 + 4 * index, true);
    return {
      kind: this.#data[4 + 4 * this.count + index] as EncodedValue["kind"],
      data: this.#data.subarray(this.#head + start, this.#head + end),
    };
  }

  /**
   * The item's value if it is undefined or a number, which most items of large packs are; {@link notPlain} if it is
   * anything else. Costs no view and no decoder.
   */
  plain(index: number): number | undefined | typeof notPlain {
    if (!(index >= 0 && index < this.count)) throw corrupt(`no item ${index} in a pack of ${this.count}`);
    const kind = this.#data[4 + 4 * this.count + index];
    if (kind === valueKind.undefined) return undefined;
    if (kind !== valueKind.msgpack) return notPlain;
    const view = this.#view;
    const start = index === 0 ? 0 : view.getUint32(4 * index, true);
    const bytes = view.getUint32(4 + 4 * index, true) - start;
    const at = this.#head + start;
    const code = bytes === 0 ? -1 : (this.#data[at] as number);
    if (bytes === 1 && code < 0x80) return code;
    if (bytes === 5 && code === 0xce) return view.getUint32(at + 1);
    if (bytes === 9 && code === 0xcb) return view.getFloat64(at + 1);
    return notPlain;
  }

  /** Items [from, to) as a pack of their own. */
  slice(from: number, to: number): Uint8Array<ArrayBuffer> {
    if (!(from >= 0 && from <= to && to <= this.count))
      throw corrupt(`no items [${from}, ${to}) in a pack of ${this.count}`);
    const count = to - from;
    const start = from === 0 ? 0 : this.#view.getUint32(4 + 4 * (from - 1), true);
    const end = to === 0 ? 0 : this.#view.getUint32(4 + 4 * (to - 1), true);
    const head = 4 + 5 * count;
    const out = new Uint8Array(head + end - start);
    const view = new DataView(out.buffer);
    view.setUint32(0, count, true);
    for (let i = 0; i < count; i++)
      view.setUint32(4 + 4 * i, this.#view.getUint32(4 + 4 * (from + i), true) - start, true);
    out.set(this.#data.subarray(4 + 4 * this.count + from, 4 + 4 * this.count + to), 4 + 4 * count);
    out.set(this.#data.subarray(this.#head + start, this.#head + end), head);
    return out;
  }
}
