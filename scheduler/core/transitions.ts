/**
 * Every state that a task, a lease, a worker and an object that was put can be in, and every step from one to another,
 * with why it is taken. The records' mutators look each step up here: one that is not in its table is a bug, and ends
 * the process before anything is said (InvariantViolation). docs/state.md draws these tables, and a test compares them.
 */
import { invariant } from "../../proto/errors.js";

/** From each state the states that may follow, and why. */
type Transitions<S extends string> = { readonly [From in S]: { readonly [To in S]?: string } };

export interface Machine<S extends string> {
  /** How a record begins. */
  readonly begins: { readonly [To in S]?: string };
  readonly steps: Transitions<S>;
  /** Why there is none any more. */
  readonly ends: { readonly [From in S]?: string };
}

export type TaskStateName =
  | "waiting"
  | "queued"
  | "leased"
  | "retrying"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "shelved";

export const taskMachine: Machine<TaskStateName> = {
  begins: { waiting: "its stage was submitted" },
  steps: {
    waiting: {
      queued: "every input is there",
      retrying: "its result is looked for, or is with a silent worker",
      succeeded: "reused, shown to the client before, or in the journal",
      failed: "an input failed or cannot be had",
      cancelled: "its job ended",
    },
    queued: {
      waiting: "an input is lost",
      leased: "granted to a worker",
      succeeded: "a worker has the result that was to be made again",
      failed: "ended by its owner, or an input cannot be had",
      cancelled: "its job ended",
    },
    leased: {
      waiting: "given back, or its worker is gone",
      retrying: "a try failed, or its third worker died",
      succeeded: "first valid commit",
      failed: "its tries are spent, or it was ended by its owner",
      cancelled: "its job ended",
    },
    retrying: {
      waiting: "the pause is over",
      succeeded: "a worker tells of the result that is waited for",
      failed: "nobody has its result, it is quarantined, or was ended by its owner",
      cancelled: "its job ended",
    },
    succeeded: {
      waiting: "its only copy is lost",
      shelved: "released, kept for lineage alone",
    },
    failed: {},
    cancelled: {},
    shelved: { waiting: "what was made from it must be made again" },
  },
  ends: { succeeded: "forgotten", failed: "forgotten", cancelled: "forgotten", shelved: "forgotten" },
};

export type LeaseStateName = "sent" | "preparing" | "ready" | "running" | "finishing" | "ran";

export const leaseMachine: Machine<LeaseStateName> = {
  begins: { sent: "granted" },
  steps: {
    sent: {
      preparing: "a heartbeat says that inputs, code, memory or a slot are waited for",
      ready: "a heartbeat says that it can start",
      running: "a heartbeat or a commit says so",
      ran: "its functions have returned",
    },
    preparing: {
      ready: "a heartbeat says that it can start",
      running: "a heartbeat or a commit says so",
      ran: "its functions have returned",
    },
    ready: { running: "a heartbeat or a commit says so", ran: "its functions have returned" },
    running: {
      finishing: "a heartbeat says that nothing of it is executed",
      ready: "a heartbeat that was made before came after",
      ran: "its functions have returned",
    },
    finishing: {
      ready: "a heartbeat says that it can start",
      running: "a heartbeat or a commit says so",
      ran: "its functions have returned",
    },
    ran: {},
  },
  ends: {
    sent: "its worker is gone, or its tasks were ended",
    preparing: "given back, or its worker is gone, or its tasks were ended",
    ready: "given back, or its worker is gone, or its tasks were ended",
    running: "every task committed, failed or given back; or its worker is gone",
    finishing: "every task committed or failed, or its worker is gone",
    ran: "every task committed or failed, or its worker is gone",
  },
};

export type RecallStateName = "none" | "asked" | "spent";

/** What a lease has not started may be asked back (steal.ts), whatever its state is. */
export const recallMachine: Machine<RecallStateName> = {
  begins: { none: "granted" },
  steps: {
    none: { asked: "a slot is idle elsewhere", spent: "answered late: everything has been started" },
    asked: { none: "answered, or not answered in time", spent: "answered: everything has been started" },
    spent: {},
  },
  ends: { none: "with its lease", asked: "with its lease", spent: "with its lease" },
};

export type WorkerStateName = "active" | "draining" | "silent" | "superseded";

export const workerMachine: Machine<WorkerStateName> = {
  begins: { active: "registration" },
  steps: {
    active: {
      draining: "a heartbeat says that it leaves",
      silent: "not heard for heartbeatTimeoutMs",
      superseded: "another process registers under its name",
    },
    draining: {
      silent: "not heard for heartbeatTimeoutMs",
      superseded: "another process registers under its name",
    },
    silent: { active: "the same process registers" },
    superseded: { active: "it registers when the other one has gone" },
  },
  ends: {
    active: "deregistration",
    draining: "deregistration",
    silent: "another process has its name, deregistration, or silentWorkerPatienceMs",
    superseded: "many others have gone since",
  },
};

export type PutStateName = "there" | "awaited" | "missing";

export const putMachine: Machine<PutStateName> = {
  begins: {
    there: "told of by its client or a worker",
    awaited: "named by its client, and no worker has told of it yet",
  },
  steps: {
    there: { awaited: "its last copy is with a silent worker", missing: "its last copy is gone" },
    awaited: { there: "a worker tells of it, or it is put again", missing: "who was waited for did not come" },
    missing: { there: "put again" },
  },
  ends: {
    there: "nobody owns or reads it",
    awaited: "nobody owns or reads it",
    missing: "its client cannot put it again",
  },
};

export type JobStateName = "running" | "succeeded" | "failed" | "cancelled";

/** Of a durable job, and of a session: that has no digest and is never `succeeded` or `failed`. */
export const jobMachine: Machine<JobStateName> = {
  begins: { running: "submitted, in the journal; or a session was opened" },
  steps: {
    running: {
      succeeded: "every task has succeeded, and the digest of its outputs is known",
      failed: "a task failed",
      cancelled: "by its owner; a session when it is closed or silent for sessionTimeoutMs",
    },
    succeeded: {},
    failed: {},
    cancelled: {},
  },
  ends: {
    succeeded: "forgotten by age, count or bytes",
    failed: "forgotten by age, count or bytes",
    cancelled: "forgotten by age, count or bytes; a session at once",
  },
};

/** As docs/state.md draws them. */
export const machines = {
  task: taskMachine,
  lease: leaseMachine,
  recall: recallMachine,
  worker: workerMachine,
  put: putMachine,
  job: jobMachine,
} as const;

/** That this step is in the table. */
export function checkStep<S extends string>(machine: Machine<S>, what: string, from: S, to: S): void {
  invariant(machine.steps[from][to] !== undefined, `${what} cannot go from ${from} to ${to}`);
}
