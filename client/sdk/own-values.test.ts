/** What the caller passes is what it was when it was passed, and what the caller gets is its own. */
import { tableFromArrays } from "apache-arrow";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LocalCluster } from "../../cluster/local/local-cluster.js";
import { startTestCluster } from "../../cluster/local/testing/test-cluster.js";
import type { Cluster, Library } from "./api.js";
import { connect } from "./connect.js";

type Tasks = Library<typeof import("./testing/fixture-tasks.js")>;

let local: LocalCluster;
let cluster: Cluster;
let tasks: Tasks;
beforeAll(async () => {
  local = await startTestCluster({ workers: 1, slots: 1, gateway: false });
  cluster = await connect({ url: local.url });
  tasks = await cluster.deploy<typeof import("./testing/fixture-tasks.js")>(
    new URL("./testing/fixture-tasks.js", import.meta.url),
  );
});
afterAll(async () => {
  await cluster?.close();
  await local?.stop();
});

test.each([100, 20_000, 400_000])(
  "arguments of %i bytes that are changed after the call arrive as they were",
  async (n) => {
    const values: ArrayLike<number>[] = [
      new Uint8Array(n).fill(1),
      new Float64Array(n / 8).fill(1),
      Array.from({ length: n / 4 }, () => 1),
    ];
    for (const value of values) {
      const refs = [tasks.firstOf.submit(value), ...tasks.firstOf.map([value, value]), tasks.firstOf.submit(value)];
      const graph = cluster.graph("own");
      graph.stage(tasks.firstOf, [value]);
      const put = cluster.put(value);
      const durable = cluster.put(value, { durable: true });
      (value as number[])[0] = 9;
      expect(await cluster.get(refs)).toEqual([1, 1, 1, 1]);
      expect(await cluster.get(tasks.firstOf.submit(await put))).toBe(1);
      expect(await cluster.get(tasks.firstOf.submit(await durable))).toBe(1);
      const job = await cluster.run(graph);
      await job.done();
      expect(await job.results()).toEqual([1]);
    }
  },
);

test.each([50, 200_000])("a result or put of %i bytes that one caller changes is as it was for the next", async (n) => {
  for (const ref of [tasks.bytesOf.submit(n), await cluster.put(new Uint8Array(n).fill(1))]) {
    (await cluster.get(ref))[0] = 7;
    expect((await cluster.get(ref))[0]).toBe(1);
    expect(await cluster.get(tasks.firstOf.submit(ref))).toBe(1);
  }
  const rows = Math.ceil(n / 8);
  for (const ref of [
    tasks.table.submit(rows, 3),
    await cluster.put(tableFromArrays({ x: Float64Array.from({ length: rows }, (_, i) => i * 3) })),
  ]) {
    (await cluster.get(ref)).getChild("x")?.toArray().fill(-1);
    expect((await cluster.get(ref)).getChild("x")?.get(1)).toBe(3);
    expect(await cluster.get(tasks.total.submit(ref))).toBe((3 * rows * (rows - 1)) / 2);
  }
});
