/**
 * Judges that look once a second: nothing waits for long while a slot is free and nobody is in trouble; what workers
 * hold and what the scheduler believes they hold agree (I4, both sides), and so do sessions and the scheduler on what
 * is put and given back.
 */
import type { LeaseId } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { State } from "../scheduler/core/index.js";
import { Violation } from "./job-model.js";
import type { SchedulerNode } from "./scheduler-node.js";
import { SessionClient } from "./session-client.js";
import { disagreements } from "./session-judge.js";
import type { WorkerNode } from "./worker-node.js";
import type { World } from "./world.js";

export interface Watched extends World {
  readonly liveWorkers: readonly WorkerNode[];
  readonly liveSchedulers: readonly SchedulerNode[];
  readonly clients: readonly { readonly address: string }[];
}

const lookEveryMs = 1_000;
/** A worker may hold a lease that is over for so long: heartbeats ask, and the answer may be lost. */
const strayMsMax = 3_500;
/** Queued tasks may wait so long beside a worker that has nothing to do. */
const idleMsMax = 4_000;
/** So long a session and the scheduler may differ: a new scheduler waits for workers to tell what they hold. */
const apartMsMax = limits.heartbeatTimeoutMs + 3_500;
/** Tasks may wait so long behind another one on a worker, beside a worker that has nothing to do. */
const behindMsMax = 20_000;

export class Watch {
  readonly #world: Watched;
  /** When each was first seen in this state, without a break. */
  readonly #strays = new Map<string, number>();
  readonly #apart = new Map<string, number>();
  readonly #idle = new Map<string, number>();
  readonly #behind = new Map<LeaseId, number>();

  constructor(world: Watched) {
    this.#world = world;
  }

  start(): void {
    this.#world.clock.after(lookEveryMs, () => {
      this.#world.guard("oracle", () => this.#look());
      this.start();
    });
  }

  #look(): void {
    const { liveSchedulers, liveWorkers, epoch, network } = this.#world;
    const scheduler = liveSchedulers.find((one) => one.serving && one.epoch === epoch);
    const reachable = (node: SchedulerNode | WorkerNode | SessionClient): boolean =>
      !node.process.dead && !node.process.paused && !network.isCut(node.address);
    if (!scheduler?.state || !reachable(scheduler)) {
      for (const map of [this.#strays, this.#apart, this.#idle, this.#behind]) map.clear();
      return;
    }
    const workers = liveWorkers.filter(reachable);
    const joined = workers.filter(({ state }) => state.link.l === "joined" && state.epoch === epoch);
    this.#lookForStrays(scheduler.state, joined);
    this.#lookForIdle(scheduler.state, joined);
    const sessions = this.#world.clients.filter((client) => client instanceof SessionClient);
    this.#lookForDisagreement(scheduler.state, sessions.filter(reachable));
  }

  /** Since when, if it has been so at every look. */
  #since<K>(map: Map<K, number>, now: ReadonlySet<K>): void {
    for (const key of map.keys()) if (!now.has(key)) map.delete(key);
    for (const key of now) if (!map.has(key)) map.set(key, this.#world.clock.nowMs);
  }

  #overdue<K>(map: ReadonlyMap<K, number>, mostMs: number): K | undefined {
    for (const [key, since] of map) if (this.#world.clock.nowMs - since > mostMs) return key;
    return undefined;
  }

  #lookForStrays(state: State, workers: readonly WorkerNode[]): void {
    const strays = new Set<string>();
    for (const worker of workers) {
      for (const [lease, { phase }] of worker.state.leases) {
        if (phase.p !== "void" && phase.p !== "finishing" && !state.leases.has(lease))
          strays.add(`${worker.id} holds lease ${lease} (${phase.p})`);
      }
    }
    this.#since(this.#strays, strays);
    const mostMs = this.#patient(strayMsMax);
    const stray = this.#overdue(this.#strays, mostMs);
    if (stray !== undefined)
      throw new Violation("I4", `${stray} for more than ${mostMs} ms, and the scheduler does not know it`);
  }

  /** Where messages are lost, words have to be said more than once. */
  #patient(mostMs: number): number {
    return this.#world.network.faults.loss > 0 ? 3 * mostMs : mostMs;
  }

  #lookForDisagreement(state: State, clients: readonly SessionClient[]): void {
    const apart = clients
      .filter((client) => client.session.epochs.epoch === state.epoch)
      .flatMap((client) => [...disagreements(client.session, state)]);
    this.#since(this.#apart, new Set(apart));
    const mostMs = this.#patient(apartMsMax);
    const lasting = this.#overdue(this.#apart, mostMs);
    if (lasting !== undefined) throw new Violation("sessions", `for more than ${mostMs} ms ${lasting}`);
  }

  #lookForIdle(state: State, workers: readonly WorkerNode[]): void {
    const free = workers.filter(
      (worker) => worker.state.leases.size === 0 && !worker.state.draining && worker.state.outbox.size === 0,
    );
    this.#since(this.#idle, new Set(state.queued > 0 ? free.map(({ id }) => id) : []));
    const idle = this.#overdue(this.#idle, idleMsMax);
    if (idle !== undefined)
      throw new Violation(
        "idle",
        `${idle} has had nothing to do for ${idleMsMax} ms while ${state.queued} tasks are queued`,
      );
    const behind = new Set<LeaseId>();
    if (free.length > 0) {
      for (const worker of workers) {
        for (const [lease, entry] of worker.state.leases) {
          if (entry.phase.p === "ready" || ("slot" in entry.phase && worker.unstarted(lease) > 0)) behind.add(lease);
        }
      }
    }
    this.#since(this.#behind, behind);
    const late = this.#overdue(this.#behind, behindMsMax);
    if (late !== undefined)
      throw new Violation(
        "idle",
        `tasks of lease ${late} have waited behind others for ${behindMsMax} ms while a worker has nothing to do`,
      );
  }
}
