/**
 * The worker's state machine: one mutator, events in, commands out. See events.ts for the vocabulary and what the shell
 * owes.
 *
 * It reads no clock and touches nothing outside of `state`; the shell, tests and the simulator drive the same code.
 */

import { type Epoch, type ObjectId, splitObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import type { SchedulerCommand, SchedulerCommands, StoredObject } from "../../proto/messages/worker.js";
import { sameBytes } from "../../proto/same-bytes.js";
import type { WorkerCommand, WorkerEvent } from "./events.js";
import { announce, enterEpoch, heartbeat, register, welcome } from "./join.js";
import {
  cancel,
  endRun,
  giveBackFrom,
  hasRun,
  limited,
  markReady,
  markWait,
  refuseLease,
  revoke,
  takeLease,
  takeResults,
} from "./leases.js";
import { announcedPuts, flush, hold, resend, retract } from "./outbox.js";
import { assign, blocked, recalled, unblocked, vacated } from "./slots.js";
import { remember, type WorkerState } from "./state.js";

type Out = WorkerCommand[];
type EventOf<E extends WorkerEvent["e"]> = Extract<WorkerEvent, { e: E }>;

export function workerStep(state: WorkerState, event: WorkerEvent, nowMs: number): WorkerCommand[] {
  const out: Out = [];
  if (state.link.l === "left") return out;
  switch (event.e) {
    case "start":
      register(state, nowMs, out);
      break;
    case "commands":
      takeCommands(state, event.message, nowMs, out);
      break;
    case "ready":
      markReady(state, event.lease);
      break;
    case "waits":
      markWait(state, event);
      break;
    case "unready":
      refuseLease(state, event, out);
      break;
    case "results":
      takeResults(state, event, out);
      break;
    case "limited":
      limited(state, event.lease, event.to, out);
      break;
    case "recalled":
      recalled(state, event.lease);
      if (state.draining) giveBackFrom(state, event.lease, 0, out);
      break;
    case "blocked":
      blocked(state, event);
      break;
    case "unblocked":
      unblocked(state, event);
      break;
    case "vacated":
      vacated(state, event.lease);
      break;
    case "ended":
      endRun(state, event.lease, out);
      break;
    case "objects":
      markObjects(state, event);
      break;
    case "drain":
      drain(state, nowMs, out);
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
  start(state, nowMs, out);
  leaveIfDrained(state, nowMs, out);
  return out;
}

/** What the scheduler wants to know of is said before it begins: it may be the last thing this process says (I8). */
function start(state: WorkerState, nowMs: number, out: Out): void {
  const started: Out = [];
  assign(state, started);
  if (state.link.l === "joined" && started.some((command) => command.c === "run" && command.lease.heartbeatAtStart))
    heartbeat(state, nowMs, out);
  out.push(...started);
}

function tick(state: WorkerState, event: EventOf<"tick">, nowMs: number, out: Out): void {
  state.storeBytes = event.storeBytes;
  state.spilledBytes = event.spilledBytes;
  if (state.link.l === "joining" && nowMs >= state.link.registerAtMs) register(state, nowMs, out);
  else if (state.link.l === "joined" && nowMs >= state.link.heartbeatAtMs) heartbeat(state, nowMs, out);
  if (state.link.l === "joined" && !state.draining && nowMs >= state.announce.atMs) announce(state, nowMs);
  flush(state, nowMs, out);
  resend(state, nowMs, limits.commitResendMs, out);
}

function reconnect(state: WorkerState, nowMs: number, out: Out): void {
  if (state.link.l === "joining") register(state, nowMs, out);
  else heartbeat(state, nowMs, out);
  resend(state, nowMs, 0, out);
}

// ------------------------------------------------------------------------------------------------ commands

function takeCommands(state: WorkerState, message: SchedulerCommands, nowMs: number, out: Out): void {
  const { instance } = state.identity;
  if (
    message.epoch < state.epoch ||
    (message.instance !== undefined && instance !== undefined && message.instance !== instance)
  ) {
    out.push({ c: "count", metric: "commands_stale_refused", by: message.commands.length });
    return;
  }
  if (message.epoch > state.epoch) enterEpoch(state, message, nowMs, out);
  for (const command of message.commands) takeCommand(state, command, nowMs, out);
}

function takeCommand(state: WorkerState, command: SchedulerCommand, nowMs: number, out: Out): void {
  switch (command.o) {
    case "welcome":
      welcome(state, command, nowMs, out);
      return;
    case "refused":
      state.link = { l: "joining", registerAtMs: nowMs + state.heartbeatIntervalMs };
      out.push({ c: "refused", error: command.error });
      return;
    case "unknown":
      // While joining a registration is under way, and is sent again until it is answered.
      if (state.link.l === "joined") register(state, nowMs, out);
      return;
    case "lease":
      takeLease(state, command.lease, out);
      return;
    case "revoke":
      revoke(state, command.lease, command.keepTo, out);
      return;
    case "cancel":
      cancel(state, command.lease, out);
      return;
    case "ack":
      acknowledge(state, command.seq, out);
      return;
    case "free":
      free(state, command.ids, command.digests, out);
      return;
    case "drain":
      drain(state, nowMs, out);
      return;
    case "keep":
      keep(state, command.ids, out);
      return;
    case "fetch":
      fetch(state, command.objects, out);
      return;
    case "leave":
      if (state.draining) state.leave = { free: command.needed === 0, untilMs: nowMs + limits.drainGraceMs };
      return;
  }
}

/**
 * What a held lease has made is kept: the order was given before its commit was known (for what an earlier epoch had
 * made under the same id). If it was meant, the object is found unknown at the next telling. A put that is being
 * confirmed is kept: its client gave it back and puts it again, and the order is of what was before. Should it not be,
 * the scheduler hears of it now, finds it without an owner, and has it freed.
 */
function free(
  state: WorkerState,
  ids: readonly ObjectId[],
  digests: readonly Uint8Array[] | undefined,
  out: Out,
): void {
  const made = [...state.leases.values()].filter((entry) => entry.done.length > 0 && entry.phase.p !== "void");
  const isMade = (id: ObjectId): boolean => {
    const { base, index } = splitObjectId(id);
    return made.some(
      (entry) => entry.lease.base === base && entry.done.some(([from, to]) => from <= index && index < to),
    );
  };
  const isMeant = (id: ObjectId, i: number): boolean => {
    if (!digests) return true;
    const held = state.objects.get(id);
    const digest = digests[i];
    return held !== undefined && digest !== undefined && sameBytes(held.digest, digest);
  };
  const offered = announcedPuts(state);
  const freed = ids.filter((id, i) => isMeant(id, i) && !offered.has(id) && (made.length === 0 || !isMade(id)));
  if (freed.length === 0) return;
  out.push({
    c: "free",
    ids: freed,
    ...(digests ? { digests: freed.map((id) => state.objects.get(id)?.digest) } : {}),
  });
  for (const id of freed) {
    state.objects.delete(id);
    state.pending.added.delete(id);
  }
  retract(state, freed);
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

// ------------------------------------------------------------------------------------------------ objects, drain

function markObjects(state: WorkerState, event: EventOf<"objects">): void {
  const { pending } = state;
  for (const object of event.added) {
    hold(state, object);
    const held = state.objects.get(object.id) as StoredObject;
    pending.added.set(object.id, held);
  }
  for (const id of event.removed) {
    state.objects.delete(id);
    pending.added.delete(id);
    pending.removed.add(id);
  }
  if (event.removed.length > 0) retract(state, event.removed);
  if (event.token !== undefined) pending.tokens.push(event.token);
}

/** Nobody else holds these any more. */
function keep(state: WorkerState, ids: readonly ObjectId[], out: Out): void {
  const kept: ObjectId[] = [];
  for (const id of ids) {
    const held = state.objects.get(id);
    if (!held) {
      state.pending.removed.add(id);
      continue;
    }
    kept.push(id);
    const { copy: _, ...own } = held;
    state.objects.set(id, own);
    state.pending.added.set(id, own);
  }
  if (kept.length > 0) out.push({ c: "keep", ids: kept });
}

/** Of a worker that leaves. One that leaves itself is no place for them. */
function fetch(state: WorkerState, objects: readonly ObjectLocation[], out: Out): void {
  if (!state.draining) out.push({ c: "fetch", objects });
  else for (const { id } of objects) if (!state.objects.has(id)) state.pending.removed.add(id);
}

function drain(state: WorkerState, nowMs: number, out: Out): void {
  if (state.draining) return;
  state.draining = true;
  // Said at once: others must fetch what only this worker holds.
  if (state.link.l === "joined") heartbeat(state, nowMs, out);
  for (const [id, entry] of [...state.leases]) {
    if (hasRun(entry)) out.push({ c: "limit", lease: id, to: entry.lease.from });
    else if (entry.phase.p === "preparing" || entry.phase.p === "ready") giveBackFrom(state, id, entry.lease.from, out);
  }
}

/** K2 of scheduler/core/copies.ts: what only this worker holds is fetched by others first. */
function leaveIfDrained(state: WorkerState, nowMs: number, out: Out): void {
  if (!state.draining || state.leases.size > 0 || state.outbox.size > 0) return;
  const { commits, done, back, added, removed } = state.pending;
  const unsaid = commits.length + done.length + back.length + added.size + removed.size;
  // Without a scheduler there is nobody to tell.
  if (unsaid > 0 && state.epoch > 0) return;
  const { worker, instance } = state.identity;
  if (state.epoch > 0 && state.objects.size > 0) {
    state.leave ??= { free: false, untilMs: nowMs + limits.drainGraceMs };
    const { free, untilMs } = state.leave;
    if (!free && nowMs < untilMs) return;
    if (!free)
      out.push({
        c: "log",
        level: "warn",
        text: "left although objects may be needed: no word from the scheduler",
        fields: { objects: state.objects.size },
      });
  }
  if (state.epoch > 0)
    out.push({
      c: "send",
      answered: false,
      message: { t: "deregister", worker, instance, epoch: state.epoch as Epoch },
    });
  out.push({ c: "stopped" });
  state.link = { l: "left" };
}
