import { afterEach, describe, expect, test } from "vitest";
import { decodeMessage, encodeMessage } from "../../proto/codec.js";
import type { Durable } from "../../proto/durable/durable.js";
import { modelDurable } from "../../proto/durable/model.js";
import { InvariantViolation } from "../../proto/errors.js";
import type { ClientId, Epoch, JobId, LeaseId, ObjectBase, TenantId, WorkerId } from "../../proto/ids.js";
import { type ClientReply, type ClientRequest, clientReply, type ClientUpdate, clientUpdate, type StageSpec, type WorkerOrders, type WorkerRequest, workerOrders } from "../../proto/messages.js";
import { PackWriter } from "../../proto/pack.js";
import { subjects } from "../../proto/subjects.js";
import { MemoryNetwork } from "../../proto/transport/memory.js";
import type { Command, Event } from "../core/events.js";
import { SchedulerMetrics } from "./metrics.js";
import { cancelRecord, entriesOf, faultyDurable, type Script, type ScriptedCore, type ScriptedState, scriptedCore } from "./scripted-core.js";
import { type ShellOptions, SchedulerShell } from "./shell.js";

const client = "c1" as ClientId;
const session = "s1" as JobId;
const worker = "w1" as WorkerId;
const silent = { info: () => {}, warn: () => {}, error: () => {} };
const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Rig {
  readonly network: MemoryNetwork;
  readonly core: ScriptedCore;
  readonly shell: SchedulerShell<ScriptedState>;
  readonly metrics: SchedulerMetrics;
  readonly fatal: { error: Error; code: number }[];
  ask(request: ClientRequest | Uint8Array): Promise<ClientReply>;
  askAsWorker(request: WorkerRequest | Uint8Array): Promise<WorkerOrders>;
  publish(subject: string, message: unknown): void;
  readonly updates: ClientUpdate[];
  readonly orders: WorkerOrders[];
  /** Resolves when the condition holds after some message has arrived. */
  until(condition: () => boolean): Promise<void>;
}

async function rig(script: Script, durable: Durable = modelDurable(), options: Partial<ShellOptions<ScriptedState>> = {}, network = new MemoryNetwork()): Promise<Rig> {
  const core = scriptedCore(script);
  const metrics = new SchedulerMetrics();
  const fatal: Rig["fatal"] = [];
  const shell = await SchedulerShell.start({
    core,
    transport: network.connect("scheduler"),
    durable,
    metrics,
    log: silent,
    tickMs: 10,
    snapshotEntries: 1_000,
    snapshotBytes: 1e9,
    onFatal: (error, code) => fatal.push({ error, code }),
    ...options,
  });
  closing.push(() => metrics.close(), () => shell.stop());
  const peer = network.connect("peer");
  const updates: ClientUpdate[] = [];
  const orders: WorkerOrders[] = [];
  let wake: (() => void)[] = [];
  const arrived = () => {
    for (const resolve of wake.splice(0)) resolve();
  };
  peer.subscribe(subjects.client(client), ({ data }) => {
    updates.push(decodeMessage(clientUpdate, data));
    arrived();
  });
  peer.subscribe(subjects.worker(worker), ({ data }) => {
    orders.push(decodeMessage(workerOrders, data));
    arrived();
  });
  const bytes = (message: unknown): Uint8Array => (message instanceof Uint8Array ? message : encodeMessage(message));
  return {
    network,
    core,
    shell,
    metrics,
    fatal,
    updates,
    orders,
    ask: async (request) => decodeMessage(clientReply, await peer.request(subjects.schedulerClient, bytes(request), { timeoutMs: 2_000 })),
    askAsWorker: async (request) => decodeMessage(workerOrders, await peer.request(subjects.schedulerWorker, bytes(request), { timeoutMs: 2_000 })),
    publish: (subject, message) => peer.publish(subject, bytes(message)),
    until: async (condition) => {
      while (!condition()) await new Promise<void>((resolve) => wake.push(resolve));
      wake = [];
    },
  };
}

const stage = (index: number, fields: Partial<StageSpec> = {}): StageSpec => ({
  index,
  fn: { kernel: "noop", version: 1 },
  count: 1,
  args: [],
  options: { retries: 0, timeoutMs: 1_000, pure: false, priority: 0 },
  ...fields,
});
const submit = (job: string, stages: StageSpec[] = [stage(0)]): ClientRequest => ({ t: "submit", job: job as JobId, client, tenant: "t" as TenantId, name: "n", stages, outputs: [0] });
const ok = (epoch: Epoch): ClientReply => ({ t: "ok", epoch });

/** Journals every submit and answers when that is done; answers everything else at once. */
const submitScript: Script = (state, event) => {
  if (event.e !== "client" || event.reply === undefined) return [];
  const { request, reply } = event;
  if (request.t !== "submit") return [{ c: "reply", to: reply, message: ok(state.epoch), gated: false }];
  return [
    { c: "record", record: { k: "cancel", job: request.job, atMs: 1 } },
    { c: "reply", to: reply, message: { t: "submitted", epoch: state.epoch, job: request.job, existed: false }, gated: true },
  ];
};

describe("gate", () => {
  test("a submit is on disk before it is answered, and others do not wait for it (I6)", async () => {
    const durable = faultyDurable(modelDurable());
    const { ask } = await rig(submitScript, durable);
    durable.journal.mode = "hold";
    const begun = durable.journal.nextAppend();
    let answered = false;
    const submitted = ask(submit("job1")).then((reply) => {
      answered = true;
      return reply;
    });
    await begun;
    expect(await ask({ t: "workers" })).toEqual({ t: "ok", epoch: 1 });
    expect(answered).toBe(false);
    expect((await entriesOf(durable.journal)).length).toBe(1);
    durable.journal.release();
    expect(await submitted).toMatchObject({ t: "submitted", job: "job1" });
    expect((await entriesOf(durable.journal)).length).toBe(2);
  });

  test("gated commands keep their order and pass only as far as the journal has come", async () => {
    const durable = faultyDurable(modelDurable());
    let n = 0;
    const { publish, until, orders } = await rig((_state, event) => {
      if (event.e !== "worker") return [];
      n++;
      return [
        { c: "record", record: cancelRecord(n) },
        { c: "order", worker, order: { o: "ack", seq: n }, gated: true },
        { c: "order", worker, order: { o: "ack", seq: 1_000 + n }, gated: false },
      ];
    }, durable);
    durable.journal.mode = "hold";
    for (let i = 0; i < 3; i++) publish(subjects.schedulerWorker, { t: "bye", worker, epoch: 1 });
    const seqs = () => orders.flatMap((message) => message.orders.map((order) => (order.o === "ack" ? order.seq : -1)));
    await until(() => seqs().length === 3);
    expect(seqs()).toEqual([1_001, 1_002, 1_003]);
    durable.journal.release();
    await until(() => seqs().length === 6);
    expect(seqs().slice(3)).toEqual([1, 2, 3]);
  });

  test("sessions go on while the journal is away, and durable work resumes when it is back", async () => {
    const durable = faultyDurable(modelDurable());
    const { ask } = await rig(submitScript, durable);
    durable.journal.mode = "fail";
    const submitted = ask(submit("job1"));
    await durable.journal.nextAppend();
    for (let i = 0; i < 5; i++) expect(await ask({ t: "workers" })).toMatchObject({ t: "ok" });
    durable.journal.mode = "through";
    expect(await submitted).toMatchObject({ t: "submitted" });
  });
});

describe("restart and fence", () => {
  test("a restarted shell has the state of the one before and the next epoch", async () => {
    const durable = modelDurable();
    const first = await rig(submitScript, durable);
    await first.ask(submit("job1"));
    await first.shell.stop();
    const states: ScriptedState[] = [];
    const second = await rig((state, event) => {
      states.push(state);
      return submitScript(state, event, 0);
    }, durable);
    expect(await second.ask({ t: "workers" })).toEqual({ t: "ok", epoch: 2 });
    expect(states[0]?.records).toEqual([{ k: "cancel", job: "job1", atMs: 1 }]);
  });

  test("a deposed shell says nothing further and ends with exit code 1", async () => {
    const durable = modelDurable();
    const network = new MemoryNetwork();
    const old = await rig(submitScript, durable, {}, network);
    const fresh = await rig(submitScript, durable, {}, new MemoryNetwork());
    expect(fresh.shell.epoch).toBe(2);
    await expect(old.ask(submit("job1"))).rejects.toMatchObject({ code: "TIMEOUT" });
    expect(old.fatal).toMatchObject([{ code: 1, error: { code: "FENCED" } }]);
    await expect(old.ask({ t: "workers" })).rejects.toMatchObject({ code: "NO_LISTENER" });
    expect(await fresh.ask(submit("job1"))).toMatchObject({ t: "submitted", epoch: 2 });
  });

  test("a step that throws ends the process with exit code 70, and nothing of it is said or written", async () => {
    const durable = modelDurable();
    const { ask, fatal, core } = await rig((state, event) => {
      if (event.e === "client" && event.request.t === "workers") throw new InvariantViolation("I1: planted");
      return submitScript(state, event, 0);
    }, durable);
    await expect(ask({ t: "workers" })).rejects.toMatchObject({ code: "TIMEOUT" });
    expect(fatal).toMatchObject([{ code: 70, error: { message: "I1: planted" } }]);
    const seen = core.events.length;
    await expect(ask(submit("job1"))).rejects.toMatchObject({ code: "NO_LISTENER" });
    expect(core.events.length).toBe(seen);
    expect((await entriesOf(durable.journal)).length).toBe(1);
  });

  test("takes snapshots after so many entries, and restarts from them", async () => {
    const durable = modelDurable();
    const first = await rig(submitScript, durable, { snapshotEntries: 10 });
    for (let i = 0; i < 60; i++) await first.ask(submit(`job${i}`));
    await first.shell.stop();
    const entries = await entriesOf(durable.journal);
    expect(entries[0]?.seq).toBeGreaterThan(20);
    let records = 0;
    await rig((state) => {
      records = state.records.length;
      return [];
    }, durable).then(({ ask }) => ask({ t: "workers" }).catch(() => undefined));
    expect(records).toBe(60);
  });
});

describe("orders and answers", () => {
  const hello: WorkerRequest = { t: "hello", worker, node: "n", pid: 1, version: 1, slots: 1, storeBudgetBytes: 0, leases: [], objects: [], more: false };

  test("a worker's request is answered with the orders meant for it, and with none if there are none", async () => {
    const { askAsWorker, until, orders } = await rig((_state, event) => {
      if (event.e !== "worker" || event.request.t !== "hello") return [];
      return [
        { c: "order", worker, order: { o: "welcome", heartbeatIntervalMs: 1, heartbeatTimeoutMs: 2 }, gated: false, ...(event.reply === undefined ? {} : { reply: event.reply }) },
        { c: "order", worker, order: { o: "drain" }, gated: false },
      ];
    });
    const answer = await askAsWorker(hello);
    expect(answer.orders).toEqual([{ o: "welcome", heartbeatIntervalMs: 1, heartbeatTimeoutMs: 2 }]);
    await until(() => orders.length === 1);
    expect(orders[0]?.orders).toEqual([{ o: "drain" }]);
    expect((await askAsWorker({ t: "bye", worker, epoch: 1 as Epoch })).orders).toEqual([]);
  });

  test("messages of one batch give one message to each worker and client", async () => {
    const pack = new PackWriter();
    pack.add({ kind: 0, data: new Uint8Array(0) });
    const packed = pack.finish();
    let seq = 0;
    const { publish, until, orders, updates } = await rig((_state, event) => {
      if (event.e !== "worker") return [];
      const n = seq++;
      return [
        { c: "order", worker, order: { o: "ack", seq: n }, gated: false },
        { c: "update", client, session, segment: { r: "inline", stage: 0, from: n, to: n + 1, pack: packed } },
      ];
    });
    for (let i = 0; i < 50; i++) publish(subjects.schedulerWorker, { t: "bye", worker, epoch: 1 });
    await until(() => updates.reduce((sum, update) => sum + update.segments.length, 0) === 50);
    await until(() => orders.reduce((sum, message) => sum + message.orders.length, 0) === 50);
    expect(orders.length).toBeLessThan(25);
    expect(updates.length).toBeLessThan(25);
  });

  test("an answer over the network's limit becomes TOO_LARGE instead of silence", async () => {
    const { ask } = await rig(
      (state, event) => (event.e === "client" && event.reply !== undefined ? [{ c: "reply", to: event.reply, message: { t: "error", epoch: state.epoch, error: { code: "INTERNAL", message: "x".repeat(100_000) } }, gated: false }] : []),
      modelDurable(),
      {},
      new MemoryNetwork({ payloadBytesMax: 64 * 1024 }),
    );
    expect(await ask({ t: "workers" })).toMatchObject({ t: "error", error: { code: "TOO_LARGE" } });
  });

  test("digest is computed over the parts in order and given back as an event, after the commands at hand", async () => {
    const order: string[] = [];
    const { ask, core } = await rig((state, event): Command[] => {
      order.push(event.e === "digest" ? "digest" : event.e === "tick" ? "tick" : "client");
      if (event.e !== "client" || event.reply === undefined) return [];
      return [
        { c: "digest", job: session, parts: [Uint8Array.of(1, 2), Uint8Array.of(3)] },
        { c: "reply", to: event.reply, message: ok(state.epoch), gated: false },
      ];
    });
    await ask({ t: "workers" });
    // SHA-256 of 01 02 03.
    expect(core.events.at(-1)).toEqual({ e: "digest", job: session, digest: "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81" });
    expect(order.filter((what) => what !== "tick")).toEqual(["client", "digest"]);
  });

  test("what is counted and measured can be scraped", async () => {
    const { ask, metrics, publish } = await rig((state, event) => {
      const commands = submitScript(state, event, 0);
      if (event.e !== "client") return commands;
      const tenant = "t" as TenantId;
      return [...commands, { c: "count", metric: "tasks_committed", by: 7, tenant }, { c: "count", metric: "commits_stale_refused", by: 2 }, { c: "observe", metric: "queue_seconds", value: 0.02, tenant }];
    });
    await ask(submit("job1"));
    publish(subjects.schedulerWorker, Uint8Array.of(0xc1));
    await ask(submit("job2"));
    const text = await metrics.scrape();
    expect(text).toContain('volley_tasks_total{state="committed",tenant="t"} 14');
    expect(text).toMatch(/volley_scheduler_commits_stale_refused_total\{tenant=""\} 4/);
    expect(text).toContain('volley_scheduler_queue_seconds_count{tenant="t"} 2');
    expect(text).toContain("volley_scheduler_journal_appends_total 2");
    expect(text).toContain('volley_scheduler_messages_refused_total{from="worker",code="INVALID_ARGUMENT"} 1');
    expect(text).toContain("volley_scheduler_event_loop_delay_seconds");
    expect(text).toContain("process_cpu_user_seconds_total");
  });
});

describe("intake", () => {
  const stagesOf = (event: Event | undefined): StageSpec[] => (event?.e === "client" && event.request.t === "stages" ? event.request.stages : []);

  test("malformed messages are answered or dropped, and never reach the core", async () => {
    const { ask, askAsWorker, publish, core, fatal } = await rig(submitScript);
    const seen = core.events.length;
    expect(await ask(Uint8Array.of(0xc1, 0xff))).toMatchObject({ t: "error", error: { code: "INVALID_ARGUMENT" } });
    expect(await ask(encodeMessage({ t: "status", job: "not a name" }))).toMatchObject({ t: "error", error: { code: "INVALID_ARGUMENT", details: { path: "job" } } });
    expect(await ask(encodeMessage({ t: "nothing" }))).toMatchObject({ t: "error" });
    expect((await askAsWorker(encodeMessage({ t: "hello", worker: "!" }))).orders).toMatchObject([{ o: "refused", error: { code: "INVALID_ARGUMENT" } }]);
    for (let i = 0; i < 300; i++) publish(i % 2 ? subjects.schedulerClient : subjects.schedulerWorker, Uint8Array.from({ length: 20 }, (_, j) => (i * 31 + j * 97) & 255));
    expect(core.events.length).toBe(seen);
    expect(await ask({ t: "workers" })).toMatchObject({ t: "ok" });
    expect(fatal).toEqual([]);
  });

  test("a graph that does not fit together is refused with the path of the fault", async () => {
    const { ask, core } = await rig(submitScript);
    const bad = submit("job1", [stage(0), stage(1, { count: 3, args: [{ a: "stage", stage: 0, edge: "one-to-one" }] })]);
    expect(await ask(bad)).toMatchObject({ t: "error", error: { code: "INVALID_GRAPH", details: { path: "stages.1.args.0.edge" } } });
    expect(core.events).toEqual([]);
  });

  test("a submit has bases, pure ones by content, and a hash that follows stages and outputs only", async () => {
    const { ask, core } = await rig(submitScript);
    const pure = { options: { retries: 0, timeoutMs: 1_000, pure: true, priority: 0 } };
    const stages = [stage(0), stage(1, { ...pure, args: [{ a: "value", kind: 3, data: Uint8Array.of(1) }] }), stage(2, { ...pure, args: [{ a: "stage", stage: 1, edge: "broadcast" }] })];
    await ask(submit("job1", stages));
    await ask(submit("job2", stages));
    await ask(submit("job3", [stages[0] as StageSpec]));
    const [one, two, three] = core.events as Extract<Event, { e: "client" }>[];
    expect(one?.bases?.[0]).toBe("sjob1_0");
    expect(one?.bases?.[1]).toMatch(/^p[0-9a-f]{32}$/);
    expect(one?.bases?.slice(1)).toEqual(two?.bases?.slice(1));
    expect(one?.contentHash).toMatch(/^[0-9a-f]{64}$/);
    expect(one?.contentHash).toBe(two?.contentHash);
    expect(three?.contentHash).not.toBe(one?.contentHash);
  });

  test("session stages pass with repeats and gaps; those whose upstream is unknown wait for it to come again", async () => {
    const script: Script = (state, event) => {
      if (event.e === "client" && event.request.t === "stages") event.request.stages.forEach((spec, i) => state.stages.set(`${session}/${spec.index}`, { count: spec.count, base: event.bases?.[i] as ObjectBase }));
      return submitScript(state, event, 0);
    };
    const { publish, ask, core, updates } = await rig(script);
    const reads = (upstream: number) => ({ args: [{ a: "stage" as const, stage: upstream, edge: "broadcast" as const }] });
    const send = (...stages: StageSpec[]) => publish(subjects.schedulerClient, { t: "stages", session, client, stages });
    send(stage(0), stage(1, reads(0)));
    send(stage(1, reads(0)), stage(2, reads(1)));
    // The message with stage 4 is lost.
    send(stage(5, reads(4)), stage(6));
    send(stage(4), stage(5, reads(4)));
    await ask({ t: "workers" });
    expect(core.events.slice(0, 4).map((event) => stagesOf(event).map((spec) => spec.index))).toEqual([[0, 1], [1, 2], [6], [4, 5]]);
    expect((core.events[2] as Extract<Event, { e: "client" }>).bases).toEqual(["ss1_6"]);
    expect(updates).toEqual([]);
  });

  test("a stage that keeps coming without its upstream ends with SESSION_LOST instead of going round for ever", async () => {
    const { publish, until, updates } = await rig(submitScript);
    for (let i = 0; i < 3; i++) publish(subjects.schedulerClient, { t: "stages", session, client, stages: [stage(5, { count: 4, args: [{ a: "task", stage: 4, task: 0 }] })] });
    await until(() => updates.length === 1);
    expect(updates[0]?.segments).toMatchObject([{ r: "failed", stage: 5, from: 0, to: 4, error: { code: "SESSION_LOST" } }]);
  });

  test("a session stage that cannot be right fails its tasks and those that read it; the others run", async () => {
    const { publish, until, updates, core } = await rig(submitScript);
    const stages = [stage(0, { count: 2, args: [{ a: "item", pack: new PackWriter().finish() }] }), stage(1, { args: [{ a: "stage", stage: 0, edge: "all" }] }), stage(2)];
    publish(subjects.schedulerClient, { t: "stages", session, client, stages });
    await until(() => updates.length === 1);
    expect(updates[0]?.segments).toMatchObject([
      { r: "failed", stage: 0, from: 0, to: 2, error: { code: "INVALID_GRAPH" } },
      { r: "failed", stage: 1, from: 0, to: 1, error: { code: "UPSTREAM_FAILED" } },
    ]);
    expect(stagesOf(core.events[0]).map((spec) => spec.index)).toEqual([2]);
  });

  test("malformed stages that say whose they are end with the fault", async () => {
    const { publish, until, updates } = await rig(submitScript);
    publish(subjects.schedulerClient, { t: "stages", session, client, stages: [{ ...stage(3), count: 2, fn: { kernel: "" } }] });
    await until(() => updates.length === 1);
    expect(updates[0]?.segments).toMatchObject([{ r: "failed", stage: 3, from: 0, to: 2, error: { code: "INVALID_ARGUMENT" } }]);
  });

  test("a commit whose parts do not fit together reaches the core as a failure of its tasks", async () => {
    const { askAsWorker, core } = await rig(() => []);
    const pack = new PackWriter();
    pack.add({ kind: 0, data: new Uint8Array(0) });
    const commit = (segment: object) => ({ lease: "1.1" as LeaseId, slotTimeUs: 1, segment });
    await askAsWorker(
      encodeMessage({
        t: "commits", worker, epoch: 1, seq: 1, done: [], back: [],
        commits: [
          commit({ r: "inline", stage: 0, from: 0, to: 1, pack: pack.finish() }),
          commit({ r: "inline", stage: 0, from: 1, to: 3, pack: pack.finish() }),
          commit({ r: "inline", stage: 0, from: 3, to: 4, pack: Uint8Array.of(1, 2) }),
          commit({ r: "stored", stage: 0, from: 4, to: 6, stored: [] }),
        ],
      }),
    );
    const event = core.events[0];
    const segments = event?.e === "worker" && event.request.t === "commits" ? event.request.commits.map((one) => one.segment) : [];
    expect(segments).toMatchObject([{ r: "inline" }, { r: "failed", from: 1, to: 3, error: { code: "CORRUPT" } }, { r: "failed", from: 3, to: 4 }, { r: "failed", from: 4, to: 6 }]);
  });
});
