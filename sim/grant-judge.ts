/** What a scheduler may lease out: nothing that is committed, nothing before what has a higher priority. */
import type { Epoch, JobId, LeaseId, WorkerId } from "../proto/ids.js";
import type { Lease } from "../proto/messages/worker.js";
import type { State } from "../scheduler/core/index.js";
import { Violation } from "./job-model.js";
import type { World } from "./world.js";

export class GrantJudge {
  readonly #world: World;
  readonly #emit: (what: string) => void;
  readonly #leased = new Map<LeaseId, { job: JobId; durable: boolean }>();

  constructor(world: World, emit: (what: string) => void) {
    this.#world = world;
    this.#emit = emit;
  }

  /** Whose lease it was, also after its end. */
  jobOf(lease: LeaseId): { job: JobId; durable: boolean } | undefined {
    return this.#leased.get(lease);
  }

  granted(lease: Lease, worker: WorkerId, epoch: Epoch, state: State): void {
    const { grants, clock, disk } = this.#world;
    if (grants.has(lease.lease)) return;
    grants.set(lease.lease, { atMs: clock.nowMs, epoch, lease });
    this.#world.truth.granted(lease, worker);
    this.#leased.set(lease.lease, { job: lease.job, durable: lease.durable });
    this.#emit(
      `leases ${lease.lease} to ${worker}: ${lease.job} stage ${lease.stage} [${lease.from}, ${lease.to}) attempt ${lease.attempt}`,
    );
    this.#checkOrder(lease, state);
    if (!lease.durable || epoch < this.#world.epoch) return;
    for (let task = lease.from; task < lease.to; task++) {
      if (disk.committedAtMs(lease.job, lease.stage, task) !== undefined) {
        throw new Violation(
          "once",
          `task ${task} of stage ${lease.stage} of ${lease.job} is leased again (${lease.lease}), but its commit is in the journal`,
        );
      }
    }
  }

  #checkOrder(lease: Lease, state: State): void {
    for (const job of state.jobs.values()) {
      for (const stage of job.stages.values()) {
        if (!stage.queue.isEmpty && stage.spec.options.priority > lease.options.priority)
          throw new Violation(
            "command",
            `stage ${lease.stage} of ${lease.job} is leased before stage ${stage.index} of ${job.id}, which has a higher priority`,
          );
      }
    }
  }
}
