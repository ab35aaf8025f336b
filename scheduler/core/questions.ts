/** Questions that change nothing: status, lists, results, explain, workers, placement. */
import { isVolleyError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import type { ClientRequestOf } from "../../proto/messages/client.js";
import type { Explanation } from "../../proto/messages/explanation.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { JobStatus, StageStatus, WorkerStatus } from "../../proto/messages/status.js";
import { answer, jobNotFound, refuse } from "./client-events.js";
import { pinOf } from "./engines.js";
import type { ReplyToken } from "./events.js";
import { unmetLinks } from "./links.js";
import { silenceMs } from "./liveness.js";
import { segmentBytes } from "./records.js";
import { largestStoreBytes } from "./room.js";
import { sliceSegment, storeBytes } from "./segments.js";
import {
  type Context,
  type JobRecord,
  type LeaseRecord,
  type StageRecord,
  type State,
  tallyOf,
  taskState,
} from "./state.js";

export function stageStatusOf(stage: StageRecord): StageStatus {
  return {
    index: stage.index,
    name: stage.spec.name ?? ("bundle" in stage.spec.fn ? stage.spec.fn.export : stage.spec.fn.kernel),
    count: stage.spec.count,
    waiting: tallyOf(stage, taskState.waiting) + tallyOf(stage, taskState.retrying),
    queued: tallyOf(stage, taskState.queued),
    running: tallyOf(stage, taskState.leased),
    succeeded: tallyOf(stage, taskState.succeeded) + tallyOf(stage, taskState.shelved),
    failed: tallyOf(stage, taskState.failed),
    cancelled: tallyOf(stage, taskState.cancelled),
    reused: stage.reused,
    retried: stage.retried,
  };
}

/** A session may have very many stages: its status lists the newest only. */
const stagesListedMax = 1_000;

function newest(job: JobRecord, most: number): StageStatus[] {
  const stages: StageStatus[] = [];
  let skip = job.stages.size - most;
  if (skip >= job.stages.size) return stages;
  for (const stage of job.stages.values()) if (--skip < 0) stages.push(stageStatusOf(stage));
  return stages;
}

export function jobStatusOf(job: JobRecord, stagesMax = stagesListedMax): JobStatus {
  return {
    job: job.id,
    name: job.name,
    tenant: job.tenant,
    durable: job.durable,
    state: job.state,
    submittedAtMs: job.submittedAtMs,
    ...(job.endedAtMs === undefined ? {} : { endedAtMs: job.endedAtMs }),
    stages: newest(job, stagesMax),
    outputs: [...job.outputs],
    tasks: job.tasks,
    succeeded: (job.tally[taskState.succeeded] as number) + (job.tally[taskState.shelved] as number),
    reused: job.reused,
    executed: job.executed,
    retried: job.retried,
    slotTimeUs: job.slotTimeUs,
    resultBytes: job.resultBytes,
    ...(job.error ? { error: job.error } : {}),
    ...(job.digest === undefined ? {} : { digest: job.digest }),
  };
}

export function onStatus(ctx: Context, request: ClientRequestOf<"status">, reply: ReplyToken | undefined): void {
  const job = ctx.state.jobs.get(request.job);
  if (job) answer(ctx, reply, { t: "status", status: jobStatusOf(job) }, true);
  else refuse(ctx, reply, jobNotFound(request.job));
}

export function onList(ctx: Context, request: ClientRequestOf<"list">, reply: ReplyToken | undefined): void {
  const jobs = [...ctx.state.jobs.values()].filter(
    (job) => job.durable && (request.tenant === undefined || job.tenant === request.tenant),
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
    if (!worker.draining && worker.storeBudgetBytes >= neededBytes && (!best || free > best.free))
      best = { free, worker: worker.id };
  }
  if (best) answer(ctx, reply, { t: "placed", worker: best.worker });
  else
    refuse(ctx, reply, {
      code: "NO_WORKERS",
      message: "no worker has joined the cluster, so there is nowhere to put an object; start one with `volley worker`",
    });
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
      draining: worker.draining,
      storeBytes: worker.storeBytes,
      storeBudgetBytes: worker.storeBudgetBytes,
      spilledBytes: worker.spilledBytes,
      tasksDone: worker.tasksDone,
      lastHeardMs: worker.heardMs,
    }),
  );
  let running = 0;
  for (const lease of state.leases.values()) running += lease.open.size;
  answer(ctx, reply, { t: "workers", workers, queued: state.queued, running });
}

// ------------------------------------------------------------------------------------------------ explain

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
    answer(ctx, reply, { t: "explanation", explanation: explain(state, stage, request.task) }, true);
  } catch (error) {
    if (!isVolleyError(error)) throw error;
    refuse(ctx, reply, { code: error.code, message: error.message });
  }
}

/**
 * Why a task is where it is (I3: every task that has not ended has a lease, a queue place, an unmet dependency or a
 * timer).
 */
export function explain(state: State, stage: StageRecord, task: number): Explanation {
  const trouble = stage.troubles.get(task);
  const head = { job: stage.job.id, stage: stage.index, task, attempt: (trouble?.attempts ?? 0) + 1 };
  const last = trouble?.lastError
    ? `; the last try failed with ${trouble.lastError.code}: ${trouble.lastError.message}`
    : "";
  switch (stage.states.at(task)) {
    case taskState.succeeded:
      return { ...head, state: "succeeded", reason: "committed", text: "its result is committed" };
    case taskState.shelved:
      return {
        ...head,
        state: "succeeded",
        reason: "committed",
        text: "it was committed; its refs are gone, and its result was given up",
      };
    case taskState.failed: {
      const segment = stage.results.at(task);
      const error = segment?.r === "failed" ? segment.error : undefined;
      return { ...head, state: "failed", reason: error?.code ?? "failed", text: error?.message ?? "it failed" };
    }
    case taskState.cancelled:
      return {
        ...head,
        state: "cancelled",
        reason: "cancelled",
        text: stage.job.error ? `its job ended: ${stage.job.error.message}` : "its job was cancelled",
      };
    case taskState.retrying: {
      let dueMs = state.nowMs;
      for (const { atMs, item } of state.retries) if (item.stage === stage && item.task === task) dueMs = atMs;
      const wait = Math.max(0, Math.round(dueMs - state.nowMs));
      if (trouble?.claimed)
        return {
          ...head,
          state: "retrying",
          reason: "looked-for",
          text: `its result was made before the scheduler restarted; the worker that holds it is waited for, at most ${wait} ms`,
          retryInMs: wait,
        };
      const blames = trouble?.blames ?? 0;
      if (blames >= limits.blamesMax) {
        const text = `it was executing on ${blames} workers that died; unless one of them turns out to live within ${wait} ms, it is not tried again`;
        return { ...head, state: "retrying", reason: "verdict", text, retryInMs: wait };
      }
      return {
        ...head,
        state: "retrying",
        reason: "backoff",
        text: `it is tried again in ${wait} ms${last}`,
        retryInMs: wait,
      };
    }
    case taskState.leased:
      return explainLease(state, stage, task, head);
    case taskState.queued:
      return explainQueue(state, stage, head, last);
    default:
      return explainWait(stage, task, head);
  }
}

type Head = Pick<Explanation, "job" | "stage" | "task" | "attempt">;

function explainLease(state: State, stage: StageRecord, task: number, head: Head): Explanation {
  const lease = [...stage.leases].find((l: LeaseRecord) => l.open.has(task));
  if (!lease) return { ...head, state: "leased", reason: "lost", text: "no lease holds it: a fault of the scheduler" };
  const where = { worker: lease.worker.id, lease: lease.id };
  const silent = Math.round(silenceMs(state, lease.worker));
  if (silent > 2 * limits.heartbeatIntervalMs) {
    return {
      ...head,
      ...where,
      state: "leased",
      reason: "worker-silent",
      text: `worker ${lease.worker.id} has not been heard for ${silent} ms; its tasks return to the queue after ${limits.heartbeatTimeoutMs} ms`,
    };
  }
  if (lease.running && lease.open.first()?.from === task)
    return {
      ...head,
      ...where,
      state: "running",
      reason: "executing",
      text: `worker ${lease.worker.id} is executing it`,
    };
  const waits = lease.open.first()?.from === task ? lease.waits : undefined;
  if (waits === "memory") {
    const text = `worker ${lease.worker.id} has the lease, but no room for its inputs beside those of the leases it holds; its store has ${lease.worker.storeBudgetBytes} bytes`;
    return { ...head, ...where, state: "leased", reason: "no-room", text };
  }
  if (waits === "inputs")
    return {
      ...head,
      ...where,
      state: "leased",
      reason: "fetching-inputs",
      text: `worker ${lease.worker.id} is fetching its inputs or code`,
    };
  return {
    ...head,
    ...where,
    state: "leased",
    reason: "behind-in-lease",
    text: `worker ${lease.worker.id} holds it in lease ${lease.id}, behind other tasks`,
  };
}

function explainQueue(state: State, stage: StageRecord, head: Head, last: string): Explanation {
  const queueAhead = state.queued - 1;
  if (state.workers.size === 0)
    return {
      ...head,
      state: "queued",
      reason: "no-workers",
      text: `no worker has joined the cluster; start one with \`volley worker\`${last}`,
      queueAhead,
    };
  const takers = [...state.workers.values()].filter((worker) => !worker.draining);
  if (takers.length === 0)
    return {
      ...head,
      state: "queued",
      reason: "all-draining",
      text: `all ${state.workers.size} workers are draining${last}`,
      queueAhead,
    };
  const pin = pinOf(state, stage);
  if (pin !== undefined && takers.some((worker) => worker.family !== pin && worker.leases.size < worker.slots))
    return {
      ...head,
      state: "queued",
      reason: "other-engine",
      text: `slots are free on workers of other engines, but its function is pure and its results are those of ${pin}, whose slots are taken${last}`,
      queueAhead,
    };
  return {
    ...head,
    state: "queued",
    reason: "no-free-slot",
    text: `all ${state.slots} slots are taken; ${queueAhead} other tasks are queued${last}`,
    queueAhead,
  };
}

const unmetListedMax = 100;

function explainWait(stage: StageRecord, task: number, head: Head): Explanation {
  const unmet = new Map<number, number>();
  for (const { upstream } of unmetLinks(stage))
    unmet.set(upstream.index, upstream.spec.count - tallyOf(upstream, taskState.succeeded));
  for (const { upstream } of stage.perTask)
    if (upstream.states.at(task) !== taskState.succeeded) unmet.set(upstream.index, 1);
  const put = stage.missing > 0 ? stage.puts.find(({ missing }) => missing) : undefined;
  if (put)
    return {
      ...head,
      state: "waiting",
      reason: "inputs",
      text: `it waits for object ${put.facts.id}, of which every copy is gone, until its client puts it again`,
      unmet: [],
    };
  const list = [...unmet].slice(0, unmetListedMax).map(([index, missing]) => ({ stage: index, missing }));
  const text =
    list
      .map(({ stage: index, missing }) => `stage ${index} (${missing} task${missing === 1 ? "" : "s"} to go)`)
      .join(", ") + (unmet.size > list.length ? ` and ${unmet.size - list.length} other stages` : "");
  return { ...head, state: "waiting", reason: "inputs", text: `it waits for ${text || "its inputs"}`, unmet: list };
}
