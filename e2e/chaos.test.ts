/**
 * Durable jobs while processes are killed.
 *
 * One cluster of real processes; one graph: 48 steps → 48 tables (one-to-one, too large to travel inline) → their total
 * (all). It runs undisturbed first. Then it runs again while a worker, the scheduler, nats-server, and at last all of
 * them in turn are killed with SIGKILL. Each time the job must end with the undisturbed digest and the values computed
 * here, every task committed exactly once in the journal, and no task that was committed before the kill may run again.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Cluster, Job, Library } from "../client/sdk/api.js";
import { connect } from "../client/sdk/index.js";
import type { LocalCluster } from "../cluster/local/local-cluster.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import { openDurable } from "../proto/durable/nats.js";
import type { JobStatus } from "../proto/messages/status.js";
import { patienceMs } from "../proto/testing/patience.js";
import { connectNats } from "../proto/transport/nats.js";
import { EntryReader } from "../scheduler/shell/journal-format.js";
import { until } from "./until.js";
import type * as work from "./work.js";
import { total, widen } from "./work.js";

const tasks = 48;
const stepMs = 150;

let local: LocalCluster;
let cluster: Cluster;
let lib: Library<typeof work>;
let folder: string;
let undisturbed: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "volley-chaos-"));
  local = await startTestCluster({ workers: 2, slots: 2, gateway: false });
  cluster = await connect({ url: local.url });
  lib = await cluster.deploy<typeof work>(new URL("./work.js", import.meta.url));
});

afterAll(async () => {
  await cluster?.close();
  await local?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

async function start(name: string): Promise<{ job: Job; log: string }> {
  const log = join(folder, name);
  const graph = cluster.graph(name);
  const items = Array.from({ length: tasks }, (_, i) => i);
  const steps = graph.map(lib.step, items, { shared: [stepMs, log], name: "step" });
  const tables = graph.each(lib.widen, steps, { name: "widen" });
  graph.output(steps, tables, graph.all(lib.total, tables, { name: "total" }));
  return { job: await cluster.run(graph), log };
}

const executions = (log: string): number[] => {
  const counts = new Array<number>(tasks).fill(0);
  for (const line of readFileSync(log, "utf8").trim().split("\n")) {
    const i = Number(line.split(" ")[1]);
    counts[i] = (counts[i] ?? 0) + 1;
  }
  return counts;
};

/** Tasks of stage 0 whose results are committed right now. */
async function committed(job: Job): Promise<Set<number>> {
  const done = new Set<number>();
  for (let i = 0; i < tasks; i++) if ((await job.explain(0, i)).state === "succeeded") done.add(i);
  return done;
}

/** How often the journal says that each task was committed, straight from the stream. */
async function commitsInJournal(id: string): Promise<Map<string, number>> {
  const transport = await connectNats({ url: local.urls.scheduler, name: "chaos-test" });
  try {
    const durable = await openDurable(transport);
    const counts = new Map<string, number>();
    const reader = new EntryReader();
    for await (const { seq, data } of durable.journal.read(0)) {
      for (const record of reader.read(seq, data)) {
        if (record.k !== "commit" || record.job !== id) continue;
        for (let i = record.segment.from; i < record.segment.to; i++) {
          const key = `${record.segment.stage}/${i}`;
          counts.set(key, (counts.get(key) ?? 0) + 1);
        }
      }
    }
    return counts;
  } finally {
    await transport.close();
  }
}

async function expectExactlyOnce(job: Job, status: JobStatus): Promise<void> {
  expect(status).toMatchObject({
    state: "succeeded",
    tasks: 2 * tasks + 1,
    succeeded: 2 * tasks + 1,
    executed: 2 * tasks + 1,
    digest: undisturbed,
  });
  const counts = await commitsInJournal(job.id);
  expect(counts.size).toBe(2 * tasks + 1);
  expect([...counts].filter(([, times]) => times !== 1)).toEqual([]);
  expect(await job.results(0)).toEqual(
    Array.from({ length: tasks }, (_, i) => ({ i, square: i * i, text: `value ${i}` })),
  );
  const expected = total(Array.from({ length: tasks }, (_, i) => widen({ i, square: i * i })));
  expect(await job.results(2)).toEqual([expected]);
}

test("undisturbed", async () => {
  const { job, log } = await start("undisturbed");
  const status = await job.done({ timeoutMs: patienceMs });
  undisturbed = status.digest as string;
  expect(undisturbed).toMatch(/^[0-9a-f]{64}$/);
  await expectExactlyOnce(job, status);
  expect(executions(log).every((times) => times === 1)).toBe(true);
});

for (const victim of ["worker-1", "scheduler", "nats"]) {
  test(`${victim} is killed in the middle`, async () => {
    const { job, log } = await start(victim);
    await until(job, 10);
    const before = await committed(job);
    local.kill(victim);
    const status = await job.done({ timeoutMs: patienceMs });
    await expectExactlyOnce(job, status);
    const runs = executions(log);
    expect(runs.every((times) => times >= 1)).toBe(true);
    expect([...before].filter((i) => runs[i] !== 1)).toEqual([]);
    expect(before.size).toBeGreaterThan(5);
  });
}

test("all of them are killed in turn", async () => {
  const { job } = await start("all");
  await until(job, 5);
  local.kill("worker-2");
  await until(job, 15);
  local.kill("scheduler");
  await until(job, 25);
  local.kill("nats");
  await until(job, 35);
  local.kill("worker-1");
  local.kill("scheduler");
  await expectExactlyOnce(job, await job.done({ timeoutMs: patienceMs }));
});
