/**
 * In the thread: from the run's encoded arguments to the values of each task.
 *
 * A1 What a user's function receives is its own: it may write into it, and no other task sees that, whatever the
 * value's size, the lease or the
 *    attempt. Plain values are decoded or copied for every task; tables are views that copy what is asked for
 * (private-table.ts). A2 Kernels are ours and write into nothing: they read the decoded value, and tables in place. A3
 * What is kept from one run to the next is known by the handle of its memory, which names one stay of one object there
 * (S3 of the store), or is
 *    compared with the bytes it was made from; and it is bounded by a share of the heap.
 * A4 Values that every task of the run takes are decoded before the first task begins, others as the part of their
 * task: who runs out of memory then
 *    is known.
 */
import { notPlain, PackReader } from "../../proto/values/pack.js";
import { decodeTable, decodeValue, type ValueKind, valueKind } from "../../proto/values/value.js";
import type { SharedMemory } from "../store/memory.js";
import { ByteCache } from "./byte-cache.js";
import { assertFits } from "./decoded-size.js";
import { ownArray, SharedTable, TaskScope } from "./private-table.js";
import type { Source, ThreadArg } from "./run-message.js";
import { Template } from "./template.js";

/** Shared values of at most this many bytes are decoded anew for every task: faster than to keep them. */
const freshBytesMax = 8 * 1024;
/** Decoding a value of this size is worth saying that it is going on. */
const heavyBytes = 256 * 1024;
/** What is kept of a table or pack beside its memory, which is the store's. */
const viewBytes = 16 * 1024;
const seenMax = 1_024;
/** Of the heap, for decoded values that are kept from run to run. */
const cachedShare = 1 / 8;

export type Resolver = (task: number) => unknown;

export interface Resolved {
  readonly resolvers: readonly Resolver[];
  /** Much is decoded within each task. */
  readonly heavy: boolean;
}

export interface ReadAs {
  /** For a function of ours, which gets the values themselves (A2). */
  readonly kernel: boolean;
  readonly from: number;
  readonly to: number;
}

type AllParts = Extract<ThreadArg, { a: "all" }>["parts"];

export class ArgumentDecoder {
  readonly #memory: SharedMemory | null;
  readonly #heapBytes: number;
  readonly #cache: ByteCache<unknown>;
  /** Handles of values that were decoded for one task: who comes a second time is worth keeping. */
  readonly #seen = new Set<number>();
  #scope: TaskScope | undefined;
  #heavy = false;

  constructor(memory: SharedMemory | null, heapBytes: number) {
    this.#memory = memory;
    this.#heapBytes = heapBytes;
    this.#cache = new ByteCache(heapBytes * cachedShare);
  }

  /** One function per argument, from a task's index to its value. */
  resolvers(args: readonly ThreadArg[], as: ReadAs): Resolved {
    this.#heavy = false;
    return { resolvers: args.map((arg) => this.#resolver(arg, as)), heavy: this.#heavy };
  }

  /** The task is over and its result encoded: what it received of tables cannot be read any more. */
  endTask(): void {
    if (!this.#scope) return;
    this.#scope.open = false;
    this.#scope = undefined;
  }

  readonly #task = (): TaskScope => {
    this.#scope ??= new TaskScope();
    return this.#scope;
  };

  #resolver(arg: ThreadArg, as: ReadAs): Resolver {
    switch (arg.a) {
      case "index":
        return (task) => task;
      case "same":
        return this.#same(arg.source, as);
      case "pack":
        return this.#pack(arg, as);
      case "each":
        this.#note(arg.sources.reduce((most, source) => Math.max(most, bytesOf(source)), 0));
        return (task) => this.#one(arg.sources[task - arg.first] as Source, as)(task);
      case "all":
        return this.#all(arg.parts, arg.key, as);
      case "list": {
        const inner = arg.of.map((one) => this.#resolver(one, as));
        return (task) => inner.map((resolve) => resolve(task));
      }
    }
  }

  #note(bytes: number): void {
    if (bytes >= heavyBytes) this.#heavy = true;
  }

  // ---------------------------------------------------------------------------------------------- one value

  #same(source: Source, as: ReadAs): Resolver {
    if (source.kind !== valueKind.msgpack) return this.#one(source, as);
    const once = as.to - as.from === 1;
    if (!("handle" in source)) return this.#inline(source.data, as.kernel, once);
    const { handle, bytes } = source;
    const key = `m${handle}`;
    const kept = this.#cache.get(key);
    if (!kept && once && !this.#seen.has(handle)) {
      this.#see(handle);
      this.#note(bytes);
      return () => this.#decode(source);
    }
    return this.#copies(
      (kept as Template | undefined) ?? this.#keep(key, new Template(this.#decode(source))),
      as.kernel,
      () => this.#decode(source),
    );
  }

  /** Small values travel with the lease. */
  #inline(data: Uint8Array, kernel: boolean, once: boolean): Resolver {
    const decode = (): unknown => decodeValue({ kind: valueKind.msgpack, data });
    if (once) return decode;
    const first = decode();
    if (kernel || typeof first !== "object" || first === null) return () => first;
    if (data.byteLength <= freshBytesMax) return decode;
    return this.#copies(new Template(first), kernel, decode);
  }

  #copies(template: Template, kernel: boolean, decode: () => unknown): Resolver {
    if (kernel) return () => template.value;
    return template.copyable ? () => template.copy(this.#task()) : decode;
  }

  #keep(key: string, template: Template): Template {
    this.#cache.set(key, template, template.bytes);
    return template;
  }

  #see(handle: number): void {
    this.#seen.add(handle);
    if (this.#seen.size <= seenMax) return;
    for (const oldest of this.#seen) {
      this.#seen.delete(oldest);
      return;
    }
  }

  /** Of the forms that are not kept decoded. */
  #one(source: Source, as: ReadAs): Resolver {
    switch (source.kind) {
      case valueKind.undefined:
        return () => undefined;
      case valueKind.bytes: {
        const bytes = this.#view(source);
        return () => ownArray(bytes);
      }
      case valueKind.arrow: {
        const table = this.#table(source);
        return as.kernel ? () => table.raw : () => table.for(this.#task());
      }
      default:
        return () => this.#decode(source);
    }
  }

  #table(source: Source): SharedTable {
    if (!("handle" in source))
      return new SharedTable(
        decodeTable(isShared(source.data) || source.data.byteOffset % 8 !== 0 ? source.data.slice() : source.data),
      );
    const key = `t${source.handle}`;
    const kept = this.#cache.get(key) as SharedTable | undefined;
    if (kept) return kept;
    const table = new SharedTable(decodeTable(this.#view(source)));
    this.#cache.set(key, table, viewBytes);
    return table;
  }

  // ---------------------------------------------------------------------------------------------- packs and lists

  #pack({ pack, first }: Extract<ThreadArg, { a: "pack" }>, as: ReadAs): Resolver {
    let reader = "handle" in pack ? (this.#cache.get(`p${pack.handle}`) as PackReader | undefined) : undefined;
    if (!reader) {
      reader = new PackReader(this.#view(pack));
      if ("handle" in pack) this.#cache.set(`p${pack.handle}`, reader, viewBytes);
    }
    // The run's part of it, in the thread's own memory: text decoders refuse shared memory.
    const items =
      "handle" in pack || isShared(pack.data) ? new PackReader(reader.slice(as.from - first, as.to - first)) : reader;
    const start = items === reader ? first : as.from;
    this.#note(bytesOf(pack) / Math.max(1, reader.count));
    return (task) => this.#item(items, task - start);
  }

  #all(parts: AllParts, name: string, as: ReadAs): Resolver {
    const bytes = parts.reduce((sum, part) => sum + bytesOf("pack" in part ? part.pack : part.one), 0);
    const make = (): unknown[] => this.#list(parts, !as.kernel);
    if (as.to - as.from === 1) {
      this.#note(bytes);
      return make;
    }
    const places = parts.map((part) => ("pack" in part ? "" : "handle" in part.one ? part.one.handle : "")).join();
    const key = `a${name}:${places}`;
    const kept = this.#cache.get(key) as CachedList | undefined;
    if (kept && sameBytes(kept.parts, parts)) return this.#copies(kept.template, as.kernel, make);
    const template = new Template(this.#list(parts, false));
    this.#cache.set(key, { template, parts } satisfies CachedList, template.bytes + bytes);
    return this.#copies(template, as.kernel, make);
  }

  /** `own`: for one task of a user's function. */
  #list(parts: AllParts, own: boolean): unknown[] {
    const list: unknown[] = [];
    for (const part of parts) {
      if ("one" in part) {
        if (part.one.kind !== valueKind.arrow) list.push(this.#decode(part.one));
        else if (own) list.push(this.#table(part.one).for(this.#task()));
        else list.push(this.#table(part.one).raw);
        continue;
      }
      const reader = new PackReader(this.#view(part.pack));
      for (let i = 0; i < reader.count; i++) list.push(this.#item(reader, i));
    }
    return list;
  }

  // ---------------------------------------------------------------------------------------------- bytes

  #decode(source: Source): unknown {
    const view = this.#view(source);
    if (source.kind === valueKind.msgpack) assertFits(view, this.#heapBytes);
    return decodeValue({ kind: source.kind as ValueKind, data: isShared(view) ? view.slice() : view });
  }

  /** An item's own value: a table wants its bytes aligned, and a pack does not align them. */
  #item(reader: PackReader, index: number): unknown {
    const plain = reader.plain(index);
    if (plain !== notPlain) return plain;
    const { kind, data } = reader.at(index);
    if (kind === valueKind.msgpack) assertFits(data, this.#heapBytes);
    const copied = kind === valueKind.arrow || kind === valueKind.bytes || isShared(data);
    return decodeValue({ kind, data: copied ? data.slice() : data });
  }

  /** In place. */
  #view(source: Source): Uint8Array {
    if ("data" in source) return source.data;
    const memory = this.#memory;
    if (!memory) throw new Error("the thread has no shared memory");
    // Growing by nothing makes this thread see what another thread has grown.
    if (source.offset + source.bytes > memory.buffer.byteLength) memory.grow(0);
    return new Uint8Array(memory.buffer, source.offset, source.bytes);
  }
}

interface CachedList {
  readonly template: Template;
  readonly parts: AllParts;
}

/** Names of stages may be used again with other results; handles are not. */
function sameBytes(kept: AllParts, parts: AllParts): boolean {
  return kept.every((part, i) => {
    const other = parts[i];
    const [a, b] = [part, other].map((one) => one && ("pack" in one ? one.pack : one.one));
    if (!a || !b || a.kind !== b.kind) return false;
    if ("handle" in a) return "handle" in b && a.handle === b.handle;
    return "data" in b && Buffer.compare(a.data, b.data) === 0;
  });
}

const isShared = (data: Uint8Array): boolean => data.buffer instanceof SharedArrayBuffer;
const bytesOf = (source: Source): number => ("data" in source ? source.data.byteLength : source.bytes);
