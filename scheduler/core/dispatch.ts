/**
 * Who gets what, when: leases are cut from the ready stages in turn, sized by the measured time per task, and given to
 * the least loaded worker. A slot is never left idle for a round trip: a worker has one lease more for each than it
 * executes, whatever the length of the tasks; those of higher priority go past it. When nothing is queued, see
 * steal.ts.
 */

import { leavesOf, mapArg, stagesRead } from "../../proto/args.js";
import { cutEach } from "../../proto/each.js";
import type { LeaseId, ObjectId } from "../../proto/ids.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import type { ArgSpec } from "../../proto/messages/stage.js";
import type { Lease } from "../../proto/messages/worker.js";
import { PackReader } from "../../proto/values/pack.js";
import { pinOf } from "./engines.js";
import { gatherInputs } from "./inputs.js";
import { hasRun, neverAsked, sent } from "./lease-phase.js";
import { countBlockers, isReady, linkObject, upstreamAt } from "./links.js";
import { leasesMax, leasesToRun } from "./places.js";
import { failTasks } from "./progress.js";
import { RangeSet } from "./ranges.js";
import { needRoom } from "./room.js";
import { addLease } from "./stage.js";
import { isDraining } from "./standing.js";
import {
  type Context,
  type LeaseRecord,
  type StageRecord,
  type State,
  setStates,
  taskState,
  type WorkerRecord,
} from "./state.js";
import { sendCommand } from "./worker-commands.js";

/**
 * A lease aims at this much work: long against a round trip (about 0.3 ms), short against a person's patience and a
 * balanced end.
 */
const leaseAimUs = 20_000;
/**
 * Going from one lease to the next costs a thread about 0.3 ms, which short tasks feel: as long as nothing else is
 * ready that would wait behind it, a lease is of so many tasks, or of so much work.
 */
const leaseTasksAim = 16;
const leaseAimUsMax = 100_000;
/** It is not cut below this much work for the sake of balance. */
export const leaseFloorUs = 1_000;
/** Of a function never measured, at most this many tasks go out at once. */
const unmeasuredTasksMax = 8;
/** Stages that are looked through for one that another engine may run. */
const behindMax = 1_000;

export function dispatch(ctx: Context): void {
  const { state } = ctx;
  let passed: Set<StageRecord> | undefined;
  while (state.queued > 0) {
    const stage = nextReady(state);
    if (!stage) break;
    if (passed?.has(stage)) break;
    const worker = pickWorker(state, stage);
    if (worker) {
      grant(ctx, stage, worker);
      rotate(state, stage);
      continue;
    }
    // Every slot is taken; or those of workers that are large enough for it, or of its engine, and then others go past
    // it.
    if (stage.roomBytes > 0 && rotate(state, stage)) {
      passed ??= new Set();
      passed.add(stage);
    } else if (state.engines.size < 2 || !grantBehind(ctx)) break;
  }
}

/** Workers of the head's engine are busy, others may not be: the first stage behind it that one of them may take. */
function grantBehind(ctx: Context): boolean {
  const { state } = ctx;
  const free = (worker: WorkerRecord): boolean => !isDraining(worker) && leasesToRun(worker) < leasesMax(worker);
  if (![...state.workers.values()].some(free)) return false;
  let seen = 0;
  for (const priority of [...state.ready.keys()].sort((a, b) => b - a)) {
    for (const stage of state.ready.get(priority) ?? []) {
      if (stage.queue.isEmpty) continue;
      if (++seen > behindMax) return false;
      const worker = pickWorker(state, stage);
      if (!worker) continue;
      grant(ctx, stage, worker);
      return true;
    }
  }
  return false;
}

/**
 * The stage at the head of the highest priority that has queued tasks; empty ones are taken off the lists on the way.
 */
function nextReady(state: State): StageRecord | undefined {
  let best: StageRecord | undefined;
  let bestPriority = Number.NEGATIVE_INFINITY;
  for (const [priority, list] of state.ready) {
    if (priority <= bestPriority) continue;
    while (list.first?.queue.isEmpty) (list.shift() as StageRecord).listed = false;
    const head = list.first;
    if (!head) {
      state.ready.delete(priority);
      continue;
    }
    best = head;
    bestPriority = priority;
  }
  return best;
}

/** Stages of one priority take turns, so that a long one does not hold up the others. */
function rotate(state: State, stage: StageRecord): boolean {
  const list = state.ready.get(stage.spec.options.priority);
  if (!list || list.length < 2 || list.first !== stage) return false;
  list.shift();
  if (stage.queue.isEmpty) stage.listed = false;
  else list.push(stage);
  return true;
}

export const costUs = (state: State, stage: StageRecord): number | undefined => state.costs.get(stage.fnKey);

function pickWorker(state: State, stage: StageRecord): WorkerRecord | undefined {
  const isMeasured = costUs(state, stage) !== undefined;
  const pin = pinOf(state, stage);
  let best: WorkerRecord | undefined;
  let bestLoad = Number.POSITIVE_INFINITY;
  for (const worker of state.workers.values()) {
    if (isDraining(worker) || worker.storeBudgetBytes < stage.roomBytes) continue;
    if (pin !== undefined && worker.family !== pin) continue;
    const leases = leasesToRun(worker);
    const most = isMeasured ? leasesMax(worker) : worker.slots;
    if (leases >= most && !isOutranking(stage, worker, most)) continue;
    const load = leases / worker.slots;
    if (load < bestLoad) {
      best = worker;
      bestLoad = load;
    }
  }
  return best;
}

/** What waits at a worker is of lower priority: the stage's tasks go past it, once for every place there is. */
function isOutranking(stage: StageRecord, worker: WorkerRecord, most: number): boolean {
  const { priority } = stage.spec.options;
  if (priority === 0 || leasesToRun(worker) >= 2 * leasesMax(worker)) return false;
  let lower = 0;
  for (const lease of worker.leases.values())
    if (!hasRun(lease) && lease.stage.spec.options.priority < priority) lower++;
  return leasesToRun(worker) - lower < most;
}

function leaseSize(state: State, stage: StageRecord): number {
  const fair = Math.ceil(stage.queue.size / Math.max(1, 2 * state.slots));
  const cost = costUs(state, stage);
  if (cost === undefined) return Math.min(fair, unmeasuredTasksMax);
  const aimUs = isAloneReady(state) ? Math.min(leaseAimUsMax, Math.max(leaseAimUs, leaseTasksAim * cost)) : leaseAimUs;
  const most = Math.max(1, Math.floor(aimUs / Math.max(cost, 0.1)));
  const least = Math.max(1, Math.floor(leaseFloorUs / Math.max(cost, 0.1)));
  return Math.min(most, Math.max(fair, least));
}

/** No other stage waits for a place. */
function isAloneReady({ ready }: State): boolean {
  for (const list of ready.values()) return ready.size === 1 && list.length === 1;
  return true;
}

const attemptOf = (stage: StageRecord, task: number): number => (stage.failureRecords.get(task)?.attempts ?? 0) + 1;

function grant(ctx: Context, stage: StageRecord, worker: WorkerRecord): void {
  const { state } = ctx;
  const range = stage.queue.first();
  if (!range) return;
  const { from } = range;
  let to = Math.min(range.to, from + leaseSize(state, stage));
  const attempt = attemptOf(stage, from);
  if (stage.failureRecords.size > 0) {
    for (let i = from + 1; i < to; i++) {
      if (attemptOf(stage, i) !== attempt) to = i;
    }
  }
  const gathered = gatherInputs(state, stage, from, to, worker.storeBudgetBytes);
  if (gathered.tooLarge) {
    needRoom(
      ctx,
      stage,
      gathered.tooLarge.bytes,
      from,
      gathered.tooLarge.perTask ? from + 1 : stage.spec.count,
      "the inputs of one task take",
    );
    return;
  }
  if (gathered.lost) {
    if (gathered.lost.pending && waitAgain(state, stage, gathered.lost.id, from)) return;
    failTasks(ctx, stage, from, gathered.lost.perTask ? from + 1 : stage.spec.count, {
      code: "OBJECT_LOST",
      message: `input ${gathered.lost.id} of stage ${stage.index} is gone: every copy was on workers that left, and it cannot be made again`,
    });
    return;
  }
  to = gathered.to;
  setStates(state, stage, from, to, taskState.leased);
  state.leaseCounter++;
  const open = new RangeSet();
  open.add(from, to);
  const lease: LeaseRecord = {
    id: `${state.start ?? state.epoch}.${state.leaseCounter}` as LeaseId,
    worker,
    stage,
    from,
    to,
    attempt,
    open,
    next: from,
    asksHeartbeat: mustPrepare(stage, worker, gathered.inputs),
    phase: sent,
    grantedAtMs: state.nowMs,
    sentAtMs: state.nowMs,
    recall: neverAsked,
    askedFrom: Number.POSITIVE_INFINITY,
  };
  if (stage.engine === "") stage.pin ??= worker.family;
  state.stories.addLease("leased", lease, from, to);
  state.leases.set(lease.id, lease);
  worker.leases.set(lease.id, lease);
  addLease(stage, lease);
  ctx.out.push({ c: "count", metric: "leases_granted", by: 1, tenant: stage.job.tenant });
  ctx.out.push({
    c: "observe",
    metric: "queue_seconds",
    value: Math.max(0, state.nowMs - stage.queuedAtMs) / 1_000,
    tenant: stage.job.tenant,
  });
  sendLease(ctx, lease, gathered.inputs);
}

/**
 * The worker may have to fetch inputs or code before the lease can run, so that it is not executing just because it has
 * a slot (I8).
 */
function mustPrepare(stage: StageRecord, worker: WorkerRecord, inputs: readonly ObjectLocation[]): boolean {
  const { fn } = stage.spec;
  if ("bundle" in fn && !worker.bundles.has(fn.bundle)) return true;
  return inputs.some((input) => input.inline === undefined) || readsLists(stage);
}

/** Of such a list the lease does not say where its parts are. */
function readsLists(stage: StageRecord): boolean {
  for (const leaf of leavesOf(stage.spec.args)) if (leaf.a === "stage" && leaf.edge !== "one-to-one") return true;
  return false;
}

/** Gives out the lease's message, or gives it out again (M4): the same lease says the same. */
export function sendLease(
  ctx: Context,
  lease: LeaseRecord,
  inputs: ObjectLocation[] = gatherInputs(ctx.state, lease.stage, lease.from, lease.to).inputs,
): void {
  const { stage } = lease;
  lease.sentAtMs = ctx.state.nowMs;
  const args = stage.spec.args.map((arg) => cutArg(arg, lease.from, lease.to, stage.spec.count));
  const message: Lease = {
    lease: lease.id,
    job: stage.job.id,
    stage: stage.index,
    base: stage.base,
    fn: stage.spec.fn,
    from: lease.from,
    to: lease.to,
    attempt: lease.attempt,
    args,
    bases: basesOf(stage, args),
    inputs,
    since: Math.round(stage.job.submittedAtMs),
    durable: stage.job.kind === "durable",
    options: stage.spec.options,
    ...(lease.asksHeartbeat ? { heartbeatAtStart: true as const } : {}),
  };
  sendCommand(ctx, lease.worker, { o: "lease", lease: message });
}

/** Item packs and runs of objects are cut to the lease's range: item i - from belongs to task i. */
const cutArg = (arg: ArgSpec, from: number, to: number, count: number): ArgSpec =>
  mapArg(arg, (leaf) => {
    if (from === 0 && to === count) return leaf;
    if (leaf.a === "each") return { a: "each", of: cutEach(leaf.of, from, to) };
    return leaf.a === "item" ? { a: "item", pack: PackReader.trusted(leaf.pack).slice(from, to) } : leaf;
  });

/** Those that the lease's arguments name. */
function basesOf(stage: StageRecord, args: readonly ArgSpec[]): Lease["bases"] {
  const bases = new Map<number, [number, StageRecord["base"], number]>();
  for (const index of stagesRead(args)) {
    if (bases.has(index)) continue;
    const upstream = upstreamAt(stage, index);
    if (upstream) bases.set(index, [index, upstream.base, upstream.spec.count]);
  }
  return [...bases.values()];
}

/** An input is still to be made (again): what is queued waits for it. False: nothing says by whom. */
function waitAgain(state: State, stage: StageRecord, id: ObjectId, task: number): boolean {
  linkObject(state, stage, id);
  countBlockers(stage);
  const ranges = stage.blockers > 0 ? [...stage.queue] : [{ from: task, to: task + 1 }];
  if (stage.blockers === 0 && isReady(stage, task)) return false;
  for (const range of ranges) setStates(state, stage, range.from, range.to, taskState.waiting);
  return true;
}
