/** Judges of the end: nothing is left of what was closed or forgotten (I7), and what is believed to be held is held. */
import { splitObjectId } from "../proto/ids.js";
import type { State } from "../scheduler/core/index.js";
import { Violation } from "./job-model.js";
import type { WorkerNode } from "./worker-node.js";

function complain(rule: string, what: string, found: readonly string[]): void {
  if (found.length > 0) throw new Violation(rule, `${what}: ${found.slice(0, 8).join(", ")}`);
}

/** What was closed has left nothing behind. Durable jobs that ended are kept, with what they refer to. */
export function checkLeftovers(state: State, workers: readonly WorkerNode[]): void {
  const left: string[] = [];
  for (const job of state.jobs.values())
    if (job.kind === "session" || job.state === "running") left.push(`job ${job.id} (${job.state})`);
  if (state.leases.size > 0) left.push(`leases ${[...state.leases.keys()].join()}`);
  if (state.queued > 0) left.push(`${state.queued} queued tasks`);
  for (const worker of workers)
    if (worker.state.leases.size + worker.state.outbox.size > 0)
      left.push(
        `${worker.id} with ${worker.state.leases.size} leases and ${worker.state.outbox.size} unacknowledged reports`,
      );
  const referred = new Set(
    [...state.jobs.values()].flatMap((job) => (job.kind === "durable" ? [...job.objects.keys()] : [])),
  );
  for (const [id, put] of state.puts) if (!put.durable && !referred.has(id)) left.push(`put ${id}`);
  complain("I7", "left behind", [...left, ...orphans(state, workers)]);
  checkHolders(state, workers);
}

/** Objects that nothing refers to. */
function orphans(state: State, workers: readonly WorkerNode[]): string[] {
  const isKnown = (id: Parameters<typeof splitObjectId>[0]): boolean =>
    state.catalog.has(splitObjectId(id).base) || state.puts.has(id);
  const left: string[] = [];
  for (const id of state.holders.keys()) if (!isKnown(id)) left.push(`holders of ${id}`);
  for (const worker of workers)
    for (const id of worker.objects.keys()) if (!isKnown(id)) left.push(`object ${id} on ${worker.id}`);
  return left;
}

/** Whatever way reports came, at rest every holder that the scheduler would name has the object. */
function checkHolders(state: State, workers: readonly WorkerNode[]): void {
  const wrong: string[] = [];
  for (const [id, holders] of state.holders) {
    for (const holder of holders) {
      const worker = workers.find((one) => one.id === holder);
      if (!worker?.objects.has(id)) wrong.push(`${id} on ${holder}`);
    }
  }
  complain("objects", "the scheduler believes in copies that are not there", wrong);
}

/** Long after the end of everything: jobs have been forgotten, and all that was theirs. */
export function checkForgotten(state: State, workers: readonly WorkerNode[]): void {
  const left = [
    ...[...state.jobs.keys()].map((id) => `job ${id}`),
    ...[...state.keys.keys()].map((key) => `key ${key}`),
    ...[...state.catalog].map(([base]) => `stage ${base}`),
    ...state.ended.map((id) => `the end of ${id}`),
  ];
  complain("I7", "remembered", [...left, ...orphans(state, workers)]);
}
