import { describe, expect, test } from "vitest";
import type { ProcessEnd } from "./guarded-process.js";
import { type Instance, type SupervisionEvent, supervise } from "./supervise.js";

/** An instance whose end the test decides. */
function fakeInstance(pid: number): Instance & { end(how: string): void; stopped: boolean } {
  let resolveEnd: (end: ProcessEnd) => void = () => {};
  const ended = new Promise<ProcessEnd>((resolve) => {
    resolveEnd = resolve;
  });
  const instance = {
    pid,
    ended,
    stopped: false,
    end: (how: string) => resolveEnd({ code: 1, how }),
    signal: () => {},
    lastLines: () => [`words of ${pid}`],
    stop() {
      instance.stopped = true;
      resolveEnd({ code: 0, how: "stopped" });
      return ended;
    },
  };
  return instance;
}

/** Resolves at the next event of this type. */
function eventLog() {
  const events: SupervisionEvent[] = [];
  let wake: () => void = () => {};
  return {
    events,
    on: (event: SupervisionEvent) => {
      events.push(event);
      wake();
    },
    async until(type: SupervisionEvent["type"], count = 1) {
      while (events.filter((event) => event.type === type).length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

describe("supervision", () => {
  test("what dies is started again, with a pause that doubles, and its last words are told", async () => {
    const log = eventLog();
    const started: ReturnType<typeof fakeInstance>[] = [];
    const supervised = await supervise(async () => {
      const instance = fakeInstance(started.length + 1);
      started.push(instance);
      return instance;
    }, log.on);
    started[0]?.end("SIGKILL");
    await log.until("restarted");
    started[1]?.end("exit code 1");
    await log.until("restarted", 2);
    expect(supervised.current().pid).toBe(3);
    expect(log.events).toEqual([
      { type: "ended", pid: 1, how: "SIGKILL", restartInMs: 100, lastLines: ["words of 1"] },
      { type: "restarted", pid: 2 },
      { type: "ended", pid: 2, how: "exit code 1", restartInMs: 200, lastLines: ["words of 2"] },
      { type: "restarted", pid: 3 },
    ]);
    await supervised.stop();
    expect(started[2]?.stopped).toBe(true);
    expect(started).toHaveLength(3);
  });

  test("a start that fails is tried again; the first one's failure is the caller's", async () => {
    const log = eventLog();
    let starts = 0;
    const first = fakeInstance(1);
    const supervised = await supervise(async () => {
      starts++;
      if (starts === 1) return first;
      if (starts === 2) throw new Error("port is taken");
      return fakeInstance(starts);
    }, log.on);
    first.end("SIGKILL");
    await log.until("restarted");
    expect(log.events.map((event) => event.type)).toEqual(["ended", "restart-failed", "restarted"]);
    expect(log.events[1]).toMatchObject({ message: "port is taken" });
    await supervised.stop();
    await expect(supervise(() => Promise.reject(new Error("no")), log.on)).rejects.toThrow("no");
  });

  test("stop during a pause starts nothing more; stop during a start stops what comes of it", async () => {
    const log = eventLog();
    const first = fakeInstance(1);
    let starts = 0;
    const supervised = await supervise(async () => {
      starts++;
      return first;
    }, log.on);
    first.end("SIGKILL");
    await log.until("ended");
    await supervised.stop();
    expect(starts).toBe(1);

    const late = fakeInstance(2);
    let finishStart: () => void = () => {};
    let startUnderWay: () => void = () => {};
    const underWay = new Promise<void>((resolve) => {
      startUnderWay = resolve;
    });
    const begun = fakeInstance(1);
    let again = false;
    const other = await supervise(async () => {
      if (!again) {
        again = true;
        return begun;
      }
      startUnderWay();
      await new Promise<void>((resolve) => {
        finishStart = resolve;
      });
      return late;
    }, log.on);
    begun.end("SIGKILL");
    await underWay;
    const stopping = other.stop();
    finishStart();
    await stopping;
    expect(late.stopped).toBe(true);
  });
});
