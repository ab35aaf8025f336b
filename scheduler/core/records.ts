/**
 * Records are the only way in which durable facts change: the live step writes one and applies it, a restart applies
 * the same ones again (I9). Sessions go the same way; their records are applied and not written. Nothing here queues,
 * leases, sends or reads a clock.
 */

import { invariant } from "../../proto/errors.js";
import type { JobId, ObjectBase } from "../../proto/ids.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { markEngine } from "./engines.js";
import type { HeldSegment, JournalRecord, PutFacts } from "./events.js";
import { createDurable } from "./job-record.js";
import { linkStage, unlinkStage } from "./links.js";
import { createPut } from "./put-record.js";
import { heapBytesOf } from "./segments.js";
import { createStage, failureRecordOf } from "./stage.js";
import {
  type Context,
  type DurableRecord,
  isTerminal,
  type JobRecord,
  type StageRecord,
  type State,
  setStates,
  type TaskState,
  taskState,
} from "./state.js";
import { checkStep, jobMachine } from "./transitions.js";

/** Applies a record and, if its job is durable, gives it out for the journal. */
export function write(ctx: Context, record: JournalRecord, durable: boolean): void {
  if (durable) ctx.out.push({ c: "record", record });
  applyRecord(ctx.state, record);
}

export function applyRecord(state: State, record: JournalRecord): void {
  switch (record.k) {
    case "epoch":
      state.epoch = record.epoch;
      state.start = record.start;
      return;
    case "put":
      enterDurable(state, record.object);
      return;
    case "submit":
      applySubmit(state, record);
      return;
    case "commit":
      applyCommit(state, record);
      return;
    case "retry": {
      const stage = stageOf(state, record.job, record.stage);
      const failureRecord = failureRecordOf(stage, record.task);
      failureRecord.userFailures++;
      failureRecord.lastError = record.error;
      stage.retried++;
      stage.job.retried++;
      return;
    }
    case "cancel": {
      const job = jobOf(state, record.job);
      for (const stage of job.stages.values()) {
        if (record.stage !== undefined && stage.index !== record.stage) continue;
        closeTasks(state, stage, record.from ?? 0, Math.min(record.to ?? stage.spec.count, stage.spec.count));
      }
      return;
    }
    case "end": {
      const job = jobOf(state, record.job);
      checkStep(jobMachine, `job ${job.id}`, job.state, record.state);
      job.state = record.state;
      job.endedAtMs = record.atMs;
      job.error = record.error;
      for (const stage of job.stages.values()) closeTasks(state, stage, 0, stage.spec.count);
      if (job.kind === "durable") {
        shedInputs(state, job);
        state.ended.push(job.id);
      }
      state.unsettled.delete(job.id);
      return;
    }
    case "digest":
      durableOf(state, record.job).digest = { d: "known", digest: record.digest };
      return;
    case "forget":
      forgetJob(state, jobOf(state, record.job));
      return;
    case "offload":
      state.blobs.set(record.blob, { durable: 0, sessions: 0, busy: false });
      return;
    case "chunk":
      for (const part of record.parts) {
        const stage = stageOf(state, record.job, part.stage);
        for (const replaced of stage.results.replace(part)) markHeld(state, stage, replaced, -1);
        markHeld(state, stage, part, 1);
      }
      return;
    case "dropped":
      for (const blob of record.blobs) state.blobs.delete(blob);
      return;
  }
}

function jobOf(state: State, id: JobId): JobRecord {
  const job = state.jobs.get(id);
  invariant(job, `record of unknown job ${id}`);
  return job;
}

function durableOf(state: State, id: JobId): DurableRecord {
  const job = jobOf(state, id);
  invariant(job.kind === "durable", `record of a durable job for session ${id}`);
  return job;
}

function stageOf(state: State, job: JobId, index: number): StageRecord {
  const stage = jobOf(state, job).stages.get(index);
  invariant(stage, `record of unknown stage ${index} of job ${job}`);
  return stage;
}

function applySubmit(state: State, record: Extract<JournalRecord, { k: "submit" }>): void {
  const { job: id, tenant, name, key, contentHash, outputs, objects, atMs } = record;
  const job: DurableRecord = createDurable({
    id,
    tenant,
    name,
    key,
    contentHash,
    outputs,
    objects,
    submittedAtMs: atMs,
  });
  state.jobs.set(id, job);
  state.unsettled.add(id);
  if (key !== undefined) state.keys.set(`${tenant}/${key}`, id);
  enterObjects(state, job);
  record.stages.forEach((spec, i) => {
    addStage(state, job, spec, record.bases[i] as ObjectBase);
  });
}

function enterDurable(state: State, facts: PutFacts): void {
  const known = state.puts.get(facts.id);
  // I9: what a session had said of it is not in the journal, nor its place among the others.
  if (known && !known.durable) state.puts.delete(facts.id);
  state.puts.set(facts.id, known ? Object.assign(known, { facts, durable: true }) : createPut(facts, true));
}

/** Makes known what a durable job reads, and that it does. */
export function enterObjects(state: State, job: DurableRecord): void {
  for (const facts of job.objects.values()) {
    state.readers.set(facts.id, (state.readers.get(facts.id) ?? 0) + 1);
    if (facts.chunk) refer(state, facts.chunk.blob, true, 1);
    if (!state.puts.has(facts.id)) state.puts.set(facts.id, createPut(facts, !facts.inline && !facts.chunk));
  }
}

/** Creates a stage, enters it into the catalog and links it. */
export function addStage(state: State, job: JobRecord, spec: StageSpec, base: ObjectBase): StageRecord {
  const stage = createStage(job, spec, base);
  job.stages.set(spec.index, stage);
  job.tasks += spec.count;
  job.tally[taskState.waiting] = (job.tally[taskState.waiting] as number) + spec.count;
  job.argBytes += stage.argBytes;
  linkStage(state, stage);
  state.catalog.add(stage);
  return stage;
}

export function enterResult(state: State, stage: StageRecord, segment: HeldSegment): void {
  stage.results.insert(segment);
  markHeld(state, stage, segment, 1);
}

export function leaveResult(state: State, stage: StageRecord, segment: HeldSegment): void {
  stage.results.removeSegment(segment);
  markHeld(state, stage, segment, -1);
}

/** A segment came (1) or goes (-1): what lies in the heap, and what is named in blobs. */
function markHeld(state: State, stage: StageRecord, segment: HeldSegment, sign: 1 | -1): void {
  const { job } = stage;
  if (segment.r === "inline") {
    const bytes = sign * heapBytesOf(segment);
    stage.looseBytes += bytes;
    job.looseBytes += bytes;
    state.looseBytes += bytes;
  } else if (segment.r === "chunk") refer(state, segment.blob, job.kind === "durable", sign);
  if (job.kind === "durable") job.retainedBytes = undefined;
}

function refer(state: State, blob: string, durable: boolean, by: 1 | -1): void {
  let refs = state.blobs.get(blob);
  if (!refs) {
    if (by < 0) return;
    refs = { durable: 0, sessions: 0, busy: false };
    state.blobs.set(blob, refs);
  }
  if (durable) refs.durable += by;
  else refs.sessions += by;
}

/** A job that has ended reads nothing more: its arguments and edges are not kept for it. */
function shedInputs(state: State, job: JobRecord): void {
  for (const stage of job.stages.values()) {
    unlinkStage(state, stage);
    if (stage.spec.args.length > 0) stage.spec = { ...stage.spec, args: [] };
    job.argBytes -= stage.argBytes;
    stage.argBytes = 0;
  }
}

/** Bytes of the results alone: how they were batched into packs (a head of 4 bytes, and 5 an item) does not count. */
export function segmentBytes(segment: HeldSegment): number {
  if (segment.r === "chunk") return segment.bytes;
  if (segment.r === "inline") return segment.pack.byteLength - 4 - 5 * (segment.to - segment.from);
  return segment.r === "stored" ? segment.stored.reduce((sum, stored) => sum + stored.bytes, 0) : 0;
}

function applyCommit(state: State, record: Extract<JournalRecord, { k: "commit" }>): void {
  const { segment } = record;
  const stage = stageOf(state, record.job, segment.stage);
  const { job } = stage;
  const count = segment.to - segment.from;
  enterResult(state, stage, segment);
  setStates(state, stage, segment.from, segment.to, segment.r === "failed" ? taskState.failed : taskState.succeeded);
  job.slotTimeUs += record.slotTimeUs;
  job.resultBytes += segmentBytes(segment);
  if (record.engine !== undefined) markEngine(stage, record.engine);
  if (segment.r === "failed") return;
  state.catalog.addResult(stage);
  if (record.reused) {
    stage.reused += count;
    job.reused += count;
  } else job.executed += count;
}

/** Ends the tasks of [from, to) that have not ended: cancelled. */
function closeTasks(state: State, stage: StageRecord, from: number, to: number): void {
  for (let i = from; i < to; ) {
    const end = stage.states.runEnd(i, to);
    if (!isTerminal(stage.states.at(i) as TaskState)) setStates(state, stage, i, end, taskState.cancelled);
    i = end;
  }
}

/** Takes a stage out of every table (I7). Its leases must be gone. */
export function dropStage(state: State, stage: StageRecord): void {
  unlinkStage(state, stage);
  const { job } = stage;
  job.stages.delete(stage.index);
  job.tasks -= stage.spec.count;
  job.argBytes -= stage.argBytes;
  for (const segment of stage.results) markHeld(state, stage, segment, -1);
  job.reused -= stage.reused;
  job.retried -= stage.retried;
  for (const [s, tasks] of stage.tally.entries()) job.tally[s] = (job.tally[s] as number) - tasks;
  if (job.kind !== "durable") job.forgotten.add(stage.index, stage.index + 1);
  state.queued -= stage.queue.size;
  stage.queue.delete(0, stage.spec.count);
  state.catalog.delete(stage);
}

export function forgetJob(state: State, job: JobRecord): void {
  for (const stage of [...job.stages.values()]) dropStage(state, stage);
  for (const { id, chunk } of job.kind === "durable" ? job.objects.values() : []) {
    if (chunk) refer(state, chunk.blob, true, -1);
    const readers = (state.readers.get(id) ?? 0) - 1;
    if (readers > 0) state.readers.set(id, readers);
    else state.readers.delete(id);
  }
  state.jobs.delete(job.id);
  state.unsettled.delete(job.id);
  if (job.kind !== "durable") return;
  if (job.key !== undefined && state.keys.get(`${job.tenant}/${job.key}`) === job.id)
    state.keys.delete(`${job.tenant}/${job.key}`);
  const at = state.ended.indexOf(job.id);
  if (at >= 0) state.ended.splice(at, 1);
}
