/** NATS comes back with an older copy of its storage, while a worker and a client that know better live on. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connect } from "../client/sdk/index.js";
import { patienceMs } from "../proto/testing/patience.js";
import { startOwnCluster } from "./own-cluster.js";
import type * as work from "./work.js";

test("the scheduler that starts from it says what it is, goes above what they have followed, and work goes on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "volley-restored-"));
  const copy = join(folder, "copy");
  const own = await startOwnCluster(["w1"], 1);
  const cluster = await connect({ url: own.url });
  try {
    const lib = await cluster.deploy<typeof work>(new URL("./work.js", import.meta.url));
    const log = join(folder, "log");
    const value = async (i: number): Promise<unknown> =>
      cluster.get(lib.step.submit(i, 1, log), { timeoutMs: patienceMs });
    expect(await value(1)).toMatchObject({ square: 1 });
    await own.stopNats();
    cpSync(own.natsStore, copy, { recursive: true });
    await own.startNats();
    // Two more epochs, and a job, that the copy knows nothing of.
    await own.restartScheduler();
    await own.restartScheduler();
    expect(await value(2)).toMatchObject({ square: 4 });
    const graph = cluster.graph("after the copy");
    graph.output(graph.map(lib.step, [0, 1], { shared: [1, log] }));
    const forgotten = await cluster.run(graph);
    await forgotten.done({ timeoutMs: patienceMs });

    await own.stopNats();
    rmSync(own.natsStore, { recursive: true });
    cpSync(copy, own.natsStore, { recursive: true });
    await own.startNats();
    await own.restartScheduler();

    expect(await value(3)).toMatchObject({ square: 9 });
    const again = cluster.graph("after the restore");
    again.output(again.map(lib.step, [4, 5], { shared: [1, log] }));
    const job = await cluster.run(again);
    expect(await job.done({ timeoutMs: patienceMs })).toMatchObject({ state: "succeeded" });
    expect(await job.results(0)).toMatchObject([{ square: 16 }, { square: 25 }]);
    await expect(cluster.job(forgotten.id).status()).rejects.toMatchObject({ code: "JOB_NOT_FOUND" });
    const said = own.schedulerLog.filter((line) => line.includes("the journal is an older copy"));
    expect(said.length).toBeGreaterThan(0);
    expect(said[0]).toContain("a worker has followed a scheduler of epoch 3");
  } finally {
    await cluster.close();
    await own.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
