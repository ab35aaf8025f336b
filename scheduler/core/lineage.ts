/**
 * What is kept so that lost results can be made again.
 *
 * A session's stage that its client has released is needed as long as something that reads it is still to run. After
 * that its results may go, but not always the stage: if it is pure, and a pure stage that reads it has results that can
 * be lost (those that only workers hold), it is shelved. If its own are all small, it stays as it is for such a reader.
 *
 * L1 A shelved stage has its spec and its links, no results, no place in the catalog, and costs no worker anything.
 * L2 It is shelved no longer than a stage that reads it, itself live or shelved, may have to run again; so lineage is
 * bounded by what lives,
 *    and by limits.shelvedStagesMax a session: the oldest goes first, and what would have needed it is then lost with
 * OBJECT_LOST. L3 When a result is lost, the shelved tasks that its task reads wait again, and what those read, however
 * deep.
 */
import { limits } from "../../proto/limits.js";
import { readBy } from "./each.js";
import { setOpen, unlinkStage, unmeet } from "./links.js";
import { dropStage, leaveResult } from "./records.js";
import { isStageComplete, type Link, type StageRecord, type State, setStates, tallyOf, taskState } from "./state.js";

const none: StageRecord[] = [];

/** Its results may be lost and made again, so what it reads may be needed once more. */
const mayRunAgain = (stage: StageRecord): boolean =>
  stage.spec.options.pure &&
  stage.job.kind !== "durable" &&
  (stage.results.storedTasks > 0 || tallyOf(stage, taskState.shelved) > 0);

/** What a released stage of a session is still kept for. */
export function useOf(stage: StageRecord): "results" | "lineage" | "none" {
  if (stage.job.kind === "durable" || !stage.released || !isStageComplete(stage)) return "results";
  if (stage.openDependents > 0) return "results";
  // Results that travelled inside commits are not lost, and nothing has to be made: they stay for who may read them
  // again, whose worker asks for them by the stage.
  const use = mayRunAgain(stage) ? "lineage" : stage.results.storedTasks === 0 ? "results" : "none";
  if (use !== "none") for (const entry of stage.dependents ?? []) if (mayRunAgain(entry.stage)) return use;
  return "none";
}

/**
 * The stage is complete: it needs nothing of what it reads any more, unless it may run again. Returns those to which
 * that is news.
 */
export function letGo(state: State, stage: StageRecord): StageRecord[] {
  if (stage.links.length === 0 && stage.puts.length === 0) return none;
  if (mayRunAgain(stage)) return setOpen(stage, false);
  const upstreams = stage.links.map(({ upstream }) => upstream);
  unlinkStage(state, stage);
  return upstreams;
}

/**
 * Gives up the stage's results (L1). Returns the stage that has to be forgotten instead, if there are too many (L2).
 */
export function shelve(state: State, stage: StageRecord): StageRecord | undefined {
  for (const segment of [...stage.results]) {
    if (segment.r === "failed") continue;
    leaveResult(state, stage, segment);
    setStates(state, stage, segment.from, segment.to, taskState.shelved);
  }
  for (const entry of stage.dependents ?? []) unmeet(stage, entry);
  state.catalog.delete(stage);
  if (stage.job.kind !== "session") return undefined;
  const { shelved } = stage.job;
  shelved.add(stage);
  if (shelved.size <= limits.shelvedStagesMax) return undefined;
  for (const oldest of shelved) if (oldest !== stage) return oldest;
  return undefined;
}

function unshelve(stage: StageRecord): void {
  if (stage.job.kind === "session") stage.job.shelved.delete(stage);
}

interface Wanted {
  readonly stage: StageRecord;
  readonly from: number;
  readonly to: number;
}

/** Whether anything that the stage reads was given up. */
export const readsShelved = (stage: StageRecord): boolean =>
  stage.links.some(({ upstream }) => tallyOf(upstream, taskState.shelved) > 0);

/**
 * L3: shelved tasks that [from, to) of the stage read wait again. Returns the stages that may have tasks to queue now,
 * or the stage that has been forgotten and would be needed; nothing has changed then.
 */
export function revive(
  state: State,
  first: StageRecord,
  from: number,
  to: number,
): { revived: Wanted[] } | { gone: StageRecord } {
  const revived: Wanted[] = [];
  const seen = new Map<StageRecord, boolean[]>();
  const work: Wanted[] = [{ stage: first, from, to }];
  for (let item = work.pop(); item; item = work.pop()) {
    for (const link of item.stage.links) {
      const { upstream } = link;
      if (tallyOf(upstream, taskState.shelved) === 0) continue;
      for (const wanted of shelvedOf(link, item, seen)) {
        if (upstream.job.stages.get(upstream.index) !== upstream) return { gone: upstream };
        revived.push(wanted);
        work.push(wanted);
      }
    }
  }
  for (const { stage, from: start, to: end } of revived) {
    if (isStageComplete(stage)) setOpen(stage, true);
    setStates(state, stage, start, end, taskState.waiting);
    unshelve(stage);
    state.catalog.add(stage);
  }
  return { revived };
}

/** The shelved tasks that the tasks of `item` read through the link, each once. */
function* shelvedOf(
  { upstream, entry }: Link,
  item: Wanted,
  seen: Map<StageRecord, boolean[]>,
): IterableIterator<Wanted> {
  let marks = seen.get(upstream);
  if (!marks) {
    marks = [];
    seen.set(upstream, marks);
  }
  for (const { from, to } of readBy(upstream, entry, item.from, item.to)) yield* unmarked(upstream, from, to, marks);
}

function* unmarked(stage: StageRecord, from: number, to: number, marks: boolean[]): IterableIterator<Wanted> {
  for (let at = from; at < to; ) {
    const end = stage.states.runEnd(at, to);
    const isShelved = stage.states.at(at) === taskState.shelved;
    for (let start = at; isShelved && start < end; ) {
      let stop = start;
      const was = marks[start] === true;
      while (stop < end && (marks[stop] === true) === was) {
        marks[stop] = true;
        stop++;
      }
      if (!was) yield { stage, from: start, to: stop };
      start = stop;
    }
    at = end;
  }
}

/** Takes the stage out of every table. Returns the stages that it read, which may be needed no more. */
export function drop(state: State, stage: StageRecord): StageRecord[] {
  const upstreams = stage.links.length === 0 ? none : stage.links.map(({ upstream }) => upstream);
  unshelve(stage);
  dropStage(state, stage);
  return upstreams;
}
