/** Submissions at the boundary: what they are addressed with, and that the same graph stays the same submission. */

import { afterEach, expect, test } from "vitest";
import { decodeMessage, encodeMessage } from "../../proto/codec.js";
import { modelDurable } from "../../proto/durable/testing/model.js";
import type { BundleId, ClientId, JobId, TenantId } from "../../proto/ids.js";
import { type ClientReply, type ClientRequest, clientReply } from "../../proto/messages/client.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { subjects } from "../../proto/subjects.js";
import { patienceMs } from "../../proto/testing/patience.js";
import { MemoryNetwork } from "../../proto/transport/testing/memory.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";
import type { State } from "../core/index.js";
import { SchedulerMetrics } from "./metrics.js";
import { realCore } from "./real-core.js";
import { SchedulerShell } from "./shell.js";

const silent = { info: () => {}, warn: () => {}, error: () => {} };
let shell: SchedulerShell<State> | undefined;
afterEach(() => shell?.stop());

const options = { retries: 0, timeoutMs: patienceMs, pure: true, priority: 0 };
const users: StageSpec = {
  index: 0,
  fn: { bundle: "ab".repeat(32) as BundleId, export: "f" },
  count: 1,
  args: [],
  options,
};
const kernel: StageSpec = { index: 1, fn: { kernel: "noop", version: 1 }, count: 1, args: [], options };

test("a durable job's pure functions of users are addressed with the engine of the day, its kernels are not; its key stays good when the engine changes", async () => {
  const network = new MemoryNetwork();
  shell = await SchedulerShell.start({
    core: realCore,
    transport: network.connect("scheduler"),
    durable: modelDurable(),
    metrics: new SchedulerMetrics(),
    log: silent,
    tickMs: 5,
    snapshotEntries: 1_000_000,
    snapshotBytes: 1e12,
    onFatal: (error) => {
      throw error;
    },
  });
  const transport = network.connect("client");
  const ask = async (request: ClientRequest): Promise<ClientReply> =>
    decodeMessage(
      clientReply,
      await transport.request(subjects.schedulerClient, encodeMessage(request), { timeoutMs: patienceMs }),
    );
  const join = (worker: string, slots: number, v8: string): Promise<Uint8Array> => {
    const engine = { runtime: "node", v8, arch: "x64" };
    const register = {
      t: "register",
      worker,
      node: "n",
      pid: 1,
      version: PROTOCOL_VERSION,
      engine,
      slots,
      storeBudgetBytes: 1e9,
      leases: [],
      objects: [],
    };
    return transport.request(subjects.schedulerWorker, encodeMessage(register), { timeoutMs: patienceMs });
  };
  const submit = (job: string, key?: string): Promise<ClientReply> => {
    const request = {
      t: "submit",
      job: job as JobId,
      client: "c" as ClientId,
      tenant: "t" as TenantId,
      name: "n",
      stages: [users, kernel],
      outputs: [0, 1],
    };
    return ask({ ...request, ...(key === undefined ? {} : { key }) } as ClientRequest);
  };
  const bases = async (job: string): Promise<string[]> => {
    const of = async (stage: number): Promise<string> => {
      const reply = await ask({ t: "results", job: job as JobId, stage, from: 0, to: 1 });
      return reply.t === "results" ? reply.base : JSON.stringify(reply);
    };
    return [await of(0), await of(1)];
  };

  await submit("none");
  await join("w1", 1, "11.3.244.8");
  await submit("first", "once");
  await submit("alike");
  await join("w2", 2, "13.6.233.17");
  await submit("later");
  const [none, first, alike, later] = [
    await bases("none"),
    await bases("first"),
    await bases("alike"),
    await bases("later"),
  ];
  expect(none[0]).toBe("snone_0");
  expect(first[0]).toMatch(/^p/);
  expect(alike).toEqual(first);
  expect(later[0]).toMatch(/^p/);
  expect(later[0]).not.toBe(first[0]);
  expect(new Set([none[1], first[1], later[1]]).size).toBe(1);
  expect(await submit("again", "once")).toMatchObject({ t: "submitted", job: "first", existed: true });
});
