/** `volley explain`: why a task is where it is. */

import { UsageError } from "../../cluster/process/exit-codes.js";
import type { Explanation } from "../../proto/messages/explanation.js";
import { withCluster } from "./cluster.js";
import { formatDuration, type Output } from "./output.js";
import type { ClusterOptions } from "./program.js";

export async function explain(
  id: string,
  stageText: string | undefined,
  taskText: string | undefined,
  options: ClusterOptions,
  output: Output,
): Promise<void> {
  const stage = index("stage", stageText);
  const task = index("task", taskText);
  await withCluster(options, async (cluster) => {
    const job = cluster.job(id);
    const found = await job.explain(stage ?? (await firstUnended(job)), task);
    output.result(found, () => explanationLines(found));
  });
}

function index(what: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < 0)
    throw new UsageError(`${what} is ${JSON.stringify(text)}: expected a whole number from 0`);
  return value;
}

async function firstUnended(job: {
  status(): Promise<{
    stages: readonly { index: number; waiting: number; queued: number; running: number; failed: number }[];
  }>;
}): Promise<number> {
  const { stages } = await job.status();
  const open = stages.find((stage) => stage.failed + stage.running + stage.queued + stage.waiting > 0);
  return (open ?? stages.at(-1))?.index ?? 0;
}

function explanationLines(found: Explanation): string {
  const lines = [
    `stage ${found.stage}, task ${found.task} of ${found.job}: ${found.state} (${found.reason})`,
    found.text,
    `attempt ${found.attempt}`,
  ];
  if (found.worker) lines.push(`on ${found.worker}, lease ${found.lease ?? "none"}`);
  for (const { stage, missing } of found.unmet ?? []) lines.push(`waits for ${missing} tasks of stage ${stage}`);
  if (found.queueAhead !== undefined) lines.push(`${found.queueAhead} tasks ahead in the queue`);
  if (found.retryInMs !== undefined) lines.push(`tried again in ${formatDuration(found.retryInMs)}`);
  return lines.join("\n");
}
