/** `volley explain`: why a task is where it is, and what happened to it; or to a worker or a lease. */

import { UsageError } from "../../cluster/process/exit-codes.js";
import type { Explanation, StoryLine } from "../../proto/messages/explanation.js";
import { withCluster } from "./cluster.js";
import { formatDuration, type Output } from "./output.js";
import type { ClusterOptions } from "./program.js";

export async function explain(
  of: { readonly id?: string | undefined; readonly stage?: string | undefined; readonly task?: string | undefined },
  options: ClusterOptions & { readonly worker?: string; readonly lease?: string },
  output: Output,
): Promise<void> {
  const { id } = of;
  const { worker, lease } = options;
  const subject = worker !== undefined ? { worker } : lease !== undefined ? { lease } : undefined;
  if ((id === undefined) === (subject === undefined))
    throw new UsageError("expected a job, or --worker, or --lease: one of them");
  if (subject) {
    await withCluster(options, async (cluster) => {
      const lines = await cluster.story(subject);
      output.result(lines, () => storyLines(lines) || "nothing is kept of it");
    });
    return;
  }
  const stage = index("stage", of.stage);
  const task = index("task", of.task);
  await withCluster(options, async (cluster) => {
    const job = cluster.job(id as string);
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
  if (found.story) lines.push("", storyLines(found.story));
  return lines.join("\n");
}

/** `12:00:01.250 leased on w1 (lease 3.7), with 7 other tasks   [#12 beat of w1]` */
function storyLines(story: readonly StoryLine[]): string {
  return story
    .map(({ atMs, text, cause, worker, lease, tasks = 0 }) => {
      const at = atMs === 0 ? "before      " : new Date(atMs).toISOString().slice(11, 23);
      const where = [worker ? ` on ${worker}` : "", lease ? ` (lease ${lease})` : ""].join("");
      return `${at} ${text}${where}${tasks > 1 ? `, with ${tasks - 1} other tasks` : ""} [${cause}]`;
    })
    .join("\n");
}
