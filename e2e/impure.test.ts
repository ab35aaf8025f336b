/**
 * Functions that give another result each time they run, large ones, and processes that die: what a client is shown,
 * what the next tasks have read, and what the commit names must be the same bytes.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Cluster, Library } from "../client/sdk/api.js";
import { connect } from "../client/sdk/index.js";
import type { LocalCluster } from "../cluster/local/local-cluster.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import { patienceMs } from "../proto/testing/patience.js";
import type * as work from "./work.js";

let local: LocalCluster;
let cluster: Cluster;
let lib: Library<typeof work>;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "volley-impure-"));
  local = await startTestCluster({ workers: 2, slots: 2, gateway: false });
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
  const status = await job.done({ timeoutMs: patienceMs });
  expect(status.state).toBe("succeeded");
  const shown = (await job.results<Uint8Array>(0)).map(sha256);
  expect(await job.results<string>(1)).toEqual(shown);
  expect(await job.results<string[]>(2)).toEqual([shown]);
  // Otherwise nothing was put to the test.
  expect(new Set(drawn()).size).toBeLessThan(drawn().length);
});

/** How long the mix below goes on. */
const mixMs = process.env.VOLLEY_E2E_LONG ? 600_000 : 20_000;

test(
  "processes are killed and workers drained while random results are made, read and put again: every value seen is the one committed",
  async () => {
    const until = Date.now() + mixMs;
    const victims = ["worker-1", "scheduler", "worker-2"] as const;
    let rounds = 0;
    let compared = 0;
    let lost = 0;
    while (Date.now() < until || rounds === 0) {
      const victim = victims[rounds % victims.length] as string;
      const signal = victim !== "scheduler" && rounds % 2 === 0 ? "SIGTERM" : "SIGKILL";
      const note = await cluster.put(new Uint8Array(20_000).fill(rounds));
      // In a session: results that only workers hold, read by others at once.
      const draws = lib.draw.map(
        Array.from({ length: 16 }, (_, i) => i),
        { shared: [20, 20_000, "/dev/null"] },
      );
      const each = lib.fingerprint.map(draws);
      const all = lib.fingerprints.submit(draws);
      const noted = lib.fingerprint.submit(note);
      // And durably.
      const graph = cluster.graph(`mix-${rounds}`);
      const durableDraws = graph.map(
        lib.draw,
        Array.from({ length: 12 }, (_, i) => i),
        { shared: [40, 20_000, "/dev/null"] },
      );
      graph.output(durableDraws, graph.each(lib.fingerprint, durableDraws));
      const job = await cluster.run(graph);
      local.kill(victim, signal);
      await job.done({ timeoutMs: patienceMs });
      const shown = (await job.results<Uint8Array>(0)).map(sha256);
      expect(await job.results<string>(1)).toEqual(shown);
      compared += shown.length;
      expect(await cluster.get(noted, { timeoutMs: patienceMs })).toBe(sha256(new Uint8Array(20_000).fill(rounds)));
      // What only a killed worker held cannot be made again and says so; whatever is seen is what its readers saw.
      const whole = await cluster.get(all, { timeoutMs: patienceMs }).catch(expectLost);
      for (let i = 0; i < draws.length; i++) {
        const value = await cluster.get(draws.at(i), { timeoutMs: patienceMs }).catch(expectLost);
        const read = await cluster.get(each.at(i), { timeoutMs: patienceMs }).catch(expectLost);
        if (value === undefined || read === undefined) {
          lost++;
          continue;
        }
        expect(read).toBe(sha256(value));
        if (whole) expect(whole[i]).toBe(read);
        compared++;
      }
      if (signal === "SIGTERM") expect(lost).toBe(0);
      lost = 0;
      rounds++;
      await expect
        .poll(async () => (await cluster.workers()).workers.filter((worker) => !worker.draining).length, {
          timeout: patienceMs,
        })
        .toBe(2);
    }
    expect(compared).toBeGreaterThan(12);
  },
  mixMs + 300_000,
);

function expectLost(error: unknown): undefined {
  expect(["OBJECT_LOST", "UPSTREAM_FAILED", "OBJECT_NOT_FOUND"]).toContain((error as { code?: string }).code);
}
