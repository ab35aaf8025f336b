/** The worker as a process would run it, on a real nats-server. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { JobId, LeaseId, ObjectBase } from "../../proto/ids.js";
import { eventually, patienceMs } from "../../proto/testing/patience.js";
import { connectNats, type NatsTransport } from "../../proto/transport/nats.js";
import { FakeScheduler } from "../../worker/shell/testing/fake-scheduler.js";
import { type LocalNats, startLocalNats } from "../local/nats-server.js";
import { readConfig } from "../process/config.js";
import { runWorker, workerConfig } from "./worker.js";

let nats: LocalNats;
let transport: NatsTransport;
let scheduler: FakeScheduler;
beforeAll(async () => {
  nats = await startLocalNats();
  transport = await connectNats({ url: nats.url, name: "fake-scheduler" });
  scheduler = new FakeScheduler(transport);
});
afterAll(async () => {
  await transport?.close();
  await nats?.stop();
});

test("joins, runs a kernel, shows its metrics, drains and ends", async () => {
  const worker = await runWorker(
    readConfig(workerConfig, { slots: "2" }, { VOLLEY_URL: nats.url, VOLLEY_LOG: "silent", VOLLEY_WORKER: "w-main" }),
  );
  try {
    expect(worker.worker).toBe("w-main");
    expect(scheduler.received[0]).toMatchObject({ t: "register", worker: "w-main", slots: 2, pid: process.pid });
    const options = { retries: 0, timeoutMs: patienceMs, pure: true, priority: 0 };
    const base = "p0123456789abcdef0123456789abcdef" as ObjectBase;
    const fn = { kernel: "volley.echo", version: 1 };
    const lease = {
      lease: "1.1" as LeaseId,
      job: "j" as JobId,
      stage: 0,
      base,
      fn,
      from: 0,
      to: 1000,
      attempt: 0,
      args: [{ a: "index" as const }],
      bases: [],
      inputs: [],
      durable: true,
      options,
    };
    scheduler.command("w-main", { o: "lease", lease });
    await scheduler.ended("1.1");
    expect([0, 500, 999].map((task) => scheduler.value("1.1", task))).toEqual([0, 500, 999]);

    const metrics = await (await fetch(`http://127.0.0.1:${worker.metricsPort}/metrics`)).text();
    expect(metrics).toMatch(/^volley_worker_tasks_done_total 1000$/m);
    expect(metrics).toMatch(/^volley_worker_slots 2$/m);
    expect(metrics).toMatch(/^volley_worker_joined 1$/m);
    const health = await fetch(`http://127.0.0.1:${worker.metricsPort}/healthz`);
    expect([health.status, await health.json()]).toEqual([
      200,
      expect.objectContaining({ ok: true, role: "worker", worker: "w-main", joined: true }),
    ]);

    await worker.drain();
    await eventually(() => expect(scheduler.received.at(-1)).toMatchObject({ t: "deregister", worker: "w-main" }));
  } finally {
    await worker.stop();
  }
  await expect(fetch(`http://127.0.0.1:${worker.metricsPort}/healthz`)).rejects.toThrow();
});

test("with another role's user it does not start, and says which url to take", async () => {
  const config = readConfig(
    workerConfig,
    {},
    { VOLLEY_URL: nats.urls.client, VOLLEY_LOG: "silent", VOLLEY_WORKER: "w-wrong" },
  );
  await expect(runWorker(config)).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
    message: expect.stringMatching(/each role joins with the url of its own user/),
  });
});

test("settings outside their bounds name the key, the value and what was expected", () => {
  expect(() => readConfig(workerConfig, { slots: "0" }, { VOLLEY_URL: "nats://x" })).toThrow(
    /VOLLEY_SLOTS \(--slots\) is "0": expected a whole number from 1/,
  );
  expect(() => readConfig(workerConfig, {}, { VOLLEY_URL: "nats://x", VOLLEY_STORE_BYTES: "5000000000" })).toThrow(
    /VOLLEY_STORE_BYTES/,
  );
  expect(() => readConfig(workerConfig, {}, { VOLLEY_URL: "nats://x", VOLLEY_WORKER: "a.b" })).toThrow(
    /VOLLEY_WORKER.*"a\.b"/,
  );
  expect(() => readConfig(workerConfig, {}, {})).toThrow(/VOLLEY_URL/);
});
