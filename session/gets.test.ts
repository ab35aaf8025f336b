import { beforeEach, describe, expect, test } from "vitest";
import { VolleyError } from "../proto/errors.js";
import type { ObjectId } from "../proto/ids.js";
import { SessionRig } from "./testing/session-rig.js";

let rig: SessionRig;
beforeEach(() => {
  rig = new SessionRig().open();
});
const id = (n: number): ObjectId => `c${String(n).padStart(32, "0")}-0` as ObjectId;
const get = (...gets: number[]): void => {
  for (const n of gets) rig.take({ e: "get", get: n, id: id(n) });
  rig.take({ e: "flush" });
};
const locate = (state: "ready" | "pending" | "unknown" | "failed"): void => {
  const { ids } = rig.asked("locate");
  rig.answer("locate", { t: "located", locations: ids.map((one) => ({ id: one, state })) });
};
const failures = (): unknown[] =>
  rig.of("get-failed").map(({ error }) => ("task" in error ? error.task.code : error.code));

describe("a get", () => {
  test("of one tick asks with the others; eight are fetched at once, and the next when one has ended", () => {
    get(1, 2, 3, 4, 5, 6, 7, 8, 9);
    expect(rig.asked("locate").ids).toHaveLength(8);
    locate("ready");
    expect(rig.of("fetch")).toHaveLength(8);
    rig.take({ e: "fetched", get: 3 });
    locate("ready");
    expect(
      rig
        .of("fetch")
        .map(({ get: n }) => n)
        .at(-1),
    ).toBe(9);
  });

  test("waits while the object is made, and looks again when a copy was gone", () => {
    get(1);
    for (let i = 0; i < 5; i++) {
      locate("pending");
      rig.advance(500);
    }
    locate("ready");
    rig.take({ e: "fetch-failed", get: 1, error: new VolleyError("WORKER_LOST", "gone") });
    rig.advance(500);
    locate("ready");
    rig.take({ e: "fetched", get: 1 });
    expect([rig.of("fetch").length, failures(), rig.state.fetches.running]).toEqual([2, [], 0]);
  });

  test("of what nobody knows ends with OBJECT_NOT_FOUND after a second of grace, which a reopening does not use up", () => {
    get(1);
    rig.epoch++;
    rig.update();
    locate("unknown");
    for (let i = 0; i < 10; i++) {
      rig.advance(500);
      locate("unknown");
    }
    expect(failures()).toEqual([]);
    rig.answer("open", { t: "opened", heartbeatIntervalMs: 1_000 });
    for (let i = 0; i < 4 && failures().length === 0; i++) {
      rig.advance(500);
      if (rig.isAsked("locate")) locate("unknown");
    }
    expect(failures()).toEqual(["OBJECT_NOT_FOUND"]);
  });

  test("ends with the error of what could not be made, and leaves its place when nobody waits", () => {
    get(1);
    rig.answer("locate", {
      t: "located",
      locations: [{ id: id(1), state: "failed", error: { code: "TASK_FAILED", message: "no" } }],
    });
    expect(failures()).toEqual(["TASK_FAILED"]);
    get(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    rig.take({ e: "get-ended", get: 9 });
    rig.take({ e: "get-ended", get: 1 });
    locate("ready");
    expect(rig.of("fetch").map(({ get: n }) => n)).toEqual([2, 3, 4, 5, 6, 7, 8]);
    locate("ready");
    expect(
      rig
        .of("fetch")
        .map(({ get: n }) => n)
        .at(-1),
    ).toBe(10);
  });
});
