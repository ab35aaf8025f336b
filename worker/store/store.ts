/**
 * The object store of a worker: immutable objects on one shared WebAssembly.Memory, in place for every thread and for
 * WASM kernels.
 *
 * S1 Bytes given out never pass the budget; every byte is counted (alignment included).
 * S2 A pinned object stays where it is: it is neither spilled nor freed. Freeing it takes effect at the last release.
 * S3 A handle names one stay of an object in memory; it is never used again, so a cache by handle is never stale.
 * S4 An allocation that does not fit makes room of the least recently used objects: copies that others hold too are
 * dropped, the rest is spilled.
 * It waits its turn, in order, and for no longer than admissionTimeoutMs. A result that cannot have room while others
 * are pinned goes to disk at once. (room.ts has the counting and the queue.)
 * S5 An id has one content here. What comes with another digest replaces it if it is the newer (a job's id may be used
 * again, an impure task may run again); whoever reads says which digest it wants, and never gets another.
 */
import { equalBytes } from "../../proto/digest.js";
import { VolleyError } from "../../proto/errors.js";
import type { ObjectId } from "../../proto/ids.js";
import { alignedBytes } from "./allocator.js";
import type { Allocation, Entry, ObjectMeta, Pin, SealOptions, StoreOptions, StoreStats, Waiter } from "./entry.js";
import type { SharedMemory } from "./memory.js";
import { Room } from "./room.js";
import { openSpill, type SpillPlace } from "./spill.js";

export type { Allocation, ObjectMeta, Pin, StoreOptions, StoreStats } from "./entry.js";

export class ObjectStore {
  readonly memory: SharedMemory;
  readonly budgetBytes: number;
  /** Of the memory, for others than the store: `reservedBytes` that it never touches. */
  readonly reserved: { readonly offset: number; readonly bytes: number };
  readonly #options: StoreOptions;
  readonly #room: Room;
  readonly #spillFolder: SpillPlace;
  /** Least recently used first. */
  readonly #entries = new Map<ObjectId, Entry>();
  #pinnedBytes = 0;
  #copyBytes = 0;
  #spills = 0;
  #restores = 0;
  #spilling = 0;
  #closed = false;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.budgetBytes = options.budgetBytes;
    this.#room = new Room(options, {
      makeRoom: (first) => this.#makeRoom(first),
      refusal: (bytes, why) => this.#noRoom(bytes, why),
    });
    this.memory = this.#room.memory;
    this.reserved = this.#room.reserved;
    this.#spillFolder = openSpill(options);
  }

  get stats(): StoreStats {
    return {
      budgetBytes: this.budgetBytes,
      usedBytes: this.#room.usedBytes,
      pinnedBytes: this.#pinnedBytes,
      copyBytes: this.#copyBytes,
      spilledBytes: this.#spillFolder.bytes,
      objects: this.#entries.size,
      spills: this.#spills,
      restores: this.#restores,
    };
  }

  /** With a digest: it is here, and it is that. */
  has(id: ObjectId, digest?: Uint8Array): boolean {
    return this.#find(id, digest) !== undefined;
  }

  #find(id: ObjectId, digest?: Uint8Array): Entry | undefined {
    const entry = this.#entries.get(id);
    return entry && !entry.condemned && (digest === undefined || equalBytes(entry.digest, digest)) ? entry : undefined;
  }

  meta(id: ObjectId): (ObjectMeta & { bytes: number }) | undefined {
    const entry = this.#find(id);
    return entry ? { kind: entry.kind, digest: entry.digest, bytes: entry.bytes } : undefined;
  }

  // ---------------------------------------------------------------------------------------------- writing

  /**
   * Room for `bytes`. Waits while others must go first (S4); OUT_OF_MEMORY if that does not help in time, or can never
   * (its details say so).
   */
  allocate(bytes: number): Promise<Allocation> {
    return this.#room.take(bytes);
  }

  /** The same; undefined when everything else is pinned, so that it would wait for those who may wait for it. */
  allocateUnlessBlocked(bytes: number): Promise<Allocation | undefined> {
    return this.#room.takeUnlessBlocked(bytes);
  }

  /** Room that is free as it is: nothing goes for it, and nobody waits for it. */
  tryAllocate(bytes: number): Allocation | undefined {
    return this.#room.tryTake(bytes);
  }

  /** The first `bytes` of the allocation as one of its own, and what is left behind them. */
  cut(allocation: Allocation, bytes: number): { part: Allocation; rest: Allocation | undefined } {
    return this.#room.cut(allocation, bytes);
  }

  /**
   * Makes the allocation an object, unless it is there already, or a newer of its name is (S5): the room is given back
   * then. False: a newer one is.
   */
  seal(id: ObjectId, allocation: Allocation, meta: ObjectMeta, options: SealOptions = {}): boolean {
    const { handle, offset, bytes } = allocation;
    const made = this.#enter(id, bytes, meta, options, { at: "memory", handle, offset });
    if (made !== "entered") this.abandon(allocation);
    else this.#room.admit();
    return made !== "older";
  }

  #enter(
    id: ObjectId,
    bytes: number,
    meta: ObjectMeta,
    options: SealOptions,
    place: Entry["place"],
  ): "entered" | "known" | "older" {
    const { copy = false, order = 0 } = options;
    const existing = this.#entries.get(id);
    if (existing && equalBytes(existing.digest, meta.digest)) {
      existing.condemned = false;
      existing.order = Math.max(existing.order, order);
      if (!copy) this.own(id);
      return "known";
    }
    if (existing && !existing.condemned && existing.order > order) return "older";
    if (existing) this.#replace(existing);
    const entry: Entry = {
      id,
      bytes,
      kind: meta.kind,
      digest: meta.digest,
      place,
      pins: 0,
      condemned: false,
      copy,
      order,
      moving: undefined,
    };
    this.#entries.set(id, entry);
    if (copy) this.#copyBytes += alignedBytes(bytes);
    return "entered";
  }

  /** Takes the entry's name away; those who have pinned it keep it until they let go. */
  #replace(entry: Entry): void {
    this.free(entry.id);
    if (this.#entries.get(entry.id) === entry) this.#entries.delete(entry.id);
  }

  /** From now on the object is this worker's to keep. */
  own(id: ObjectId): void {
    const entry = this.#entries.get(id);
    if (!entry?.copy) return;
    entry.copy = false;
    this.#copyBytes -= alignedBytes(entry.bytes);
  }

  abandon(allocation: Allocation): void {
    this.#room.free(allocation.offset);
    this.#room.admit();
  }

  /**
   * Copies `data` in as an object; to disk if there can be no room for it while others are pinned. False: a newer one
   * of its name is here (S5).
   */
  async put(id: ObjectId, data: Uint8Array, meta: ObjectMeta, options: SealOptions = {}): Promise<boolean> {
    const known = this.#find(id);
    if (known && (equalBytes(known.digest, meta.digest) || known.order > (options.order ?? 0))) {
      return this.#enter(id, data.byteLength, meta, options, known.place) !== "older";
    }
    // A copy that finds no room is of no use on disk.
    const allocation = await (options.copy
      ? this.allocate(data.byteLength)
      : this.#room.takeUnlessBlocked(data.byteLength));
    if (allocation) {
      allocation.view.set(data);
      return this.seal(id, allocation, meta, options);
    }
    const refusal = this.#spillFolder.refusal(data.byteLength);
    if (refusal !== undefined) throw this.#noRoom(data.byteLength, `and ${refusal}`);
    const spilled = await this.#spillFolder.write(data);
    const made = this.#closed ? "older" : this.#enter(id, data.byteLength, meta, options, { at: "disk", spilled });
    if (made === "entered") this.#spills++;
    else await this.#spillFolder.remove(spilled);
    return made !== "older";
  }

  // ---------------------------------------------------------------------------------------------- reading

  /**
   * Pins an object, bringing it back from disk if it was spilled. OBJECT_NOT_FOUND; CORRUPT if it does not come back as
   * it was (it is lost then).
   */
  async pin(id: ObjectId, digest?: Uint8Array): Promise<Pin> {
    for (;;) {
      const entry = this.#find(id, digest);
      if (!entry) throw new VolleyError("OBJECT_NOT_FOUND", `object ${id} is not in this worker's store`);
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
      else this.#room.admit();
    };
    const { id, bytes, kind, digest } = entry;
    return {
      id,
      bytes,
      kind,
      digest,
      handle: place.handle,
      offset: place.offset,
      view: new Uint8Array(this.memory.buffer, place.offset, bytes),
      release,
    };
  }

  /** Forgets an object; at its last release if it is pinned. */
  free(id: ObjectId, digest?: Uint8Array): void {
    const entry = this.#find(id, digest);
    if (!entry) return;
    entry.condemned = true;
    if (entry.pins === 0 && entry.moving === undefined) this.#remove(entry);
  }

  #remove(entry: Entry): void {
    if (entry.place.at === "gone") return;
    if (this.#entries.get(entry.id) === entry) this.#entries.delete(entry.id);
    if (entry.copy) this.#copyBytes -= alignedBytes(entry.bytes);
    if (entry.place.at === "memory") this.#room.free(entry.place.offset);
    if (entry.place.at === "disk") void this.#spillFolder.remove(entry.place.spilled);
    entry.place = { at: "gone" };
    this.#room.admit();
  }

  // ---------------------------------------------------------------------------------------------- to disk and back

  #makeRoom(waiter: Waiter): void {
    // Two files at a time keep the disk busy without taking the whole store away from its readers.
    while (this.#spilling < 2 && this.#room.isFirst(waiter)) {
      const victim = this.#leastUsed();
      if (!victim) {
        if (this.#spilling === 0) this.#room.block(waiter);
        return;
      }
      if (victim.copy) this.#drop(victim);
      else if (!this.#spill(victim, waiter)) return;
    }
  }

  #leastUsed(): Entry | undefined {
    for (const entry of this.#entries.values())
      if (entry.place.at === "memory" && entry.pins === 0 && entry.moving === undefined) return entry;
    return undefined;
  }

  #drop(entry: Entry): void {
    entry.condemned = true;
    this.#options.onDropped?.(entry.id);
    this.#remove(entry);
  }

  /** False: the disk takes no more. */
  #spill(entry: Entry, waiter: Waiter): boolean {
    if (entry.place.at !== "memory") return false;
    const refusal = this.#spillFolder.refusal(entry.bytes);
    if (refusal !== undefined) {
      // What is on its way there may be enough.
      if (this.#spilling === 0) this.#room.giveUp(waiter, `and ${refusal}`);
      return false;
    }
    const { offset } = entry.place;
    this.#spilling++;
    entry.moving = this.#spillFolder
      .write(new Uint8Array(this.memory.buffer, offset, entry.bytes))
      .then(
        (spilled) => {
          this.#room.free(offset);
          entry.place = { at: "disk", spilled };
          this.#spills++;
        },
        (error: unknown) => this.#room.giveUp(waiter, `and spilling failed: ${String(error)}`),
      )
      .finally(() => {
        entry.moving = undefined;
        this.#spilling--;
        if (entry.condemned) this.#remove(entry);
        this.#room.admit();
      });
    return true;
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
      this.#restores++;
      void this.#spillFolder.remove(place.spilled);
    } finally {
      entry.moving = undefined;
      if (entry.condemned) this.#remove(entry);
      done();
    }
  }

  #noRoom(bytes: number, why: string): VolleyError {
    const { usedBytes, pinnedBytes } = this.stats;
    return new VolleyError(
      "OUT_OF_MEMORY",
      `no room for ${bytes} bytes: ${usedBytes} of ${this.budgetBytes} are used, ${pinnedBytes} of them pinned, ${why}`,
    );
  }

  /** Forgets everything and removes the spill folder. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#room.close();
    this.#spillFolder.removeAll();
  }
}
