/** A worker process: the product's own agent and core, with a model of threads, memory and disk. */
import type { LeaseId, ObjectId, WorkerId } from "../proto/ids.js";
import type { Runtime } from "../proto/runtime.js";
import type { WorkerCommand, WorkerEvent } from "../worker/core/events.js";
import { checkWorkerInvariants, type WorkerState } from "../worker/core/state.js";
import { workerStep } from "../worker/core/step.js";
import { Agent } from "../worker/shell/agent.js";
import type { AgentMetrics, AgentParts } from "../worker/shell/parts.js";
import { Violation } from "./job-model.js";
import { Process } from "./process.js";
import { processRuntime } from "./process-runtime.js";
import type { Random } from "./random.js";
import { frameTransportBytes, SimTransport } from "./sim-transport.js";
import { SlotExecutor } from "./slot-executor.js";
import { WatchedStore } from "./watched-store.js";
import type { World } from "./world.js";

/** So small that it is full now and then. */
const storeBytes = 1 << 16;
const unheard = (): void => undefined;

export class WorkerNode {
  readonly id: WorkerId;
  readonly address: string;
  readonly process: Process;
  readonly bornMs: number;
  readonly #world: World;
  readonly #random: Random;
  readonly #slots: number;
  readonly #runtime: Runtime;
  readonly #agent: Agent;
  #store!: WatchedStore;
  #executor!: SlotExecutor;

  constructor(world: World, id: string, slots: number) {
    this.#world = world;
    this.#random = world.fork();
    this.#slots = slots;
    this.id = id as WorkerId;
    this.address = id;
    this.process = new Process(world, id);
    this.bornMs = world.clock.nowMs;
    this.#runtime = processRuntime(world, this.process, this.#random);
    this.#agent = this.#assemble();
  }

  get dead(): boolean {
    return this.process.dead;
  }
  get state(): WorkerState {
    return this.#agent.state;
  }
  /** What it holds. */
  get objects(): ReadonlySet<ObjectId> {
    return this.#store.ids;
  }

  /** Tasks of a running lease that no thread has begun. */
  unstarted(lease: LeaseId): number {
    return this.#executor.unstarted(lease);
  }

  start(): void {
    this.process.emit(`joins with ${this.#slots} slots`);
    this.#agent.start();
    this.#agent.ended.then(
      () => this.process.receive(() => this.process.die("drained")),
      (error: unknown) =>
        this.process.receive(() => {
          if (error instanceof Violation) throw error;
          throw new Violation("agent", `${this.id} cannot go on: ${String((error as Error)?.stack ?? error)}`);
        }),
    );
  }

  drain(): void {
    this.process.emit("drains");
    this.#agent.drain().catch(unheard);
  }

  die(why: string): void {
    if (this.dead) return;
    this.process.die(why);
    this.#world.truth.died(this.process);
  }

  /** Its deregistration is said: what it held is with others, if there are any. */
  #part(): void {
    // Without a word of a scheduler it goes in the end.
    const wasReachable = this.state.leave?.free !== false;
    this.#world.truth.left(this.process, wasReachable && this.#world.isAnotherThere(this.id));
  }

  #assemble(): Agent {
    const { network, disk } = this.#world;
    const runtime = this.#runtime;
    const log = (fields: object, text: string): void => this.process.emit(`${text} ${JSON.stringify(fields)}`);
    return new Agent({
      worker: this.id,
      node: "model",
      slots: this.#slots,
      storeBytes,
      threadHeapBytes: 0,
      control: new SimTransport(network, this.process, runtime),
      frames: new SimTransport(network, this.process, runtime, frameTransportBytes),
      durable: disk.open({ process: this.process, isCut: () => network.isCut(this.address) }),
      log: { info: log, warn: log, error: log },
      runtime,
      parts: this.#parts(),
    });
  }

  #parts(): AgentParts {
    const world = this.#world;
    const metrics: AgentMetrics = {
      frame: unheard,
      fetched: unheard,
      slotTime: unheard,
      lease: unheard,
      count: unheard,
      close: unheard,
    };
    return {
      step: (state, event, nowMs) => this.#step(state, event, nowMs),
      store: (options) => {
        this.#store = new WatchedStore(options, this.#runtime, world.truth, this.process);
        if (world.rates.ballastBytes > 0) this.#store.tryAllocate(world.rates.ballastBytes);
        return this.#store;
      },
      pool: ({ memory, slots }) => {
        this.#executor = new SlotExecutor({
          world,
          process: this.process,
          runtime: this.#runtime,
          random: this.#random,
          slots,
          memory: memory ?? this.#store.memory,
          perish: () => {
            this.die("of a poisonous task");
            world.replace(this.id);
          },
        });
        return this.#executor;
      },
      // The model's functions are known by name.
      bundles: () => ({ url: async (bundle) => `model:${bundle}`, urlNow: (bundle) => `model:${bundle}` }),
      metrics: () => metrics,
    };
  }

  #step(state: WorkerState, event: WorkerEvent, nowMs: number): WorkerCommand[] {
    this.#world.counts.steps++;
    const stale = event.e === "commands" && event.message.epoch < state.epoch;
    const commands = workerStep(state, event, nowMs);
    checkWorkerInvariants(state);
    if (commands.some(({ c }) => c === "stopped")) this.#part();
    if (stale && commands.some(({ c }) => c !== "count" && c !== "log" && c !== "run"))
      throw new Violation(
        "I2",
        `${this.id} of epoch ${state.epoch} obeyed a scheduler of an older epoch: ${commands.map(({ c }) => c).join()}`,
      );
    return commands;
  }
}
