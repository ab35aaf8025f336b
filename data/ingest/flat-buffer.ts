/**
 * Reading FlatBuffers that nobody vouches for. Every read goes through a DataView of exactly the metadata's bytes, so a
 * pointer out of bounds is a RangeError and never another message's memory; a budget bounds how many tables are
 * visited, since offsets may share and loop.
 */
import { isUtf8 } from "node:buffer";
import { invalidData } from "./ingested.js";

export interface Budget {
  tables: number;
}

export class FlatTable {
  readonly #view: DataView;
  readonly #at: number;
  readonly #vtable: number;
  readonly #vtableBytes: number;
  readonly #budget: Budget;

  private constructor(view: DataView, at: number, budget: Budget) {
    if (--budget.tables < 0) throw invalidData("Arrow metadata has more parts than any schema this gateway takes");
    this.#view = view;
    this.#at = at;
    this.#vtable = at - view.getInt32(at, true);
    this.#vtableBytes = view.getUint16(this.#vtable, true);
    this.#budget = budget;
    if (this.#vtableBytes < 4 || this.#vtable + this.#vtableBytes > view.byteLength)
      throw invalidData("Arrow metadata has a broken vtable");
  }

  static root(bytes: Uint8Array, budget: Budget): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new FlatTable(view, view.getUint32(0, true), budget);
  }

  /** Where field `slot` is; 0 if it is left out. */
  #field(slot: number): number {
    const entry = 4 + 2 * slot;
    if (entry + 2 > this.#vtableBytes) return 0;
    const offset = this.#view.getUint16(this.#vtable + entry, true);
    return offset === 0 ? 0 : this.#at + offset;
  }

  has(slot: number): boolean {
    return this.#field(slot) !== 0;
  }
  u8(slot: number, otherwise = 0): number {
    const at = this.#field(slot);
    return at === 0 ? otherwise : this.#view.getUint8(at);
  }
  flag(slot: number): boolean {
    const value = this.u8(slot);
    if (value > 1) throw invalidData(`Arrow metadata has ${value} where it must say yes or no`);
    return value === 1;
  }
  i16(slot: number, otherwise = 0): number {
    const at = this.#field(slot);
    return at === 0 ? otherwise : this.#view.getInt16(at, true);
  }
  i32(slot: number, otherwise = 0): number {
    const at = this.#field(slot);
    return at === 0 ? otherwise : this.#view.getInt32(at, true);
  }
  /** A length, offset or id: 64 bits of which a safe whole number is accepted. */
  size(slot: number, what: string): number {
    const at = this.#field(slot);
    return at === 0 ? 0 : safe(this.#view.getBigInt64(at, true), what);
  }
  table(slot: number): FlatTable | undefined {
    const at = this.#field(slot);
    return at === 0 ? undefined : new FlatTable(this.#view, at + this.#view.getUint32(at, true), this.#budget);
  }
  text(slot: number, what: string): string {
    const at = this.#field(slot);
    if (at === 0) return "";
    const { start, length } = this.#vector(at, 1);
    const bytes = new Uint8Array(this.#view.buffer, this.#view.byteOffset + start, length);
    if (!isUtf8(bytes)) throw invalidData(`${what} is not UTF-8`);
    return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("utf8");
  }
  tables(slot: number): FlatTable[] {
    const at = this.#field(slot);
    if (at === 0) return [];
    const { start, length } = this.#vector(at, 4);
    if (length > this.#budget.tables)
      throw invalidData(`Arrow metadata lists ${length} parts, more than any schema this gateway takes`);
    return Array.from({ length }, (_, i) => {
      const entry = start + 4 * i;
      return new FlatTable(this.#view, entry + this.#view.getUint32(entry, true), this.#budget);
    });
  }
  /** A vector of structs of two 64-bit numbers: field nodes (length, null count) and buffers (offset, length). */
  pairs(slot: number, what: string): [number, number][] {
    const at = this.#field(slot);
    if (at === 0) return [];
    const { start, length } = this.#vector(at, 16);
    return Array.from({ length }, (_, i) => [
      safe(this.#view.getBigInt64(start + 16 * i, true), what),
      safe(this.#view.getBigInt64(start + 16 * i + 8, true), what),
    ]);
  }

  /** A vector of blocks: 64-bit offset, 32-bit length of metadata, 64-bit length of the body. */
  blocks(slot: number, what: string): [number, number, number][] {
    const at = this.#field(slot);
    if (at === 0) return [];
    const { start, length } = this.#vector(at, 24);
    return Array.from({ length }, (_, i) => [
      safe(this.#view.getBigInt64(start + 24 * i, true), what),
      safe(BigInt(this.#view.getInt32(start + 24 * i + 8, true)), what),
      safe(this.#view.getBigInt64(start + 24 * i + 16, true), what),
    ]);
  }

  #vector(at: number, elementBytes: number): { start: number; length: number } {
    const head = at + this.#view.getUint32(at, true);
    const length = this.#view.getUint32(head, true);
    const start = head + 4;
    if (start + length * elementBytes > this.#view.byteLength)
      throw invalidData(`Arrow metadata has a list of ${length} entries that ends outside of it`);
    return { start, length };
  }
}

function safe(value: bigint, what: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalidData(`${what} is ${value}`);
  return Number(value);
}
