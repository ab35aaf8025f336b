/**
 * Results that the client was not shown yet, but whose readers' results it was: a restarted scheduler must not make
 * them anew, for another value would not be the one that was read. Of a function that is pure, another execution gives
 * the same, as long as its own inputs are the same.
 */
import type { WireError } from "../../proto/errors.js";
import type { ArgSpec } from "../../proto/messages/stage.js";
import type { ClientStage } from "./stage.js";

type Run = { readonly from: number; readonly to: number };

const readUnseen: WireError = {
  code: "SESSION_LOST",
  message:
    "the scheduler restarted before this result arrived, and what was made from it is here already; the task is not run again, because its function is not declared pure and might give another value",
};

/** The tasks of `upstream` that tasks `runs` of the reader take by this argument. */
function* taken(arg: ArgSpec, upstream: ClientStage, runs: readonly Run[]): IterableIterator<Run> {
  if (arg.a === "list") for (const inner of arg.of) yield* taken(inner, upstream, runs);
  else if (arg.a === "task" && arg.stage === upstream.index) yield { from: arg.task, to: arg.task + 1 };
  else if (arg.a === "stage" && arg.stage === upstream.index)
    yield* arg.edge === "one-to-one" ? runs : [{ from: 0, to: upstream.count }];
}

/** Notes with the inputs of a stage that are not here which of their tasks its results were made from. */
export function noteReads(stage: ClientStage): void {
  if (stage.reads.length === 0 || !stage.spec) return;
  let runs: Run[] | undefined;
  for (const { stage: upstream } of stage.reads) {
    if (upstream.complete) continue;
    runs ??= [...stage.results.successes(), ...stage.readUnseen];
    if (runs.length === 0) return;
    for (const arg of stage.spec.args) upstream.readUnseen.push(...taken(arg, upstream, runs));
  }
}

/** Of a session that is opened anew: ends what must not be made again. Returns the stages that have ended by it. */
export function endReadUnseen(stages: Iterable<ClientStage>): ClientStage[] {
  // A stage reads stages of lower indexes alone: whoever read it has been looked at before it.
  const open = [...stages].filter((stage) => !stage.complete && !stage.build).sort((a, b) => b.index - a.index);
  const ended: ClientStage[] = [];
  for (const stage of open) {
    noteReads(stage);
    if (stage.readUnseen.length === 0 || stage.spec?.options.pure) continue;
    for (const { from, to } of stage.readUnseen) {
      for (const run of [...stage.results.open(from, Math.min(to, stage.count))])
        stage.results.accept({ r: "failed", stage: stage.index, ...run, error: readUnseen });
    }
    if (stage.complete) ended.push(stage);
  }
  return ended;
}
