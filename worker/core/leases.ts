/** Leases from order to end (M3): taken, started, limited, given back, finished. */
import { invariant, type WireError, wireErrorBytes } from "../../proto/errors.js";
import type { LeaseId, ObjectId } from "../../proto/ids.js";
import type { Lease } from "../../proto/messages/worker.js";
import type { WorkerCommand, WorkerEvent } from "./events.js";
import { hold } from "./outbox.js";
import { addRange, gaps, type HeldEntry, remember, type WorkerState } from "./state.js";

type Out = WorkerCommand[];
type EventOf<E extends WorkerEvent["e"]> = Extract<WorkerEvent, { e: E }>;

/** M3: idempotent in every phase of the lease's life. */
export function takeLease(state: WorkerState, lease: Lease, out: Out): void {
  if (state.leases.has(lease.lease)) return;
  if (state.over.has(lease.lease)) {
    state.pending.done.push(lease.lease);
    return;
  }
  if (state.draining) {
    state.pending.back.push({ lease: lease.lease, from: lease.from, to: lease.to });
    state.pending.done.push(lease.lease);
    remember(state, lease.lease);
    out.push({ c: "count", metric: "leases_given_back", by: 1 });
    return;
  }
  state.leases.set(lease.lease, { lease, phase: { p: "preparing", waits: "inputs" }, to: lease.to, done: [] });
  out.push({ c: "count", metric: "leases_taken", by: 1 }, { c: "prepare", lease });
}

export function revoke(state: WorkerState, id: LeaseId, keepTo: number, out: Out): void {
  const entry = state.leases.get(id);
  if (!entry && state.over.has(id)) state.pending.done.push(id);
  if (!entry || keepTo >= entry.to) return;
  if (hasRun(entry)) out.push({ c: "limit", lease: id, to: keepTo });
  else if (entry.phase.p === "preparing" || entry.phase.p === "ready") giveBackFrom(state, id, keepTo, out);
}

export function cancel(state: WorkerState, id: LeaseId, out: Out): void {
  const entry = state.leases.get(id);
  if (!entry) {
    // The lease may still be under way behind its own cancellation.
    remember(state, id);
    state.pending.done.push(id);
  } else if (hasRun(entry)) out.push({ c: "kill", lease: id });
  else if (entry.phase.p === "preparing" || entry.phase.p === "ready") giveBackFrom(state, id, entry.lease.from, out);
}

/** Of an older epoch: gone at once, or as soon as its thread has stopped. */
export function dropLease(state: WorkerState, id: LeaseId, out: Out): void {
  const entry = state.leases.get(id);
  if (!entry || entry.phase.p === "void") return;
  if (hasRun(entry)) {
    const { phase } = entry;
    entry.phase = { p: "void", slot: "slot" in phase && phase.p !== "blocked" ? phase.slot : undefined };
    out.push({ c: "kill", lease: id });
    return;
  }
  state.leases.delete(id);
  if (entry.phase.p !== "finishing") out.push({ c: "release", lease: id });
}

export function markWait(state: WorkerState, event: EventOf<"waits">): void {
  const entry = state.leases.get(event.lease);
  if (entry?.phase.p === "preparing") entry.phase = { p: "preparing", waits: event.for };
}

export function markReady(state: WorkerState, id: LeaseId): void {
  const entry = state.leases.get(id);
  if (entry?.phase.p === "preparing") entry.phase = { p: "ready" };
}

/** Its run has been given to a slot, and has not ended. */
export const hasRun = ({ phase }: HeldEntry): boolean =>
  phase.p === "staged" || phase.p === "running" || phase.p === "blocked" || phase.p === "storing";

export function refuseLease(state: WorkerState, event: EventOf<"unready">, out: Out): void {
  const entry = state.leases.get(event.lease);
  if (entry?.phase.p !== "preparing") return;
  if (event.giveBack) {
    out.push({
      c: "log",
      level: "warn",
      text: `lease ${event.lease} is given back: ${event.error.message}`,
      fields: { code: event.error.code },
    });
    giveBackFrom(state, event.lease, entry.lease.from, out, event.error);
    return;
  }
  const { lease, to } = entry;
  pushCommit(state, entry, { r: "failed", stage: lease.stage, from: lease.from, to, error: event.error }, 0);
  finish(state, entry);
  out.push({ c: "release", lease: event.lease });
}

export function takeResults(state: WorkerState, event: EventOf<"results">, out: Out): void {
  const entry = state.leases.get(event.lease);
  const { segment } = event;
  if (!entry || !hasRun(entry)) {
    // Results of an older epoch: nobody will ask for these objects (unless the same content is held for another
    // reason).
    if (segment.r === "stored" && !event.elsewhere) {
      const orphans = storedIds(entry, segment.from, segment.stored.length).filter((id) => !state.objects.has(id));
      if (orphans.length > 0) out.push({ c: "free", ids: orphans });
    }
    return;
  }
  invariant(
    segment.from >= entry.lease.from && segment.to <= entry.lease.to,
    `results [${segment.from}, ${segment.to}) of lease ${event.lease} are outside [${entry.lease.from}, ${entry.lease.to})`,
  );
  pushCommit(state, entry, segment, event.slotTimeUs);
  if (segment.r === "stored" && !event.elsewhere) {
    storedIds(entry, segment.from, segment.stored.length).forEach((id, i) => {
      const stored = segment.stored[i];
      if (stored) hold(state, { id, ...stored });
    });
  }
  out.push({ c: "count", metric: "tasks_done", by: segment.to - segment.from });
}

const storedIds = (entry: HeldEntry | undefined, from: number, count: number): ObjectId[] =>
  entry ? Array.from({ length: count }, (_, i) => `${entry.lease.base}-${from + i}` as ObjectId) : [];

function pushCommit(
  state: WorkerState,
  entry: HeldEntry,
  segment: EventOf<"results">["segment"],
  slotTimeUs: number,
): void {
  const fresh = addRange(entry.done, segment.from, segment.to);
  invariant(fresh, `tasks of [${segment.from}, ${segment.to}) of lease ${entry.lease.lease} have a result already`);
  const payload =
    segment.r === "inline"
      ? segment.pack.byteLength + (segment.digests?.byteLength ?? 0)
      : segment.r === "stored"
        ? segment.stored.length * 64
        : wireErrorBytes(segment.error);
  state.pending.commits.push({ commit: { lease: entry.lease.lease, segment, slotTimeUs }, bytes: payload + 128 });
}

/**
 * The answer to a `limit` of a run: what will not start goes back, and if there is nothing that is said, too: somebody
 * waits for the answer.
 */
export function limited(state: WorkerState, id: LeaseId, to: number, out: Out): void {
  const entry = state.leases.get(id);
  if (entry && hasRun(entry) && to >= entry.to) state.pending.back.push({ lease: id, from: entry.to, to: entry.to });
  else giveBackFrom(state, id, to, out);
}

/** Gives back what will not start: [to, end). With nothing left, the lease is over. */
export function giveBackFrom(state: WorkerState, id: LeaseId, to: number, out: Out, error?: WireError): void {
  const entry = state.leases.get(id);
  if (!entry || entry.phase.p === "finishing" || entry.phase.p === "void" || to >= entry.to) return;
  const from = Math.max(to, entry.lease.from);
  const nothingLeft = from === entry.lease.from;
  // A run that has nothing left to start ends at once, and gives back everything then.
  if (nothingLeft && hasRun(entry)) return;
  state.pending.back.push({
    lease: id,
    from,
    to: entry.to,
    ...(error ? { error: { code: error.code, message: error.message } } : {}),
  });
  if (!nothingLeft) {
    entry.to = from;
    return;
  }
  out.push({ c: "count", metric: "leases_given_back", by: 1 }, { c: "release", lease: id });
  finish(state, entry);
}

export function endRun(state: WorkerState, id: LeaseId, out: Out): void {
  const entry = state.leases.get(id);
  if (!entry) return;
  const { phase } = entry;
  invariant(
    phase.p === "storing" || (phase.p === "void" && phase.slot === undefined),
    `lease ${id} ended in phase ${phase.p}`,
  );
  out.push({ c: "release", lease: id });
  if (phase.p === "void") {
    state.leases.delete(id);
    return;
  }
  for (const [from, to] of gaps(entry.done, entry.lease.from, entry.to))
    state.pending.back.push({ lease: id, from, to });
  finish(state, entry);
}

function finish(state: WorkerState, entry: HeldEntry): void {
  entry.phase = { p: "finishing" };
  state.pending.done.push(entry.lease.lease);
}
