/**
 * In the thread: from the run's encoded arguments to the values of each task.
 *
 * Arrow tables are views on the worker's shared memory, valid while their task runs. Everything else is decoded into the thread's own heap.
 * What many tasks share is decoded once if it is large, and then frozen: a task that changed it would change what the next one sees.
 */
import { PackReader } from "../../proto/pack.js";
import { decodeValue, type ValueKind, valueKind } from "../../proto/value.js";
import type { SharedMemory } from "../store/memory.js";
import type { Source, ThreadArg } from "./run-message.js";

/** Shared values of at most this many bytes are decoded anew for every task, so that each may do with its own as it likes. */
const freshBytesMax = 8 * 1024;
const cachedMax = 64;

export class ArgumentDecoder {
  readonly #memory: SharedMemory | null;
  /** Decoded shared values by content key or memory handle, least recently used first. */
  readonly #cache = new Map<string, unknown>();

  constructor(memory: SharedMemory | null) {
    this.#memory = memory;
  }

  /** One function per argument, from a task's index to its value. */
  resolvers(args: readonly ThreadArg[]): ((task: number) => unknown)[] {
    return args.map((arg) => this.#resolver(arg));
  }

  #resolver(arg: ThreadArg): (task: number) => unknown {
    switch (arg.a) {
      case "index":
        return (task) => task;
      case "same":
        return this.#same(arg.source, arg.key);
      case "pack": {
        const reader = this.#once(`pack:${keyOf(arg.pack, arg.key)}`, () => new PackReader(this.#bytes(arg.pack)));
        return (task) => {
          const item = reader.at(task - arg.first);
          // A table wants its bytes aligned, and a pack does not align them.
          return decodeValue(
            item.kind === valueKind.arrow || item.kind === valueKind.bytes || isShared(item.data) ? { kind: item.kind, data: item.data.slice() } : item,
          );
        };
      }
      case "each":
        return (task) => this.#decode(arg.sources[task - arg.first] as Source);
      case "all": {
        // Tables in it are views: the list is another one as soon as a part of it lies elsewhere.
        const places = arg.parts.map((part) => ("pack" in part ? "" : "handle" in part.one ? part.one.handle : "")).join();
        const list = this.#once(`all:${arg.key}:${places}`, () => this.#all(arg.parts));
        return () => list;
      }
      case "list": {
        const inner = arg.of.map((one) => this.#resolver(one));
        return (task) => inner.map((resolve) => resolve(task));
      }
    }
  }

  #same(source: Source, key: string | undefined): (task: number) => unknown {
    const size = "data" in source ? source.data.byteLength : source.bytes;
    if (source.kind === valueKind.undefined) return () => undefined;
    if (source.kind === valueKind.msgpack && size <= freshBytesMax) {
      const bytes = this.#bytes(source);
      const first = decodeValue({ kind: valueKind.msgpack, data: bytes });
      return typeof first === "object" && first !== null ? () => decodeValue({ kind: valueKind.msgpack, data: bytes }) : () => first;
    }
    if (source.kind === valueKind.bytes) {
      const bytes = this.#bytes(source);
      return () => bytes.slice();
    }
    const name = keyOf(source, key);
    // Nobody else will see a value without a name.
    const value = name === "" ? this.#decode(source) : this.#once(`same:${name}`, () => freeze(this.#decode(source)));
    return () => value;
  }

  #all(parts: Extract<ThreadArg, { a: "all" }>["parts"]): readonly unknown[] {
    const list: unknown[] = [];
    for (const part of parts) {
      if ("one" in part) {
        list.push(this.#decode(part.one));
        continue;
      }
      const reader = new PackReader(this.#bytes(part.pack));
      for (let i = 0; i < reader.count; i++) {
        const item = reader.at(i);
        list.push(decodeValue({ kind: item.kind, data: item.data.slice() }));
      }
    }
    return freeze(list) as readonly unknown[];
  }

  #decode(source: Source): unknown {
    return decodeValue({ kind: source.kind as ValueKind, data: this.#bytes(source) });
  }

  /** Tables are read in place; other forms are copied out of shared memory, which their decoders (and users' text decoders) do not take. */
  #bytes(source: Source): Uint8Array {
    if ("data" in source) return isShared(source.data) && source.kind !== valueKind.arrow ? source.data.slice() : source.data;
    const memory = this.#memory;
    if (!memory) throw new Error("the thread has no shared memory");
    // Growing by nothing makes this thread see what another thread has grown.
    if (source.offset + source.bytes > memory.buffer.byteLength) memory.grow(0);
    const view = new Uint8Array(memory.buffer, source.offset, source.bytes);
    return source.kind === valueKind.arrow ? view : Uint8Array.from(view);
  }

  #once<T>(key: string | undefined, make: () => T): T {
    if (key === undefined || key.endsWith(":")) return make();
    if (this.#cache.has(key)) {
      const value = this.#cache.get(key) as T;
      this.#cache.delete(key);
      this.#cache.set(key, value);
      return value;
    }
    const value = make();
    this.#cache.set(key, value);
    if (this.#cache.size > cachedMax)
      for (const [oldest] of this.#cache) {
        this.#cache.delete(oldest);
        break;
      }
    return value;
  }
}

const isShared = (data: Uint8Array): boolean => data.buffer instanceof SharedArrayBuffer;

const keyOf = (source: Source, key: string | undefined): string => ("handle" in source ? `m${source.handle}` : (key ?? ""));

/** Plain objects and arrays, to the bottom; buffers cannot be frozen, tables are left as they are. */
function freeze(value: unknown): unknown {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value;
  const proto: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && proto !== Object.prototype && proto !== null) return value;
  Object.freeze(value);
  for (const inner of Array.isArray(value) ? value : Object.values(value)) freeze(inner);
  return value;
}
