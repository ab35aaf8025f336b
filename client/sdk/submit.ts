/**
 * Calls become stages.
 *
 * Calls of one function in one tick whose arguments are plain small values join one stage of n tasks, whose arguments
 * travel as one pack per position. Calls that take refs or large values have their own stage, and so have calls of pure
 * functions: the address of a pure stage follows from its content, and what else was submitted in the same tick must
 * not be part of it.
 */
import { drawing } from "../../proto/draws.js";
import { EachRuns } from "../../proto/each.js";
import { VolleyError } from "../../proto/errors.js";
import { defaultStageOptions } from "../../proto/graph.js";
import { limits } from "../../proto/limits.js";
import {
  type ArgSpec,
  type FunctionRef,
  type StageOptions,
  type StageSpec,
  stageOptions,
} from "../../proto/messages/stage.js";
import { PackWriter } from "../../proto/values/pack.js";
import { type EncodedValue, type ValueKind, valueKind } from "../../proto/values/value.js";
import type { RefArray, TaskOptions } from "./api.js";
import { packItems } from "./pack-items.js";
import type { Put, Puts } from "./puts.js";
import { isRef, isRefArray, PutRef, RefList, TaskRef, TaskRefArray } from "./refs.js";
import type { Session } from "./session.js";
import { packBytesMax } from "./sizes.js";
import type { ClientStage, StageHandle } from "./stage.js";

const oneToOne = (arg: ArgSpec): ArgSpec => (arg.a === "stage" ? { ...arg, edge: "one-to-one" } : arg);

/** A function with its options, as stages name it. */
export interface Callee {
  readonly fn: FunctionRef;
  readonly name: string | undefined;
  readonly options: StageOptions;
}

/** Throws INVALID_ARGUMENT naming the option. */
export function calleeOf(fn: FunctionRef, options: TaskOptions): Callee {
  const { name, ...given } = options;
  const kernel = "kernel" in fn;
  const parsed = stageOptions
    .strict()
    .safeParse({ ...defaultStageOptions, ...given, ...(kernel ? { pure: true } : {}) });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `option ${issue?.path.join(".") || "(unknown)"}: ${issue?.message ?? "invalid"}`,
    );
  }
  return { fn, name: name ?? ("kernel" in fn ? fn.kernel : fn.export), options: parsed.data };
}

const hasRef = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return false;
  if (isRef(value) || isRefArray(value)) return true;
  return Array.isArray(value) && value.some((inner) => isRef(inner) || isRefArray(inner));
};

const batchTasksMax = 50_000;
/** Items of one map that are refs among values, or lists of refs: each is a stage. */
const separateMax = 100_000;
/** An argument of separate stages that is larger is put once, if it would be more than a pack in all of them. */
const repeatedBytesMax = 1_024;

/** A stage that still grows in this tick: one pack per argument. */
class Batch {
  readonly handle: StageHandle;
  readonly #packs: PackWriter[];
  readonly #first: number;
  #bytes = 0;
  count = 0;

  /** `first`: the place of its first task in the seed's sequence. `done`: the batch takes no more. */
  constructor(session: Session, callee: Callee, arity: number, first: number, done: () => void) {
    this.#first = first;
    this.#packs = Array.from({ length: arity }, () => new PackWriter());
    this.handle = session.grow((index) => {
      done();
      return this.#build(callee, index);
    });
  }

  #build(callee: Callee, index: number): StageSpec {
    const args = this.#packs.map((pack): ArgSpec => ({ a: "item", pack: pack.finish() }));
    return {
      index,
      ...(callee.name ? { name: callee.name } : {}),
      fn: callee.fn,
      count: this.count,
      args,
      options: drawing(callee.options, this.#first),
    };
  }

  /** `place`: what the next task would take of the seed's sequence; undefined without a seed. */
  takes(place: number | undefined): boolean {
    return (
      (place === undefined || this.#first + this.count === place) &&
      this.handle.stage.build !== undefined &&
      this.#bytes < packBytesMax &&
      this.count < batchTasksMax
    );
  }

  /** Returns the task's index. */
  add(values: readonly EncodedValue[]): number {
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as EncodedValue;
      // Raw bytes are the caller's own array, which it may change before the flush.
      (this.#packs[i] as PackWriter).add(
        value.kind === valueKind.bytes ? { kind: value.kind, data: value.data.slice() } : value,
      );
      this.#bytes += value.data.byteLength + 8;
    }
    return this.count++;
  }
}

/** Arguments on their way to a stage: what it reads, and what must be uploaded before and kept until it has ended. */
class ArgList {
  readonly args: ArgSpec[] = [];
  readonly reads = new Map<ClientStage, StageHandle>();
  readonly puts: Put[] = [];
  #inlineBytes = 0;
  readonly #session: Session;
  readonly #puts: Puts;

  constructor(session: Session, puts: Puts) {
    this.#session = session;
    this.#puts = puts;
  }

  of(value: unknown): ArgSpec {
    if (value instanceof TaskRef) return this.#task(value.handle, value.task);
    if (value instanceof PutRef) {
      this.#own(value.session);
      value.assertHeld();
      const put = this.#puts.get(value.id);
      if (put) this.puts.push(put);
      return { a: "object", id: value.id };
    }
    if (value instanceof TaskRefArray) {
      this.#read(value.handle, value.from, value.to);
      if (value.from === 0 && value.to === value.handle.stage.count)
        return { a: "stage", stage: value.handle.stage.index, edge: "all" };
      return {
        a: "list",
        of: Array.from({ length: value.length }, (_, i) => this.#task(value.handle, value.from + i)),
      };
    }
    if (value instanceof RefList) return { a: "list", of: value.slice().map((inner) => this.of(inner)) };
    if (Array.isArray(value) && hasRef(value)) return { a: "list", of: value.map((inner) => this.of(inner)) };
    const encoded = this.#puts.encodeArgument(value);
    if ("id" in encoded) return this.#upload(encoded);
    const data = encoded.kind === valueKind.bytes ? encoded.data.slice() : encoded.data;
    if (!this.#fits(data.byteLength)) return this.#upload(this.#puts.start({ kind: encoded.kind, data }, value));
    return { a: "value", kind: encoded.kind, data };
  }

  /** Adds an argument that `times` stages have. */
  repeated(value: unknown, times: number): void {
    const arg = this.of(value);
    const large =
      arg.a === "value" && arg.data.byteLength > repeatedBytesMax && arg.data.byteLength * times > packBytesMax;
    this.args.push(large ? this.#upload(this.#puts.start({ kind: arg.kind as ValueKind, data: arg.data })) : arg);
  }

  /** Adds what another list has. */
  append(other: ArgList): void {
    this.args.push(...other.args);
    for (const [stage, handle] of other.reads) this.reads.set(stage, handle);
    this.puts.push(...other.puts);
  }

  /** Adds the refs from `from` on as what tasks take one by one. Returns how far there is room. */
  each(refs: readonly (TaskRef<unknown> | PutRef<unknown>)[], from: number): number {
    const runs = new EachRuns();
    let at = from;
    for (; at < refs.length && runs.bytes < packBytesMax; at++) {
      const ref = refs[at] as TaskRef<unknown> | PutRef<unknown>;
      if (ref instanceof TaskRef) {
        this.#read(ref.handle, ref.task, ref.task + 1);
        runs.tasks(ref.handle.stage.index, ref.task);
        continue;
      }
      this.#own(ref.session);
      ref.assertHeld();
      const put = this.#puts.get(ref.id);
      if (put) this.puts.push(put);
      runs.object(ref.id);
    }
    this.args.push({ a: "each", of: runs.of });
    return at;
  }

  /** The items of a map. */
  items(pack: Uint8Array): ArgSpec {
    if (this.#fits(pack.byteLength)) return { a: "item", pack };
    const put = this.#puts.start({ kind: valueKind.bytes, data: pack });
    this.puts.push(put);
    return { a: "items", object: put.id };
  }

  /** What does not fit into the stage's share of a message is put. */
  #fits(bytes: number): boolean {
    if (this.#inlineBytes + bytes > packBytesMax) return false;
    this.#inlineBytes += bytes;
    return true;
  }

  #upload(put: Put): ArgSpec {
    this.puts.push(put);
    return { a: "object", id: put.id };
  }

  #task(handle: StageHandle, task: number): ArgSpec {
    this.#read(handle, task, task + 1);
    return { a: "task", stage: handle.stage.index, task };
  }

  #read(handle: StageHandle, from: number, to: number): void {
    this.#own(handle.session);
    handle.stage.assertHeld(from, to);
    this.reads.set(handle.stage, handle);
  }

  #own(session: string): void {
    if (session !== this.#session.id)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        "a ref of another connection was passed; get its value there and pass that",
      );
  }
}

/** Submits for one callee. */
export class Submitter {
  readonly callee: Callee;
  readonly #session: Session;
  readonly #puts: Puts;
  /** The growing stage for calls of n arguments. */
  readonly #batches: (Batch | undefined)[] = [];
  /** Places of the seed's sequence that tasks of this callee have taken. */
  #places = 0;

  constructor(session: Session, puts: Puts, callee: Callee) {
    this.#session = session;
    this.#puts = puts;
    this.callee = callee;
  }

  submit(args: readonly unknown[]): TaskRef<unknown> {
    if (args.length > limits.argsPerTaskMax)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${args.length} arguments are over the limit of ${limits.argsPerTaskMax}; pass an object or an array`,
      );
    if (this.callee.options.pure || args.some(hasRef)) return this.#alone(args);
    const values: EncodedValue[] = [];
    let bytes = 0;
    for (const arg of args) {
      const value = this.#puts.encodeArgument(arg);
      if ("id" in value) return this.#alone(args);
      values.push(value);
      bytes += value.data.byteLength;
    }
    if (bytes > packBytesMax) return this.#alone(args);
    let batch = this.#batches[args.length];
    if (!batch?.takes(this.callee.options.seed === undefined ? undefined : this.#places)) {
      this.#session.assertOpen();
      // Let go at the flush: it holds the handle, and would keep the last stage from being released.
      const done = (): void => {
        if (this.#batches[args.length] === batch) this.#batches[args.length] = undefined;
      };
      batch = new Batch(this.#session, this.callee, args.length, this.#places, done);
      this.#batches[args.length] = batch;
    }
    this.#places++;
    return new TaskRef(batch.handle, batch.add(values));
  }

  #alone(args: readonly unknown[]): TaskRef<unknown> {
    const list = new ArgList(this.#session, this.#puts);
    for (const arg of args) list.args.push(list.of(arg));
    return new TaskRef(this.#stage(list, 1), 0);
  }

  map(items: Iterable<unknown>, shared: readonly unknown[]): RefArray<unknown> {
    if (shared.length + 1 > limits.argsPerTaskMax)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${shared.length + 1} arguments are over the limit of ${limits.argsPerTaskMax}`,
      );
    const whole =
      items instanceof TaskRefArray && items.from === 0 && items.to === items.handle.stage.count ? items : undefined;
    const all: readonly unknown[] | TaskRefArray<unknown> = whole ?? (Array.isArray(items) ? items : [...items]);
    const count = all.length;
    if (count === 0) throw new VolleyError("INVALID_ARGUMENT", "map was given no items");
    if (count > limits.tasksPerStageMax)
      throw new VolleyError(
        "TOO_LARGE",
        `map of ${count} items is over the limit of ${limits.tasksPerStageMax} tasks in a stage`,
      );
    if (!whole && (all as readonly unknown[]).some(hasRef)) {
      const items = all as readonly unknown[];
      return items.every(isRef) ? this.#each(items, shared) : this.#separately(items, shared);
    }
    const list = new ArgList(this.#session, this.#puts);
    list.args.push(whole ? oneToOne(list.of(whole)) : list.items(packItems(all as readonly unknown[])));
    for (const arg of shared) list.args.push(list.of(arg));
    return new TaskRefArray(this.#stage(list, count), 0, count);
  }

  /** Task i takes ref i: one stage, or as few as the names of the refs, which share a message, allow. */
  #each(refs: readonly (TaskRef<unknown> | PutRef<unknown>)[], shared: readonly unknown[]): RefArray<unknown> {
    const lists: { list: ArgList; count: number }[] = [];
    for (let from = 0; from < refs.length; ) {
      const list = new ArgList(this.#session, this.#puts);
      const to = list.each(refs, from);
      lists.push({ list, count: to - from });
      from = to;
    }
    const rest = new ArgList(this.#session, this.#puts);
    for (const arg of shared) rest.repeated(arg, lists.length);
    const arrays = lists.map(({ list, count }) => {
      list.append(rest);
      return new TaskRefArray(this.#stage(list, count), 0, count);
    });
    const [first, ...others] = arrays as [TaskRefArray<unknown>, ...TaskRefArray<unknown>[]];
    return others.length === 0 ? first : new RefList(arrays.flatMap((array) => [...array]));
  }

  /**
   * One stage for each item: of refs among values, and of lists with refs in them. All of them travel in as few
   * messages as their bytes allow.
   */
  #separately(items: readonly unknown[], shared: readonly unknown[]): RefArray<unknown> {
    const count = items.length;
    if (count > separateMax)
      throw new VolleyError(
        "TOO_LARGE",
        `map over ${count} items of which some are refs and some are not, or are lists of refs, is over the limit of ${separateMax}; put the values, and map over refs alone`,
      );
    const rest = new ArgList(this.#session, this.#puts);
    for (const arg of shared) rest.repeated(arg, count);
    // All arguments first: one that cannot be sent must not leave a part of the map behind.
    const lists = items.map((item) => {
      const list = new ArgList(this.#session, this.#puts);
      list.args.push(list.of(item));
      list.append(rest);
      return list;
    });
    return new RefList(lists.map((list) => new TaskRef(this.#stage(list, 1), 0)));
  }

  #stage(list: ArgList, count: number): StageHandle {
    const { fn, name } = this.callee;
    const options = drawing(this.callee.options, this.#places);
    this.#places += count;
    return this.#session.add(
      (index) => ({ index, ...(name ? { name } : {}), fn, count, args: list.args, options }),
      [...list.reads.values()],
      list.puts.map(({ put }) => put),
    );
  }
}
