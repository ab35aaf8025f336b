/**
 * Mutations in the cores themselves: small, plausible mistakes, as replacements in the compiled product. Nothing in
 * the cores knows of them: a copy of the compiled tree is changed (mutation-tree.ts), and the simulation runs the copy.
 * A text that does not occur exactly once is an error, so that a mutation cannot die silently when the code around it
 * changes.
 *
 * Not here, for nobody could see them: a worker that confirms a put before the scheduler has heard of it (the session
 * asks the scheduler to hold what was put, and offers again what is not there: an upload more, and the same values); a
 * session's end of which readers in other sessions are not told (no client here reads another session's results: the
 * tests of the scheduler's core do); a get that is not tried elsewhere (whoever asked asks again).
 */
import { agentMutants } from "./agent-mutations.js";
import type { Edit, Mutation } from "./mutation.js";
import { sessionMutants } from "./session-mutations.js";
import { shellMutants } from "./shell-mutations.js";

const core = (file: string, find: string, put: string): Edit => ({ file: `scheduler/core/${file}.js`, find, put });
const worker = (file: string, find: string, put: string): Edit => ({ file: `worker/core/${file}.js`, find, put });

const deaths = { workerCrashMs: 1_500 };
const liars = { ...deaths, badWork: 0.5 };
/** Stores that hold a few objects, so that copies have to go. */
const tight = { ...deaths, ballastBytes: 56 * 1024 };
const takeovers = { schedulerCrashMs: 2_000, workerDrainMs: 2_000 };

export const mutations: Readonly<Record<string, Mutation>> = {
  "lost-digest-forgotten": {
    doc: "the digest of a lost pure result is not kept for the one that is made again",
    area: "lineage",
    edits: [core("losses", "failureRecordOf(stage, task).expected = stored.digest;", "")],
    faults: liars,
  },
  "digests-compared-by-length": {
    doc: "a result that is made again is compared by the length of its digest",
    area: "lineage",
    edits: [
      core(
        "commits",
        "!sameBytes(digest, failureRecord.expected)",
        "digest.byteLength !== failureRecord.expected.byteLength",
      ),
    ],
    faults: liars,
  },
  "dependents-not-blocked": {
    doc: "what waits in the queue for a result that is lost does not wait again",
    area: "lineage",
    edits: [core("losses", "block(ctx, stage, task);", "")],
    faults: deaths,
  },
  "object-edge-not-linked": {
    doc: "a stage that names another's result by its id does not wait for it",
    area: "lineage",
    edits: [core("links", 'if (source) link(source.stage, "task", source.task);', "")],
    faults: deaths,
  },
  "lost-result-taken-for-there": {
    doc: "when the last copy of a result is gone, nobody looks for who made it",
    area: "lineage",
    edits: [core("holders", "loseObject(ctx, id);", "undefined;")],
    faults: deaths,
  },
  "unknown-lease-left-running": {
    doc: "a held lease that the scheduler does not know is left running",
    area: "reports",
    edits: [core("worker-events", "if (item.next < item.to)", "if (item.next > item.to)")],
    faults: {
      workerPauseMs: 1_200,
      workerCutMs: 2_000,
      slowWork: 0.6,
      network: { loss: 0, duplication: 0, reorder: 0, delayMs: 0.5 },
    },
  },
  "executing-task-not-blamed": {
    doc: "a task that was executing on a worker that died is given no strike",
    area: "strike",
    edits: [core("worker-events", "strike(ctx, worker, how);", "")],
    faults: liars,
  },
  "blamed-twice": {
    doc: "a death counts for two",
    area: "strike",
    edits: [core("departed", "++failureRecordOf(stage, task).strikes", "(failureRecordOf(stage, task).strikes += 2)")],
    faults: liars,
  },
  "quarantined-late": {
    doc: "a task is quarantined after many more deaths than the limit",
    area: "strike",
    edits: [core("departed", ".strikes >= limits.strikesMax", ".strikes >= 3 * limits.strikesMax")],
    faults: liars,
  },
  "goodbye-taken-for-death": {
    doc: "a worker that deregisters is counted as lost",
    area: "strike",
    edits: [core("worker-events", 'removeWorker(ctx, worker, "left")', 'removeWorker(ctx, worker, "silent")')],
    faults: { workerDrainMs: 2_000 },
  },
  "keys-shared-across-tenants": {
    doc: "idempotency keys are shared across tenants",
    area: "keys",
    edits: [
      core("client-events", "state.keys.get(`${request.tenant}/${request.key}`)", "state.keys.get(`${request.key}`)"),
      core("records", "state.keys.set(`${tenant}/${key}`, id)", "state.keys.set(`${key}`, id)"),
      core("snapshot", "state.keys.set(`${tenant}/${job.key}`, id)", "state.keys.set(`${job.key}`, id)"),
    ],
  },
  "lease-closed-early": {
    doc: "a lease is closed although earlier reports are missing",
    area: "reports",
    edits: [core("commits", "if (lease && worker.seen.isContiguous)", "if (lease)")],
    faults: { network: { loss: 0.1, duplication: 0.05, reorder: 0.2, delayMs: 2 } },
  },
  "reports-handled-twice": {
    doc: "a report that comes twice is handled twice",
    area: "reports",
    edits: [core("commits", "if (worker.seen.has(seq))\n        return false;", "")],
    faults: { network: { loss: 0.05, duplication: 0.2, reorder: 0.2, delayMs: 20 } },
  },
  "removed-object-told-again": {
    doc: "a report of an object that is gone meanwhile is sent again as it was",
    area: "reports",
    edits: [worker("step", "if (event.removed.length > 0) retract(state, event.removed);", "")],
    faults: { network: { loss: 0.1, duplication: 0.1, reorder: 0.2, delayMs: 20 } },
  },
  "one-try-too-many": {
    doc: "a failing function is tried once more than its retries say",
    area: "retries",
    edits: [core("retries", "failures >= stage.spec.options.retries", "failures > stage.spec.options.retries")],
  },
  "own-failures-free": {
    doc: "failures of the function spend the infrastructure's tries, and the other way round",
    area: "retries",
    edits: [
      core(
        "retries",
        "const failures = users ? failureRecord.userFailures : ++failureRecord.infraFailures;",
        "const failures = users ? failureRecord.userFailures++ : ++failureRecord.infraFailures;",
      ),
    ],
  },
  "backoff-does-not-grow": {
    doc: "the pause between tries does not grow",
    area: "retries",
    edits: [core("retries", "limits.retryBackoffMsFirst * 2 ** Math.min(failures, 20)", "limits.retryBackoffMsFirst")],
  },
  "retries-forgotten-by-snapshot": {
    doc: "a snapshot does not say how often a task has failed",
    area: "retries",
    edits: [core("snapshot", "failureRecordOf(stage, task).userFailures = failures;", "")],
  },
  "session-results-reused-durably": {
    doc: "a durable job takes a session's result for its own",
    area: "reuse",
    edits: [core("locate", 'return source.job.kind === "durable";', "return true;")],
    faults: { commonWork: 0.7 },
  },
  "lost-results-reused": {
    doc: "a result whose every copy is gone is reused",
    area: "reuse",
    edits: [core("locate", "if (!state.holders.get(`${base}-${i}`)?.size) return false;", "")],
    faults: { ...deaths, commonWork: 0.7 },
  },
  "revoke-not-asked-again": {
    doc: "a revocation that was lost is not asked again",
    area: "stealing",
    edits: [core("worker-events", "repeatRevoke(ctx, lease);", "")],
    faults: { network: { loss: 0.15, duplication: 0, reorder: 0, delayMs: 2 } },
  },
  "unanswered-revoke-waited-for": {
    doc: "a revocation that is not answered keeps others from being asked",
    area: "stealing",
    edits: [core("steal", "if (state.nowMs - recall.sinceMs < patienceMs) return true;", "return true;")],
    faults: { network: { loss: 0.15, duplication: 0, reorder: 0, delayMs: 2 } },
  },
  "draining-worker-gets-leases": {
    doc: "a worker that leaves goes on being given leases",
    area: "drain",
    edits: [
      core("standing", 'isDraining = ({ standing }) => standing.w === "draining"', "isDraining = () => false"),
      core("copies", "if (isDraining(worker)) return; setStanding(", "if (drainOf(worker)) return; setStanding("),
    ],
    faults: { workerDrainMs: 2_000 },
  },
  "drain-leaves-reports-unsaid": {
    doc: "a worker that leaves does not wait until its last reports are acknowledged",
    area: "drain",
    edits: [worker("step", "state.leases.size > 0 || state.outbox.size > 0", "state.leases.size > 0")],
    faults: { workerDrainMs: 2_000 },
  },
  "drain-drops-unstarted": {
    doc: "a worker that leaves keeps the leases it has not started",
    area: "drain",
    edits: [
      worker(
        "step",
        'else if (entry.phase.p === "preparing" || entry.phase.p === "ready") giveBackFrom(state, id, entry.lease.from, out); } } /** K2',
        "} } /** K2",
      ),
    ],
    faults: { workerDrainMs: 2_000 },
  },
  "ended-jobs-kept": {
    doc: "jobs that ended are never forgotten",
    area: "retention",
    edits: [core("step", "state.nowMs - (job.endedAtMs ?? 0) > endedJobsKeptMs", "false")],
  },
  "keys-outlive-their-jobs": {
    doc: "the key of a forgotten job is kept",
    area: "retention",
    edits: [core("records", "state.keys.delete(`${job.tenant}/${job.key}`)", "undefined")],
  },
  "objects-outlive-their-jobs": {
    doc: "the objects of a forgotten job stay on the workers",
    area: "retention",
    edits: [
      core(
        "step",
        'write(ctx, { k: "forget", job: job.id }, true); freeObjects(ctx, ids);',
        'write(ctx, { k: "forget", job: job.id }, true);',
      ),
    ],
  },
  "released-stage-dropped-early": {
    doc: "a stage whose refs are gone is forgotten although another still reads it",
    area: "retention",
    edits: [core("lineage", 'if (stage.openDependents > 0) return "results";', "")],
    faults: { ...deaths, slowWork: 0.6 },
  },
  "forgotten-stage-comes-back": {
    doc: "a late copy of a stage's message brings it back after it was forgotten",
    area: "sessions",
    edits: [
      core(
        "client-events",
        "session.stages.has(spec.index) || session.forgotten.has(spec.index)",
        "session.stages.has(spec.index)",
      ),
    ],
    faults: { badWork: 0, network: { loss: 0, duplication: 0.5, reorder: 0.5, delayMs: 60 } },
  },
  "unknown-stage-not-named": {
    doc: "a stage that never arrived is not asked for again",
    area: "sessions",
    edits: [core("client-events", "unknownStage(ctx, session, index);", "undefined;")],
  },
  "held-objects-not-told": {
    doc: "a scheduler does not listen to what a worker says in its hello that it holds",
    area: "objects",
    edits: [core("worker-events", "lastSeq < worker.seenMax ? [] : register.objects", "[]")],
    faults: takeovers,
  },
  "needed-objects-freed": {
    doc: "a worker frees an object that a lease it holds has just made",
    area: "objects",
    edits: [worker("step", "(made.length === 0 || !isMade(id))", "true")],
    faults: { ...tight, ...takeovers, commonWork: 0.5 },
  },
  "priorities-upside-down": {
    doc: "the lowest priority goes first",
    area: "command",
    edits: [
      core("dispatch", "let bestPriority = Number.NEGATIVE_INFINITY;", "let bestPriority = Number.POSITIVE_INFINITY;"),
      core("dispatch", "if (priority <= bestPriority)", "if (priority >= bestPriority)"),
    ],
  },
  ...shellMutants,
  ...agentMutants,
  ...sessionMutants,
};
