/**
 * Room on the worker's shared memory: who has how much of it, and who waits for it. Owns the counting (S1 of store.ts)
 * and the queue (S4); which objects must go when somebody waits is the store's to say.
 */
import { VolleyError } from "../../proto/errors.js";
import { realRuntime } from "../../proto/runtime.js";
import { Allocator, alignedBytes } from "./allocator.js";
import { type Allocation, neverFits, type StoreOptions, type Waiter } from "./entry.js";
import { createSharedMemory, memoryPagesMax, pageBytes, type SharedMemory } from "./memory.js";

export interface RoomOwner {
  /** The first in the queue does not fit: something should go, or it should be told that nothing can. */
  makeRoom(first: Waiter): void;
  /** Why `bytes` are not to be had. */
  refusal(bytes: number, why: string): VolleyError;
}

export class Room {
  readonly memory: SharedMemory;
  readonly reserved: { readonly offset: number; readonly bytes: number };
  readonly #options: StoreOptions;
  readonly #owner: RoomOwner;
  readonly #allocator: Allocator;
  readonly #waiters: Waiter[] = [];
  #nextHandle = 1;
  #closed = false;

  constructor(options: StoreOptions, owner: RoomOwner) {
    const most = memoryPagesMax * pageBytes - pageBytes;
    if (!(options.budgetBytes >= 1 << 16 && options.budgetBytes <= most)) {
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `a store of ${options.budgetBytes} bytes: expected ${1 << 16} to ${most} (VOLLEY_STORE_BYTES)`,
      );
    }
    this.#options = options;
    this.#owner = owner;
    this.memory = options.memory ?? createSharedMemory();
    // The first line stays free, so that offset 0 is never an object.
    const bytes = options.reservedBytes ?? 0;
    this.reserved = { offset: alignedBytes(1), bytes };
    const base = alignedBytes(1) + bytes;
    this.memory.grow(Math.ceil(bytes / pageBytes));
    this.#allocator = new Allocator(base, Math.min(most, base + Math.ceil(options.budgetBytes * 1.5) + pageBytes));
  }

  get usedBytes(): number {
    return this.#allocator.usedBytes;
  }

  /** At once and without anything having to go for it, or not at all. */
  tryTake(bytes: number): Allocation | undefined {
    return this.#closed || this.#waiters.length > 0 ? undefined : this.#place(bytes);
  }

  /** Waits its turn (S4). `blocked`: called in place of an answer when nothing can make room until others unpin. */
  take(bytes: number, blocked?: () => void): Promise<Allocation> {
    if (this.#closed) return Promise.reject(new VolleyError("CLOSED", "the object store is closed"));
    const { budgetBytes } = this.#options;
    if (alignedBytes(bytes) > budgetBytes) {
      return Promise.reject(
        neverFits(
          `an object of ${bytes} bytes does not fit into this worker's object store`,
          alignedBytes(bytes),
          budgetBytes,
        ),
      );
    }
    const at = this.tryTake(bytes);
    if (at) return Promise.resolve(at);
    return new Promise((resolve, reject) => {
      const { admissionTimeoutMs: timeoutMs = 30_000, runtime = realRuntime } = this.#options;
      const stop = runtime.after(timeoutMs, () => this.giveUp(waiter, `no room within ${timeoutMs} ms`));
      const waiter: Waiter = { bytes, resolve, reject, stop, ...(blocked ? { blocked } : {}) };
      this.#waiters.push(waiter);
      this.admit();
    });
  }

  /** undefined: everything else is pinned, so waiting may mean waiting for the one who waits. */
  takeUnlessBlocked(bytes: number): Promise<Allocation | undefined> {
    return new Promise((resolve, reject) => {
      this.take(bytes, () => resolve(undefined)).then(resolve, reject);
    });
  }

  /** The first `bytes` of the allocation as one of its own, and what is left behind them. */
  cut({ handle, offset, bytes: whole }: Allocation, bytes: number): { part: Allocation; rest: Allocation | undefined } {
    const restOffset = this.#allocator.cut(offset, bytes);
    const part = this.#allocation(handle, offset, bytes);
    if (restOffset === undefined) return { part, rest: undefined };
    const rest = this.#allocation(this.#nextHandle++, restOffset, whole - (restOffset - offset));
    return { part, rest };
  }

  /** The bytes are nobody's now; `admit` gives them to who waits. */
  free(offset: number): void {
    this.#allocator.free(offset);
  }

  /** Serves the queue in order; has room made when the first does not fit. */
  admit(): void {
    for (let waiter = this.#waiters[0]; waiter; waiter = this.#waiters[0]) {
      const at = this.#place(waiter.bytes);
      if (!at) {
        this.#owner.makeRoom(waiter);
        return;
      }
      this.#waiters.shift();
      waiter.stop();
      waiter.resolve(at);
    }
  }

  isFirst(waiter: Waiter): boolean {
    return this.#waiters[0] === waiter;
  }

  /** One that can go to disk itself does not wait for what is pinned, and does not hold up those behind it. */
  block(waiter: Waiter): void {
    if (!waiter.blocked) return;
    this.#waiters.shift();
    waiter.stop();
    waiter.blocked();
    this.admit();
  }

  giveUp(waiter: Waiter, why: string): void {
    const at = this.#waiters.indexOf(waiter);
    if (at < 0) return;
    this.#waiters.splice(at, 1);
    waiter.stop();
    waiter.reject(this.#owner.refusal(waiter.bytes, why));
    this.admit();
  }

  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiters.splice(0)) {
      waiter.stop();
      waiter.reject(new VolleyError("CLOSED", "the object store was closed"));
    }
  }

  #place(bytes: number): Allocation | undefined {
    if (this.#allocator.usedBytes + alignedBytes(bytes) > this.#options.budgetBytes) return undefined;
    const offset = this.#allocator.allocate(bytes);
    if (offset === undefined) return undefined;
    const missing = this.#allocator.top - this.memory.buffer.byteLength;
    if (missing > 0 && !this.#grow(missing)) {
      this.#allocator.free(offset);
      return undefined;
    }
    return this.#allocation(this.#nextHandle++, offset, bytes);
  }

  #allocation(handle: number, offset: number, bytes: number): Allocation {
    return { handle, offset, bytes, view: new Uint8Array(this.memory.buffer, offset, bytes) };
  }

  /** Commits more of the reserved memory; a little more than asked, so that small objects do not grow it one by one. */
  #grow(bytes: number): boolean {
    const now = this.memory.buffer.byteLength / pageBytes;
    const pages = Math.ceil(bytes / pageBytes);
    for (const more of [Math.min(Math.max(pages, Math.ceil(now / 4)), memoryPagesMax - now), pages]) {
      try {
        this.memory.grow(more);
        return true;
      } catch {}
    }
    return false;
  }
}
