/** Mutations of the scheduler's shell, and in what the two sides say to each other. */
import type { Edit, Mutation } from "./mutation.js";

const shell = (file: string, find: string, put: string): Edit => ({ file: `scheduler/shell/${file}.js`, find, put });
const core = (file: string, find: string, put: string): Edit => ({ file: `scheduler/core/${file}.js`, find, put });
const worker = (file: string, find: string, put: string): Edit => ({ file: `worker/core/${file}.js`, find, put });

const takeovers = { takeoverMs: 2_000, schedulerCutMs: 6_000, workerCutMs: 4_000 };
const restarts = { schedulerCrashMs: 1_500 };
const lossy = { network: { loss: 0.1, duplication: 0.05, reorder: 0.1, delayMs: 2 } };

export const shellMutants: Readonly<Record<string, Mutation>> = {
  "commit-acknowledged-before-append": {
    doc: "replies and acks do not wait for the journal",
    area: "shell",
    edits: [shell("effects", "!command.gated || given === durable", "true")],
  },
  "gate-opens-early": {
    doc: "what waits for the journal waits for one entry too few",
    area: "shell",
    edits: [shell("effects", "this.#gated[released]?.after ?? 0) <= durable", "true) || 0 < durable")],
  },
  "fence-dropped": {
    doc: "a deposed scheduler reads where the journal ends now, and writes on",
    area: "shell",
    edits: [
      shell(
        "journal-writer",
        'if (mine === false && (code === "FENCED"',
        'if (code === "FENCED") { this.#lastSeq = await journal.lastSeq(); continue; } if (mine === false && (code === "FENCED"',
      ),
    ],
    faults: takeovers,
  },
  "fenced-entry-taken-for-own": {
    doc: "an append that is fenced after a failure is taken for done",
    area: "shell",
    edits: [shell("journal-writer", "await this.#isMine(entry)", "true")],
    faults: { ...takeovers, appendRefusal: 0.3 },
  },
  "seal-ignored": {
    doc: "an entry holds records from both sides of a snapshot's cut",
    area: "shell",
    edits: [shell("journal-writer", "taken.length < sealed", "true")],
    faults: restarts,
  },
  "recovery-skips-last-entry": {
    doc: "a restarted scheduler does not play the journal's last entry",
    area: "shell",
    edits: [
      shell(
        "recovery",
        "for (const { seq, data } of kept) if (seq > this.lastSeq) this.#play(seq, data, late);",
        "for (const { seq, data } of kept) { if (seq <= this.lastSeq) continue; if (seq === kept.at(-1).seq) this.lastSeq = seq; else this.#play(seq, data, late); }",
      ),
    ],
    faults: restarts,
  },
  "journal-cut-before-snapshot-is-kept": {
    doc: "the journal is cut when a snapshot begins to be written",
    area: "shell",
    edits: [
      shell("snapshots", "this.#gone.push(marker);", "this.#gone.push(marker); await durable.journal.truncate(seq);"),
    ],
    faults: { ...restarts, blobRefusal: 0.5 },
  },
  "failed-offload-taken-for-done": {
    doc: "results leave the heap although their blob could not be written",
    area: "shell",
    edits: [
      shell(
        "blob-effects",
        'this.#options.dispatch({ e: "offloaded", job, blob, ok });',
        'this.#options.dispatch({ e: "offloaded", job, blob, ok: true });',
      ),
    ],
    faults: { blobRefusal: 0.5 },
  },
  "stop-counts-as-listening": {
    doc: "time in which the process was stopped counts as time in which others were silent",
    area: "shell",
    edits: [
      shell("listening-time", "this.#answered ? Math.min(spanMs, spanMsMax) : 0", "spanMs"),
      shell("listening-time", "Math.min(this.#graceMs, counted) / 2", "0"),
    ],
    faults: { schedulerPauseMs: 3_000 },
  },
  "stale-commits-accepted": {
    doc: "a report of an older epoch is taken for whichever lease has its stage and tasks",
    area: "reports",
    edits: [
      core("commits", "message.epoch !== state.epoch || !worker", "!worker"),
      core(
        "commits",
        "const lease = worker.leases.get(commit.lease);",
        "const lease = worker.leases.get(commit.lease) ?? [...worker.leases.values()].find(({ stage, from, to }) => stage.index === segment.stage && from <= segment.from && segment.to <= to);",
      ),
    ],
    faults: {
      ...restarts,
      takeoverMs: 2_000,
      network: { loss: 0, duplication: 0.3, reorder: 0.3, delayMs: 20 },
    },
  },
  "worker-epoch-check-dropped": {
    doc: "workers obey a deposed scheduler",
    area: "reports",
    edits: [worker("step", "message.epoch < state.epoch ||", "")],
    faults: takeovers,
  },
  "lost-lease-never-requeued": {
    doc: "a dead worker is believed to be alive",
    area: "reports",
    edits: [
      core(
        "step",
        'if (silenceMs(state, worker) > limits.heartbeatTimeoutMs) removeWorker(ctx, worker, "silent");',
        "",
      ),
    ],
    faults: { workerCrashMs: 2_000 },
  },
  "results-not-resent": {
    doc: "the scheduler does not send results again that a client's heartbeat asks for",
    area: "sessions",
    edits: [core("client-events", "if (stage) resend(ctx, stage, gaps.get(index));", "if (stage) undefined;")],
    faults: lossy,
  },
  "commit-not-resent": {
    doc: "a worker does not send its reports again that were not acknowledged",
    area: "reports",
    edits: [worker("step", "resend(state, nowMs, limits.commitResendMs, out);", "")],
    faults: lossy,
  },
  "leases-not-resent": {
    doc: "the scheduler does not send leases again that a worker's heartbeat does not list",
    area: "reports",
    edits: [
      core(
        "worker-events",
        "tenant: lease.stage.job.tenant }); sendLease(ctx, lease);",
        "tenant: lease.stage.job.tenant });",
      ),
    ],
    faults: lossy,
  },
};
