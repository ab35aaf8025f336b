/** Refs as the items of a map: whole maps, separate refs, and what becomes of them when the scheduler restarts. */
import { describe, expect, test } from "vitest";
import { patienceMs, until } from "../../proto/testing/patience.js";
import { resultsOf } from "./testing/scripted-scheduler.js";
import { sessionRig } from "./testing/session-rig.js";

const rig = sessionRig();

describe("refs as items", () => {
  test("in a list of items are taken one by a task, shared values with them; a large one is put once", async () => {
    const f = await rig.impure<(a: unknown, b: unknown, c: unknown) => number>();
    const one = await rig.cluster.put(7);
    const [a, b] = f.map([1, 2, 3]).slice(1);
    const big = new Uint8Array(4_000);
    const items = [one, a, b, 5, [one, a]];
    const many = Array.from({ length: 70 }, (_, i) => items[i % items.length]);
    const refs = f.map(many as never, { shared: [one, big] as never });
    expect([refs.length, new Set([...refs].map(({ id }) => id)).size]).toEqual([70, 70]);
    expect(refs.at(-1).id).toBe([...refs][69]?.id);
    expect(() => refs.at(70)).toThrow(/no ref 70 in an array of 70/);
    await until("sent", () => rig.stagesSent().length === 71);
    const object = { a: "object", id: one.id };
    const each = rig.stagesSent().slice(1);
    expect(each.every(({ count }) => count === 1)).toBe(true);
    expect(each.slice(5, 10).map(({ args }) => args[0])).toMatchObject([
      object,
      { a: "task", stage: 0, task: 1 },
      { a: "task", stage: 0, task: 2 },
      { a: "value" },
      { a: "list", of: [object, { a: "task", stage: 0, task: 1 }] },
    ]);
    const shared = each.map(({ args }) => args.slice(1));
    expect(shared[0]).toMatchObject([object, { a: "object" }]);
    expect(shared.every((args) => JSON.stringify(args) === JSON.stringify(shared[0]))).toBe(true);
    expect(rig.scheduler.of("put")).toHaveLength(2);
  });

  test("separate refs are one stage: its refs are got, waited for, mapped over, passed on and cancelled", async () => {
    const f = await rig.impure<(a: unknown) => unknown>();
    const held = await Promise.all([10, 20, 30].map((value) => rig.cluster.put(value)));
    rig.scheduler.onStage = (stage, { client, session }) => {
      if (stage.index === 0)
        rig.scheduler.send(client, session, [
          resultsOf(stage, (arg) => held.findIndex(({ id }) => id === (arg as { id: string }).id)),
        ]);
    };
    const refs = f.map(held);
    expect(await rig.cluster.get(refs)).toEqual([0, 1, 2]);
    expect((await rig.cluster.wait(refs, { count: 2 })).ready).toHaveLength(3);
    const again = f.map([refs.at(2), ...refs.slice(0, 2)]);
    f.submit(refs as never);
    await until("sent", () => rig.stagesSent().length === 3);
    expect(rig.stagesSent().map(({ count, args }) => [count, args[0]])).toEqual([
      [3, { a: "each", of: held.map(({ id }) => id) }],
      [
        3,
        {
          a: "each",
          of: [
            [0, 2, 1],
            [0, 0, 2],
          ],
        },
      ],
      [1, { a: "stage", stage: 0, edge: "all" }],
    ]);
    await rig.cluster.cancel(again);
    expect(rig.scheduler.of("cancel").map(({ stage }) => stage)).toEqual([1]);
  });

  test("what many refs cost follows from how they were made: nothing for a run, a name each for the others", async () => {
    const f = await rig.impure<(a: unknown) => unknown>();
    const each = 20_000;
    const some = (): Iterable<unknown> => f.map(Array.from({ length: each }, (_, i) => i));
    const many = [...some(), ...some()];
    const from = many.map((_, i) => (i * 7) % many.length);
    const runs = f.map([...many]);
    const scattered = f.map(from.map((at) => many[at]));
    expect([runs.length, scattered.length]).toEqual([many.length, many.length]);
    expect(new Set([...scattered].map(({ id }) => id)).size).toBe(many.length);
    await until("sent", () => rig.stagesSent().length === 5);
    const sent = rig
      .stagesSent()
      .slice(2)
      .map(({ args }) => (args[0]?.a === "each" ? args[0].of : []));
    expect(sent[0]).toEqual([
      [0, 0, each],
      [1, 0, each],
    ]);
    // Their names share a message with others, so these are two stages.
    expect(sent.slice(1).flat()).toEqual(from.map((at) => [at < each ? 0 : 1, at % each, 1]));
  });

  test("an item that cannot be sent leaves nothing of its map behind", async () => {
    const f = await rig.impure<(a: unknown) => unknown>();
    const one = await rig.cluster.put(7);
    expect(() => f.map([one, () => 1] as never)).toThrow(/function/);
    f.submit(1);
    await until("sent", () => rig.stagesSent().length > 0);
    expect(rig.stagesSent().map(({ args }) => args[0]?.a)).toEqual(["item"]);
  });

  test("a map over a map whose results the restarted scheduler cannot know takes them one by one", async () => {
    const f = await rig.impure<(a: unknown) => number>();
    rig.scheduler.onStage = (stage, { client, session }) => {
      if (stage.index === 0) rig.scheduler.send(client, session, [resultsOf(stage, (a) => (a as number) * 10)]);
    };
    const first = f.map([1, 2, 3]);
    expect(await rig.cluster.get(first)).toEqual([10, 20, 30]);
    const second = f.map(first as never);
    await until("sent", () => rig.stagesSent().length === 2);
    await rig.scheduler.restart();
    rig.scheduler.execute((a) => (a as number) + 1);
    expect(await rig.cluster.get(second)).toEqual([11, 21, 31]);
  });

  test("a restarted scheduler that will not be told of the results ends what reads them with SESSION_LOST, and gives them no other ones", async () => {
    const f = await rig.impure<(a: unknown) => number>();
    const stored = { bytes: 5_000, kind: 1, digest: new Uint8Array(16) };
    rig.scheduler.onStage = (stage, { client, session }) => {
      if (stage.index === 0)
        rig.scheduler.send(client, session, [{ r: "stored", stage: 0, from: 0, to: 2, stored: [stored, stored] }]);
    };
    const first = f.map([1, 2]);
    await rig.cluster.wait(first);
    const second = f.map(first);
    await until("sent", () => rig.stagesSent().length === 2);
    await rig.scheduler.restart();
    const sent = rig.stagesSent().length;
    rig.scheduler.onRequest = (request) =>
      request.t === "resume" ? { t: "error", error: { code: "INVALID_ARGUMENT", message: "not that" } } : undefined;
    await expect(rig.cluster.get(second, { timeoutMs: patienceMs })).rejects.toMatchObject({
      code: "SESSION_LOST",
      message: expect.stringMatching(/not that/),
    });
    expect(rig.stagesSent()).toHaveLength(sent);
  });
});
