/**
 * What a seed gives does not depend on how tasks travel: a Monte Carlo loop draws the same paths awaited in turn, in
 * one tick, or as a map.
 */
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

/** SplitMix64 as published: the state grows by the golden ratio, each state is mixed. */
function draws(seed: number, count: number): number[] {
  const wrap = (x: bigint): bigint => BigInt.asUintN(64, x);
  let state = BigInt(seed);
  return Array.from({ length: count }, () => {
    state = wrap(state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = wrap((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = wrap((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return Number((z ^ (z >> 31n)) >> 11n);
  });
}

test("in one tick, one after the other and as a map: the same draws, and no two alike", async () => {
  const tick = tasks.draw.with({ seed: 7 });
  expect(await cluster.get([tick.submit(), tick.submit(), tick.submit()])).toEqual(draws(7, 3));
  const turn = tasks.draw.with({ seed: 7 });
  for (const expected of draws(7, 3)) expect(await cluster.get(turn.submit())).toBe(expected);
  expect(await cluster.get(tasks.draw.with({ seed: 7 }).map([0, 1, 2]))).toEqual(draws(7, 3));
  const mixed = tasks.draw.with({ seed: 7 });
  const one = mixed.submit();
  expect(await cluster.get([one, ...mixed.map([0, 1, 2]), mixed.submit()])).toEqual(draws(7, 5));
});

test("the number and form of arguments change nothing: values, large ones, refs, separate refs in a map, pure functions", async () => {
  const calls = async (turn: boolean, pure: boolean): Promise<unknown[]> => {
    const handle = tasks.draw.with({ seed: 11, pure });
    const ref = tasks.double.submit(2);
    const args = [[], [1], [1, 2], [1], [new Uint8Array(200_000)], [ref], [], [1, 2]] as unknown[][];
    const refs = [];
    for (const list of args) {
      refs.push(handle.submit(...(list as [])));
      if (turn) await cluster.get(refs.at(-1) as never);
    }
    refs.push(...handle.map([tasks.double.submit(1), tasks.double.submit(2)] as never));
    return cluster.get(refs as never);
  };
  for (const pure of [false, true])
    for (const turn of [false, true])
      expect(await calls(turn, pure), `turn ${turn}, pure ${pure}`).toEqual(draws(11, 10));
});

test("an attempt that failed is followed by one with the same draw", async () => {
  const handle = tasks.drawFlaky.with({ seed: 5, retries: 2 });
  expect(await cluster.get([handle.submit(0), handle.submit(2)])).toEqual(draws(5, 2));
});

test("a graph's draws are its own: the same whenever it is built, and no two stages share them", async () => {
  const results: unknown[] = [];
  const handle = tasks.draw.with({ seed: 3 });
  for (let round = 0; round < 2; round++) {
    await cluster.get(handle.submit());
    const graph = cluster.graph("draws");
    const stages = [graph.stage(handle, []), graph.map(handle, [0, 1]), graph.stage(handle, [])];
    graph.output(...stages);
    const job = await cluster.run(graph);
    await job.done();
    results.push((await Promise.all(stages.map(({ stage }) => job.results(stage)))).flat());
  }
  expect(results).toEqual([draws(3, 4), draws(3, 4)]);
});
