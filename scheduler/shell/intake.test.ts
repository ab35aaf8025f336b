import { afterEach, describe, expect, test } from "vitest";
import { putObjectId } from "../../proto/address.js";
import { encodeMessage } from "../../proto/codec.js";
import { digestOf, hexOf, sha256Hex } from "../../proto/digest.js";
import type { LeaseId, ObjectBase } from "../../proto/ids.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { subjects } from "../../proto/subjects.js";
import { patienceMs } from "../../proto/testing/patience.js";
import { PackWriter } from "../../proto/values/pack.js";
import type { Event } from "../core/events.js";
import { graphHash } from "./intake.js";
import type { Script } from "./testing/scripted-core.js";
import { client, closeRigs, rig, session, stage, submit, submitScript, worker } from "./testing/shell-rig.js";

afterEach(closeRigs);

test("a graph's hash is that of the whole message, whatever its length, and says every part of it", () => {
  const whole = (stages: StageSpec[], outputs: number[]) => sha256Hex(encodeMessage([stages, outputs]));
  for (const count of [0, 1, 15, 16, 17, 300, 10_000]) {
    const stages = Array.from({ length: count }, (_, i) => stage(i));
    const outputs = [0, Math.max(0, count - 1)];
    expect(graphHash(stages, outputs)).toBe(whole(stages, outputs));
    expect(graphHash(stages, [0])).not.toBe(graphHash(stages, outputs));
  }
});

describe("intake", () => {
  const stagesOf = (event: Event | undefined): StageSpec[] =>
    event?.e === "client" && event.request.t === "stages" ? event.request.stages : [];

  test("malformed messages are answered or dropped, and never reach the core", async () => {
    const { ask, askAsWorker, publish, core, fatal } = await rig(submitScript);
    const seen = core.events.length;
    expect(await ask(Uint8Array.of(0xc1, 0xff))).toMatchObject({ t: "error", error: { code: "INVALID_ARGUMENT" } });
    expect(await ask(encodeMessage({ t: "status", job: "not a name" }))).toMatchObject({
      t: "error",
      error: { code: "INVALID_ARGUMENT", details: { path: "job" } },
    });
    expect(await ask(encodeMessage({ t: "nothing" }))).toMatchObject({ t: "error" });
    expect((await askAsWorker(encodeMessage({ t: "register", worker: "!" }))).commands).toMatchObject([
      { o: "refused", error: { code: "INVALID_ARGUMENT" } },
    ]);
    for (let i = 0; i < 300; i++)
      publish(
        i % 2 ? subjects.schedulerClient : subjects.schedulerWorker,
        Uint8Array.from({ length: 20 }, (_, j) => (i * 31 + j * 97) & 255),
      );
    expect(core.events.length).toBe(seen);
    expect(await ask({ t: "workers" })).toMatchObject({ t: "ok" });
    expect(fatal).toEqual([]);
  });

  test("a put is taken only under the name of its bytes", async () => {
    const { ask, core } = await rig(submitScript);
    const put = (kind: number, data: Uint8Array, change: Record<string, unknown> = {}): Promise<unknown> =>
      ask(
        encodeMessage({
          t: "put",
          session,
          id: putObjectId(kind, data),
          kind,
          bytes: data.byteLength,
          digest: digestOf(kind, data),
          inline: data,
          ...change,
        }),
      );
    const refused = (code: string) => ({ t: "error", error: { code } });
    const [data, other] = [Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 4)];
    expect(await put(1, data, { inline: other })).toMatchObject(refused("CORRUPT"));
    expect(await put(1, data, { inline: data.subarray(1) })).toMatchObject(refused("CORRUPT"));
    expect(await put(1, data, { bytes: 2 })).toMatchObject(refused("CORRUPT"));
    expect(await put(1, data, { kind: 3 })).toMatchObject(refused("CORRUPT"));
    expect(await put(1, other, { id: putObjectId(1, data) })).toMatchObject(refused("INVALID_ARGUMENT"));
    expect(await put(1, data, { digest: digestOf(1, data).subarray(0, 8) })).toMatchObject(refused("INVALID_ARGUMENT"));
    expect(await put(1, data, { id: "sjob1_0-0" })).toMatchObject(refused("INVALID_ARGUMENT"));
    expect(await put(1, data, { id: `p${hexOf(digestOf(1, data))}-0` })).toMatchObject(refused("INVALID_ARGUMENT"));
    // Also when its bytes are said to be in the durable store.
    expect(await put(1, data, { inline: undefined, digest: digestOf(1, other) })).toMatchObject(
      refused("INVALID_ARGUMENT"),
    );
    expect(await put(3, new Uint8Array(4097))).toMatchObject(refused("TOO_LARGE"));
    expect(core.events).toEqual([]);
    expect(await put(1, data)).toMatchObject({ t: "ok" });
    expect(await put(1, data, { inline: undefined })).toMatchObject({ t: "ok" });
    expect(core.events.length).toBe(2);
  });

  test("an object that a worker announces under a name that its digest contradicts is not heard of; the others of the message are", async () => {
    const { ask, publish, core } = await rig(submitScript);
    const object = (data: Uint8Array, named = data) => ({
      id: putObjectId(3, named),
      bytes: data.byteLength,
      kind: 3,
      digest: digestOf(3, data),
    });
    const [data, other] = [Uint8Array.of(1), Uint8Array.of(2)];
    const made = { ...object(data), id: "sjob1_0-7" };
    const objects = [object(data), object(data, other), made];
    publish(subjects.schedulerWorker, { t: "objects", worker, epoch: 1, seq: 0, added: objects, removed: [] });
    publish(subjects.schedulerWorker, {
      t: "register",
      worker,
      node: "n",
      pid: 1,
      version: 1,
      slots: 1,
      storeBudgetBytes: 1,
      leases: [],
      objects,
    });
    await ask({ t: "workers" });
    const received = core.events.flatMap((event) =>
      event.e !== "worker"
        ? []
        : event.request.t === "objects"
          ? [event.request.added]
          : event.request.t === "register"
            ? [event.request.objects]
            : [],
    );
    expect(received.map((list) => list.map(({ id }) => id))).toEqual([
      [objects[0]?.id, made.id],
      [objects[0]?.id, made.id],
    ]);
  });

  test("a graph that does not fit together is refused with the path of the fault", async () => {
    const { ask, core } = await rig(submitScript);
    const bad = submit("job1", [
      stage(0),
      stage(1, { count: 3, args: [{ a: "stage", stage: 0, edge: "one-to-one" }] }),
    ]);
    expect(await ask(bad)).toMatchObject({
      t: "error",
      error: { code: "INVALID_GRAPH", details: { path: "stages.1.args.0.edge" } },
    });
    expect(core.events).toEqual([]);
  });

  test("a submit has bases, pure ones by content, and a hash that follows stages and outputs only", async () => {
    const { ask, core } = await rig(submitScript);
    const pure = { options: { retries: 0, timeoutMs: patienceMs, pure: true, priority: 0 } };
    const stages = [
      stage(0),
      stage(1, { ...pure, args: [{ a: "value", kind: 3, data: Uint8Array.of(1) }] }),
      stage(2, { ...pure, args: [{ a: "stage", stage: 1, edge: "broadcast" }] }),
    ];
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
      if (event.e === "client" && event.request.t === "stages")
        event.request.stages.forEach((spec, i) =>
          state.stages.set(`${session}/${spec.index}`, { count: spec.count, base: event.bases?.[i] as ObjectBase }),
        );
      return submitScript(state, event, 0);
    };
    const { publish, ask, core, updates } = await rig(script);
    const reads = (upstream: number) => ({
      args: [{ a: "stage" as const, stage: upstream, edge: "broadcast" as const }],
    });
    const send = (...stages: StageSpec[]) =>
      publish(subjects.schedulerClient, { t: "stages", session, client, stages });
    send(stage(0), stage(1, reads(0)));
    send(stage(1, reads(0)), stage(2, reads(1)));
    // The message with stage 4 is lost.
    send(stage(5, reads(4)), stage(6));
    send(stage(4), stage(5, reads(4)));
    await ask({ t: "workers" });
    expect(core.events.slice(0, 4).map((event) => stagesOf(event).map((spec) => spec.index))).toEqual([
      [0, 1],
      [2],
      [6],
      [4, 5],
    ]);
    expect((core.events[2] as Extract<Event, { e: "client" }>).bases).toEqual(["ss1_6"]);
    expect(updates).toEqual([]);
  });

  test("a stage that keeps coming without its upstream ends with SESSION_LOST instead of going round for ever", async () => {
    const { publish, until, updates } = await rig(submitScript);
    for (let i = 0; i < 3; i++)
      publish(subjects.schedulerClient, {
        t: "stages",
        session,
        client,
        stages: [stage(5, { count: 4, args: [{ a: "task", stage: 4, task: 0 }] })],
      });
    await until(() => updates.length === 1);
    expect(updates[0]?.segments).toMatchObject([
      { r: "failed", stage: 5, from: 0, to: 4, error: { code: "SESSION_LOST" } },
    ]);
  });

  test("a session stage that cannot be right fails its tasks and those that read it; the others run", async () => {
    const { publish, until, updates, core } = await rig(submitScript);
    const stages = [
      stage(0, { count: 2, args: [{ a: "item", pack: new PackWriter().finish() }] }),
      stage(1, { args: [{ a: "stage", stage: 0, edge: "all" }] }),
      stage(2),
    ];
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
    publish(subjects.schedulerClient, {
      t: "stages",
      session,
      client,
      stages: [{ ...stage(3), count: 2, fn: { kernel: "" } }],
    });
    await until(() => updates.length === 1);
    expect(updates[0]?.segments).toMatchObject([
      { r: "failed", stage: 3, from: 0, to: 2, error: { code: "INVALID_ARGUMENT" } },
    ]);
  });

  test("a commit whose parts do not fit together reaches the core as a failure of its tasks", async () => {
    const { askAsWorker, core } = await rig(() => []);
    const pack = new PackWriter();
    pack.add({ kind: 0, data: new Uint8Array(0) });
    const commit = (segment: object) => ({ lease: "1.1" as LeaseId, slotTimeUs: 1, segment });
    await askAsWorker(
      encodeMessage({
        t: "commits",
        worker,
        epoch: 1,
        seq: 1,
        done: [],
        back: [],
        commits: [
          commit({ r: "inline", stage: 0, from: 0, to: 1, pack: pack.finish() }),
          commit({ r: "inline", stage: 0, from: 1, to: 3, pack: pack.finish() }),
          commit({ r: "inline", stage: 0, from: 3, to: 4, pack: Uint8Array.of(1, 2) }),
          commit({ r: "stored", stage: 0, from: 4, to: 6, stored: [] }),
        ],
      }),
    );
    const event = core.events[0];
    const segments =
      event?.e === "worker" && event.request.t === "commits" ? event.request.commits.map((one) => one.segment) : [];
    expect(segments).toMatchObject([
      { r: "inline" },
      { r: "failed", from: 1, to: 3, error: { code: "CORRUPT" } },
      { r: "failed", from: 3, to: 4 },
      { r: "failed", from: 4, to: 6 },
    ]);
  });
});
