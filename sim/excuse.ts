/**
 * Whether a session's task may fail as it did. A failure is excused only by what truly happened: its function throws,
 * its client cancelled it, it was executing on workers that died, its result or something that it reads is gone with
 * every copy and cannot be made again.
 */
import { objectsRead } from "../proto/args.js";
import type { ErrorCode } from "../proto/errors.js";
import { type ObjectId, objectIdOf, splitObjectId } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { JobModel, StageModel } from "./job-model.js";
import { isLarge, objectsOf, traitsOf } from "./model-function.js";
import type { Truth } from "./truth.js";

/** What only the client knows. */
export interface ClientFacts {
  isCancelled(stage: number, task: number): boolean;
  /** Its refs were gone at some time: its objects may have been freed. */
  wasReleased(stage: number): boolean;
  /** A scheduler was told of its results, and does not know what made them. */
  wasRetold(stage: number): boolean;
  /** Everything of it may be gone: it was silent for longer than a session lives. */
  readonly lapsed: boolean;
  /** Counts the schedulers that were told of the session. */
  readonly opening: number;
  /** A put of its own has failed (with this code): what reads it cannot run. */
  putHasFailed(id: ObjectId, code?: ErrorCode): boolean;
  /** Nobody had its ref at some time. */
  putWasReleased(id: ObjectId): boolean;
}

export class Excuses {
  readonly #truth: Truth;
  readonly #model: JobModel;
  readonly #facts: ClientFacts;
  /**
   * What has been found out of each object: a graph has more paths than objects. Of reads it holds for one question, as
   * answers are shown between two; of the rest for one turn.
   */
  readonly #known = {
    lost: new Map<string, boolean>(),
    failed: new Map<string, boolean>(),
    read: new Map<string, boolean>(),
  };
  #forgets = false;
  /** Who reads an object, of the stages there were when it was last asked. */
  readonly #readers = new Map<string, { reader: StageModel; at: number }[]>();
  #indexed = 0;

  constructor(truth: Truth, model: JobModel, facts: ClientFacts) {
    this.#truth = truth;
    this.#model = model;
    this.#facts = facts;
  }

  explains(code: ErrorCode, stage: StageModel, task: number): boolean {
    this.#known.read.clear();
    if (!this.#forgets) {
      this.#forgets = true;
      queueMicrotask(() => {
        this.#forgets = false;
        for (const known of Object.values(this.#known)) known.clear();
      });
    }
    return this.#explains(code, stage, task);
  }

  #explains(code: ErrorCode, stage: StageModel, task: number): boolean {
    const { job } = this.#model;
    switch (code) {
      case "CANCELLED":
        return this.#facts.isCancelled(stage.spec.index, task);
      case "TASK_QUARANTINED":
        return this.#truth.mayHaveKilled(job, stage.spec.index, task) >= limits.strikesMax;
      case "NONDETERMINISTIC":
        return stage.spec.options.pure && this.#truth.contentsOf(objectIdOf(stage.base, task)) > 1;
      case "OBJECT_LOST":
        return (
          this.#facts.lapsed ||
          this.#isLost(objectIdOf(stage.base, task)) ||
          this.#inputsOf(stage, task).some((id) => this.#isLost(id))
        );
      case "OBJECT_NOT_FOUND":
        return this.#facts.lapsed || this.#inputsOf(stage, task).some((id) => this.#isLost(id));
      case "UPSTREAM_FAILED":
        return (
          this.#facts.lapsed || this.#inputsOf(stage, task).some((id) => this.#isLost(id) || this.#mayHaveFailed(id))
        );
      case "SESSION_LOST":
        return (
          this.#facts.lapsed || (this.#facts.opening > 1 && !stage.spec.options.pure && this.#wasRead(stage, task))
        );
      default:
        // None of the stage's tasks runs.
        return [...objectsRead(stage.spec.args)].some((id) => this.#facts.putHasFailed(id, code));
    }
  }

  #inputsOf(stage: StageModel, task: number): ObjectId[] {
    return stage.spec.args.flatMap((arg) => [...objectsOf(arg, task, (index) => this.#model.stage(index))]);
  }

  #makerOf(id: ObjectId): { stage: StageModel; task: number } | undefined {
    const { base, index } = splitObjectId(id);
    for (const stage of this.#model.stages.values()) if (stage.base === base) return { stage, task: index };
    return undefined;
  }

  /** Every copy is truly gone, and it cannot be made again. */
  #isLost(id: ObjectId): boolean {
    return once(this.#known.lost, id, () => this.#findLost(id));
  }

  #findLost(id: ObjectId): boolean {
    const maker = this.#makerOf(id);
    if (!maker) return this.#truth.hasDied(id) || this.#facts.putHasFailed(id) || this.#facts.putWasReleased(id);
    const { stage, task } = maker;
    const kept = !isLarge(traitsOf(stage.spec.fn), task) || !this.#truth.hasDied(id);
    if (kept && !this.#facts.wasReleased(stage.spec.index)) return false;
    return (
      !stage.spec.options.pure ||
      this.#facts.wasRetold(stage.spec.index) ||
      this.#inputsOf(stage, task).some((input) => this.#isLost(input))
    );
  }

  /**
   * The client was not shown the result, but one that was made from it: another execution might give another value.
   */
  #wasRead(stage: StageModel, task: number): boolean {
    const id = objectIdOf(stage.base, task);
    return once(this.#known.read, id, () => this.#findRead(id));
  }

  #findRead(id: ObjectId): boolean {
    return this.#readersOf(id).some(({ reader, at }) => reader.shown.has(at) || this.#wasRead(reader, at));
  }

  #readersOf(id: ObjectId): readonly { reader: StageModel; at: number }[] {
    const stages = [...this.#model.stages.values()];
    for (const reader of stages.slice(this.#indexed))
      for (let at = 0; at < reader.count; at++)
        for (const read of new Set(this.#inputsOf(reader, at))) {
          const readers = this.#readers.get(read) ?? [];
          readers.push({ reader, at });
          this.#readers.set(read, readers);
        }
    this.#indexed = stages.length;
    return this.#readers.get(id) ?? [];
  }

  #mayHaveFailed(id: ObjectId): boolean {
    return once(this.#known.failed, id, () => this.#findFailed(id));
  }

  #findFailed(id: ObjectId): boolean {
    const maker = this.#makerOf(id);
    if (!maker) return false;
    const { stage, task } = maker;
    if (stage.expected[task] === undefined || this.#isLost(id)) return true;
    for (const code of ["CANCELLED", "TASK_QUARANTINED", "NONDETERMINISTIC", "SESSION_LOST"] as const)
      if (this.#explains(code, stage, task)) return true;
    return this.#inputsOf(stage, task).some((input) => this.#isLost(input) || this.#mayHaveFailed(input));
  }
}

function once(known: Map<string, boolean>, id: ObjectId, find: () => boolean): boolean {
  const found = known.get(id) ?? find();
  known.set(id, found);
  return found;
}
