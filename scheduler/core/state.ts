/**
 * The scheduler's state. Durable facts (specs, terminal task states, results, ends) come from records only
 * (records.ts); everything else — queues, leases, workers, locations, timers — is derived, and is built again after a
 * restart.
 */

import type { EngineFacts } from "../../proto/engine.js";
import type {
  BundleId,
  ClientId,
  Epoch,
  Instance,
  JobId,
  LeaseId,
  ObjectBase,
  ObjectId,
  SchedulerStart,
  WorkerId,
} from "../../proto/ids.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { Catalog } from "./catalog.js";
import type { Departed } from "./departed-record.js";
import type { DependentOf, Dependents } from "./dependents.js";
import type { BlobRefs, Command } from "./events.js";
import type { FailureRecord } from "./failure-record.js";
import type { DurableRecordOf, JobRecordOf, SessionRecordOf } from "./job-record.js";
import type { LeasePhase, Recall } from "./lease-phase.js";
import type { Peer } from "./peer.js";
import type { EachInputOf } from "./picks.js";
import type { PutRecordOf } from "./put-record.js";
import type { RangeSet } from "./ranges.js";
import type { SegmentTable } from "./segments.js";
import type { Silence } from "./silence-record.js";
import type { Standing } from "./standing.js";
import { Stories } from "./stories.js";
import { isTaskStep, type TaskState, type TaskStates, taskState } from "./task-states.js";
import { addStep, refuseStep } from "./task-story.js";
import { Timers } from "./timers.js";
import type { Turns } from "./turns.js";

export { isTerminal, type TaskState, taskState } from "./task-states.js";

import { Watches } from "./watch-record.js";

export type Dependent = DependentOf<StageRecord>;
export type EachInput = EachInputOf<StageRecord, PutRecord>;
export type EachSource = EachInput["sources"][number];

export interface Link {
  readonly upstream: StageRecord;
  /** The entry in `upstream.dependents`. */
  readonly entry: Dependent;
}

/** A stage's upstreams by the base of their objects, and those of the same job by their index. */
export interface Sources {
  readonly byBase: ReadonlyMap<ObjectBase, readonly StageRecord[]>;
  readonly byIndex: ReadonlyMap<number, StageRecord>;
}

export interface StageRecord {
  readonly job: JobRecord;
  readonly index: number;
  /** Without its arguments once its durable job has ended. */
  spec: StageSpec;
  argBytes: number;
  readonly base: ObjectBase;
  readonly fnKey: string;
  readonly states: TaskStates;
  /** Number of tasks in each state. */
  readonly tally: number[];
  readonly results: SegmentTable;
  /** Of its results, what lies inline in the heap. */
  looseBytes: number;
  readonly queue: RangeSet;
  /** It stands in the ready list. */
  listed: boolean;
  /** Dependencies of the whole stage that are not met yet. */
  blockers: number;
  /** What this stage reads from other stages. */
  readonly links: Link[];
  /** Those of them that its tasks wait for one by one. */
  perTask: readonly Link[];
  /** Its arguments of which task i takes object i. */
  each: readonly EachInput[];
  /** Puts that only some of its tasks take, and those tasks. */
  eachPuts: Map<PutRecord, number[]> | undefined;
  /** Where its inputs come from, made when they are many. */
  sources: Sources | undefined;
  dependents: Dependents<Dependent> | undefined;
  /** How many of them have tasks to go. */
  openDependents: number;
  leases: ReadonlySet<LeaseRecord>;
  /** What went wrong so far, by task; most tasks have none. */
  failureRecords: ReadonlyMap<number, FailureRecord>;
  reused: number;
  retried: number;
  /** Of a worker's store that a task is known to need at once; 0 while any will do. */
  roomBytes: number;
  queuedAtMs: number;
  /** When results were last sent to the client, and how long to wait before they are sent again (M5). */
  sentAtMs: number;
  resendAfterMs: number;
  released: boolean;
  /** Objects that were put among its inputs, and how many of them are missing. */
  puts: readonly PutRecord[];
  missing: number;
  /** The client is still saying what it was shown of it: nothing of it may run. */
  held: boolean;
  /** Its results serve its own job and nobody else's stages: they are the client's word (resume.ts), or strayed. */
  ownOnly: boolean;
  /** Of a user's pure function: the engine whose results these are, "" until there is one (engines.ts). */
  engine: string | undefined;
  /** While that is "": of the worker that got the first lease. */
  pin: string | undefined;
  strayed: boolean; // another engine made some of its results
}

export type SessionRecord = SessionRecordOf<StageRecord>;
export type DurableRecord = DurableRecordOf<StageRecord>;
export type JobRecord = JobRecordOf<StageRecord>;

export interface LeaseRecord {
  readonly id: LeaseId;
  readonly worker: WorkerRecord;
  readonly stage: StageRecord;
  readonly from: number;
  /** Shrinks when the worker gives the rest back. */
  to: number;
  readonly attempt: number;
  /** Tasks this lease still owes. Every task in state leased is open in exactly one lease (I3). */
  readonly open: RangeSet;
  /** The worker says when it can start; until then it may be fetching what it needs (I8). */
  readonly asksHeartbeat: boolean;
  /** First task that is not finished, as last heard. */
  next: number;
  phase: LeasePhase;
  readonly grantedAtMs: number;
  sentAtMs: number;
  recall: Recall;
  /** Tasks from here on have been asked back, now or earlier; Infinity: none. */
  askedFrom: number;
}

export interface WorkerRecord extends Peer {
  readonly id: WorkerId;
  /** The process; undefined: one of the version before (M7). */
  readonly instance: Instance | undefined;
  readonly node: string;
  readonly pid: number;
  readonly volley: string | undefined;
  readonly engine: EngineFacts | undefined;
  readonly family: string;
  readonly slots: number;
  readonly storeBudgetBytes: number;
  readonly leases: Map<LeaseId, LeaseRecord>;
  /** How many of them have run (places.ts). */
  leasesRan: number;
  readonly objects: Set<ObjectId>;
  /** Those of its objects that it may drop (copies.ts). */
  readonly copies: Set<ObjectId>;
  standing: Standing;
  readonly version: number;
  /** Sequence numbers of reports that were handled; one range unless some are missing. */
  readonly seen: RangeSet;
  /** The highest of them. */
  seenMax: number;
  /** While reports are missing: what the latest ones said of objects (holders.ts); and the highest of their numbers. */
  readonly touched: Map<ObjectId, { readonly seq: number; readonly what: "there" | "gone" }>;
  touchedMax: number;
  /** Bundles of which it has executed something: they need not be fetched any more. */
  readonly bundles: Set<BundleId>;
  slotsBusy: number;
  storeBytes: number;
  spilledBytes: number;
  tasksDone: number;
}

export type PutRecord = PutRecordOf<StageRecord>;

/** When inline results leave the heap (offload.ts). */
export interface OffloadSizes {
  /** A running durable job has this much. */
  readonly chunkBytes: number;
  /** One that has ended. */
  readonly endedBytes: number;
  /** A session. Its blobs serve nobody else, so most sessions should have none. */
  readonly sessionBytes: number;
  /** All jobs together: above this, everybody gives sooner. */
  readonly allBytes: number;
}
export const offloadSizes: OffloadSizes = {
  chunkBytes: 2 * 1024 * 1024,
  endedBytes: 8 * 1024,
  sessionBytes: 32 * 1024 * 1024,
  allBytes: 64 * 1024 * 1024,
};

export interface State {
  epoch: Epoch;
  /** Of this scheduler, from its epoch record. */
  start: SchedulerStart | undefined;
  nowMs: number;
  /** When the last tick was. */
  tickedMs: number;
  /** How long peers could have been heard, in sum (liveness.ts). */
  listenedMs: number;
  /** Its value when anybody was last heard. */
  receivedAnyAt: number;
  leaseCounter: number;
  readonly jobs: Map<JobId, JobRecord>;
  /** `tenant/key` → job, for idempotent submission. */
  readonly keys: Map<string, JobId>;
  readonly sessions: Map<ClientId, SessionRecord>;
  readonly workers: Map<WorkerId, WorkerRecord>;
  /** Worker processes that were given up, oldest first (departed.ts). */
  readonly departed: Map<Instance, Departed>;
  /** Those that may come back with what they held, in the order in which they fell silent (silence.ts). */
  readonly silences: Set<Silence>;
  readonly leases: Map<LeaseId, LeaseRecord>;
  /** Stages that have (or will have) the objects of a base; the first is asked first. */
  readonly catalog: Catalog<StageRecord>;
  readonly puts: Map<ObjectId, PutRecord>;
  /** Puts that have lost a reader in this step. */
  readonly unread: Set<PutRecord>;
  /** How many durable jobs read an object that was put. */
  readonly readers: Map<ObjectId, number>;
  /** Blobs of results that may be there. */
  readonly blobs: Map<string, BlobRefs>;
  blobCounter: number;
  looseBytes: number;
  readonly offload: OffloadSizes;
  readonly holders: Map<ObjectId, Set<WorkerId>>;
  /** Workers that leave. */
  readonly drains: Set<WorkerRecord>;
  /** Stages with queued tasks, by priority, in turn. */
  readonly ready: Map<number, Turns<StageRecord>>;
  /** Measured microseconds per task, by function. */
  readonly costs: Map<string, number>;
  readonly retries: Timers<{ stage: StageRecord; task: number }>;
  queued: number;
  /** Sum of slots of workers that take leases. */
  slots: number;
  /**
   * Slots of workers that are not leaving, by the family of their engine; and the one of most, as last known ("" before
   * the first).
   */
  engines: ReadonlyMap<string, number>;
  engine: string;
  /** Durable jobs that have ended, oldest first, for forgetting. */
  readonly ended: JobId[];
  /** Who follows which jobs. */
  readonly watches: Watches;
  /** Jobs to look at in the next live step: restored from the journal at some point between two records. */
  readonly unsettled: Set<JobId>;
  nextSweepMs: number;
  /** In listening time. */
  nextPutSweepAt: number;
  /** What workers hold of stages that are not known; soon after a start only (resume.ts). */
  readonly strangers: Map<ObjectId, { worker: WorkerId; digest: Uint8Array }[]>;
  /** Events taken in. */
  eventSeq: number;
  /** Another with more lines, where all of them are wanted. */
  stories: Stories;
}

export function createState(options: { epoch: Epoch; offload?: OffloadSizes }): State {
  return {
    epoch: options.epoch,
    start: undefined,
    nowMs: 0,
    tickedMs: 0,
    listenedMs: 0,
    receivedAnyAt: 0,
    leaseCounter: 0,
    jobs: new Map(),
    keys: new Map(),
    sessions: new Map(),
    workers: new Map(),
    departed: new Map(),
    silences: new Set(),
    leases: new Map(),
    catalog: new Catalog((stage) => tallyOf(stage, taskState.succeeded) > 0),
    puts: new Map(),
    unread: new Set(),
    readers: new Map(),
    blobs: new Map(),
    blobCounter: 0,
    looseBytes: 0,
    offload: options.offload ?? offloadSizes,
    holders: new Map(),
    drains: new Set(),
    ready: new Map(),
    costs: new Map(),
    retries: new Timers(),
    queued: 0,
    slots: 0,
    engines: new Map(),
    engine: "",
    ended: [],
    watches: new Watches(),
    unsettled: new Set(),
    nextSweepMs: 0,
    nextPutSweepAt: 0,
    strangers: new Map(),
    eventSeq: 0,
    stories: new Stories(),
  };
}

/** What a live step carries along: the state, and the commands it gives out. */
export interface Context {
  readonly state: State;
  readonly out: Command[];
}

/** undefined: there is none of this id, or it is another client's. */
export function sessionOf(state: State, id: JobId, client?: ClientId): SessionRecord | undefined {
  const job = state.jobs.get(id);
  return job?.kind === "session" && (client === undefined || job.client === client) ? job : undefined;
}

export const tallyOf = (stage: StageRecord, state: TaskState): number => stage.tally[state] as number;
export const isStageComplete = (stage: StageRecord): boolean =>
  tallyOf(stage, taskState.succeeded) +
    tallyOf(stage, taskState.failed) +
    tallyOf(stage, taskState.cancelled) +
    tallyOf(stage, taskState.shelved) ===
  stage.spec.count;

/** The one place where a task's state changes; keeps tally, queue and the queued count true. */
export function setStates(state: State, stage: StageRecord, from: number, to: number, next: TaskState): void {
  const { states, tally } = stage;
  const all = stage.job.tally;
  for (let i = from; i < to; ) {
    const before = states.at(i) as TaskState;
    const end = states.runEnd(i, to);
    if (before !== next) {
      if (!isTaskStep(before, next)) refuseStep(state, stage, i, before, next);
      if (before === taskState.queued) {
        const size = stage.queue.size;
        stage.queue.delete(i, end);
        state.queued -= size - stage.queue.size;
      }
      states.fill(i, end, before, next);
      addStep(state, stage, i, end, before, next);
      tally[before] = (tally[before] as number) - (end - i);
      tally[next] = (tally[next] as number) + (end - i);
      all[before] = (all[before] as number) - (end - i);
      all[next] = (all[next] as number) + (end - i);
      if (next === taskState.queued) {
        stage.queue.add(i, end);
        state.queued += end - i;
      }
    }
    i = end;
  }
}
