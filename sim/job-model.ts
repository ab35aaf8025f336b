/**
 * The oracle of one job or session: its graph evaluated serially, and every result anybody was shown held against it.
 * A value is never negotiable. A failure is, when the run gave a reason for it: then `excuses` says so.
 */

import { stageBase } from "../proto/address.js";
import { digestOf, equalBytes, hexOf, sha256Hex } from "../proto/digest.js";
import type { ErrorCode } from "../proto/errors.js";
import { type JobId, type ObjectId, objectIdOf } from "../proto/ids.js";
import type { ResultSegment, StoredResult } from "../proto/messages/results.js";
import type { StageSpec } from "../proto/messages/stage.js";
import { PackReader } from "../proto/values/pack.js";
import { alwaysFails, evaluate, objectsOf, type StageFacts, traitsOf } from "./model-function.js";

/** undefined: the task fails. "any": the function is restless, or reads what such a one has made. */
type Expected = Uint8Array | "any" | undefined;

export class Violation extends Error {
  readonly rule: string;
  constructor(rule: string, message: string) {
    super(`${rule}: ${message}`);
    this.rule = rule;
  }
}

export interface StageModel extends StageFacts {
  readonly spec: StageSpec;
  readonly expected: Expected[];
  /** Hex digests of results that were shown, by task (I1). */
  readonly shown: Map<number, string>;
}

export class JobModel {
  readonly job: JobId;
  readonly durable: boolean;
  readonly tenant: string;
  readonly stages = new Map<number, StageModel>();
  /** Codes that results may carry although the serial evaluation succeeds, because of what happened in this run. */
  readonly #excuses: (code: ErrorCode, stage: StageModel, task: number) => boolean;
  readonly #foreign: (id: ObjectId) => Uint8Array | undefined;
  readonly #onShown: (id: ObjectId, hex: string) => void;
  readonly #throwsOf: (stage: number, task: number) => number;

  constructor(options: {
    job: JobId;
    durable: boolean;
    tenant: string;
    excuses: (code: ErrorCode, stage: StageModel, task: number) => boolean;
    foreign: (id: ObjectId) => Uint8Array | undefined;
    /** A value of one of its objects was shown to the client. */
    onShown: (id: ObjectId, hex: string) => void;
    /** How often this task's function truly threw. */
    throwsOf: (stage: number, task: number) => number;
  }) {
    this.job = options.job;
    this.durable = options.durable;
    this.tenant = options.tenant;
    this.#excuses = options.excuses;
    this.#foreign = options.foreign;
    this.#onShown = options.onShown;
    this.#throwsOf = options.throwsOf;
  }

  add(spec: StageSpec): StageModel {
    const base = stageBase(this.job, spec, (stage) => this.stage(stage).base);
    const traits = traitsOf(spec.fn);
    const stageOf = (stage: number): StageFacts => this.stage(stage);
    const expected: Expected[] = [];
    for (let task = 0; task < spec.count; task++) {
      const inputs = spec.args.flatMap((arg) => [...objectsOf(arg, task, stageOf)]);
      const fails =
        alwaysFails(traits, task) ||
        traits.mood === "poison" ||
        traits.failFirst > spec.options.retries ||
        inputs.some((id) => this.contentOf(id) === undefined);
      if (fails) expected.push(undefined);
      else if (traits.mood !== "steady" || inputs.some((id) => this.contentOf(id) === "any")) expected.push("any");
      else expected.push(evaluate(traits, spec.args, task, stageOf, (id) => this.contentOf(id) as Uint8Array, 0).data);
    }
    const model: StageModel = { spec, base, count: spec.count, expected, shown: new Map() };
    this.stages.set(spec.index, model);
    return model;
  }

  stage(index: number): StageModel {
    const stage = this.stages.get(index);
    if (!stage) throw new Violation("values", `job ${this.job} has no stage ${index}`);
    return stage;
  }

  /** The bytes that an object must have, as far as this job can know them. */
  contentOf(id: ObjectId): Expected {
    for (const { base, expected } of this.stages.values()) {
      if (!id.startsWith(`${base}-`)) continue;
      return expected[Number(id.slice(base.length + 1))];
    }
    return this.#foreign(id);
  }

  /** True if the serial evaluation says that every task of the graph succeeds. */
  get flawless(): boolean {
    return [...this.stages.values()].every(({ expected }) => expected.every((content) => content !== undefined));
  }

  /** Checks a segment that a client was shown. Returns the number of tasks in it. */
  check(segment: ResultSegment): number {
    const stage = this.stage(segment.stage);
    const count = segment.to - segment.from;
    if (!(segment.from < segment.to && segment.to <= stage.count))
      throw new Violation("values", `${this.#name(segment)} is outside of the stage's ${stage.count} tasks`);
    if (segment.r === "failed") {
      for (let task = segment.from; task < segment.to; task++)
        this.#checkFailure(stage, task, segment.error.code, segment.error.message);
      return count;
    }
    if (segment.r === "stored") {
      if (segment.stored.length !== count)
        throw new Violation("values", `${this.#name(segment)} has ${segment.stored.length} results`);
      segment.stored.forEach((stored, i) => this.#checkDigest(stage, segment.from + i, stored));
      return count;
    }
    const pack = new PackReader(segment.pack);
    if (pack.count !== count) throw new Violation("values", `${this.#name(segment)} has a pack of ${pack.count}`);
    for (let i = 0; i < count; i++) {
      const { kind, data } = pack.at(i);
      const digest = digestOf(kind, data);
      if (segment.digests && !equalBytes(segment.digests.subarray(16 * i, 16 * i + 16), digest))
        throw new Violation(
          "values",
          `${this.#name(segment)}: the digest of task ${segment.from + i} is not its value's`,
        );
      this.#checkDigest(stage, segment.from + i, { kind, digest, bytes: data.byteLength });
    }
    return count;
  }

  /** Checks bytes that were fetched for an object of this job. */
  checkContent(stageIndex: number, task: number, data: Uint8Array): void {
    this.#checkDigest(this.stage(stageIndex), task, { kind: 3, digest: digestOf(3, data), bytes: data.byteLength });
  }

  mayBeLost(stageIndex: number, task: number): boolean {
    const stage = this.stage(stageIndex);
    return (["OBJECT_LOST", "NONDETERMINISTIC", "UPSTREAM_FAILED"] as const).some((code) =>
      this.#excuses(code, stage, task),
    );
  }

  /** A result that was shown cannot be had any more. */
  checkLoss(stage: number, task: number): void {
    if (!this.mayBeLost(stage, task))
      throw new Violation(
        "objects",
        `the result of task ${task} of stage ${stage} of ${this.job} was shown, and cannot be fetched`,
      );
  }

  #checkDigest(stage: StageModel, task: number, { kind, digest }: StoredResult): void {
    const name = `task ${task} of stage ${stage.spec.index} of ${this.job}`;
    const expected = stage.expected[task];
    if (expected === undefined) throw new Violation("values", `${name} succeeded, but the serial evaluation fails`);
    const hex = hexOf(digest);
    if (expected !== "any" && hex !== hexOf(digestOf(kind, expected)))
      throw new Violation("values", `${name} is ${hex}, expected ${hexOf(digestOf(3, expected))}`);
    const before = stage.shown.get(task);
    if (before !== undefined && before !== hex)
      throw new Violation("I1", `${name} was shown as ${before} and now as ${hex}`);
    stage.shown.set(task, hex);
    this.#onShown(objectIdOf(stage.base, task), hex);
  }

  #checkFailure(stage: StageModel, task: number, code: ErrorCode, message: string): void {
    const name = `task ${task} of stage ${stage.spec.index} of ${this.job}`;
    if (code === "TASK_FAILED") this.#checkTries(stage, task, name);
    const poison = traitsOf(stage.spec.fn).mood === "poison";
    if (
      stage.expected[task] === undefined &&
      (code === "UPSTREAM_FAILED" || code === (poison ? "TASK_QUARANTINED" : "TASK_FAILED"))
    )
      return;
    if (this.#excuses(code, stage, task)) return;
    throw new Violation(
      "values",
      `${name} failed with ${code} (${message}), but the serial evaluation ${stage.expected[task] === undefined ? "fails otherwise" : "succeeds"}`,
    );
  }

  #checkTries(stage: StageModel, task: number, name: string): void {
    const { retries } = stage.spec.options;
    const throws = this.#throwsOf(stage.spec.index, task);
    if (throws <= retries)
      throw new Violation(
        "retries",
        `${name} has failed for good after ${throws} failures, although it has ${retries} retries`,
      );
  }

  /**
   * What the job's digest must be: over the digests of the outputs' tasks in order. undefined where a restless function
   * has a say.
   */
  digest(outputs: readonly number[]): string | undefined {
    const parts: Uint8Array[] = [];
    for (const output of outputs) {
      for (const content of this.stage(output).expected) {
        if (content === undefined || content === "any") return undefined;
        parts.push(digestOf(3, content));
      }
    }
    return sha256Hex(Buffer.concat(parts));
  }

  objectOf(stage: number, task: number): ObjectId {
    return objectIdOf(this.stage(stage).base, task);
  }

  #name(segment: ResultSegment): string {
    return `result [${segment.from}, ${segment.to}) of stage ${segment.stage} of ${this.job}`;
  }
}
