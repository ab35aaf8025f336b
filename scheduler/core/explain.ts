/** Why a task is where it is: the machine-readable reasons that docs/ARCHITECTURE.md lists. */

import { limits } from "../../proto/limits.js";
import type { Explanation } from "../../proto/messages/explanation.js";
import { awaitedBy, readBy } from "./each.js";
import { hasFreeSlotElsewhere, pinOf } from "./engines.js";
import { isRunning } from "./lease-phase.js";
import { unmetLinks } from "./links.js";
import { silenceMs } from "./liveness.js";
import { isAway } from "./put-record.js";
import { claimPatienceMs } from "./resume.js";
import { leftMs } from "./silence.js";
import type { Silence } from "./silence-record.js";
import { isDraining } from "./standing.js";
import { type LeaseRecord, type StageRecord, type State, tallyOf, taskState } from "./state.js";

/**
 * Why a task is where it is (I3: every task that has not ended has a lease, a queue place, an unmet dependency or a
 * timer).
 */
export function explain(state: State, stage: StageRecord, task: number): Explanation {
  const failureRecord = stage.failureRecords.get(task);
  const head = { job: stage.job.id, stage: stage.index, task, attempt: (failureRecord?.attempts ?? 0) + 1 };
  const last = failureRecord?.lastError
    ? `; the last try failed with ${failureRecord.lastError.code}: ${failureRecord.lastError.message}`
    : "";
  switch (stage.states.at(task)) {
    case taskState.succeeded:
      return { ...head, state: "succeeded", reason: "committed", text: "its result is committed" };
    case taskState.shelved:
      return {
        ...head,
        state: "succeeded",
        reason: "committed",
        text: "it was committed; its refs are gone, and its result was given up",
      };
    case taskState.failed: {
      const segment = stage.results.at(task);
      const error = segment?.r === "failed" ? segment.error : undefined;
      return { ...head, state: "failed", reason: error?.code ?? "failed", text: error?.message ?? "it failed" };
    }
    case taskState.cancelled:
      return {
        ...head,
        state: "cancelled",
        reason: "cancelled",
        text: stage.job.error ? `its job ended: ${stage.job.error.message}` : "its job was cancelled",
      };
    case taskState.retrying: {
      let dueMs = state.nowMs;
      for (const { atMs, item } of state.retries) if (item.stage === stage && item.task === task) dueMs = atMs;
      const wait = Math.max(0, Math.round(dueMs - state.nowMs));
      if (failureRecord?.claimed?.silence)
        return {
          ...head,
          ...waitForSilent(state, failureRecord.claimed.silence, "the worker that holds its result"),
          state: "retrying",
        };
      if (failureRecord?.claimed) {
        const left = Math.max(0, Math.round(failureRecord.claimed.at + claimPatienceMs(stage) - state.listenedMs));
        return {
          ...head,
          state: "retrying",
          reason: "looked-for",
          text: `its result was made before the scheduler restarted; the worker that holds it is waited for, at most ${left} ms`,
          retryInMs: left,
        };
      }
      const strikes = failureRecord?.strikes ?? 0;
      if (strikes >= limits.strikesMax) {
        const text = `it was executing on ${strikes} workers that died; unless one of them turns out to live within ${wait} ms, it is not tried again`;
        return { ...head, state: "retrying", reason: "verdict", text, retryInMs: wait };
      }
      return {
        ...head,
        state: "retrying",
        reason: "backoff",
        text: `it is tried again in ${wait} ms${last}`,
        retryInMs: wait,
      };
    }
    case taskState.leased:
      return explainLease(state, stage, task, head);
    case taskState.queued:
      return explainQueue(state, stage, head, last);
    default:
      return explainWait(state, stage, task, head);
  }
}

type Head = Pick<Explanation, "job" | "stage" | "task" | "attempt">;

function explainLease(state: State, stage: StageRecord, task: number, head: Head): Explanation {
  const lease = [...stage.leases].find((l: LeaseRecord) => l.open.has(task));
  if (!lease) return { ...head, state: "leased", reason: "lost", text: "no lease holds it: a fault of the scheduler" };
  const where = { worker: lease.worker.id, lease: lease.id };
  const silent = Math.round(silenceMs(state, lease.worker));
  if (silent > 2 * limits.heartbeatIntervalMs) {
    return {
      ...head,
      ...where,
      state: "leased",
      reason: "worker-silent",
      text: `worker ${lease.worker.id} has not been heard for ${silent} ms; its tasks return to the queue after ${limits.heartbeatTimeoutMs} ms`,
    };
  }
  if (isRunning(lease) && lease.open.first()?.from === task)
    return {
      ...head,
      ...where,
      state: "running",
      reason: "executing",
      text: `worker ${lease.worker.id} is executing it`,
    };
  const waits = lease.phase.p === "preparing" && lease.open.first()?.from === task ? lease.phase.waits : undefined;
  if (waits === "memory") {
    const text = `worker ${lease.worker.id} has the lease, but no room for its inputs beside those of the leases it holds; its store has ${lease.worker.storeBudgetBytes} bytes`;
    return { ...head, ...where, state: "leased", reason: "no-room", text };
  }
  if (waits === "inputs")
    return {
      ...head,
      ...where,
      state: "leased",
      reason: "fetching-inputs",
      text: `worker ${lease.worker.id} is fetching its inputs or code`,
    };
  return {
    ...head,
    ...where,
    state: "leased",
    reason: "behind-in-lease",
    text: `worker ${lease.worker.id} holds it in lease ${lease.id}, behind other tasks`,
  };
}

function explainQueue(state: State, stage: StageRecord, head: Head, last: string): Explanation {
  const queueAhead = state.queued - 1;
  if (state.workers.size === 0)
    return {
      ...head,
      state: "queued",
      reason: "no-workers",
      text: `no worker has joined the cluster; start one with \`volley worker\`${last}`,
      queueAhead,
    };
  const takers = [...state.workers.values()].filter((worker) => !isDraining(worker));
  if (takers.length === 0)
    return {
      ...head,
      state: "queued",
      reason: "all-draining",
      text: `all ${state.workers.size} workers are draining${last}`,
      queueAhead,
    };
  const pin = pinOf(state, stage);
  if (pin !== undefined && hasFreeSlotElsewhere(takers, pin))
    return {
      ...head,
      state: "queued",
      reason: "other-engine",
      text: `slots are free on workers of other engines, but its function is pure and its results are those of ${pin}, whose slots are taken${last}`,
      queueAhead,
    };
  return {
    ...head,
    state: "queued",
    reason: "no-free-slot",
    text: `all ${state.slots} slots are taken; ${queueAhead} other tasks are queued${last}`,
    queueAhead,
  };
}

const unmetListedMax = 100;

/** What only a silent worker has is waited for (silence.ts). */
function waitForSilent(
  state: State,
  silence: Silence,
  what: string,
): Pick<Explanation, "reason" | "text" | "worker" | "retryInMs"> {
  const left = Math.round(leftMs(state, silence));
  return {
    reason: "holder-silent",
    text: `${what}, ${silence.worker}, is silent; it is waited for, at most ${left} ms more`,
    worker: silence.worker,
    retryInMs: left,
  };
}

/** Who is silent and has a result that the task reads. */
function silentInputOf(stage: StageRecord, task: number): Silence | undefined {
  for (const { upstream, entry } of stage.links) {
    if (tallyOf(upstream, taskState.retrying) === 0) continue;
    const read = [...readBy(upstream, entry, task, task + 1)];
    for (const [at, { claimed }] of upstream.failureRecords) {
      const isRead = read.some(({ from, to }) => from <= at && at < to);
      if (isRead && claimed?.silence && upstream.states.at(at) === taskState.retrying) return claimed.silence;
    }
  }
  return undefined;
}

function explainWait(state: State, stage: StageRecord, task: number, head: Head): Explanation {
  const unmet = new Map<number, number>();
  for (const { upstream } of unmetLinks(stage))
    unmet.set(upstream.index, upstream.spec.count - tallyOf(upstream, taskState.succeeded));
  for (const upstream of awaitedBy(stage, task)) unmet.set(upstream.index, 1);
  const put = stage.puts.find((one) => isAway(one) && (stage.eachPuts?.get(one)?.includes(task) ?? true));
  const awaited = put?.presence.is === "awaited" ? put.presence.from : "start";
  if (put && awaited !== "start")
    return {
      ...head,
      ...waitForSilent(state, awaited, `the worker that holds object ${put.facts.id}`),
      state: "waiting",
      unmet: [],
    };
  if (put)
    return {
      ...head,
      state: "waiting",
      reason: "inputs",
      text: `it waits for object ${put.facts.id}, of which every copy is gone, until its client puts it again`,
      unmet: [],
    };
  const list = [...unmet].slice(0, unmetListedMax).map(([index, missing]) => ({ stage: index, missing }));
  const text =
    list
      .map(({ stage: index, missing }) => `stage ${index} (${missing} task${missing === 1 ? "" : "s"} to go)`)
      .join(", ") + (unmet.size > list.length ? ` and ${unmet.size - list.length} other stages` : "");
  const silent = silentInputOf(stage, task);
  if (silent)
    return {
      ...head,
      ...waitForSilent(state, silent, "the worker that holds one of its inputs"),
      state: "waiting",
      unmet: list,
    };
  return { ...head, state: "waiting", reason: "inputs", text: `it waits for ${text || "its inputs"}`, unmet: list };
}
