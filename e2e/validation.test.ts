/** Validations as jobs on a cluster with two workers, against an evaluation of the same graphs in one thread. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "volley";
import { bootstrapGraph, cpcvGraph, overfittingGraph, walkForwardGraph } from "../client/research/validation.js";
import type { LocalCluster } from "../cluster/local/local-cluster.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import { loadCsv } from "../data/ingest/index.js";
import { requireKernel } from "../kernels/registry.js";
import { evaluateSerially } from "../kernels/testing/serial.js";
import { putObjectId } from "../proto/address.js";
import { parseGraph } from "../proto/graph.js";
import { encodeValue } from "../proto/values/value.js";

let local: LocalCluster;
beforeAll(async () => {
  local = await startTestCluster({ workers: 2, slots: 1 });
});
afterAll(() => local?.stop());

test("walk-forward, CPCV, overfitting and bootstrap: the digest of a serial evaluation", async () => {
  const { table } = await loadCsv(new URL("../data/sp500-2000.csv", import.meta.resolve("vega-datasets")));
  await using cluster = await connect({ url: local.url });
  const prices = encodeValue(table);
  const pricesId = putObjectId(prices.kind, prices.data);
  const objects = new Map([[pricesId, prices]]);
  expect((await cluster.put(table)).id).toBe(pricesId);
  const strategy = {
    prices: pricesId,
    family: "ma-cross",
    grid: { fast: [5, 10, 20, 90], slow: [60, 100, 200] },
  } as const;
  const daily = requireKernel("validation.sweep_returns", 1).run(table, {
    family: "ma-cross",
    grid: { fast: [5], slow: [60, 100] },
  }) as typeof table;
  const account = await cluster.put(daily);
  objects.set(account.id, encodeValue(daily));
  for (const graph of [
    walkForwardGraph({ ...strategy, splits: 8, mode: "expanding" }),
    cpcvGraph({ ...strategy, groups: 6, testGroups: 2, purge: 1, embargo: 200 }),
    overfittingGraph({ ...strategy, blocks: 8 }),
    bootstrapGraph({ returns: account.id, seed: 3, replicates: 100, tasks: 9, periodsPerYear: 252 }),
  ]) {
    const compiled = parseGraph(graph);
    const { digest, state } = await (await cluster.run(compiled)).done();
    expect(state).toBe("succeeded");
    expect(digest, graph.name).toBe((await evaluateSerially(compiled, objects)).digest);
  }
});
