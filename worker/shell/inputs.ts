/**
 * From a lease's arguments to what a thread takes: every input is brought here and pinned before the lease runs, and
 * released after it.
 */

import { type ArgLeaf, foldArg, leavesOf } from "../../proto/args.js";
import { digestBytes } from "../../proto/digest.js";
import { idsOfEach } from "../../proto/each.js";
import { VolleyError } from "../../proto/errors.js";
import { type JobId, type ObjectBase, type ObjectId, objectIdOf } from "../../proto/ids.js";
import type { ObjectLocation, ResultSegment } from "../../proto/messages/results.js";
import type { ArgSpec } from "../../proto/messages/stage.js";
import type { Lease } from "../../proto/messages/worker.js";
import { type Runtime, realRuntime } from "../../proto/runtime.js";
import type { Transport } from "../../proto/transport/transport.js";
import { valueKind } from "../../proto/values/kind.js";
import { PackReader } from "../../proto/values/pack.js";
import { ByteCache } from "../pool/byte-cache.js";
import type { Source, ThreadArg } from "../pool/run-message.js";
import type { InputRoom } from "../store/input-room.js";
import { ask } from "./ask.js";
import type { Found, ObjectFetcher } from "./objects.js";

export interface PreparedInputs {
  readonly args: readonly ThreadArg[];
  release(): void;
}

/** The results of a whole stage, as the scheduler tells them: small ones in packs, large ones by id. */
interface StageList {
  readonly bytes: number;
  readonly parts: readonly ({ readonly pack: Source } | { readonly location: ObjectLocation })[];
}

/** Of lists that are kept for the next lease. */
const listBytesMax = 64 * 1024 * 1024;
/** What a part takes besides its pack. */
const partBytes = 128;
const fetchesAtOnce = 16;

export class InputResolver {
  readonly #control: Transport;
  readonly #epoch: () => number;
  readonly #objects: ObjectFetcher;
  readonly #room: InputRoom;
  readonly #runtime: Runtime;
  /** By base and beginning of its job: a stage that is complete never changes. */
  readonly #lists = new ByteCache<StageList>(listBytesMax);
  readonly #asked = new Map<string, Promise<StageList>>();
  /** The next lease most likely reads the same list, however large it is. */
  #latest: { readonly name: string; readonly list: StageList } | undefined;

  constructor(
    control: Transport,
    objects: ObjectFetcher,
    room: InputRoom,
    epoch: () => number = () => 0,
    runtime: Runtime = realRuntime,
  ) {
    this.#runtime = runtime;
    this.#control = control;
    this.#epoch = epoch;
    this.#objects = objects;
    this.#room = room;
  }

  /** As `prepare`, when everything came with the lease: nothing is pinned, and nothing has to be waited for. */
  prepareNow(lease: Lease): PreparedInputs | undefined {
    if (lease.inputs.some(({ inline }) => !inline)) return undefined;
    let isComplete = true;
    const leaf = (arg: ArgLeaf): ThreadArg => {
      if (arg.a === "index" || arg.a === "value" || arg.a === "item") return carried(lease, arg);
      isComplete = false;
      return { a: "index" };
    };
    const args = lease.args.map((arg) => foldArg<ThreadArg>(arg, leaf, (of) => ({ a: "list", of })));
    return isComplete ? { args, release: () => undefined } : undefined;
  }

  /** `waits` is told what it waits for when that changes. */
  async prepare(
    lease: Lease,
    signal: () => AbortSignal,
    waits: (what: "inputs" | "memory") => void,
  ): Promise<PreparedInputs> {
    const held: Found[] = [];
    let released = false;
    let leave = (): void => undefined;
    const release = (): void => {
      released = true;
      for (const one of held.splice(0)) one.release();
      leave();
    };
    // When one input fails, others may still be under way.
    const hold = (found: Found): void => {
      if (released) found.release();
      else held.push(found);
    };
    try {
      const known = new Map(lease.inputs.map((location) => [location.id, location]));
      const wants = await this.#wants(lease);
      if (wants.size > 0) {
        let waited = false;
        leave = await this.#room.enter(wants, signal(), () => {
          waited = true;
          waits("memory");
        });
        if (waited) waits("inputs");
      }
      const context: Context = { lease, known, hold };
      const args = await Promise.all(lease.args.map((arg) => this.#arg(context, arg)));
      return { args, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** What the lease will have in the store, and the bytes of each. */
  async #wants(lease: Lease): Promise<Map<ObjectId, number>> {
    const wants = new Map<ObjectId, number>();
    const note = ({ id, inline, bytes }: ObjectLocation): void => {
      if (!inline && bytes !== undefined) wants.set(id, bytes);
    };
    lease.inputs.forEach(note);
    for (const leaf of leavesOf(lease.args)) {
      if (leaf.a !== "stage" || leaf.edge !== "all") continue;
      const { stage } = leaf;
      const { base, count } = baseOf(lease, stage);
      for (const part of (await this.#list(lease, stage, base, count)).parts)
        if ("location" in part) note(part.location);
    }
    return wants;
  }

  #arg(context: Context, arg: ArgSpec): Promise<ThreadArg> {
    return foldArg<Promise<ThreadArg>>(
      arg,
      (leaf) => this.#leaf(context, leaf),
      async (of) => ({ a: "list", of: await Promise.all(of) }),
    );
  }

  async #leaf(context: Context, arg: ArgLeaf): Promise<ThreadArg> {
    const { lease } = context;
    switch (arg.a) {
      case "index":
      case "value":
      case "item":
        return carried(lease, arg);
      case "items":
        return { a: "pack", pack: await this.#source(context, arg.object), first: 0 };
      case "object":
        return { a: "same", source: await this.#source(context, arg.id) };
      case "task": {
        const id = objectIdOf(baseOf(lease, arg.stage).base, arg.task);
        return { a: "same", source: await this.#source(context, id) };
      }
      case "each": {
        const ids = [...idsOfEach(arg.of, (stage) => baseOf(lease, stage).base)];
        return { a: "each", sources: await mapSome(ids, (id) => this.#source(context, id)), first: lease.from };
      }
      case "stage":
        return this.#edge(context, arg);
    }
  }

  async #edge(context: Context, arg: Extract<ArgSpec, { a: "stage" }>): Promise<ThreadArg> {
    const { lease } = context;
    const { base, count } = baseOf(lease, arg.stage);
    if (arg.edge === "broadcast") return { a: "same", source: await this.#source(context, objectIdOf(base, 0)) };
    if (arg.edge === "all") return this.#all(context, arg.stage, base, count);
    const tasks = Array.from({ length: lease.to - lease.from }, (_, i) => objectIdOf(base, lease.from + i));
    return { a: "each", sources: await mapSome(tasks, (id) => this.#source(context, id)), first: lease.from };
  }

  async #source(context: Context, id: ObjectId, location = context.known.get(id)): Promise<Source> {
    const found = await this.#objects.get(id, location);
    context.hold(found);
    return "pin" in found
      ? { kind: found.pin.kind, handle: found.pin.handle, offset: found.pin.offset, bytes: found.pin.bytes }
      : { kind: found.kind, data: found.data };
  }

  async #all(context: Context, stage: number, base: ObjectBase, count: number): Promise<ThreadArg> {
    const list = await this.#list(context.lease, stage, base, count);
    const parts = await mapSome(list.parts, async (part) =>
      "pack" in part ? part : { one: await this.#source(context, part.location.id, part.location) },
    );
    return { a: "all", parts, key: nameIn(context.lease, base) };
  }

  async #list(lease: Lease, stage: number, base: ObjectBase, count: number): Promise<StageList> {
    const name = nameIn(lease, base);
    const kept = this.#latest?.name === name ? this.#latest.list : this.#lists.get(name);
    if (kept) {
      this.#latest = { name, list: kept };
      return kept;
    }
    let asked = this.#asked.get(name);
    if (!asked) {
      asked = this.#pages(lease.job, stage, base, count).finally(() => this.#asked.delete(name));
      this.#asked.set(name, asked);
    }
    const list = await asked;
    this.#latest = { name, list };
    this.#lists.set(name, list, list.bytes);
    return list;
  }

  async #pages(job: JobId, stage: number, base: ObjectBase, count: number): Promise<StageList> {
    const parts: StageList["parts"][number][] = [];
    let at = 0;
    while (at < count) {
      const page = await ask(
        this.#control,
        { t: "results", job, stage, from: at, to: count },
        this.#epoch,
        this.#runtime,
      );
      if (page.base !== base)
        throw new VolleyError("STALE_EPOCH", `stage ${stage} of job ${job} is ${page.base} now, not ${base}`);
      const before = at;
      for (const segment of page.segments) at = addPart(parts, base, segment, at);
      if (at === before)
        throw new VolleyError("OBJECT_LOST", `stage ${stage} of job ${job} has no result of task ${at} any more`);
    }
    const bytes = parts.reduce(
      (sum, part) => sum + partBytes + ("pack" in part && "data" in part.pack ? part.pack.data.byteLength : 0),
      0,
    );
    return { bytes, parts };
  }
}

interface Context {
  readonly lease: Lease;
  readonly known: ReadonlyMap<ObjectId, ObjectLocation>;
  hold(found: Found): void;
}

/**
 * Names a value for those who keep what they have decoded. An id says which value it is only as long as its job (store
 * S5); a put's says it for ever.
 */
const nameIn = (lease: Lease, id: string): string => (id.startsWith("c") ? id : `${id}@${lease.since ?? 0}`);

function baseOf(lease: Lease, stage: number): { base: ObjectBase; count: number } {
  const found = lease.bases.find(([index]) => index === stage);
  if (!found)
    throw new VolleyError("INTERNAL", `lease ${lease.lease} reads stage ${stage} but does not say what it is called`);
  return { base: found[1], count: found[2] };
}

/** An argument that has its bytes with it. */
function carried(lease: Lease, arg: Extract<ArgLeaf, { a: "index" | "value" | "item" }>): ThreadArg {
  if (arg.a === "index") return { a: "index" };
  if (arg.a === "value") return { a: "same", source: { kind: arg.kind, data: arg.data } };
  return { a: "pack", pack: { kind: valueKind.bytes, data: arg.pack }, first: firstItem(lease, arg.pack) };
}

/** The scheduler cuts packs to the lease's range; a pack of the whole stage starts at task 0. */
const firstItem = (lease: Lease, pack: Uint8Array): number =>
  new PackReader(pack).count === lease.to - lease.from ? lease.from : 0;

function addPart(parts: StageList["parts"][number][], base: ObjectBase, segment: ResultSegment, at: number): number {
  if (segment.from !== at)
    throw new VolleyError("OBJECT_LOST", `the results of ${base} have a hole from task ${at} to ${segment.from}`);
  if (segment.r === "failed")
    throw new VolleyError("UPSTREAM_FAILED", `task ${segment.from} of ${base} failed: ${segment.error.message}`);
  if (segment.r === "inline") parts.push({ pack: { kind: valueKind.bytes, data: sharedCopy(segment.pack) } });
  else {
    segment.stored.forEach(({ kind, bytes, digest }, i) => {
      const id = objectIdOf(base, segment.from + i);
      // Where it is, the fetcher asks: a page does not say, and it may have moved since.
      parts.push({
        location: { id, state: "unknown", kind, bytes, ...(digest.byteLength === digestBytes ? { digest } : {}) },
      });
    });
  }
  return segment.to;
}

/** In memory that every thread sees, so that a run of many leases does not clone it each time. */
function sharedCopy(data: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(data.byteLength));
  copy.set(data);
  return copy;
}

/** Promise.all, a few at a time. */
async function mapSome<T, R>(items: readonly T[], make: (item: T) => Promise<R>): Promise<R[]> {
  const out: R[] = new Array(items.length);
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const i = next++;
      try {
        out[i] = await make(items[i] as T);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(fetchesAtOnce, items.length) }, worker));
  return out;
}
