import { describe, expect, test } from "vitest";
import type { ClientId, JobId, ObjectBase } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { ArgSpec, StageSpec } from "../../proto/messages/stage.js";
import { patienceMs } from "../../proto/testing/patience.js";
import type { KnownStage, SessionSize } from "./core-port.js";
import { SessionStages } from "./session-stages.js";

const session = "session" as JobId;
const client = "client" as ClientId;
const options = { retries: 0, timeoutMs: patienceMs, pure: false, priority: 0 };
const stage = (index: number, count = 1, args: ArgSpec[] = []): StageSpec => ({
  index,
  count,
  args,
  fn: { kernel: "k", version: 1 },
  options,
});

/** An intake of stages over a table of known ones, and what it refused. */
function intake(size: Partial<SessionSize> = {}) {
  const known = new Map<number, KnownStage>();
  const failed: ResultSegment[] = [];
  const stages = new SessionStages({
    stageOf: (_job, index) => known.get(index),
    sizeOf: () => ({ stages: 0, tasks: 0, argBytes: 0, ...size }),
    argsBytesMax: Number.MAX_SAFE_INTEGER,
    fail: (_client, _session, segment) => failed.push(segment),
  });
  const admit = (...list: StageSpec[]): number[] => {
    const { request, bases } = stages.admit({ t: "stages", session, client, stages: list });
    request.stages.forEach(({ index, count }, i) => {
      known.set(index, { count, base: bases[i] as ObjectBase });
    });
    return request.stages.map(({ index }) => index);
  };
  return { stages, admit, failed };
}

test("a stage that is to be sent again is not refused for good: what reads it may come with it", () => {
  const { admit, failed } = intake();
  const reads = (index: number, upstream: number) => stage(index, 1, [{ a: "stage", stage: upstream, edge: "all" }]);
  for (let i = 0; i < 3; i++) expect(admit(reads(1, 0))).toEqual([]);
  expect(failed).toMatchObject([{ stage: 1, error: { code: "SESSION_LOST" } }]);
  // Only its reader arrives at first.
  expect(admit(reads(2, 1))).toEqual([]);
  expect(failed).toHaveLength(1);
  expect(admit(stage(0), reads(1, 0), reads(2, 1))).toEqual([0, 1, 2]);
});

describe("what one session may have", () => {
  const perStage = limits.tasksPerStageMax;
  const full = limits.tasksPerJobMax / perStage;

  test("tasks over the limit are refused with the limit and the way out, also within one message, and what reads them with them", () => {
    const { admit, failed } = intake();
    const stages = Array.from({ length: full + 1 }, (_, i) => stage(i, perStage));
    const reader = stage(full + 1, 1, [{ a: "stage", stage: full, edge: "all" }]);
    expect(admit(...stages, reader)).toEqual(Array.from({ length: full }, (_, i) => i));
    expect(failed).toMatchObject([
      { stage: full, from: 0, to: perStage, error: { code: "TOO_LARGE", details: { limit: limits.tasksPerJobMax } } },
      { stage: full + 1, error: { code: "UPSTREAM_FAILED" } },
    ]);
    const [first] = failed;
    expect(first?.r === "failed" && first.error.message).toMatch(
      new RegExp(`has ${limits.tasksPerJobMax + perStage} tasks.* limit of ${limits.tasksPerJobMax} .*keep fewer refs`),
    );
  });

  test.each([
    ["tasks", { tasks: limits.tasksPerJobMax }, "tasksPerJobMax"],
    ["stages", { stages: limits.stagesPerSessionMax }, "stagesPerSessionMax"],
    ["bytes of arguments", { argBytes: limits.argBytesPerSessionMax }, "argBytesPerSessionMax"],
  ])("what it has counts: %s", (_what, size, name) => {
    const { admit, failed } = intake(size);
    expect(admit(stage(0, 1, [{ a: "index" }]))).toEqual([]);
    expect(failed).toMatchObject([{ error: { code: "TOO_LARGE", message: expect.stringContaining(name) } }]);
  });
});
