/**
 * What one client can make the scheduler take: its memory by each of the largest single requests, on a scheduler that
 * has just started and has no worker to give work to; and three large durable jobs, kept and recovered.
 *
 * A request's figure is the highest resident memory until half a second after the answer, less what it was before.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "volley";
import { type LocalCluster, startLocalCluster } from "../../cluster/local/local-cluster.js";
import { rssBytes, watchRss } from "../processes.js";
import { type Measure, measure, type Suite, type SuiteOptions } from "../report.js";
import { Asker, singleRequests } from "./requests.js";

const jobs = 3;
const jobTasks = 500_000;
const mib = (bytes: number): number => bytes / 1024 / 1024;

export const memorySuite: Suite = {
  doc: "the scheduler's memory by the largest single requests, and with three durable jobs of 500,000 tasks",
  async run(options) {
    const grown = new Map<string, number[]>(singleRequests.map(({ name }) => [name, []]));
    const kept: number[] = [];
    const restarts: number[] = [];
    for (let repeat = 1; repeat <= options.repeats; repeat++) {
      options.log(`repeat ${repeat} of ${options.repeats}`);
      for (const { name } of singleRequests) grown.get(name)?.push(await growthBy(name, options));
      const { rss, restartMs } = await largeJobs();
      kept.push(mib(rss));
      restarts.push(restartMs);
    }
    return [
      ...[...grown].map(
        ([name, values]): Measure => measure(`scheduler memory added by ${name}`, "MiB", values, lower),
      ),
      measure(`scheduler memory with ${jobs} durable jobs of ${jobTasks} tasks`, "MiB", kept, lower),
      measure(`restart of the scheduler with them, until it answers`, "ms", restarts, lower),
    ];
  },
};

const lower = { better: "lower" } as const;

const schedulerOf = (local: LocalCluster): number => {
  const found = local.processes.find(({ name }) => name === "scheduler");
  if (!found) throw new Error("the cluster has no scheduler");
  return found.pid;
};

async function growthBy(name: string, { log }: SuiteOptions): Promise<number> {
  const local = await startLocalCluster({ workers: 1, slots: 1, gateway: false });
  const asker = await Asker.connect(local.url);
  try {
    local.kill("worker-1", "SIGSTOP");
    const request = singleRequests.find((one) => one.name === name);
    await request?.prepare(asker);
    await sleep(1_000);
    const pid = schedulerOf(local);
    const before = await rssBytes(pid);
    const watch = watchRss(pid, 5);
    await request?.run(asker);
    await sleep(500);
    const peak = await watch.stop();
    log(`${name}: ${mib(before).toFixed(1)} to ${mib(peak).toFixed(1)} MiB`);
    return mib(peak - before);
  } finally {
    local.kill("worker-1", "SIGCONT");
    await asker.close();
    await local.stop();
  }
}

async function largeJobs(): Promise<{ rss: number; restartMs: number }> {
  const local = await startLocalCluster({ workers: 2, slots: 1, gateway: false });
  try {
    {
      await using cluster = await connect({ url: local.url });
      const noop = await cluster.deploy<typeof import("../tasks/noop.js")>(
        new URL("../tasks/noop.js", import.meta.url),
      );
      for (let i = 0; i < jobs; i++) {
        const graph = cluster.graph(`job ${i}`);
        graph.map(
          noop.ignore,
          Array.from({ length: jobTasks }, (_, item) => item + i),
        );
        await (await cluster.run(graph)).done();
      }
    }
    const rss = await rssBytes(schedulerOf(local));
    const asker = await Asker.connect(local.url);
    const pid = schedulerOf(local);
    const from = performance.now();
    local.kill("scheduler");
    while (!(await answers(asker)) || schedulerOf(local) === pid) await sleep(20);
    const restartMs = performance.now() - from;
    const again = await rssBytes(schedulerOf(local));
    await asker.close();
    return { rss: Math.max(rss, again), restartMs };
  } finally {
    await local.stop();
  }
}

async function answers(asker: Asker): Promise<boolean> {
  try {
    return (await asker.ask({ t: "list", limit: 10 }, 1_000)).t === "jobs";
  } catch {
    return false;
  }
}
