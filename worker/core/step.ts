/**
 * The worker's state machine: one mutator, events in, commands out. See events.ts for the vocabulary and what the shell owes.
 *
 * It reads no clock and touches nothing outside of `state`; the shell, tests and the simulator drive the same code.
 */
import { invariant } from "../../proto/errors.js";
import type { Epoch, LeaseId, ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { HeldLease, Lease, WorkerOrder, WorkerOrders } from "../../proto/messages.js";
import type { WorkerCommand, WorkerEvent } from "./events.js";
import { flush, resend, retract, voidOutbox } from "./outbox.js";
import { addRange, gaps, type HeldEntry, nextTask, remember, slotsBusy, type WorkerState } from "./state.js";

/**
 * Views are reconciled: every so often a page of the held objects is told again, and the scheduler answers with `free` for those that nobody knows
 * (the first `free` was lost, or their commit was refused as stale).
 */
const announceEveryMs = 5_000;
const objectsPerAnnounce = 500;
/** Objects named in one hello; more of them make more hellos. */
const objectsPerHello = 4_000;

type Out = WorkerCommand[];
type EventOf<E extends WorkerEvent["e"]> = Extract<WorkerEvent, { e: E }>;

export function workerStep(state: WorkerState, event: WorkerEvent, nowMs: number): WorkerCommand[] {
  const out: Out = [];
  if (state.link.l === "left") return out;
  switch (event.e) {
    case "start":
      hello(state, nowMs, out);
      break;
    case "orders":
      takeOrders(state, event.message, nowMs, out);
      break;
    case "ready":
      markReady(state, event.lease);
      break;
    case "unready":
      refuseLease(state, event, out);
      break;
    case "results":
      takeResults(state, event, out);
      break;
    case "limited":
      giveBackFrom(state, event.lease, event.to, out);
      break;
    case "ended":
      endRun(state, event.lease, out);
      break;
    case "objects":
      noteObjects(state, event);
      break;
    case "drain":
      drain(state, out);
      break;
    case "connected":
      reconnect(state, nowMs, out);
      break;
    case "flush":
      flush(state, nowMs, out);
      break;
    case "tick":
      tick(state, event, nowMs, out);
      break;
  }
  startReady(state, out);
  leaveIfDrained(state, out);
  return out;
}

// ------------------------------------------------------------------------------------------------ joining, beats, epochs

function heldLeases(state: WorkerState): HeldLease[] {
  const held: HeldLease[] = [];
  for (const [lease, entry] of state.leases) {
    if (entry.phase.p === "void") continue;
    const running = entry.phase.p === "running";
    held.push({ lease, next: entry.phase.p === "finishing" ? entry.to : Math.min(nextTask(entry), entry.to), to: entry.to, running });
  }
  return held;
}

function hello(state: WorkerState, nowMs: number, out: Out): void {
  const { worker, node, pid, version, slots, storeBudgetBytes } = state.identity;
  const objects = [...state.objects.values()];
  const leases = heldLeases(state);
  let at = 0;
  do {
    const page = objects.slice(at, at + objectsPerHello);
    at += objectsPerHello;
    const more = at < objects.length;
    out.push({ c: "send", answered: true, message: { t: "hello", worker, node, pid, version, slots, storeBudgetBytes, leases: more ? [] : leases, objects: page, more } });
  } while (at < objects.length);
  state.link = { l: "joining", helloAtMs: nowMs + state.heartbeatIntervalMs };
}

function beat(state: WorkerState, nowMs: number, out: Out): void {
  out.push({
    c: "send",
    answered: true,
    message: {
      t: "beat",
      worker: state.identity.worker,
      epoch: state.epoch as Epoch,
      leases: heldLeases(state),
      slotsBusy: slotsBusy(state),
      storeBytes: state.storeBytes,
      spilledBytes: state.spilledBytes,
      draining: state.draining,
    },
  });
  state.link = { l: "joined", beatAtMs: nowMs + state.heartbeatIntervalMs };
}

function tick(state: WorkerState, event: EventOf<"tick">, nowMs: number, out: Out): void {
  state.storeBytes = event.storeBytes;
  state.spilledBytes = event.spilledBytes;
  if (state.link.l === "joining" && nowMs >= state.link.helloAtMs) hello(state, nowMs, out);
  else if (state.link.l === "joined" && nowMs >= state.link.beatAtMs) beat(state, nowMs, out);
  if (state.link.l === "joined" && !state.draining && nowMs >= state.announce.atMs) announce(state, nowMs);
  flush(state, nowMs, out);
  resend(state, nowMs, limits.commitResendMs, out);
}

function announce(state: WorkerState, nowMs: number): void {
  const first = state.announce.told < state.objects.size ? state.announce.told : 0;
  let at = 0;
  for (const [id, object] of state.objects) {
    if (at >= first && !state.pending.removed.has(id)) state.pending.added.set(id, object);
    if (++at >= first + objectsPerAnnounce) break;
  }
  state.announce = { atMs: nowMs + announceEveryMs, told: at };
}

function reconnect(state: WorkerState, nowMs: number, out: Out): void {
  if (state.link.l === "joining") hello(state, nowMs, out);
  else beat(state, nowMs, out);
  resend(state, nowMs, 0, out);
}

function takeOrders(state: WorkerState, message: WorkerOrders, nowMs: number, out: Out): void {
  if (message.epoch < state.epoch) {
    out.push({ c: "count", metric: "orders_stale_refused", by: message.orders.length });
    return;
  }
  if (message.epoch > state.epoch) enterEpoch(state, message, nowMs, out);
  for (const order of message.orders) takeOrder(state, order, nowMs, out);
}

/**
 * A new scheduler speaks: the leases and commits of the old one are void, and it must learn what this worker holds.
 * Objects stay: what the old one had not acknowledged is told to the new one.
 */
function enterEpoch(state: WorkerState, message: WorkerOrders, nowMs: number, out: Out): void {
  const wasJoined = state.link.l === "joined";
  state.epoch = message.epoch;
  for (const id of [...state.leases.keys()]) dropLease(state, id, out);
  state.over.clear();
  const voided = voidOutbox(state);
  if (voided > 0) out.push({ c: "count", metric: "commits_voided", by: voided });
  if (wasJoined) out.push({ c: "log", level: "info", text: "a new scheduler speaks", fields: { epoch: message.epoch } });
  // While joining, only the answer to a hello carries one of these; anything else is from a scheduler that has not heard of this worker yet.
  const answersHello = message.orders.some((order) => order.o === "welcome" || order.o === "unknown" || order.o === "refused");
  if (wasJoined || !answersHello) hello(state, nowMs, out);
}

/** Of an older epoch: gone at once, or as soon as its thread has stopped. */
function dropLease(state: WorkerState, id: LeaseId, out: Out): void {
  const entry = state.leases.get(id);
  if (!entry || entry.phase.p === "void") return;
  if (entry.phase.p === "running") {
    entry.phase = { p: "void" };
    out.push({ c: "kill", lease: id });
    return;
  }
  state.leases.delete(id);
  if (entry.phase.p !== "finishing") out.push({ c: "release", lease: id });
}

// ------------------------------------------------------------------------------------------------ orders

function takeOrder(state: WorkerState, order: WorkerOrder, nowMs: number, out: Out): void {
  switch (order.o) {
    case "welcome":
      welcome(state, order, nowMs, out);
      return;
    case "refused":
      state.link = { l: "joining", helloAtMs: nowMs + state.heartbeatIntervalMs };
      out.push({ c: "refused", error: order.error });
      return;
    case "unknown":
      // While joining a hello is under way, and is sent again until it is answered.
      if (state.link.l === "joined") hello(state, nowMs, out);
      return;
    case "lease":
      takeLease(state, order.lease, out);
      return;
    case "revoke":
      revoke(state, order.lease, order.keepTo, out);
      return;
    case "cancel":
      cancel(state, order.lease, out);
      return;
    case "ack":
      acknowledge(state, order.seq, out);
      return;
    case "free":
      for (const id of order.ids) {
        state.objects.delete(id);
        state.pending.added.delete(id);
      }
      out.push({ c: "free", ids: order.ids });
      return;
    case "drain":
      drain(state, out);
      return;
  }
}

function welcome(state: WorkerState, order: Extract<WorkerOrder, { o: "welcome" }>, nowMs: number, out: Out): void {
  const wasJoining = state.link.l === "joining";
  state.heartbeatIntervalMs = order.heartbeatIntervalMs;
  state.link = { l: "joined", beatAtMs: nowMs + order.heartbeatIntervalMs };
  if (!wasJoining) return;
  out.push({ c: "joined", epoch: state.epoch, heartbeatIntervalMs: order.heartbeatIntervalMs });
  resend(state, nowMs, 0, out);
}

/** M3: idempotent in every phase of the lease's life. */
function takeLease(state: WorkerState, lease: Lease, out: Out): void {
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
  state.leases.set(lease.lease, { lease, phase: { p: "preparing" }, to: lease.to, done: [] });
  out.push({ c: "count", metric: "leases_taken", by: 1 }, { c: "prepare", lease });
}

function revoke(state: WorkerState, id: LeaseId, keepTo: number, out: Out): void {
  const entry = state.leases.get(id);
  if (!entry || keepTo >= entry.to) return;
  if (entry.phase.p === "running") out.push({ c: "limit", lease: id, to: keepTo });
  else if (entry.phase.p === "preparing" || entry.phase.p === "ready") giveBackFrom(state, id, keepTo, out);
}

function cancel(state: WorkerState, id: LeaseId, out: Out): void {
  const entry = state.leases.get(id);
  if (!entry) {
    // The lease may still be under way behind its own cancellation.
    remember(state, id);
    state.pending.done.push(id);
  } else if (entry.phase.p === "running") out.push({ c: "kill", lease: id });
  else if (entry.phase.p === "preparing" || entry.phase.p === "ready") giveBackFrom(state, id, entry.lease.from, out);
}

function acknowledge(state: WorkerState, seq: number, out: Out): void {
  const entry = state.outbox.get(seq);
  if (!entry) return;
  state.outbox.delete(seq);
  for (const token of entry.tokens) out.push({ c: "objectsAcked", token });
  if (entry.message.t !== "commits") return;
  for (const lease of entry.message.done) {
    if (state.leases.get(lease)?.phase.p !== "finishing") continue;
    state.leases.delete(lease);
    remember(state, lease);
  }
}

// ------------------------------------------------------------------------------------------------ leases

function markReady(state: WorkerState, id: LeaseId): void {
  const entry = state.leases.get(id);
  if (entry?.phase.p === "preparing") entry.phase = { p: "ready" };
}

/** Gives free slots to leases that are ready, in the order they came. */
function startReady(state: WorkerState, out: Out): void {
  let free = state.identity.slots - slotsBusy(state);
  if (free <= 0) return;
  for (const entry of state.leases.values()) {
    if (entry.phase.p !== "ready") continue;
    entry.phase = { p: "running" };
    out.push({ c: "run", lease: entry.lease, from: entry.lease.from, to: entry.to });
    if (--free === 0) return;
  }
}

function refuseLease(state: WorkerState, event: EventOf<"unready">, out: Out): void {
  const entry = state.leases.get(event.lease);
  if (entry?.phase.p !== "preparing") return;
  if (event.giveBack) {
    out.push({ c: "log", level: "warn", text: `lease ${event.lease} is given back: ${event.error.message}`, fields: { code: event.error.code } });
    giveBackFrom(state, event.lease, entry.lease.from, out);
    return;
  }
  const { lease, to } = entry;
  pushCommit(state, entry, { r: "failed", stage: lease.stage, from: lease.from, to, error: event.error }, 0);
  finish(state, entry);
  out.push({ c: "release", lease: event.lease });
}

function takeResults(state: WorkerState, event: EventOf<"results">, out: Out): void {
  const entry = state.leases.get(event.lease);
  const { segment } = event;
  if (entry?.phase.p !== "running") {
    // Results of an older epoch: nobody will ask for these objects (unless the same content is held for another reason).
    if (segment.r === "stored") {
      const orphans = storedIds(entry, segment.from, segment.stored.length).filter((id) => !state.objects.has(id));
      if (orphans.length > 0) out.push({ c: "free", ids: orphans });
    }
    return;
  }
  invariant(segment.from >= entry.lease.from && segment.to <= entry.lease.to, `results [${segment.from}, ${segment.to}) of lease ${event.lease} are outside [${entry.lease.from}, ${entry.lease.to})`);
  pushCommit(state, entry, segment, event.slotTimeUs);
  if (segment.r === "stored") {
    storedIds(entry, segment.from, segment.stored.length).forEach((id, i) => {
      const stored = segment.stored[i];
      if (stored) state.objects.set(id, { id, ...stored });
    });
  }
  out.push({ c: "count", metric: "tasks_done", by: segment.to - segment.from });
}

const storedIds = (entry: HeldEntry | undefined, from: number, count: number): ObjectId[] =>
  entry ? Array.from({ length: count }, (_, i) => `${entry.lease.base}-${from + i}` as ObjectId) : [];

function pushCommit(state: WorkerState, entry: HeldEntry, segment: EventOf<"results">["segment"], slotTimeUs: number): void {
  const fresh = addRange(entry.done, segment.from, segment.to);
  invariant(fresh, `tasks of [${segment.from}, ${segment.to}) of lease ${entry.lease.lease} have a result already`);
  const payload = segment.r === "inline" ? segment.pack.byteLength + (segment.digests?.byteLength ?? 0) : segment.r === "stored" ? segment.stored.length * 64 : segment.error.message.length + (segment.error.stack?.length ?? 0);
  state.pending.commits.push({ commit: { lease: entry.lease.lease, segment, slotTimeUs }, bytes: payload + 128 });
}

/** Gives back what will not start: [to, end). With nothing left, the lease is over. */
function giveBackFrom(state: WorkerState, id: LeaseId, to: number, out: Out): void {
  const entry = state.leases.get(id);
  if (!entry || entry.phase.p === "finishing" || entry.phase.p === "void" || to >= entry.to) return;
  const from = Math.max(to, entry.lease.from);
  const nothingLeft = from === entry.lease.from;
  // A run that has nothing left to start ends at once, and gives back everything then.
  if (nothingLeft && entry.phase.p === "running") return;
  state.pending.back.push({ lease: id, from, to: entry.to });
  if (!nothingLeft) {
    entry.to = from;
    return;
  }
  out.push({ c: "count", metric: "leases_given_back", by: 1 }, { c: "release", lease: id });
  finish(state, entry);
}

function endRun(state: WorkerState, id: LeaseId, out: Out): void {
  const entry = state.leases.get(id);
  if (!entry) return;
  invariant(entry.phase.p === "running" || entry.phase.p === "void", `lease ${id} ended in phase ${entry.phase.p}`);
  out.push({ c: "release", lease: id });
  if (entry.phase.p === "void") {
    state.leases.delete(id);
    return;
  }
  for (const [from, to] of gaps(entry.done, entry.lease.from, entry.to)) state.pending.back.push({ lease: id, from, to });
  finish(state, entry);
}

function finish(state: WorkerState, entry: HeldEntry): void {
  entry.phase = { p: "finishing" };
  state.pending.done.push(entry.lease.lease);
}

// ------------------------------------------------------------------------------------------------ objects, drain

function noteObjects(state: WorkerState, event: EventOf<"objects">): void {
  const { pending } = state;
  for (const object of event.added) {
    state.objects.set(object.id, object);
    pending.removed.delete(object.id);
    pending.added.set(object.id, object);
  }
  for (const id of event.removed) {
    state.objects.delete(id);
    pending.added.delete(id);
    pending.removed.add(id);
  }
  if (event.removed.length > 0) retract(state, event.removed);
  if (event.token !== undefined) pending.tokens.push(event.token);
}

function drain(state: WorkerState, out: Out): void {
  if (state.draining) return;
  state.draining = true;
  for (const [id, entry] of [...state.leases]) {
    if (entry.phase.p === "running") out.push({ c: "limit", lease: id, to: entry.lease.from });
    else if (entry.phase.p === "preparing" || entry.phase.p === "ready") giveBackFrom(state, id, entry.lease.from, out);
  }
}

function leaveIfDrained(state: WorkerState, out: Out): void {
  if (!state.draining || state.leases.size > 0 || state.outbox.size > 0) return;
  const { commits, done, back, added, removed } = state.pending;
  const unsaid = commits.length + done.length + back.length + added.size + removed.size;
  // Without a scheduler there is nobody to tell.
  if (unsaid > 0 && state.epoch > 0) return;
  if (state.epoch > 0) out.push({ c: "send", answered: false, message: { t: "bye", worker: state.identity.worker, epoch: state.epoch as Epoch } });
  out.push({ c: "stopped" });
  state.link = { l: "left" };
}
