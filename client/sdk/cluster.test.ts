/** The SDK against a real cluster: every verb once, with what can go wrong. */
import { type Table, tableFromArrays } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalCluster } from "../../cluster/local/local-cluster.js";
import { startTestCluster } from "../../cluster/local/testing/test-cluster.js";
import type { VolleyError } from "../../proto/errors.js";
import type { Cluster, Library } from "./api.js";
import { connect } from "./connect.js";

type Tasks = Library<typeof import("./testing/fixture-tasks.js")>;

let local: LocalCluster;
let cluster: Cluster;
let tasks: Tasks;
beforeAll(async () => {
  local = await startTestCluster({ workers: 2, slots: 1, gateway: false });
  cluster = await connect({ url: local.url });
  tasks = await cluster.deploy<typeof import("./testing/fixture-tasks.js")>(
    new URL("./testing/fixture-tasks.js", import.meta.url),
  );
});
afterAll(async () => {
  await cluster?.close();
  await local?.stop();
});

describe("submit and map", () => {
  test("values come back, from plain functions and promises", async () => {
    expect(await cluster.get(tasks.add.submit(1, 2))).toBe(3);
    expect(await cluster.get(tasks.double.submit(21))).toBe(42);
    expect(await cluster.get(tasks.nothing.submit())).toBe(undefined);
  });

  test("a map of 100,000 gives every result in order", async () => {
    const refs = tasks.add.map(
      Array.from({ length: 100_000 }, (_, i) => i),
      { shared: [1] },
    );
    const values = await cluster.get(refs);
    expect(values).toHaveLength(100_000);
    expect(values.every((value, i) => value === i + 1)).toBe(true);
    expect(await cluster.get(refs.at(-1))).toBe(100_000);
  });

  test("thousands one by one, in flight together", async () => {
    const refs = Array.from({ length: 5_000 }, (_, i) => tasks.add.submit(i, i));
    expect(await cluster.get(refs)).toEqual(refs.map((_, i) => 2 * i));
  });

  test("refs are arguments: single, listed, a whole map, item by item", async () => {
    const one = tasks.double.submit(1);
    const map = tasks.double.map([1, 2, 3]);
    expect(await cluster.get(tasks.add.submit(one, tasks.double.submit(one)))).toBe(6);
    expect(await cluster.get(tasks.sum.submit([one, map.at(2), 100]))).toBe(108);
    expect(await cluster.get(tasks.sum.submit(map))).toBe(12);
    expect(await cluster.get(tasks.double.map(map))).toEqual([4, 8, 12]);
    expect(await cluster.get(tasks.add.map([1, 2], { shared: [one] }))).toEqual([3, 4]);
  });

  test("a task knows where it runs", async () => {
    const seen = await cluster.get(tasks.where.map([0, 1, 2] as never));
    expect(seen.map(({ task }) => task)).toEqual([0, 1, 2]);
  });

  test("kernels are functions too", async () => {
    expect(await cluster.get(cluster.kernel<(value: number[]) => number[]>("volley.echo").submit([1, 2]))).toEqual([
      1, 2,
    ]);
    await expect(cluster.get(cluster.kernel<() => void>("no.such").submit())).rejects.toMatchObject({
      code: "FUNCTION_NOT_FOUND",
    });
  });
});

describe("large values", () => {
  test("a table is put, computed on and fetched", async () => {
    const prices = tableFromArrays({ x: Float64Array.from({ length: 1_000_000 }, (_, i) => i) });
    const ref = await cluster.put(prices);
    expect(await cluster.get(tasks.total.submit(ref))).toBe(499_999_500_000);
    expect(await cluster.get(tasks.total.submit(prices))).toBe(499_999_500_000);
    const back = await cluster.get(ref);
    expect(back.getChild("x")?.get(999_999)).toBe(999_999);
  });

  test("large results stay in the cluster until they are asked for, and feed other tasks there", async () => {
    const tables = tasks.table.map([100_000, 200_000], { shared: [2] });
    expect(await cluster.get(tasks.totals.submit(tables))).toBe(9_999_900_000 + 39_999_800_000);
    const [first, second] = (await cluster.get(tables)) as [Table, Table];
    expect([first.numRows, second.numRows]).toEqual([100_000, 200_000]);
    expect(second.getChild("x")?.get(199_999)).toBe(399_998);
  });

  test("bytes are bytes", async () => {
    expect(await cluster.get(tasks.lengthOf.submit(new Uint8Array(300_000)))).toBe(300_000);
    expect(await cluster.get(await cluster.put(new Uint8Array([1, 2, 3])))).toEqual(new Uint8Array([1, 2, 3]));
  });

  test("an object is read by its id from another connection", async () => {
    const ref = await cluster.put(new Uint8Array(200_000).fill(3));
    const other = await connect({ url: local.url });
    try {
      expect((await other.get({ id: ref.id } as typeof ref))[7]).toBe(3);
    } finally {
      await other.close();
    }
  });
});

describe("failures", () => {
  test("the function's own error arrives with name, message and frames", async () => {
    const error = await cluster.get(tasks.failing.submit(7)).catch((e: unknown) => e as VolleyError);
    expect(error).toMatchObject({ code: "TASK_FAILED", message: "RangeError: x is 7" });
    // The frames are those of the sources, and the worker's own are left out.
    expect((error as VolleyError).remoteStack).toMatch(
      /^RangeError: x is 7\n {4}at inner \(\/.*\/client\/sdk\/testing\/fixture-tasks\.ts:\d+:9\)\n {4}at failing \(.*fixture-tasks\.ts:\d+:\d+\)$/,
    );
  });

  test("what a program branches on arrives: fields, code, causes, inner errors, and the name of what does not", async () => {
    const error = (await cluster.get(tasks.rateLimited.submit()).catch((e) => e)) as VolleyError & {
      cause: AggregateError;
    };
    expect(error).toMatchObject({ code: "TASK_FAILED", details: { name: "AggregateError" } });
    expect(error.message).toBe(
      "AggregateError: no venue (VendorError: rate limited; RangeError: negative price; caused by { symbol: 'KO' })",
    );
    expect(error.cause).toBeInstanceOf(AggregateError);
    expect(error.cause.cause).toEqual({ symbol: "KO" });
    const [limited, negative] = error.cause.errors;
    expect({ ...limited }).toMatchObject({
      status: 429,
      code: "E_VENDOR",
      at: new Date(5),
      notCarried: [expect.stringMatching(/^retry: /)],
    });
    expect([limited.name, negative instanceof RangeError, negative.message]).toEqual([
      "VendorError",
      true,
      "negative price",
    ]);
    expect(limited.remoteStack).toMatch(/fixture-tasks\.(ts|js):\d+/);
    // The same of a durable job.
    const graph = cluster.graph("limited");
    graph.stage(tasks.rateLimited, []);
    const failed = (await (await cluster.run(graph)).done().catch((e) => e)) as typeof error;
    expect(failed.cause.errors[0]).toMatchObject({ status: 429 });
  });

  test("whatever the function throws is its own failure, what cannot be sent is named, dependents fail", async () => {
    await expect(cluster.get(tasks.coded.submit())).rejects.toMatchObject({
      code: "TASK_FAILED",
      message: "VolleyError: not good",
    });
    await expect(cluster.get(tasks.unserializable.submit())).rejects.toMatchObject({ code: "TASK_UNSERIALIZABLE" });
    await expect(cluster.get(tasks.add.submit(tasks.failing.submit(1), 2))).rejects.toMatchObject({
      code: "UPSTREAM_FAILED",
    });
  });

  test("retries and time limits", async () => {
    expect(await cluster.get(tasks.flaky.with({ retries: 2 }).submit(1))).toBe(2);
    await expect(cluster.get(tasks.flaky.submit(1))).rejects.toMatchObject({ code: "TASK_FAILED" });
    await expect(cluster.get(tasks.sleep.with({ timeoutMs: 50 }).submit(60_000))).rejects.toMatchObject({
      code: "TASK_TIMEOUT",
    });
  });

  test("cancel ends what runs and what waits", async () => {
    const running = tasks.sleep.map([60_000, 60_000, 60_000, 60_000]);
    const one = tasks.sleep.submit(60_000);
    await expect(cluster.get(one, { timeoutMs: 50 })).rejects.toMatchObject({ code: "TIMEOUT" });
    await cluster.cancel(one);
    await expect(cluster.get(one)).rejects.toMatchObject({ code: "CANCELLED" });
    await cluster.cancel(running);
    await expect(cluster.get(running)).rejects.toMatchObject({ code: "CANCELLED" });
    expect(await cluster.get(tasks.add.submit(1, 1))).toBe(2);
  });

  test("wait and explain tell what is there and why the rest is not", async () => {
    const refs = [
      tasks.sleep.submit(30_000),
      tasks.sleep.submit(1),
      tasks.sleep.submit(30_000),
      tasks.sleep.submit(30_000),
    ] as const;
    const blocked = tasks.add.submit(refs[0] as never, 1);
    const { ready, pending } = await cluster.wait(refs, { count: 1 });
    expect(ready).toEqual([refs[1]]);
    expect(pending).toHaveLength(3);
    expect(await cluster.explain(refs[1])).toMatchObject({ state: "succeeded" });
    expect(await cluster.explain(blocked)).toMatchObject({ state: "waiting", reason: "inputs" });
    for (const ref of pending) await cluster.cancel(ref);
    await expect(cluster.get(blocked)).rejects.toMatchObject({ code: "UPSTREAM_FAILED" });
  });
});

describe("durable jobs", () => {
  test("a graph runs, reports progress, gives results page by page, and is reused when it is run again", async () => {
    const pure = await cluster.deploy<typeof import("./testing/fixture-tasks.js")>(
      new URL("./testing/fixture-tasks.js", import.meta.url),
      { pure: true },
    );
    const offset = await cluster.put(10);
    const graph = cluster.graph("sums");
    const doubled = graph.map(
      pure.double,
      Array.from({ length: 50_000 }, (_, i) => i),
    );
    const shifted = graph.each(pure.add, doubled, { shared: [offset] });
    const total = graph.all(pure.sum, shifted);
    graph.output(total, shifted);
    const job = await cluster.run(graph, { key: "sums-once" });
    const states: string[] = [];
    for await (const { state } of job.progress()) states.push(state);
    expect(states.at(-1)).toBe("succeeded");
    const expected = Array.from({ length: 50_000 }, (_, i) => 2 * i + 10);
    expect(await job.results<number>()).toEqual([expected.reduce((a, b) => a + b, 0)]);
    expect(await job.results<number>(1)).toEqual(expected);
    const first = await job.status();
    expect(first).toMatchObject({ tasks: 100_001, executed: 100_001 });
    expect((await cluster.run(graph, { key: "sums-once" })).id).toBe(job.id);
    const again = await (await cluster.run(graph)).done();
    expect(again).toMatchObject({ executed: 0, reused: 100_001, digest: first.digest });
    expect((await cluster.jobs()).map(({ job: id }) => id)).toContain(job.id);
    expect(await cluster.job(job.id).explain(2, 0)).toMatchObject({ state: "succeeded" });
  });

  test("large results of a durable job are in the durable store; refs of the session may be read by graphs", async () => {
    const source = tasks.table.submit(100_000, 1);
    const graph = cluster.graph("tables");
    const tables = graph.map(tasks.table, [50_000, 60_000], { shared: [1] });
    const ofSession = graph.stage(tasks.total, [source]);
    graph.output(tables, ofSession);
    const job = await cluster.run(graph);
    const [first, second] = (await job.results<Table>()) as [Table, Table];
    expect([first.numRows, second.getChild("x")?.get(59_999)]).toEqual([50_000, 59_999]);
    expect(await job.results<number>(1)).toEqual([4_999_950_000]);
  });

  test("a failed job rejects with the task's error, a cancelled one with CANCELLED, an unknown one is JOB_NOT_FOUND", async () => {
    const failing = cluster.graph("failing");
    failing.map(tasks.failing, [1]);
    await expect((await cluster.run(failing)).done()).rejects.toMatchObject({
      code: "TASK_FAILED",
      message: "RangeError: x is 1",
    });
    const endless = cluster.graph("endless");
    endless.map(tasks.sleep, [60_000, 60_000]);
    const job = await cluster.run(endless);
    await job.cancel();
    await expect(job.results()).rejects.toMatchObject({ code: "CANCELLED" });
    await expect(cluster.job("nowhere").status()).rejects.toMatchObject({ code: "JOB_NOT_FOUND" });
  });
});

test("workers are listed", async () => {
  const { workers } = await cluster.workers();
  expect(workers).toHaveLength(2);
});

test("a restarted scheduler is survived: what was under way is done again", async () => {
  const before = tasks.add.submit(1, 1);
  expect(await cluster.get(before)).toBe(2);
  const refs = tasks.sleep.map([300, 300, 300, 300]);
  await cluster.wait(refs, { count: 1 });
  local.kill("scheduler", "SIGKILL");
  expect(await cluster.get(refs)).toEqual(["slept", "slept", "slept", "slept"]);
  expect(await cluster.get(tasks.add.submit(before, 1))).toBe(3);
});
