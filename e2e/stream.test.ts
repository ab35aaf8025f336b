/**
 * A client that streams: every call puts 1 MiB and drops its refs. Far more goes through the cluster than its object
 * store and spill folder hold together, so whatever is kept shows: as OUT_OF_MEMORY, as a store that fills, as a
 * process that grows. VOLLEY_E2E_LONG=1 makes 10,000 calls of it.
 */
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Cluster, Library } from "../client/sdk/api.js";
import { connect } from "../client/sdk/index.js";
import type { LocalCluster } from "../cluster/local/local-cluster.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import type * as work from "./work.js";

const calls = process.env.VOLLEY_E2E_LONG === "1" ? 10_000 : 700;
const inFlight = 4;
const callBytes = 2 ** 20;
const storeBytes = 64 * 2 ** 20;
/** Heaps breathe: what is kept by mistake is at least a tenth of what went through after the first measurement. */
const growthBytesMax = 64 * 2 ** 20;

let local: LocalCluster;
let cluster: Cluster;
let lib: Library<typeof work>;
const storeBefore = process.env.VOLLEY_STORE_BYTES;

beforeAll(async () => {
  process.env.VOLLEY_STORE_BYTES = String(storeBytes);
  local = await startTestCluster({ workers: 1, slots: 1, gateway: false });
  cluster = await connect({ url: local.url });
  lib = await cluster.deploy<typeof work>(new URL("./work.js", import.meta.url));
});

afterAll(async () => {
  if (storeBefore === undefined) delete process.env.VOLLEY_STORE_BYTES;
  else process.env.VOLLEY_STORE_BYTES = storeBefore;
  await cluster?.close();
  await local?.stop();
});

const rssOf = (pid: number): number =>
  existsSync(`/proc/${pid}/status`)
    ? 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0)
    : 0;

async function measure(): Promise<{ rss: Record<string, number>; kept: number }> {
  const rss: Record<string, number> = { client: rssOf(process.pid) };
  for (const { name, pid } of local.processes) rss[name] = rssOf(pid);
  const { workers } = await cluster.workers();
  return { rss, kept: workers.reduce((sum, worker) => sum + worker.storeBytes + worker.spilledBytes, 0) };
}

async function call(i: number): Promise<void> {
  const bytes = new Uint8Array(callBytes);
  new DataView(bytes.buffer).setUint32(0, i);
  // By value and as a ref, in turn.
  const ref = i % 2 === 0 ? lib.sizeOf.submit(bytes) : lib.sizeOf.submit(await cluster.put(bytes));
  expect(await cluster.get(ref)).toBe(callBytes);
}

test(`${calls} calls of 1 MiB each go through a store of 64 MiB, and no process grows`, {
  timeout: 3_600_000,
}, async () => {
  let next = 0;
  const run = async (to: number): Promise<void> => {
    const loop = async (): Promise<void> => {
      while (next < to) await call(next++);
    };
    await Promise.all(Array.from({ length: inFlight }, loop));
  };
  await run(calls / 4);
  const before = await measure();
  await run(calls);
  const after = await measure();
  expect(after.kept).toBeLessThan(storeBytes);
  for (const [name, rss] of Object.entries(after.rss))
    expect(rss - (before.rss[name] ?? 0), `growth of ${name}`).toBeLessThan(growthBytesMax);
});
