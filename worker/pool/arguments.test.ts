/** What a task receives is its own: whatever it or others do to memory, every task reads the value that was passed. */
import { tableFromArrays } from "apache-arrow";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PoolRig } from "./pool-rig.js";

let rig: PoolRig;
beforeEach(() => {
  rig = new PoolRig({ storeBytes: 1 << 20 });
});
afterEach(() => rig.close());

test("a list of tables is read where its parts lie now, not where they lay before they were spilled", async () => {
  const url = rig.module("export const firsts = (tables) => tables.map((table) => table.getChild('x').get(0));");
  const put = (id: string, value: number): Promise<void> => rig.put(id, tableFromArrays({ x: new Float64Array(40_000).fill(value) }));
  const read = (): Promise<unknown> =>
    rig.pinned(["p-0", "p-1"], async (sources) => {
      const parts = sources.map((one) => ({ one }));
      return (await rig.run(url, "firsts", 1, [{ a: "all", parts, key: "p" }])).values[0];
    });
  await put("p-0", 1);
  await put("p-1", 2);
  expect(await read()).toEqual([1, 2]);
  await put("q-0", 777);
  await put("q-1", 888);
  expect(rig.store.stats.spills, "the test must make them move").toBeGreaterThan(0);
  expect(await read()).toEqual([1, 2]);
});
