/** Edges between stages as dependencies: which links a stage has, and whether they are met. */
import type { ObjectId } from "../../proto/ids.js";
import { splitObjectId } from "../../proto/ids.js";
import type { ArgSpec } from "../../proto/messages.js";
import { addDependent, type Dependent, removeDependent, type StageRecord, type State, tallyOf, taskState } from "./state.js";

/** Every argument, lists opened. */
export function* flatArgs(args: readonly ArgSpec[]): IterableIterator<Exclude<ArgSpec, { a: "list" }>> {
  for (const arg of args) {
    if (arg.a === "list") yield* flatArgs(arg.of);
    else yield arg;
  }
}

/** The stage that has or will have this object, if any job known has it. */
export function sourceOf(state: State, id: ObjectId): { stage: StageRecord; task: number } | undefined {
  const { base, index } = splitObjectId(id);
  let found: StageRecord | undefined;
  for (const stage of state.catalog.get(base) ?? []) {
    found ??= stage;
    if (stage.states.at(index) !== taskState.succeeded) continue;
    found = stage;
    break;
  }
  return found && index < found.spec.count ? { stage: found, task: index } : undefined;
}

/** Enters the stage's links. Throws nothing: what is unknown was refused at intake; objects that were put need no link. */
export function linkStage(state: State, stage: StageRecord): void {
  for (const arg of flatArgs(stage.spec.args)) {
    if (arg.a === "stage") {
      const upstream = stage.job.stages.get(arg.stage);
      if (upstream) link(stage, upstream, arg.edge === "one-to-one" ? "one-to-one" : "all", 0);
    } else if (arg.a === "task") {
      const upstream = stage.job.stages.get(arg.stage);
      if (upstream) link(stage, upstream, "task", arg.task);
    } else if (arg.a === "object" || arg.a === "items") {
      const id = arg.a === "object" ? arg.id : arg.object;
      if (state.puts.has(id) || stage.job.objects.some((facts) => facts.id === id)) continue;
      const source = sourceOf(state, id);
      if (source) link(stage, source.stage, "task", source.task);
    }
  }
  stage.blockers = unmetLinks(stage).length;
}

function link(stage: StageRecord, upstream: StageRecord, kind: Dependent["kind"], task: number): void {
  if (stage.links.some((l) => l.upstream === upstream && l.entry.kind === kind && l.entry.task === task)) return;
  const entry: Dependent = { stage, kind, task };
  addDependent(upstream, entry);
  stage.links.push({ upstream, entry });
}

export function unlinkStage(stage: StageRecord): void {
  for (const { upstream, entry } of stage.links) removeDependent(upstream, entry);
  stage.links.length = 0;
}

export function isMet(upstream: StageRecord, entry: Dependent): boolean {
  if (entry.kind === "all") return tallyOf(upstream, taskState.succeeded) === upstream.spec.count;
  return upstream.states.at(entry.task) === taskState.succeeded;
}

/** Links of the whole stage that are not met; one-to-one links are the tasks' own matter. */
export const unmetLinks = (stage: StageRecord): StageRecord["links"] =>
  stage.links.filter(({ upstream, entry }) => entry.kind !== "one-to-one" && !isMet(upstream, entry));

/** Whether task i's inputs are all there. */
export function isReady(stage: StageRecord, task: number): boolean {
  if (stage.blockers > 0) return false;
  for (const { upstream, entry } of stage.links) {
    if (entry.kind === "one-to-one" && upstream.states.at(task) !== taskState.succeeded) return false;
  }
  return true;
}
