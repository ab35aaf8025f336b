/**
 * One run: a cluster, its clients and its misfortunes, all from one seed. Faults stop at some point; from then on
 * everything must come to its end within a bounded time (I11), and nothing may be left of what was closed (I7).
 */

import { isVolleyError } from "../proto/errors.js";
import type { JobId, LeaseId, ObjectId, WorkerId } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { Lease } from "../proto/messages/worker.js";
import { nextTurn, realRuntime } from "../proto/runtime.js";
import type { State } from "../scheduler/core/index.js";
import { endedJobsKeptMs } from "../scheduler/core/step.js";
import { Clock } from "./clock.js";
import { Disk } from "./disk.js";
import { type FaultRates, randomFaults } from "./fault-rates.js";
import { FaultPlan, type Victims } from "./faults.js";
import { JobClient } from "./job-client.js";
import { type JobModel, Violation } from "./job-model.js";
import { randomJobPlan } from "./job-plan.js";
import { checkForgotten, checkLeftovers } from "./leftovers.js";
import { calmNetwork, Network } from "./network.js";
import type { Process } from "./process.js";
import { Random } from "./random.js";
import { SchedulerNode } from "./scheduler-node.js";
import { SessionClient } from "./session-client.js";
import { Story } from "./story.js";
import { Provenance, Truth } from "./truth.js";
import { Watch } from "./watch.js";
import { WorkerNode } from "./worker-node.js";
import type { Counts } from "./world.js";

export interface SimulationOptions {
  readonly seed: number;
  /** Lines of the story to keep. */
  readonly storyKept?: number;
  /** In place of what the seed says. */
  readonly faults?: Partial<FaultRates>;
}

export interface Outcome {
  readonly seed: number;
  readonly violation: { readonly rule: string; readonly message: string } | undefined;
  readonly virtualMs: number;
  readonly counts: Counts;
  readonly network: Readonly<Network["counts"]>;
  readonly faults: FaultRates;
  readonly storyHash: string;
  readonly story: readonly string[];
}

/**
 * Virtual time by which everything must have ended after the last fault. Retries back off up to 30 s, sessions end with
 * their clients.
 */
const settleMsMax = 400_000;
/**
 * Sessions of clients that crashed end, and so long after its start a scheduler keeps what sessions might come back
 * for. Puts go 60 s later.
 */
const afterglowMs = limits.sessionTimeoutMs + 70_000;
/** So long after its start a worker is known to all, whatever is lost on the way. */
const knownAfterMs = 5_000;
/** After days: sweeps, and a page of held objects told again every 5 s. */
const forgettingMs = 90_000;

export class Simulation implements Victims {
  readonly clock = new Clock();
  readonly network: Network;
  readonly disk: Disk;
  readonly story: Story;
  readonly counts: Counts = {
    steps: 0,
    executions: 0,
    workerCrashes: 0,
    schedulerCrashes: 0,
    schedulerTakeovers: 0,
    drains: 0,
    joins: 0,
    partitions: 0,
    pauses: 0,
    outages: 0,
    clientCrashes: 0,
    restores: 0,
    replayChecks: 0,
    resultsChecked: 0,
    metrics: new Map(),
  };
  readonly jobs = new Map<JobId, JobModel>();
  readonly processes = new Map<string, Process>();
  readonly lapsed = new Set<JobId>();
  readonly truth = new Truth(this);
  readonly provenance = new Provenance();
  readonly grants = new Map<LeaseId, { atMs: number; epoch: number; lease: Lease }>();
  readonly made = new Map<ObjectId, Uint8Array>();
  readonly executions = new Map<string, number>();
  readonly workers = new Map<WorkerId, WorkerNode>();
  readonly schedulers: SchedulerNode[] = [];
  readonly clients: (SessionClient | JobClient)[] = [];
  epoch = 0;
  /** A process has done something: what its promises give rise to comes before all else. */
  turnDue = false;
  calm = false;
  resting = false;
  readonly #seed: number;
  readonly #random: Random;
  readonly #faults: FaultPlan;
  readonly #rates: FaultRates;
  #violation: { rule: string; message: string } | undefined;
  #workerCount = 0;

  constructor(options: SimulationOptions) {
    this.#seed = options.seed;
    this.#random = new Random(options.seed);
    this.story = new Story({ kept: options.storyKept ?? 400, now: () => this.clock.nowMs });
    this.network = new Network(this.clock, this.fork(), (address, run) => this.processes.get(address)?.receive(run));
    this.disk = new Disk(this.clock, this.fork());
    this.disk.facts.onForget = (job) => {
      this.truth.forget(job);
      this.provenance.forget(job);
      for (const key of this.executions.keys()) if (key.startsWith(`${job}/`)) this.executions.delete(key);
    };
    this.#rates = { ...randomFaults(this.#random), ...options.faults };
    this.#faults = new FaultPlan(this, this.fork(), this.#rates);
  }

  fork(): Random {
    return this.#random.fork();
  }

  isAlive(worker: WorkerId): boolean {
    return this.workers.get(worker)?.dead === false;
  }

  get rates(): FaultRates {
    return this.#rates;
  }
  get clockStepMs(): number {
    return this.#rates.clockStepMs;
  }

  isAnotherThere(than: WorkerId): boolean {
    return this.liveWorkers.some(
      ({ id, state, bornMs }) =>
        id !== than && !state.draining && state.epoch > 0 && this.clock.nowMs - bornMs > knownAfterMs,
    );
  }

  schedulerGone(): void {
    this.clock.after(this.#random.delay(500), () => {
      if (this.liveSchedulers.length === 0) this.addScheduler();
    });
  }

  replace(worker: WorkerId): void {
    const again = this.#random.chance(this.#rates.sameName);
    this.clock.after(this.#random.delay(500), () => this.addWorker(again ? worker : undefined));
  }

  violate(violation: Violation): void {
    if (this.#violation) return;
    this.#violation = { rule: violation.rule, message: violation.message };
    this.story.emit("oracle", `VIOLATION ${violation.message}`);
  }

  guard(actor: string, run: () => void): void {
    if (this.#violation) return;
    try {
      run();
    } catch (error) {
      if (error instanceof Violation) this.violate(error);
      else
        this.violate(
          new Violation(
            isVolleyError(error) ? error.code : "invariant",
            `${actor}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
          ),
        );
    }
    const [fault] = this.disk.faults;
    if (fault) this.violate(fault);
  }

  // ---------------------------------------------------------------------------------------------- actors

  addScheduler(): SchedulerNode {
    const node = new SchedulerNode(this, `scheduler${this.schedulers.length + 1}`);
    this.schedulers.push(node);
    this.guard(node.address, () => node.start());
    return node;
  }

  /** A new worker, or a new process of an old name. */
  addWorker(name = `worker${this.#workerCount + 1}`): WorkerNode {
    this.#workerCount++;
    this.counts.joins++;
    const node = new WorkerNode(this, name, this.#random.between(1, 3));
    this.workers.set(node.id, node);
    this.guard(node.address, () => node.start());
    return node;
  }

  get liveWorkers(): WorkerNode[] {
    return [...this.workers.values()].filter((worker) => !worker.dead);
  }
  get liveSchedulers(): SchedulerNode[] {
    return this.schedulers.filter((scheduler) => !scheduler.dead);
  }

  #populate(): void {
    const random = this.#random;
    this.addScheduler();
    for (let i = random.between(1, 3); i > 0; i--) this.clock.after(random.delay(30), () => this.addWorker());
    for (let i = random.between(0, 2); i > 0; i--) {
      this.clients.push(
        new SessionClient(this, `client${this.clients.length + 1}`, {
          stages: random.between(1, 16),
          withinMs: random.between(500, this.#faults.untilMs),
        }),
      );
    }
    for (let i = random.between(this.clients.length === 0 ? 1 : 0, 3); i > 0; i--) {
      const plan = lazily(() => randomJobPlan(this.fork(), `${i}`, [...this.made.keys()], this.#rates));
      this.clients.push(new JobClient(this, `client${this.clients.length + 1}`, plan));
      if (random.chance(0.3)) this.clients.push(new JobClient(this, `client${this.clients.length + 1}`, plan));
      // Another tenant has the same key in mind, for the same or another job.
      const other = random.chance(0.5) ? plan : lazily(() => randomJobPlan(this.fork(), `${i}`, [], this.#rates));
      if (random.chance(0.3)) this.clients.push(new JobClient(this, `client${this.clients.length + 1}`, other, "zeta"));
    }
    for (const client of this.clients)
      this.clock.after(random.unit() * 0.7 * this.#faults.untilMs, () =>
        this.guard(client.address, () => client.start()),
      );
  }

  // ---------------------------------------------------------------------------------------------- the run

  async run(): Promise<Outcome> {
    this.#populate();
    this.#faults.start();
    new Watch(this).start();
    await this.#advance(this.#faults.untilMs, () => false);
    this.#calmDown();
    const deadlineMs = this.clock.nowMs + settleMsMax;
    await this.#advance(deadlineMs, () => this.clients.every((client) => client.done));
    const waiting = this.clients.filter((client) => !client.done);
    if (waiting.length > 0)
      this.violate(
        new Violation(
          "I11",
          `${settleMsMax} ms after the last fault, ${waiting.map((client) => `${client.address} still waits for ${client.waitsFor}`).join("; ")}`,
        ),
      );
    this.resting = true;
    await this.#advance(this.clock.nowMs + afterglowMs, () => false);
    this.guard("oracle", () => {
      this.#checkEnded();
      checkLeftovers(this.#finalState, this.liveWorkers);
    });
    if (!this.#violation) await this.#comeBackLater();
    const { counts, story } = this;
    return {
      seed: this.#seed,
      violation: this.#violation,
      virtualMs: this.clock.nowMs,
      counts,
      network: this.network.counts,
      faults: this.#rates,
      storyHash: story.hash,
      story: story.lines,
    };
  }

  /** One thing that is due after the other; whatever promises it fulfils is carried out before the next. */
  async #advance(untilMs: number, isOver: () => boolean): Promise<void> {
    while (!this.#violation && !isOver() && this.clock.advance(untilMs)) {
      if (!this.turnDue) continue;
      this.turnDue = false;
      await nextTurn(realRuntime);
    }
  }

  /** The last fault is over: everybody can reach everybody, one scheduler speaks, and somebody works. */
  #calmDown(): void {
    this.story.emit("world", "faults stop");
    this.calm = true;
    this.network.faults = calmNetwork;
    this.#faults.healAll();
    const newest = Math.max(0, ...this.liveSchedulers.map((scheduler) => scheduler.epoch));
    for (const scheduler of this.liveSchedulers)
      if (scheduler.serving && scheduler.epoch < newest) scheduler.die("another one has taken over");
    if (this.liveSchedulers.length === 0) this.addScheduler();
    // Poison may kill all but one in turn.
    while (this.liveWorkers.filter((worker) => !worker.state.draining).length < 3) this.addWorker();
  }

  get #finalState(): State {
    const state = this.liveSchedulers.find((scheduler) => scheduler.serving)?.state;
    if (!state) throw new Violation("I11", "no scheduler serves at the end");
    return state;
  }

  /** Jobs go on without their clients. */
  #checkEnded(): void {
    for (const [job, { ended }] of this.disk.facts.jobs)
      if (ended === undefined) throw new Violation("I11", `job ${job} has not ended`);
  }

  /** Long after: what ended has been forgotten; who submits it again gets it anew. */
  async #comeBackLater(): Promise<void> {
    this.story.emit("world", "days pass");
    this.clock.jump(endedJobsKeptMs + 24 * 3_600_000);
    await this.#advance(this.clock.nowMs + forgettingMs, () => false);
    this.guard("oracle", () => checkForgotten(this.#finalState, this.liveWorkers));
    const again = this.clients
      .filter((client) => client instanceof JobClient && client.done && !client.process.dead && client.isSelfContained)
      .slice(0, 2) as JobClient[];
    this.resting = false;
    const late = again.map((client, i) => client.again(`late${i + 1}`));
    for (const client of late) this.guard(client.address, () => client.start());
    await this.#advance(this.clock.nowMs + settleMsMax, () => late.every((client) => client.done));
    for (const client of late)
      if (!client.done) this.violate(new Violation("I11", `${client.address} still waits for ${client.waitsFor}`));
  }
}

/** Made when the first asks: what can be read by then is read. */
function lazily<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** What a promise of the product's fails with and nobody hears is a fault of the product's. */
export async function simulate(options: SimulationOptions): Promise<Outcome> {
  const simulation = new Simulation(options);
  const onUnheard = (error: unknown): void =>
    simulation.guard("a promise", () => {
      throw error;
    });
  process.on("unhandledRejection", onUnheard);
  try {
    return await simulation.run();
  } finally {
    process.off("unhandledRejection", onUnheard);
  }
}
