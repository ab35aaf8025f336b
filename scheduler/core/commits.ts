/**
 * What workers report: results that are committed (M2, I1, I2). What failed: retries.ts. How leases end: lease-ends.ts.
 */

import type { WorkerId } from "../../proto/ids.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { Commit, WorkerRequestOf } from "../../proto/messages/worker.js";
import { sameBytes } from "../../proto/same-bytes.js";
import { PackReader } from "../../proto/values/pack.js";
import { speaker } from "./departed.js";
import { engineChange } from "./engines.js";
import type { HeldSegment } from "./events.js";
import { forgetOrder, isInOrder, markStored } from "./holders.js";
import { closeLease, finishLease, onBack } from "./lease-ends.js";
import { markProgress } from "./lease-phase.js";
import { received } from "./liveness.js";
import { markRan } from "./places.js";
import { commitSegment, failTasks } from "./progress.js";
import { onFailure } from "./retries.js";
import { sliceSegment } from "./segments.js";
import { isDraining } from "./standing.js";
import type { Context, StageRecord, WorkerRecord } from "./state.js";
import { sendCommand, sender } from "./worker-commands.js";

/** Weight of a new measurement in the time per task. */
const costWeight = 0.3;
/** Functions whose time per task is kept: bundles come and go with every deploy. */
export const costsMax = 10_000;

/** True the first time a worker's numbered report is seen (M2). */
export function firstTime(worker: WorkerRecord, seq: number): boolean {
  if (worker.seen.has(seq)) return false;
  worker.seen.add(seq, seq + 1);
  worker.seenMax = Math.max(worker.seenMax, seq);
  return true;
}

/**
 * No report below this number is still to come. Without knowing the first, nobody could tell whether reports are
 * missing before the ones that were seen.
 */
export function knowReports(worker: WorkerRecord, seq: number | undefined): void {
  if (seq !== undefined && seq > 0) worker.seen.add(0, seq);
}

export function onCommits(ctx: Context, message: WorkerRequestOf<"commits">): void {
  const { state } = ctx;
  const worker = speaker(ctx, message);
  if (message.epoch !== state.epoch || !worker) {
    // I2: what was leased by another epoch, or by a worker given up for lost, commits nothing.
    const tasks = message.commits.reduce((sum, commit) => sum + commit.segment.to - commit.segment.from, 0);
    if (tasks > 0) ctx.out.push({ c: "count", metric: "commits_stale_refused", by: tasks });
    sendCommand(ctx, sender(message), { o: "ack", seq: message.seq });
    sendCommand(ctx, sender(message), { o: "unknown" });
    return;
  }
  received(state, worker);
  if (firstTime(worker, message.seq)) {
    const ordered = worker.touched.size === 0 && isInOrder(worker);
    const bases = ordered ? [] : message.commits.map(({ lease }) => worker.leases.get(lease)?.stage.base);
    for (const commit of message.commits) onCommit(ctx, worker, commit);
    if (!ordered) markStored(ctx, worker, message, bases);
    for (const back of message.back) onBack(ctx, worker, back);
    for (const id of message.ran ?? []) markRan(worker.leases.get(id));
    for (const id of message.done) {
      const lease = worker.leases.get(id);
      // While an earlier report is missing, the results that the lease owes may be in it; a heartbeat asks again (M4).
      if (lease && worker.seen.isContiguous) closeLease(ctx, lease, "its worker says that it holds it no more");
    }
    forgetOrder(worker);
  }
  // Unless the worker leaves as soon as it has it.
  sendCommand(ctx, worker, { o: "ack", seq: message.seq }, { gated: true, patient: !isDraining(worker) });
}

function onCommit(ctx: Context, worker: WorkerRecord, commit: Commit): void {
  const { segment } = commit;
  const lease = worker.leases.get(commit.lease);
  const stale = (tasks: number): void => {
    ctx.out.push({ c: "count", metric: "commits_stale_refused", by: tasks });
  };
  const size = segment.to - segment.from;
  if (size <= 0) return;
  if (
    !lease ||
    segment.stage !== lease.stage.index ||
    segment.from < lease.from ||
    segment.to > lease.to ||
    !isWellFormed(segment, lease.stage)
  ) {
    stale(size);
    return;
  }
  if (segment.r !== "failed") learnCost(ctx, lease.stage, commit.slotTimeUs / size);
  ctx.out.push({
    c: "observe",
    metric: "task_seconds",
    value: commit.slotTimeUs / size / 1e6,
    tenant: lease.stage.job.tenant,
  });
  const open: { from: number; to: number }[] = [];
  for (const range of lease.open) {
    const from = Math.max(range.from, segment.from);
    const to = Math.min(range.to, segment.to);
    if (from < to) open.push({ from, to });
  }
  let taken = 0;
  for (const { from, to } of open) {
    // A failure before may have ended the job, and this lease with it.
    if (!ctx.state.leases.has(lease.id)) break;
    taken += to - from;
    lease.open.delete(from, to);
    lease.next = Math.max(lease.next, to);
    markProgress(lease);
    markBundle(worker, lease.stage);
    worker.tasksDone += to - from;
    const part = sliceSegment(segment, from, to);
    if (part.r === "failed") onFailure(ctx, lease.stage, from, to, part.error);
    else
      commitChecked(ctx, lease.stage, part, {
        worker: worker.id,
        slotTimeUs: Math.round((commit.slotTimeUs * (to - from)) / size),
        reused: false,
      });
  }
  if (taken < size) ctx.out.push({ c: "count", metric: "commits_duplicate", by: size - taken });
  if (lease.open.isEmpty && ctx.state.leases.has(lease.id)) finishLease(ctx, lease);
}

function markBundle(worker: WorkerRecord, { spec: { fn } }: StageRecord): void {
  if ("bundle" in fn && !worker.bundles.has(fn.bundle)) worker.bundles.add(fn.bundle);
}

/** The segment's parts are as long as it says. */
function isWellFormed(segment: ResultSegment, stage: StageRecord): boolean {
  const size = segment.to - segment.from;
  if (segment.r === "failed") return true;
  if (segment.r === "stored") return segment.stored.length === size;
  const { pack } = segment;
  if (pack.byteLength < 4) return false;
  const items =
    ((pack[0] as number) | ((pack[1] as number) << 8) | ((pack[2] as number) << 16) | ((pack[3] as number) << 24)) >>>
    0;
  return items === size && (stage.job.kind !== "durable" || segment.digests?.byteLength === size * 16);
}

type Success = Exclude<ResultSegment, { r: "failed" }>;
interface CommitOrigin {
  readonly worker: WorkerId;
  readonly slotTimeUs: number;
  readonly reused: boolean;
}

/** A result that is made again must be the same (I1). */
function commitChecked(ctx: Context, stage: StageRecord, segment: Success, from: CommitOrigin): void {
  const failureRecord = segment.to - segment.from === 1 ? stage.failureRecords.get(segment.from) : undefined;
  if (stage.failureRecords.size > 0 && segment.to - segment.from > 1) {
    for (let i = segment.from; i < segment.to; i++) {
      if (stage.failureRecords.get(i)?.expected === undefined) continue;
      if (i > segment.from) commitChecked(ctx, stage, sliceSegment(segment, segment.from, i) as typeof segment, from);
      commitChecked(ctx, stage, sliceSegment(segment, i, i + 1) as typeof segment, { ...from, slotTimeUs: 0 });
      if (i + 1 < segment.to)
        commitChecked(ctx, stage, sliceSegment(segment, i + 1, segment.to) as typeof segment, {
          ...from,
          slotTimeUs: 0,
        });
      return;
    }
  }
  if (failureRecord?.expected) {
    const digest = segment.r === "stored" ? segment.stored[0]?.digest : undefined;
    if (!digest || !sameBytes(digest, failureRecord.expected)) {
      const change = engineChange(stage, ctx.state.workers.get(from.worker), segment.from);
      if (change) failTasks(ctx, stage, segment.from, segment.to, change);
      else
        alarm(ctx, stage, segment.from, `made again, task ${segment.from} of stage ${stage.index} gave another result`);
      return;
    }
    failureRecord.expected = undefined;
  }
  if (stage.spec.options.pure && !stage.strayed && ctx.state.catalog.isShared(stage.base))
    commitShared(ctx, stage, segment, from);
  else commitSegment(ctx, stage, segment, from);
}

function alarm(ctx: Context, stage: StageRecord, task: number, what: string): void {
  ctx.out.push({ c: "count", metric: "nondeterminism_alarms", by: 1, tenant: stage.job.tenant });
  failTasks(ctx, stage, task, task + 1, {
    code: "NONDETERMINISTIC",
    message: `${stage.fnKey} is declared pure, but ${what}`,
  });
}

/** Stages of other jobs have the same content address: what they have committed is what this one must have made. */
function commitShared(ctx: Context, stage: StageRecord, segment: Success, from: CommitOrigin): void {
  const same = new ResultComparer(segment);
  const differs = (task: number): StageRecord | undefined => {
    for (const other of ctx.state.catalog.made(stage.base)) {
      const result = other === stage || other.ownOnly ? undefined : other.results.at(task);
      if (result?.r === "failed") continue;
      // One that has the result speaks for all: theirs were compared with it.
      if (result) return same.as(result, task) ? undefined : other;
    }
    return undefined;
  };
  let start = segment.from;
  const commitUpTo = (to: number): void => {
    if (start < to)
      commitSegment(
        ctx,
        stage,
        sliceSegment(segment, start, to) as Success,
        start === segment.from ? from : { ...from, slotTimeUs: 0 },
      );
  };
  for (let task = segment.from; task < segment.to; task++) {
    const other = differs(task);
    if (!other) continue;
    commitUpTo(task);
    start = task + 1;
    alarm(ctx, stage, task, `task ${task} of stage ${stage.index} gave another result than in job ${other.job.id}`);
    if (stage.job.state !== "running") return;
  }
  commitUpTo(segment.to);
}

class ResultComparer {
  readonly #segment: Success;
  readonly #readers = new Map<Success, PackReader>();

  constructor(segment: Success) {
    this.#segment = segment;
  }

  /** No result, a failure, or what is not at hand contradicts nothing. */
  as(other: HeldSegment | undefined, task: number): boolean {
    const segment = this.#segment;
    if (!other || other.r === "failed" || other.r === "chunk") return true;
    if (segment.r === "stored" && other.r === "stored") {
      const [a, b] = [segment.stored[task - segment.from], other.stored[task - other.from]];
      return a !== undefined && b !== undefined && sameBytes(a.digest, b.digest);
    }
    if (segment.r === "stored" || other.r === "stored") return false;
    const [a, b] = [this.#item(segment, task), this.#item(other, task)];
    return a.kind === b.kind && sameBytes(a.data, b.data);
  }

  #item(segment: Extract<Success, { r: "inline" }>, task: number): ReturnType<PackReader["at"]> {
    let reader = this.#readers.get(segment);
    if (!reader) {
      reader = PackReader.trusted(segment.pack);
      this.#readers.set(segment, reader);
    }
    return reader.at(task - segment.from);
  }
}

function learnCost(ctx: Context, stage: StageRecord, us: number): void {
  const before = ctx.state.costs.get(stage.fnKey);
  ctx.state.costs.set(stage.fnKey, before === undefined ? us : before + costWeight * (us - before));
  // What falls out is measured again when it is run again.
  if (before === undefined && ctx.state.costs.size > costsMax)
    for (const oldest of ctx.state.costs.keys()) return void ctx.state.costs.delete(oldest);
}
