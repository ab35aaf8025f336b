/**
 * User code at its worst, on real threads: each fault ends as a clear error of exactly its own task, and the rest of
 * the lease goes on.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { digestOf } from "../../proto/digest.js";
import type { WireError } from "../../proto/errors.js";
import type { JobId } from "../../proto/ids.js";
import { PackReader, PackWriter } from "../../proto/values/pack.js";
import { decodeValue, type EncodedValue, encodeValue } from "../../proto/values/value.js";
import { createSharedMemory } from "../store/memory.js";
import { type LargeResult, type Run, type RunSpec, SlotPool } from "./pool.js";
import { hostileModule } from "./testing/hostile-module.js";

let folder: string;
let pool: SlotPool;
let logs: { level: string; where: string; text: string; dropped: number }[];
let url: string;
const memory = createSharedMemory();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "volley-pool-test-"));
  url = writeModule(hostileModule);
  process.env.VOLLEY_SECRET = "x";
  pool = new SlotPool({ slots: 1, memory, heapBytesMax: 96 * 2 ** 20, onLog: (line) => logs.push(line) });
});
beforeEach(() => {
  logs = [];
});
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true, force: true });
});

function writeModule(text: string): string {
  const file = join(folder, `${createHash("sha256").update(text).digest("hex")}.mjs`);
  writeFileSync(file, text);
  return pathToFileURL(file).href;
}

interface Outcome {
  values: Map<number, unknown>;
  errors: Map<number, WireError>;
  digests: Map<number, Uint8Array>;
  large: Map<number, LargeResult>;
  /** In the order they were heard. */
  order: number[];
}

const spec = (name: string, from: number, to: number, more: Partial<RunSpec> = {}): RunSpec => ({
  job: "j1" as JobId,
  stage: 2,
  attempt: 1,
  seed: undefined,
  fn: { bundle: "b".repeat(64), url, export: name },
  args: [{ a: "index" }],
  from,
  to,
  digests: false,
  timeoutMs: 60_000,
  ...more,
});

function start(
  what: RunSpec,
  on: (task: number) => void = () => undefined,
): { run: Run; outcome: Outcome; done: Promise<Outcome> } {
  const outcome: Outcome = { values: new Map(), errors: new Map(), digests: new Map(), large: new Map(), order: [] };
  const heard = (task: number): void => {
    expect(outcome.order, "a result came twice").not.toContain(task);
    outcome.order.push(task);
    on(task);
  };
  const run = pool.run(what, {
    results(segment) {
      for (let task = segment.from; task < segment.to; task++) {
        heard(task);
        if (segment.r === "failed") outcome.errors.set(task, segment.error);
        if (segment.r !== "inline") continue;
        outcome.values.set(task, decodeValue(new PackReader(segment.pack).at(task - segment.from)));
        if (segment.digests)
          outcome.digests.set(task, segment.digests.slice((task - segment.from) * 16, (task - segment.from + 1) * 16));
      }
    },
    large(result) {
      heard(result.task);
      outcome.large.set(result.task, result);
      outcome.values.set(result.task, decodeValue(result as unknown as EncodedValue));
      result.stored();
    },
  });
  return { run, outcome, done: run.done.then(() => outcome) };
}
const execute = (name: string, from: number, to: number, more: Partial<RunSpec> = {}): Promise<Outcome> =>
  start(spec(name, from, to, more)).done;

/** Six tasks of which the third (index 3) misbehaves: the others have their values, and it alone has failed. */
async function onlyThirdFails(name: string, more: Partial<RunSpec> = {}): Promise<WireError> {
  const outcome = await execute(name, 0, 6, more);
  expect([...outcome.values.entries()].sort((a, b) => a[0] - b[0])).toEqual([
    [0, 0],
    [1, 10],
    [2, 20],
    [4, 40],
    [5, 50],
  ]);
  expect([...outcome.errors.keys()]).toEqual([3]);
  return outcome.errors.get(3) as WireError;
}

describe("well-behaved functions", () => {
  test("plain, asynchronous, and objects with a run function", async () => {
    expect((await execute("double", 5, 9)).values).toEqual(
      new Map([
        [5, 10],
        [6, 12],
        [7, 14],
        [8, 16],
      ]),
    );
    expect((await execute("later", 0, 3)).values).toEqual(
      new Map([
        [0, 1],
        [1, 2],
        [2, 3],
      ]),
    );
    expect((await execute("withRun", 0, 1)).values.get(0)).toBe("ran 0");
  });

  test("taskContext says which task it is; seeds differ by task and do not depend on the attempt", async () => {
    const first = await execute("context", 4, 6, { seed: 42 });
    const again = await execute("context", 5, 6, { seed: 42, attempt: 9 });
    const [a, b] = [first.values.get(4), first.values.get(5)] as { seed: number }[];
    expect(a).toMatchObject({ job: "j1", stage: 2, task: 4, attempt: 1 });
    expect(a?.seed).not.toBe(b?.seed);
    expect(Number.isSafeInteger(a?.seed)).toBe(true);
    expect((again.values.get(5) as { seed: number }).seed).toBe(b?.seed);
  });

  test("digests come with every result when asked for, and equal digestOf", async () => {
    const outcome = await execute("double", 0, 100, { digests: true });
    for (let i = 0; i < 100; i++) {
      const encoded = encodeValue(2 * i);
      expect(outcome.digests.get(i)).toEqual(digestOf(encoded.kind, encoded.data));
    }
  });

  test("a range of 100,000 comes back whole and in order", async () => {
    const outcome = { next: 0, sum: 0 };
    const run = pool.run(spec("double", 0, 100_000), {
      results(segment) {
        expect(segment).toMatchObject({ r: "inline", from: outcome.next });
        outcome.next = segment.to;
        if (segment.r === "inline")
          for (let i = 0, pack = new PackReader(segment.pack); i < pack.count; i++)
            outcome.sum += decodeValue(pack.at(i)) as number;
      },
      large() {
        throw new Error("nothing here is large");
      },
    });
    await run.done;
    expect(outcome).toEqual({ next: 100_000, sum: 100_000 * 99_999 });
  });

  test("large results are handed over with their digest; a thread waits while too much is under way", async () => {
    const outcome = await execute("giant", 0, 3);
    for (let i = 0; i < 3; i++) {
      const large = outcome.large.get(i) as LargeResult;
      expect(large.data.byteLength).toBe(1_000_000 * (i + 1));
      expect(large.digest).toEqual(digestOf(3, large.data));
    }
  });

  test("results that wait behind a long task are heard before it ends", async () => {
    const pack = new PackWriter();
    for (const ms of [0, 0, 500]) pack.add(encodeValue(ms));
    const seen: number[] = [];
    const { run, done } = start(
      spec("sleepy", 0, 3, { args: [{ a: "pack", pack: { kind: 3, data: pack.finish() }, first: 0 }] }),
      (task) => {
        seen.push(task);
        if (task === 1) expect(run.limit(0)).toBe(3);
      },
    );
    await done;
    expect(seen).toEqual([0, 1, 2]);
  });
});

describe("arguments", () => {
  const packOf = (values: unknown[]): Uint8Array => {
    const pack = new PackWriter();
    for (const value of values) pack.add(encodeValue(value));
    return pack.finish();
  };

  test("items of a pack that starts at another task than the run", async () => {
    const args: RunSpec["args"] = [{ a: "pack", pack: { kind: 3, data: packOf([1, 2, 3, 4]) }, first: 10 }];
    expect((await execute("double", 12, 14, { args })).values).toEqual(
      new Map([
        [12, 6],
        [13, 8],
      ]),
    );
  });

  test("a table in shared memory is read in place by every task, strings included", async () => {
    const stream = tableToIPC(tableFromArrays({ x: Float64Array.of(1, 2, 4), name: ["a", "bé", "c"] }), "stream");
    new Uint8Array(memory.buffer).set(stream, 4096);
    const args: RunSpec["args"] = [
      { a: "same", source: { kind: 2, handle: 1, offset: 4096, bytes: stream.byteLength } },
    ];
    expect([...(await execute("sum", 0, 3, { args })).values.values()]).toEqual([7, 7, 7]);
    expect((await execute("names", 0, 1, { args })).values.get(0)).toBe("a,bé,c");
    expect((await execute("same", 0, 1, { args })).values.get(0)).toMatchObject({ numRows: 3 });
  });

  test("memory grown after the thread started is seen", async () => {
    const before = memory.grow(64) * 65_536;
    const stream = tableToIPC(tableFromArrays({ x: Float64Array.of(5, 6) }), "stream");
    new Uint8Array(memory.buffer).set(stream, before + 64);
    const args: RunSpec["args"] = [
      { a: "same", source: { kind: 2, handle: 2, offset: before + 64, bytes: stream.byteLength } },
    ];
    expect((await execute("sum", 0, 1, { args })).values.get(0)).toBe(11);
  });

  test("the list of all results of a stage, from packs and single objects in order", async () => {
    const args: RunSpec["args"] = [
      {
        a: "all",
        key: "k",
        parts: [
          { pack: { kind: 3, data: packOf([1, 2]) } },
          { one: { kind: 1, data: encodeValue(10).data } },
          { pack: { kind: 3, data: packOf([100]) } },
        ],
      },
    ];
    expect((await execute("count", 0, 2, { args })).values.get(1)).toBe("4:113");
  });
});

describe("functions that fail", () => {
  test("a throw has name, message and the user's stack", async () => {
    const error = await onlyThirdFails("throws");
    expect(error).toMatchObject({
      code: "TASK_FAILED",
      message: "RangeError: three is too much",
      details: { name: "RangeError" },
    });
    expect(error.stack).toContain(".mjs:");
  });
  test("a rejection", async () =>
    expect(await onlyThirdFails("rejects")).toMatchObject({ code: "TASK_FAILED", message: "TypeError: later" }));
  test("something thrown that is not an error", async () =>
    expect((await onlyThirdFails("throwsOther")).message).toContain("{ odd: 1 }"));
  test("something thrown that cannot be looked at", async () =>
    expect(await onlyThirdFails("throwsNasty")).toMatchObject({ code: "TASK_FAILED" }));
  test("an endless loop is ended at its time limit", async () =>
    expect(await onlyThirdFails("loops", { timeoutMs: 300 })).toMatchObject({
      code: "TASK_TIMEOUT",
      message: expect.stringContaining("300"),
    }));
  test("so is a promise that never settles", async () =>
    expect(await onlyThirdFails("neverSettles", { timeoutMs: 300 })).toMatchObject({ code: "TASK_TIMEOUT" }));
  test("process.exit", async () =>
    expect(await onlyThirdFails("exits")).toMatchObject({
      code: "TASK_EXITED",
      message: expect.stringContaining("7"),
    }));
  test("an exhausted heap", async () =>
    expect(await onlyThirdFails("bomb")).toMatchObject({
      code: "TASK_OUT_OF_MEMORY",
      message: expect.stringContaining("96 MiB"),
    }));
  test("a result with a function inside names the path", async () =>
    expect(await onlyThirdFails("returnsFunction")).toMatchObject({
      code: "TASK_UNSERIALIZABLE",
      message: expect.stringContaining("value.a[1].b"),
    }));
  test("a cycle", async () =>
    expect(await onlyThirdFails("returnsCycle")).toMatchObject({
      code: "TASK_UNSERIALIZABLE",
      message: expect.stringContaining("cycle"),
    }));
  test("a getter that throws", async () =>
    expect(await onlyThirdFails("returnsNastyGetter")).toMatchObject({
      code: "TASK_UNSERIALIZABLE",
      message: expect.stringContaining("gotcha"),
    }));
  test("an exception in a callback fails the task that waits for it", async () =>
    expect(await onlyThirdFails("timerThrows")).toMatchObject({ code: "TASK_FAILED", message: "Error: from a timer" }));

  test("a rejection nobody listens to is logged with its task and fails nothing", async () => {
    const outcome = await execute("rejectsUnheard", 0, 6);
    expect(outcome.values.get(3)).toBe("fine");
    expect(outcome.errors.size).toBe(0);
    await vi.waitFor(() =>
      expect(logs).toContainEqual(
        expect.objectContaining({
          level: "error",
          text: expect.stringContaining("unhandled rejection from task j1/2/3, which had ended: Error: nobody listens"),
        }),
      ),
    );
  });

  test("even if it comes while another task runs", async () => {
    await execute("rejectsLater", 3, 4);
    const next = await execute("idle", 7, 8);
    expect(next.errors.size).toBe(0);
    await vi.waitFor(() =>
      expect(logs).toContainEqual(
        expect.objectContaining({ text: expect.stringContaining("task j1/2/3, which had ended: Error: much later") }),
      ),
    );
  });

  test("a function that breaks its globals harms no later run", async () => {
    const before = pool.threadsReplaced;
    await execute("deletesGlobals", 0, 4);
    expect(pool.threadsReplaced).toBeGreaterThan(before);
    expect((await execute("double", 1, 3)).values).toEqual(
      new Map([
        [1, 2],
        [2, 4],
      ]),
    );
  });
});

describe("code that cannot be had", () => {
  test("a missing export names those there are, for every task", async () => {
    const outcome = await execute("nothing", 0, 3);
    expect(outcome.errors.get(2)).toMatchObject({
      code: "FUNCTION_NOT_FOUND",
      message: expect.stringMatching(/"nothing".*exports .*double, /),
    });
    expect(outcome.errors.size).toBe(3);
  });
  test("a missing kernel", async () =>
    expect((await execute("", 0, 1, { fn: { kernel: "no.such", version: 1 } })).errors.get(0)).toMatchObject({
      code: "FUNCTION_NOT_FOUND",
      message: expect.stringContaining("no.such"),
    }));
  test("a module that throws while it loads", async () => {
    const outcome = await execute("f", 0, 2, {
      fn: { bundle: "c".repeat(64), url: writeModule("throw new Error('at load')"), export: "f" },
    });
    expect(outcome.errors.get(1)).toMatchObject({ code: "TASK_FAILED", message: expect.stringContaining("at load") });
  });
  test("a module that never finishes loading fails the whole run once, not task by task", async () => {
    const startedAt = performance.now();
    const outcome = await execute("f", 0, 50, {
      timeoutMs: 300,
      fn: { bundle: "d".repeat(64), url: writeModule("for (;;);"), export: "f" },
    });
    expect(outcome.errors.size).toBe(50);
    expect(outcome.errors.get(49)).toMatchObject({ code: "TASK_TIMEOUT", message: expect.stringContaining("loading") });
    expect(performance.now() - startedAt).toBeLessThan(3000);
  });
});

describe("control", () => {
  const sleeps = (count: number, ms: number): Partial<RunSpec> => {
    const pack = new PackWriter();
    for (let i = 0; i < count; i++) pack.add(encodeValue(ms));
    return { args: [{ a: "pack", pack: { kind: 3, data: pack.finish() }, first: 0 }] };
  };

  test("a limit stops the run, and says truly where", async () => {
    let effective = -1;
    const { run, done } = start(spec("sleepy", 0, 1000, sleeps(1000, 5)), (task) => {
      if (task === 10) effective = run.limit(5);
    });
    const outcome = await done;
    expect(effective).toBeGreaterThan(10);
    expect(outcome.order).toEqual([...Array(effective).keys()]);
  });

  test("kill ends a task in the middle, keeps what was done, and frees the slot", async () => {
    const { run, done } = start(spec("loops", 0, 10), (task) => {
      if (task === 2) run.kill();
    });
    const outcome = await done;
    expect(outcome.order).toEqual([0, 1, 2]);
    expect(outcome.errors.size).toBe(0);
    expect(pool.busy).toBe(0);
    expect((await execute("double", 1, 2)).values.get(1)).toBe(2);
  });

  test("what user code prints is told with its task, at a bounded rate; it sees none of our settings", async () => {
    await execute("prints", 4, 5);
    await vi.waitFor(() => expect(logs.length).toBe(2));
    expect(logs.slice(0, 2)).toEqual([
      expect.objectContaining({ where: "j1/2/4", text: "hello 4" }),
      expect.objectContaining({ text: "raw" }),
    ]);
    logs = [];
    await execute("printsMuch", 0, 1);
    expect(logs.length).toBeLessThan(1000);
    expect((await execute("envKeys", 0, 1)).values.get(0)).toEqual([]);
  });
});
