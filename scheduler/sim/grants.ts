/** Leases as the oracles see them: what is committed in the journal is never leased again. And what a core would commit that does not look at leases. */
import type { JobId, LeaseId } from "../../proto/ids.js";
import type { Lease, WorkerRequestOf } from "../../proto/messages.js";
import type { Command, State } from "../core/index.js";
import { Violation } from "./job-model.js";
import type { World } from "./world.js";

/** False: this lease was noted before. */
export function noteGrant(world: World, epoch: number, lease: Lease): boolean {
  if (world.grants.has(lease.lease as LeaseId)) return false;
  world.grants.set(lease.lease, { atMs: world.clock.nowMs, epoch });
  if (!lease.durable || epoch < world.epoch) return true;
  for (let task = lease.from; task < lease.to; task++) {
    if (world.disk.committedAtMs(lease.job, lease.stage, task) !== undefined)
      throw new Violation("once", `task ${task} of stage ${lease.stage} of ${lease.job} is leased again (${lease.lease}), but its commit is in the journal`);
  }
  return true;
}

/** Records of results under leases that are over. */
export function staleCommits(request: WorkerRequestOf<"commits">, state: State, leased: ReadonlyMap<LeaseId, { job: JobId; durable: boolean }>): Command[] {
  const commands: Command[] = [];
  for (const { lease, segment, slotTimeUs } of request.commits) {
    const job = leased.get(lease);
    if (state.leases.has(lease) || segment.r === "failed" || !job?.durable) continue;
    commands.push({ c: "record", record: { k: "commit", job: job.job, segment, slotTimeUs, reused: false, worker: request.worker } });
  }
  return commands;
}
