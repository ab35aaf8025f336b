/**
 * Planted bugs: mutations of what the shells do around the real cores, switched on by name, to show that the oracles see them.
 * Each is a mistake that somebody could make; the cores stay clean.
 */
import type { LeaseId } from "../../proto/ids.js";
import type { ClientRequest, WorkerOrders, WorkerRequest } from "../../proto/messages.js";
import type { WorkerCommand } from "../../worker/core/events.js";
import type { Command, JournalRecord } from "../core/events.js";

export interface Plant {
  readonly doc: string;
  /** Gated commands go at once. */
  readonly ungated?: true;
  /** The journal takes appends whatever sequence they expect. */
  readonly unfenced?: true;
  /** Entries that recovery plays. */
  readonly replayed?: (entries: JournalRecord[][]) => JournalRecord[][];
  /** The scheduler's view of its own epoch and a worker's message. */
  readonly workerRequest?: (request: WorkerRequest, epoch: number) => WorkerRequest;
  readonly workerOrders?: (orders: WorkerOrders, epoch: number) => WorkerOrders;
  /** Commands of one scheduler step, and what caused it. */
  readonly schedulerCommands?: (commands: Command[], cause: ClientRequest["t"] | WorkerRequest["t"] | "tick") => Command[];
  readonly workerCommands?: (commands: WorkerCommand[], seen: Set<number>) => WorkerCommand[];
  /** The scheduler goes on hearing beats of workers that are dead. */
  readonly ghosts?: true;
  /** A result that the core refuses as stale is committed all the same. */
  readonly secondCommitWins?: true;
}

const withEpoch = (lease: LeaseId, epoch: number): LeaseId => `${epoch}.${lease.split(".")[1]}` as LeaseId;

export const plants: Readonly<Record<string, Plant>> = {
  "commit-acknowledged-before-append": { doc: "replies and acks do not wait for the journal", ungated: true },
  "fence-dropped": { doc: "a deposed scheduler's appends are accepted", unfenced: true },
  "scheduler-epoch-check-dropped": {
    doc: "the scheduler takes reports of workers whatever epoch they speak of, and lease ids do not tell epochs apart",
    workerRequest: (request, epoch) => {
      if (request.t !== "commits") return request;
      return {
        ...request,
        epoch: epoch as typeof request.epoch,
        commits: request.commits.map((commit) => ({ ...commit, lease: withEpoch(commit.lease, epoch) })),
        done: request.done.map((lease) => withEpoch(lease, epoch)),
        back: request.back.map((back) => ({ ...back, lease: withEpoch(back.lease, epoch) })),
      };
    },
  },
  "worker-epoch-check-dropped": {
    doc: "workers obey a deposed scheduler",
    workerOrders: (orders, epoch) => ({ ...orders, epoch: Math.max(orders.epoch, epoch) as typeof orders.epoch }),
  },
  "second-commit-wins": { doc: "a result under a lease that is over replaces the committed one", secondCommitWins: true },
  "lost-lease-never-requeued": { doc: "a dead worker is believed to be alive", ghosts: true },
  "results-not-resent": {
    doc: "the scheduler does not send results again that a client's beat asks for",
    schedulerCommands: (commands, cause) => (cause === "beat" ? commands.filter((command) => command.c !== "update") : commands),
  },
  "recovery-skips-last-entry": { doc: "a restarted scheduler does not play the journal's last entry", replayed: (entries) => entries.slice(0, -1) },
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
      return commands.filter((command) => !(command.c === "order" && command.order.o === "lease" && commands.some((other) => other.c === "count" && other.metric === "leases_resent")));
    },
  },
};
