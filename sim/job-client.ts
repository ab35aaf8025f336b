/**
 * A model client of a durable job: puts what the graph reads, submits until answered, polls, reads results while it
 * runs and after, and at the end holds state, digest and every value against the oracle, and every word of it against
 * the journal (I6).
 */
import { putObjectId } from "../proto/address.js";
import { objectsRead } from "../proto/args.js";
import { digestOf } from "../proto/digest.js";
import type { ErrorCode } from "../proto/errors.js";
import { type ClientId, type Epoch, type JobId, type ObjectId, objectIdOf, type TenantId } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { ClientReply, ClientReplyOf, ClientRequest } from "../proto/messages/client.js";
import type { StoredResult } from "../proto/messages/results.js";
import type { StageSpec } from "../proto/messages/stage.js";
import { PackWriter } from "../proto/values/pack.js";
import { PROTOCOL_VERSION } from "../proto/version.js";
import { Asker } from "./asker.js";
import { JobModel, type StageModel, Violation } from "./job-model.js";
import { Process } from "./process.js";
import type { Random } from "./random.js";
import { randomStage } from "./random-graph.js";
import type { World } from "./world.js";

/** A put may have to be said again so often: when the scheduler restarts, or takes the client for gone, in between. */
const putsMax = 20;

/** What two clients that submit the same share. */
export interface JobPlan {
  readonly stages: readonly StageSpec[];
  readonly outputs: readonly number[];
  readonly puts: ReadonlyMap<ObjectId, { data: Uint8Array; inline: boolean }>;
  readonly key: string | undefined;
  readonly cancelAfterMs: number | undefined;
}

/** `made`: results of earlier jobs that it may read. */
export function randomJobPlan(
  random: Random,
  name: string,
  made: readonly ObjectId[],
  { badWork, slowWork }: { badWork: number; slowWork: number },
): JobPlan {
  const puts = new Map<ObjectId, { data: Uint8Array; inline: boolean }>();
  const packs: { id: ObjectId; count: number }[] = [];
  const objects: ObjectId[] = made.length > 0 && random.chance(0.6) ? [random.pick(made), random.pick(made)] : [];
  for (let i = random.between(0, 2); i > 0; i--) {
    const data = Uint8Array.of(9, i, random.between(0, 255));
    const id = putObjectId(3, data);
    puts.set(id, { data, inline: random.chance(0.5) });
    objects.push(id);
  }
  if (random.chance(0.3)) {
    const count = random.between(2, 12);
    const pack = new PackWriter();
    for (let i = 0; i < count; i++) pack.add({ kind: 3, data: Uint8Array.of(i, random.between(0, 255)) });
    const data = pack.finish();
    const id = putObjectId(3, data);
    puts.set(id, { data, inline: false });
    packs.push({ id, count });
  }
  const stages: StageSpec[] = [];
  for (let index = 0, count = random.between(1, 7); index < count; index++) {
    stages.push(
      randomStage({ random, stages: stages.map((spec) => ({ spec })), objects, packs, badWork, slowWork }, index),
    );
  }
  const outputs = [
    stages.length - 1,
    ...(stages.length > 1 && random.chance(0.3) ? [random.between(0, stages.length - 2)] : []),
  ];
  return {
    stages,
    outputs,
    puts,
    key: random.chance(0.5) ? `key-${name}` : undefined,
    cancelAfterMs: random.chance(0.12) ? random.between(0, 8_000) : undefined,
  };
}

export class JobClient {
  readonly address: string;
  readonly process: Process;
  readonly #world: World;
  readonly #random: Random;
  readonly #asker: Asker;
  readonly #makePlan: () => JobPlan;
  #plan!: JobPlan;
  #model!: JobModel;
  readonly #tenant: TenantId;
  #job: JobId;
  #cancelled = false;
  #done = false;
  #doing = "nothing";
  #puts = 0;

  constructor(world: World, name: string, plan: () => JobPlan, tenant = "acme", job = `job-${name}`) {
    this.#world = world;
    this.#random = world.fork();
    this.address = name;
    this.process = new Process(world, name);
    this.#asker = new Asker(world, this.#random, this.process);
    this.#makePlan = plan;
    this.#job = job as JobId;
    this.#tenant = tenant as TenantId;
  }

  get done(): boolean {
    return this.#done;
  }
  get waitsFor(): string {
    return `${this.#doing} of ${this.#job}`;
  }
  get job(): JobId {
    return this.#job;
  }

  /** Durable jobs keep nothing on workers alone, so no object of theirs is ever lost. */
  #excuses(code: ErrorCode): boolean {
    if (code === "TASK_QUARANTINED")
      return this.#anyTask(
        (stage, task) => this.#world.truth.mayHaveKilled(this.#job, stage.spec.index, task) >= limits.blamesMax,
      );
    if (code === "NONDETERMINISTIC")
      return this.#anyTask((stage, task) => this.#world.truth.contentsOf(objectIdOf(stage.base, task)) > 1);
    return code === "CANCELLED" && this.#world.disk.facts.jobs.get(this.#job)?.ended === "cancelled";
  }

  #anyTask(found: (stage: StageModel, task: number) => boolean): boolean {
    for (const stage of this.#model.stages.values())
      for (let task = 0; task < stage.count; task++) if (found(stage, task)) return true;
    return false;
  }

  start(): void {
    const plan = this.#makePlan();
    const foreign = (id: ObjectId): Uint8Array | undefined => plan.puts.get(id)?.data ?? this.#world.made.get(id);
    this.#plan = plan;
    this.#model = new JobModel({
      job: this.#job,
      durable: true,
      tenant: this.#tenant,
      excuses: (code) => this.#excuses(code),
      foreign,
      throwsOf: (stage, task) => this.#world.truth.throwsOf(this.#job, stage, task),
      onShown: (id, hex) => this.#world.provenance.shown(this.#job, id, hex),
    });
    for (const spec of plan.stages) this.#model.add(spec);
    this.#world.jobs.set(this.#job, this.#model);
    this.#open();
    this.#beat();
    if (this.#plan.cancelAfterMs !== undefined) this.#asker.later(this.#plan.cancelAfterMs, () => this.#cancel());
  }

  /** It reads nothing that others have made. */
  get isSelfContained(): boolean {
    const { stages, puts } = this.#makePlan();
    return stages.every(({ args }) => [...objectsRead(args)].every((id) => puts.has(id)));
  }

  /** The same job under the same id, submitted by somebody else. */
  again(name: string): JobClient {
    return new JobClient(this.#world, name, this.#makePlan, this.#tenant, this.#job);
  }

  crash(): void {
    this.process.die("crashed");
    this.#done = true;
  }

  get #session(): JobId {
    return `session-${this.address}` as JobId;
  }

  /** Small puts belong to a session until a job reads them. */
  #open(): void {
    this.#doing = "its session";
    const request = {
      t: "open",
      client: this.address as ClientId,
      session: this.#session,
      tenant: this.#tenant,
      version: PROTOCOL_VERSION,
    } as const;
    this.#asker.ask(
      () => request,
      (reply) => {
        if (reply.t === "opened") this.#putAll([...this.#plan.puts], () => this.#submit());
        return reply.t === "opened";
      },
    );
  }

  #beat(): void {
    if (this.#done) return;
    this.#asker.askOnce(
      {
        t: "beat",
        client: this.address as ClientId,
        session: this.#session,
        epoch: this.#asker.epoch as Epoch,
        waiting: [],
        released: [],
      },
      () => undefined,
    );
    this.#asker.later(limits.heartbeatIntervalMs, () => this.#beat());
  }

  #putAll(puts: readonly (readonly [ObjectId, { data: Uint8Array; inline: boolean }])[], then: () => void): void {
    const [first, ...rest] = puts;
    if (!first) {
      then();
      return;
    }
    this.#doing = "a put";
    const [id, { data, inline }] = first;
    if (!inline) this.#world.disk.keepObject(id, { kind: 3, data });
    this.#asker.ask(
      () => ({
        t: "put",
        session: this.#session,
        id,
        kind: 3,
        bytes: data.byteLength,
        digest: digestOf(3, data),
        ...(inline ? { inline: data } : {}),
      }),
      (reply) => {
        if (reply.t === "ok") this.#putAll(rest, then);
        return reply.t === "ok";
      },
    );
  }

  #submit(): void {
    this.#doing = "the submission";
    const { stages, outputs, key } = this.#plan;
    const request: ClientRequest = {
      t: "submit",
      job: this.#job,
      client: this.address as ClientId,
      tenant: this.#tenant,
      name: "model",
      stages: [...stages],
      outputs: [...outputs],
      ...(key ? { key } : {}),
    };
    this.#asker.ask(
      () => request,
      (reply) => {
        if (reply.t === "error" && reply.error.code === "OBJECT_NOT_FOUND" && this.#puts++ < putsMax) {
          // A small put lives in the scheduler's memory, as long as the session there, until a job reads it.
          this.#open();
          return true;
        }
        if (reply.t === "error")
          throw new Violation("submit", `${this.#job} was refused: ${reply.error.code} ${reply.error.message}`);
        if (reply.t !== "submitted") return false;
        this.#submitted(reply);
        return true;
      },
    );
  }

  #submitted(reply: ClientReplyOf<"submitted">): void {
    this.#world.disk.facts.factsOf(reply.job);
    if (reply.job !== this.#job) {
      if (this.#plan.key === undefined || !reply.existed)
        throw new Violation("submit", `${this.#job} was answered with ${reply.job}`);
      const model = this.#world.jobs.get(reply.job);
      if (!model) throw new Violation("submit", `${this.#job} was answered with ${reply.job}, which nobody submitted`);
      if (model.tenant !== this.#tenant)
        throw new Violation(
          "tenants",
          `${this.#job} of ${this.#tenant} was answered with ${reply.job} of ${model.tenant}`,
        );
      this.#model = model;
    }
    this.#world.story.tell(this.address, `${reply.job} is accepted${reply.existed ? ", it existed" : ""}`);
    this.#job = reply.job;
    this.#poll();
  }

  #cancel(): void {
    if (this.#done) return;
    this.#cancelled = true;
    this.#world.story.tell(this.address, `cancels ${this.#job}`);
    this.#asker.askOnce({ t: "cancel", job: this.#job }, () => undefined);
  }

  // ---------------------------------------------------------------------------------------------- following

  #poll(): void {
    this.#doing = "the end";
    this.#asker.askOnce({ t: "status", job: this.#job }, (reply) => {
      if (this.#doing === "the end") this.#onStatus(reply);
    });
    this.#asker.later(this.#random.delay(400), () => {
      if (this.#doing === "the end") this.#poll();
    });
    if (this.#random.chance(0.2)) this.#page(this.#random.pick(this.#plan.outputs), 0, () => undefined);
  }

  #onStatus(reply: ClientReply): void {
    if (reply.t === "error")
      throw new Violation(
        "I6",
        `${this.#job}, which was accepted, is not known: ${reply.error.code} ${reply.error.message}`,
      );
    if (reply.t !== "status") return;
    const { status } = reply;
    const facts = this.#world.disk.facts.factsOf(this.#job);
    let committed = 0;
    for (const tasks of facts.commits.values()) committed += tasks.size;
    if (status.succeeded > committed)
      throw new Violation(
        "I6",
        `${status.succeeded} tasks of ${this.#job} are shown as succeeded, ${committed} are in the journal`,
      );
    if (status.digest !== undefined && facts.digest !== status.digest)
      throw new Violation(
        "I6",
        `the digest of ${this.#job} is shown as ${status.digest}, in the journal it is ${facts.digest}`,
      );
    if (status.state === "running") return;
    if (facts.ended !== status.state)
      throw new Violation(
        "I6",
        `${this.#job} is shown as ${status.state}, in the journal it is ${facts.ended ?? "running"}`,
      );
    this.#ended(status);
  }

  #ended(status: ClientReplyOf<"status">["status"]): void {
    const { state, error, digest } = status;
    this.#world.story.tell(this.address, `${this.#job} ${state}${error ? ` (${error.code})` : ""}`);
    if (state === "cancelled") {
      if (!this.#cancelled && this.#plan.key === undefined)
        throw new Violation("values", `${this.#job} was cancelled by nobody`);
      this.#finish();
      return;
    }
    if (state === "failed") {
      const code = error?.code ?? "INTERNAL";
      if (!(this.#model.flawless ? this.#excuses(code) : code === "TASK_FAILED" || this.#excuses(code)))
        throw new Violation(
          "values",
          `${this.#job} failed with ${code} (${error?.message}), the serial evaluation ${this.#model.flawless ? "succeeds" : "fails otherwise"}`,
        );
      this.#finish();
      return;
    }
    if (!this.#model.flawless) throw new Violation("values", `${this.#job} succeeded, but the serial evaluation fails`);
    const expected = this.#model.digest(this.#plan.outputs);
    if (expected !== undefined && digest !== expected)
      throw new Violation("values", `the digest of ${this.#job} is ${digest}, expected ${expected}`);
    this.#readAll([...this.#plan.outputs]);
  }

  #readAll(outputs: readonly number[]): void {
    const [first, ...rest] = outputs;
    if (first === undefined) {
      this.#publish();
      this.#finish();
      return;
    }
    this.#doing = `results of stage ${first}`;
    this.#page(first, 0, (shown) => {
      const { count } = this.#model.stage(first);
      if (shown !== count)
        throw new Violation(
          "values",
          `${this.#job} succeeded, but ${shown} of ${count} results of stage ${first} are shown`,
        );
      this.#readAll(rest);
    });
  }

  /** Reads a stage's results page by page from task `from` on; `shown` counts them. */
  #page(stage: number, from: number, onEnd: (shown: number) => void, shown = 0): void {
    const { count } = this.#model.stage(stage);
    this.#asker.ask(
      () => ({ t: "results", job: this.#job, stage, from, to: count }),
      (reply) => {
        if (reply.t === "error")
          throw new Violation("I6", `results of ${this.#job}: ${reply.error.code} ${reply.error.message}`);
        if (reply.t !== "results") return false;
        const total = shown + this.#check(reply);
        if (reply.next === undefined) onEnd(total);
        else this.#page(stage, reply.next, onEnd, total);
        return true;
      },
    );
  }

  #check({ segments }: ClientReplyOf<"results">): number {
    let tasks = 0;
    for (const segment of segments) {
      tasks += this.#model.check(segment);
      for (let task = segment.from; task < segment.to; task++) {
        if (this.#world.disk.committedAtMs(this.#job, segment.stage, task) === undefined)
          throw new Violation(
            "I6",
            `task ${task} of stage ${segment.stage} of ${this.#job} is shown, but its commit is not in the journal`,
          );
        if (segment.r !== "stored") continue;
        const { digest } = segment.stored[task - segment.from] as StoredResult;
        const stored = this.#world.disk.object(this.#model.objectOf(segment.stage, task), digest);
        if (!stored)
          throw new Violation(
            "values",
            `the stored result of task ${task} of stage ${segment.stage} of ${this.#job} is not in the durable store`,
          );
        this.#model.checkContent(segment.stage, task, stored.data);
      }
    }
    this.#world.counts.resultsChecked += tasks;
    return tasks;
  }

  /** From now on others may read the results of the last stage. */
  #publish(): void {
    const stage = this.#model.stage(this.#plan.stages.length - 1);
    for (const [task, content] of stage.expected.slice(0, 8).entries()) {
      if (content !== undefined && content !== "any")
        this.#world.made.set(this.#model.objectOf(stage.spec.index, task), content);
    }
  }

  #finish(): void {
    this.#doing = "the answer to its close";
    this.#asker.ask(
      () => ({ t: "close", client: this.address as ClientId, session: this.#session }),
      (reply) => {
        if (reply.t === "ok") this.#done = true;
        return this.#done;
      },
    );
  }
}
