/** Joining a scheduler, beating, and following the next one (M4, M6). */

import type { Epoch } from "../../proto/ids.js";
import type { HeldLease, SchedulerCommand, SchedulerCommands } from "../../proto/messages/worker.js";
import type { WorkerCommand } from "./events.js";
import { dropLease } from "./leases.js";
import { firstOpenSeq, resend, voidOutbox } from "./outbox.js";
import { nextTask, slotsBusy, type WorkerState } from "./state.js";

/**
 * Views are reconciled: every so often a page of the held objects is told again, and the scheduler answers with `free`
 * for those that nobody knows (the first `free` was lost, or their commit was refused as stale).
 */
const announceEveryMs = 5_000;
const objectsPerAnnounce = 500;
/** Objects named in one registration; more of them make more registrations. */
const objectsPerRegister = 4_000;

type Out = WorkerCommand[];

function heldLeases(state: WorkerState): HeldLease[] {
  const held: HeldLease[] = [];
  for (const [lease, entry] of state.leases) {
    if (entry.phase.p === "void") continue;
    const { p } = entry.phase;
    const running = p === "running";
    const waits = entry.phase.p === "preparing" ? { waits: entry.phase.waits } : {};
    held.push({
      lease,
      next: entry.phase.p === "finishing" ? entry.to : Math.min(nextTask(entry), entry.to),
      to: entry.to,
      running,
      ...(p === "staged" || running ? { startable: true as const } : {}),
      ...(p === "storing" ? { ran: true as const } : {}),
      ...waits,
    });
  }
  return held;
}

export function register(state: WorkerState, nowMs: number, out: Out): void {
  const objects = [...state.objects.values()];
  const leases = heldLeases(state);
  let at = 0;
  do {
    const page = objects.slice(at, at + objectsPerRegister);
    at += objectsPerRegister;
    const more = at < objects.length;
    out.push({
      c: "send",
      answered: true,
      message: {
        t: "register",
        ...state.identity,
        ...(state.followed ? { followed: state.followed } : {}),
        leases: more ? [] : leases,
        objects: page,
        reportsFrom: firstOpenSeq(state),
        reportsTo: state.nextSeq,
      },
    });
  } while (at < objects.length);
  state.link = { l: "joining", registerAtMs: nowMs + state.heartbeatIntervalMs };
}

export function heartbeat(state: WorkerState, nowMs: number, out: Out): void {
  out.push({
    c: "send",
    answered: true,
    message: {
      t: "heartbeat",
      worker: state.identity.worker,
      instance: state.identity.instance,
      epoch: state.epoch as Epoch,
      leases: heldLeases(state),
      slotsBusy: slotsBusy(state),
      storeBytes: state.storeBytes,
      spilledBytes: state.spilledBytes,
      draining: state.draining,
      reportsFrom: firstOpenSeq(state),
    },
  });
  state.link = { l: "joined", heartbeatAtMs: nowMs + state.heartbeatIntervalMs };
}

export function announce(state: WorkerState, nowMs: number): void {
  const first = state.announce.emitted < state.objects.size ? state.announce.emitted : 0;
  let at = 0;
  for (const [id, object] of state.objects) {
    if (at >= first && !state.pending.removed.has(id)) state.pending.added.set(id, object);
    if (++at >= first + objectsPerAnnounce) break;
  }
  state.announce = { atMs: nowMs + announceEveryMs, emitted: at };
}

/**
 * A new scheduler speaks: the leases and commits of the old one are void, and it must learn what this worker holds.
 * Objects stay: what the old one had not acknowledged is told to the new one.
 */
export function enterEpoch(state: WorkerState, message: SchedulerCommands, nowMs: number, out: Out): void {
  const wasJoined = state.link.l === "joined";
  state.epoch = message.epoch;
  for (const id of [...state.leases.keys()]) dropLease(state, id, out);
  state.over.clear();
  const voided = voidOutbox(state);
  if (voided > 0) out.push({ c: "count", metric: "commits_voided", by: voided });
  if (wasJoined)
    out.push({ c: "log", level: "info", text: "a new scheduler speaks", fields: { epoch: message.epoch } });
  // While joining, only the answer to a registration carries one of these; anything else is from a scheduler that has
  // not heard of this worker yet.
  const answersRegister = message.commands.some(
    (command) => command.o === "welcome" || command.o === "unknown" || command.o === "refused",
  );
  if (wasJoined || !answersRegister) register(state, nowMs, out);
}

export function welcome(
  state: WorkerState,
  command: Extract<SchedulerCommand, { o: "welcome" }>,
  nowMs: number,
  out: Out,
): void {
  const wasJoining = state.link.l === "joining";
  if (command.start !== undefined) state.followed = { epoch: state.epoch as Epoch, start: command.start };
  state.heartbeatIntervalMs = command.heartbeatIntervalMs;
  state.link = { l: "joined", heartbeatAtMs: nowMs + command.heartbeatIntervalMs };
  if (!wasJoining) return;
  out.push({ c: "joined", epoch: state.epoch, heartbeatIntervalMs: command.heartbeatIntervalMs });
  resend(state, nowMs, 0, out);
}
