/**
 * Workers that leave and workers that die, with results that cannot be made again and values that everybody reads:
 * nothing is lost that any worker that stays has or could have fetched.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Cluster, Library } from "../client/sdk/api.js";
import { connect } from "../client/sdk/index.js";
import type { LocalCluster } from "../cluster/local/local-cluster.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import { patienceMs } from "../proto/testing/patience.js";
import type * as work from "./work.js";

let local: LocalCluster;
let cluster: Cluster;
let lib: Library<typeof work>;

beforeEach(async () => {
  local = await startTestCluster({ workers: 2, slots: 1, gateway: false });
  cluster = await connect({ url: local.url });
  lib = await cluster.deploy<typeof work>(new URL("./work.js", import.meta.url));
});

afterEach(async () => {
  await cluster?.close();
  await local?.stop();
});

const pidOf = (name: string): number | undefined => local.processes.find((process) => process.name === name)?.pid;

test("a worker that is asked to leave takes no result with it", async () => {
  const draws = lib.draw.map(
    Array.from({ length: 12 }, (_, i) => i),
    { shared: [20, 200_000, "/dev/null"] },
  );
  const seen = await cluster.get(lib.fingerprints.submit(draws));
  const left = pidOf("worker-1");
  local.kill("worker-1", "SIGTERM");
  // It is gone when its supervisor has started another in its place.
  await expect.poll(() => pidOf("worker-1")).not.toBe(left);
  const values = await cluster.get(draws);
  expect(values.map((value) => value.byteLength)).toEqual(new Array(12).fill(200_000));
  expect(await cluster.get(lib.fingerprints.submit(draws))).toEqual(seen);
});

test.each(["worker-1", "worker-2"])(
  "a sweep over one value that all tasks read survives the death of %s",
  async (victim) => {
    const prices = Float64Array.from({ length: 200_000 }, (_, i) => i);
    const shared = await cluster.put(prices);
    const sweep = lib.quote.map(
      Array.from({ length: 60 }, (_, i) => i),
      { shared: [shared, 60] },
    );
    await expect
      .poll(async () => (await cluster.workers()).workers.filter((worker) => worker.tasksDone > 3).length, {
        timeout: patienceMs,
      })
      .toBe(2);
    local.kill(victim);
    expect(await cluster.get(sweep)).toEqual(Array.from({ length: 60 }, (_, i) => i));
  },
);
