/** What workers say apart from commits: hello, beats, objects, bye; and what follows when one is no longer heard. */
import type { objectIdOf, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { HeldLease, StoredObject, WorkerRequestOf } from "../../proto/messages.js";
import { isCompatible, PROTOCOL_VERSION } from "../../proto/version.js";
import { closeLease, firstTime, order } from "./commits.js";
import { sendLease } from "./dispatch.js";
import { noteJoin } from "./engines.js";
import type { ReplyToken } from "./events.js";
import { heard, silenceMs } from "./liveness.js";
import { standingOf } from "./locate.js";
import { addHolder, failTasks, loseObject } from "./progress.js";
import { RangeSet } from "./ranges.js";
import { findClaim, isStranger } from "./resume.js";
import { type Context, type LeaseRecord, troubleOf, type WorkerRecord } from "./state.js";
import { repeatRevoke } from "./steal.js";

/** A lease that a beat does not list is sent again after this long; before, the two may have crossed. */
const leaseResendMs = 1_500;

// ------------------------------------------------------------------------------------------------ joining and beating

export function onHello(ctx: Context, hello: WorkerRequestOf<"hello">, reply: ReplyToken | undefined): void {
  const { state } = ctx;
  if (!isCompatible(hello.version)) {
    const message = `worker ${hello.worker} speaks protocol ${hello.version}, this scheduler ${PROTOCOL_VERSION}; neighbours serve together, these do not`;
    order(ctx, hello.worker, { o: "refused", error: { code: "VERSION_MISMATCH", message } }, { reply });
    return;
  }
  let worker = state.workers.get(hello.worker);
  if (!worker) {
    worker = {
      id: hello.worker,
      node: hello.node,
      pid: hello.pid,
      volley: hello.volley,
      engine: hello.engine,
      slots: hello.slots,
      storeBudgetBytes: hello.storeBudgetBytes,
      leases: new Map(),
      objects: new Set(),
      seen: new RangeSet(),
      draining: false,
      slotsBusy: 0,
      storeBytes: 0,
      spilledBytes: 0,
      tasksDone: 0,
      heardMs: state.nowMs,
      heardAt: state.listenedMs,
    };
    state.workers.set(worker.id, worker);
    state.slots += worker.slots;
    ctx.out.push({ c: "log", level: "info", text: "worker joined", fields: { worker: worker.id, node: worker.node, slots: worker.slots } });
    noteJoin(ctx, worker);
  }
  heard(state, worker);
  for (const object of hello.objects) addObject(ctx, worker, object);
  order(ctx, worker.id, { o: "welcome", heartbeatIntervalMs: limits.heartbeatIntervalMs, heartbeatTimeoutMs: limits.heartbeatTimeoutMs }, { reply });
  reconcileLeases(ctx, worker, hello.leases, reply);
}

export function onBeat(ctx: Context, beat: WorkerRequestOf<"beat">, reply: ReplyToken | undefined): void {
  const { state } = ctx;
  const worker = state.workers.get(beat.worker);
  if (!worker || beat.epoch !== state.epoch) {
    order(ctx, beat.worker, { o: "unknown" }, { reply });
    return;
  }
  heard(state, worker);
  worker.slotsBusy = beat.slotsBusy;
  worker.storeBytes = beat.storeBytes;
  worker.spilledBytes = beat.spilledBytes;
  if (beat.draining) worker.draining = true;
  reconcileLeases(ctx, worker, beat.leases, reply);
  // A beat is always answered, so that the worker knows that it is known.
  if (reply !== undefined)
    order(ctx, worker.id, { o: "welcome", heartbeatIntervalMs: limits.heartbeatIntervalMs, heartbeatTimeoutMs: limits.heartbeatTimeoutMs }, { reply });
}

/** M4: sends again what the worker should hold and does not, stops what it holds and should not. */
function reconcileLeases(ctx: Context, worker: WorkerRecord, held: readonly HeldLease[], reply: ReplyToken | undefined): void {
  const { state } = ctx;
  const listed = new Set<string>();
  for (const item of held) {
    listed.add(item.lease);
    const lease = worker.leases.get(item.lease);
    if (!lease) {
      if (item.next < item.to) order(ctx, worker.id, { o: "cancel", lease: item.lease }, { reply });
      continue;
    }
    lease.next = Math.max(lease.next, item.next);
    lease.running = item.running;
    repeatRevoke(ctx, lease);
  }
  for (const lease of [...worker.leases.values()]) {
    if (listed.has(lease.id) || state.nowMs - lease.sentAtMs < leaseResendMs) continue;
    ctx.out.push({ c: "count", metric: "leases_resent", by: 1, tenant: lease.stage.job.tenant });
    sendLease(ctx, lease);
  }
}

// ------------------------------------------------------------------------------------------------ objects

export function addObject(ctx: Context, worker: WorkerRecord, object: StoredObject): void {
  const { state } = ctx;
  const standing = standingOf(state, object);
  if (standing === "other") {
    // Of an execution that was not the one committed, or of an earlier job of the same id.
    order(ctx, worker.id, { o: "free", ids: [object.id], digests: [object.digest] });
    dropHolder(ctx, worker, object.id);
    return;
  }
  // Its commit may be under way. Should another be first, these bytes are not the object's.
  if (standing === "uncommitted") {
    findClaim(ctx, worker, object);
    return;
  }
  if (standing === "unknown") {
    // A put, or what is left of a stage that nobody knows any more: only bytes that name themselves are of use.
    if (!object.id.startsWith("c")) {
      if (!isStranger(ctx, worker, object)) order(ctx, worker.id, { o: "free", ids: [object.id] });
      return;
    }
    state.puts.set(object.id, { facts: { id: object.id, kind: object.kind, bytes: object.bytes, digest: object.digest }, durable: false, owners: new Set() });
  }
  const session = object.owner === undefined ? undefined : state.sessions.get(object.owner);
  const put = state.puts.get(object.id);
  if (session) put?.owners.add(session.id);
  else if (put && object.owner !== undefined) put.claimedBy = object.owner;
  addHolder(state, object.id, worker.id);
}

export function onObjects(ctx: Context, message: WorkerRequestOf<"objects">): void {
  const { state } = ctx;
  const worker = state.workers.get(message.worker);
  if (!worker || message.epoch !== state.epoch) {
    order(ctx, message.worker, { o: "unknown" });
    return;
  }
  heard(state, worker);
  if (firstTime(worker, message.seq)) {
    for (const object of message.added) addObject(ctx, worker, object);
    for (const id of message.removed) dropHolder(ctx, worker, id);
  }
  order(ctx, worker.id, { o: "ack", seq: message.seq }, { gated: true });
}

function dropHolder(ctx: Context, worker: WorkerRecord, id: ReturnType<typeof objectIdOf>): void {
  worker.objects.delete(id);
  const holders = ctx.state.holders.get(id);
  if (!holders?.delete(worker.id) || holders.size > 0) return;
  ctx.state.holders.delete(id);
  loseObject(ctx, id);
}

// ------------------------------------------------------------------------------------------------ leaving

export function onBye(ctx: Context, worker: WorkerId): void {
  const record = ctx.state.workers.get(worker);
  if (record) removeWorker(ctx, record, false);
}

/** The worker is gone: its leases return, its objects are lost where it held the last copy. `died`: without a goodbye, so what it executed is blamed (I8). */
export function removeWorker(ctx: Context, worker: WorkerRecord, died: boolean): void {
  const { state } = ctx;
  state.workers.delete(worker.id);
  state.slots -= worker.slots;
  if (died) {
    ctx.out.push({ c: "count", metric: "workers_lost", by: 1 });
    ctx.out.push({
      c: "log",
      level: "warn",
      text: "worker lost",
      fields: { worker: worker.id, leases: worker.leases.size, objects: worker.objects.size, silentMs: Math.round(silenceMs(state, worker)) },
    });
  }
  // Its oldest leases, one a slot, are presumed to have been running even if no beat said so.
  let running = worker.slots;
  for (const lease of [...worker.leases.values()]) {
    const executing = died && (lease.running || running > 0) ? lease.open.first()?.from : undefined;
    running--;
    if (executing !== undefined) blame(ctx, lease, executing);
    closeLease(ctx, lease);
  }
  for (const id of [...worker.objects]) dropHolder(ctx, worker, id);
}

function blame(ctx: Context, lease: LeaseRecord, task: number): void {
  const trouble = troubleOf(lease.stage, task);
  trouble.blames++;
  if (trouble.blames < limits.blamesMax) return;
  lease.open.delete(task, task + 1);
  failTasks(ctx, lease.stage, task, task + 1, {
    code: "TASK_QUARANTINED",
    message: `task ${task} of stage ${lease.stage.index} was executing on ${trouble.blames} workers that died; it is not tried again`,
  });
}
