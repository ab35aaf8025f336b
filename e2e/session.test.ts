/** Sessions on a cluster of real processes: what a client was shown stays true, whatever is killed. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LocalCluster, startLocalCluster } from "../client/local/local-cluster.js";
import type { Cluster, Library } from "../client/sdk/api.js";
import { connect } from "../client/sdk/index.js";
import type * as work from "./work.js";

const tasks = 40;

let local: LocalCluster;
let cluster: Cluster;
let lib: Library<typeof work>;

beforeAll(async () => {
  local = await startLocalCluster({ workers: 2, slots: 2, gateway: false });
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
    const { ready } = await cluster.wait(map, { count: tasks / 2 });
    const shown = new Map((await cluster.get(ready)).map(({ i, picked }) => [i, picked]));
    expect(shown.size).toBeLessThan(tasks);
    local.kill("scheduler");
    const values = (await cluster.get(map, { timeoutMs: 60_000 })).map(({ picked }) => picked);
    for (const [i, picked] of shown) expect(values[i]).toBe(picked);
    const one = (await cluster.get(single)).picked;
    expect(await cluster.get(all, { timeoutMs: 60_000 })).toEqual(values);
    expect(await cluster.get(each, { timeoutMs: 60_000 })).toEqual(values);
    expect(await cluster.get(list, { timeoutMs: 60_000 })).toEqual([values[tasks - 1], one, values[0]]);
    expect(await cluster.get(broadcast, { timeoutMs: 60_000 })).toBe(one);
    // Refs from before the restart are as good as ever.
    expect(await cluster.get(lib.seen.submit([map.at(3), map.at(4)]), { timeoutMs: 60_000 })).toEqual(values.slice(3, 5));
  });
});
