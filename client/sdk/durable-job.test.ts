/** Durable jobs written as sessions are: which stages the calls become, and what the job's value is made of. */
import { describe, expect, test } from "vitest";
import type { ClientRequestOf } from "../../proto/messages/client.js";
import { PackReader, PackWriter } from "../../proto/values/pack.js";
import { decodeValue, encodeValue } from "../../proto/values/value.js";
import type { RemoteFunction } from "./api.js";
import { sessionRig } from "./testing/session-rig.js";

const rig = sessionRig();
type Fn = RemoteFunction<(...args: unknown[]) => number>;
const submitted = (): ClientRequestOf<"submit"> => rig.scheduler.of("submit").at(-1) as ClientRequestOf<"submit">;

/** Takes every job, says that it succeeded, and gives `results` of its stages. */
function answer(results: Record<number, unknown[]>): void {
  rig.scheduler.onRequest = (request) => {
    if (request.t === "submit") return { t: "submitted", job: request.job, existed: false };
    if (request.t === "watch")
      return {
        t: "status",
        status: {
          ...{ job: request.job, name: "j", tenant: "default", durable: true, state: "succeeded", submittedAtMs: 0 },
          ...{ stages: [], outputs: submitted().outputs, tasks: 1, succeeded: 1, reused: 0, executed: 1, retried: 0 },
          ...{ slotTimeUs: 0, resultBytes: 0 },
        } as never,
      };
    if (request.t !== "results") return undefined;
    const pack = new PackWriter();
    const values = results[request.stage] ?? [];
    for (const value of values) pack.add(encodeValue(value));
    return {
      t: "results",
      base: `s${request.job}_${request.stage}`,
      segments: [{ r: "inline", stage: request.stage, from: 0, to: values.length, pack: pack.finish() }],
    } as never;
  };
}

describe("the calls of a durable job", () => {
  test("become stages whose edges follow from which refs they read", async () => {
    answer({});
    const f = await rig.impure<(...args: unknown[]) => number>();
    const put = await rig.cluster.put("outside");
    await rig.cluster.durable("k", () => {
      const runs = f.map([1, 2, 3], { shared: [put] });
      const again = f.map(runs, { shared: [runs, 10] });
      const one = f.with({ retries: 2, name: "one" }).submit(again, runs.at(1), [5, runs.at(-1)]);
      return f.submit(one, runs.slice(1));
    });
    const { stages, outputs, key, name } = submitted();
    expect({ key, name, outputs }).toEqual({ key: "k", name: "k", outputs: [3] });
    expect(stages.map(({ count }) => count)).toEqual([3, 3, 1, 1]);
    const [runs, again, one, last] = stages.map(({ args }) => args);
    expect(runs).toMatchObject([{ a: "item" }, { a: "object" }]);
    const items = new PackReader((runs as { pack: Uint8Array }[])[0]?.pack as Uint8Array);
    expect([0, 1, 2].map((i) => decodeValue(items.at(i)))).toEqual([1, 2, 3]);
    expect(again).toMatchObject([
      { a: "stage", stage: 0, edge: "one-to-one" },
      { a: "stage", stage: 0, edge: "all" },
      { a: "value" },
    ]);
    expect(one).toMatchObject([
      { a: "stage", stage: 1, edge: "all" },
      { a: "task", stage: 0, task: 1 },
      { a: "list", of: [{ a: "value" }, { a: "task", stage: 0, task: 2 }] },
    ]);
    expect(stages[2]).toMatchObject({ name: "one", options: { retries: 2 } });
    expect(last).toMatchObject([
      { a: "stage", stage: 2, edge: "broadcast" },
      {
        a: "list",
        of: [
          { stage: 0, task: 1 },
          { stage: 0, task: 2 },
        ],
      },
    ]);
  });

  test("over separate refs are one stage; outside of the description they are the session's again", async () => {
    answer({});
    const f = await rig.impure<(...args: unknown[]) => number>();
    await rig.cluster.durable("k", () => {
      const runs = f.map([1, 2, 3]);
      return f.map([runs.at(2), runs.at(0)]);
    });
    expect(submitted().stages.map(({ args }) => args[0])).toMatchObject([
      { a: "item" },
      {
        a: "each",
        of: [
          [0, 2, 1],
          [0, 0, 1],
        ],
      },
    ]);
    rig.scheduler.execute((a) => (a as number) + 1);
    expect(await rig.cluster.get(f.submit(1))).toBe(2);
  });
});

describe("the value of a durable job", () => {
  test("has the shape that its description returned, and its type", async () => {
    answer({ 0: [10, 20, 30], 1: [60] });
    const f: Fn = await rig.impure<(...args: unknown[]) => number>();
    const job = await rig.cluster.durable(
      "k",
      () => {
        const runs = f.map([1, 2, 3]);
        const sum = f.submit(runs);
        return { sum, runs, last: [runs.at(-1), sum], some: runs.slice(0, 2) };
      },
      { name: "shapes", id: "job-1" },
    );
    expect(job.id).toBe("job-1");
    const value = await job.value();
    const sum: number = value.sum;
    const runs: number[] = value.runs;
    expect({ ...value, sum, runs }).toEqual({ sum: 60, runs: [10, 20, 30], last: [30, 60], some: [10, 20] });
    expect(submitted()).toMatchObject({ name: "shapes", job: "job-1", outputs: [1, 0] });
  });

  test("of a job that is known by its id is its first output's results", async () => {
    answer({ 0: [1, 2] });
    const f = await rig.impure<(...args: unknown[]) => number>();
    const { id } = await rig.cluster.durable("k", () => f.map([1, 2]));
    expect(await rig.cluster.job(id).value()).toEqual([1, 2]);
  });
});

describe("a description that is none", () => {
  const described = (describeIt: (f: Fn) => unknown): Promise<unknown> =>
    rig
      .impure<(...args: unknown[]) => number>()
      .then((f) => rig.cluster.durable("k", (() => describeIt(f)) as () => never));

  test.each([
    ["returns nothing", () => undefined, /the value returned of a durable job is undefined/],
    ["is a promise", async (f: Fn) => f.submit(1), /without awaiting/],
    ["returns a value", (f: Fn) => ({ a: f.submit(1), b: 7 }), /returned\.b of a durable job is of type number/],
    ["asks for a ref's id", (f: Fn) => f.submit(1).id, /a ref of a durable job is an argument/],
    ["maps nothing", (f: Fn) => f.map([]), /map was given no items/],
  ])("because it %s is refused", async (_, describeIt, message) => {
    await expect(described(describeIt as never)).rejects.toMatchObject({
      code: "INVALID_GRAPH",
      message: expect.stringMatching(message),
    });
    expect(rig.scheduler.of("submit")).toEqual([]);
  });

  test("because it reads a ref of another job, or describes one inside, is refused", async () => {
    answer({});
    let stray: unknown;
    await described((f) => {
      stray = f.submit(1);
      return stray;
    });
    await expect(described((f) => f.submit(stray))).rejects.toMatchObject({ code: "INVALID_GRAPH" });
    let inner: Promise<unknown> = Promise.resolve();
    await described((f) => {
      inner = rig.cluster.durable("inner", () => f.submit(2));
      inner.catch(() => undefined);
      return f.submit(1);
    });
    await expect(inner).rejects.toThrow(/inside of another one/);
  });
});
