/**
 * What is known of a lease at its worker, and what was asked back of it. The two are independent: of a lease that runs
 * the unstarted rest may be asked back. Both change here alone, by the steps of transitions.ts.
 */
import type { HeldLease } from "../../proto/messages/worker.js";
import { checkStep, leaseMachine, recallMachine } from "./transitions.js";

/**
 * sent: nothing was heard of it. preparing: it is there, and waits for what a lease needs before it can run. ready:
 * nothing but what is before it on its slot keeps it from running. running: a slot executes its first open task.
 * finishing: nothing of it is executed, its last reports are on their way. ran: it holds no slot any more, and what it
 * still owes is being stored.
 */
export type LeasePhase =
  | { readonly p: "sent" }
  | { readonly p: "preparing"; readonly waits: HeldLease["waits"] }
  | { readonly p: "ready" }
  | { readonly p: "running" }
  | { readonly p: "finishing" }
  | { readonly p: "ran" };

/**
 * asked: an answer is awaited since then. spent: everything has been started, it is not asked again. none: it is asked
 * no sooner than that.
 */
export type Recall =
  | { readonly r: "none"; readonly notBeforeMs: number }
  | { readonly r: "asked"; readonly sinceMs: number }
  | { readonly r: "spent" };

interface Phased {
  readonly id: string;
  /** The worker says when it can start; until then it may be fetching what it needs (I8). */
  readonly asksHeartbeat: boolean;
  phase: LeasePhase;
  recall: Recall;
}

export const sent: LeasePhase = { p: "sent" };
export const neverAsked: Recall = { r: "none", notBeforeMs: 0 };
const running: LeasePhase = { p: "running" };
const ready: LeasePhase = { p: "ready" };
const finishing: LeasePhase = { p: "finishing" };
const ran: LeasePhase = { p: "ran" };
const spent: Recall = { r: "spent" };

function setPhase(lease: Phased, next: LeasePhase): void {
  if (lease.phase.p !== next.p) checkStep(leaseMachine, `lease ${lease.id}`, lease.phase.p, next.p);
  lease.phase = next;
}

function setRecall(lease: Phased, next: Recall): void {
  if (lease.recall.r !== next.r) checkStep(recallMachine, `the recall of lease ${lease.id}`, lease.recall.r, next.r);
  lease.recall = next;
}

export const isRunning = ({ phase }: Phased): boolean => phase.p === "running";
export const hasRun = ({ phase }: Phased): boolean => phase.p === "ran";

/** As far as is known, it runs as soon as a slot is free for it. */
export const canStart = ({ phase, asksHeartbeat }: Phased): boolean =>
  phase.p === "ready" || (!asksHeartbeat && (phase.p === "sent" || phase.p === "preparing"));

/** A heartbeat lists it. Heartbeats may overtake each other and reports; what has run does not run again. */
export function markHeld(lease: Phased, { running: runs, startable, waits }: HeldLease): void {
  const { p } = lease.phase;
  if (p === "ran") return;
  if (runs) setPhase(lease, running);
  else if (startable) setPhase(lease, ready);
  else if (p === "running") setPhase(lease, finishing);
  else if (p === "sent" || (p === "preparing" && lease.phase.waits !== waits))
    setPhase(lease, { p: "preparing", waits });
}

/** A result of it has come. */
export function markProgress(lease: Phased): void {
  if (lease.phase.p !== "ran" && lease.phase.p !== "running") setPhase(lease, running);
}

/** Its functions have returned; true if that is news. */
export function markReturned(lease: Phased): boolean {
  if (lease.phase.p === "ran") return false;
  setPhase(lease, ran);
  return true;
}

// ------------------------------------------------------------------------------------------------ recalls

export function askBack(lease: Phased, nowMs: number): void {
  setRecall(lease, { r: "asked", sinceMs: nowMs });
}

/** It has not answered: it is not asked again before. */
export function giveUpAsking(lease: Phased, notBeforeMs: number): void {
  setRecall(lease, { r: "none", notBeforeMs });
}

/** The worker has answered, also when it was not waited for any more. `empty`: there is nothing to give. */
export function markAnswer(lease: Phased, empty: boolean): void {
  if (empty) setRecall(lease, spent);
  else if (lease.recall.r === "asked") setRecall(lease, neverAsked);
}
