/** Questions that change nothing: status, lists, results, explain, workers, placement. */

import { isVolleyError } from "../../proto/errors.js";
import type { LeaseId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientRequestOf } from "../../proto/messages/client.js";
import type { StoryLine } from "../../proto/messages/explanation.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { WorkerStatus } from "../../proto/messages/status.js";
import { causeText } from "./cause.js";
import { answer, jobNotFound, refuse } from "./client-events.js";
import type { ReplyToken } from "./events.js";
import { explain } from "./explain.js";
import { jobStatusOf, stagesListedMax } from "./job-status.js";
import { segmentBytes } from "./records.js";
import { largestStoreBytes } from "./room.js";
import { sliceSegment, storeBytes } from "./segments.js";
import { isDraining } from "./standing.js";
import type { Context } from "./state.js";
import type { StoryLine as Line } from "./stories.js";
import { watch } from "./watches.js";

export function onStatus(ctx: Context, request: ClientRequestOf<"status">, reply: ReplyToken | undefined): void {
  const job = ctx.state.jobs.get(request.job);
  if (job) answer(ctx, reply, { t: "status", status: jobStatusOf(job) }, true);
  else refuse(ctx, reply, jobNotFound(request.job));
}

/** The status now, and from then on what changes of it (watches.ts). */
export function onWatch(ctx: Context, request: ClientRequestOf<"watch">, reply: ReplyToken | undefined): void {
  const job = ctx.state.jobs.get(request.job);
  if (job?.state === "running") watch(ctx.state, job, request.client);
  onStatus(ctx, { t: "status", job: request.job }, reply);
}

export function onList(ctx: Context, request: ClientRequestOf<"list">, reply: ReplyToken | undefined): void {
  const jobs = [...ctx.state.jobs.values()].filter(
    (job) => job.kind === "durable" && (request.tenant === undefined || job.tenant === request.tenant),
  );
  // Of the newest jobs with their stages, as far as one answer goes; what is left out is asked for by `status`.
  let room = stagesListedMax;
  const listed = jobs
    .slice(-request.limit)
    .reverse()
    .map((job) => {
      const whole = job.stages.size <= room;
      if (whole) room -= job.stages.size;
      return jobStatusOf(job, whole ? job.stages.size : 0);
    });
  answer(ctx, reply, { t: "jobs", jobs: listed }, true);
}

/**
 * One page: whole segments, cut to the asked range and to a message's size. Stops at the first task without a result.
 */
export function onResults(ctx: Context, request: ClientRequestOf<"results">, reply: ReplyToken | undefined): void {
  const job = ctx.state.jobs.get(request.job);
  const stage = job?.stages.get(request.stage);
  if (!stage) {
    refuse(
      ctx,
      reply,
      job
        ? { code: "INVALID_ARGUMENT", message: `job ${request.job} has no stage ${request.stage}` }
        : jobNotFound(request.job),
    );
    return;
  }
  const end = Math.min(request.to, stage.spec.count);
  const segments: ResultSegment[] = [];
  let bytes = 0;
  let at = request.from;
  for (const segment of stage.results.overlapping(at, end)) {
    if (segment.from > at) break;
    if (segment.r === "chunk") {
      if (segments.length > 0 || reply === undefined) break;
      const chunk = sliceSegment(segment, at, Math.min(segment.to, end));
      ctx.out.push({ c: "deferred", what: { d: "results", to: reply, base: stage.base, chunk, end }, gated: true });
      return;
    }
    let part = sliceSegment(segment, at, Math.min(segment.to, end));
    const size = part.r === "stored" ? 64 * part.stored.length : segmentBytes(part) + 24 * (part.to - part.from);
    const tooLarge = bytes + size > limits.messageBytesMax;
    if (tooLarge && segments.length > 0) break;
    // A run longer than a message is cut by its average item.
    if (tooLarge)
      part = sliceSegment(
        part,
        part.from,
        part.from + Math.max(1, Math.floor(((part.to - part.from) * limits.messageBytesMax) / size)),
      );
    segments.push(part);
    bytes += size;
    at = part.to;
    if (tooLarge) break;
  }
  answer(
    ctx,
    reply,
    { t: "results", base: stage.base, segments, ...(at < end && segments.length > 0 ? { next: at } : {}) },
    true,
  );
}

/** Workers register to a new scheduler within a few heartbeats. */
const joinMs = 10_000;

export function onPlace(ctx: Context, request: ClientRequestOf<"place">, reply: ReplyToken | undefined): void {
  const largest = largestStoreBytes(ctx.state);
  const neededBytes = storeBytes(request.bytes);
  if (largest > 0 && neededBytes > largest) {
    refuse(ctx, reply, {
      code: "OUT_OF_MEMORY",
      message: `an object of ${request.bytes} bytes does not fit into any worker's object store, the largest has ${largest}; give workers more (VOLLEY_STORE_BYTES), or split it`,
      details: { neededBytes, storeBytes: largest },
    });
    return;
  }
  let best: { free: number; worker: WorkerStatus["worker"] } | undefined;
  for (const worker of ctx.state.workers.values()) {
    const free = worker.storeBudgetBytes - worker.storeBytes;
    if (!isDraining(worker) && worker.storeBudgetBytes >= neededBytes && (!best || free > best.free))
      best = { free, worker: worker.id };
  }
  if (best) answer(ctx, reply, { t: "placed", worker: best.worker });
  else {
    const joiningMs = ctx.state.epoch > 1 ? joinMs - ctx.state.listenedMs : 0;
    refuse(ctx, reply, {
      code: "NO_WORKERS",
      message: "no worker has joined the cluster, so there is nowhere to put an object; start one with `volley worker`",
      // Those of the scheduler before may be on their way: who asks should ask again.
      ...(joiningMs > 0 ? { details: { joiningMs: Math.round(joiningMs) } } : {}),
    });
  }
}

export function onWorkers(ctx: Context, reply: ReplyToken | undefined): void {
  const { state } = ctx;
  const workers = [...state.workers.values()].map(
    (worker): WorkerStatus => ({
      worker: worker.id,
      node: worker.node,
      pid: worker.pid,
      ...(worker.volley === undefined ? {} : { volley: worker.volley }),
      ...(worker.engine === undefined ? {} : { engine: worker.engine }),
      slots: worker.slots,
      slotsBusy: worker.slotsBusy,
      leases: worker.leases.size,
      draining: isDraining(worker),
      storeBytes: worker.storeBytes,
      storeBudgetBytes: worker.storeBudgetBytes,
      spilledBytes: worker.spilledBytes,
      tasksDone: worker.tasksDone,
      lastHeardMs: worker.receivedMs,
    }),
  );
  let running = 0;
  for (const lease of state.leases.values()) running += lease.open.size;
  answer(ctx, reply, { t: "workers", workers, queued: state.queued, running });
}

const storyLinesMax = 100;

const emitted = (lines: readonly Line[]): StoryLine[] =>
  lines.slice(-storyLinesMax).map((line) => ({
    atMs: Math.round(line.atMs),
    text: line.what,
    cause: causeText(line.cause),
    ...(line.worker === "" ? {} : { worker: line.worker as WorkerId }),
    ...(line.lease === "" ? {} : { lease: line.lease as LeaseId }),
    ...(line.to > line.from ? { tasks: line.to - line.from } : {}),
  }));

export function onStory(ctx: Context, request: ClientRequestOf<"story">, reply: ReplyToken | undefined): void {
  const { stories } = ctx.state;
  const { lease, worker } = request;
  const lines = lease !== undefined ? stories.ofLease(lease) : worker !== undefined ? stories.ofWorker(worker) : [];
  answer(ctx, reply, { t: "story", lines: emitted(lines) });
}

export function onExplain(ctx: Context, request: ClientRequestOf<"explain">, reply: ReplyToken | undefined): void {
  const { state } = ctx;
  const job = state.jobs.get(request.job);
  const stage = job?.stages.get(request.stage);
  if (!stage || request.task >= stage.spec.count) {
    refuse(
      ctx,
      reply,
      job
        ? {
            code: "INVALID_ARGUMENT",
            message: `job ${request.job} has no task ${request.task} of stage ${request.stage}`,
          }
        : jobNotFound(request.job),
    );
    return;
  }
  try {
    const story = emitted(state.stories.ofTask(job?.id ?? "", stage.index, request.task));
    const explanation = { ...explain(state, stage, request.task), ...(story.length > 0 ? { story } : {}) };
    answer(ctx, reply, { t: "explanation", explanation }, true);
  } catch (error) {
    if (!isVolleyError(error)) throw error;
    refuse(ctx, reply, { code: error.code, message: error.message });
  }
}
