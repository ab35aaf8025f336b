import { describe, expect, test } from "vitest";
import type { JobId } from "../../proto/ids.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { PackWriter } from "../../proto/values/pack.js";
import { ClientStage } from "./stage.js";
import { waitingOf } from "./waiting.js";
import { SendWindow, windowBytes } from "./window.js";

const session = "session" as JobId;
function stageOf(index: number, count: number): ClientStage {
  const spec: StageSpec = {
    index,
    count,
    args: [],
    fn: { kernel: "k", version: 1 },
    options: { retries: 0, timeoutMs: 1_000, pure: false, priority: 0 },
  };
  const stage = new ClientStage(session, index, () => spec);
  stage.finish();
  stage.sentIn = 1;
  return stage;
}
function settle(stage: ClientStage, from: number, to: number): void {
  const pack = new PackWriter();
  for (let i = from; i < to; i++) pack.add({ kind: 0, data: new Uint8Array(0) });
  stage.results.accept({ r: "inline", stage: stage.index, from, to, pack: pack.finish() });
}

describe("what a beat asks for", () => {
  test("is all of a stage nothing came of, and of one that is settled in part the runs that are missing", () => {
    const [untouched, partly, whole, fresh, before] = [
      stageOf(0, 5),
      stageOf(1, 10),
      stageOf(2, 3),
      stageOf(3, 1),
      stageOf(4, 1),
    ] as [ClientStage, ClientStage, ClientStage, ClientStage, ClientStage];
    settle(partly, 1, 4);
    settle(partly, 6, 7);
    settle(whole, 0, 3);
    fresh.sentAtMs = 100;
    before.sentIn = 0;
    expect(waitingOf([untouched, partly, whole, fresh, before], 1, 50)).toEqual({
      waiting: [0, 1],
      gaps: [[1, [0, 1, 4, 6, 7, 10]]],
    });
  });

  test("is bounded, however scattered what is missing", () => {
    const stages = Array.from({ length: 300 }, (_, index) => {
      const stage = stageOf(index, 1_000);
      for (let task = 0; task < 1_000; task += 2) settle(stage, task, task + 1);
      return stage;
    });
    const { waiting, gaps } = waitingOf(stages, 1, 50);
    expect(gaps.every(([, runs]) => runs.length <= 200)).toBe(true);
    expect(gaps.reduce((sum, [, runs]) => sum + runs.length / 2, 0)).toBeLessThanOrEqual(10_100);
    expect(waiting).toEqual(gaps.map(([index]) => index));
  });
});

describe("the window of what is at the scheduler", () => {
  test("holds back what is beyond, in order, and lets it go as results come", () => {
    const window = new SendWindow(2);
    const [a, b, c, d, e] = [0, 1, 2, 3, 4].map((index) => stageOf(index, 1)) as [
      ClientStage,
      ClientStage,
      ClientStage,
      ClientStage,
      ClientStage,
    ];
    for (const stage of [a, b]) window.add(stage, 10);
    expect(window.isFull).toBe(true);
    for (const stage of [c, d, e]) window.hold(stage, false);
    expect(window.take()).toEqual([]);
    expect(window.settle(a)).toBe(true);
    const taken = window.take();
    expect(taken).toEqual([c]);
    window.hold(c, true);
    expect(window.settle(b)).toBe(false);
    expect(window.take()).toEqual([c, d]);
    expect(window.take()).toEqual([e]);
    expect(window.take()).toEqual([]);
  });

  test("counts bytes as well, and a stage sent again once", () => {
    const window = new SendWindow();
    const [a, b] = [stageOf(0, 1), stageOf(1, 1)] as [ClientStage, ClientStage];
    window.add(a, windowBytes - 1);
    window.add(a, windowBytes - 1);
    expect(window.isFull).toBe(false);
    window.add(b, 1);
    expect(window.isFull).toBe(true);
    expect(window.settle(b)).toBe(true);
    expect(window.settle(b)).toBe(false);
  });
});
