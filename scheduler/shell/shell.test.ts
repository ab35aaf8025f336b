import { afterEach, describe, expect, test } from "vitest";
import { modelDurable } from "../../proto/durable/testing/model.js";
import { InvariantViolation } from "../../proto/errors.js";
import type { Epoch, TenantId } from "../../proto/ids.js";
import type { WorkerRequest } from "../../proto/messages/worker.js";
import { subjects } from "../../proto/subjects.js";
import { MemoryNetwork } from "../../proto/transport/testing/memory.js";
import { PackWriter } from "../../proto/values/pack.js";
import type { Command } from "../core/events.js";
import { cancelRecord, entriesOf, faultyDurable, type ScriptedState } from "./testing/scripted-core.js";
import { client, closeRigs, ok, received, rig, session, submit, submitScript, worker } from "./testing/shell-rig.js";

afterEach(closeRigs);

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
    const { publish, until, commands } = await rig((_state, event) => {
      if (event.e !== "worker") return [];
      n++;
      return [
        { c: "record", record: cancelRecord(n) },
        { c: "command", worker, command: { o: "ack", seq: n }, gated: true },
        { c: "command", worker, command: { o: "ack", seq: 1_000 + n }, gated: false },
      ];
    }, durable);
    durable.journal.mode = "hold";
    for (let i = 0; i < 3; i++) publish(subjects.schedulerWorker, { t: "deregister", worker, epoch: 1 });
    const seqs = () =>
      commands.flatMap((message) => message.commands.map((order) => (order.o === "ack" ? order.seq : -1)));
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
    const answered = received(old.ask(submit("job1")));
    await old.died;
    expect(answered()).toBe(false);
    expect(old.fatal).toMatchObject([{ code: 1, error: { code: "FENCED" } }]);
    await expect(old.ask({ t: "workers" })).rejects.toMatchObject({ code: "NO_LISTENER" });
    expect(await fresh.ask(submit("job1"))).toMatchObject({ t: "submitted", epoch: 2 });
  });

  test("a deposed shell with nothing to write learns it from workers that follow the later one", async () => {
    const durable = modelDurable();
    const old = await rig(submitScript, durable);
    await rig(submitScript, durable);
    old.publish(subjects.schedulerWorker, { t: "deregister", worker, epoch: 2 });
    await old.died;
    expect(old.fatal).toMatchObject([{ code: 1, error: { code: "FENCED" } }]);
  });

  test("a shell whose journal is an older copy of what a worker has followed says so, and starts again above", async () => {
    const durable = modelDurable();
    const old = await rig(submitScript, durable);
    await old.ask(submit("job1"));
    old.publish(subjects.schedulerWorker, { t: "deregister", worker, epoch: 9 });
    await old.died;
    expect(old.fatal).toMatchObject([
      { code: 75, error: { code: "STALE_EPOCH", message: expect.stringContaining("followed a scheduler of epoch 9") } },
    ]);
    const fresh = await rig(submitScript, durable);
    expect(fresh.shell.epoch).toBe(10);
    expect(await fresh.ask(submit("job2"))).toMatchObject({ t: "submitted", epoch: 10 });
    expect(fresh.fatal).toEqual([]);
  });

  test("an epoch that no scheduler could ever go above is no epoch", async () => {
    const { publish, ask, fatal } = await rig(submitScript);
    for (const epoch of [2 ** 40, 2 ** 31, 2 ** 31 - 1])
      publish(subjects.schedulerWorker, { t: "deregister", worker, epoch });
    expect(await ask(submit("job1"))).toMatchObject({ t: "submitted" });
    expect(fatal).toEqual([]);
  });

  test("a step that throws ends the process with exit code 70, and nothing of it is said or written", async () => {
    const durable = modelDurable();
    const { ask, fatal, died, core } = await rig((state, event) => {
      if (event.e === "client" && event.request.t === "workers") throw new InvariantViolation("I1: planted");
      return submitScript(state, event, 0);
    }, durable);
    const answered = received(ask({ t: "workers" }));
    await died;
    expect(answered()).toBe(false);
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
    const second = await rig((state, event) => {
      records = state.records.length;
      return submitScript(state, event, 0);
    }, durable);
    await second.ask({ t: "workers" });
    expect(records).toBe(60);
  });
});

describe("commands and answers", () => {
  const register: WorkerRequest = {
    t: "register",
    worker,
    node: "n",
    pid: 1,
    version: 1,
    slots: 1,
    storeBudgetBytes: 0,
    leases: [],
    objects: [],
  };

  test("a worker's request is answered with the commands meant for it, and with none if there are none", async () => {
    const { askAsWorker, until, commands } = await rig((_state, event) => {
      if (event.e !== "worker" || event.request.t !== "register") return [];
      return [
        {
          c: "command",
          worker,
          command: { o: "welcome", heartbeatIntervalMs: 1 },
          gated: false,
          ...(event.reply === undefined ? {} : { reply: event.reply }),
        },
        { c: "command", worker, command: { o: "drain" }, gated: false },
      ];
    });
    const answer = await askAsWorker(register);
    expect(answer.commands).toEqual([{ o: "welcome", heartbeatIntervalMs: 1 }]);
    await until(() => commands.length === 1);
    expect(commands[0]?.commands).toEqual([{ o: "drain" }]);
    expect((await askAsWorker({ t: "deregister", worker, epoch: 1 as Epoch })).commands).toEqual([]);
  });

  test("messages of one batch give one message to each worker and client", async () => {
    const pack = new PackWriter();
    pack.add({ kind: 0, data: new Uint8Array(0) });
    const packed = pack.finish();
    let seq = 0;
    const { publish, until, commands, updates } = await rig((_state, event) => {
      if (event.e !== "worker") return [];
      const n = seq++;
      return [
        { c: "command", worker, command: { o: "ack", seq: n }, gated: false },
        { c: "update", client, session, segment: { r: "inline", stage: 0, from: n, to: n + 1, pack: packed } },
      ];
    });
    for (let i = 0; i < 50; i++) publish(subjects.schedulerWorker, { t: "deregister", worker, epoch: 1 });
    await until(() => updates.reduce((sum, update) => sum + update.segments.length, 0) === 50);
    await until(() => commands.reduce((sum, message) => sum + message.commands.length, 0) === 50);
    expect(commands.length).toBeLessThan(25);
    expect(updates.length).toBeLessThan(25);
  });

  test("an answer over the network's limit becomes TOO_LARGE instead of silence", async () => {
    const { ask } = await rig(
      (state, event) =>
        event.e === "client" && event.reply !== undefined
          ? [
              {
                c: "reply",
                to: event.reply,
                message: { t: "error", epoch: state.epoch, error: { code: "INTERNAL", message: "x".repeat(100_000) } },
                gated: false,
              },
            ]
          : [],
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
    expect(core.events.at(-1)).toEqual({
      e: "digest",
      job: session,
      digest: "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81",
    });
    expect(order.filter((what) => what !== "tick")).toEqual(["client", "digest"]);
  });

  test("what is counted and measured can be scraped", async () => {
    const { ask, metrics, publish } = await rig((state, event) => {
      const commands = submitScript(state, event, 0);
      if (event.e !== "client") return commands;
      const tenant = "t" as TenantId;
      return [
        ...commands,
        { c: "count", metric: "tasks_committed", by: 7, tenant },
        { c: "count", metric: "commits_stale_refused", by: 2 },
        { c: "observe", metric: "queue_seconds", value: 0.02, tenant },
      ];
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
