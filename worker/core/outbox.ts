/** What the worker has to tell: buffered within a turn, cut into messages, numbered, kept until acknowledged (M2). */

import type { Epoch, ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { StoredObject } from "../../proto/messages/worker.js";
import { sameBytes } from "../../proto/same-bytes.js";
import type { WorkerCommand } from "./events.js";
import type { OutboxEntry, WorkerState } from "./state.js";

const objectsPerMessage = 4_000;
const endsPerMessage = 4_000;

/**
 * Sends what is buffered. While joining it stays buffered: a scheduler that does not know this worker could not place
 * it.
 */
export function flush(state: WorkerState, nowMs: number, out: WorkerCommand[]): void {
  if (state.link.l !== "joined") return;
  flushObjects(state, nowMs, out);
  flushCommits(state, nowMs, out);
}

/**
 * Commits first, their leases' ends after them: `done` and `back` go in the last message, so an end never overtakes a
 * result.
 */
function flushCommits(state: WorkerState, nowMs: number, out: WorkerCommand[]): void {
  const { pending } = state;
  let at = 0;
  const ran = pending.ran.filter((id) => state.leases.get(id)?.phase.p === "storing");
  pending.ran = [];
  while (at < pending.commits.length || pending.done.length > 0 || pending.back.length > 0 || ran.length > 0) {
    const first = at;
    let bytes = 0;
    while (at < pending.commits.length) {
      const next = pending.commits[at]?.bytes ?? 0;
      if (at > first && bytes + next > limits.messageBytesMax) break;
      bytes += next;
      at++;
    }
    const last = at >= pending.commits.length;
    const commits = pending.commits.slice(first, at).map((entry) => entry.commit);
    const message = {
      t: "commits" as const,
      worker: state.identity.worker,
      instance: state.identity.instance,
      epoch: state.epoch as Epoch,
      seq: state.nextSeq++,
      commits,
      back: last ? pending.back.splice(0, endsPerMessage) : [],
      done: last ? pending.done.splice(0, endsPerMessage) : [],
      ...(last && ran.length > 0 ? { ran: ran.splice(0, endsPerMessage) } : {}),
    };
    post(state, { message, tokens: [], sentAtMs: nowMs }, out);
    if (commits.length > 0) out.push({ c: "count", metric: "commits_sent", by: commits.length });
  }
  if (pending.commits.length > 0) pending.commits = [];
}

function flushObjects(state: WorkerState, nowMs: number, out: WorkerCommand[]): void {
  const { pending } = state;
  while (pending.added.size + pending.removed.size > 0 || pending.tokens.length > 0) {
    const added = [...pending.added.values()].slice(0, objectsPerMessage);
    for (const object of added) pending.added.delete(object.id);
    const removed = [...pending.removed].slice(0, objectsPerMessage);
    for (const id of removed) pending.removed.delete(id);
    const tokens = pending.added.size === 0 ? pending.tokens.splice(0) : [];
    const { worker, instance } = state.identity;
    const message = {
      t: "objects" as const,
      worker,
      instance,
      epoch: state.epoch as Epoch,
      seq: state.nextSeq++,
      added,
      removed,
    };
    post(state, { message, tokens, sentAtMs: nowMs }, out);
  }
}

/** What is gone must not be told again as held by an older message that is sent once more. */
export function retract(state: WorkerState, removed: readonly ObjectId[]): void {
  const gone = new Set(removed);
  for (const entry of state.outbox.values()) {
    if (entry.message.t === "objects" && entry.message.added.some((object) => gone.has(object.id))) {
      entry.message = { ...entry.message, added: entry.message.added.filter((object) => !gone.has(object.id)) };
    }
  }
}

/** Puts that the scheduler has not acknowledged yet. */
export function announcedPuts(state: WorkerState): ReadonlySet<ObjectId> {
  const ids = new Set<ObjectId>();
  if (state.pending.tokens.length > 0) for (const id of state.pending.added.keys()) ids.add(id);
  for (const { message, tokens } of state.outbox.values()) {
    if (tokens.length > 0 && message.t === "objects") for (const { id } of message.added) ids.add(id);
  }
  return ids;
}

/**
 * The object is held now. What is still to be said of another content of the same id is not true any more, nor that it
 * is gone.
 */
export function hold(state: WorkerState, object: StoredObject): void {
  const before = state.objects.get(object.id);
  const isSame = before !== undefined && sameBytes(before.digest, object.digest);
  state.objects.set(object.id, isSame ? merged(before, object) : object);
  if (state.leave) state.leave.free = false;
  state.pending.removed.delete(object.id);
  for (const entry of state.outbox.values()) {
    if (entry.message.t !== "objects" || !entry.message.removed.includes(object.id)) continue;
    entry.message = { ...entry.message, removed: entry.message.removed.filter((id) => id !== object.id) };
  }
  if (!before || isSame) return;
  state.pending.added.delete(object.id);
  retract(state, [object.id]);
}

/** The lowest number of a report that is not acknowledged; the next one's if all are. */
export function firstOpenSeq(state: WorkerState): number {
  for (const seq of state.outbox.keys()) return seq;
  return state.nextSeq;
}

/** What is the worker's own does not become a copy by being fetched again. */
function merged(before: StoredObject, object: StoredObject): StoredObject {
  return object.copy && !before.copy ? before : object;
}

function post(state: WorkerState, entry: OutboxEntry, out: WorkerCommand[]): void {
  state.outbox.set(entry.message.seq, entry);
  out.push({ c: "send", answered: false, message: entry.message });
}

/** Sends again, in order, what has gone unacknowledged for `ageMs`. */
export function resend(state: WorkerState, nowMs: number, ageMs: number, out: WorkerCommand[]): void {
  if (state.link.l !== "joined") return;
  for (const entry of state.outbox.values()) {
    if (nowMs - entry.sentAtMs < ageMs || (ageMs > 0 && entry.sentAtMs === nowMs)) continue;
    entry.sentAtMs = nowMs;
    out.push({ c: "send", answered: false, message: entry.message });
    if (entry.message.t === "commits") out.push({ c: "count", metric: "commits_resent", by: 1 });
  }
}

/** A new epoch: commits and ends are void, objects are to be told again. Returns how many commits were lost. */
export function voidOutbox(state: WorkerState): number {
  const { pending } = state;
  let voided = pending.commits.length;
  for (const { message, tokens } of state.outbox.values()) {
    if (message.t === "commits") {
      voided += message.commits.length;
      continue;
    }
    pending.tokens.push(...tokens);
    for (const object of message.added) if (state.objects.has(object.id)) pending.added.set(object.id, object);
    for (const id of message.removed) if (!state.objects.has(id)) pending.removed.add(id);
  }
  state.outbox.clear();
  pending.commits = [];
  pending.done = [];
  pending.ran = [];
  pending.back = [];
  return voided;
}
