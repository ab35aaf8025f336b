/**
 * The durable part of the state as plain data, and back. Two states with the same durable facts give the same snapshot
 * (I9): results are merged in task order, and what is derived (queues, leases, timers, locations) is left out.
 */

import type { WireError } from "../../proto/errors.js";
import type { Epoch, JobId, ObjectBase, TenantId } from "../../proto/ids.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import type { JobState } from "../../proto/messages/status.js";
import { markStrayed } from "./engines.js";
import type { HeldSegment, PutFacts } from "./events.js";
import { createDurable } from "./job-record.js";
import { isDurableBlob } from "./offload.js";
import { createPut } from "./put-record.js";
import { addStage, enterObjects, enterResult } from "./records.js";
import { failureRecordOf } from "./stage.js";
import {
  createState,
  type DurableRecord,
  type OffloadSizes,
  offloadSizes,
  type StageRecord,
  type State,
  setStates,
  type TaskState,
  taskState,
} from "./state.js";

interface StageData {
  spec: StageSpec;
  base: ObjectBase;
  segments: HeldSegment[];
  /** Ranges that were cancelled. */
  cancelled: [number, number][];
  /** [task, failures of the user's function]. */
  failures: [number, number][];
  reused: number;
  retried: number;
  /** Where another engine made results than the specification says. */
  engine?: string;
  strayed?: true;
}

interface JobData {
  id: JobId;
  tenant: TenantId;
  name: string;
  key: string | null;
  contentHash: string;
  outputs: number[];
  objects: PutFacts[];
  submittedAtMs: number;
  state: JobState;
  endedAtMs: number | null;
  error: WireError | null;
  digest: string | null;
  executed: number;
  slotTimeUs: number;
  resultBytes: number;
  stages: StageData[];
}

export interface SnapshotData {
  v: 1;
  epoch: Epoch;
  puts: PutFacts[];
  ended: JobId[];
  /** Blobs that no durable job names: to be deleted, if they are there. Absent in older ones. */
  blobs?: string[];
  jobs: JobData[];
}

export function snapshot(state: State): SnapshotData {
  return {
    v: 1,
    epoch: state.epoch,
    puts: [...state.puts.values()].filter((put) => put.durable).map((put) => put.facts),
    ended: [...state.ended],
    blobs: [...state.blobs]
      .filter(([blob, refs]) => refs.durable === 0 && isDurableBlob(blob))
      .map(([blob]) => blob)
      .sort(),
    jobs: [...state.jobs.values()].filter((job) => job.kind === "durable").map(jobData),
  };
}

const jobData = (job: DurableRecord): JobData => ({
  id: job.id,
  tenant: job.tenant,
  name: job.name,
  key: job.key ?? null,
  contentHash: job.contentHash,
  outputs: [...job.outputs],
  objects: [...job.objects.values()],
  submittedAtMs: job.submittedAtMs,
  state: job.state,
  endedAtMs: job.endedAtMs ?? null,
  error: job.error ?? null,
  digest: job.digest.d === "known" ? job.digest.digest : null,
  executed: job.executed,
  slotTimeUs: job.slotTimeUs,
  resultBytes: job.resultBytes,
  stages: [...job.stages.values()].map(stageData),
});

function stageData(stage: StageRecord): StageData {
  const cancelled: [number, number][] = [];
  for (let i = 0; i < stage.spec.count; ) {
    const end = stage.states.runEnd(i, stage.spec.count);
    if (stage.states.at(i) === taskState.cancelled) cancelled.push([i, end]);
    i = end;
  }
  const failures = [...stage.failureRecords]
    .filter(([, t]) => t.userFailures > 0)
    .map(([task, t]): [number, number] => [task, t.userFailures]);
  failures.sort((a, b) => a[0] - b[0]);
  const { spec, base, reused, retried, engine } = stage;
  const found = engine === undefined || engine === spec.options.engine ? {} : { engine };
  const strayed = stage.strayed ? { strayed: true as const } : {};
  return { spec, base, segments: [...stage.results], cancelled, failures, reused, retried, ...found, ...strayed };
}

/**
 * The state a snapshot was taken of, as far as it is durable. Call `resume` (step.ts) after the records that follow it.
 */
export function restore(data: SnapshotData, options: { epoch?: Epoch; offload?: OffloadSizes } = {}): State {
  const { epoch = data.epoch, offload = offloadSizes } = options;
  const state = createState({ epoch, offload });
  for (const facts of data.puts) state.puts.set(facts.id, createPut(facts, true));
  for (const job of data.jobs) restoreJob(state, job);
  state.ended.push(...data.ended);
  for (const blob of data.blobs ?? []) state.blobs.set(blob, { durable: 0, sessions: 0, busy: false });
  return state;
}

function restoreJob(state: State, data: JobData): void {
  const { id, tenant, name, contentHash, outputs, objects, submittedAtMs } = data;
  const job: DurableRecord = createDurable({
    id,
    tenant,
    name,
    key: data.key ?? undefined,
    contentHash,
    outputs,
    objects,
    submittedAtMs,
  });
  job.state = data.state;
  job.endedAtMs = data.endedAtMs ?? undefined;
  job.error = data.error ?? undefined;
  if (data.digest !== null) job.digest = { d: "known", digest: data.digest };
  job.executed = data.executed;
  job.slotTimeUs = data.slotTimeUs;
  job.resultBytes = data.resultBytes;
  state.jobs.set(id, job);
  if (job.key !== undefined) state.keys.set(`${tenant}/${job.key}`, id);
  enterObjects(state, job);
  for (const item of data.stages) {
    const stage = addStage(state, job, item.spec, item.base);
    for (const segment of item.segments) {
      enterResult(state, stage, segment);
      const next: TaskState = segment.r === "failed" ? taskState.failed : taskState.succeeded;
      setStates(state, stage, segment.from, segment.to, next);
    }
    for (const [from, to] of item.cancelled) setStates(state, stage, from, to, taskState.cancelled);
    for (const [task, failures] of item.failures) failureRecordOf(stage, task).userFailures = failures;
    if (item.engine !== undefined) stage.engine = item.engine;
    if (item.strayed) markStrayed(stage);
    stage.reused = item.reused;
    stage.retried = item.retried;
    job.reused += item.reused;
    job.retried += item.retried;
    if (item.segments.length > 0) state.catalog.addResult(stage);
  }
  if (job.state === "running") state.unsettled.add(id);
}
