/**
 * Worker processes that were given up: what their deaths are charged to, and what is taken back when one turns out to
 * live.
 *
 * B1 Only a task that was executing is given a strike, and only for a death: not for a deregistration.
 * B2 A process that speaks again was not dead: its strikes are taken back. So the last strike does not end a task at
 * once, but after `verdictMs` in which
 *    none was taken back.
 * B3 Of two processes under one name the one that registered last is the worker (M7). The other is refused as long as
 * that one is there.
 */

import type { Instance } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { WorkerRequest } from "../../proto/messages/worker.js";
import type { Departed } from "./departed-record.js";
import type { ReplyToken } from "./events.js";
import { canStart, isRunning } from "./lease-phase.js";
import { failTasks } from "./progress.js";
import { failureRecordOf } from "./stage.js";
import { type Context, type LeaseRecord, type StageRecord, setStates, taskState, type WorkerRecord } from "./state.js";
import { checkStep, workerMachine } from "./transitions.js";
import { sendCommand } from "./worker-commands.js";

/** A worker that was only cut off is back by then. */
const verdictMs = 3 * limits.heartbeatTimeoutMs;
const departedMax = 1_024;

/**
 * The worker that this message is from. undefined: it is from a process that is not known, or (it is told so) not any
 * more. The way of every message: for the process that is known nothing is looked up but its record.
 */
export function speaker(
  ctx: Context,
  message: Exclude<WorkerRequest, { t: "register" }>,
  reply?: ReplyToken,
): WorkerRecord | undefined {
  const worker = ctx.state.workers.get(message.worker);
  if (worker?.instance === message.instance) return worker;
  acquit(ctx, message.instance);
  if (worker) refuse(ctx, worker, message.instance, reply);
  return undefined;
}

/** Whether the process that registers may join; told the reason if not. `known`: who has its name. */
export function mayJoin(
  ctx: Context,
  known: WorkerRecord | undefined,
  instance: Instance | undefined,
  reply: ReplyToken | undefined,
): boolean {
  const departed = instance === undefined ? undefined : ctx.state.departed.get(instance);
  acquit(ctx, instance);
  if (known && departed?.how === "superseded") {
    refuse(ctx, known, instance, reply);
    return false;
  }
  if (departed) checkStep(workerMachine, `worker ${departed.worker}`, departed.how, "active");
  if (instance !== undefined) ctx.state.departed.delete(instance);
  return true;
}

function refuse(
  ctx: Context,
  worker: WorkerRecord,
  instance: Instance | undefined,
  reply: ReplyToken | undefined,
): void {
  const message = `another process (pid ${worker.pid} on ${worker.node}) has joined under the name ${worker.id} and is this worker now; give every worker a name of its own`;
  sendCommand(ctx, { id: worker.id, instance }, { o: "refused", error: { code: "SUPERSEDED", message } }, { reply });
}

/** B2. */
function acquit(ctx: Context, instance: Instance | undefined): void {
  const departed = instance === undefined ? undefined : ctx.state.departed.get(instance);
  if (!departed || departed.strikes.length === 0) return;
  for (const { job, stage, task } of departed.strikes) {
    const failureRecord = ctx.state.jobs.get(job)?.stages.get(stage)?.failureRecords.get(task);
    if (failureRecord && failureRecord.strikes > 0) failureRecord.strikes--;
  }
  const fields = { worker: departed.worker, strikes: departed.strikes.length };
  ctx.out.push({
    c: "log",
    level: "info",
    text: "a worker that was called lost is alive: no task is given a strike for it",
    fields,
  });
  departed.strikes = [];
}

/**
 * The worker is gone, without a deregistration: strikes what it executed. To be called before its leases are closed.
 */
export function strike(ctx: Context, worker: WorkerRecord, how: Departed["how"]): void {
  const strikes: { job: StageRecord["job"]["id"]; stage: number; task: number }[] = [];
  for (const { stage, open } of executing(worker)) {
    const task = open.first()?.from;
    if (task === undefined) continue;
    strikes.push({ job: stage.job.id, stage: stage.index, task });
    if (++failureRecordOf(stage, task).strikes >= limits.strikesMax) awaitVerdict(ctx, stage, task, open);
  }
  if (worker.instance === undefined) return;
  const { departed } = ctx.state;
  departed.set(worker.instance, { worker: worker.id, how, strikes });
  for (const oldest of departed.keys()) {
    if (departed.size <= departedMax) break;
    departed.delete(oldest);
  }
}

/**
 * B1: what heartbeats or results said was running, and of leases that could start at once the oldest, as far as there
 * were slots for them.
 */
function executing(worker: WorkerRecord): LeaseRecord[] {
  const leases = [...worker.leases.values()];
  let free = worker.slots - leases.filter(isRunning).length;
  return leases.filter((lease) => isRunning(lease) || (canStart(lease) && free-- > 0));
}

function awaitVerdict(ctx: Context, stage: StageRecord, task: number, open: LeaseRecord["open"]): void {
  open.delete(task, task + 1);
  failureRecordOf(stage, task).attempts++;
  setStates(ctx.state, stage, task, task + 1, taskState.retrying);
  ctx.state.retries.add(ctx.state.nowMs + verdictMs, { stage, task });
}

/** True: the task has killed as many workers as it may, and ends with that. */
export function isQuarantined(ctx: Context, stage: StageRecord, task: number): boolean {
  const strikes = stage.failureRecords.get(task)?.strikes ?? 0;
  if (strikes < limits.strikesMax) return false;
  failTasks(ctx, stage, task, task + 1, {
    code: "TASK_QUARANTINED",
    message: `task ${task} of stage ${stage.index} was executing on ${strikes} workers that died; it is not tried again`,
  });
  return true;
}
