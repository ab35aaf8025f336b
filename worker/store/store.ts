/**
 * The object store of a worker: immutable objects on one shared WebAssembly.Memory, in place for every thread and for WASM kernels.
 *
 * S1 Bytes given out never pass the budget; every byte is counted (alignment included).
 * S2 A pinned object stays where it is: it is neither spilled nor freed. Freeing it takes effect at the last release.
 * S3 A handle names one stay of an object in memory; it is never used again, so a cache by handle is never stale.
 * S4 An allocation that does not fit spills the least recently used objects; it waits its turn, in order, and for no longer than admissionTimeoutMs.
 */
import { VolleyError } from "../../proto/errors.js";
import type { ObjectId } from "../../proto/ids.js";
import { Allocator, alignedBytes } from "./allocator.js";
import { createSharedMemory, memoryPagesMax, pageBytes, type SharedMemory } from "./memory.js";
import { type Spilled, SpillFolder } from "./spill.js";

export interface StoreOptions {
  readonly budgetBytes: number;
  /** Room at the beginning of the memory that is not the store's. Committed only as it is used. Default none. */
  readonly reservedBytes?: number;
  /** Parent of the spill folder; default: under the system's temporary folder. */
  readonly spillParent?: string;
  /** Bytes on disk at most. Default 8 times the budget. */
  readonly spillBytesMax?: number;
  readonly admissionTimeoutMs?: number;
  /** An object is gone that should not be: it could not be read back from disk. */
  onLost?(id: ObjectId, error: unknown): void;
}

export interface ObjectMeta {
  readonly kind: number;
  /** 16 bytes over kind and payload. */
  readonly digest: Uint8Array;
}

/** Room that is being filled: not visible to anyone until it is sealed. */
export interface Allocation {
  readonly handle: number;
  readonly offset: number;
  readonly bytes: number;
  /** To be written by its owner alone. */
  readonly view: Uint8Array;
}

export interface Pin extends ObjectMeta {
  readonly id: ObjectId;
  readonly handle: number;
  readonly offset: number;
  readonly bytes: number;
  readonly view: Uint8Array;
  /** Once. */
  release(): void;
}

type Place = { at: "memory"; handle: number; offset: number } | { at: "disk"; spilled: Spilled } | { at: "gone" };

interface Entry extends ObjectMeta {
  readonly id: ObjectId;
  readonly bytes: number;
  place: Place;
  pins: number;
  condemned: boolean;
  /** Under way from or to disk. */
  moving: Promise<void> | undefined;
}

interface Waiter {
  readonly bytes: number;
  resolve(allocation: Allocation): void;
  reject(error: unknown): void;
  timer: NodeJS.Timeout;
}

export interface StoreStats {
  readonly budgetBytes: number;
  readonly usedBytes: number;
  readonly pinnedBytes: number;
  readonly spilledBytes: number;
  readonly objects: number;
  readonly spills: number;
  readonly restores: number;
}

export class ObjectStore {
  readonly memory: SharedMemory;
  readonly budgetBytes: number;
  /** Of the memory, for others than the store: `reservedBytes` that it never touches. */
  readonly reserved: { readonly offset: number; readonly bytes: number };
  readonly #options: StoreOptions;
  readonly #allocator: Allocator;
  readonly #spillFolder: SpillFolder;
  /** Least recently used first. */
  readonly #entries = new Map<ObjectId, Entry>();
  readonly #waiters: Waiter[] = [];
  #nextHandle = 1;
  #pinnedBytes = 0;
  #spilledBytes = 0;
  #spills = 0;
  #restores = 0;
  #spilling = 0;
  #closed = false;

  constructor(options: StoreOptions) {
    const most = memoryPagesMax * pageBytes - pageBytes;
    if (!(options.budgetBytes >= 1 << 16 && options.budgetBytes <= most)) {
      throw new VolleyError("INVALID_ARGUMENT", `a store of ${options.budgetBytes} bytes: expected ${1 << 16} to ${most} (VOLLEY_STORE_BYTES)`);
    }
    this.#options = options;
    this.budgetBytes = options.budgetBytes;
    this.memory = createSharedMemory();
    // The first line stays free, so that offset 0 is never an object.
    const bytes = options.reservedBytes ?? 0;
    this.reserved = { offset: alignedBytes(1), bytes };
    const base = alignedBytes(1) + bytes;
    this.memory.grow(Math.ceil(bytes / pageBytes));
    this.#allocator = new Allocator(base, Math.min(most, base + Math.ceil(options.budgetBytes * 1.5) + pageBytes));
    this.#spillFolder = new SpillFolder(options.spillParent);
  }

  get stats(): StoreStats {
    return {
      budgetBytes: this.budgetBytes,
      usedBytes: this.#allocator.usedBytes,
      pinnedBytes: this.#pinnedBytes,
      spilledBytes: this.#spilledBytes,
      objects: this.#entries.size,
      spills: this.#spills,
      restores: this.#restores,
    };
  }

  has(id: ObjectId): boolean {
    const entry = this.#entries.get(id);
    return entry !== undefined && !entry.condemned;
  }

  meta(id: ObjectId): (ObjectMeta & { bytes: number }) | undefined {
    const entry = this.#entries.get(id);
    return entry && !entry.condemned ? { kind: entry.kind, digest: entry.digest, bytes: entry.bytes } : undefined;
  }

  // ---------------------------------------------------------------------------------------------- writing

  /** Room for `bytes`. Waits while others must be spilled first (S4); OUT_OF_MEMORY if that does not help in time, or can never. */
  allocate(bytes: number): Promise<Allocation> {
    if (this.#closed) return Promise.reject(new VolleyError("CLOSED", "the object store is closed"));
    if (alignedBytes(bytes) > this.budgetBytes) {
      return Promise.reject(
        new VolleyError("OUT_OF_MEMORY", `an object of ${bytes} bytes does not fit into a store of ${this.budgetBytes} (VOLLEY_STORE_BYTES)`),
      );
    }
    if (this.#waiters.length === 0) {
      const at = this.#place(bytes);
      if (at) return Promise.resolve(at);
    }
    return new Promise((resolve, reject) => {
      const timeoutMs = this.#options.admissionTimeoutMs ?? 30_000;
      const waiter: Waiter = { bytes, resolve, reject, timer: setTimeout(() => this.#giveUp(waiter, `no room within ${timeoutMs} ms`), timeoutMs) };
      this.#waiters.push(waiter);
      this.#admit();
    });
  }

  /** Makes the allocation an object. If there is one of this id already, that one stays (ids name contents) and the room is given back. */
  seal(id: ObjectId, allocation: Allocation, meta: ObjectMeta): void {
    const existing = this.#entries.get(id);
    if (existing) {
      existing.condemned = false;
      this.abandon(allocation);
      return;
    }
    const { handle, offset, bytes } = allocation;
    this.#entries.set(id, {
      id,
      bytes,
      kind: meta.kind,
      digest: meta.digest,
      place: { at: "memory", handle, offset },
      pins: 0,
      condemned: false,
      moving: undefined,
    });
    this.#admit();
  }

  abandon(allocation: Allocation): void {
    this.#allocator.free(allocation.offset);
    this.#admit();
  }

  /** Copies `data` in as an object. */
  async put(id: ObjectId, data: Uint8Array, meta: ObjectMeta): Promise<void> {
    if (this.has(id)) return;
    const allocation = await this.allocate(data.byteLength);
    allocation.view.set(data);
    this.seal(id, allocation, meta);
  }

  #place(bytes: number): Allocation | undefined {
    if (this.#allocator.usedBytes + alignedBytes(bytes) > this.budgetBytes) return undefined;
    const offset = this.#allocator.allocate(bytes);
    if (offset === undefined) return undefined;
    const missing = this.#allocator.top - this.memory.buffer.byteLength;
    if (missing > 0 && !this.#grow(missing)) {
      this.#allocator.free(offset);
      return undefined;
    }
    return { handle: this.#nextHandle++, offset, bytes, view: new Uint8Array(this.memory.buffer, offset, bytes) };
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

  // ---------------------------------------------------------------------------------------------- reading

  /** Pins an object, bringing it back from disk if it was spilled. OBJECT_NOT_FOUND; CORRUPT if it does not come back as it was (it is lost then). */
  async pin(id: ObjectId): Promise<Pin> {
    for (;;) {
      const entry = this.#entries.get(id);
      if (!entry || entry.condemned) throw new VolleyError("OBJECT_NOT_FOUND", `object ${id} is not in this worker's store`);
      if (entry.moving !== undefined) {
        await entry.moving;
        continue;
      }
      if (entry.place.at === "memory") return this.#pinned(entry, entry.place);
      await this.#restore(entry);
    }
  }

  #pinned(entry: Entry, place: { handle: number; offset: number }): Pin {
    if (entry.pins++ === 0) this.#pinnedBytes += alignedBytes(entry.bytes);
    this.#entries.delete(entry.id);
    this.#entries.set(entry.id, entry);
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      if (--entry.pins > 0) return;
      this.#pinnedBytes -= alignedBytes(entry.bytes);
      if (entry.condemned) this.#remove(entry);
      else this.#admit();
    };
    const { id, bytes, kind, digest } = entry;
    return { id, bytes, kind, digest, handle: place.handle, offset: place.offset, view: new Uint8Array(this.memory.buffer, place.offset, bytes), release };
  }

  /** Forgets an object; at its last release if it is pinned. */
  free(id: ObjectId): void {
    const entry = this.#entries.get(id);
    if (!entry || entry.condemned) return;
    entry.condemned = true;
    if (entry.pins === 0 && entry.moving === undefined) this.#remove(entry);
  }

  #remove(entry: Entry): void {
    if (this.#entries.get(entry.id) === entry) this.#entries.delete(entry.id);
    if (entry.place.at === "memory") this.#allocator.free(entry.place.offset);
    if (entry.place.at === "disk") {
      this.#spilledBytes -= entry.bytes;
      void this.#spillFolder.remove(entry.place.spilled);
    }
    entry.place = { at: "gone" };
    this.#admit();
  }

  // ---------------------------------------------------------------------------------------------- to disk and back

  /** Serves waiters in order; spills when the first does not fit. */
  #admit(): void {
    for (let waiter = this.#waiters[0]; waiter; waiter = this.#waiters[0]) {
      const at = this.#place(waiter.bytes);
      if (!at) {
        this.#makeRoom(waiter);
        return;
      }
      this.#waiters.shift();
      clearTimeout(waiter.timer);
      waiter.resolve(at);
    }
  }

  #makeRoom(waiter: Waiter): void {
    // Two files at a time keep the disk busy without taking the whole store away from its readers.
    while (this.#spilling < 2 && this.#waiters[0] === waiter) {
      const victim = this.#leastUsed();
      if (!victim) return;
      this.#spill(victim, waiter);
    }
  }

  #leastUsed(): Entry | undefined {
    for (const entry of this.#entries.values()) if (entry.place.at === "memory" && entry.pins === 0 && entry.moving === undefined) return entry;
    return undefined;
  }

  #spill(entry: Entry, waiter: Waiter): void {
    if (entry.place.at !== "memory") return;
    const most = this.#options.spillBytesMax ?? 8 * this.budgetBytes;
    if (this.#spilledBytes + entry.bytes > most) {
      this.#giveUp(waiter, `and the spill folder holds ${this.#spilledBytes} of ${most} bytes`);
      return;
    }
    const { offset } = entry.place;
    this.#spilling++;
    entry.moving = this.#spillFolder
      .write(new Uint8Array(this.memory.buffer, offset, entry.bytes))
      .then(
        (spilled) => {
          this.#allocator.free(offset);
          entry.place = { at: "disk", spilled };
          this.#spilledBytes += entry.bytes;
          this.#spills++;
        },
        (error: unknown) => this.#giveUp(waiter, `and spilling failed: ${String(error)}`),
      )
      .finally(() => {
        entry.moving = undefined;
        this.#spilling--;
        if (entry.condemned) this.#remove(entry);
        this.#admit();
      });
  }

  async #restore(entry: Entry): Promise<void> {
    const { place } = entry;
    if (place.at !== "disk") return;
    let done: () => void = () => undefined;
    entry.moving = new Promise((resolve) => {
      done = resolve;
    });
    try {
      const room = await this.allocate(entry.bytes);
      try {
        await this.#spillFolder.read(place.spilled, room.view);
      } catch (error) {
        this.abandon(room);
        entry.condemned = true;
        this.#options.onLost?.(entry.id, error);
        throw error;
      }
      entry.place = { at: "memory", handle: room.handle, offset: room.offset };
      this.#spilledBytes -= entry.bytes;
      this.#restores++;
      void this.#spillFolder.remove(place.spilled);
    } finally {
      entry.moving = undefined;
      if (entry.condemned) this.#remove(entry);
      done();
    }
  }

  #giveUp(waiter: Waiter, why: string): void {
    const at = this.#waiters.indexOf(waiter);
    if (at < 0) return;
    this.#waiters.splice(at, 1);
    clearTimeout(waiter.timer);
    const { usedBytes, pinnedBytes } = this.stats;
    waiter.reject(
      new VolleyError(
        "OUT_OF_MEMORY",
        `no room for ${waiter.bytes} bytes: ${usedBytes} of ${this.budgetBytes} are used, ${pinnedBytes} of them pinned, ${why}`,
      ),
    );
    this.#admit();
  }

  /** Forgets everything and removes the spill folder. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const waiter of this.#waiters.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.reject(new VolleyError("CLOSED", "the object store was closed"));
    }
    this.#spillFolder.removeAll();
  }
}
