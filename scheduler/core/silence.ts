/**
 * What workers held that fell silent. Silence is not death: a process that was stopped, or cut off, comes back with all
 * it had. Its tasks go to others at once, but nothing is called lost while it may still come:
 *
 * Q1 A result that only a silent worker has, and that cannot be made again, is awaited: its task waits, and so does
 *    what reads it. A put likewise; its client puts it again if it can.
 * Q2 It is there again when any worker tells of it, with the digest that was committed.
 * Q3 The waiting ends, and it is lost, when another process takes the worker's name, when the worker deregisters, or
 *    after limits.silentWorkerPatienceMs of listening time.
 */
import type { ObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { StoredResult } from "../../proto/messages/results.js";
import type { Silence } from "./silence-record.js";
import { failureRecordOf } from "./stage.js";
import {
  type Context,
  type PutRecord,
  type StageRecord,
  type State,
  setStates,
  taskState,
  type WorkerRecord,
} from "./state.js";

/**
 * The worker is silent: what it holds may come back, and one without anything may take what others hold. To be called
 * before its objects are dropped.
 */
export function markSilence(state: State, { id: worker, instance, objects }: WorkerRecord): void {
  state.silences.add({ worker, instance, at: state.listenedMs, objects: new Set(objects) });
}

/** Of the silent workers that held the object, the one that fell silent last. */
export function silentHolderOf(state: State, id: ObjectId): Silence | undefined {
  let found: Silence | undefined;
  for (const silence of state.silences) if (silence.objects.has(id)) found = silence;
  return found;
}

/** Q1. The task has no result at present. */
export function awaitResult(
  ctx: Context,
  stage: StageRecord,
  task: number,
  stored: StoredResult,
  silence: Silence,
): void {
  const { state } = ctx;
  failureRecordOf(stage, task).claimed = { stored, at: silence.at, silence };
  setStates(state, stage, task, task + 1, taskState.retrying);
  state.retries.add(state.nowMs + leftMs(state, silence), { stage, task });
}

/** How long it is still waited for. */
export const leftMs = (state: State, { at }: Silence): number =>
  Math.max(0, at + limits.silentWorkerPatienceMs - state.listenedMs);

/**
 * The put's holder is silent, and may come back with it; or this scheduler has just begun, and has not heard everybody
 * yet.
 */
export const isAwaited = (state: State, { presence }: PutRecord): boolean =>
  presence.is === "awaited" && (presence.from !== "start" || state.listenedMs < limits.silentWorkerPatienceMs);
