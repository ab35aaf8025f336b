/** Puts by scripted events: on their way, needed, lost, put again, given back. */
import { beforeEach, describe, expect, test } from "vitest";
import { VolleyError } from "../proto/errors.js";
import type { ObjectId, WorkerId } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import { results, SessionRig } from "./testing/session-rig.js";

const large = 1_000_000;
let rig: SessionRig;
beforeEach(() => {
  rig = new SessionRig().open();
});
const placed = (put: number): ObjectId => {
  const id = rig.put(put, large);
  rig.take({ e: "put-needed", put });
  rig.take({ e: "flush" });
  rig.place(put);
  return id;
};
const heartbeat = (missing: ObjectId[] = [], awaited: ObjectId[] = []) => {
  rig.advance(1_000);
  const asked = rig.asked("heartbeat");
  const lists = { ...(missing.length > 0 ? { missing } : {}), ...(awaited.length > 0 ? { awaited } : {}) };
  rig.answer("heartbeat", { t: "heartbeat", known: true, ...lists });
  return asked;
};
const full = new VolleyError("OUT_OF_MEMORY", "full for now");

describe("a stage", () => {
  test("waits for its puts, and leaves when the last of them is there", () => {
    rig.put(1, 10);
    rig.put(2, large);
    rig.submit({ index: 0, puts: [1, 2] });
    rig.answer("put", { t: "ok" });
    expect(rig.published).toEqual([]);
    rig.place(2);
    expect(rig.published).toEqual([0]);
    expect(rig.of("put-done").map(({ put, error }) => [put, error])).toEqual([
      [1, undefined],
      [2, undefined],
    ]);
  });

  test("whose put cannot be done ends with its error, and the next put of the value is a new one", () => {
    const id = rig.put(1, large);
    rig.submit({ index: 0, puts: [1] });
    rig.answer("place", { t: "error", error: { code: "NO_WORKERS", message: "none" } });
    expect(rig.state.stages.get(0)?.results.outcome(0)).toMatchObject({ o: "failed", error: { code: "NO_WORKERS" } });
    expect([rig.state.putsById.has(id), rig.of("put-forgotten").length]).toEqual([false, 1]);
    expect(heartbeat().dropped).toBe(undefined);
  });

  test("whose put a worker has given up half-way is offered again", () => {
    rig.put(1, large);
    rig.submit({ index: 0, puts: [1] });
    rig.answer("place", { t: "placed", worker: "w1" as WorkerId });
    rig.take({ e: "upload-failed", put: 1, error: new VolleyError("CANCELLED", "nobody waits for the stream") });
    expect(rig.of("put-done")).toEqual([]);
    rig.advance(100);
    rig.place(1);
    expect(rig.of("put-done").map(({ error }) => error)).toEqual([undefined]);
  });

  test("keeps what it reads until it has ended; small values go at once then, large ones linger", () => {
    rig.put(1, 10);
    const lingers = rig.put(2, large);
    rig.submit({ index: 0, puts: [1, 2] });
    rig.answer("put", { t: "ok" });
    rig.place(2);
    expect(heartbeat().dropped).toBe(undefined);
    rig.update(results(0, 0, 1));
    expect(heartbeat().dropped?.map(({ generation }) => generation)).toEqual([1]);
    expect(rig.state.putsById.has(lingers)).toBe(true);
    for (let i = 0; i < 31; i++) heartbeat();
    expect(rig.state.putsById.has(lingers)).toBe(false);
  });
});

describe("the way to a worker", () => {
  test("that fails is gone again with another one, until the scheduler must have noticed that workers are dead", () => {
    rig.put(1, large);
    rig.take({ e: "put-needed", put: 1 });
    const began = rig.nowMs;
    while (rig.of("put-done").length === 0) {
      const worker = `w${rig.of("upload").length + 1}` as WorkerId;
      rig.answer("place", { t: "placed", worker });
      rig.take({ e: "upload-failed", put: 1, error: new VolleyError("NO_LISTENER", "away") });
      while (!rig.isAsked("place") && rig.of("put-done").length === 0) {
        rig.advance(10);
        if (rig.isAsked("heartbeat")) rig.answer("heartbeat", { t: "heartbeat", known: true });
      }
    }
    expect(rig.of("put-done").map(({ error }) => error?.code)).toEqual(["NO_LISTENER"]);
    expect(rig.nowMs - began).toBeGreaterThan(limits.heartbeatTimeoutMs);
    expect(rig.nowMs - began).toBeLessThan(limits.heartbeatTimeoutMs + 7_000);
    expect(rig.of("upload").length).toBeGreaterThan(4);
  });

  test("to a full cluster is waited for up to two minutes, and what lingers is given back at once", () => {
    const old = placed(1);
    rig.take({ e: "put-unneeded", put: 1 });
    rig.put(2, large);
    rig.take({ e: "put-needed", put: 2 });
    rig.answer("place", { t: "placed", worker: "w1" as WorkerId });
    rig.take({ e: "upload-failed", put: 2, error: full });
    expect(rig.asked("heartbeat").dropped?.map(({ id }) => id)).toEqual([old]);
    rig.answer("heartbeat", { t: "heartbeat", known: true });
    for (let i = 0; i < 119; i++) {
      rig.advance(1_000);
      if (rig.isAsked("heartbeat")) rig.answer("heartbeat", { t: "heartbeat", known: true });
      if (!rig.isAsked("place")) continue;
      rig.answer("place", { t: "placed", worker: "w1" as WorkerId });
      rig.take({ e: "upload-failed", put: 2, error: full });
    }
    expect(rig.of("put-done").map(({ put }) => put)).toEqual([1]);
    rig.advance(1_000);
    rig.place(2);
    expect(rig.of("put-done").map(({ put, error }) => [put, error])).toEqual([
      [1, undefined],
      [2, undefined],
    ]);
  });

  test("of a small value leads through an opening when the scheduler does not know the session", () => {
    const unknown = { t: "error", error: { code: "JOB_NOT_FOUND", message: "no job" } } as const;
    rig.put(1, 10);
    rig.take({ e: "put-needed", put: 1 });
    rig.answer("put", unknown);
    expect(rig.of("put-done")).toEqual([]);
    rig.answer("open", { t: "opened", heartbeatIntervalMs: 1_000 });
    rig.answer("put", { t: "ok" }); // All that was put is told anew.
    rig.advance(200);
    rig.answer("put", { t: "ok" });
    expect(rig.of("put-done").map(({ put, error }) => [put, error])).toEqual([[1, undefined]]);
  });

  test("to a scheduler that has just taken over is waited for until its workers are there", () => {
    rig.advance(1_000);
    rig.epoch = 2;
    rig.answer("heartbeat", { t: "heartbeat", known: false });
    rig.answer("open", { t: "opened", heartbeatIntervalMs: 1_000 });
    rig.put(1, large);
    rig.take({ e: "put-needed", put: 1 });
    const none = { t: "error", error: { code: "NO_WORKERS", message: "none" } } as const;
    for (let i = 0; i < 5; i++) {
      rig.answer("place", none);
      rig.advance(500);
    }
    expect(rig.of("put-done")).toEqual([]);
    rig.place(1);
    expect(rig.of("put-done").map(({ put, error }) => [put, error])).toEqual([[1, undefined]]);
    rig.put(2, large);
    rig.take({ e: "put-needed", put: 2 });
    for (let i = 0; i < 12 && rig.of("put-done").length < 2; i++) {
      rig.answer("place", none);
      rig.advance(1_000);
    }
    expect(rig.of("put-done").map(({ error }) => error?.code)).toEqual([undefined, "NO_WORKERS"]);
  });

  test("is gone again while the scheduler says that its workers are still joining", () => {
    const none = { code: "NO_WORKERS", message: "none" } as const;
    rig.advance(60_000);
    rig.put(1, large);
    rig.take({ e: "put-needed", put: 1 });
    rig.answer("place", { t: "error", error: { ...none, details: { joiningMs: 9_000 } } });
    rig.advance(500);
    if (rig.isAsked("heartbeat")) rig.answer("heartbeat", { t: "heartbeat", known: true });
    rig.answer("place", { t: "error", error: none });
    expect(rig.of("put-done").map(({ error }) => error?.code)).toEqual(["NO_WORKERS"]);
  });

  test("is gone by eight at once", () => {
    for (let put = 1; put <= 10; put++) rig.put(put, large);
    const asked = (): number => rig.of("request").filter(({ request }) => request.t === "place").length;
    expect(asked()).toBe(8);
    rig.place(1);
    expect(asked()).toBe(9);
  });

  test("whose worker was lost before it was held is gone again", () => {
    const id = rig.put(1, large);
    rig.answer("place", { t: "placed", worker: "w1" as WorkerId });
    rig.take({ e: "uploaded", put: 1, name: rig.nameOf(1) });
    rig.answer("hold", { t: "held", missing: [id] });
    rig.advance(60);
    rig.place(1);
    expect(rig.of("put-done").map(({ error }) => error)).toEqual([undefined]);
  });
});

describe("a put that was lost", () => {
  test("is put again, once however often it is called missing, and what reads it is sent all the same", () => {
    const id = placed(1);
    heartbeat([id]);
    heartbeat([id]);
    rig.submit({ index: 0, puts: [1] });
    expect(rig.published).toEqual([0]);
    rig.place(1);
    expect(rig.of("upload")).toHaveLength(2);
    expect(rig.of("put-done")).toHaveLength(1);
  });

  test("and whose value is gone is given back, so that what reads it ends", () => {
    const id = placed(1);
    heartbeat([id]);
    rig.answer("place", { t: "placed", worker: "w1" as WorkerId });
    rig.take({ e: "upload-failed", put: 1, error: new VolleyError("OBJECT_LOST", "gone") });
    expect(heartbeat().dropped).toEqual([{ id, generation: 1 }]);
    expect(rig.state.putsById.has(id)).toBe(false);
  });

  test("whose holder is silent is put again if its value is here; if not its ref is kept, and it is tried once", () => {
    const id = placed(1);
    heartbeat([], [id]);
    rig.answer("place", { t: "placed", worker: "w1" as WorkerId });
    rig.take({ e: "upload-failed", put: 1, error: new VolleyError("OBJECT_LOST", "gone") });
    for (let i = 0; i < 3; i++) expect(heartbeat([], [id]).dropped ?? []).toEqual([]);
    expect(rig.of("upload")).toHaveLength(2);
    expect(rig.state.putsById.has(id)).toBe(true);
    // Its holder did not come back.
    heartbeat([id]);
    rig.answer("place", { t: "placed", worker: "w1" as WorkerId });
    rig.take({ e: "upload-failed", put: 1, error: new VolleyError("OBJECT_LOST", "gone") });
    expect(heartbeat().dropped).toEqual([{ id, generation: 1 }]);
  });

  test("is offered again for two minutes while one worker after the other dies of something else", () => {
    const id = placed(1);
    heartbeat([id]);
    const began = rig.nowMs;
    const isKept = (): boolean => rig.state.putsById.has(id);
    for (let i = 0; i < 150 && isKept(); i++) {
      if (rig.isAsked("place")) {
        rig.answer("place", { t: "placed", worker: "w1" as WorkerId });
        rig.take({ e: "upload-failed", put: 1, error: new VolleyError("TIMEOUT", "no answer") });
      }
      rig.advance(1_000);
      if (rig.isAsked("heartbeat")) rig.answer("heartbeat", { t: "heartbeat", known: true });
    }
    expect(isKept()).toBe(false);
    expect(rig.nowMs - began).toBeGreaterThan(115_000);
  });

  test("during a reopening is called missing by a heartbeat after it, and then put again", () => {
    const id = placed(1);
    rig.restart();
    // The new scheduler has not heard of any holder yet: that is not the end of it.
    rig.answer("hold", { t: "held", missing: [id] });
    expect([rig.state.phase.p, rig.state.putsById.has(id)]).toEqual(["open", true]);
    heartbeat([id]);
    rig.place(1);
    expect(rig.of("upload")).toHaveLength(2);
  });

  test("while it is put again and needed no more is dropped after it has arrived", () => {
    const id = placed(1);
    heartbeat([id]);
    rig.take({ e: "put-unneeded", put: 1 });
    for (let i = 0; i < 31; i++) {
      rig.advance(1_000);
      if (rig.isAsked("heartbeat")) rig.answer("heartbeat", { t: "heartbeat", known: true });
    }
    expect(rig.state.putsById.has(id)).toBe(false);
    rig.place(1);
    expect(heartbeat().dropped).toEqual([{ id, generation: 1 }]);
    expect(rig.state.offers.running).toBe(0);
  });

  test("on its way when the session is lost is held once that is open again", () => {
    rig.put(1, large);
    rig.answer("place", { t: "placed", worker: "w1" as WorkerId });
    rig.take({ e: "uploaded", put: 1, name: rig.nameOf(1) });
    rig.epoch++;
    rig.answer("hold", { t: "error", error: { code: "JOB_NOT_FOUND", message: "no session" } });
    rig.answer("open", { t: "opened", heartbeatIntervalMs: 1_000 });
    rig.answer("hold", { t: "held", missing: [] });
    rig.advance(200);
    rig.answer("hold", { t: "held", missing: [] });
    expect(rig.of("put-done").map(({ error }) => error)).toEqual([undefined]);
  });
});

describe("a put without a name", () => {
  const unnamed = (put: number): void => {
    rig.take({ e: "put", put: { put, name: undefined, kind: 3, bytes: large, inline: undefined } });
    rig.take({ e: "put-needed", put });
    rig.take({ e: "flush" });
  };
  const { id } = new SessionRig().nameOf(1);
  /** What is dropped while what nobody needs lingers. */
  const linger = (): unknown[] => {
    const dropped: unknown[] = [];
    for (let i = 0; i < 32; i++) {
      rig.advance(1_000);
      if (!rig.isAsked("heartbeat")) continue;
      dropped.push(...(rig.asked("heartbeat").dropped ?? []));
      rig.answer("heartbeat", { t: "heartbeat", known: true });
    }
    return dropped;
  };

  test("has the one that its worker says, and is held and dropped by it", () => {
    unnamed(1);
    expect(rig.state.putsById.size).toBe(0);
    rig.place(1);
    expect(rig.of("put-done").map(({ put, error }) => [put, error])).toEqual([[1, undefined]]);
    expect(rig.state.putsById.get(id)?.put).toBe(1);
    rig.restart();
    expect(rig.asked("hold").objects.map((object) => object.id)).toEqual([id]);
    rig.answer("hold", { t: "held", missing: [] });
    rig.take({ e: "put-unneeded", put: 1 });
    expect(linger()).toEqual([{ id, generation: 1 }]);
  });

  test("whose bytes are here already is one with them: dropped when neither is needed, as the newest", () => {
    for (const put of [1, 2]) {
      unnamed(put);
      rig.place(put, 1);
    }
    expect(rig.of("put-done").map(({ put }) => put)).toEqual([1, 2]);
    rig.take({ e: "put-unneeded", put: 1 });
    expect(linger()).toEqual([]);
    rig.take({ e: "put-unneeded", put: 2 });
    expect(linger()).toEqual([{ id, generation: 2 }]);
    expect([rig.state.puts.size, rig.of("put-forgotten").map(({ put }) => put)]).toEqual([0, [1, 2]]);
  });

  test("that is needed no more while it is on its way does not take away what another has", () => {
    unnamed(1);
    rig.place(1, 1);
    unnamed(2);
    rig.take({ e: "put-unneeded", put: 2 });
    linger();
    rig.place(2, 1);
    expect(heartbeat().dropped ?? []).toEqual([]);
    rig.take({ e: "put-unneeded", put: 1 });
    expect(linger()).toEqual([{ id, generation: 2 }]);
  });

  test("is offered by it once it has one, and ends with the reason when it never gets one", () => {
    unnamed(1);
    rig.answer("place", { t: "placed", worker: "w1" as WorkerId });
    rig.take({ e: "uploaded", put: 1, name: rig.nameOf(1) });
    rig.answer("hold", { t: "held", missing: [id] });
    rig.advance(60);
    rig.place(1);
    unnamed(2);
    rig.answer("place", { t: "placed", worker: "w1" as WorkerId });
    rig.take({ e: "upload-failed", put: 2, error: new VolleyError("OBJECT_LOST", "gone") });
    expect(rig.of("put-done").map(({ error }) => error?.code)).toEqual([undefined, "OBJECT_LOST"]);
    expect(heartbeat().dropped ?? []).toEqual([]);
  });
});
