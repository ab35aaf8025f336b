/**
 * A worker that is killed and started again under its own name, as pods and units are: twenty times, at once, while it
 * works.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connect } from "../client/sdk/index.js";
import { patienceMs } from "../proto/testing/patience.js";
import { startOwnCluster } from "./own-cluster.js";
import type * as work from "./work.js";

const restarts = 20;
const tasks = 300;

test("every task ends with its value, in a session and in a durable job, however often their worker begins anew", async () => {
  const folder = mkdtempSync(join(tmpdir(), "volley-names-"));
  const own = await startOwnCluster(["w1", "w2"], 2);
  const cluster = await connect({ url: own.url });
  try {
    const lib = await cluster.deploy<typeof work>(new URL("./work.js", import.meta.url));
    const items = Array.from({ length: tasks }, (_, i) => i);
    const values = items.map((i) => ({ i, square: i * i, text: `value ${i}` }));
    const graph = cluster.graph("restarts");
    graph.output(graph.map(lib.step, items, { shared: [120, join(folder, "job")], name: "step" }));
    const job = await cluster.run(graph);
    const mapped = cluster.get(lib.step.map(items, { shared: [120, join(folder, "session")] }));
    for (let i = 0; i < restarts; i++) await own.restartWorker("w1");
    expect(await mapped).toEqual(values);
    expect(await job.done({ timeoutMs: patienceMs })).toMatchObject({ state: "succeeded", succeeded: tasks });
    expect(await job.results(0)).toEqual(values);
    expect((await cluster.workers()).workers.map(({ worker }) => worker).sort()).toEqual(["w1", "w2"]);
    // Each was noticed for what it was, not for its silence.
    const lost = own.schedulerLog.filter((line) => line.includes("worker lost"));
    expect(lost.filter((line) => line.includes('"how":"superseded"'))).toHaveLength(restarts);
    expect(lost).toHaveLength(restarts);
  } finally {
    await cluster.close();
    await own.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
