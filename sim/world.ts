/** What the actors of a simulation share: time, chance, network, disk, the story, and the oracles' memory. */
import type { JobId, LeaseId, ObjectId, WorkerId } from "../proto/ids.js";
import type { Lease } from "../proto/messages/worker.js";
import type { Clock } from "./clock.js";
import type { Disk } from "./disk.js";
import type { WorkRates } from "./fault-rates.js";
import type { JobModel, Violation } from "./job-model.js";
import type { Network } from "./network.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";
import type { Story } from "./story.js";
import type { Provenance, Truth } from "./truth.js";

export interface Counts {
  steps: number;
  executions: number;
  workerCrashes: number;
  schedulerCrashes: number;
  schedulerTakeovers: number;
  drains: number;
  joins: number;
  partitions: number;
  pauses: number;
  outages: number;
  clientCrashes: number;
  restores: number;
  replayChecks: number;
  resultsChecked: number;
  /** The schedulers' own counters, summed. */
  readonly metrics: Map<string, number>;
}

export interface World {
  readonly clock: Clock;
  readonly rates: WorkRates & { readonly ballastBytes: number };
  /** Nothing is going on any more: clocks may tick more slowly. */
  readonly resting: boolean;
  /** How far the wall clock of a machine may be off. */
  readonly clockStepMs: number;
  /** The last fault is over. */
  readonly calm: boolean;
  readonly truth: Truth;
  readonly provenance: Provenance;
  readonly network: Network;
  readonly disk: Disk;
  readonly story: Story;
  readonly counts: Counts;
  readonly jobs: Map<JobId, JobModel>;
  /** When a lease was first given out, and by which epoch. */
  readonly grants: Map<LeaseId, { atMs: number; epoch: number; lease: Lease }>;
  /** Results of durable jobs that succeeded: anybody may read them. */
  readonly made: Map<ObjectId, Uint8Array>;
  /** Executions so far by `job/stage/task`. */
  readonly executions: Map<string, number>;
  /** Highest epoch in which a scheduler has served. */
  epoch: number;
  turnDue: boolean;
  /** By address; of a name that was used again, the latest. */
  readonly processes: Map<string, Process>;
  fork(): Random;
  isAlive(worker: WorkerId): boolean;
  /** Another worker lives and stays, which the cluster knows; it may be stopped or cut off just now. */
  isAnotherThere(than: WorkerId): boolean;
  /** A scheduler's process has ended: somebody starts another one if there is none. */
  schedulerGone(): void;
  /** A worker has died of what it executed: another one comes. */
  replace(worker: WorkerId): void;
  /** Sessions that were closed because nothing was heard of their clients, and rightly so. */
  readonly lapsed: Set<JobId>;
  violate(violation: Violation): void;
  /** Runs what an actor does; a throw of a core is a violation. */
  guard(actor: string, run: () => void): void;
}
