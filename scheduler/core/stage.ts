/** A stage's record: how it begins, and what is added to it as needed. */

import { argsBytes } from "../../proto/args.js";
import { engineOfStage } from "../../proto/engine.js";
import type { ObjectBase } from "../../proto/ids.js";
import type { FunctionRef, StageSpec } from "../../proto/messages/stage.js";
import { Dependents } from "./dependents.js";
import type { FailureRecord } from "./failure-record.js";
import { RangeSet } from "./ranges.js";
import { SegmentTable } from "./segments.js";
import type { Dependent, EachInput, JobRecord, LeaseRecord, Link, PutRecord, StageRecord } from "./state.js";
import { TaskStates } from "./task-states.js";

const functionKey = (fn: FunctionRef): string =>
  "bundle" in fn ? `${fn.bundle}/${fn.export}` : `kernel/${fn.kernel}/${fn.version}`;

// A session may make many thousand stages of one task a second: what most of them never have is shared until it is
// needed.
const noLinks: readonly Link[] = [];
const noEach: readonly EachInput[] = [];
const noLeases: ReadonlySet<LeaseRecord> = new Set();
const noPuts: readonly PutRecord[] = [];
const noFailureRecords: ReadonlyMap<number, FailureRecord> = new Map();

export function addDependent(stage: StageRecord, entry: Dependent): void {
  stage.dependents ??= new Dependents();
  stage.dependents.add(entry);
  if (entry.open) stage.openDependents++;
}

export function removeDependent(stage: StageRecord, entry: Dependent): void {
  stage.dependents?.delete(entry);
  if (entry.open) stage.openDependents--;
}

export function addLease(stage: StageRecord, lease: LeaseRecord): void {
  if (stage.leases === noLeases) stage.leases = new Set();
  (stage.leases as Set<LeaseRecord>).add(lease);
}

export function removeLease(stage: StageRecord, lease: LeaseRecord): void {
  if (stage.leases !== noLeases) (stage.leases as Set<LeaseRecord>).delete(lease);
}

export function addPut(stage: StageRecord, put: PutRecord): void {
  if (stage.puts === noPuts) stage.puts = [];
  (stage.puts as PutRecord[]).push(put);
}

export function createStage(job: JobRecord, spec: StageSpec, base: ObjectBase): StageRecord {
  return {
    job,
    index: spec.index,
    spec,
    argBytes: argsBytes(spec.args),
    base,
    fnKey: functionKey(spec.fn),
    states: new TaskStates(spec.count),
    tally: [spec.count, 0, 0, 0, 0, 0, 0, 0],
    results: new SegmentTable(),
    looseBytes: 0,
    queue: new RangeSet(),
    listed: false,
    blockers: 0,
    links: [],
    perTask: noLinks,
    each: noEach,
    eachPuts: undefined,
    sources: undefined,
    dependents: undefined,
    openDependents: 0,
    leases: noLeases,
    failureRecords: noFailureRecords,
    reused: 0,
    retried: 0,
    roomBytes: 0,
    queuedAtMs: 0,
    sentAtMs: 0,
    resendAfterMs: 0,
    released: false,
    puts: noPuts,
    missing: 0,
    held: false,
    ownOnly: false,
    engine: engineOfStage(spec),
    pin: undefined,
    strayed: false,
  };
}

export function failureRecordOf(stage: StageRecord, task: number): FailureRecord {
  let failureRecord = stage.failureRecords.get(task);
  if (!failureRecord) {
    failureRecord = {
      attempts: 0,
      userFailures: 0,
      strikes: 0,
      infraFailures: 0,
      lastError: undefined,
      expected: undefined,
    };
    if (stage.failureRecords === noFailureRecords) stage.failureRecords = new Map();
    (stage.failureRecords as Map<number, FailureRecord>).set(task, failureRecord);
  }
  return failureRecord;
}
