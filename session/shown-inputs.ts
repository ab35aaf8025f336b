/**
 * Results that the client was not shown yet, but whose readers' results it was: a restarted scheduler must not make
 * them anew, for another value would not be the one that was read. Of a function that is pure, another execution gives
 * the same, as long as its own inputs are the same.
 */
import { type ArgLeaf, leavesOf } from "../proto/args.js";
import { cutEach } from "../proto/each.js";
import type { WireError } from "../proto/errors.js";
import type { TaskRun } from "./results.js";
import type { StageRecord } from "./state.js";

export const readUnseen: WireError = {
  code: "SESSION_LOST",
  message:
    "the scheduler restarted before this result arrived, and what was made from it is here already; the task is not run again, because its function is not declared pure and might give another value",
};

/** What tasks `runs` of the reader take by this argument: tasks [from, to) of a stage. */
function* taken(leaf: ArgLeaf, runs: readonly TaskRun[]): IterableIterator<[stage: number, from: number, to: number]> {
  if (leaf.a === "task") yield [leaf.stage, leaf.task, leaf.task + 1];
  else if (leaf.a === "stage" && leaf.edge !== "one-to-one") yield [leaf.stage, 0, Number.POSITIVE_INFINITY];
  else if (leaf.a === "stage") for (const { from, to } of runs) yield [leaf.stage, from, to];
  else if (leaf.a === "each") {
    for (const { from, to } of runs)
      for (const run of cutEach(leaf.of, from, to))
        if (typeof run !== "string") yield [run[0], run[1], run[1] + run[2]];
  }
}

/** Notes with the inputs of a stage that are not here which of their tasks its results were made from. */
export function markReads({ state, results }: StageRecord): void {
  if (state.s !== "open") return;
  const open = new Map<number, StageRecord>();
  for (const upstream of state.reads) if (upstream.state.s === "open") open.set(upstream.index, upstream);
  if (open.size === 0) return;
  const runs = [...results.successes(), ...state.readUnseen];
  if (runs.length === 0) return;
  for (const leaf of leavesOf(state.spec.args)) {
    for (const [index, from, to] of taken(leaf, runs)) {
      const upstream = open.get(index);
      if (upstream?.state.s === "open") upstream.state.readUnseen.push({ from, to: Math.min(to, upstream.count) });
    }
  }
}

/** Of a session that is opened anew: the runs of tasks that must not be made again. */
export function* readButUnseen(stages: Iterable<StageRecord>): IterableIterator<{ stage: StageRecord; run: TaskRun }> {
  // A stage reads stages of lower indexes alone: whoever read it has been looked at before it.
  const open = [...stages].filter((stage) => stage.state.s === "open").sort((a, b) => b.index - a.index);
  for (const stage of open) {
    markReads(stage);
    if (stage.state.s !== "open" || stage.state.readUnseen.length === 0 || stage.state.spec.options.pure) continue;
    for (const { from, to } of stage.state.readUnseen)
      for (const run of [...stage.results.open(from, Math.min(to, stage.count))]) yield { stage, run };
  }
}
