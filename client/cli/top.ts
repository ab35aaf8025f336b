/** `volley top`: workers, queue and running jobs, again and again. */
import { engineFamily } from "../../proto/engine.js";
import type { JobStatus, WorkerStatus } from "../../proto/messages/status.js";
import { sleep } from "../../proto/timer.js";
import type { Cluster } from "../sdk/api.js";
import { withCluster } from "./cluster.js";
import { jobTable } from "./job-text.js";
import { formatBytes, formatTable, type Output } from "./output.js";
import type { ClusterOptions } from "./program.js";

const jobsShown = 10;

interface Snapshot {
  readonly workers: readonly WorkerStatus[];
  readonly queued: number;
  readonly running: number;
  readonly jobs: readonly JobStatus[];
}

/** With --json one snapshot; else until Ctrl-C. */
export async function top(
  options: ClusterOptions & { once?: boolean; interval: number },
  output: Output,
): Promise<void> {
  await withCluster(options, async (cluster, interrupted) => {
    for (;;) {
      const snapshot = await take(cluster);
      const once = options.once || output.json;
      if (!once && process.stdout.isTTY) process.stdout.write("\x1b[H\x1b[2J");
      output.result(snapshot, () => `${lines(snapshot)}\n${once ? "" : "\n"}`);
      if (once) return;
      await Promise.race([sleep(options.interval), interrupted.promise]);
    }
  });
}

async function take(cluster: Cluster): Promise<Snapshot> {
  const [load, jobs] = await Promise.all([cluster.workers(), cluster.jobs({ limit: jobsShown })]);
  return { ...load, jobs };
}

function lines({ workers, queued, running, jobs }: Snapshot): string {
  const slots = workers.reduce((sum, worker) => sum + worker.slots, 0);
  const busy = workers.reduce((sum, worker) => sum + worker.slotsBusy, 0);
  const rows = workers.map((worker) => [
    worker.worker,
    worker.node,
    worker.pid,
    worker.engine ? `${worker.engine.runtime} ${worker.engine.arch}` : "?",
    worker.volley ?? "?",
    `${worker.slotsBusy}/${worker.slots}`,
    worker.leases,
    worker.tasksDone,
    `${formatBytes(worker.storeBytes)} of ${formatBytes(worker.storeBudgetBytes)}`,
    formatBytes(worker.spilledBytes),
    worker.draining ? "draining" : "",
  ]);
  const families = new Set(workers.map((worker) => engineFamily(worker.engine)));
  return [
    `${workers.length} ${workers.length === 1 ? "worker" : "workers"}, ${busy} of ${slots} slots busy, ${running} tasks running, ${queued} queued`,
    "",
    workers.length === 0
      ? "no workers"
      : formatTable(
          ["worker", "node", "pid", "engine", "volley", "busy", "leases", "done", "store", "spilled", ""],
          rows,
        ),
    ...(families.size > 1
      ? [
          "",
          `${families.size} kinds of engines: code of yours that uses ** or Math.exp and their like may give other bits on each`,
        ]
      : []),
    "",
    jobs.length === 0 ? "no jobs" : jobTable(jobs),
  ].join("\n");
}
