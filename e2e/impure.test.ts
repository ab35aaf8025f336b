/**
 * Functions that give another result each time they run, large ones, and processes that die: what a client is shown, what the next tasks have read,
 * and what the commit names must be the same bytes.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LocalCluster, startLocalCluster } from "../client/local/local-cluster.js";
import type { Cluster, Library } from "../client/sdk/api.js";
import { connect } from "../client/sdk/index.js";
import type * as work from "./work.js";

let local: LocalCluster;
let cluster: Cluster;
let lib: Library<typeof work>;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "volley-impure-"));
  local = await startLocalCluster({ workers: 2, slots: 2, gateway: false });
  cluster = await connect({ url: local.url });
  lib = await cluster.deploy<typeof work>(new URL("./work.js", import.meta.url));
});

afterAll(async () => {
  await cluster?.close();
  await local?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

test("a durable job of random results of 20 KB whose scheduler and worker are killed: every value shown is the one its consumer read", async () => {
  const log = join(folder, "draws");
  const graph = cluster.graph("random");
  const items = Array.from({ length: 60 }, (_, i) => i);
  const draws = graph.map(lib.draw, items, { shared: [100, 20_000, log] });
  const read = graph.each(lib.fingerprint, draws);
  const whole = graph.all(lib.fingerprints, draws);
  graph.output(draws, read, whole);
  const job = await cluster.run(graph);
  // Each kill waits for executions that have not been committed, which is when a second one can leave other bytes.
  const drawn = (): string[] => {
    try {
      return readFileSync(log, "utf8").trim().split("\n");
    } catch {
      return [];
    }
  };
  for (const [victim, after] of [
    ["scheduler", 12],
    ["scheduler", 30],
    ["worker-1", 40],
    ["scheduler", 50],
  ] as const) {
    while (drawn().length < after) await new Promise((resolve) => setTimeout(resolve, 20));
    local.kill(victim);
  }
  const status = await job.done({ timeoutMs: 120_000 });
  expect(status.state).toBe("succeeded");
  const shown = (await job.results<Uint8Array>(0)).map(sha256);
  expect(await job.results<string>(1)).toEqual(shown);
  expect(await job.results<string[]>(2)).toEqual([shown]);
  // Otherwise nothing was put to the test.
  expect(new Set(drawn()).size).toBeLessThan(drawn().length);
});
