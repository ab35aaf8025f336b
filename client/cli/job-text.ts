/** How jobs are shown to a person. */
import type { JobStatus } from "../../proto/messages/status.js";
import { formatBytes, formatDuration, formatTable } from "./output.js";

/** The times are the scheduler's; of a running job, our clock need not agree with them. */
const ageMs = (status: JobStatus): number => Math.max(0, (status.endedAtMs ?? Date.now()) - status.submittedAtMs);

export function jobLines(status: JobStatus): string {
  const head = [
    `job      ${status.job}  (${status.name})`,
    `state    ${status.state}${status.error ? `: ${status.error.code}: ${status.error.message}` : ""}`,
    `tasks    ${status.succeeded} of ${status.tasks} done; ${status.executed} executed, ${status.reused} reused, ${status.retried} retried`,
    `time     ${formatDuration(ageMs(status))}, ${formatDuration(status.slotTimeUs / 1000)} of slot time`,
    `results  ${formatBytes(status.resultBytes)}${status.digest ? `, digest ${status.digest}` : ""}`,
  ];
  const stages = formatTable(
    ["stage", "name", "tasks", "waiting", "queued", "running", "done", "failed", "reused", "retried"],
    status.stages.map((stage) => [
      stage.index,
      stage.name,
      stage.count,
      stage.waiting,
      stage.queued,
      stage.running,
      stage.succeeded,
      stage.failed,
      stage.reused,
      stage.retried,
    ]),
  );
  return [...head, "", stages].join("\n");
}

export function jobTable(jobs: readonly JobStatus[]): string {
  return formatTable(
    ["job", "name", "state", "tasks", "done", "submitted", "time"],
    jobs.map((status) => [
      status.job,
      status.name,
      status.state,
      status.tasks,
      status.succeeded,
      new Date(status.submittedAtMs).toISOString().slice(0, 19).replace("T", " "),
      formatDuration(ageMs(status)),
    ]),
  );
}
