/**
 * A client of a durable job: the SDK's own puts, submission, following and reading, under the eyes of the oracle.
 * State, digest and every value are held against the serial evaluation, and every word of it against the journal (I6).
 */
import { RemoteJob } from "../client/sdk/job.js";
import { submitGraph } from "../client/sdk/run-graph.js";
import { StackTraces } from "../client/sdk/stack-traces.js";
import { putObjectId } from "../proto/address.js";
import { objectsRead, renameObjects } from "../proto/args.js";
import { type ErrorCode, isVolleyError } from "../proto/errors.js";
import { type JobId, type ObjectId, objectIdOf } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { ClientReplyOf } from "../proto/messages/client.js";
import type { StoredResult } from "../proto/messages/results.js";
import type { StageSpec } from "../proto/messages/stage.js";
import type { JobStatus } from "../proto/messages/status.js";
import { ClientNode } from "./client-node.js";
import { JobModel, type StageModel, Violation } from "./job-model.js";
import { isSelfContained, type JobPlan } from "./job-plan.js";
import type { Process } from "./process.js";
import type { World } from "./world.js";

/** Where it may begin again: a scheduler that restarts between a put and what reads it has lost the put. */
const beginAgain: ReadonlySet<ErrorCode> = new Set(["OBJECT_NOT_FOUND", "OBJECT_LOST"]);
const triesMax = 20;
const againMs = 500;

export class JobClient {
  readonly address: string;
  readonly #world: World;
  readonly #node: ClientNode;
  readonly #makePlan: () => JobPlan;
  readonly #tenant: string;
  #plan!: JobPlan;
  #model!: JobModel;
  #job: JobId;
  #cancelled = false;
  #done = false;
  #doing = "nothing";
  #tries = 0;
  /** Held: a garbage collector has no seed. */
  readonly #refs: unknown[] = [];

  constructor(world: World, name: string, plan: () => JobPlan, tenant = "acme", job = `job-${name}`) {
    this.#world = world;
    this.address = name;
    this.#node = new ClientNode(world, name, tenant);
    this.#makePlan = plan;
    this.#job = job as JobId;
    this.#tenant = tenant;
  }

  get process(): Process {
    return this.#node.process;
  }
  get done(): boolean {
    return this.#done;
  }
  get waitsFor(): string {
    return `${this.#doing} of ${this.#job}`;
  }
  get isSelfContained(): boolean {
    return isSelfContained(this.#makePlan());
  }

  /** The same job under the same id, submitted by somebody else. */
  again(name: string): JobClient {
    return new JobClient(this.#world, name, this.#makePlan, this.#tenant, this.#job);
  }

  crash(): void {
    this.process.die("crashed");
    this.#done = true;
  }

  start(): void {
    this.#plan = this.#makePlan();
    this.#doing = "its session";
    const { cancelAfterMs } = this.#plan;
    this.#node.receive(this.#node.open(), () => this.#attempt("the submission", () => this.#submit()), rethrow);
    if (cancelAfterMs !== undefined) this.#node.later(cancelAfterMs, () => this.#cancel());
  }

  /** Does it, again and again while misfortunes keep it from succeeding. */
  #attempt(what: string, run: () => Promise<void>): void {
    this.#doing = what;
    this.#node.receive(
      run(),
      () => undefined,
      (error) => {
        if (error instanceof Violation) throw error;
        const again = isVolleyError(error) && beginAgain.has(error.code) && this.#tries++ < triesMax;
        if (!again) this.#node.mustBeMisfortune(`${what} of ${this.#job}`, error);
        this.#node.later(againMs, () => this.#attempt(what, run));
      },
    );
  }

  // ---------------------------------------------------------------------------------------------- submitting

  async #submit(): Promise<void> {
    const { session, objects } = this.#node;
    const { stages, outputs, key, puts } = this.#plan;
    for (const { data, inSession } of puts.values()) {
      if (!inSession) await objects.keep({ kind: 3, data });
      else {
        const { ref, done } = objects.puts.ref({ kind: 3, data }, data);
        this.#refs.push(ref);
        await done;
      }
    }
    this.#judgeBy(await this.#asSubmitted(stages));
    const graph = { name: "model", stages: [...stages], outputs: [...outputs] };
    const { job, existed } = await submitGraph(session, objects, graph, { key, id: this.#job });
    this.#onSubmitted(job, existed);
    this.#attempt("the end", () => this.#follow());
  }

  /** The submission names what it reads as the durable store does. */
  async #asSubmitted(stages: readonly StageSpec[]): Promise<StageSpec[]> {
    const names = new Map<ObjectId, ObjectId>();
    for (const id of new Set(stages.flatMap(({ args }) => [...objectsRead(args)])))
      names.set(id, await this.#node.objects.makeDurable(id));
    return stages.map((stage) => ({
      ...stage,
      args: stage.args.map((arg) => renameObjects(arg, (id) => names.get(id) ?? id)),
    }));
  }

  #judgeBy(stages: readonly StageSpec[]): void {
    const job = this.#job;
    const { world, plan } = { world: this.#world, plan: this.#plan };
    const copies = new Map([...world.made.values()].map((data) => [putObjectId(3, data), data]));
    const model = new JobModel({
      job,
      durable: true,
      tenant: this.#tenant,
      excuses: (code) => this.#excuses(code),
      foreign: (id) => plan.puts.get(id)?.data ?? world.made.get(id) ?? copies.get(id),
      throwsOf: (stage, task) => world.truth.throwsOf(job, stage, task),
      onShown: (id, hex) => world.provenance.shown(job, id, hex),
    });
    for (const spec of stages) model.add(spec);
    const before = world.jobs.get(job);
    const bases = (one: JobModel): string => [...one.stages.values()].map(({ base }) => base).join();
    if (before && bases(before) !== bases(model))
      throw new Violation("addresses", `the graph of ${job} has other addresses when it is submitted again`);
    // What was forgotten is another one when it is submitted again.
    this.#model = before && world.disk.facts.jobs.has(job) ? before : model;
    world.jobs.set(job, this.#model);
  }

  /** Durable jobs keep nothing on workers alone, so no object of theirs is ever lost. */
  #excuses(code: ErrorCode): boolean {
    const { truth, disk } = this.#world;
    if (code === "TASK_QUARANTINED")
      return this.#anyTask(
        (stage, task) => truth.mayHaveKilled(this.#job, stage.spec.index, task) >= limits.strikesMax,
      );
    if (code === "NONDETERMINISTIC")
      return this.#anyTask((stage, task) => truth.contentsOf(objectIdOf(stage.base, task)) > 1);
    return code === "CANCELLED" && disk.facts.jobs.get(this.#job)?.ended === "cancelled";
  }

  #anyTask(found: (stage: StageModel, task: number) => boolean): boolean {
    for (const stage of this.#model.stages.values())
      for (let task = 0; task < stage.count; task++) if (found(stage, task)) return true;
    return false;
  }

  #onSubmitted(job: JobId, existed: boolean): void {
    this.#world.disk.facts.factsOf(job);
    if (job !== this.#job) {
      const model = this.#world.jobs.get(job);
      if (this.#plan.key === undefined || !existed || !model)
        throw new Violation("submit", `${this.#job} was answered with ${job}`);
      if (model.tenant !== this.#tenant)
        throw new Violation("tenants", `${this.#job} of ${this.#tenant} was answered with ${job} of ${model.tenant}`);
      this.#model = model;
    }
    this.process.emit(`${job} is accepted${existed ? ", it existed" : ""}`);
    this.#job = job;
  }

  get #remote(): RemoteJob {
    return new RemoteJob(this.#job, this.#node.session.requests, this.#node.objects, new StackTraces());
  }

  #cancel(): void {
    if (this.#done) return;
    this.#cancelled = true;
    this.process.emit(`cancels ${this.#job}`);
    this.#node.receive(
      this.#remote.cancel(),
      () => undefined,
      (error) => {
        // Before it was submitted, or when it is over.
        if (isVolleyError(error) && (error.code === "JOB_NOT_FOUND" || error.code === "CLOSED")) return;
        this.#node.mustBeMisfortune("the cancel", error);
      },
    );
  }

  // ---------------------------------------------------------------------------------------------- following

  async #follow(): Promise<void> {
    for await (const status of this.#remote.progress()) {
      this.#checkStatus(status);
      if (status.state !== "running") this.#attempt("the results", () => this.#conclude(status));
      else if (this.#node.random.chance(0.2)) await this.#page(this.#node.random.pick(this.#plan.outputs), 0);
    }
  }

  #checkStatus(status: JobStatus): void {
    const facts = this.#world.disk.facts.factsOf(this.#job);
    let committed = 0;
    for (const tasks of facts.commits.values()) committed += tasks.size;
    const send = (shown: string, truth: string): never => {
      throw new Violation("I6", `${this.#job} is shown with ${shown}, in the journal: ${truth}`);
    };
    if (status.succeeded > committed) send(`${status.succeeded} tasks succeeded`, `${committed}`);
    if (status.digest !== undefined && facts.digest !== status.digest)
      send(`digest ${status.digest}`, `${facts.digest}`);
    if (status.state !== "running" && facts.ended !== status.state)
      send(`state ${status.state}`, facts.ended ?? "running");
  }

  async #conclude(status: JobStatus): Promise<void> {
    const { state, error, digest } = status;
    this.process.emit(`${this.#job} ${state}${error ? ` (${error.code})` : ""}`);
    const { flawless } = this.#model;
    if (state === "cancelled") {
      if (!this.#cancelled && this.#plan.key === undefined)
        throw new Violation("values", `${this.#job} was cancelled by nobody`);
    } else if (state === "failed") {
      const code = error?.code ?? "INTERNAL";
      if (!this.#excuses(code) && (flawless || code !== "TASK_FAILED"))
        throw new Violation(
          "values",
          `${this.#job} failed with ${code} (${error?.message}), the serial evaluation ${flawless ? "succeeds" : "fails otherwise"}`,
        );
    } else {
      if (!flawless) throw new Violation("values", `${this.#job} succeeded, but the serial evaluation fails`);
      const expected = this.#model.digest(this.#plan.outputs);
      if (expected !== undefined && digest !== expected)
        throw new Violation("values", `the digest of ${this.#job} is ${digest}, expected ${expected}`);
      for (const stage of this.#plan.outputs) await this.#read(stage);
      this.#publish();
    }
    this.#close();
  }

  /** Page by page, for what is written down of it; then as users do, for the values. */
  async #read(stage: number): Promise<void> {
    const { count } = this.#model.stage(stage);
    let shown = 0;
    for (let from: number | undefined = 0; from !== undefined; ) {
      const page = await this.#page(stage, from);
      shown += page.tasks;
      from = page.next;
    }
    let task = 0;
    for await (const value of this.#remote.stream<Uint8Array>(stage)) this.#model.checkContent(stage, task++, value);
    if (shown !== count || task !== count)
      throw new Violation(
        "values",
        `${this.#job} succeeded, but ${Math.min(shown, task)} of ${count} results of stage ${stage} are shown`,
      );
  }

  async #page(stage: number, from: number): Promise<{ tasks: number; next: number | undefined }> {
    const { count } = this.#model.stage(stage);
    const { requests } = this.#node.session;
    const page = await requests.ask({ t: "results", job: this.#job, stage, from, to: count }, "results");
    return { tasks: this.#check(page), next: page.next };
  }

  #check({ segments }: ClientReplyOf<"results">): number {
    const { disk, counts } = this.#world;
    let tasks = 0;
    for (const segment of segments) {
      tasks += this.#model.check(segment);
      for (let task = segment.from; task < segment.to; task++) {
        const name = `task ${task} of stage ${segment.stage} of ${this.#job}`;
        if (disk.committedAtMs(this.#job, segment.stage, task) === undefined)
          throw new Violation("I6", `${name} is shown, but its commit is not in the journal`);
        if (segment.r !== "stored") continue;
        const { digest } = segment.stored[task - segment.from] as StoredResult;
        const stored = disk.object(this.#model.objectOf(segment.stage, task), digest);
        if (!stored) throw new Violation("values", `the stored result of ${name} is not in the durable store`);
        this.#model.checkContent(segment.stage, task, stored.data);
      }
    }
    counts.resultsChecked += tasks;
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

  #close(): void {
    this.#doing = "the answer to its close";
    const finish = (): void => {
      this.#done = true;
    };
    this.#node.receive(this.#node.session.close(), finish, rethrow);
  }
}

function rethrow(error: unknown): never {
  throw error;
}
