/** Refs as they end, and refs given back before the garbage collector finds them. */
import { describe, expect, test } from "vitest";
import type { ClientRequest } from "../../proto/messages/client.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import { until } from "../../proto/testing/patience.js";
import { PackWriter } from "../../proto/values/pack.js";
import { encodeValue } from "../../proto/values/value.js";
import type { ObjectRef } from "./api.js";
import { sessionRig } from "./testing/session-rig.js";
import type { StageWaits } from "./waits.js";

const rig = sessionRig();
const settle = (...segments: ResultSegment[]): void => {
  const { client, session } = rig.scheduler.of("stages")[0] as ClientRequest & { t: "stages" };
  rig.scheduler.send(client, session, segments);
};
function value(stage: number, task: number, of: unknown): ResultSegment {
  const pack = new PackWriter();
  pack.add(encodeValue(of));
  return { r: "inline", stage, from: task, to: task + 1, pack: pack.finish() };
}
const waitsOf = (ref: unknown): StageWaits => (ref as { handle: { stage: { waits: StageWaits } } }).handle.stage.waits;

describe("asCompleted", () => {
  test("gives refs in the order in which they end, failed ones too, and those of puts at once", async () => {
    const f = await rig.impure<(a: number) => number>();
    const map = f.map([0, 1, 2]);
    const put = await rig.cluster.put("here");
    await until("sent", () => rig.stagesSent().length === 1);
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const ref of rig.cluster.asCompleted<unknown>([...map, put]))
        seen.push(await rig.cluster.get(ref).catch((error: { code: string }) => error.code));
    })();
    await until("the put", () => seen.length === 1);
    settle(value(0, 2, "c"));
    await until("the third", () => seen.length === 2);
    settle({ r: "failed", stage: 0, from: 0, to: 1, error: { code: "TASK_FAILED", message: "no" } });
    settle(value(0, 1, "b"));
    await reading;
    expect(seen).toEqual(["here", "c", "TASK_FAILED", "b"]);
  });

  test("that is left early, or runs out of time, leaves no waiter behind", async () => {
    const f = await rig.impure<(a: number) => number>();
    const map = f.map([0, 1, 2]);
    await until("sent", () => rig.stagesSent().length === 1);
    settle(value(0, 1, "b"));
    for await (const ref of rig.cluster.asCompleted(map)) {
      expect(ref.id).toBe(map.at(1).id);
      break;
    }
    expect(waitsOf(map).awaited).toBe(false);
    const rest = rig.cluster.asCompleted(map, { timeoutMs: 20 });
    expect((await rest.next()).value?.id).toBe(map.at(1).id);
    await expect(rest.next()).rejects.toMatchObject({ code: "TIMEOUT", message: expect.stringContaining("2 of 3") });
    expect(waitsOf(map).awaited).toBe(false);
  });

  test("of what is no ref, or a timeout that is none, is INVALID_ARGUMENT at once", () => {
    const invalid = expect.objectContaining({ code: "INVALID_ARGUMENT" });
    expect(() => rig.cluster.asCompleted(["x"] as never)).toThrow(invalid);
    expect(() => rig.cluster.asCompleted([], { timeoutMs: -1 })).toThrow(invalid);
  });
});

describe("release", () => {
  const released = (): number[] => rig.scheduler.of("heartbeat").flatMap((heartbeat) => heartbeat.released);

  test("of a map gives its stage back with the next heartbeat, while its refs are still held", async () => {
    rig.scheduler.execute((a) => a);
    const f = await rig.impure<(a: number) => number>();
    const map = f.map([1, 2, 3]);
    await rig.cluster.get(map);
    rig.cluster.release(map);
    await until("given back", () => released().includes(0));
    const invalid = { code: "INVALID_ARGUMENT", message: expect.stringContaining("released") };
    await expect(rig.cluster.get(map.at(1))).rejects.toMatchObject(invalid);
    await expect(rig.cluster.get(map)).rejects.toMatchObject(invalid);
    expect(() => f.submit(map.at(0) as never)).toThrow(/released/);
    expect(() => f.map(map as never)).toThrow(/released/);
    rig.cluster.release(map);
  });

  test("of calls that share a stage gives it back with the last of them; what is not released stays good", async () => {
    rig.scheduler.execute((a) => a);
    const f = await rig.impure<(a: number) => number>();
    const refs = [1, 2, 3].map((x) => f.submit(x));
    await rig.cluster.get(refs);
    rig.cluster.release(refs.slice(0, 2));
    rig.cluster.release(refs[0] as ObjectRef<number>);
    const heartbeats = rig.scheduler.of("heartbeat").length;
    await until("two heartbeats", () => rig.scheduler.of("heartbeat").length > heartbeats + 2);
    expect(released()).toEqual([]);
    expect(await rig.cluster.get(refs[2] as ObjectRef<number>)).toBe(3);
    rig.cluster.release(refs[2] as ObjectRef<number>);
    await until("given back", () => released().includes(0));
  });

  test("of a task that has not ended, or that another reads, waits for that", async () => {
    const f = await rig.impure<(a: unknown) => number>();
    const first = f.submit(1);
    const second = f.submit(first);
    await until("sent", () => rig.stagesSent().length === 2);
    rig.cluster.release(first);
    settle(value(0, 0, 1));
    const heartbeats = rig.scheduler.of("heartbeat").length;
    await until("two heartbeats", () => rig.scheduler.of("heartbeat").length > heartbeats + 2);
    expect(released()).toEqual([]);
    settle(value(1, 0, 2));
    expect(await rig.cluster.get(second)).toBe(2);
    await until("given back", () => released().includes(0));
  });

  test("of a value that was put drops it", async () => {
    const ref = await rig.cluster.put([1, 2]);
    rig.cluster.release(ref);
    await until("dropped", () => rig.scheduler.of("heartbeat").some(({ dropped }) => dropped?.[0]?.id === ref.id));
    await expect(rig.cluster.get(ref)).rejects.toMatchObject({ message: expect.stringContaining("released") });
  });
});
