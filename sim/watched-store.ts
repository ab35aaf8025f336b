/** The product's object store in plain memory, telling the judges what this process truly holds. */
import type { ObjectId } from "../proto/ids.js";
import type { Runtime } from "../proto/runtime.js";
import type { Allocation, ObjectMeta, StoreOptions } from "../worker/store/entry.js";
import type { SharedMemory } from "../worker/store/memory.js";
import { pageBytes } from "../worker/store/memory.js";
import type { Spilled, SpillPlace } from "../worker/store/spill.js";
import { ObjectStore } from "../worker/store/store.js";
import type { Process } from "./process.js";
import type { Truth } from "./truth.js";

const memoryBytesMax = 16 * 1024 * 1024;
const diskMs = 2;

/** Of ES2024. */
const Growable = SharedArrayBuffer as unknown as new (
  bytes: number,
  options: { maxByteLength: number },
) => SharedArrayBuffer & { grow(bytes: number): void };

function plainMemory(): SharedMemory {
  const buffer = new Growable(pageBytes, { maxByteLength: memoryBytesMax });
  return {
    buffer,
    grow: (pages) => {
      const before = buffer.byteLength / pageBytes;
      buffer.grow(buffer.byteLength + pages * pageBytes);
      return before;
    },
  };
}

/** A disk that takes its time. */
function plainSpill(runtime: Runtime): SpillPlace {
  const files = new Map<string, Uint8Array>();
  let next = 0;
  let bytes = 0;
  const later = <T>(make: () => T): Promise<T> =>
    new Promise((resolve) => runtime.after(diskMs, () => resolve(make())));
  return {
    get bytes() {
      return bytes;
    },
    refusal: () => undefined,
    write: (data) => {
      const spilled: Spilled = { file: `${next++}`, bytes: data.byteLength, crc: 0 };
      bytes += data.byteLength;
      files.set(spilled.file, data.slice());
      return later(() => spilled);
    },
    read: ({ file }, target) => later(() => target.set(files.get(file) as Uint8Array)),
    remove: async (spilled) => {
      if (files.delete(spilled.file)) bytes -= spilled.bytes;
    },
    removeAll: () => files.clear(),
  };
}

export class WatchedStore extends ObjectStore {
  readonly #truth: Truth;
  readonly #process: Process;
  readonly #ids = new Set<ObjectId>();

  constructor(options: StoreOptions, runtime: Runtime, truth: Truth, process: Process) {
    super({
      ...options,
      reservedBytes: 0,
      memory: plainMemory(),
      spill: plainSpill(runtime),
      onDropped: (id) => {
        this.#gone(id);
        options.onDropped?.(id);
      },
      onLost: (id, error) => {
        this.#gone(id);
        options.onLost?.(id, error);
      },
    });
    this.#truth = truth;
    this.#process = process;
  }

  get ids(): ReadonlySet<ObjectId> {
    return this.#ids;
  }

  #came(id: ObjectId, kept: boolean): boolean {
    if (!kept || this.#process.dead) return kept;
    this.#ids.add(id);
    this.#truth.held(id, this.#process);
    return true;
  }

  #gone(id: ObjectId): void {
    if (this.#process.dead) return;
    this.#ids.delete(id);
    this.#truth.dropped(id, this.#process);
  }

  override seal(id: ObjectId, allocation: Allocation, meta: ObjectMeta, options = {}): boolean {
    return this.#came(id, super.seal(id, allocation, meta, options));
  }

  override async put(id: ObjectId, data: Uint8Array, meta: ObjectMeta, options = {}): Promise<boolean> {
    return this.#came(id, await super.put(id, data, meta, options));
  }

  override free(id: ObjectId, digest?: Uint8Array): void {
    super.free(id, digest);
    if (!this.has(id)) this.#gone(id);
  }
}
