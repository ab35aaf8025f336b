/** A scheduler process: the product's own shell and core, on the models of network and disk. */
import { isVolleyError } from "../proto/errors.js";
import type { State } from "../scheduler/core/index.js";
import { exitCodes, SchedulerShell, type ShellLog, type ShellMetrics } from "../scheduler/shell/shell.js";
import { Violation } from "./job-model.js";
import { CoreJudge } from "./judged-core.js";
import { Process } from "./process.js";
import { processRuntime } from "./process-runtime.js";
import type { Random } from "./random.js";
import { isOfTheNetwork, SimTransport } from "./sim-transport.js";
import type { World } from "./world.js";

const tickMs = 20;
const snapshotEntries = 25;
const unheard = (): void => undefined;

export class SchedulerNode {
  readonly address: string;
  readonly process: Process;
  readonly #world: World;
  readonly #random: Random;
  readonly #judge: CoreJudge;

  constructor(world: World, address: string) {
    this.#world = world;
    this.#random = world.fork();
    this.address = address;
    this.process = new Process(world, address);
    this.#judge = new CoreJudge(world, this.process);
  }

  get dead(): boolean {
    return this.process.dead;
  }
  get serving(): boolean {
    return !this.dead && this.#judge.state !== undefined;
  }
  get epoch(): number {
    return this.#judge.epoch;
  }
  get state(): State | undefined {
    return this.#judge.state;
  }

  die(why: string): void {
    if (this.dead) return;
    this.process.die(why);
    this.#world.schedulerGone();
  }

  start(): void {
    this.process.emit("starts");
    this.process.later(this.#random.delay(20), () => {
      this.#serve().catch((error: unknown) => this.process.receive(() => this.#couldNotStart(error)));
    });
  }

  async #serve(): Promise<void> {
    const { network, disk } = this.#world;
    const runtime = processRuntime(this.#world, this.process, this.#random);
    await SchedulerShell.start({
      core: this.#judge.port,
      transport: new SimTransport(network, this.process, runtime),
      durable: disk.open({ process: this.process, isCut: () => network.isCut(this.address) }),
      metrics: this.#metrics(),
      log: this.#log(),
      tickMs,
      snapshotEntries,
      snapshotBytes: Number.POSITIVE_INFINITY,
      runtime,
      onFatal: (error, code) => this.#ended(error, code),
    });
  }

  /** It may begin again; a journal that cannot be read is nobody's misfortune here. */
  #couldNotStart(error: unknown): void {
    if (isVolleyError(error) && error.code === "FENCED") this.die("another scheduler was first");
    else if (isOfTheNetwork(error)) this.die(`cannot start: ${(error as Error).message}`);
    else throw error;
  }

  #ended(error: Error, code: number): void {
    if (code === exitCodes.fenced) this.die("fenced: another scheduler writes the journal");
    else if (code === exitCodes.again)
      this.#world.violate(
        new Violation(
          "M6",
          `a worker has followed a scheduler that the journal of epoch ${this.epoch} knows nothing of`,
        ),
      );
    else this.#world.guard(this.address, () => rethrow(error));
  }

  #metrics(): ShellMetrics {
    const { metrics } = this.#world.counts;
    return {
      add: (name, _help, by, labels) => {
        if (name === "messages_refused" && labels?.code === "INTERNAL")
          throw new Violation("invariant", `${this.address} could not take a message of a ${labels.from}`);
        metrics.set(name, (metrics.get(name) ?? 0) + by);
      },
      count: ({ metric, by }) => metrics.set(metric, (metrics.get(metric) ?? 0) + by),
      set: unheard,
      observe: unheard,
      appended: unheard,
      received: unheard,
      sent: unheard,
      watch: unheard,
    };
  }

  #log(): ShellLog {
    const emit = (fields: object, text: string): void => this.process.emit(`${text} ${JSON.stringify(fields)}`);
    // What the core says is told by the judge, with its cause.
    return { info: unheard, warn: emit, error: emit };
  }
}

function rethrow(error: Error): never {
  throw error;
}
