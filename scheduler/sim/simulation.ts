/**
 * One run: a cluster, its clients and its misfortunes, all from one seed. Faults stop at some point; from then on everything must come to its end
 * within a bounded time (I11), and nothing may be left of what was closed (I7).
 */

import { isVolleyError } from "../../proto/errors.js";
import { type JobId, type LeaseId, type ObjectId, splitObjectId, type WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { Clock } from "./clock.js";
import { Disk } from "./disk.js";
import { type FaultRates, randomFaults } from "./fault-rates.js";
import { FaultPlan, type Victims } from "./faults.js";
import { JobClient, randomJobPlan } from "./job-client.js";
import { type JobModel, Violation } from "./job-model.js";
import { calmNetwork, Network } from "./network.js";
import { type Plant, plants } from "./plant.js";
import { Random } from "./random.js";
import { SchedulerNode } from "./scheduler-node.js";
import { SessionClient } from "./session-client.js";
import { Story } from "./story.js";
import { WorkerNode } from "./worker-node.js";
import type { Counts } from "./world.js";

export interface SimulationOptions {
  readonly seed: number;
  /** A planted bug, by name (plant.ts). */
  readonly plant?: string | undefined;
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
  readonly storyHash: string;
  readonly story: readonly string[];
}

/** Virtual time by which everything must have ended after the last fault. Retries back off up to 30 s, sessions end with their clients. */
const settleMsMax = 240_000;
/** Sessions time out, and what was kept for them goes then; puts without an owner go 30 to 60 s later. */
const afterglowMs = limits.sessionTimeoutMs + 100_000;

export class Simulation implements Victims {
  readonly clock = new Clock();
  readonly network: Network;
  readonly disk: Disk;
  readonly story: Story;
  readonly plant: Plant | undefined;
  readonly counts: Counts = {
    steps: 0,
    executions: 0,
    workerCrashes: 0,
    schedulerCrashes: 0,
    schedulerUsurpations: 0,
    drains: 0,
    joins: 0,
    partitions: 0,
    restores: 0,
    replayChecks: 0,
    resultsChecked: 0,
    metrics: new Map(),
  };
  readonly jobs = new Map<JobId, JobModel>();
  readonly grants = new Map<LeaseId, { atMs: number; epoch: number }>();
  readonly made = new Map<ObjectId, Uint8Array>();
  readonly executions = new Map<string, number>();
  readonly workers = new Map<WorkerId, WorkerNode>();
  readonly schedulers: SchedulerNode[] = [];
  readonly clients: (SessionClient | JobClient)[] = [];
  epoch = 0;
  readonly #seed: number;
  readonly #random: Random;
  readonly #faults: FaultPlan;
  #violation: { rule: string; message: string } | undefined;
  #workerCount = 0;

  constructor(options: SimulationOptions) {
    this.#seed = options.seed;
    this.#random = new Random(options.seed);
    this.story = new Story({ kept: options.storyKept ?? 400, now: () => this.clock.nowMs });
    this.network = new Network(this.clock, this.fork());
    this.disk = new Disk(this.clock, this.fork());
    if (options.plant !== undefined) {
      this.plant = plants[options.plant];
      if (!this.plant) throw new RangeError(`no planted bug is named ${JSON.stringify(options.plant)}; there are: ${Object.keys(plants).join(", ")}`);
    }
    this.disk.fenced = this.plant?.unfenced !== true;
    this.#faults = new FaultPlan(this, this.fork(), { ...randomFaults(this.#random), ...options.faults });
  }

  fork(): Random {
    return this.#random.fork();
  }

  isAlive(worker: WorkerId): boolean {
    return this.workers.get(worker)?.dead === false;
  }

  violate(violation: Violation): void {
    if (this.#violation) return;
    this.#violation = { rule: violation.rule, message: violation.message };
    this.story.tell("oracle", `VIOLATION ${violation.message}`);
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

  addWorker(): WorkerNode {
    this.#workerCount++;
    this.counts.joins++;
    const node = new WorkerNode(this, `worker${this.#workerCount}`, this.#random.between(1, 3));
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
        new SessionClient(this, `client${this.clients.length + 1}`, { stages: random.between(1, 16), withinMs: random.between(500, this.#faults.untilMs) }),
      );
    }
    for (let i = random.between(this.clients.length === 0 ? 1 : 0, 3); i > 0; i--) {
      const plan = lazily(() => randomJobPlan(this.fork(), `${i}`, [...this.made.keys()]));
      this.clients.push(new JobClient(this, `client${this.clients.length + 1}`, plan));
      if (random.chance(0.3)) this.clients.push(new JobClient(this, `client${this.clients.length + 1}`, plan));
    }
    for (const client of this.clients) this.clock.after(random.unit() * 0.7 * this.#faults.untilMs, () => this.guard(client.address, () => client.start()));
  }

  // ---------------------------------------------------------------------------------------------- the run

  run(): Outcome {
    this.#populate();
    this.#faults.start();
    this.#advance(this.#faults.untilMs, () => false);
    this.#calmDown();
    const deadlineMs = this.clock.nowMs + settleMsMax;
    this.#advance(deadlineMs, () => this.clients.every((client) => client.done));
    const waiting = this.clients.filter((client) => !client.done);
    if (waiting.length > 0)
      this.violate(
        new Violation(
          "I11",
          `${settleMsMax} ms after the last fault, ${waiting.map((client) => `${client.address} still waits for ${client.waitsFor}`).join("; ")}`,
        ),
      );
    this.#advance(this.clock.nowMs + afterglowMs, () => false);
    this.guard("oracle", () => this.#checkLeftovers());
    const { counts, story } = this;
    return {
      seed: this.#seed,
      violation: this.#violation,
      virtualMs: this.clock.nowMs,
      counts,
      network: this.network.counts,
      storyHash: story.hash,
      story: story.lines,
    };
  }

  #advance(untilMs: number, isOver: () => boolean): void {
    while (!this.#violation && !isOver() && this.clock.advance(untilMs));
  }

  /** The last fault is over: everybody can reach everybody, one scheduler speaks, and somebody works. */
  #calmDown(): void {
    this.story.tell("world", "faults stop");
    this.network.faults = calmNetwork;
    this.#faults.healAll();
    const newest = Math.max(0, ...this.liveSchedulers.map((scheduler) => scheduler.epoch));
    for (const scheduler of this.liveSchedulers) if (scheduler.serving && scheduler.epoch < newest) scheduler.die("another one has taken over");
    if (this.liveSchedulers.length === 0) this.addScheduler();
    if (this.liveWorkers.length === 0 || this.liveWorkers.every((worker) => worker.state.draining)) this.addWorker();
  }

  /** I7: what was closed has left nothing behind. Durable jobs that ended are kept, with what they refer to. */
  #checkLeftovers(): void {
    const state = this.liveSchedulers.find((scheduler) => scheduler.serving)?.state;
    if (!state) throw new Violation("I11", "no scheduler serves at the end");
    const left: string[] = [];
    for (const job of state.jobs.values()) if (!job.durable || job.state === "running") left.push(`job ${job.id} (${job.state})`);
    if (state.leases.size > 0) left.push(`leases ${[...state.leases.keys()].join()}`);
    if (state.queued > 0) left.push(`${state.queued} queued tasks`);
    for (const worker of this.liveWorkers)
      if (worker.state.leases.size + worker.state.outbox.size > 0)
        left.push(`${worker.id} with ${worker.state.leases.size} leases and ${worker.state.outbox.size} unacknowledged reports`);
    const referred = new Set([...state.jobs.values()].flatMap((job) => [...job.objects.values()].map((facts) => facts.id)));
    for (const [id, put] of state.puts) if (!put.durable && !referred.has(id)) left.push(`put ${id}`);
    for (const id of state.holders.keys()) if (!state.catalog.has(splitObjectId(id).base) && !state.puts.has(id)) left.push(`holders of ${id}`);
    if (this.network.counts.lost + this.network.counts.cut === 0) {
      for (const worker of this.liveWorkers)
        for (const id of worker.objects.keys())
          if (!state.catalog.has(splitObjectId(id).base) && !state.puts.has(id)) left.push(`object ${id} on ${worker.id}`);
    }
    if (left.length > 0) throw new Violation("I7", `left behind: ${left.slice(0, 8).join(", ")}`);
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

export const simulate = (options: SimulationOptions): Outcome => new Simulation(options).run();
