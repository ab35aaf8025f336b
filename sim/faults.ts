/** The misfortunes of one run: when processes die, leave, hang or are cut off, and how bad the network is meanwhile. */
import { limits } from "../proto/limits.js";
import type { FaultRates } from "./fault-rates.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";
import type { SchedulerNode } from "./scheduler-node.js";
import type { WorkerNode } from "./worker-node.js";
import type { World } from "./world.js";

interface Node {
  readonly address: string;
  readonly process: Process;
}
interface Client extends Node {
  readonly done: boolean;
  crash(): void;
}

/** What misfortunes befall. */
export interface Victims extends World {
  readonly liveWorkers: readonly WorkerNode[];
  readonly liveSchedulers: readonly SchedulerNode[];
  readonly clients: readonly Client[];
  addWorker(name?: string): void;
  addScheduler(): void;
}

export class FaultPlan {
  readonly untilMs: number;
  readonly #world: Victims;
  readonly #random: Random;
  readonly #rates: FaultRates;
  readonly #cut = new Set<string>();

  constructor(world: Victims, random: Random, rates: FaultRates) {
    this.#world = world;
    this.#random = random;
    this.#rates = rates;
    this.untilMs = rates.untilMs;
  }

  start(): void {
    const rates = this.#rates;
    this.#world.network.faults = rates.network;
    this.#world.disk.delayMs = this.#random.pick([0.5, 2, 30]);
    this.#world.disk.refusal = rates.appendRefusal;
    this.#world.disk.silence = rates.appendSilence;
    this.#world.disk.blobRefusal = rates.blobRefusal;
    this.#every(rates.workerPauseMs, () => this.#pause(this.#anyOf(this.#world.liveWorkers), 14_000));
    this.#every(rates.schedulerPauseMs, () => this.#pause(this.#anyOf(this.#world.liveSchedulers), 20_000));
    this.#every(rates.clientPauseMs, () =>
      this.#pause(this.#anyOf(this.#busyClients), this.#random.chance(0.3) ? 2 * limits.sessionTimeoutMs : 60_000),
    );
    this.#every(rates.clientCrashMs, () => this.#crashClient());
    this.#every(rates.outageMs, () => this.#outage());
    this.#every(rates.workerCrashMs, () => this.#crashWorker());
    this.#every(rates.workerDrainMs, () => this.#drainWorker());
    this.#every(rates.workerCutMs, () => this.#cutOff(this.#anyOf(this.#world.liveWorkers)?.address));
    this.#every(rates.schedulerCrashMs, () => this.#crashScheduler());
    this.#every(rates.takeoverMs, () => this.#takeOver());
    this.#every(rates.schedulerCutMs, () => this.#cutOff(this.#anyOf(this.#world.liveSchedulers)?.address));
    this.#every(rates.clientCutMs, () => this.#cutOff(this.#anyOf(this.#world.clients)?.address));
  }

  healAll(): void {
    for (const address of [...this.#cut]) this.#heal(address);
    this.#reconnect();
    this.#world.disk.refusal = 0;
    this.#world.disk.silence = 0;
    this.#world.disk.blobRefusal = 0;
    for (const { process } of [...this.#world.liveWorkers, ...this.#world.liveSchedulers, ...this.#world.clients])
      process.resume(true);
  }

  get #busyClients(): Client[] {
    return this.#world.clients.filter((client) => !client.done);
  }

  #anyOf<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : this.#random.pick(items);
  }

  #every(meanMs: number, strike: () => void): void {
    if (!Number.isFinite(meanMs)) return;
    const delayMs = meanMs * (0.3 + 1.4 * this.#random.unit());
    if (this.#world.clock.nowMs + delayMs >= this.untilMs) return;
    this.#world.clock.after(delayMs, () => {
      strike();
      this.#every(meanMs, strike);
    });
  }

  /** Soon, but not after faults have stopped. */
  #soon(delayMs: number, run: () => void): void {
    this.#world.clock.after(Math.max(0, Math.min(delayMs, this.untilMs - 1 - this.#world.clock.nowMs)), run);
  }

  #crashWorker(): void {
    const worker = this.#anyOf(this.#world.liveWorkers);
    if (!worker) return;
    this.#world.counts.workerCrashes++;
    worker.die("crashed");
    const again = this.#random.chance(this.#rates.sameName) && !this.#cut.has(worker.address);
    if (again) this.#soon(this.#random.delay(300), () => this.#world.addWorker(worker.address));
    else if (this.#random.chance(0.85)) this.#soon(this.#random.delay(1_000), () => this.#world.addWorker());
  }

  #drainWorker(): void {
    const worker = this.#anyOf(this.#world.liveWorkers);
    if (!worker) return;
    this.#world.counts.drains++;
    this.#world.guard(worker.address, () => worker.drain());
    this.#soon(this.#random.delay(500), () => this.#world.addWorker());
  }

  #crashScheduler(): void {
    const scheduler = this.#anyOf(this.#world.liveSchedulers);
    if (!scheduler) return;
    this.#world.counts.schedulerCrashes++;
    scheduler.die("crashed");
  }

  /**
   * A second scheduler starts while the first still speaks; now and then the first is cut off meanwhile, and comes back
   * as if nothing had happened.
   */
  #takeOver(): void {
    const [first] = this.#world.liveSchedulers;
    if (!first || this.#world.liveSchedulers.length > 1) return;
    this.#world.counts.schedulerTakeovers++;
    if (this.#random.chance(0.4)) this.#cutOff(first.address);
    this.#world.addScheduler();
    this.#soon(this.#random.delay(4_000), () => first.die("its machine was taken away"));
  }

  #crashClient(): void {
    const client = this.#anyOf(this.#busyClients);
    if (!client) return;
    this.#world.counts.clientCrashes++;
    client.crash();
  }

  /** Short of every timeout, and beyond it. */
  #pause(node: Node | undefined, mostMs: number): void {
    if (!node || node.process.paused) return;
    this.#world.counts.pauses++;
    node.process.pause();
    const mailFirst = this.#random.chance(0.5);
    const pauseMs = this.#random.chance(0.5) ? this.#random.delay(1_500) : this.#random.between(5_000, mostMs);
    this.#soon(pauseMs, () => node.process.resume(mailFirst));
  }

  #outage(): void {
    const { network, counts, story } = this.#world;
    if (network.away) return;
    counts.outages++;
    story.emit("broker", "is away");
    network.away = true;
    this.#soon(
      this.#random.chance(0.4)
        ? this.#random.delay(2_000)
        : this.#random.between(5_000, this.#random.chance(0.2) ? 300_000 : 30_000),
      () => this.#reconnect(),
    );
  }

  #reconnect(): void {
    const { network, story } = this.#world;
    if (!network.away) return;
    story.emit("broker", "is back");
    network.away = false;
  }

  #cutOff(address: string | undefined): void {
    if (address === undefined || this.#cut.has(address)) return;
    this.#world.counts.partitions++;
    this.#world.story.emit(address, "is cut off");
    this.#cut.add(address);
    this.#world.network.cut(address);
    // Short of and beyond heartbeatTimeoutMs.
    this.#soon(this.#random.chance(0.5) ? this.#random.delay(1_500) : this.#random.between(5_000, 14_000), () =>
      this.#heal(address),
    );
  }

  #heal(address: string): void {
    if (!this.#cut.delete(address)) return;
    this.#world.story.emit(address, "is reachable again");
    this.#world.network.heal(address);
  }
}
