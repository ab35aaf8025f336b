/** Edges between stages as dependencies: which links a stage has, and whether they are met. */

import { leavesOf } from "../../proto/args.js";
import { beginningsOf, type EachRun } from "../../proto/each.js";
import type { ObjectBase, ObjectId } from "../../proto/ids.js";
import { splitObjectId } from "../../proto/ids.js";
import { isThere } from "./each.js";
import { objectOf } from "./job-record.js";
import { Picks } from "./picks.js";
import { isAway } from "./put-record.js";
import { addDependent, addPut, removeDependent } from "./stage.js";
import {
  type Dependent,
  type EachSource,
  isStageComplete,
  isTerminal,
  type PutRecord,
  type Sources,
  type StageRecord,
  type State,
  type TaskState,
  tallyOf,
  taskState,
} from "./state.js";

/** The stage that has or will have this object, if any job known has it. */
export function sourceOf(state: State, id: ObjectId): { stage: StageRecord; task: number } | undefined {
  const { base, index } = splitObjectId(id);
  let claimed: StageRecord | undefined;
  for (const stage of state.catalog.made(base)) {
    if (stage.states.at(index) !== taskState.succeeded) continue;
    // A large one is not the client's word alone: a worker has told of these bytes under this id.
    if (!stage.ownOnly || stage.results.at(index)?.r === "stored") return { stage, task: index };
    claimed ??= stage;
  }
  // What a client says was made serves where no worker makes it; what has ended without a result serves nobody who can
  // have it elsewhere.
  let ended: StageRecord | undefined;
  for (const stage of state.catalog.of(base)) {
    if (index >= stage.spec.count) return undefined;
    if (isTerminal(stage.states.at(index) as TaskState)) ended ??= stage;
    else if (!stage.ownOnly || !claimed) return { stage, task: index };
  }
  const stage = claimed ?? ended;
  return stage && { stage, task: index };
}

/**
 * Enters the stage's links. Throws nothing: what is unknown was refused at intake; objects that were put need no link.
 */
export function linkStage(state: State, stage: StageRecord): void {
  const link = linker(stage);
  for (const arg of leavesOf(stage.spec.args)) {
    if (arg.a === "stage") {
      const upstream = stage.job.stages.get(arg.stage);
      if (upstream) link(upstream, arg.edge === "one-to-one" ? "one-to-one" : "all", 0);
    } else if (arg.a === "task") {
      const upstream = stage.job.stages.get(arg.stage);
      if (upstream) link(upstream, "task", arg.task);
    } else if (arg.a === "object" || arg.a === "items") {
      const id = arg.a === "object" ? arg.id : arg.object;
      const put = state.puts.get(id);
      if (put && stage.job.kind !== "durable") readPut(stage, put);
      if (put || objectOf(stage.job, id)) continue;
      const source = sourceOf(state, id);
      if (source) link(source.stage, "task", source.task);
    }
  }
  // After the others: a put that every task reads is waited for by every task.
  for (const arg of leavesOf(stage.spec.args)) if (arg.a === "each") linkEach(state, stage, arg.of);
  const perTask = stage.links.filter(({ entry }) => entry.kind === "one-to-one");
  if (perTask.length > 0) stage.perTask = perTask;
  countBlockers(stage);
}

/** One link for each upstream, whatever is taken of it. */
function linkEach(state: State, stage: StageRecord, of: readonly EachRun[]): void {
  const picksOf = new Map<StageRecord, Picks>();
  const take = (upstream: StageRecord, at: number, task: number, count: number): EachSource => {
    let picks = picksOf.get(upstream);
    if (!picks) {
      picks = new Picks();
      picksOf.set(upstream, picks);
      const entry: Dependent = { stage, kind: "each", task: 0, picks, met: false, open: !isStageComplete(stage) };
      addDependent(upstream, entry);
      stage.links.push({ upstream, entry });
    }
    picks.add(at, task, count);
    return { upstream, task };
  };
  const starts = beginningsOf(of);
  const sources = of.map((run, i): EachSource => {
    const at = starts[i] as number;
    if (typeof run !== "string") {
      const upstream = stage.job.stages.get(run[0]);
      return upstream && take(upstream, at, run[1], run[2]);
    }
    const put = state.puts.get(run);
    if (put) return stage.job.kind === "durable" ? undefined : { put: readPutBy(stage, put, at) };
    const source = objectOf(stage.job, run) ? undefined : sourceOf(state, run);
    return source && take(source.stage, at, source.task, 1);
  });
  stage.each = [...stage.each, { of, sources }];
}

/** Adds links, each once. */
function linker(
  stage: StageRecord,
): (upstream: StageRecord, kind: "one-to-one" | "all" | "task", task: number) => void {
  // What is there already, by upstream: its tasks, -1 for all of it, -2 for one to one.
  const there = new Map<StageRecord, Set<number>>();
  return (upstream, kind, task) => {
    const what = kind === "task" ? task : kind === "all" ? -1 : -2;
    const known = there.get(upstream);
    if (known?.has(what)) return;
    if (known) known.add(what);
    else there.set(upstream, new Set([what]));
    const entry: Dependent = { stage, kind, task, met: false, open: !isStageComplete(stage) };
    addDependent(upstream, entry);
    stage.links.push({ upstream, entry });
  };
}

/** The stage reads the object; it waits for whoever makes it. */
export function linkObject(state: State, stage: StageRecord, id: ObjectId): void {
  const source = sourceOf(state, id);
  if (
    !source ||
    stage.links.some(
      ({ upstream, entry }) => upstream === source.stage && entry.kind === "task" && entry.task === source.task,
    )
  )
    return;
  linker(stage)(source.stage, "task", source.task);
  stage.sources = undefined;
}

function readPut(stage: StageRecord, put: PutRecord): void {
  if (put.readers.has(stage)) return;
  put.readers.add(stage);
  addPut(stage, put);
  if (isAway(put)) stage.missing++;
}

/** Only this task waits for it. */
function readPutBy(stage: StageRecord, put: PutRecord, task: number): PutRecord {
  const tasks = stage.eachPuts?.get(put);
  if (tasks) tasks.push(task);
  if (put.readers.has(stage)) return put;
  put.readers.add(stage);
  addPut(stage, put);
  stage.eachPuts ??= new Map();
  stage.eachPuts.set(put, [task]);
  return put;
}

export function unlinkStage(state: State, stage: StageRecord): void {
  for (const put of stage.puts) {
    put.readers.delete(stage);
    if (put.owners.size === 0) state.unread.add(put);
  }
  stage.puts = [];
  stage.missing = 0;
  for (const { upstream, entry } of stage.links) removeDependent(upstream, entry);
  stage.links.length = 0;
  stage.perTask = [];
  stage.each = [];
  stage.eachPuts = undefined;
  stage.sources = undefined;
  stage.blockers = 0;
}

/** Looks at every link of the stage. Once it is linked, {@link meet} and {@link unmeet} keep the count. */
export function countBlockers(stage: StageRecord): void {
  stage.blockers = 0;
  for (const { upstream, entry } of stage.links) {
    if (isPerTask(entry)) continue;
    entry.met = isMet(upstream, entry);
    if (!entry.met) stage.blockers++;
  }
}

/** After a success of the upstream: true when the stage has one blocker less. */
export function meet(upstream: StageRecord, entry: Dependent): boolean {
  if (entry.met || isPerTask(entry) || !isMet(upstream, entry)) return false;
  entry.met = true;
  entry.stage.blockers--;
  return true;
}

/** After a success of the upstream was taken back: true when the stage has one blocker more. */
export function unmeet(upstream: StageRecord, entry: Dependent): boolean {
  if (!entry.met || isMet(upstream, entry)) return false;
  entry.met = false;
  entry.stage.blockers++;
  return true;
}

/** Says to the stage's upstreams whether it has tasks to go; gives those to which that is news. */
export function setOpen(stage: StageRecord, open: boolean): StageRecord[] {
  const emitted: StageRecord[] = [];
  for (const { upstream, entry } of stage.links) {
    if (entry.open === open) continue;
    entry.open = open;
    upstream.openDependents += open ? 1 : -1;
    emitted.push(upstream);
  }
  return emitted;
}

/** With fewer links than this, looking through them is the shorter way. */
const sourcesFrom = 8;

function sourcesOf(stage: StageRecord): Sources {
  if (stage.sources) return stage.sources;
  const byBase = new Map<ObjectBase, StageRecord[]>();
  const byIndex = new Map<number, StageRecord>();
  for (const { upstream } of stage.links) {
    const known = byBase.get(upstream.base);
    if (!known) byBase.set(upstream.base, [upstream]);
    else if (!known.includes(upstream)) known.push(upstream);
    if (upstream.job === stage.job) byIndex.set(upstream.index, upstream);
  }
  stage.sources = { byBase, byIndex };
  return stage.sources;
}

/** The upstream of the same job with this index. */
export function upstreamAt(stage: StageRecord, index: number): StageRecord | undefined {
  if (stage.links.length >= sourcesFrom) return sourcesOf(stage).byIndex.get(index);
  return stage.links.find(({ upstream }) => upstream.job === stage.job && upstream.index === index)?.upstream;
}

/** The upstreams whose objects have this base: of one content there may be one of this job and one of another. */
export function upstreamsOfBase(stage: StageRecord, base: ObjectBase): readonly StageRecord[] {
  if (stage.links.length >= sourcesFrom) return sourcesOf(stage).byBase.get(base) ?? [];
  return stage.links.filter(({ upstream }) => upstream.base === base).map(({ upstream }) => upstream);
}

/** Its tasks wait one by one. */
export const isPerTask = ({ kind }: Dependent): boolean => kind === "one-to-one" || kind === "each";

export function isMet(upstream: StageRecord, entry: Dependent): boolean {
  if (entry.kind === "all") return tallyOf(upstream, taskState.succeeded) === upstream.spec.count;
  return upstream.states.at(entry.task) === taskState.succeeded;
}

/** Links of the whole stage that are not met. */
export const unmetLinks = (stage: StageRecord): StageRecord["links"] =>
  stage.links.filter(({ upstream, entry }) => !isPerTask(entry) && !isMet(upstream, entry));

/** Whether task i's inputs are all there. */
export function isReady(stage: StageRecord, task: number): boolean {
  if (stage.blockers > 0 || stage.missing > 0 || stage.held) return false;
  for (const { upstream } of stage.perTask) if (upstream.states.at(task) !== taskState.succeeded) return false;
  return stage.each.every((input) => isThere(input, task, task + 1).there);
}
