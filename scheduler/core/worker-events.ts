/**
 * What workers say apart from commits: registration, heartbeats, objects, deregistration; and what follows when one is
 * no longer heard.
 */

import { engineFamily } from "../../proto/engine.js";
import { limits } from "../../proto/limits.js";
import type { HeldLease, StoredObject, WorkerRequestOf } from "../../proto/messages/worker.js";
import { isCompatible, PROTOCOL_VERSION } from "../../proto/version.js";
import { firstTime, knowReports } from "./commits.js";
import { emitDrain, forgetDrains, markHolder, retryDrains, startDrain } from "./copies.js";
import { mayJoin, speaker, strike } from "./departed.js";
import { sendLease } from "./dispatch.js";
import { countEngines, markJoin } from "./engines.js";
import type { ReplyToken } from "./events.js";
import { dropHolder, forgetOrder, isNews } from "./holders.js";
import { closeLease } from "./lease-ends.js";
import { markHeld } from "./lease-phase.js";
import { received, silenceMs } from "./liveness.js";
import { standingOf } from "./locate.js";
import { findAgain } from "./losses.js";
import { markRan } from "./places.js";
import { createPut } from "./put-record.js";
import { findPut } from "./puts.js";
import { RangeSet } from "./ranges.js";
import { findClaim, markStranger } from "./resume.js";
import { markSilence } from "./silence.js";
import { endSilence } from "./silence-ends.js";
import { active, isDraining, setStanding } from "./standing.js";
import type { Context, WorkerRecord } from "./state.js";
import { repeatRevoke } from "./steal.js";
import { sendCommand, sender } from "./worker-commands.js";

/** A lease that a heartbeat does not list is sent again after this long; before, the two may have crossed. */
const leaseResendMs = 1_500;

// ------------------------------------------------------------------------------------------------ joining and beating

export function onRegister(ctx: Context, register: WorkerRequestOf<"register">, reply: ReplyToken | undefined): void {
  const { state } = ctx;
  if (!isCompatible(register.version)) {
    const message = `worker ${register.worker} speaks protocol ${register.version}, this scheduler ${PROTOCOL_VERSION}; neighbours serve together, these do not`;
    sendCommand(ctx, sender(register), { o: "refused", error: { code: "VERSION_MISMATCH", message } }, { reply });
    return;
  }
  if (isOutranked(ctx, register)) return;
  let worker = state.workers.get(register.worker);
  if (worker?.instance !== register.instance || !worker) {
    if (!mayJoin(ctx, worker, register.instance, reply)) return;
    if (worker) removeWorker(ctx, worker, "superseded");
    endSilence(ctx, (silence) => silence.worker === register.worker && silence.instance !== register.instance);
    worker = {
      id: register.worker,
      instance: register.instance,
      node: register.node,
      pid: register.pid,
      volley: register.volley,
      engine: register.engine,
      family: engineFamily(register.engine),
      slots: register.slots,
      storeBudgetBytes: register.storeBudgetBytes,
      leases: new Map(),
      leasesRan: 0,
      objects: new Set(),
      copies: new Set(),
      standing: active,
      version: register.version,
      seen: new RangeSet(),
      seenMax: -1,
      touched: new Map(),
      touchedMax: -1,
      bundles: new Set(),
      slotsBusy: 0,
      storeBytes: 0,
      spilledBytes: 0,
      tasksDone: 0,
      receivedMs: state.nowMs,
      receivedAt: state.listenedMs,
    };
    state.workers.set(worker.id, worker);
    state.slots += worker.slots;
    ctx.out.push({
      c: "log",
      level: "info",
      text: "worker joined",
      fields: { worker: worker.id, node: worker.node, slots: worker.slots },
    });
    state.stories.addWorker("joined", worker.id);
    countEngines(state);
    markJoin(ctx, worker);
    retryDrains(state, worker);
  }
  received(state, worker);
  knowReports(worker, register.reportsFrom);
  // It tells what was held after those reports; of what later ones have said it knows nothing.
  const lastSeq = register.reportsTo === undefined ? Number.POSITIVE_INFINITY : register.reportsTo - 1;
  for (const object of lastSeq < worker.seenMax ? [] : register.objects)
    if (lastSeq === Number.POSITIVE_INFINITY || isNews(worker, object.id, lastSeq, "there"))
      addObject(ctx, worker, object, true);
  welcome(ctx, worker, reply);
  reconcileLeases(ctx, worker, register.leases, reply);
}

/**
 * The worker has followed a scheduler that this journal knows nothing of: it is an older copy of the one that scheduler
 * wrote.
 */
function isOutranked(ctx: Context, { worker, followed }: WorkerRequestOf<"register">): boolean {
  const { epoch, start } = ctx.state;
  if (
    !followed ||
    followed.epoch < epoch ||
    (followed.epoch === epoch && (start === undefined || followed.start === start))
  )
    return false;
  ctx.out.push({ c: "outranked", epoch: followed.epoch, worker });
  return true;
}

function welcome(ctx: Context, worker: WorkerRecord, reply: ReplyToken | undefined): void {
  const { heartbeatIntervalMs } = limits;
  const { start } = ctx.state;
  sendCommand(ctx, worker, { o: "welcome", heartbeatIntervalMs, ...(start === undefined ? {} : { start }) }, { reply });
}

export function onHeartbeat(
  ctx: Context,
  heartbeat: WorkerRequestOf<"heartbeat">,
  reply: ReplyToken | undefined,
): void {
  const { state } = ctx;
  const worker = speaker(ctx, heartbeat, reply);
  if (!worker || heartbeat.epoch !== state.epoch) {
    if (!state.workers.has(heartbeat.worker) || worker)
      sendCommand(ctx, sender(heartbeat), { o: "unknown" }, { reply });
    return;
  }
  received(state, worker);
  knowReports(worker, heartbeat.reportsFrom);
  worker.slotsBusy = heartbeat.slotsBusy;
  worker.storeBytes = heartbeat.storeBytes;
  worker.spilledBytes = heartbeat.spilledBytes;
  if (heartbeat.draining && !isDraining(worker)) {
    startDrain(ctx, worker);
    countEngines(state);
  }
  reconcileLeases(ctx, worker, heartbeat.leases, reply);
  // A heartbeat is always answered, so that the worker knows that it is known.
  if (reply !== undefined) welcome(ctx, worker, reply);
  emitDrain(ctx, worker);
}

/** M4: sends again what the worker should hold and does not, stops what it holds and should not. */
function reconcileLeases(
  ctx: Context,
  worker: WorkerRecord,
  held: readonly HeldLease[],
  reply: ReplyToken | undefined,
): void {
  const { state } = ctx;
  const listed = new Set<string>();
  for (const item of held) {
    listed.add(item.lease);
    const lease = worker.leases.get(item.lease);
    if (!lease) {
      if (item.next < item.to) sendCommand(ctx, worker, { o: "cancel", lease: item.lease }, { reply });
      continue;
    }
    lease.next = Math.max(lease.next, item.next);
    if (item.ran) markRan(lease);
    else markHeld(lease, item);
    repeatRevoke(ctx, lease);
  }
  for (const lease of [...worker.leases.values()]) {
    if (listed.has(lease.id) || state.nowMs - lease.sentAtMs < leaseResendMs) continue;
    ctx.out.push({ c: "count", metric: "leases_resent", by: 1, tenant: lease.stage.job.tenant });
    sendLease(ctx, lease);
  }
}

// ------------------------------------------------------------------------------------------------ objects

/** `joining`: others may say the same in a moment. */
export function addObject(ctx: Context, worker: WorkerRecord, object: StoredObject, joining = false): void {
  const { state } = ctx;
  const standing = standingOf(state, object);
  if (standing === "other") {
    // Of an execution that was not the one committed, or of an earlier job of the same id.
    sendCommand(ctx, worker, { o: "free", ids: [object.id], digests: [object.digest] });
    dropHolder(ctx, worker, object.id);
    return;
  }
  // Its commit may be under way. Should another be first, these bytes are not the object's.
  if (standing === "uncommitted") {
    findClaim(ctx, worker, object);
    findAgain(ctx, worker, object);
    if (!worker.objects.has(object.id)) markStranger(ctx, worker, object);
    return;
  }
  if (standing === "unknown") {
    // A put, or what is left of a stage that nobody knows any more: only bytes that name themselves are of use.
    if (!object.id.startsWith("c")) {
      if (!markStranger(ctx, worker, object)) sendCommand(ctx, worker, { o: "free", ids: [object.id] });
      return;
    }
    state.puts.set(
      object.id,
      createPut({ id: object.id, kind: object.kind, bytes: object.bytes, digest: object.digest }, false),
    );
  }
  markHolder(ctx, worker, object.id, object.copy === true, joining);
  const put = state.puts.get(object.id);
  if (put) findPut(ctx, put);
}

export function onObjects(ctx: Context, message: WorkerRequestOf<"objects">): void {
  const { state } = ctx;
  const worker = speaker(ctx, message);
  if (!worker || message.epoch !== state.epoch) {
    sendCommand(ctx, sender(message), { o: "unknown" });
    return;
  }
  received(state, worker);
  const { seq } = message;
  if (firstTime(worker, seq)) {
    for (const object of message.added) if (isNews(worker, object.id, seq, "there")) addObject(ctx, worker, object);
    for (const id of message.removed) if (isNews(worker, id, seq, "gone")) dropHolder(ctx, worker, id);
    forgetOrder(worker);
  }
  sendCommand(ctx, worker, { o: "ack", seq: message.seq }, { gated: true });
}

// ------------------------------------------------------------------------------------------------ leaving

export function onDeregister(ctx: Context, deregister: WorkerRequestOf<"deregister">): void {
  const worker = speaker(ctx, deregister);
  if (worker) removeWorker(ctx, worker, "left");
  endSilence(ctx, (silence) => silence.worker === deregister.worker && silence.instance === deregister.instance);
}

const departureTexts = {
  left: "its worker deregistered",
  silent: "its worker is silent",
  superseded: "another process has its worker's name",
};

/**
 * The worker is gone: its leases return, its objects are lost where it held the last copy. Unless it deregistered, what
 * it executed is given a strike (I8).
 */
export function removeWorker(ctx: Context, worker: WorkerRecord, how: "left" | "silent" | "superseded"): void {
  const { state } = ctx;
  state.workers.delete(worker.id);
  state.slots -= worker.slots;
  state.stories.addWorker(departureTexts[how], worker.id, true);
  countEngines(state);
  if (how !== "left") {
    const { id, leases, objects } = worker;
    const fields = {
      worker: id,
      how,
      leases: leases.size,
      objects: objects.size,
      silentMs: Math.round(silenceMs(state, worker)),
    };
    ctx.out.push(
      { c: "count", metric: "workers_lost", by: 1 },
      { c: "log", level: "warn", text: "worker lost", fields },
    );
    strike(ctx, worker, how);
    setStanding(worker, { w: how });
  }
  forgetDrains(state, worker);
  if (how === "silent") markSilence(state, worker);
  for (const lease of [...worker.leases.values()]) closeLease(ctx, lease, departureTexts[how]);
  for (const id of [...worker.objects]) dropHolder(ctx, worker, id);
}
