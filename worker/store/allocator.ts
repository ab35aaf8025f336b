/**
 * Which bytes of a linear memory are whose. Pure: it knows offsets, not the memory. Blocks are aligned and never
 * overlap; neighbours that are free become one block; what was never used is asked for with `grow`, so memory is
 * committed only as far as it was once needed.
 */
import { invariant } from "../../proto/errors.js";

/** Arrow wants 8, SIMD 16; a cache line keeps two objects' threads out of each other's way. */
export const alignment = 64;

export const alignedBytes = (bytes: number): number => Math.max(alignment, Math.ceil(bytes / alignment) * alignment);

export class Allocator {
  readonly #base: number;
  readonly #limit: number;
  /** Memory from here on has never been given out. */
  #top: number;
  #used = 0;
  readonly #sizes = new Map<number, number>();
  /** Free blocks: by start, by end, and by size class (power of two below) for the search. */
  readonly #freeByStart = new Map<number, number>();
  readonly #freeByEnd = new Map<number, number>();
  readonly #classes: Set<number>[] = Array.from({ length: 42 }, () => new Set());

  /** Gives out [base, limit). */
  constructor(base: number, limit: number) {
    this.#base = alignedBytes(base);
    this.#limit = limit;
    this.#top = this.#base;
  }

  /** Bytes given out, alignment included. */
  get usedBytes(): number {
    return this.#used;
  }
  get blocks(): number {
    return this.#sizes.size;
  }
  /** End of what has ever been given out: the memory must be at least this long. */
  get top(): number {
    return this.#top;
  }

  /** Offset of a block of at least `bytes`, or undefined when no free block is long enough. */
  allocate(bytes: number): number | undefined {
    const size = alignedBytes(bytes);
    const start = this.#takeFree(size) ?? this.#takeTop(size);
    if (start === undefined) return undefined;
    this.#sizes.set(start, size);
    this.#used += size;
    return start;
  }

  free(start: number): void {
    const size = this.#sizes.get(start);
    invariant(size !== undefined, `no block starts at ${start}`);
    this.#sizes.delete(start);
    this.#used -= size;
    let from = start;
    let to = start + size;
    const before = this.#freeByEnd.get(from);
    if (before !== undefined) {
      this.#remove(before);
      from = before;
    }
    const after = this.#freeByStart.get(to);
    if (after !== undefined) {
      this.#remove(to);
      to += after;
    }
    if (to === this.#top) this.#top = from;
    else this.#insert(from, to - from);
  }

  /**
   * Makes two blocks of one: the first of at least `bytes`, and behind it the rest, whose start is returned. undefined:
   * nothing is left.
   */
  cut(start: number, bytes: number): number | undefined {
    const size = this.#sizes.get(start);
    const first = alignedBytes(bytes);
    invariant(size !== undefined && first <= size, `no block of ${first} bytes or more starts at ${start}`);
    if (first === size) return undefined;
    this.#sizes.set(start, first);
    this.#sizes.set(start + first, size - first);
    return start + first;
  }

  #takeTop(size: number): number | undefined {
    if (this.#top + size > this.#limit) return undefined;
    const start = this.#top;
    this.#top += size;
    return start;
  }

  #takeFree(size: number): number | undefined {
    for (let c = classOf(size); c < this.#classes.length; c++) {
      for (const start of this.#classes[c] as Set<number>) {
        const found = this.#freeByStart.get(start) as number;
        // Only in its own class may a block be too short.
        if (found < size) continue;
        this.#remove(start);
        if (found > size) this.#insert(start + size, found - size);
        return start;
      }
    }
    return undefined;
  }

  #insert(start: number, size: number): void {
    this.#freeByStart.set(start, size);
    this.#freeByEnd.set(start + size, start);
    this.#classes[classOf(size)]?.add(start);
  }

  #remove(start: number): void {
    const size = this.#freeByStart.get(start) as number;
    this.#freeByStart.delete(start);
    this.#freeByEnd.delete(start + size);
    this.#classes[classOf(size)]?.delete(start);
  }

  /** For tests: free and used blocks cover [base, top) exactly. */
  check(): void {
    const blocks = [
      ...[...this.#sizes].map(([start, size]) => ({ start, size, free: false })),
      ...[...this.#freeByStart].map(([start, size]) => ({ start, size, free: true })),
    ];
    blocks.sort((a, b) => a.start - b.start);
    let at = this.#base;
    let previousFree = false;
    for (const block of blocks) {
      invariant(block.start === at, `block at ${block.start}, expected ${at}`);
      invariant(!(previousFree && block.free), `two free neighbours at ${block.start}`);
      previousFree = block.free;
      at += block.size;
    }
    invariant(at === this.#top && !previousFree, `blocks end at ${at}, top is ${this.#top}`);
    invariant(
      this.#used === [...this.#sizes.values()].reduce((sum, size) => sum + size, 0),
      "used bytes do not add up",
    );
  }
}

const classOf = (size: number): number => Math.floor(Math.log2(size));
