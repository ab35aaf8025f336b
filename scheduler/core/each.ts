/**
 * Tasks that take objects one by one (`each`): where each comes from, and which tasks a result, a failure or a loss of
 * another stage concerns. What is asked of one task or one result costs a search, not a walk over all.
 */

import { beginningsOf, runAt } from "../../proto/each.js";
import { isAway } from "./put-record.js";
import type { Dependent, EachInput, StageRecord } from "./state.js";
import { taskState } from "./task-states.js";

/** Whether task i's object is there, and the end of the run of tasks, at most `to`, of which the same is true. */
export function isThere({ of, sources }: EachInput, task: number, to: number): { there: boolean; end: number } {
  const position = runAt(of, task);
  const starts = beginningsOf(of);
  const end = Math.min(to, starts[position + 1] as number);
  const source = sources[position];
  if (source === undefined) return { there: true, end };
  if ("put" in source) return { there: !isAway(source.put), end };
  const at = source.task + task - (starts[position] as number);
  const { states } = source.upstream;
  return { there: states.at(at) === taskState.succeeded, end: task + states.runEnd(at, at + end - task) - at };
}

/** The stages that task i waits for. */
export function* awaitedBy(stage: StageRecord, task: number): IterableIterator<StageRecord> {
  for (const { upstream } of stage.perTask) if (upstream.states.at(task) !== taskState.succeeded) yield upstream;
  for (const input of stage.each) {
    const source = input.sources[runAt(input.of, task)];
    if (source && "upstream" in source && !isThere(input, task, task + 1).there) yield source.upstream;
  }
}

/** The tasks of the dependent that a change of its upstream's tasks [from, to) concerns. */
export function* concerned(entry: Dependent, from: number, to: number): IterableIterator<{ from: number; to: number }> {
  if (entry.kind === "one-to-one") yield { from, to };
  else if (entry.kind === "each") yield* entry.picks.readersOf(from, to);
  else yield { from: 0, to: entry.stage.spec.count };
}

/** The upstream's tasks that the dependent's tasks [from, to) read. */
export function* readBy(
  upstream: StageRecord,
  entry: Dependent,
  from: number,
  to: number,
): IterableIterator<{ from: number; to: number }> {
  if (entry.kind === "one-to-one") yield { from, to };
  else if (entry.kind === "each") yield* entry.picks.readBy(from, to);
  else if (entry.kind === "all") yield { from: 0, to: upstream.spec.count };
  else yield { from: entry.task, to: entry.task + 1 };
}
