/**
 * Handles on values in the cluster. A ref of a task is a stage handle and an index; what the client keeps for a stage
 * ends when its handle is unreachable, so that dropping refs frees memory here and in the cluster, at the granularity
 * of stages.
 */
import { VolleyError } from "../../proto/errors.js";
import { type JobId, type ObjectId, objectIdOf } from "../../proto/ids.js";
import type { ObjectRef, RefArray } from "./api.js";
import type { StageHandle } from "./stage.js";

/** The result of a task of this session. */
export class TaskRef<T> implements ObjectRef<T> {
  declare readonly __value?: T;
  readonly #handle: StageHandle;
  readonly task: number;

  constructor(handle: StageHandle, task: number) {
    this.#handle = handle;
    this.task = task;
  }

  get handle(): StageHandle {
    return this.#handle;
  }

  get id(): ObjectId {
    return objectIdOf(this.#handle.stage.base, this.task);
  }

  toJSON(): { id: ObjectId } {
    return { id: this.id };
  }
}

/** A value that was put. */
export class PutRef<T> implements ObjectRef<T> {
  declare readonly __value?: T;
  readonly id: ObjectId;
  readonly session: JobId;
  #use: "held" | "released" = "held";

  constructor(session: JobId, id: ObjectId) {
    this.session = session;
    this.id = id;
  }

  release(): void {
    this.#use = "released";
  }

  /** Throws INVALID_ARGUMENT once it was released. */
  assertHeld(): void {
    if (this.#use === "released")
      throw new VolleyError("INVALID_ARGUMENT", `object ${this.id} was released; release refs after their last use`);
  }
}

/** The refs of tasks [from, to) of one stage. */
export class TaskRefArray<T> implements RefArray<T> {
  readonly #handle: StageHandle;
  readonly from: number;
  readonly to: number;

  constructor(handle: StageHandle, from: number, to: number) {
    this.#handle = handle;
    this.from = from;
    this.to = to;
  }

  get handle(): StageHandle {
    return this.#handle;
  }

  get length(): number {
    return this.to - this.from;
  }

  at(index: number): ObjectRef<T> {
    const at = index < 0 ? this.length + index : index;
    if (!Number.isInteger(at) || at < 0 || at >= this.length)
      throw new RangeError(`no ref ${index} in an array of ${this.length}`);
    return new TaskRef(this.#handle, this.from + at);
  }

  slice(from = 0, to = this.length): ObjectRef<T>[] {
    const clamp = (n: number): number => Math.max(0, Math.min(this.length, n < 0 ? this.length + n : n));
    const refs: ObjectRef<T>[] = [];
    for (let i = clamp(from); i < clamp(to); i++) refs.push(new TaskRef(this.#handle, this.from + i));
    return refs;
  }

  *[Symbol.iterator](): Iterator<ObjectRef<T>> {
    for (let task = this.from; task < this.to; task++) yield new TaskRef(this.#handle, task);
  }
}

/** Refs of separate tasks, as a map over separate refs gives them. */
export class RefList<T> implements RefArray<T> {
  readonly #refs: readonly ObjectRef<T>[];

  constructor(refs: readonly ObjectRef<T>[]) {
    this.#refs = refs;
  }

  get length(): number {
    return this.#refs.length;
  }

  at(index: number): ObjectRef<T> {
    const ref = Number.isInteger(index) ? this.#refs.at(index) : undefined;
    if (!ref) throw new RangeError(`no ref ${index} in an array of ${this.length}`);
    return ref;
  }

  slice(from?: number, to?: number): ObjectRef<T>[] {
    return this.#refs.slice(from, to);
  }

  [Symbol.iterator](): Iterator<ObjectRef<T>> {
    return this.#refs[Symbol.iterator]();
  }
}

export const isRefArray = (value: unknown): value is TaskRefArray<unknown> | RefList<unknown> =>
  value instanceof TaskRefArray || value instanceof RefList;
export const isRef = (value: unknown): value is TaskRef<unknown> | PutRef<unknown> =>
  value instanceof TaskRef || value instanceof PutRef;
