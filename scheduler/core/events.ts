/**
 * What the scheduler core takes in (events), what it gives out (commands), and what it writes down (records).
 *
 * `step(state, event, nowMs)` mutates the state and returns commands in order. The shell carries them out. A command with `gated: true`
 * may be carried out only when every record given out before it (in this step or earlier) is in the journal (I6).
 * Records are facts: applying the same records in order to a fresh state gives the same durable state (I9).
 */
import type { WireError } from "../../proto/errors.js";
import type { ClientId, Epoch, Instance, JobId, ObjectBase, ObjectId, SchedulerStart, TenantId, WorkerId } from "../../proto/ids.js";
import type { ClientReply, ClientRequest, JobState, ResultSegment, StageSpec, WorkerOrder, WorkerRequest } from "../../proto/messages.js";

/** A handle of the shell's for an answer that is owed. The core passes it back untouched. */
export type ReplyToken = number;

export type Event =
  /** `bases`: the content addresses of the request's stages, computed by the shell (proto/address.ts), for `stages` and `submit`. `contentHash`: of the whole submit. */
  | { e: "client"; request: ClientRequest; reply?: ReplyToken; bases?: readonly ObjectBase[]; contentHash?: string }
  | { e: "worker"; request: WorkerRequest; reply?: ReplyToken }
  /**
   * Time has passed: timers, heartbeats, retries. The shell sends one at least every tickMs. `listenedMs`: for how much of the time since the last tick it
   * is known that whoever spoke was heard, and that what was heard has been given as events before this one (absent: all of it).
   */
  | { e: "tick"; listenedMs?: number }
  /** The digest of a job's outputs, computed by the shell after command `digest`. */
  | { e: "digest"; job: JobId; digest: string };

export type Command =
  | { c: "reply"; to: ReplyToken; message: ClientReply; gated: boolean }
  /** Orders to one worker are batched into one message by the shell. With `reply`: as the answer to that request. */
  | { c: "order"; worker: WorkerId; instance?: Instance | undefined; order: WorkerOrder; gated: boolean; reply?: ReplyToken }
  /** A worker has followed a scheduler of this epoch that the journal knows nothing of: the journal is an older copy, and this scheduler must go above. */
  | { c: "outranked"; epoch: Epoch; worker: WorkerId }
  | { c: "update"; client: ClientId; session: JobId; segment: ResultSegment }
  | { c: "record"; record: JournalRecord }
  /** Every output of this durable job is committed: hash its tasks' digests (16 bytes each, outputs and tasks in order) and give back event `digest`. */
  | { c: "digest"; job: JobId; parts: readonly Uint8Array[] }
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
  /** First valid commits of tasks; `reused`: taken from the content-addressed store. */
  | { k: "commit"; job: JobId; segment: ResultSegment; slotTimeUs: number; reused: boolean; worker?: WorkerId }
  | { k: "retry"; job: JobId; stage: number; task: number; error: WireError }
  | { k: "cancel"; job: JobId; stage?: number; from?: number; to?: number; atMs: number }
  | { k: "end"; job: JobId; state: JobState; atMs: number; error?: WireError }
  | { k: "digest"; job: JobId; digest: string }
  | { k: "forget"; job: JobId };
