/**
 * Where the only copies are. What a worker has fetched for a lease is a copy: it may drop it when it needs the room.
 * Everything else it keeps.
 *
 * K1 An object that is needed and not in the durable store has a keeper as long as any worker that stays holds it: when
 *    the last keeper goes, a copy becomes kept. What clients put, and so what everybody reads, has two keepers as soon
 *    as another worker has fetched it anyway.
 * K2 A worker that leaves deregisters only after the scheduler has said that nothing is needed of it any more: what it
 *    alone holds is fetched by others first. What nobody can take (there is no other worker, none is large enough, or
 *    all fail) stays while somebody who is silent may come back, or has not registered to a new scheduler yet; at most
 *    for limits.silentWorkerPatienceMs. Then it is said in the log, with its size. What it holds of sessions that have
 *    not come back to a new scheduler yet stays as long: nobody can say yet that it is not needed.
 * K3 Nothing here is remembered across a restart of the scheduler: workers tell what they hold, and that they leave.
 */
import { jobOfBase, type ObjectId, splitObjectId, type WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ObjectLocation } from "../../proto/messages/results.js";
import { createDrain, type Drain } from "./drain-record.js";
import { locate } from "./locate.js";
import { storeBytes } from "./segments.js";
import { drainOf, isDraining, setStanding } from "./standing.js";
import type { Context, State, WorkerRecord } from "./state.js";
import { sendCommand } from "./worker-commands.js";

/** From this version on workers understand `keep`, `fetch` and `leave`. */
const versionFrom = 2;
const keepersOfPuts = 2;
/** On their way from one worker that leaves, at most. */
const movesMax = 128;
const moveBytesMax = 256 * 1024 * 1024;
/** A move that takes longer than this, and a second for each 4 MiB, is tried elsewhere. */
const moveTimeoutMs = 5_000;
const bytesPerSecondMin = 4 * 1024 * 1024;
const triesMax = 3;
/** Workers register to a new scheduler within a few heartbeats, unless they are stopped just then. */
const registeredMs = 15_000;
/** A session that is there again has told what it was shown by then. */
const resumeMs = 10_000;

// ------------------------------------------------------------------------------------------------ keepers

/** A worker holds an object. `copy`: it may drop it. */
export function markHolder(ctx: Context, worker: WorkerRecord, id: ObjectId, copy: boolean, joining: boolean): void {
  const { state } = ctx;
  const isNew = !worker.objects.has(id);
  addHolder(state, id, worker.id);
  if (!copy) {
    worker.copies.delete(id);
    markKept(state, id, worker);
    return;
  }
  // It has not heard yet, or not any more, that it is to keep it.
  if (!isNew && !worker.copies.has(id)) keep(ctx, worker, id);
  else {
    worker.copies.add(id);
    // While workers join, the keeper may be the next to say so.
    if (!joining) keepEnough(ctx, id);
  }
}

export function addHolder(state: State, id: ObjectId, worker: WorkerId): void {
  const record = state.workers.get(worker);
  if (!record) return;
  record.objects.add(id);
  const drain = drainOf(record);
  if (drain) {
    drain.todo.add(id);
    drain.free = false;
  }
  const holders = state.holders.get(id);
  if (holders) holders.add(worker);
  else state.holders.set(id, new Set([worker]));
}

/** K1, after a copy came or a holder went. */
export function keepEnough(ctx: Context, id: ObjectId): void {
  const { state } = ctx;
  const put = state.puts.get(id);
  const wanted = put && !put.durable ? keepersOfPuts : 1;
  let keepers = 0;
  const copies: WorkerRecord[] = [];
  for (const holder of state.holders.get(id) ?? []) {
    const worker = state.workers.get(holder);
    if (!worker || isDraining(worker)) continue;
    if (worker.copies.has(id)) copies.push(worker);
    else keepers++;
  }
  if (keepers >= wanted || copies.length === 0 || isDurable(state, id)) return;
  for (const worker of copies.slice(0, wanted - keepers)) keep(ctx, worker, id);
}

function keep(ctx: Context, worker: WorkerRecord, id: ObjectId): void {
  if (worker.version < versionFrom) return;
  worker.copies.delete(id);
  sendCommand(ctx, worker, { o: "keep", ids: [id] });
  markKept(ctx.state, id, worker);
}

const isDurable = (state: State, id: ObjectId): boolean => locate(state, id).durable === true;

// ------------------------------------------------------------------------------------------------ moves

/** The worker leaves (K2). */
export function startDrain(ctx: Context, worker: WorkerRecord): void {
  if (isDraining(worker)) return;
  setStanding(worker, { w: "draining", drain: createDrain(worker.objects, ctx.state.listenedMs) });
  ctx.state.drains.add(worker);
  ctx.state.stories.addWorker("leaves, and takes no new leases", worker.id);
  // It keeps nothing from now on, so copies elsewhere may have to be kept.
  for (const id of worker.objects) if (!worker.copies.has(id)) keepEnough(ctx, id);
}

function* drainsOf(state: State): IterableIterator<Drain> {
  for (const worker of state.drains) {
    const drain = drainOf(worker);
    if (drain) yield drain;
  }
}

function endMove(drain: Drain, id: ObjectId): void {
  const move = drain.moving.get(id);
  if (!move) return;
  drain.moving.delete(id);
  drain.movingBytes -= move.bytes;
}

function markKept(state: State, id: ObjectId, by: WorkerRecord): void {
  if (!isDraining(by)) for (const drain of drainsOf(state)) endMove(drain, id);
}

/** The worker does not have the object: if it was to fetch it, that has failed. */
export function markMissing(state: State, id: ObjectId, worker: WorkerRecord): void {
  for (const drain of drainsOf(state)) if (drain.moving.get(id)?.to === worker.id) failMove(drain, id);
}

function failMove(drain: Drain, id: ObjectId): void {
  endMove(drain, id);
  drain.failed.set(id, (drain.failed.get(id) ?? 0) + 1);
  drain.todo.add(id);
}

/** A worker is gone: what it left behind, and what was on its way to it. */
export function forgetDrains(state: State, gone: WorkerRecord): void {
  state.drains.delete(gone);
  for (const drain of drainsOf(state)) {
    for (const [id, move] of drain.moving) if (move.to === gone.id) failMove(drain, id);
    drain.free = false;
  }
}

/** A worker has come: it may take what nobody could, also of one that has been told it may go and is still there. */
export function retryDrains(state: State, come: WorkerRecord): void {
  for (const worker of state.drains) {
    const drain = drainOf(worker);
    if (!drain || worker.id === come.id) continue;
    drain.failed.clear();
    drain.free = false;
    drain.waitsFor = undefined;
    for (const id of worker.objects) drain.todo.add(id);
  }
}

/** Until when, in listening time, somebody may come who takes what is left of this one. */
function patienceEndsMs(state: State, { sinceMs }: Drain): number {
  let endMs = state.epoch > 1 ? registeredMs : 0;
  for (const { worker, at } of state.silences)
    if (!state.workers.has(worker)) endMs = Math.max(endMs, at + limits.silentWorkerPatienceMs);
  return Math.min(endMs, sinceMs + limits.silentWorkerPatienceMs);
}

/**
 * Gives out moves, and the word that a worker may go. Called after every step while a worker leaves; does little if
 * nothing has changed.
 */
export function advanceDrains(ctx: Context): void {
  for (const worker of ctx.state.drains) {
    const drain = drainOf(worker);
    if (drain && worker.version >= versionFrom) advance(ctx, worker, drain);
  }
}

function advance(ctx: Context, worker: WorkerRecord, drain: Drain): void {
  const { state } = ctx;
  for (const [id, move] of drain.moving) if (state.nowMs > move.untilMs) failMove(drain, id);
  if (!giveMoves(ctx, worker, drain)) return;
  if (drain.free || drain.moving.size > 0 || worker.leases.size > 0) return;
  if (mayBeAskedFor(state, worker)) return;
  const isPatient = state.listenedMs < patienceEndsMs(state, drain);
  if (isPatient && drain.waitsFor !== undefined && isNeeded(state, worker, drain.waitsFor)) return;
  // Keepers may have gone since they were looked at.
  const left = [...worker.objects].filter((id) => isNeeded(state, worker, id)).map((id) => locate(state, id));
  const hopeless = left.filter(
    (location) => (drain.failed.get(location.id) ?? 0) >= triesMax || !pickTarget(state, location, 0),
  );
  if (hopeless.length < left.length) {
    for (const { id } of left) drain.todo.add(id);
    return;
  }
  drain.waitsFor = isPatient ? hopeless[0]?.id : undefined;
  if (drain.waitsFor !== undefined) return;
  if (hopeless.length > 0) {
    const bytes = hopeless.reduce((sum, location) => sum + (location.bytes ?? 0), 0);
    const fields = { worker: worker.id, objects: hopeless.length, bytes, example: hopeless[0]?.id ?? "" };
    ctx.out.push({
      c: "log",
      level: "warn",
      text: "a worker leaves with objects that no other can take: those that cannot be made again are lost",
      fields,
    });
  }
  drain.free = true;
  sendCommand(ctx, worker, { o: "leave", needed: 0 });
}

/** False: there is more to look at when some of the moves are over. */
function giveMoves(ctx: Context, worker: WorkerRecord, drain: Drain): boolean {
  const { state } = ctx;
  for (const id of drain.todo) {
    if (drain.moving.size >= movesMax || drain.movingBytes >= moveBytesMax) return false;
    drain.todo.delete(id);
    if (drain.moving.has(id) || !isNeeded(state, worker, id)) continue;
    const location = locate(state, id);
    const failed = drain.failed.get(id) ?? 0;
    const target = failed < triesMax ? pickTarget(state, location, failed) : undefined;
    if (!target) continue;
    const bytes = location.bytes ?? 0;
    const untilMs = state.nowMs + moveTimeoutMs + (bytes / bytesPerSecondMin) * 1_000;
    drain.moving.set(id, { to: target.id, bytes, untilMs });
    drain.movingBytes += bytes;
    sendCommand(ctx, target, { o: "fetch", objects: [location] });
  }
  return true;
}

/** The worker has it, and nobody who stays. */
function isNeeded(state: State, worker: WorkerRecord, id: ObjectId): boolean {
  if (!worker.objects.has(id)) return false;
  const { state: standing, durable, inline } = locate(state, id);
  return standing === "ready" && !durable && !inline && !hasKeeper(state, id);
}

/**
 * Soon after a start: it holds what a session may still say that it was shown (resume.ts). One that has not come back
 * may take long, for its process may be busy; one that has says so within moments.
 */
function mayBeAskedFor(state: State, worker: WorkerRecord): boolean {
  if (state.listenedMs > limits.silentWorkerPatienceMs) return false;
  for (const [id, holders] of state.strangers) {
    // What is known to be with it is looked at as everything it holds.
    if (worker.objects.has(id) || !holders.some((one) => one.worker === worker.id)) continue;
    const owner = jobOfBase(splitObjectId(id).base);
    const session = owner === undefined ? undefined : state.jobs.get(owner);
    if (session ? state.nowMs - session.submittedAtMs < resumeMs : owner !== undefined || state.listenedMs < resumeMs)
      return true;
  }
  return false;
}

/** A heartbeat of a worker that leaves is answered with how much is still needed of it. */
export function emitDrain(ctx: Context, worker: WorkerRecord): void {
  const drain = drainOf(worker);
  if (!drain || worker.version < versionFrom) return;
  sendCommand(ctx, worker, { o: "leave", needed: drain.free ? 0 : Math.max(1, drain.todo.size + drain.moving.size) });
}

function hasKeeper(state: State, id: ObjectId): boolean {
  for (const holder of state.holders.get(id) ?? []) {
    const worker = state.workers.get(holder);
    if (worker && !isDraining(worker) && !worker.copies.has(id)) return true;
  }
  return false;
}

/** The worker that stays and has the most room; after a failure the next one. */
function pickTarget(state: State, location: ObjectLocation, skip: number): WorkerRecord | undefined {
  const needed = storeBytes(location.bytes ?? 0);
  const able = [...state.workers.values()].filter(
    (worker) => !isDraining(worker) && worker.version >= versionFrom && worker.storeBudgetBytes >= needed,
  );
  able.sort((a, b) => b.storeBudgetBytes - b.storeBytes - (a.storeBudgetBytes - a.storeBytes));
  return able[skip % Math.max(1, able.length)];
}
