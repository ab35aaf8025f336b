/**
 * The dialogue of worker and scheduler, as zod schemas; the types follow from them. Parsing and delivery are as in
 * client.ts. Numbered rules that code cites:
 *   M2 `commits` are kept by the worker until `ack`ed by seq, and sent again every commitResendMs.
 *   M3 leases are idempotent by lease id, at every phase of the lease's life.
 *   M4 a worker's heartbeat lists the leases it holds; the scheduler sends again what is missing and revokes what it
 *      does not know.
 *   M6 whatever carries an epoch below the highest seen is refused; clients hold to it too.
 *   M7 of processes under one worker's name the one that registered last is the worker; the others are refused, and
 *      what they report does not count.
 */
import { z } from "zod";
import { objectLocation, resultSegment, wireError } from "./results.js";
import {
  bytes,
  count,
  epoch,
  instance,
  jobId,
  leaseId,
  objectBase,
  objectId,
  schedulerStart,
  u32,
  workerId,
} from "./scalars.js";
import { argSpec, functionRef, stageOptions, valueKind } from "./stage.js";
import { engineFacts } from "./status.js";

/** A lease as the worker that holds it tells of it. */
export const heldLease = z.object({
  lease: leaseId,
  /** First task not yet finished; tasks before it are committed or in an unacknowledged commit. */
  next: u32,
  to: u32,
  /** A slot is executing task `next`. */
  running: z.boolean(),
  /** Nothing but the tasks before it on its slot keeps it from running. */
  startable: z.literal(true).optional(),
  /** Its functions have returned: results are on their way into a store. */
  ran: z.literal(true).optional(),
  /** What it needs before it can run: its inputs and code are on their way, or wait for room in the object store. */
  waits: z.enum(["inputs", "memory"]).optional(),
});
export type HeldLease = z.infer<typeof heldLease>;

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
    t: z.literal("register"),
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
    /** Its reports below this number were made before: `objects` is what it held after them. */
    reportsTo: count.optional(),
  }),
  z.object({
    t: z.literal("heartbeat"),
    worker: workerId,
    instance: instance.optional(),
    epoch,
    leases: z.array(heldLease),
    slotsBusy: count,
    storeBytes: count,
    spilledBytes: count,
    /** As in registration. */
    reportsFrom: count.optional(),
    draining: z.boolean(),
  }),
  /**
   * M2. `done`: leases whose every task is committed, failed or given back. `back`: the unstarted rest [from, to) of a
   * lease, given back, and why if it was not asked for. `ran`: leases that hold no slot any more; their last results
   * are being stored and follow.
   */
  z.object({
    t: z.literal("commits"),
    worker: workerId,
    instance: instance.optional(),
    epoch,
    seq: count,
    commits: z.array(commit),
    done: z.array(leaseId),
    ran: z.array(leaseId).optional(),
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
  z.object({ t: z.literal("deregister"), worker: workerId, instance: instance.optional(), epoch }),
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
  /** Say with a heartbeat when it starts: it may have to be prepared first, so that nobody else can know (I8). */
  heartbeatAtStart: z.literal(true).optional(),
});
export type Lease = z.infer<typeof lease>;

/** Published by the scheduler to subjects.worker(worker), and given as the reply to `register` and `heartbeat`. */
export const schedulerCommand = z.discriminatedUnion("o", [
  z.object({
    o: z.literal("welcome"),
    heartbeatIntervalMs: count,
    start: schedulerStart.optional(),
  }),
  z.object({ o: z.literal("refused"), error: wireError }),
  /** The scheduler does not know this worker: register again. */
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
  /** To a worker that drains: so many of its objects are still needed. At 0 it may deregister. */
  z.object({ o: z.literal("leave"), needed: count }),
]);
export type SchedulerCommand = z.infer<typeof schedulerCommand>;

/** For the process of this `instance` alone, whoever else listens under its name (M7). */
export const schedulerCommands = z.object({
  t: z.literal("commands"),
  epoch,
  instance: instance.optional(),
  commands: z.array(schedulerCommand),
});
export type SchedulerCommands = z.infer<typeof schedulerCommands>;
