/**
 * Slots as owned things: which lease each executes, and which it begins when that one returns. A slot is a thread, so
 * a lease that was given to one stays with it.
 *
 * L1 A free slot takes the oldest lease of the highest priority that is ready.
 * L2 Every busy slot has one lease staged behind what it executes, if there is one: its thread goes on with it the
 *    moment its function returns, without asking anybody.
 * L3 A slot that is free while others have leases staged recalls one of them: it runs where it can begin. One that is
 *    staged while a lease of higher priority is ready is recalled to let that one go first.
 * L4 A lease whose task awaits others gives its slot back and keeps its thread. When it can go on, it has the slot
 *    before anything that is not staged there already.
 */
import { invariant } from "../../proto/errors.js";
import type { LeaseId } from "../../proto/ids.js";
import type { WorkerCommand, WorkerEvent } from "./events.js";
import type { HeldEntry, LeasePhase, WorkerState } from "./state.js";

type Out = WorkerCommand[];
type EventOf<E extends WorkerEvent["e"]> = Extract<WorkerEvent, { e: E }>;
type PhaseOf<P extends LeasePhase["p"]> = Extract<LeasePhase, { p: P }>;

/** The entry's phase if it is that one. */
const phaseIf = <P extends LeasePhase["p"]>(entry: HeldEntry | undefined, p: P): PhaseOf<P> | undefined =>
  entry?.phase.p === p ? (entry.phase as PhaseOf<P>) : undefined;

/** Gives leases to slots as far as there are any. */
export function assign(state: WorkerState, out: Out): void {
  let ready = readyLeases(state);
  if (ready.length === 0 && state.slots.every((slot) => slot.now !== undefined)) return;
  const returning = returningTo(state);
  state.slots.forEach((slot, i) => {
    if (slot.now !== undefined) return;
    const back = returning.get(i);
    if (back) {
      slot.now = back.lease.lease;
      back.phase = { p: "running", slot: i };
      out.push({ c: "resume", lease: back.lease.lease });
      returning.delete(i);
      return;
    }
    const [entry, ...rest] = ready;
    if (entry) {
      ready = rest;
      slot.now = entry.lease.lease;
      entry.phase = { p: "running", slot: i };
      out.push({ c: "run", lease: entry.lease, slot: i, from: entry.lease.from, to: entry.to });
    } else if (!state.draining) recallOne(state, out, Number.POSITIVE_INFINITY);
  });
  state.slots.forEach((slot, i) => {
    if (slot.now === undefined || slot.next !== undefined || returning.has(i)) return;
    const entry = ready.shift();
    if (!entry) return;
    slot.next = entry.lease.lease;
    entry.phase = { p: "staged", slot: i, recalled: false };
    out.push({ c: "run", lease: entry.lease, slot: i, from: entry.lease.from, to: entry.to });
  });
  const [urgent] = ready;
  if (urgent && !state.draining) recallOne(state, out, urgent.lease.options.priority);
}

/** In the order in which they are to begin (L1). */
function readyLeases(state: WorkerState): HeldEntry[] {
  const ready: HeldEntry[] = [];
  for (const entry of state.leases.values()) if (entry.phase.p === "ready") ready.push(entry);
  if (ready.length > 1) ready.sort((a, b) => b.lease.options.priority - a.lease.options.priority);
  return ready;
}

/** The first lease of each slot that waits to go on there (L4). */
function returningTo(state: WorkerState): Map<number, HeldEntry> {
  const first = new Map<number, HeldEntry>();
  for (const entry of state.leases.values()) {
    const phase = phaseIf(entry, "blocked");
    if (phase?.wants && !first.has(phase.slot)) first.set(phase.slot, entry);
  }
  return first;
}

/**
 * L3: the first staged lease of a priority below this. Asked once: one that has begun meanwhile is soon known to be
 * running.
 */
function recallOne(state: WorkerState, out: Out, below: number): void {
  for (const { next } of state.slots) {
    const entry = next === undefined ? undefined : state.leases.get(next);
    const phase = phaseIf(entry, "staged");
    if (next === undefined || !entry || !phase || phase.recalled || entry.lease.options.priority >= below) continue;
    phase.recalled = true;
    out.push({ c: "recall", lease: next });
    return;
  }
}

/** The answer to `recall`: it has not begun and will not. */
export function recalled(state: WorkerState, id: LeaseId): void {
  const entry = state.leases.get(id);
  const phase = phaseIf(entry, "staged");
  if (!entry || !phase) return;
  const slot = state.slots[phase.slot];
  if (slot) slot.next = undefined;
  entry.phase = { p: "ready" };
}

/** Its thread has returned from its last task. */
export function vacated(state: WorkerState, id: LeaseId): void {
  const entry = state.leases.get(id);
  if (!entry) return;
  leaveSlot(state, entry);
  if (entry.phase.p === "void") entry.phase = { p: "void", slot: undefined };
  else {
    entry.phase = { p: "storing" };
    state.pending.ran.push(id);
  }
}

/** The slot goes on with what is staged there. */
function leaveSlot(state: WorkerState, { lease: { lease: id }, phase }: HeldEntry): void {
  if (!("slot" in phase) || phase.slot === undefined) return;
  const slot = state.slots[phase.slot];
  if (slot?.next === id) slot.next = undefined;
  if (slot?.now !== id) return;
  slot.now = slot.next;
  slot.next = undefined;
  const next = slot.now === undefined ? undefined : state.leases.get(slot.now);
  if (next?.phase.p === "staged") next.phase = { p: "running", slot: next.phase.slot };
}

/** L4. Its thread may begin what is staged behind it. */
export function blocked(state: WorkerState, event: EventOf<"blocked">): void {
  const entry = state.leases.get(event.lease);
  const phase = phaseIf(entry, "running");
  if (!entry || !phase) return;
  const { slot } = phase;
  leaveSlot(state, entry);
  entry.phase = { p: "blocked", slot, wants: false };
}

/** What it awaited is there: `resume` follows when the slot is free. */
export function unblocked(state: WorkerState, event: EventOf<"unblocked">): void {
  const entry = state.leases.get(event.lease);
  invariant(
    entry === undefined || entry.phase.p === "blocked" || entry.phase.p === "void",
    `lease ${event.lease} was not blocked`,
  );
  const phase = phaseIf(entry, "blocked");
  if (phase) phase.wants = true;
}
