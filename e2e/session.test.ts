/** Sessions on a cluster of real processes: what a client was shown stays true, whatever is killed. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Cluster, Library } from "../client/sdk/api.js";
import { connect } from "../client/sdk/index.js";
import type { LocalCluster } from "../cluster/local/local-cluster.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import { decodeMessage } from "../proto/codec.js";
import { clientRequest } from "../proto/messages/client.js";
import { subjects } from "../proto/subjects.js";
import { patienceMs } from "../proto/testing/patience.js";
import { connectNats } from "../proto/transport/nats.js";
import type * as work from "./work.js";

const tasks = 40;
/** Hours of patience are for a person to ask for. */
const isLong = process.env.VOLLEY_E2E_LONG === "1";

let local: LocalCluster;
let cluster: Cluster;
let lib: Library<typeof work>;

beforeAll(async () => {
  local = await startTestCluster({ workers: 2, slots: 2, gateway: false });
  cluster = await connect({ url: local.url });
  lib = await cluster.deploy<typeof work>(new URL("./work.js", import.meta.url));
});

afterAll(async () => {
  await cluster?.close();
  await local?.stop();
});

describe("a scheduler that dies while random functions run", () => {
  test.each([
    ["small enough to travel in messages", 10],
    ["that stay with their workers", 20_000],
  ])("changes no value that was shown, and every task reads what is shown: results %s", async (_what, padBytes) => {
    const map = lib.pick.map(
      Array.from({ length: tasks }, (_, i) => i),
      { shared: [150, padBytes] },
    );
    const single = lib.pick.submit(-1, 10, padBytes);
    const all = lib.seen.submit(map);
    const each = lib.seenOne.map(map);
    const list = lib.seen.submit([map.at(tasks - 1), single, map.at(0)]);
    const broadcast = lib.seenOne.submit(single);
    // Of several stages, in another order, one of them twice.
    const order = [single, ...Array.from({ length: tasks }, (_, i) => map.at(tasks - 1 - i)), map.at(7)];
    const chosen = lib.seenOne.map(order);
    const { ready } = await cluster.wait(map, { count: tasks / 2 });
    const shown = new Map((await cluster.get(ready)).map(({ i, picked }) => [i, picked]));
    expect(shown.size).toBeLessThan(tasks);
    local.kill("scheduler");
    const values = (await cluster.get(map, { timeoutMs: patienceMs })).map(({ picked }) => picked);
    for (const [i, picked] of shown) expect(values[i]).toBe(picked);
    const one = (await cluster.get(single)).picked;
    expect(await cluster.get(all, { timeoutMs: patienceMs })).toEqual(values);
    expect(await cluster.get(each, { timeoutMs: patienceMs })).toEqual(values);
    expect(await cluster.get(list, { timeoutMs: patienceMs })).toEqual([values[tasks - 1], one, values[0]]);
    expect(await cluster.get(broadcast, { timeoutMs: patienceMs })).toBe(one);
    expect(await cluster.get(chosen, { timeoutMs: patienceMs })).toEqual([one, ...[...values].reverse(), values[7]]);
    // Refs from before the restart are as good as ever.
    expect(await cluster.get(lib.seen.submit([map.at(3), map.at(4)]), { timeoutMs: patienceMs })).toEqual(
      values.slice(3, 5),
    );
  });
});

describe("a client whose own code keeps its event loop busy", () => {
  const blockedMs = isLong ? 120_000 : 12_000;

  test(`for ${blockedMs / 1000} s loses nothing: it is heard all the while, and what was made meanwhile is there`, async () => {
    const watch = await connectNats({ url: local.urls.scheduler, name: "session-test" });
    const heartbeats: string[] = [];
    // What is said while this loop is busy waits in the server's socket and is counted after.
    watch.subscribe(subjects.schedulerClient, ({ data }) => {
      const request = decodeMessage(clientRequest, data);
      // The thread speaks for no epoch; what the loop itself says names that of its scheduler.
      if (request.t === "heartbeat" && request.epoch === 0) heartbeats.push(request.session);
    });
    await using busy = await connect({ url: local.url });
    const own = await busy.deploy<typeof work>(new URL("./work.js", import.meta.url));
    const put = await busy.put(new Uint8Array(1_000_000).fill(7));
    const held = own.pick.submit(1, 0, 500_000);
    await busy.wait([held]);
    const running = own.pick.submit(2, blockedMs / 2, 500_000);
    const uploading = busy.put(new Uint8Array(3_000_000).fill(8));
    await new Promise((resolve) => setTimeout(resolve, 300));
    heartbeats.length = 0;
    const until = performance.now() + blockedMs;
    while (performance.now() < until);
    const [first, second, third] = await Promise.all([busy.get(held), busy.get(running), uploading]);
    expect([first.i, second.i]).toEqual([1, 2]);
    expect((await busy.get(put))[999_999]).toBe(7);
    expect((await busy.get(third))[0]).toBe(8);
    expect(await busy.get(own.seen.submit([held, running]))).toEqual([first.picked, second.picked]);
    // The thread heartbeats every 5 s; the loop itself could not.
    expect(heartbeats.length).toBeGreaterThanOrEqual(blockedMs / 6_000);
    await watch.close();
  });
});

test("what was put comes back by itself when every worker that held it was killed", async () => {
  const value = new Uint8Array(1_000_000).fill(9);
  const put = await cluster.put(value);
  const passed = new Uint8Array(800_000).fill(4);
  expect(await cluster.get([lib.sizeOf.submit(put), lib.sizeOf.submit(passed)])).toEqual([1_000_000, 800_000]);
  for (const { name, role } of local.processes) if (role === "worker") local.kill(name);
  // At once, while the scheduler still takes them for there, and later.
  expect(await cluster.get(lib.sizeOf.submit(put), { timeoutMs: patienceMs })).toBe(1_000_000);
  expect(await cluster.get(lib.sizeOf.submit(passed), { timeoutMs: patienceMs })).toBe(800_000);
  expect((await cluster.get(put, { timeoutMs: patienceMs }))[7]).toBe(9);
  expect((await cluster.put(value)).id).toBe(put.id);
});
