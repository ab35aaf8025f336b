import { describe, expect, test } from "vitest";
import { encodeMessage } from "../../proto/codec.js";
import type { JobId } from "../../proto/ids.js";
import { subjects } from "../../proto/subjects.js";
import { MemoryNetwork } from "../../proto/transport/memory.js";
import { EpochWatch } from "./epoch-watch.js";
import { Requests } from "./requests.js";

describe("the epoch to believe", () => {
  test("is the highest heard", () => {
    let now = 0;
    const watch = new EpochWatch(() => now, 1_000);
    expect([3, 3, 2, 5, 3, 5].map((epoch) => watch.admits(epoch))).toEqual([true, true, false, true, false, true]);
    now = 900;
    expect(watch.admits(3)).toBe(false);
  });

  test("is a lower one when nothing else has been heard for long", () => {
    let now = 0;
    const watch = new EpochWatch(() => now, 1_000);
    watch.admits(5);
    // Silence alone says nothing: the first word after it may be a deposed scheduler's.
    now = 10_000;
    expect(watch.admits(2)).toBe(false);
    now = 10_900;
    expect(watch.admits(2)).toBe(false);
    watch.admits(5);
    now = 11_800;
    expect(watch.admits(2)).toBe(false);
    now = 12_900;
    expect(watch.admits(2)).toBe(true);
    expect(watch.epoch).toBe(2);
    expect(watch.admits(1)).toBe(false);
  });
});

describe("requests", () => {
  const job = "j1" as JobId;
  /** Answers in turn with these epochs; those below 2 do not know the job. */
  function scene(epochs: number[]): { requests: Requests; asked: () => number } {
    const network = new MemoryNetwork();
    const requests = new Requests(network.connect("client"));
    let asked = 0;
    network.connect("scheduler").subscribe(subjects.schedulerClient, (message) => {
      const epoch = epochs[Math.min(asked++, epochs.length - 1)] as number;
      const error = { code: "JOB_NOT_FOUND", message: `no job ${job}` };
      message.respond(encodeMessage(epoch < 2 ? { t: "error", epoch, error } : { t: "ok", epoch }));
    });
    return { requests, asked: () => asked };
  }

  test("ask again when a deposed scheduler answers: neither its errors nor its answers count", async () => {
    const { requests, asked } = scene([2, 1, 1, 2]);
    const heard: number[] = [];
    requests.onReply = ({ epoch }) => heard.push(epoch);
    await requests.ask({ t: "cancel", job }, "ok");
    await requests.ask({ t: "cancel", job }, "ok");
    expect(asked()).toBe(4);
    expect(heard).toEqual([2, 2]);
  });

  test("end with the reason when nobody else answers in time", async () => {
    const { requests } = scene([2, 1]);
    await requests.ask({ t: "cancel", job }, "ok");
    await expect(requests.ask({ t: "cancel", job }, "ok", { timeoutMs: 200 })).rejects.toMatchObject({
      code: "STALE_EPOCH",
    });
  });
});
