/**
 * A client with a session: the SDK's own, which this gives stages, puts, cancels, releases and gets at random, over
 * time; and a check of everything that comes of them.
 */
import type { StageHandle } from "../client/sdk/stage.js";
import { objectsRead, stagesRead } from "../proto/args.js";
import { decodeMessage } from "../proto/codec.js";
import type { ErrorCode } from "../proto/errors.js";
import { isVolleyError } from "../proto/errors.js";
import { type ClientId, type ObjectId, splitObjectId } from "../proto/ids.js";
import { type ClientUpdate, clientUpdate } from "../proto/messages/client.js";
import type { StageSpec } from "../proto/messages/stage.js";
import { subjects } from "../proto/subjects.js";
import { addressed } from "../session/session.js";
import type { SessionState } from "../session/state.js";
import { ClientNode } from "./client-node.js";
import { Excuses } from "./excuse.js";
import { JobModel, Violation } from "./job-model.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";
import { randomStage } from "./random-graph.js";
import { SessionPuts } from "./session-puts.js";
import type { World } from "./world.js";

interface Submitted {
  readonly spec: StageSpec;
  readonly handle: StageHandle;
  left: number;
  fetches: number;
  released: boolean;
  /** The opening of the session in which its last result came. */
  completeIn: number;
}

/** A get that fails is repeated so often after the last fault. */
const fetchesMax = 5;
const fetchAgainMs = 2_000;
/** However long the run: between its doings a client pauses no longer, so that it ends in time. */
const pauseMsMax = 40_000;
/** Before it closes a session rests, so that it can be seen whether all that was said is known (watch.ts). */
const restMs = 10_000;

export interface SessionPlan {
  readonly stages: number;
  /** Stages are submitted within this time. */
  readonly withinMs: number;
}

export class SessionClient {
  readonly address: string;
  readonly #world: World;
  readonly #node: ClientNode;
  readonly #random: Random;
  readonly #model: JobModel;
  readonly #puts: SessionPuts;
  readonly #plan: SessionPlan;
  readonly #stages = new Map<number, Submitted>();
  readonly #cancels: { stage: number; from: number; to: number }[] = [];
  #cancelling = 0;
  #closing = false;
  /** Before it goes it looks whether all that it has put is there. */
  #hasLooked = false;
  #done = false;

  constructor(world: World, name: string, plan: SessionPlan) {
    this.#world = world;
    this.address = name;
    this.#node = new ClientNode(world, name, "acme");
    this.#random = this.#node.random;
    this.#plan = plan;
    this.#puts = new SessionPuts(world, this.#node);
    const job = this.#node.session.id;
    this.#model = new JobModel({
      job,
      durable: false,
      tenant: "acme",
      excuses: (code, stage, task) => excuses.explains(code, stage, task),
      throwsOf: (stage, task) => world.truth.throwsOf(job, stage, task),
      onShown: (id, hex) => world.provenance.shown(job, id, hex),
      foreign: (id) => this.#puts.valueOf(id) ?? world.made.get(id),
    });
    const excuses = new Excuses(world.truth, this.#model, this);
    world.jobs.set(job, this.#model);
  }

  get process(): Process {
    return this.#node.process;
  }
  /** What the product's own session knows. */
  get session(): SessionState {
    return this.#node.session.state;
  }
  get done(): boolean {
    return this.#done;
  }
  get waitsFor(): string {
    const left = [...this.#stages]
      .filter(([, stage]) => stage.left > 0 && !stage.released)
      .map(([index, stage]) => `stage ${index}: ${stage.left} of ${stage.spec.count}`);
    if (this.#puts.busy) left.push("a put or its get");
    if (this.#cancelling > 0) left.push("a cancel");
    return left.length > 0 ? left.join(", ") : this.#closing ? "the answer to its close" : "nothing";
  }

  // ---------------------------------------------------------------------------------------------- for the judges

  isCancelled(stage: number, task: number): boolean {
    return this.#cancels.some((one) => one.stage === stage && one.from <= task && task < one.to);
  }
  wasReleased(stage: number): boolean {
    return this.#stages.get(stage)?.released === true;
  }
  /** Only what is open is sent to another scheduler; of the rest it is told the results. */
  wasRetold(stage: number): boolean {
    const one = this.#stages.get(stage);
    return one?.left === 0 && one.completeIn < this.opening;
  }
  get opening(): number {
    return this.#node.session.state.opening;
  }
  get lapsed(): boolean {
    return this.#world.lapsed.has(this.#node.session.id);
  }
  putHasFailed(id: ObjectId, code?: ErrorCode): boolean {
    return this.#puts.hasFailed(id, code);
  }
  putWasReleased(id: ObjectId): boolean {
    return this.#puts.wasReleased(id);
  }

  // ---------------------------------------------------------------------------------------------- acting

  start(): void {
    // Before the session has it: of results that come again it looks at the first alone.
    this.#node.transport.subscribe(subjects.client(this.address as ClientId), ({ data }) =>
      this.#onUpdate(decodeMessage(clientUpdate, data)),
    );
    this.#node.receive(this.#node.open(), () => this.#act(), rethrow);
  }

  crash(): void {
    this.process.die("crashed");
    this.#done = true;
  }

  /** One thing now, the next later, until the plan is done. */
  #act(): void {
    if (this.#closing) return;
    if (this.#random.chance(0.3)) this.#query();
    if (this.#random.chance(0.1)) this.#puts.look();
    if (this.#stages.size < this.#plan.stages) {
      if (this.#random.chance(0.15)) this.#puts.put();
      for (let i = this.#random.between(1, 3); i > 0 && this.#stages.size < this.#plan.stages; i--) this.#submit();
      if (this.#random.chance(0.05)) this.#cancel();
    }
    for (const stage of this.#stages.values())
      if (this.#random.chance(stage.left > 0 ? 0.01 : 0.2)) this.#release(stage);
    const isOver = ({ released, left, fetches }: Submitted): boolean => (released || left === 0) && fetches === 0;
    const idle = !this.#puts.busy && this.#cancelling === 0 && [...this.#stages.values()].every(isOver);
    if (idle && this.#stages.size >= this.#plan.stages && this.#hasLooked)
      this.#node.later(restMs, () => this.#close());
    else {
      if (idle && this.#stages.size >= this.#plan.stages) {
        this.#hasLooked = true;
        this.#puts.lookAtAll();
      }
      const pauseMs = this.#random.delay(this.#plan.withinMs / this.#plan.stages);
      this.#node.later(Math.min(pauseMs, pauseMsMax), () => this.#act());
    }
  }

  /** Questions that people ask in between; whatever the state is, there is an answer. */
  #query(): void {
    const { requests, id: job } = this.#node.session;
    const failed = (error: unknown): void => this.#mustBeMisfortune("a question", error);
    const stage = [...this.#stages.values()].find(({ left }) => left > 0) ?? this.#stages.get(0);
    if (stage) {
      const task = [...stage.handle.stage.results.open(0, stage.spec.count)][0]?.from ?? 0;
      this.#node.receive(
        requests.ask({ t: "explain", job, stage: stage.spec.index, task }, "explanation"),
        ({ explanation }) => {
          if (explanation.reason === "" || explanation.text === "")
            throw new Violation("explain", `no reason is given for ${JSON.stringify(explanation)}`);
        },
        (error) => {
          // Between two schedulers, or before what was submitted has arrived.
          if (!isVolleyError(error) || !["JOB_NOT_FOUND", "INVALID_ARGUMENT"].includes(error.code)) failed(error);
        },
      );
    }
    this.#node.receive(requests.ask({ t: "workers" }, "workers"), () => undefined, failed);
    this.#node.receive(requests.ask({ t: "list", limit: 10 }, "jobs"), () => undefined, failed);
  }

  #mustBeMisfortune(what: string, error: unknown): void {
    if (this.#closing && isVolleyError(error) && error.code === "CLOSED") return;
    this.#node.mustBeMisfortune(what, error);
  }

  #submit(): void {
    const { session } = this.#node;
    const spec = addressed(session.state, this.#randomStage(this.#stages.size));
    this.#model.add(spec);
    const reads = this.#readsOf(spec);
    const objects = [...objectsRead(spec.args)];
    const puts = objects.map((id) => this.#puts.placeOf(id)).filter((put) => put !== undefined);
    const grows = reads.length === 0 && objects.length === 0 && !spec.options.pure && this.#random.chance(0.5);
    const handle = grows ? session.grow(() => spec) : session.add(() => spec, reads, puts);
    const left = spec.count;
    const stage: Submitted = { spec, handle, left, fetches: 0, released: false, completeIn: 0 };
    this.#stages.set(spec.index, stage);
    this.process.emit(`submits stage ${spec.index}x${spec.count}`);
    for (let task = 0; task < spec.count; task++) this.#await(stage, task);
  }

  #randomStage(index: number): StageSpec {
    const readable = [...this.#stages.values()].filter((stage) => !stage.released);
    return randomStage(
      {
        random: this.#random,
        stages: readable.map(({ spec, left }) => ({
          spec,
          objectOf: left === 0 ? (task: number) => this.#model.objectOf(spec.index, task) : undefined,
        })),
        objects: [...this.#puts.ids, ...[...this.#world.made.keys()].slice(-4)],
        packs: [],
        work: this.#world.rates,
      },
      index,
    );
  }

  /** The stages it reads, by edge or by object id. */
  #readsOf({ args }: StageSpec): StageHandle[] {
    const makers = [...objectsRead(args)].map((id) => {
      const { base } = splitObjectId(id);
      return [...this.#stages.values()].find(({ spec }) => this.#model.stage(spec.index).base === base);
    });
    const read = new Set([...[...stagesRead(args)].map((index) => this.#stages.get(index)), ...makers]);
    return [...read].filter((one) => one !== undefined).map(({ handle }) => handle);
  }

  #cancel(): void {
    const open = [...this.#stages.values()].filter((stage) => stage.left > 0 && !stage.released);
    if (open.length === 0) return;
    const { spec, handle } = this.#random.pick(open);
    const from = this.#random.between(0, spec.count - 1);
    this.#cancels.push({ stage: spec.index, from, to: spec.count });
    this.process.emit(`cancels stage ${spec.index} from ${from}`);
    const over = (): void => {
      this.#cancelling--;
    };
    this.#cancelling++;
    this.#node.receive(this.#node.session.cancel(handle, from, spec.count), over, (error) => {
      over();
      this.#mustBeMisfortune("a cancel", error);
    });
  }

  /** No ref is left: mostly of what is complete. What reads it has what it needs. */
  #release(stage: Submitted): void {
    if (stage.released || stage.fetches > 0) return;
    stage.released = true;
    this.#node.session.release(stage.handle, 0, stage.spec.count);
  }

  #close(): void {
    this.#closing = true;
    this.#node.receive(
      this.#node.session.close(),
      () => {
        this.process.emit("is done");
        this.#done = true;
      },
      rethrow,
    );
  }

  // ---------------------------------------------------------------------------------------------- results

  /** What is sent again must be what was shown. */
  #onUpdate({ session, epoch, segments }: ClientUpdate): void {
    if (this.#done || session !== this.#node.session.id || epoch < this.#node.session.state.epochs.epoch) return;
    for (const segment of segments) {
      const stage = this.#stages.get(segment.stage);
      if (!stage) throw new Violation("session", `results of stage ${segment.stage}, which was never submitted`);
      const { results } = stage.handle.stage;
      const again = results.isSettled(segment.from) || results.isSettled(segment.to - 1);
      if (again && !(segment.r === "failed" && segment.error.code === "SESSION_LOST")) this.#model.check(segment);
    }
  }

  #await(stage: Submitted, task: number): void {
    stage.handle.stage.waits.whenTask(task, (failure) =>
      this.#world.guard(this.address, () => {
        if (!failure) this.#onResult(stage, task);
        else if (!this.#closing) {
          this.#node.mustBeMisfortune(`the wait for task ${task} of stage ${stage.spec.index}`, failure);
          this.#await(stage, task);
        }
      }),
    );
  }

  #onResult(stage: Submitted, task: number): void {
    const { index } = stage.spec;
    const outcome = stage.handle.stage.results.outcome(task);
    if (!outcome) throw new Violation("session", `task ${task} of stage ${index} has ended without an outcome`);
    const where = { stage: index, from: task, to: task + 1 };
    this.#world.counts.resultsChecked++;
    if (--stage.left === 0) stage.completeIn = this.opening;
    if (outcome.o === "failed") this.#model.check({ r: "failed", ...where, error: outcome.error });
    else if (outcome.o === "inline") this.#model.checkContent(index, task, outcome.value.data);
    else {
      this.#model.check({ r: "stored", ...where, stored: [outcome.stored] });
      if (!stage.released && this.#random.chance(0.3)) this.#fetch(stage, task, outcome.stored.digest, 0);
    }
  }

  /** A result that was shown can be had, if not at once: it may have to be made again. */
  #fetch(stage: Submitted, task: number, shown: Uint8Array, tries: number): void {
    const { index } = stage.spec;
    stage.fetches++;
    this.#node.receive(
      this.#node.objects.fetch(this.#model.objectOf(index, task), { shown }),
      ({ data }) => {
        stage.fetches--;
        this.#model.checkContent(index, task, data);
      },
      (error) => {
        stage.fetches--;
        if (!isVolleyError(error)) throw error;
        if (this.#closing || this.#model.mayBeLost(index, task)) return;
        if (tries >= fetchesMax) this.#model.checkLoss(index, task);
        stage.fetches++;
        this.#node.later(fetchAgainMs, () => {
          stage.fetches--;
          this.#fetch(stage, task, shown, this.#world.calm ? tries + 1 : 0);
        });
      },
    );
  }
}

function rethrow(error: unknown): never {
  throw error;
}
