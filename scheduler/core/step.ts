/**
 * The state machine's one entry: an event comes in, the state moves, commands come out. It reads no clock and draws no
 * random number.
 */
import type { ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { causeOf, dueWith } from "./cause.js";
import {
  answer,
  closeSession,
  onCancel,
  onClientHeartbeat,
  onOpen,
  onStages,
  onSubmit,
  startJob,
} from "./client-events.js";
import { onCommits } from "./commits.js";
import { advanceDrains } from "./copies.js";
import { dispatch } from "./dispatch.js";
import type { Command, Event, ReplyToken } from "./events.js";
import { isHush, listen, receivedAny, silenceMs } from "./liveness.js";
import { locate } from "./locate.js";
import { onDropped, onOffloaded, sweepResults } from "./offload.js";
import { endJob, freeObjects, objectIds } from "./progress.js";
import { onHold, onPut } from "./put-events.js";
import { dropUnread, sweepMissing } from "./puts.js";
import { onExplain, onList, onPlace, onResults, onStatus, onStory, onWatch, onWorkers } from "./questions.js";
import { write } from "./records.js";
import { onResume } from "./resume.js";
import { onRetryTimers } from "./retries.js";
import { heapBytesOf } from "./segments.js";
import { sweepSilences } from "./silence-ends.js";
import { type Context, type DurableRecord, type JobRecord, type State, sessionOf } from "./state.js";
import { steal } from "./steal.js";
import { sendChanges } from "./watches.js";
import { onDeregister, onHeartbeat, onObjects, onRegister, removeWorker } from "./worker-events.js";

/** Ended durable jobs are kept this long and this many, for their results and for reuse. */
export const endedJobsKeptMs = 7 * 24 * 3_600_000;
export const endedJobsKeptMax = 1_000;
/** All of them together: what they take of the scheduler's heap, and their results wherever they are. */
export const endedHeapBytesMax = 64 * 1024 * 1024;
export const endedResultBytesMax = 16 * 1024 * 1024 * 1024;
const sweepIntervalMs = 500;
/** An object that was put, but belongs to no session, is dropped after one to two of these. */
const putSweepIntervalMs = 30_000;

export function step(state: State, event: Event, nowMs: number): Command[] {
  // The clock of the shell never goes back; of a restarted scheduler's journal it might.
  state.nowMs = Math.max(state.nowMs, nowMs);
  const { stories } = state;
  const cause = causeOf(event, ++state.eventSeq);
  stories.cause = cause;
  stories.nowMs = state.nowMs;
  const ctx: Context = { state, out: [] };
  if (state.unsettled.size > 0) resume(ctx);
  switch (event.e) {
    case "client":
      receivedAny(state);
      onClient(ctx, event);
      break;
    case "worker":
      receivedAny(state);
      onWorker(ctx, event);
      break;
    case "digest":
      onDigest(ctx, event.job, event.digest);
      break;
    case "offloaded":
      onOffloaded(ctx, event);
      break;
    case "dropped":
      onDropped(ctx, event.blobs, event.ok);
      break;
    case "tick":
      listen(state, event.listenedMs);
      if (state.nowMs >= state.nextSweepMs) sweep(ctx);
      break;
  }
  if (state.retries.nextMs !== undefined && state.retries.nextMs <= state.nowMs) {
    stories.cause = dueWith(cause);
    onRetryTimers(ctx);
    stories.cause = cause;
  }
  if (state.drains.size > 0) advanceDrains(ctx);
  dispatch(ctx);
  steal(ctx);
  if (state.unread.size > 0) dropUnread(ctx);
  if (state.watches.nextMs <= state.nowMs) sendChanges(ctx);
  return ctx.out;
}

/** When the next tick is needed at the latest. */
export function nextWakeMs(state: State): number {
  return Math.min(state.retries.nextMs ?? Number.POSITIVE_INFINITY, state.nextSweepMs, state.watches.nextMs);
}

/** After a restart, durable jobs start from what the journal says. */
function resume(ctx: Context): void {
  for (const id of [...ctx.state.unsettled]) startJob(ctx, id);
}

function onClient(ctx: Context, event: Extract<Event, { e: "client" }>): void {
  const { request, reply } = event;
  switch (request.t) {
    case "open":
      onOpen(ctx, request, reply);
      break;
    case "stages":
      onStages(ctx, request, event.bases ?? []);
      break;
    case "resume":
      onResume(ctx, request, event.bases ?? [], reply);
      break;
    case "heartbeat":
      onClientHeartbeat(ctx, request, reply);
      break;
    case "close": {
      const session = sessionOf(ctx.state, request.session, request.client);
      if (session) closeSession(ctx, session);
      answer(ctx, reply, { t: "ok" });
      break;
    }
    case "submit":
      onSubmit(ctx, request, event.bases ?? [], event.contentHash ?? "", reply);
      break;
    case "status":
      onStatus(ctx, request, reply);
      break;
    case "watch":
      onWatch(ctx, request, reply);
      break;
    case "list":
      onList(ctx, request, reply);
      break;
    case "results":
      onResults(ctx, request, reply);
      break;
    case "cancel":
      onCancel(ctx, request, reply);
      break;
    case "explain":
      onExplain(ctx, request, reply);
      break;
    case "story":
      onStory(ctx, request, reply);
      break;
    case "locate":
      onLocate(ctx, request.ids, reply);
      break;
    case "place":
      onPlace(ctx, request, reply);
      break;
    case "put":
      onPut(ctx, request, reply);
      break;
    case "hold":
      onHold(ctx, request, reply);
      break;
    case "workers":
      onWorkers(ctx, reply);
      break;
  }
}

function onWorker(ctx: Context, event: Extract<Event, { e: "worker" }>): void {
  const { request, reply } = event;
  switch (request.t) {
    case "register":
      onRegister(ctx, request, reply as ReplyToken | undefined);
      break;
    case "heartbeat":
      onHeartbeat(ctx, request, reply);
      break;
    case "commits":
      onCommits(ctx, request);
      break;
    case "objects":
      onObjects(ctx, request);
      break;
    case "deregister":
      onDeregister(ctx, request);
      break;
  }
}

/** The digest of a job's outputs is known: the job has succeeded. */
function onDigest(ctx: Context, id: JobRecord["id"], digest: string): void {
  const job = ctx.state.jobs.get(id);
  if (job?.kind !== "durable" || job.state !== "running" || job.digest.d !== "computing") return;
  write(ctx, { k: "digest", job: id, digest }, true);
  endJob(ctx, job, "succeeded");
}

/** Twice a second: who has fallen silent, and what may be forgotten. */
function sweep(ctx: Context): void {
  const { state } = ctx;
  state.nextSweepMs = state.nowMs + sweepIntervalMs;
  if (!isHush(state)) removeSilent(ctx);
  for (const job of jobsToForget(state)) forget(ctx, job);
  sweepResults(ctx);
}

/**
 * The oldest of the ended ones, until count, age and bytes are within their limits. The newest stays whatever it takes:
 * somebody waits for it.
 */
function* jobsToForget(state: State): IterableIterator<DurableRecord> {
  let heap = 0;
  let results = 0;
  for (const id of state.ended) {
    const job = state.jobs.get(id) as DurableRecord;
    heap += retainedBytes(job);
    results += job.resultBytes;
  }
  for (const id of [...state.ended]) {
    const job = state.jobs.get(id) as DurableRecord;
    const tooMany = state.ended.length > endedJobsKeptMax || state.nowMs - (job.endedAtMs ?? 0) > endedJobsKeptMs;
    const tooLarge = state.ended.length > 1 && (heap > endedHeapBytesMax || results > endedResultBytesMax);
    if (!tooMany && !tooLarge) return;
    heap -= retainedBytes(job);
    results -= job.resultBytes;
    yield job;
  }
}

/** What an ended job still takes of the heap, about. */
function retainedBytes(job: DurableRecord): number {
  if (job.retainedBytes !== undefined) return job.retainedBytes;
  let bytes = 1_024 + 512 * job.objects.size;
  for (const stage of job.stages.values()) {
    bytes += 1_024;
    for (const segment of stage.results) bytes += heapBytesOf(segment);
  }
  job.retainedBytes = bytes;
  return bytes;
}

function onLocate(ctx: Context, ids: readonly ObjectId[], reply: ReplyToken | undefined): void {
  const locations = ids.map((id) => locate(ctx.state, id));
  if (reply !== undefined && locations.some(({ chunk }) => chunk))
    ctx.out.push({ c: "deferred", what: { d: "located", to: reply, locations }, gated: true });
  else answer(ctx, reply, { t: "located", locations }, true);
}

function removeSilent(ctx: Context): void {
  const { state } = ctx;
  for (const worker of [...state.workers.values()]) {
    if (silenceMs(state, worker) > limits.heartbeatTimeoutMs) removeWorker(ctx, worker, "silent");
  }
  for (const session of [...state.sessions.values()]) {
    if (silenceMs(state, session) > limits.sessionTimeoutMs) closeSession(ctx, session);
  }
  sweepSilences(ctx);
  if (state.listenedMs >= state.nextPutSweepAt) sweepPuts(ctx);
}

/** I7: what was put for a session that is gone, or never came, goes too; unless a durable job reads it. */
function sweepPuts(ctx: Context): void {
  const { state } = ctx;
  state.nextPutSweepAt = state.listenedMs + putSweepIntervalMs;
  sweepMissing(ctx);
  // Soon after a start those who put them may not have come back.
  if (state.listenedMs < limits.sessionTimeoutMs) return;
  const idle = [...state.puts].filter(([, put]) => !put.durable && put.owners.size === 0 && put.readers.size === 0);
  if (idle.length === 0) return;
  const dropped: ObjectId[] = [];
  for (const [id, put] of idle) {
    if (state.readers.has(id)) continue;
    if (put.idle) {
      state.puts.delete(id);
      dropped.push(id);
    } else put.idle = true;
  }
  freeObjects(ctx, dropped);
}

function forget(ctx: Context, job: JobRecord): void {
  const ids = new Set([...job.stages.values()].flatMap((stage) => [...objectIds(ctx.state, stage)]));
  write(ctx, { k: "forget", job: job.id }, true);
  freeObjects(ctx, ids);
}
