/** A job's progress: a bar on a terminal, lines elsewhere, nothing with --json. */
import type { JobStatus } from "../../proto/messages/status.js";
import type { Job } from "../sdk/api.js";
import { formatDuration, type Output } from "./output.js";

const lineIntervalMs = 1_000;

/** Resolves with the terminal status. `signal`: when it comes, the terminal is left as it was. */
export async function followJob(job: Job, output: Output, signal?: AbortSignal): Promise<JobStatus> {
  const show = output.json ? silent() : process.stderr.isTTY ? await bar() : lines(output);
  let last: JobStatus | undefined;
  signal?.addEventListener("abort", show.end, { once: true });
  try {
    for await (const status of job.progress()) {
      last = status;
      if (!signal?.aborted) show.update(status);
    }
  } finally {
    signal?.removeEventListener("abort", show.end);
    if (!signal?.aborted) show.end();
  }
  return last ?? job.status();
}

interface View {
  update(status: JobStatus): void;
  readonly end: () => void;
}

const silent = (): View => ({ update: () => {}, end: () => {} });

async function bar(): Promise<View> {
  const { SingleBar, Presets } = (await import("cli-progress")).default;
  const view = new SingleBar(
    {
      format: "{bar} {percentage}%  {value}/{total} tasks  {state}  {detail}",
      hideCursor: true,
      clearOnComplete: false,
      stream: process.stderr,
    },
    Presets.shades_classic,
  );
  let started = false;
  return {
    update(status) {
      const payload = { state: status.state, detail: detailOf(status) };
      if (started) view.update(status.succeeded, payload);
      else view.start(status.tasks, status.succeeded, payload);
      started = true;
    },
    end: () => view.stop(),
  };
}

function lines(output: Output): View {
  let shownAtMs = Number.NEGATIVE_INFINITY;
  let shownState = "";
  return {
    update(status) {
      const now = performance.now();
      if (status.state === shownState && now - shownAtMs < lineIntervalMs) return;
      shownAtMs = now;
      shownState = status.state;
      output.note(
        `${status.job}: ${status.state}, ${status.succeeded}/${status.tasks} tasks${detailOf(status) ? ` (${detailOf(status)})` : ""}`,
      );
    },
    end: () => {},
  };
}

function detailOf(status: JobStatus): string {
  const parts: string[] = [];
  const running = status.stages.reduce((sum, stage) => sum + stage.running, 0);
  const failed = status.stages.reduce((sum, stage) => sum + stage.failed, 0);
  if (running > 0) parts.push(`${running} running`);
  if (status.reused > 0) parts.push(`${status.reused} reused`);
  if (status.retried > 0) parts.push(`${status.retried} retried`);
  if (failed > 0) parts.push(`${failed} failed`);
  if (status.endedAtMs !== undefined) parts.push(formatDuration(status.endedAtMs - status.submittedAtMs));
  return parts.join(", ");
}
