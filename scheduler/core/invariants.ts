/**
 * The invariants of docs/ARCHITECTURE.md that the state alone can show; checked after every step in tests and in the
 * simulation.
 */

import { invariant } from "../../proto/errors.js";
import { hasRun } from "./lease-phase.js";
import { isReady, unmetLinks } from "./links.js";
import { leasesMax, leasesToRun } from "./places.js";
import { isStageComplete, isTerminal, type StageRecord, type State, type TaskState, taskState } from "./state.js";

export function checkInvariants(state: State): void {
  checkLeases(state);
  let queued = 0;
  const timed = new Map<StageRecord, Set<number>>();
  for (const { item } of state.retries) {
    const set = timed.get(item.stage) ?? new Set();
    set.add(item.task);
    timed.set(item.stage, set);
  }
  for (const job of state.jobs.values()) {
    for (const stage of job.stages.values()) {
      checkStage(state, stage, timed.get(stage));
      queued += stage.queue.size;
    }
    if (job.state !== "running") {
      for (const stage of job.stages.values())
        for (const { state: s } of runsOf(stage))
          invariant(isTerminal(s), `job ${job.id} is ${job.state} with a task in state ${s}`);
    }
  }
  invariant(queued === state.queued, `${state.queued} tasks are counted as queued, ${queued} are`);
  for (const [base, stages] of state.catalog) {
    for (const stage of stages)
      invariant(
        stage.base === base &&
          stage.job.stages.get(stage.index) === stage &&
          state.jobs.get(stage.job.id) === stage.job,
        `I7: the catalog keeps a stage of a forgotten job under ${base}`,
      );
  }
  for (const [id, holders] of state.holders) {
    invariant(holders.size > 0, `object ${id} has an empty list of holders`);
    for (const worker of holders)
      invariant(
        state.workers.get(worker)?.objects.has(id),
        `object ${id} is said to be on ${worker}, which is gone or does not list it`,
      );
  }
}

/** I4 and the half of I3 that leases owe: every leased task is open in exactly one live lease. */
function checkLeases(state: State): void {
  const leased = new Map<StageRecord, number>();
  let slots = 0;
  for (const worker of state.workers.values()) {
    slots += worker.slots;
    invariant(
      leasesToRun(worker) <= 2 * leasesMax(worker),
      `I4: worker ${worker.id} of ${worker.slots} slots has ${leasesToRun(worker)} leases to run`,
    );
    let ran = 0;
    for (const lease of worker.leases.values()) if (hasRun(lease)) ran++;
    invariant(
      ran === worker.leasesRan,
      `I4: worker ${worker.id} counts ${worker.leasesRan} leases that ran, there are ${ran}`,
    );
    for (const lease of worker.leases.values())
      invariant(
        state.leases.get(lease.id) === lease && lease.worker === worker,
        `lease ${lease.id} of worker ${worker.id} is not in the table`,
      );
  }
  invariant(slots === state.slots, `I4: ${state.slots} slots are counted, ${slots} are there`);
  for (const lease of state.leases.values()) {
    invariant(
      state.workers.get(lease.worker.id) === lease.worker && lease.worker.leases.get(lease.id) === lease,
      `lease ${lease.id} belongs to a worker that is gone`,
    );
    invariant(!lease.open.isEmpty, `lease ${lease.id} is live and owes nothing`);
    for (const { from, to } of lease.open) {
      invariant(from >= lease.from && to <= Math.max(lease.to, to), `lease ${lease.id} owes tasks outside its range`);
      for (let i = from; i < to; i++)
        invariant(
          lease.stage.states.at(i) === taskState.leased,
          `lease ${lease.id} owes task ${i}, which is in state ${lease.stage.states.at(i)}`,
        );
    }
    leased.set(lease.stage, (leased.get(lease.stage) ?? 0) + lease.open.size);
  }
  for (const job of state.jobs.values()) {
    for (const stage of job.stages.values()) {
      const expected = stage.tally[taskState.leased] as number;
      invariant(
        (leased.get(stage) ?? 0) === expected,
        `I3: stage ${stage.index} of ${job.id} has ${expected} leased tasks, leases owe ${leased.get(stage) ?? 0}`,
      );
    }
  }
}

function checkStage(state: State, stage: StageRecord, timed: ReadonlySet<number> | undefined): void {
  const where = `stage ${stage.index} of ${stage.job.id}`;
  const tally = new Int32Array(8);
  for (const { from, to, state: s } of runsOf(stage)) tally[s] = (tally[s] as number) + to - from;
  for (let s = 0; s < 8; s++)
    invariant(
      tally[s] === stage.tally[s],
      `${where} counts ${stage.tally[s]} tasks in state ${s}, there are ${tally[s]}`,
    );
  invariant(
    stage.queue.size === tally[taskState.queued],
    `I3: ${where} has ${tally[taskState.queued]} queued tasks and ${stage.queue.size} queue places`,
  );
  invariant(stage.queue.isEmpty || stage.listed, `I3: ${where} has queued tasks and is on no ready list`);
  let results = 0;
  for (const segment of stage.results) {
    results += segment.to - segment.from;
    const expected = segment.r === "failed" ? taskState.failed : taskState.succeeded;
    for (let i = segment.from; i < segment.to; i++)
      invariant(
        stage.states.at(i) === expected,
        `I1: ${where} has a ${segment.r} result for task ${i}, which is in state ${stage.states.at(i)}`,
      );
  }
  invariant(
    results === (tally[taskState.succeeded] as number) + (tally[taskState.failed] as number),
    `I1: ${where} has ${results} results for ${tally[taskState.succeeded]} + ${tally[taskState.failed]} ended tasks`,
  );
  checkLineage(state, stage);
  if (state.unsettled.has(stage.job.id)) return;
  if (stage.job.state === "running") {
    const unmet = unmetLinks(stage).length;
    invariant(stage.blockers === unmet, `${where} counts ${stage.blockers} blockers, there are ${unmet}`);
  }
  if (stage.job.kind !== "durable") {
    let open = 0;
    for (const entry of stage.dependents ?? []) if (!isStageComplete(entry.stage)) open++;
    invariant(
      stage.openDependents === open,
      `${where} counts ${stage.openDependents} dependents with tasks to go, there are ${open}`,
    );
  }
  for (const { from, to, state: s } of runsOf(stage)) {
    if (s !== taskState.retrying && s !== taskState.waiting) continue;
    for (let i = from; i < to; i++) {
      if (s === taskState.retrying)
        invariant(timed?.has(i), `I3: ${where}: task ${i} waits for a timer that is not set`);
      else invariant(!isReady(stage, i), `I3: ${where}: task ${i} waits although every input is there`);
      // A task that waits for the whole stage's inputs is like every other one of its run.
      if (s === taskState.waiting && stage.blockers > 0) break;
    }
  }
}

/** L1 of lineage.ts. */
function checkLineage(state: State, stage: StageRecord): void {
  const where = `stage ${stage.index} of ${stage.job.id}`;
  const shelved = stage.tally[taskState.shelved] as number;
  invariant(
    shelved === 0 || (stage.released && stage.spec.options.pure && stage.job.kind !== "durable"),
    `${where} has shelved tasks, but is not a released pure stage of a session`,
  );
  const isShelved = stage.job.kind === "session" && stage.job.shelved.has(stage);
  invariant(
    isShelved !== state.catalog.holds(stage),
    `${where} is ${isShelved ? "shelved and" : "not"} in the catalog`,
  );
}

function* runsOf(stage: StageRecord): IterableIterator<{ from: number; to: number; state: TaskState }> {
  const { count } = stage.spec;
  for (let from = 0, to = 0; from < count; from = to) {
    to = stage.states.runEnd(from, count);
    invariant(to > from, `a run of tasks of stage ${stage.index} is empty at ${from}`);
    yield { from, to, state: stage.states.at(from) as TaskState };
  }
}
