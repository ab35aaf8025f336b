/**
 * Results that the client was not shown yet, but whose readers' results it was: a restarted scheduler must not make
 * them anew, for another value would not be the one that was read. Of a function that is pure, another execution gives
 * the same, as long as its own inputs are the same.
 */
import type { WireError } from "../proto/errors.js";
import type { ArgSpec } from "../proto/messages/stage.js";
import type { TaskRun } from "./results.js";
import type { StageRecord } from "./state.js";

export const readUnseen: WireError = {
  code: "SESSION_LOST",
  message:
    "the scheduler restarted before this result arrived, and what was made from it is here already; the task is not run again, because its function is not declared pure and might give another value",
};

/** The tasks of `upstream` that tasks `runs` of the reader take by this argument. */
function* taken(arg: ArgSpec, upstream: StageRecord, runs: readonly TaskRun[]): IterableIterator<TaskRun> {
  if (arg.a === "list") for (const inner of arg.of) yield* taken(inner, upstream, runs);
  else if (arg.a === "task" && arg.stage === upstream.index) yield { from: arg.task, to: arg.task + 1 };
  else if (arg.a === "stage" && arg.stage === upstream.index)
    yield* arg.edge === "one-to-one" ? runs : [{ from: 0, to: upstream.count }];
}

/** Notes with the inputs of a stage that are not here which of their tasks its results were made from. */
export function noteReads({ state, results }: StageRecord): void {
  if (state.s !== "open") return;
  let runs: TaskRun[] | undefined;
  for (const upstream of state.reads) {
    if (upstream.state.s !== "open") continue;
    runs ??= [...results.successes(), ...state.readUnseen];
    if (runs.length === 0) return;
    for (const arg of state.spec.args) upstream.state.readUnseen.push(...taken(arg, upstream, runs));
  }
}

/** Of a session that is opened anew: the runs of tasks that must not be made again. */
export function* readButUnseen(stages: Iterable<StageRecord>): IterableIterator<{ stage: StageRecord; run: TaskRun }> {
  // A stage reads stages of lower indexes alone: whoever read it has been looked at before it.
  const open = [...stages].filter((stage) => stage.state.s === "open").sort((a, b) => b.index - a.index);
  for (const stage of open) {
    noteReads(stage);
    if (stage.state.s !== "open" || stage.state.readUnseen.length === 0 || stage.state.spec.options.pure) continue;
    for (const { from, to } of stage.state.readUnseen)
      for (const run of [...stage.results.open(from, Math.min(to, stage.count))]) yield { stage, run };
  }
}
