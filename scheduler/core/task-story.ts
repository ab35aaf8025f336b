/** The story of tasks, as their states change. */
import { InvariantViolation } from "../../proto/errors.js";
import { lineText, type Stories } from "./stories.js";
import { type TaskState, taskState, taskStateName } from "./task-states.js";
import { taskMachine } from "./transitions.js";

interface Emitted {
  readonly stories: Stories;
}
interface Stage {
  readonly job: { readonly id: string };
  readonly index: number;
  readonly failureRecords: ReadonlyMap<number, unknown>;
}

/** Steps of a task with which nothing is wrong, by 8 * from + to. */
const smooth = new Set([
  8 * taskState.waiting + taskState.queued,
  8 * taskState.waiting + taskState.succeeded,
  8 * taskState.leased + taskState.succeeded,
]);
const whys: string[] = new Array<string>(64).fill("");
for (const from of Object.values(taskState))
  for (const [to, why] of Object.entries(taskMachine.steps[taskStateName(from)]))
    whys[8 * from + taskState[to as keyof typeof taskState]] = `${to}: ${why}`;

/** To be called when tasks [from, to) have changed their state. A grant is told by its lease. */
export function addStep(
  { stories }: Emitted,
  stage: Stage,
  from: number,
  to: number,
  before: TaskState,
  next: TaskState,
): void {
  if (next === taskState.leased) return;
  const step = 8 * before + next;
  const wrong = !smooth.has(step) || stage.failureRecords.has(from);
  stories.addTasks(whys[step] as string, stage.job.id, stage.index, from, to, wrong);
}

/** A step that is not in the table: a bug, told with what the task went through. */
export function refuseStep({ stories }: Emitted, stage: Stage, task: number, from: TaskState, to: TaskState): never {
  const { id } = stage.job;
  const story = stories.ofTask(id, stage.index, task).map((line) => `\n  ${lineText(line)}`);
  throw new InvariantViolation(
    `task ${task} of stage ${stage.index} of ${id} cannot go from ${taskStateName(from)} to ${taskStateName(to)}` +
      ` [${stories.cause.what}]; its story:${story.join("") || " none is kept"}`,
  );
}
