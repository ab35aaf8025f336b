/** From refs to values: waits, decodes, fetches. What is here already costs no promise. */
import { VolleyError } from "../../proto/errors.js";
import { type ObjectId, objectIdOf } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { decodeInTurns } from "../../proto/values/in-turns.js";
import { decodeValue, type EncodedValue, valueKind } from "../../proto/values/value.js";
import type { Outcome } from "../../session/session.js";
import type { Admit, EncodedContent } from "./api.js";
import { contentOf } from "./encoded.js";
import type { Objects } from "./objects.js";
import type { Patience } from "./patience.js";
import { PutRef, TaskRef, TaskRefArray } from "./refs.js";
import type { StackTraces } from "./stack-traces.js";
import type { StageHandle } from "./stage.js";

/**
 * Bytes and tables are views on what they are decoded from. Small results are kept here, to be given again and sent
 * again, so each caller gets memory of its own to write into; large ones are fetched anew each time. And an Arrow
 * stream is read in place, so it must stand at a multiple of 8.
 */
function aligned(encoded: EncodedValue): EncodedValue {
  const { kind, data } = encoded;
  const isView = kind === valueKind.bytes || kind === valueKind.arrow;
  const copied =
    isView && (data.byteLength <= limits.inlineBytesMax || (kind === valueKind.arrow && data.byteOffset % 8 !== 0));
  return copied ? { kind, data: new Uint8Array(data) } : encoded;
}

const decodeAligned = (encoded: EncodedValue): unknown => decodeValue(aligned(encoded));

/** Of what was fetched, which may be large: with turns of the event loop between, if it is. */
export const decodeFetched = async (objects: Objects, fetched: Promise<EncodedValue>): Promise<unknown> =>
  decodeInTurns(aligned(await fetched), objects.turn);

export class Values {
  readonly #objects: Objects;
  readonly #stacks: StackTraces;

  constructor(objects: Objects, stacks: StackTraces) {
    this.#objects = objects;
    this.#stacks = stacks;
  }

  /** The value, or a promise of it if it must be fetched. Throws the task's error. */
  #of(outcome: Outcome, id: () => ObjectId, patience?: Patience): unknown {
    if (outcome.o === "inline") return decodeAligned(outcome.value);
    if (outcome.o === "failed") throw this.#stacks.errorOf(outcome.error);
    return decodeFetched(this.#objects, this.#objects.fetch(id(), { patience, shown: outcome.stored.digest }));
  }

  #settled(handle: StageHandle, task: number, patience?: Patience): unknown {
    const outcome = handle.stage.results.outcome(task);
    if (!outcome)
      throw new VolleyError("INTERNAL", `task ${task} of stage ${handle.stage.index} was settled without an outcome`);
    return this.#of(outcome, () => objectIdOf(handle.stage.base, task), patience);
  }

  async #object<T>(ref: { id: ObjectId }, patience: Patience | undefined, admit: Admit | undefined): Promise<T> {
    if (ref instanceof PutRef) ref.assertHeld();
    return (await decodeFetched(this.#objects, this.#objects.fetch(ref.id, { patience, admit }))) as T;
  }

  /** `admit` is asked for objects by id only. */
  get<T>(ref: { id: ObjectId } | TaskRef<T>, patience?: Patience, admit?: Admit): Promise<T> {
    if (!(ref instanceof TaskRef)) return this.#object<T>(ref, patience, admit);
    const { handle, task } = ref;
    return new Promise<T>((resolve, reject) => {
      handle.stage.assertHeld(task, task + 1);
      let stay: (() => void) | undefined;
      // The closure holds the handle, so that a stage somebody waits for is not released.
      const settle = (failure?: Error): void => {
        stay?.();
        if (failure) {
          reject(failure);
          return;
        }
        try {
          resolve(this.#settled(handle, task, patience) as T);
        } catch (error) {
          reject(error);
        }
      };
      if (handle.stage.results.isSettled(task)) settle();
      else {
        handle.stage.waits.whenTask(task, settle);
        stay = patience?.onEnd(() => handle.stage.waits.forgetTask(task, settle));
      }
    });
  }

  /** The value as it travels; rejects as `get` does. */
  async open(ref: { id: ObjectId }, patience: Patience, admit: Admit | undefined): Promise<EncodedContent> {
    if (ref instanceof PutRef) ref.assertHeld();
    if (!(ref instanceof TaskRef)) return this.#objects.open(ref.id, { patience, admit });
    await this.ended(ref, patience);
    const outcome = ref.handle.stage.results.outcome(ref.task);
    if (outcome?.o === "inline") return contentOf(outcome.value);
    return this.#objects.open(ref.id, {
      patience,
      admit,
      ...(outcome?.o === "stored" ? { shown: outcome.stored.digest } : {}),
    });
  }

  /** Rejects with the first failure; the others are not waited for any more. */
  async getAll<T>(refs: TaskRefArray<T> | readonly { id: ObjectId }[], patience: Patience): Promise<T[]> {
    if (!(refs instanceof TaskRefArray)) return Promise.all(refs.map((ref) => this.get<T>(ref, patience)));
    const { handle, from, to } = refs;
    handle.stage.assertHeld(from, to);
    await new Promise<void>((resolve, reject) => {
      let stay: (() => void) | undefined;
      const waiter = handle.stage.waits.whenRange(handle.stage.results, from, to, ({ failure, failedTask }) => {
        stay?.();
        if (failure) reject(failure);
        else if (failedTask === undefined) resolve();
        else {
          const outcome = handle.stage.results.outcome(failedTask);
          reject(
            outcome?.o === "failed"
              ? this.#stacks.errorOf(outcome.error)
              : new VolleyError("INTERNAL", `task ${failedTask} failed without an error`),
          );
        }
      });
      if (waiter) stay = patience.onEnd(() => handle.stage.waits.forgetRange(waiter));
    });
    const values: T[] = new Array(to - from);
    const fetched: Promise<void>[] = [];
    const plain = (task: number, value: number | undefined): void => {
      values[task - from] = value as T;
    };
    const other = (task: number): void => {
      const value = this.#settled(handle, task, patience);
      if (value instanceof Promise) {
        fetched.push(
          value.then((v: unknown) => {
            values[task - from] = v as T;
          }),
        );
      } else values[task - from] = value as T;
    };
    handle.stage.results.each(from, to, plain, other);
    await Promise.all(fetched);
    return values;
  }

  /** Resolves when the ref has a value, without fetching it; rejects with the task's error. */
  ended(ref: unknown, patience?: Patience): Promise<void> {
    return new Promise((resolve, reject) => {
      let stay: (() => void) | undefined;
      const stop = this.whenSettled(ref, (failure) => {
        stay?.();
        const outcome = ref instanceof TaskRef ? ref.handle.stage.results.outcome(ref.task) : undefined;
        if (failure) reject(failure);
        else if (outcome?.o === "failed") reject(this.#stacks.errorOf(outcome.error));
        else resolve();
      });
      stay = patience?.onEnd(stop);
    });
  }

  /**
   * Calls `ready` once the ref has a result, at once if it has one; returns the way to stop. Objects that were put are
   * ready.
   */
  whenSettled(ref: unknown, ready: (failure?: Error) => void): () => void {
    if (!(ref instanceof TaskRef)) {
      ready();
      return () => undefined;
    }
    const { results, waits } = ref.handle.stage;
    if (results.isSettled(ref.task)) {
      ready();
      return () => undefined;
    }
    waits.whenTask(ref.task, ready);
    return () => waits.forgetTask(ref.task, ready);
  }
}
