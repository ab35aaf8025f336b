/**
 * What the scheduler core takes in (events), what it gives out (commands), and what it writes down (records).
 *
 * `step(state, event, nowMs)` mutates the state and returns commands in order. The shell carries them out. A command
 * with `gated: true` may be carried out only when every record given out before it (in this step or earlier) is in the
 * journal (I6). Records are facts: applying the same records in order to a fresh state gives the same durable state
 * (I9).
 */
import type { WireError } from "../../proto/errors.js";
import type {
  ClientId,
  Epoch,
  Instance,
  JobId,
  ObjectBase,
  ObjectId,
  SchedulerStart,
  TenantId,
  WorkerId,
} from "../../proto/ids.js";
import type { ClientReply, ClientRequest } from "../../proto/messages/client.js";
import type { ObjectLocation, ResultSegment } from "../../proto/messages/results.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import type { JobState, JobStatus } from "../../proto/messages/status.js";
import type { SchedulerCommand, WorkerRequest } from "../../proto/messages/worker.js";

/** A handle of the shell's for an answer that is owed. The core passes it back untouched. */
export type ReplyToken = number;

export type InlineSegment = Extract<ResultSegment, { r: "inline" }>;

/**
 * Inline results that are in a blob of the shell's instead of here: as tasks [from, to) of its stage `of` (the one that
 * made them).
 */
export interface ChunkSegment {
  r: "chunk";
  stage: number;
  from: number;
  to: number;
  blob: string;
  of: number;
  /** Of the results, without what packs add; after a cut, about. */
  bytes: number;
}
/** What a stage's results are kept as. */
export type HeldSegment = ResultSegment | ChunkSegment;

/** One result in a blob. */
export interface ChunkItem {
  blob: string;
  of: number;
  task: number;
}
/** With `chunk`: kind, bytes, digest and the bytes themselves are to be read there. */
export type HeldLocation = ObjectLocation & { chunk?: ChunkItem };

/** How many names of a blob there are. `busy`: it is being written or deleted. */
export interface BlobRefs {
  durable: number;
  sessions: number;
  busy: boolean;
}

/** What can be said only after blobs have been read. */
export type Deferred =
  /**
   * The page that starts with this chunk, as far as one message goes, in an answer to a question for tasks up to `end`.
   */
  | { d: "results"; to: ReplyToken; base: ObjectBase; chunk: ChunkSegment; end: number }
  | { d: "located"; to: ReplyToken; locations: HeldLocation[] }
  | { d: "update"; client: ClientId; session: JobId; chunk: ChunkSegment }
  /** As command `digest`: a chunk stands for the digests of its tasks. */
  | { d: "digest"; job: JobId; parts: (Uint8Array | ChunkSegment)[] };

export type Event =
  /**
   * `bases`: the content addresses of the request's stages, computed by the shell (proto/address.ts), for `stages` and
   * `submit`. `contentHash`: of the whole submit.
   */
  | { e: "client"; request: ClientRequest; reply?: ReplyToken; bases?: readonly ObjectBase[]; contentHash?: string }
  | { e: "worker"; request: WorkerRequest; reply?: ReplyToken }
  /**
   * Time has passed: timers, heartbeats, retries. The shell sends one at least every tickMs. `listenedMs`: for how much
   * of the time since the last tick it is known that whoever spoke was heard, and that what was heard has been given as
   * events before this one (absent: all of it).
   */
  | { e: "tick"; listenedMs?: number }
  /** The digest of a job's outputs, computed by the shell after command `digest`. */
  | { e: "digest"; job: JobId; digest: string }
  /** After command `offload`: the blob is durable, or was given up. */
  | { e: "offloaded"; job: JobId; blob: string; ok: boolean }
  /** After command `drop`: the blobs are gone, or some may not be. */
  | { e: "dropped"; blobs: readonly string[]; ok: boolean };

export type Command =
  | { c: "reply"; to: ReplyToken; message: ClientReply; gated: boolean }
  /**
   * Commands to one worker are batched into one message by the shell. With `reply`: as the answer to that request.
   * `patient`: nobody waits for it; it may travel some milliseconds later with what else is to be said.
   */
  | {
      c: "command";
      worker: WorkerId;
      instance?: Instance | undefined;
      command: SchedulerCommand;
      gated: boolean;
      reply?: ReplyToken;
      patient?: boolean;
    }
  /**
   * A worker has followed a scheduler of this epoch that the journal knows nothing of: the journal is an older copy,
   * and this scheduler must go above.
   */
  | { c: "outranked"; epoch: Epoch; worker: WorkerId }
  | { c: "update"; client: ClientId; session: JobId; segment: ResultSegment }
  /** To a client that follows the job. */
  | { c: "status"; client: ClientId; status: JobStatus; gated: true }
  | { c: "record"; record: JournalRecord }
  /**
   * Every output of this durable job is committed: hash its tasks' digests (16 bytes each, outputs and tasks in order)
   * and give back event `digest`.
   */
  | { c: "digest"; job: JobId; parts: readonly Uint8Array[] }
  /**
   * Write these results as one blob of this name (first letter r: it must survive everything; t: this process), then
   * give event `offloaded`.
   */
  | { c: "offload"; job: JobId; blob: string; segments: readonly InlineSegment[]; gated: true }
  /** Delete these blobs, then give event `dropped`. */
  | { c: "drop"; blobs: readonly string[]; gated: true }
  | { c: "deferred"; what: Deferred; gated: boolean }
  /** A counter for the metrics: name as in docs, labels optional. */
  | { c: "count"; metric: CounterName; by: number; tenant?: TenantId; label?: string }
  /** A duration for a histogram, seconds. */
  | { c: "observe"; metric: "queue_seconds" | "lease_seconds" | "task_seconds"; value: number; tenant?: TenantId }
  | { c: "log"; level: "info" | "warn" | "error"; text: string; fields?: Record<string, string | number> };

export type CounterName =
  | "tasks_submitted"
  | "tasks_committed"
  | "tasks_failed"
  | "tasks_cancelled"
  | "tasks_reused"
  | "tasks_retried"
  | "commits_stale_refused"
  | "commits_duplicate"
  | "nondeterminism_alarms"
  | "leases_granted"
  | "leases_revoked"
  | "leases_resent"
  | "engine_mixes"
  | "tasks_strayed"
  | "workers_lost"
  | "objects_lost"
  | "objects_recomputed";

/** What the scheduler knows of an object that was put: its own bytes if small, else that the durable store has it. */
export interface PutFacts {
  id: ObjectId;
  kind: number;
  bytes: number;
  digest: Uint8Array;
  inline?: Uint8Array;
  /** Its bytes are a result in a blob; then kind, bytes and digest are not known here. */
  chunk?: ChunkItem;
}

/** What the journal holds. Only durable jobs have records. */
export type JournalRecord =
  /** `afresh`: nothing before it counts; a person has given up what was lost there. */
  | { k: "epoch"; epoch: Epoch; start?: SchedulerStart; afresh?: true }
  | {
      k: "submit";
      job: JobId;
      tenant: TenantId;
      name: string;
      key?: string;
      contentHash: string;
      stages: StageSpec[];
      bases: ObjectBase[];
      outputs: number[];
      objects: PutFacts[];
      atMs: number;
    }
  /** An object that is in the durable store, made known by a client. */
  | { k: "put"; object: PutFacts }
  /**
   * First valid commits of tasks; `reused`: taken from the content-addressed store; `engine`: where it is another than
   * the stage says.
   */
  | {
      k: "commit";
      job: JobId;
      segment: HeldSegment;
      slotTimeUs: number;
      reused: boolean;
      worker?: WorkerId;
      engine?: string;
    }
  | { k: "retry"; job: JobId; stage: number; task: number; error: WireError }
  | { k: "cancel"; job: JobId; stage?: number; from?: number; to?: number; atMs: number }
  | { k: "end"; job: JobId; state: JobState; atMs: number; error?: WireError }
  | { k: "digest"; job: JobId; digest: string }
  | { k: "forget"; job: JobId }
  /** A blob of this name may be there from now on. */
  | { k: "offload"; blob: string }
  /** Results of a job stand in a blob. */
  | { k: "chunk"; job: JobId; parts: ChunkSegment[] }
  /** These blobs are gone. */
  | { k: "dropped"; blobs: string[] };
