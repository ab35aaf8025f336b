/**
 * The demo's sweep on one worker and on two, one slot each: what the second brings, and what processor time each role
 * takes of it.
 *
 * Both clusters run all the time, and take turns. Each repeat sweeps prices of its own (a day less than the one
 * before), so that nothing is reused; a first sweep, not counted, loads and compiles what there is. A sweep's time is
 * the scheduler's, from submission to end.
 */
import { readFile } from "node:fs/promises";
import type { Table } from "apache-arrow";
import { type Cluster, connect } from "volley";
import { sweepGraph } from "../../client/cli/demo/plan.js";
import { type LocalCluster, startLocalCluster } from "../../cluster/local/local-cluster.js";
import { loadCsv } from "../../data/ingest/index.js";
import { resolveKernel } from "../../kernels/catalog/catalog.js";
import { parseGraph } from "../../proto/graph.js";
import { cpuSeconds } from "../processes.js";
import { type Measure, measure, median, type Suite } from "../report.js";

interface Sweep {
  readonly seconds: number;
  /** Processor seconds. */
  readonly cpu: {
    readonly workers: number;
    readonly scheduler: number;
    readonly nats: number;
    readonly client: number;
  };
}

export const demoSuite: Suite = {
  doc: "the demo's sweep on one worker and on two: how much faster, and who takes processor time",
  async run({ repeats, log }) {
    const prices = await loadCsv(await readFile(new URL("../../client/cli/demo/sp500-2000.csv", import.meta.url)));
    const one = await startLocalCluster({ workers: 1, slots: 1, gateway: false });
    const two = await startLocalCluster({ workers: 2, slots: 1, gateway: false });
    const sweeps = { one: [] as Sweep[], two: [] as Sweep[] };
    try {
      await using onOne = await connect({ url: one.url });
      await using onTwo = await connect({ url: two.url });
      for (let repeat = 0; repeat <= repeats; repeat++) {
        log(repeat === 0 ? "loading" : `repeat ${repeat} of ${repeats}`);
        const table = prices.table.slice(repeat);
        const ofOne = await sweep(one, onOne, table);
        const ofTwo = await sweep(two, onTwo, table);
        if (repeat === 0) continue;
        sweeps.one.push(ofOne);
        sweeps.two.push(ofTwo);
      }
    } finally {
      await Promise.all([one.stop(), two.stop()]);
    }
    return measuresOf(sweeps.one, sweeps.two);
  },
};

async function sweep(local: LocalCluster, cluster: Cluster, prices: Table): Promise<Sweep> {
  const ref = await cluster.put(prices, { durable: true });
  const graph = parseGraph(sweepGraph(ref.id), resolveKernel);
  const before = await cpuOf(local);
  const job = await cluster.run(graph);
  const { submittedAtMs, endedAtMs, state, reused } = await job.done();
  const after = await cpuOf(local);
  if (endedAtMs === undefined || state !== "succeeded" || reused > 0)
    throw new Error(`the sweep ${state}, with ${reused} results of another`);
  return {
    seconds: (endedAtMs - submittedAtMs) / 1_000,
    cpu: {
      workers: after.workers - before.workers,
      scheduler: after.scheduler - before.scheduler,
      nats: after.nats - before.nats,
      client: after.client - before.client,
    },
  };
}

async function cpuOf(local: LocalCluster): Promise<Sweep["cpu"]> {
  const used = { workers: 0, scheduler: 0, nats: 0, client: await cpuSeconds(process.pid) };
  for (const { role, pid } of local.processes) {
    const seconds = await cpuSeconds(pid);
    if (role === "worker") used.workers += seconds;
    else if (role === "scheduler" || role === "nats") used[role] += seconds;
  }
  return used;
}

function measuresOf(one: readonly Sweep[], two: readonly Sweep[]): Measure[] {
  const note = `medians of processor seconds a sweep: one worker ${costs(one)}; two ${costs(two)}`;
  const share = (sweeps: readonly Sweep[]): number[] =>
    sweeps.map(({ seconds, cpu }) => (100 * (cpu.scheduler + cpu.nats + cpu.client)) / seconds);
  return [
    measure(
      "demo's sweep, 1 worker of 1 slot",
      "s",
      one.map(({ seconds }) => seconds),
      { better: "lower" },
    ),
    measure(
      "demo's sweep, 2 workers of 1 slot",
      "s",
      two.map(({ seconds }) => seconds),
      { better: "lower" },
    ),
    measure(
      "demo's sweep, as fast on 2 workers as on 1",
      "x",
      two.map(({ seconds }, i) => (one[i] as Sweep).seconds / seconds),
      { better: "higher", note },
    ),
    measure("demo's sweep, scheduler, nats and client, 1 worker", "% of a core", share(one), { better: "lower" }),
    measure("demo's sweep, scheduler, nats and client, 2 workers", "% of a core", share(two), { better: "lower" }),
  ];
}

function costs(sweeps: readonly Sweep[]): string {
  const of = (role: keyof Sweep["cpu"]): string => `${role} ${median(sweeps.map(({ cpu }) => cpu[role])).toFixed(2)}`;
  return [of("workers"), of("scheduler"), of("nats"), of("client")].join(", ");
}
