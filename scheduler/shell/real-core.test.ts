/** The shell with the real core and a scripted worker and client: what a restart gives back. */
import { afterEach, describe, expect, test } from "vitest";
import { decodeMessage, encodeMessage } from "../../proto/codec.js";
import { digestOf, sha256Hex } from "../../proto/digest.js";
import type { Durable } from "../../proto/durable/durable.js";
import { modelDurable } from "../../proto/durable/testing/model.js";
import type { ClientId, JobId, TenantId, WorkerId } from "../../proto/ids.js";
import { type ClientReply, type ClientRequest, clientReply } from "../../proto/messages/client.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import type { JobStatus } from "../../proto/messages/status.js";
import { type Lease, type SchedulerCommand, schedulerCommands } from "../../proto/messages/worker.js";
import { subjects } from "../../proto/subjects.js";
import { patienceMs, until } from "../../proto/testing/patience.js";
import { MemoryNetwork } from "../../proto/transport/testing/memory.js";
import type { Transport } from "../../proto/transport/transport.js";
import { PackWriter } from "../../proto/values/pack.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";
import type { State } from "../core/index.js";
import { SchedulerMetrics } from "./metrics.js";
import { realCore } from "./real-core.js";
import { SchedulerShell, type ShellOptions } from "./shell.js";

const silent = { info: () => {}, warn: () => {}, error: () => {} };
const worker = "w1" as WorkerId;
const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function startShell(
  network: MemoryNetwork,
  durable: Durable,
  options: Partial<ShellOptions<State>> = {},
): Promise<SchedulerShell<State>> {
  const metrics = new SchedulerMetrics();
  const shell = await SchedulerShell.start({
    core: realCore,
    transport: network.connect("scheduler"),
    durable,
    metrics,
    log: silent,
    tickMs: 5,
    snapshotEntries: 1_000_000,
    snapshotBytes: 1e12,
    onFatal: (error) => {
      throw error;
    },
    ...options,
  });
  closing.push(
    () => metrics.close(),
    () => shell.stop(),
  );
  return shell;
}

/** A worker that answers every lease at once: task i gives i as one byte and its attempt is not looked at. */
class EchoWorker {
  readonly #transport: Transport;
  readonly #onLease: (lease: Lease) => boolean;
  #epoch = 0;
  #seq = 0;

  constructor(transport: Transport, onLease: (lease: Lease) => boolean = () => true) {
    this.#transport = transport;
    this.#onLease = onLease;
    transport.subscribe(subjects.worker(worker), ({ data }) => this.#take(data));
  }

  async register(): Promise<void> {
    const request = {
      t: "register",
      worker,
      node: "n",
      pid: 1,
      version: PROTOCOL_VERSION,
      slots: 2,
      storeBudgetBytes: 1e9,
      leases: [],
      objects: [],
    };
    this.#take(
      await this.#transport.request(subjects.schedulerWorker, encodeMessage(request), { timeoutMs: patienceMs }),
    );
  }

  #take(data: Uint8Array): void {
    const { epoch, commands } = decodeMessage(schedulerCommands, data);
    this.#epoch = epoch;
    for (const order of commands) this.#order(order);
  }

  #order(order: SchedulerCommand): void {
    if (order.o !== "lease" || !this.#onLease(order.lease)) return;
    const { lease, stage, from, to } = order.lease;
    const pack = new PackWriter();
    const digests = new Uint8Array(16 * (to - from));
    for (let i = from; i < to; i++) {
      const data = Uint8Array.of(i & 255);
      pack.add({ kind: 3, data });
      digests.set(digestOf(3, data), 16 * (i - from));
    }
    const commit = { lease, slotTimeUs: 100, segment: { r: "inline", stage, from, to, pack: pack.finish(), digests } };
    this.#transport.publish(
      subjects.schedulerWorker,
      encodeMessage({
        t: "commits",
        worker,
        epoch: this.#epoch,
        seq: ++this.#seq,
        commits: [commit],
        done: [lease],
        back: [],
      }),
    );
  }
}

const asker =
  (transport: Transport) =>
  async (request: ClientRequest): Promise<ClientReply> =>
    decodeMessage(
      clientReply,
      await transport.request(subjects.schedulerClient, encodeMessage(request), { timeoutMs: patienceMs }),
    );

async function statusWhen(
  ask: (request: ClientRequest) => Promise<ClientReply>,
  job: JobId,
  holds: (status: JobStatus) => boolean,
): Promise<JobStatus> {
  let found: JobStatus | undefined;
  await until("the job's status", async () => {
    const reply = await ask({ t: "status", job });
    if (reply.t !== "status") throw new Error(JSON.stringify(reply));
    found = reply.status;
    return holds(found);
  });
  return found as JobStatus;
}

const stage = (index: number, count: number, args: StageSpec["args"] = []): StageSpec => ({
  index,
  fn: { kernel: "noop", version: 1 },
  count,
  args,
  options: { retries: 0, timeoutMs: patienceMs, pure: false, priority: 0 },
});
const submitOf = (job: string, stages: StageSpec[]): ClientRequest => ({
  t: "submit",
  job: job as JobId,
  client: "c1" as ClientId,
  tenant: "t" as TenantId,
  name: "n",
  stages,
  outputs: [stages.length - 1],
});
const job = "job1" as JobId;

describe("shell and core", () => {
  test("a durable job runs to its end, and a restart knows it with its digest", async () => {
    const durable = modelDurable();
    const network = new MemoryNetwork();
    const first = await startShell(network, durable);
    const ask = asker(network.connect("client"));
    await new EchoWorker(network.connect("worker")).register();
    expect(
      await ask(submitOf(job, [stage(0, 500), stage(1, 1, [{ a: "stage", stage: 0, edge: "all" }])])),
    ).toMatchObject({ t: "submitted", existed: false });
    const done = await statusWhen(ask, job, (status) => status.state !== "running");
    expect(done).toMatchObject({ state: "succeeded", succeeded: 501, executed: 501 });
    expect(done.digest).toMatch(/^[0-9a-f]{64}$/);
    await first.stop();
    await startShell(network, durable);
    const again = await statusWhen(ask, job, () => true);
    expect(again).toEqual(done);
  });

  test("a restart in the middle runs only what was not committed, and the journal replays to the same state with and without snapshots", async () => {
    const durable = modelDurable();
    const network = new MemoryNetwork();
    const first = await startShell(network, durable, { snapshotEntries: 3 });
    const ask = asker(network.connect("client"));
    const before = network.connect("worker-before");
    let left = 3;
    await new EchoWorker(before, () => left-- > 0).register();
    await ask(submitOf(job, [stage(0, 1_000)]));
    const half = await statusWhen(ask, job, (status) => status.succeeded > 0 && left < 0);
    expect(half.succeeded).toBeLessThan(1_000);
    await before.close();
    await first.stop();
    await startShell(network, durable);
    const restarted = await statusWhen(ask, job, () => true);
    expect(restarted.succeeded).toBeGreaterThanOrEqual(half.succeeded);
    let run = 0;
    const leases: Lease[] = [];
    await new EchoWorker(network.connect("worker-after"), (lease) => {
      leases.push(lease);
      run += lease.to - lease.from;
      return true;
    }).register();
    const done = await statusWhen(ask, job, (status) => status.state !== "running");
    expect(done).toMatchObject({ state: "succeeded", succeeded: 1_000, executed: 1_000 });
    expect(run).toBe(1_000 - restarted.succeeded);
  });

  test("a submit much larger than an entry, and than several, survives a restart", async () => {
    const durable = modelDurable();
    const network = new MemoryNetwork({ payloadBytesMax: 16 * 1024 * 1024 });
    const first = await startShell(network, durable);
    const ask = asker(network.connect("client"));
    const pack = new PackWriter();
    for (let i = 0; i < 3_000; i++) pack.add({ kind: 3, data: new Uint8Array(1_000).fill(i) });
    await ask(submitOf(job, [stage(0, 3_000, [{ a: "item", pack: pack.finish() }])]));
    expect(await durable.journal.lastSeq()).toBeGreaterThan(5);
    await first.stop();
    // Not the snapshot of the clean stop, but the entries themselves.
    await startShell(network, { ...durable, snapshots: modelDurable().snapshots });
    expect(await statusWhen(ask, job, () => true)).toMatchObject({ tasks: 3_000, state: "running" });
    const results: number[] = [];
    await new EchoWorker(network.connect("worker"), (lease) => {
      for (let i = lease.from; i < lease.to; i++) results.push(i);
      return true;
    }).register();
    await statusWhen(ask, job, (status) => status.state === "succeeded");
    expect(new Set(results).size).toBe(3_000);
  });

  test("equal journals give equal state hashes, whether by replay or by snapshot and replay", async () => {
    const durable = modelDurable();
    const network = new MemoryNetwork();
    const shell = await startShell(network, durable);
    const ask = asker(network.connect("client"));
    await new EchoWorker(network.connect("worker")).register();
    let captured: State | undefined;
    const spying = {
      ...realCore,
      create: (epoch: State["epoch"]) => (captured = realCore.create(epoch)),
      restore: (items: readonly unknown[], epoch: State["epoch"]) => (captured = realCore.restore(items, epoch)),
    };
    const hashAfterRestart = async (from: Durable): Promise<string> => {
      const alone = new MemoryNetwork();
      const again = await startShell(alone, from, { core: spying });
      const [head, ...jobs] = realCore.snapshot(captured as State);
      const hash = sha256Hex(encodeMessage([{ ...(head as object), epoch: 0 }, ...jobs]));
      await again.stop();
      return hash;
    };
    await ask(submitOf("job1", [stage(0, 200)]));
    await statusWhen(ask, job, (status) => status.state === "succeeded");
    await shell.snapshot();
    await ask(submitOf("job2", [stage(0, 300)]));
    await statusWhen(ask, "job2" as JobId, (status) => status.state === "succeeded");
    await ask({ t: "cancel", job: "job2" as JobId });
    // A copy without snapshots, before anything is cut.
    const copy = modelDurable();
    for await (const { seq, data } of durable.journal.read(0)) await copy.journal.append(data, seq - 1);
    await shell.stop();
    const bySnapshot = await hashAfterRestart(durable);
    expect(await hashAfterRestart(copy)).toBe(bySnapshot);
  });
});
