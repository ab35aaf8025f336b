/**
 * What the worker core takes in (events) and what it gives out (commands).
 *
 * `workerStep(state, event, nowMs)` (step.ts) mutates the state and returns commands in order; the shell, or the
 * simulator, carries them out. The core owns: leases from order to acknowledged end (M3), slots, the outbox of commits
 * (M2), joining, heartbeats, epochs (M6), revoke, cancel, drain. The shell owns: bytes (inputs, code, the object
 * store), threads, the network and the clock.
 *
 * What the shell owes the core:
 *   W1 `prepare` is answered by exactly one `ready` or `unready`, unless `release` came first.
 *   W2 `run` is answered by `results` (any number, any order, no task twice), one `vacated`, and then exactly one
 * `ended`, after every `results` of that run. Runs of one slot are vacated in the order in which they were given.
 *   W3 `limit` is answered at once by `limited` with the first task that will surely not start, unless the run has
 * ended by then.
 *   W4 `kill` makes the run end soon: `vacated` and `ended` still follow.
 *   W5 `flush` is sent once after every turn in which events were given (results of one turn travel as one message),
 * `tick` at least every 100 ms.
 *   W6 a stored result is in the object store (and for durable leases in the durable store) before it is given as
 * `results`.
 */
import type { WireError } from "../../proto/errors.js";
import type { LeaseId, ObjectId } from "../../proto/ids.js";
import type { ObjectLocation, ResultSegment } from "../../proto/messages/results.js";
import type { Lease, SchedulerCommands, StoredObject, WorkerRequest } from "../../proto/messages/worker.js";

export type WorkerEvent =
  /** Once, first: the worker registers. */
  | { e: "start" }
  /** A WorkerOrders message, pushed or as the answer to a registration or heartbeat. */
  | { e: "commands"; message: SchedulerCommands }
  /** Inputs and code of the lease are at hand and stay so until `release`. */
  | { e: "ready"; lease: LeaseId }
  /** They are not. `giveBack`: the cluster's fault, so the tasks go back; otherwise the tasks fail with `error`. */
  | { e: "unready"; lease: LeaseId; error: WireError; giveBack: boolean }
  /** While it is prepared: what it waits for, if that has changed. */
  | { e: "waits"; lease: LeaseId; for: "inputs" | "memory" }
  /**
   * Results of tasks of a running lease. `elsewhere`: large ones that are in the durable store alone; this worker's own
   * has another content under their ids.
   */
  | { e: "results"; lease: LeaseId; segment: ResultSegment; slotTimeUs: number; elsewhere?: true }
  /** The run started from task `limit.to` on will not start any more. */
  | { e: "limited"; lease: LeaseId; to: number }
  /** The answer to `recall`: the run has not begun, and is over without `vacated` and `ended`. */
  | { e: "recalled"; lease: LeaseId }
  /** The task that runs awaits others: its slot is free until `resume`. */
  | { e: "blocked"; lease: LeaseId }
  | { e: "unblocked"; lease: LeaseId }
  /** The run's functions have returned: its slot is free, or executes what is staged there. Results may follow. */
  | { e: "vacated"; lease: LeaseId }
  /** The run is over. Tasks without a result by now were not executed (or were stopped by `kill`). */
  | { e: "ended"; lease: LeaseId }
  /**
   * Objects that came or went outside of commits: puts, losses. (What the order `free` names need not be told.) `token`
   * comes back in `objectsAcked`.
   */
  | { e: "objects"; added: StoredObject[]; removed: ObjectId[]; token?: number }
  /** The process should leave: give back what has not started, finish what runs, say bye. */
  | { e: "drain" }
  /** The network connection is back: what may have been lost is sent again at once. */
  | { e: "connected" }
  /** Ends a turn: buffered commits are sent. */
  | { e: "flush" }
  /** Time has passed: heartbeats, registration again, commits again. */
  | { e: "tick"; storeBytes: number; spilledBytes: number };

export type WorkerCommand =
  /**
   * To subjects.schedulerWorker. `answered`: as a request whose answer comes back as event `commands` (registration,
   * heartbeat); otherwise published.
   */
  | { c: "send"; message: WorkerRequest; answered: boolean }
  /** Bring inputs and code of this lease; answered by `ready` or `unready` (W1). */
  | { c: "prepare"; lease: Lease }
  /** Execute tasks [from, to) of a lease that is ready, on this slot, at once or behind the run that is there (W2). */
  | { c: "run"; lease: Lease; slot: number; from: number; to: number }
  /** Take back a run that waits behind another. Answered at once by `recalled`; not at all if it has begun. */
  | { c: "recall"; lease: LeaseId }
  /** The slot is its again, after `unblocked`. */
  | { c: "resume"; lease: LeaseId }
  /** Start no task from `to` on; those already started go on (W3). */
  | { c: "limit"; lease: LeaseId; to: number }
  /** End the run now, also in the middle of a task (W4). */
  | { c: "kill"; lease: LeaseId }
  /** The lease is over here: its inputs and what it holds may go. Comes once per `prepare`. */
  | { c: "release"; lease: LeaseId }
  /** Drop these objects from the store; with `digests`, those of them that have that content. */
  | { c: "free"; ids: readonly ObjectId[]; digests?: readonly (Uint8Array | undefined)[] }
  /** These copies are the worker's own from now on: they are not dropped. */
  | { c: "keep"; ids: readonly ObjectId[] }
  /**
   * Fetch these and keep them; each is answered by event `objects`, with it as added, or as removed if it cannot be
   * had.
   */
  | { c: "fetch"; objects: readonly ObjectLocation[] }
  /** The scheduler has acknowledged the objects told with this token. */
  | { c: "objectsAcked"; token: number }
  /** The first welcome of an epoch. */
  | { c: "joined"; epoch: number; heartbeatIntervalMs: number }
  /** Drained: everything is acknowledged and `deregister` is on its way. The process may end. */
  | { c: "stopped" }
  /** The scheduler will not have this worker (VERSION_MISMATCH, SUPERSEDED). The process ends with this error. */
  | { c: "refused"; error: WireError }
  | { c: "count"; metric: WorkerCounter; by: number }
  | { c: "log"; level: "info" | "warn"; text: string; fields?: Readonly<Record<string, string | number>> };

export type WorkerCounter =
  | "commits_sent"
  | "commits_resent"
  | "commits_voided"
  | "commands_stale_refused"
  | "leases_taken"
  | "leases_given_back"
  | "tasks_done";
