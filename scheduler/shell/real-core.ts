/** scheduler/core as the shell's core. */
import {
  applyRecord,
  causeText,
  clusterEngine,
  createState,
  enginesOf,
  nextWakeMs,
  type OffloadSizes,
  restore,
  type SnapshotData,
  type State,
  snapshot,
  step,
} from "../core/index.js";
import type { CorePort, SchedulerStats } from "./core-port.js";

/** `offload`: when results leave the heap; default as in the core. */
export const corePort = (options: { readonly offload?: OffloadSizes } = {}): CorePort<State> => ({
  create: (epoch) => createState({ epoch, ...options }),
  step,
  applyRecord,
  snapshot(state) {
    const { jobs, ...head } = snapshot(state);
    return [head, ...jobs];
  },
  restore(items, epoch) {
    const [head, ...jobs] = items as [Omit<SnapshotData, "jobs"> & Partial<SnapshotData>, ...SnapshotData["jobs"]];
    // Up to version 1 everything was one item.
    return restore({ ...head, jobs: head.jobs ?? jobs }, { epoch, ...options });
  },
  nextWakeMs,
  stageOf(state, job, index) {
    const stage = state.jobs.get(job)?.stages.get(index);
    return stage && { count: stage.spec.count, base: stage.base };
  },
  sizeOf(state, session) {
    const job = state.jobs.get(session);
    return job && { stages: job.stages.size, tasks: job.tasks, argBytes: job.argBytes };
  },
  engineOf: clusterEngine,
  causeOf: ({ stories }) => causeText(stories.cause),
  stats: statsOf,
});

export const realCore = corePort();

function statsOf(state: State): SchedulerStats {
  let running = 0;
  for (const lease of state.leases.values()) running += lease.open.size;
  const jobs: Record<string, number> = {};
  for (const job of state.jobs.values()) if (job.kind === "durable") jobs[job.state] = (jobs[job.state] ?? 0) + 1;
  return {
    queued: state.queued,
    running,
    workers: state.workers.size,
    engines: enginesOf(state),
    slots: state.slots,
    sessions: state.sessions.size,
    jobs,
  };
}
