/** The scheduler's process against a real nats-server: what it writes survives it and the server. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeMessage, encodeMessage } from "../../proto/codec.js";
import type { ClientId, JobId, TenantId } from "../../proto/ids.js";
import { type ClientReply, type ClientRequest, clientReply } from "../../proto/messages/client.js";
import { subjects } from "../../proto/subjects.js";
import { patienceMs } from "../../proto/testing/patience.js";
import { connectNats } from "../../proto/transport/nats.js";
import type { Transport } from "../../proto/transport/transport.js";
import { type LocalNats, startLocalNats } from "../local/nats-server.js";
import { readConfig } from "../process/config.js";
import { type RunningScheduler, runScheduler, schedulerConfig } from "./scheduler.js";

let folder: string;
let nats: LocalNats;
let transport: Transport;
const exits: number[] = [];
const running: RunningScheduler[] = [];

async function start(): Promise<RunningScheduler> {
  const scheduler = await runScheduler(readConfig(schedulerConfig, { url: nats.url, log: "silent" }, {}), (code) =>
    exits.push(code),
  );
  running.push(scheduler);
  return scheduler;
}

const ask = async (request: ClientRequest): Promise<ClientReply> =>
  decodeMessage(
    clientReply,
    await transport.request(subjects.schedulerClient, encodeMessage(request), { timeoutMs: patienceMs }),
  );

const submit = (job: string): ClientRequest => ({
  t: "submit",
  job: job as JobId,
  client: "c1" as ClientId,
  tenant: "t" as TenantId,
  name: "n",
  outputs: [0],
  stages: [
    {
      index: 0,
      fn: { kernel: "noop", version: 1 },
      count: 10,
      args: [],
      options: { retries: 0, timeoutMs: patienceMs, pure: false, priority: 0 },
    },
  ],
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "volley-scheduler-"));
  nats = await startLocalNats({ dataDir: folder });
  transport = await connectNats({ url: nats.url, name: "test" });
});
afterAll(async () => {
  for (const scheduler of running) await scheduler.stop();
  await transport.close();
  await nats.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("scheduler on nats", () => {
  test("submits survive a clean restart, a deposed scheduler is fenced out, and metrics are served", async () => {
    const first = await start();
    expect(await ask(submit("job1"))).toMatchObject({ t: "submitted", epoch: 1 });
    const health = await fetch(`http://127.0.0.1:${first.metricsPort}/healthz`);
    expect(health.status).toBe(200);
    expect(await health.json()).toMatchObject({ ok: true, role: "scheduler", epoch: 1 });
    const text = await (await fetch(`http://127.0.0.1:${first.metricsPort}/metrics`)).text();
    expect(text).toContain("volley_scheduler_journal_appends_total 1");
    expect(text).toContain('volley_scheduler_jobs{state="running"} 1');
    expect((await fetch(`http://127.0.0.1:${first.metricsPort}/other`)).status).toBe(404);
    await first.stop();

    const second = await start();
    expect(await ask({ t: "status", job: "job1" as JobId })).toMatchObject({
      t: "status",
      epoch: 2,
      status: { tasks: 10, state: "running" },
    });

    // A third takes over while the second still lives. Both hear the next submit; only the third may write.
    await start();
    await ask(submit("job2"));
    await expect.poll(() => exits).toEqual([1]);
    expect(await ask({ t: "status", job: "job2" as JobId })).toMatchObject({ t: "status", epoch: 3 });
    await second.stop();
  });

  test("a scheduler outlives nats-server: what was answered is still there, and new submits are written", async () => {
    const before = await ask(submit("job3"));
    expect(before).toMatchObject({ t: "submitted", existed: false });
    const { port, user, password } = nats;
    nats.kill();
    await nats.ended;
    nats = await startLocalNats({ dataDir: folder, port, user, password });
    // Its connection comes back by itself; until then nobody listens.
    await expect
      .poll(() => ask(submit("job3")).catch(() => undefined), { timeout: patienceMs })
      .toMatchObject({ t: "submitted", existed: true, epoch: 3 });
    expect(await ask(submit("job4"))).toMatchObject({ t: "submitted", existed: false });
  });
});
