/** What a slot does with functions that behave, and how its runs are limited, ended and follow each other. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { digestOf } from "../../proto/digest.js";
import { eventually, patienceMs } from "../../proto/testing/patience.js";
import { PackReader, PackWriter } from "../../proto/values/pack.js";
import { decodeValue, encodeValue } from "../../proto/values/value.js";
import type { LargeResult, RunSpec } from "./run-spec.js";
import { SlotRig } from "./testing/slot-rig.js";

let rig: SlotRig;
beforeAll(() => {
  process.env.VOLLEY_SECRET = "x";
  rig = new SlotRig();
});
beforeEach(() => {
  rig.logs = [];
});
afterAll(() => rig.close());

describe("well-behaved functions", () => {
  test("plain, asynchronous, and objects with a run function", async () => {
    expect((await rig.execute("double", 5, 9)).values).toEqual(
      new Map([
        [5, 10],
        [6, 12],
        [7, 14],
        [8, 16],
      ]),
    );
    expect((await rig.execute("later", 0, 3)).values).toEqual(
      new Map([
        [0, 1],
        [1, 2],
        [2, 3],
      ]),
    );
    expect((await rig.execute("withRun", 0, 1)).values.get(0)).toBe("ran 0");
  });

  test("taskContext says which task it is; seeds differ by task and do not depend on the attempt", async () => {
    const first = await rig.execute("context", 4, 6, { seed: 42 });
    const again = await rig.execute("context", 5, 6, { seed: 42, attempt: 9 });
    const [a, b] = [first.values.get(4), first.values.get(5)] as { seed: number }[];
    expect(a).toMatchObject({ job: "j1", stage: 2, task: 4, attempt: 1 });
    expect(a?.seed).not.toBe(b?.seed);
    expect(Number.isSafeInteger(a?.seed)).toBe(true);
    expect((again.values.get(5) as { seed: number }).seed).toBe(b?.seed);
  });

  test("digests come with every result when asked for, and equal digestOf", async () => {
    const outcome = await rig.execute("double", 0, 100, { digests: true });
    for (let i = 0; i < 100; i++) {
      const encoded = encodeValue(2 * i);
      expect(outcome.digests.get(i)).toEqual(digestOf(encoded.kind, encoded.data));
    }
  });

  test("a range of 100,000 comes back whole and in order", async () => {
    const outcome = { next: 0, sum: 0 };
    const run = rig.pool.run(0, rig.spec("double", 0, 100_000), {
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
    const outcome = await rig.execute("giant", 0, 3);
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
    const { run, done } = rig.start(
      rig.spec("sleepy", 0, 3, { args: [{ a: "pack", pack: { kind: 3, data: pack.finish() }, first: 0 }] }),
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
    expect((await rig.execute("double", 12, 14, { args })).values).toEqual(
      new Map([
        [12, 6],
        [13, 8],
      ]),
    );
  });

  test("a table in shared memory is read in place by every task, strings included", async () => {
    const stream = tableToIPC(tableFromArrays({ x: Float64Array.of(1, 2, 4), name: ["a", "bé", "c"] }), "stream");
    new Uint8Array(rig.memory.buffer).set(stream, 4096);
    const args: RunSpec["args"] = [
      { a: "same", source: { kind: 2, handle: 1, offset: 4096, bytes: stream.byteLength } },
    ];
    expect([...(await rig.execute("sum", 0, 3, { args })).values.values()]).toEqual([7, 7, 7]);
    expect((await rig.execute("names", 0, 1, { args })).values.get(0)).toBe("a,bé,c");
    expect((await rig.execute("same", 0, 1, { args })).values.get(0)).toMatchObject({ numRows: 3 });
  });

  test("memory grown after the thread started is seen", async () => {
    const before = rig.memory.grow(64) * 65_536;
    const stream = tableToIPC(tableFromArrays({ x: Float64Array.of(5, 6) }), "stream");
    new Uint8Array(rig.memory.buffer).set(stream, before + 64);
    const args: RunSpec["args"] = [
      { a: "same", source: { kind: 2, handle: 2, offset: before + 64, bytes: stream.byteLength } },
    ];
    expect((await rig.execute("sum", 0, 1, { args })).values.get(0)).toBe(11);
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
    expect((await rig.execute("count", 0, 2, { args })).values.get(1)).toBe("4:113");
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
    const { run, done } = rig.start(rig.spec("sleepy", 0, 1000, sleeps(1000, 5)), (task) => {
      if (task === 10) effective = run.limit(5);
    });
    const outcome = await done;
    expect(effective).toBeGreaterThan(10);
    expect(outcome.order).toEqual([...Array(effective).keys()]);
  });

  test("kill ends a task in the middle, keeps what was done, and frees the slot", async () => {
    const { run, done } = rig.start(rig.spec("loops", 0, 10), (task) => {
      if (task === 2) run.kill();
    });
    const outcome = await done;
    expect(outcome.order).toEqual([0, 1, 2]);
    expect(outcome.errors.size).toBe(0);
    expect(rig.pool.busy).toBe(0);
    expect((await rig.execute("double", 1, 2)).values.get(1)).toBe(2);
  });

  test("a run that is given behind another begins without anybody being asked, and each is heard of for itself", async () => {
    const first = rig.start(rig.spec("sleepy", 0, 2, sleeps(2, 20)));
    const second = rig.start(rig.spec("double", 5, 8));
    // The agent is away while the thread goes from one to the other.
    const until = performance.now() + 500;
    while (performance.now() < until);
    expect(rig.pool.busy).toBe(1);
    const [one, two] = await Promise.all([first.done, second.done]);
    expect([one.order, two.order]).toEqual([
      [0, 1],
      [5, 6, 7],
    ]);
    expect(rig.pool.busy).toBe(0);
  });

  test("the slot is free when the function has returned, however long its results take to be stored", async () => {
    const { run, done } = rig.start(rig.spec("giant", 0, 1));
    const behind = rig.start(rig.spec("double", 0, 1));
    const order: string[] = [];
    await Promise.all([
      run.vacated.then(() => order.push("vacated")),
      done.then(() => order.push("done")),
      behind.done.then(() => order.push("behind")),
    ]);
    expect(order.indexOf("vacated")).toBeLessThan(order.indexOf("done"));
    expect(behind.outcome.values.get(0)).toBe(0);
  });

  test("what waits behind another is taken back whole, at once; what has begun is not", async () => {
    const first = rig.start(rig.spec("sleepy", 0, 3, sleeps(3, 50)));
    const second = rig.start(rig.spec("double", 0, 4));
    expect(second.run.limit(0)).toBe(0);
    await second.done;
    expect(rig.pool.busy).toBe(1);
    // Its place is free for another.
    const third = rig.start(rig.spec("double", 7, 8));
    expect((await first.done).order).toEqual([0, 1, 2]);
    expect(second.outcome.order).toEqual([]);
    expect((await third.done).values.get(7)).toBe(14);
    expect(third.run.limit(7)).toBe(8);
  });

  test("what has begun and ended is not taken back, though the agent has not heard of it yet", async () => {
    const url = rig.module(`
      import { writeFileSync } from "node:fs";
      export const marks = (file, i) => { writeFileSync(file, ""); return 2 * i; };
    `);
    const file = join(mkdtempSync(join(tmpdir(), "volley-pool-test-")), "ran");
    const fn = { bundle: "c".repeat(64), url, export: "marks" };
    const args: RunSpec["args"] = [{ a: "same", source: encodeValue(file) }, { a: "index" }];
    // Its thread is there, and the module.
    await rig.start(rig.spec("marks", 0, 1, { fn, args })).done;
    rmSync(file);
    const before = rig.start(rig.spec("double", 0, 1));
    const behind = rig.start(rig.spec("marks", 3, 4, { fn, args }));
    // The agent is busy, or not given a processor, while the thread goes through both.
    const until = performance.now() + patienceMs;
    while (!existsSync(file) && performance.now() < until);
    for (const end = performance.now() + 50; performance.now() < end; );
    expect(behind.run.limit(3)).toBe(4);
    await before.done;
    expect((await behind.done).values.get(3)).toBe(6);
  });

  test("a thread that dies takes nothing of what waits behind it along", async () => {
    const first = rig.start(rig.spec("exits", 0, 6));
    const second = rig.start(rig.spec("double", 0, 3));
    const [one, two] = await Promise.all([first.done, second.done]);
    expect([...one.errors.keys()]).toEqual([3]);
    expect(one.values.size).toBe(5);
    expect([...two.values.values()]).toEqual([0, 2, 4]);
    expect(two.errors.size).toBe(0);
  });

  test("a run that is killed leaves what is behind it alone", async () => {
    const first = rig.start(rig.spec("loops", 3, 4));
    const second = rig.start(rig.spec("double", 1, 2));
    await eventually(() => expect(rig.pool.executing()).toEqual([{ job: "j1", stage: 2, task: 3 }]));
    first.run.kill();
    expect((await first.done).order).toEqual([]);
    expect((await second.done).values.get(1)).toBe(2);
  });

  test("what user code prints is told with its task, at a bounded rate; it sees none of our settings", async () => {
    await rig.execute("prints", 4, 5);
    await expect.poll(() => rig.logs.length).toBe(2);
    expect(rig.logs.slice(0, 2)).toEqual([
      expect.objectContaining({ where: "j1/2/4", text: "hello 4" }),
      expect.objectContaining({ text: "raw" }),
    ]);
    rig.logs = [];
    await rig.execute("printsMuch", 0, 1);
    expect(rig.logs.length).toBeLessThan(1000);
    expect((await rig.execute("envKeys", 0, 1)).values.get(0)).toEqual([]);
  });
});
