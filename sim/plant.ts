/**
 * Planted bugs: mutations of what the shells do around the real cores, switched on by name, to show that the oracles
 * see them. Each is a mistake that somebody could make; the cores stay clean.
 */
import type { Epoch, JobId, LeaseId, WorkerId } from "../proto/ids.js";
import type { ClientRequest } from "../proto/messages/client.js";
import type { WorkerOrders, WorkerRequest } from "../proto/messages/worker.js";
import type { Command, JournalRecord } from "../scheduler/core/events.js";
import type { State } from "../scheduler/core/index.js";
import type { WorkerCommand } from "../worker/core/events.js";
import type { FaultRates } from "./fault-rates.js";
import { ghostBeat } from "./ghost-beat.js";

export interface Plant {
  readonly doc: string;
  /** Misfortunes that the bug needs to show; the seeds' own are rarer. */
  readonly faults?: Partial<FaultRates>;
  /** Gated commands go at once. */
  readonly ungated?: true;
  /** The journal takes appends whatever sequence they expect. */
  readonly unfenced?: true;
  /** Entries that recovery plays. */
  readonly replayed?: (entries: JournalRecord[][]) => JournalRecord[][];
  /** A worker's message before the core sees it. */
  readonly workerRequest?: (request: WorkerRequest, epoch: number, state: State) => WorkerRequest;
  readonly workerOrders?: (orders: WorkerOrders, epoch: number) => WorkerOrders;
  /** Commands of one scheduler step, and what caused it. */
  readonly schedulerCommands?: (
    commands: Command[],
    cause: ClientRequest["t"] | WorkerRequest["t"] | "tick",
  ) => Command[];
  readonly workerCommands?: (commands: WorkerCommand[], seen: Set<number>) => WorkerCommand[];
  /** The scheduler goes on hearing beats of workers that are dead. */
  readonly ghosts?: (state: State, isAlive: (worker: WorkerId) => boolean) => WorkerRequest[];
  /** A result that the core refuses as stale is committed all the same. */
  readonly secondCommits?: typeof commitsOfEndedLeases;
}

const takeovers = { usurpationMs: 2_000, schedulerCutMs: 6_000, workerCutMs: 4_000 };

/** What workers that are dead would say. */
function beatsOfGhosts(state: State, isAlive: (worker: WorkerId) => boolean): WorkerRequest[] {
  const dead = [...state.workers.values()].filter(
    (worker) => !isAlive(worker.id) && state.nowMs - worker.heardMs >= 500,
  );
  return dead.map((worker) => ghostBeat(worker, state.epoch));
}

/** What a core without the lease check would do with results under leases that are over. */
function commitsOfEndedLeases(
  request: WorkerRequest,
  state: State,
  jobOf: (lease: LeaseId) => { job: JobId; durable: boolean } | undefined,
): Command[] {
  if (request.t !== "commits") return [];
  return request.commits.flatMap(({ lease, segment, slotTimeUs }): Command[] => {
    const job = jobOf(lease);
    if (state.leases.has(lease) || segment.r === "failed" || !job?.durable) return [];
    return [
      {
        c: "record",
        record: { k: "commit", job: job.job, segment, slotTimeUs, reused: false, worker: request.worker },
      },
    ];
  });
}

export const plants: Readonly<Record<string, Plant>> = {
  "commit-acknowledged-before-append": { doc: "replies and acks do not wait for the journal", ungated: true },
  "fence-dropped": { doc: "a deposed scheduler's appends are accepted", faults: takeovers, unfenced: true },
  "stale-commits-accepted": {
    doc: "a report of an older epoch is taken for whichever lease has its stage and tasks",
    faults: takeovers,
    workerRequest: (request, epoch, state) => {
      if (request.t !== "commits" || request.epoch === epoch) return request;
      const leases = [...state.leases.values()];
      const [first] = request.commits;
      const taker =
        first &&
        leases.find(
          ({ stage, from, to }) =>
            stage.index === first.segment.stage && from <= first.segment.from && first.segment.to <= to,
        );
      if (!taker) return request;
      return {
        ...request,
        worker: taker.worker.id,
        epoch: epoch as Epoch,
        seq: request.seq + 2 ** 40,
        commits: [{ ...first, lease: taker.id }],
        done: [],
        back: [],
      };
    },
  },
  "worker-epoch-check-dropped": {
    doc: "workers obey a deposed scheduler",
    workerOrders: (orders, epoch) => ({ ...orders, epoch: Math.max(orders.epoch, epoch) as typeof orders.epoch }),
  },
  "second-commit-wins": {
    doc: "a result under a lease that is over replaces the committed one",
    secondCommits: commitsOfEndedLeases,
  },
  "lost-lease-never-requeued": { doc: "a dead worker is believed to be alive", ghosts: beatsOfGhosts },
  "results-not-resent": {
    doc: "the scheduler does not send results again that a client's beat asks for",
    schedulerCommands: (commands, cause) =>
      cause === "beat" ? commands.filter((command) => command.c !== "update") : commands,
  },
  "recovery-skips-last-entry": {
    doc: "a restarted scheduler does not play the journal's last entry",
    replayed: (entries) => entries.slice(0, -1),
  },
  "commit-not-resent": {
    doc: "a worker does not send its reports again that were not acknowledged",
    workerCommands: (commands, seen) =>
      commands.filter((command) => {
        if (command.c !== "send" || command.message.t !== "commits") return true;
        if (seen.has(command.message.seq)) return false;
        seen.add(command.message.seq);
        return true;
      }),
  },
  "leases-not-resent": {
    doc: "the scheduler does not send leases again that a worker's beat does not list",
    schedulerCommands: (commands, cause) => {
      if (cause !== "beat") return commands;
      return commands.filter(
        (command) =>
          !(
            command.c === "order" &&
            command.order.o === "lease" &&
            commands.some((other) => other.c === "count" && other.metric === "leases_resent")
          ),
      );
    },
  },
};
