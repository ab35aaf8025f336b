/**
 * Every message between client, scheduler and worker, as zod schemas; the types follow from them.
 * Intake parses once, here; behind it the types are trusted. Messages are msgpack maps (codec.ts).
 *
 * Delivery is at most once (NATS core), so every message is either a request that is repeated until
 * answered, or reconciled by heartbeats; every handler is idempotent. Numbered rules that code cites:
 *   M1 `stages`/`submit` are idempotent by (job, stage index): the same again is ignored, other content is CONFLICT.
 *   M2 `commits` are kept by the worker until `ack`ed by seq, and sent again every commitResendMs.
 *   M3 leases are idempotent by lease id, at every phase of the lease's life.
 *   M4 a worker's beat lists the leases it holds; the scheduler sends again what is missing and revokes what it does
 * not know.
 *   M5 a client's beat lists the stages it still waits for, and what is missing of them; the scheduler sends that
 * again, and no more.
 *   M6 whatever carries an epoch below the highest seen is refused.
 *   M7 of processes under one worker's name the one that said hello last is the worker; the others are refused, and
 * what they report does not count.
 *   M8 what a client has put is its session's from `hold` (or `put`) until a beat lists it as dropped; of the two the
 * higher generation is the later.
 */
import { z } from "zod";
import { type ErrorCode, isErrorCode } from "./errors.js";
import { explanation } from "./explanation.js";
import { heldLease } from "./held-lease.js";
import { limits } from "./limits.js";
import { argSpec, functionRef, stageOptions, stageSpec, valueKind } from "./stage-spec.js";
import {
  bytes,
  clientId,
  count,
  engineName,
  epoch,
  instance,
  jobId,
  leaseId,
  objectBase,
  objectId,
  schedulerStart,
  tenantId,
  u32,
  workerId,
} from "./wire-scalars.js";
import { engineFacts, workerStatus } from "./worker-status.js";

export {
  type ArgSpec,
  type FunctionRef,
  type StageOptions,
  type StageSpec,
  stageOptions,
  stageSpec,
  valueKind,
} from "./stage-spec.js";

export const wireError = z.object({
  code: z.custom<ErrorCode>(isErrorCode, { error: "expected a code of the error catalogue" }),
  message: z.string(),
  stack: z.string().optional(),
  thrown: z
    .string()
    .max(64 * 1024)
    .optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

// ------------------------------------------------------------------------------------------------ results

/**
 * The particulars of one result that is too large to travel inline. digest: the first 16 bytes of SHA-256 over kind
 * byte and payload.
 */
export const storedResult = z.object({ bytes: count, kind: valueKind, digest: bytes });
export type StoredResult = z.infer<typeof storedResult>;

/**
 * A run of tasks [from, to) of one stage with results of one form. `digests`: 16 bytes a task, present for durable
 * jobs.
 */
export const resultSegment = z.discriminatedUnion("r", [
  z.object({ r: z.literal("inline"), stage: count, from: u32, to: u32, pack: bytes, digests: bytes.optional() }),
  z.object({ r: z.literal("stored"), stage: count, from: u32, to: u32, stored: z.array(storedResult) }),
  z.object({ r: z.literal("failed"), stage: count, from: u32, to: u32, error: wireError }),
]);
export type ResultSegment = z.infer<typeof resultSegment>;

/** Where the bytes of an object are. */
export const objectLocation = z.object({
  id: objectId,
  state: z.enum(["ready", "pending", "failed", "unknown"]),
  kind: valueKind.optional(),
  bytes: count.optional(),
  digest: bytes.optional(),
  inline: bytes.optional(),
  workers: z.array(workerId).optional(),
  /** It is in the durable store under its id. */
  durable: z.boolean().optional(),
  error: wireError.optional(),
});
export type ObjectLocation = z.infer<typeof objectLocation>;

export const jobState = z.enum(["running", "succeeded", "failed", "cancelled"]);
export type JobState = z.infer<typeof jobState>;
export const stageStatus = z.object({
  index: count,
  name: z.string(),
  count,
  waiting: count,
  queued: count,
  running: count,
  succeeded: count,
  failed: count,
  cancelled: count,
  /** Of the succeeded: taken from the content-addressed store without executing. */
  reused: count,
  retried: count,
});
export type StageStatus = z.infer<typeof stageStatus>;

export const jobStatus = z.object({
  job: jobId,
  name: z.string(),
  tenant: tenantId,
  durable: z.boolean(),
  state: jobState,
  submittedAtMs: count,
  endedAtMs: count.optional(),
  stages: z.array(stageStatus),
  outputs: z.array(count),
  tasks: count,
  succeeded: count,
  reused: count,
  /** Tasks committed by executing, in this job. */
  executed: count,
  retried: count,
  /** Slot time used so far, microseconds. */
  slotTimeUs: count,
  /** Bytes of all results. */
  resultBytes: count,
  error: wireError.optional(),
  /** SHA-256 hex over the digests of the outputs' tasks in order; of durable jobs that succeeded. */
  digest: z.string().optional(),
});
export type JobStatus = z.infer<typeof jobStatus>;

// ------------------------------------------------------------------------------------------------ client → scheduler

/** `generation`: counts what this client has put, so that what it drops and what it puts again are told apart. */
const heldObject = z.object({ id: objectId, kind: valueKind, bytes: count, digest: bytes, generation: count });

/** Requests are sent to subjects.schedulerClient with a reply inbox; answered by {@link ClientReply}. */
export const clientRequest = z.discriminatedUnion("t", [
  /** Opens the client's session (a job that is not durable). `session` is minted by the client. */
  z.object({ t: z.literal("open"), client: clientId, session: jobId, tenant: tenantId, version: count }),
  /** Adds stages to a session. Published without a reply: the results are the answer, M5 the safety net. */
  z.object({ t: z.literal("stages"), session: jobId, client: clientId, stages: z.array(stageSpec) }),
  /**
   * Stages of a session that was opened again, with what the client was shown of them: those tasks keep these results
   * and are not executed again (I1). `base` present: every task has ended, and the arguments are left out. `last`: no
   * further segments of this stage follow.
   */
  z.object({
    t: z.literal("resume"),
    session: jobId,
    client: clientId,
    stages: z.array(
      z.object({ spec: stageSpec, base: objectBase.optional(), segments: z.array(resultSegment), last: z.boolean() }),
    ),
  }),
  /**
   * `waiting`: stage indexes without a complete result; `released`: stages whose results the client no longer needs;
   * `dropped`: objects it put likewise.
   */
  z.object({
    t: z.literal("beat"),
    client: clientId,
    session: jobId,
    epoch,
    waiting: z.array(count),
    /**
     * Of stages in `waiting` that are settled in part: the runs [from, to) that are missing, as from, to, from, to, …
     * Of the others all is.
     */
    gaps: z.array(z.tuple([count, z.array(u32)])).optional(),
    released: z.array(count),
    dropped: z.array(z.object({ id: objectId, generation: count })).optional(),
  }),
  z.object({ t: z.literal("close"), client: clientId, session: jobId }),
  /** Submits a durable job. Idempotent by job id; `key` makes it idempotent across job ids of a tenant. */
  z.object({
    t: z.literal("submit"),
    job: jobId,
    client: clientId,
    tenant: tenantId,
    name: z.string().min(1).max(128),
    stages: z.array(stageSpec).min(1).max(limits.stagesPerJobMax),
    outputs: z.array(count).min(1),
    key: z.string().min(1).max(128).optional(),
  }),
  z.object({ t: z.literal("status"), job: jobId }),
  z.object({
    t: z.literal("list"),
    tenant: tenantId.optional(),
    limit: z.number().int().min(1).max(limits.jobsListedMax),
  }),
  /** One page of a stage's results from task `from` on; `next` of the reply continues. */
  z.object({ t: z.literal("results"), job: jobId, stage: count, from: u32, to: u32 }),
  /** Cancels a job, or the tasks [from, to) of one of its stages. */
  z.object({ t: z.literal("cancel"), job: jobId, stage: count.optional(), from: u32.optional(), to: u32.optional() }),
  z.object({ t: z.literal("explain"), job: jobId, stage: count, task: u32 }),
  z.object({ t: z.literal("locate"), ids: z.array(objectId).max(10_000) }),
  /** Which worker should take a new object of this size. */
  z.object({ t: z.literal("place"), bytes: count }),
  /**
   * A put of at most inlineBytesMax, or one already in the durable store, is told to the scheduler by its client.
   * `inline` absent: durable.
   */
  z.object({
    t: z.literal("put"),
    session: jobId,
    id: objectId,
    kind: valueKind,
    bytes: count,
    digest: bytes,
    inline: bytes.optional(),
    generation: count.optional(),
  }),
  /** Objects that workers took from the client belong to its session now (M8). */
  z.object({
    t: z.literal("hold"),
    session: jobId,
    client: clientId,
    objects: z.array(heldObject).max(limits.objectsListedMax),
  }),
  z.object({ t: z.literal("workers") }),
]);
export type ClientRequest = z.infer<typeof clientRequest>;
export type ClientRequestOf<T extends ClientRequest["t"]> = Extract<ClientRequest, { t: T }>;

export const clientReply = z.discriminatedUnion("t", [
  z.object({ t: z.literal("error"), epoch, error: wireError }),
  z.object({ t: z.literal("ok"), epoch }),
  /**
   * To the cancel of a stage's tasks: how many of them had not ended. `known` false: the scheduler has no such stage.
   */
  z.object({ t: z.literal("cancelled"), epoch, known: z.boolean(), tasks: count }),
  /** `engine`: what pure functions of users are addressed with from now on; "" while no worker has joined. */
  z.object({
    t: z.literal("opened"),
    epoch,
    heartbeatIntervalMs: count,
    version: count,
    engine: engineName.optional(),
  }),
  /**
   * `known` false: the scheduler does not know this session (it restarted). Results of `waiting` stages follow as
   * updates. `missing`: to be put again.
   */
  z.object({
    t: z.literal("beat"),
    epoch,
    known: z.boolean(),
    missing: z.array(objectId).optional(),
    engine: engineName.optional(),
  }),
  /** Of them nobody has `missing`. */
  z.object({ t: z.literal("held"), epoch, missing: z.array(objectId) }),
  /** `job` is an earlier job's id if `key` was used before with the same content. */
  z.object({ t: z.literal("submitted"), epoch, job: jobId, existed: z.boolean() }),
  z.object({ t: z.literal("status"), epoch, status: jobStatus }),
  z.object({ t: z.literal("jobs"), epoch, jobs: z.array(jobStatus) }),
  z.object({
    t: z.literal("results"),
    epoch,
    base: objectBase,
    segments: z.array(resultSegment),
    next: u32.optional(),
  }),
  z.object({ t: z.literal("explanation"), epoch, explanation }),
  z.object({ t: z.literal("located"), epoch, locations: z.array(objectLocation) }),
  z.object({ t: z.literal("placed"), epoch, worker: workerId }),
  z.object({ t: z.literal("workers"), epoch, workers: z.array(workerStatus), queued: count, running: count }),
]);
export type ClientReply = z.infer<typeof clientReply>;
export type ClientReplyOf<T extends ClientReply["t"]> = Extract<ClientReply, { t: T }>;

/** Published to subjects.client(client): results of its session's stages as they commit. */
export const clientUpdate = z.object({
  t: z.literal("update"),
  epoch,
  session: jobId,
  segments: z.array(resultSegment),
});
export type ClientUpdate = z.infer<typeof clientUpdate>;

// ------------------------------------------------------------------------------------------------ worker → scheduler

export type { HeldLease } from "./held-lease.js";

/** `copy`: it was fetched for a lease, and is dropped when its room is needed. */
export const storedObject = z.object({
  id: objectId,
  bytes: count,
  kind: valueKind,
  digest: bytes,
  copy: z.literal(true).optional(),
});
export type StoredObject = z.infer<typeof storedObject>;

/** One finished run of tasks of a lease. A commit names the lease, and the scheduler knows the rest from it. */
export const commit = z.object({
  lease: leaseId,
  segment: resultSegment,
  /** Execution time of the segment's tasks together, microseconds. */
  slotTimeUs: count,
});
export type Commit = z.infer<typeof commit>;

export const workerRequest = z.discriminatedUnion("t", [
  /**
   * Joins (or joins again after a scheduler's change), with what it holds. Repeated until answered. `followed`: the
   * last scheduler it was welcomed by. In this and all others, `instance` is minted by every process anew: one of two
   * that come under one name is never taken for the other (M7).
   */
  z.object({
    t: z.literal("hello"),
    worker: workerId,
    instance: instance.optional(),
    followed: z.object({ epoch, start: schedulerStart }).optional(),
    node: z.string().max(256),
    pid: count,
    version: count,
    volley: z.string().max(64).optional(),
    engine: engineFacts.optional(),
    slots: z.number().int().min(1).max(1024),
    storeBudgetBytes: count,
    leases: z.array(heldLease),
    objects: z.array(storedObject),
    /** Its reports below this number have been acknowledged or are void: none of them is still to come. */
    reportsFrom: count.optional(),
    more: z.boolean(),
  }),
  z.object({
    t: z.literal("beat"),
    worker: workerId,
    instance: instance.optional(),
    epoch,
    leases: z.array(heldLease),
    slotsBusy: count,
    storeBytes: count,
    spilledBytes: count,
    /** As in hello. */
    reportsFrom: count.optional(),
    draining: z.boolean(),
  }),
  /**
   * M2. `done`: leases whose every task is committed, failed or given back. `back`: the unstarted rest [from, to) of a
   * lease, given back, and why if it was not asked for.
   */
  z.object({
    t: z.literal("commits"),
    worker: workerId,
    instance: instance.optional(),
    epoch,
    seq: count,
    commits: z.array(commit),
    done: z.array(leaseId),
    back: z.array(z.object({ lease: leaseId, from: u32, to: u32, error: wireError.optional() })),
  }),
  /**
   * Objects that came (a put, a fetched copy) or went (freed, lost) outside of commits. Sent until acked like commits.
   */
  z.object({
    t: z.literal("objects"),
    worker: workerId,
    instance: instance.optional(),
    epoch,
    seq: count,
    added: z.array(storedObject),
    removed: z.array(objectId),
  }),
  /** The worker has given everything back and leaves. */
  z.object({ t: z.literal("bye"), worker: workerId, instance: instance.optional(), epoch }),
]);
export type WorkerRequest = z.infer<typeof workerRequest>;
export type WorkerRequestOf<T extends WorkerRequest["t"]> = Extract<WorkerRequest, { t: T }>;

/**
 * Self-contained, so that leases can be handled in any order. Item packs are cut to the range: item i - from belongs to
 * task i.
 */
export const lease = z.object({
  lease: leaseId,
  job: jobId,
  stage: count,
  base: objectBase,
  fn: functionRef,
  from: u32,
  to: u32,
  attempt: count,
  args: z.array(argSpec),
  /** For arguments of the forms `object`, `task`, `stage`: bases of the stages, by stage index of the job. */
  bases: z.array(z.tuple([count, objectBase, u32])),
  /** What the scheduler knows of where the inputs are; the worker asks `locate` for the rest. */
  inputs: z.array(objectLocation),
  /**
   * When the job (or the session, at this scheduler) began: its id may have stood for another before, with other values
   * under the same names.
   */
  since: count.optional(),
  /** Results go to the durable store (if not inline) and carry digests. */
  durable: z.boolean(),
  options: stageOptions,
  /** Say with a beat when it starts: it may have to be prepared first, so that nobody else can know (I8). */
  tell: z.literal(true).optional(),
});
export type Lease = z.infer<typeof lease>;

/** Published by the scheduler to subjects.worker(worker), and given as the reply to `hello` and `beat`. */
export const workerOrder = z.discriminatedUnion("o", [
  z.object({
    o: z.literal("welcome"),
    heartbeatIntervalMs: count,
    heartbeatTimeoutMs: count,
    start: schedulerStart.optional(),
  }),
  z.object({ o: z.literal("refused"), error: wireError }),
  /** The scheduler does not know this worker: say hello again. */
  z.object({ o: z.literal("unknown") }),
  z.object({ o: z.literal("lease"), lease }),
  /**
   * Give back the unstarted tasks from `keepTo` on. Idempotent; answered by `back` (an empty range: nothing is left to
   * give) or `done` in commits.
   */
  z.object({ o: z.literal("revoke"), lease: leaseId, keepTo: u32 }),
  /** Stop the lease now, even in the middle of a task. */
  z.object({ o: z.literal("cancel"), lease: leaseId }),
  z.object({ o: z.literal("ack"), seq: count }),
  /** `digests`, one an id: only what has that content; another of the same id stays. */
  z.object({ o: z.literal("free"), ids: z.array(objectId), digests: z.array(bytes).optional() }),
  z.object({ o: z.literal("drain") }),
  /**
   * Copies of these are not dropped any more: others that held them have gone. What is not there is told as `removed`.
   */
  z.object({ o: z.literal("keep"), ids: z.array(objectId) }),
  /**
   * Fetch these and keep them: whoever holds them leaves. Answered by `added`, or by `removed` for what could not be
   * had.
   */
  z.object({ o: z.literal("fetch"), objects: z.array(objectLocation) }),
  /** To a worker that drains: so many of its objects are still needed. At 0 it may say goodbye. */
  z.object({ o: z.literal("leave"), needed: count }),
]);
export type WorkerOrder = z.infer<typeof workerOrder>;

/** For the process of this `instance` alone, whoever else listens under its name (M7). */
export const workerOrders = z.object({
  t: z.literal("orders"),
  epoch,
  instance: instance.optional(),
  orders: z.array(workerOrder),
});
export type WorkerOrders = z.infer<typeof workerOrders>;
