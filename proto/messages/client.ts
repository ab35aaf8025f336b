/**
 * The dialogue of client and scheduler, as zod schemas; the types follow from them. Intake parses once, here; behind it
 * the types are trusted. Messages are msgpack maps (codec.ts).
 *
 * Delivery is at most once (NATS core), so every message is either a request that is repeated until answered, or
 * reconciled by heartbeats; every handler is idempotent. Numbered rules that code cites (those left out: worker.ts):
 *   M1 `stages`/`submit` are idempotent by (job, stage index): the same again is ignored, other content is CONFLICT.
 *   M5 a client's heartbeat lists the stages it still waits for, and what is missing of them; the scheduler sends that
 *      again, and no more.
 *   M8 what a client has put is its session's from `hold` (or `put`) until a heartbeat lists it as dropped; of the two
 *      the higher generation is the later.
 */
import { z } from "zod";
import { limits } from "../limits.js";
import { each } from "./each.js";
import { explanation, storyLine } from "./explanation.js";
import { objectLocation, resultSegment, wireError } from "./results.js";
import {
  bytes,
  clientId,
  count,
  engineName,
  epoch,
  jobId,
  leaseId,
  objectBase,
  objectId,
  tenantId,
  u32,
  workerId,
} from "./scalars.js";
import { stageSpec, valueKind } from "./stage.js";
import { jobStatus, workerStatus } from "./status.js";

/** `generation`: counts what this client has put, so that what it drops and what it puts again are told apart. */
const heldObject = z.object({ id: objectId, kind: valueKind, bytes: count, digest: bytes, generation: count });

/** Requests are sent to subjects.schedulerClient with a reply inbox; answered by {@link ClientReply}. */
export const clientRequest = z.discriminatedUnion("t", [
  /** Opens the client's session (a job that is not durable). `session` is minted by the client. */
  z.object({ t: z.literal("open"), client: clientId, session: jobId, tenant: tenantId, version: count }),
  /** Adds stages to a session. Published without a reply: the results are the answer, M5 the safety net. */
  z.object({
    t: z.literal("stages"),
    session: jobId,
    client: clientId,
    stages: each(stageSpec, { max: limits.stagesPerSessionMax }),
  }),
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
    t: z.literal("heartbeat"),
    client: clientId,
    session: jobId,
    epoch,
    waiting: z.array(count).max(limits.heartbeatStagesMax),
    /**
     * Of stages in `waiting` that are settled in part: the runs [from, to) that are missing, as from, to, from, to, …
     * Of the others all is.
     */
    gaps: z
      .array(z.tuple([count, z.array(u32)]))
      .max(limits.heartbeatStagesMax)
      .optional(),
    released: z.array(count).max(limits.heartbeatStagesMax),
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
    stages: each(stageSpec, { min: 1, max: limits.stagesPerJobMax }),
    outputs: z.array(count).min(1),
    key: z.string().min(1).max(128).optional(),
  }),
  z.object({ t: z.literal("status"), job: jobId }),
  /**
   * The same, and for a while {@link ClientMessage} `job` to this client whenever it changes. Asked again as long as
   * the job is followed: so lost messages and new schedulers cost no more than that time.
   */
  z.object({ t: z.literal("watch"), job: jobId, client: clientId }),
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
  /** What happened to a worker or a lease. */
  z.object({ t: z.literal("story"), worker: workerId.optional(), lease: leaseId.optional() }),
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
    engine: engineName.optional(),
  }),
  /**
   * `known` false: the scheduler does not know this session (it restarted). Results of `waiting` stages follow as
   * updates. `missing`: to be put again, or dropped. `awaited`: whoever holds it is silent; to be put again by a client
   * that can, and not to be dropped for that.
   */
  z.object({
    t: z.literal("heartbeat"),
    epoch,
    known: z.boolean(),
    missing: z.array(objectId).optional(),
    awaited: z.array(objectId).optional(),
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
  z.object({ t: z.literal("story"), epoch, lines: z.array(storyLine) }),
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

/** What a client is told without a question, on subjects.client(client). */
export const clientMessage = z.discriminatedUnion("t", [
  clientUpdate,
  /** Of a job that this client follows. */
  z.object({ t: z.literal("job"), epoch, status: jobStatus }),
]);
export type ClientMessage = z.infer<typeof clientMessage>;
