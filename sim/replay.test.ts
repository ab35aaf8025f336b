/** Captures: what is written while a core runs gives the same run again, and what is not the same is found. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Epoch, SchedulerStart } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { ClientRequest } from "../proto/messages/client.js";
import { PROTOCOL_VERSION } from "../proto/version.js";
import type { Command, Event, JournalRecord } from "../scheduler/core/events.js";
import type { State } from "../scheduler/core/index.js";
import { Capture } from "../scheduler/shell/capture.js";
import { readCapture } from "../scheduler/shell/capture-format.js";
import { realCore } from "../scheduler/shell/real-core.js";
import { client, fill, leasesIn, one, session, spec, tenant, w1, w2 } from "./core-rig.js";
import { replay } from "./replay.js";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "volley-capture-"));
  file = path.join(folder, "events");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const began: JournalRecord = { k: "epoch", epoch: 3 as Epoch, start: "start" as SchedulerStart };

/** A core, and the capture that is written of it, as the shell does. */
class Captured {
  readonly capture: Capture;
  readonly ends: string[] = [];
  readonly state: State;
  now = 1_000;
  #seq = 0;

  constructor(bytesMax = 1e9, state = realCore.create(3 as Epoch)) {
    this.capture = new Capture({ file, bytesMax, volley: "0", onEnd: (why) => this.ends.push(why) });
    realCore.applyRecord(state, began);
    this.state = this.capture.begin(realCore, state, 3 as Epoch, began);
  }

  take(event: Event): Command[] {
    this.capture.take(event, this.now);
    const commands = realCore.step(this.state, event, this.now);
    this.capture.gave(commands);
    return commands;
  }

  ask(request: ClientRequest): Command[] {
    return this.take({ e: "client", request, reply: ++this.#seq, bases: ["sbase" as never] });
  }

  join(worker: typeof w1): Command[] {
    const facts = { node: "n", pid: 1, version: PROTOCOL_VERSION, slots: 1, storeBudgetBytes: 1e9 };
    return this.take({
      e: "worker",
      request: { t: "register", worker, leases: [], objects: [], ...facts },
    });
  }

  /** A task whose worker dies: it is done by another. */
  run(): void {
    this.ask({ t: "open", client, session, tenant, version: PROTOCOL_VERSION });
    this.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    this.join(w1);
    for (let ms = 0; ms < limits.heartbeatTimeoutMs + 600; ms += 500) {
      this.now += 500;
      this.ask({ t: "workers" });
      this.take({ e: "tick" });
    }
    const lease = one(leasesIn(this.join(w2)));
    const { epoch } = this.state;
    this.take({
      e: "worker",
      request: { t: "commits", worker: w2, epoch, seq: 0, commits: [fill(lease)], done: [lease.lease], back: [] },
    });
  }
}

test("a capture gives the same commands again, and the story of what happened", async () => {
  const run = new Captured();
  run.run();
  run.capture.close();
  const found = await replay(file);
  expect(found).toMatchObject({ epoch: 3, events: run.state.eventSeq, end: "the scheduler stopped" });
  expect(found.difference).toBeUndefined();
  const told = (state: State): unknown[] => state.stories.ofTask(session, 0, 0);
  expect(told(found.state)).toEqual(told(run.state));
  expect(told(found.state)).toHaveLength(7);
});

test("what is on its way to the disk when it ends is in it once, and in order", async () => {
  const run = new Captured();
  for (let i = 0; i < 300; i++) {
    run.now++;
    run.take({ e: "tick" });
    // Some writes are over by then, one is under way, and something waits behind it.
    if (i % 40 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  run.capture.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const found = await replay(file);
  expect([found.events, found.end, found.difference]).toEqual([300, "the scheduler stopped", undefined]);
});

test("a command that is not the captured one is found at its event", async () => {
  const run = new Captured();
  run.run();
  run.capture.close();
  const bytes = readFileSync(file);
  // The digest of a command of the last report: the last frame but the end's.
  let last = 0;
  let before = 0;
  for (let at = 0; at < bytes.byteLength; at += 4 + bytes.readUInt32LE(at)) [before, last] = [last, at];
  bytes[last - 1] = (bytes[last - 1] as number) ^ 1;
  expect(before).toBeLessThan(last);
  writeFileSync(file, bytes);
  const { difference } = await replay(file);
  expect(difference).toMatchObject({ seq: run.state.eventSeq, cause: `#${run.state.eventSeq} commits of ${w2}` });
  expect(difference?.what).toMatch(/^command \d+ of \d+ is another one: \{"c":/);
  expect((await replay(file, { until: run.state.eventSeq - 1 })).difference).toBeUndefined();
});

test("what a crash has cut off is replayed as far as it goes", async () => {
  const run = new Captured();
  run.run();
  run.capture.close();
  const whole = readFileSync(file);
  writeFileSync(file, whole.subarray(0, whole.byteLength - 100));
  const found = await replay(file);
  expect(found.difference).toBeUndefined();
  expect(found.end).toBeUndefined();
  expect(found.events).toBeGreaterThan(5);
});

test("it begins with what was durable before", async () => {
  const before = realCore.create(3 as Epoch);
  const submit: ClientRequest = {
    t: "submit",
    job: "job" as never,
    client,
    tenant,
    name: "j",
    stages: [spec(0, 2)],
    outputs: [0],
  };
  realCore.step(before, { e: "client", request: submit, bases: ["sjob" as never], contentHash: "h" }, 5);
  const run = new Captured(1e9, before);
  expect(leasesIn(run.join(w1)).map(({ job }) => job)).toEqual(["job"]);
  run.capture.close();
  const found = await replay(file);
  expect(found.difference).toBeUndefined();
  expect([...found.state.jobs.keys()]).toEqual(["job"]);
});

test("it ends at its size, and the scheduler goes on", async () => {
  const run = new Captured(2_000);
  run.run();
  expect(run.ends).toEqual([expect.stringMatching(/^it has \d+ bytes, the most it may have$/)]);
  expect(statSync(file).size).toBeLessThan(4_000);
  expect((await replay(file)).difference).toBeUndefined();
  expect(run.state.jobs.get(session)?.stages.get(0)?.results.count).toBe(1);
});

test("each start begins anew and keeps those of three starts before; nobody else may read them", async () => {
  for (let start = 0; start < 6; start++) {
    const run = new Captured();
    run.now = start;
    run.take({ e: "tick" });
    run.capture.close();
  }
  const times: number[] = [];
  for (const name of [file, `${file}.1`, `${file}.2`, `${file}.3`])
    for await (const frame of readCapture(name)) if (frame.f === "event") times.push(frame.nowMs);
  expect(times).toEqual([5, 4, 3, 2]);
  expect(existsSync(`${file}.4`)).toBe(false);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("what is no capture is said to be none", async () => {
  writeFileSync(file, "no capture at all, but long enough for a length");
  await expect(replay(file)).rejects.toMatchObject({ code: "CORRUPT" });
});
