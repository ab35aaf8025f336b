import { expect, test } from "vitest";
import { stageBase } from "./address.js";
import { argsBytes, objectsRead, renameObjects, stagesRead } from "./args.js";
import { cutEach, type EachRun, EachRuns, eachCount, idsOfEach, takenBy } from "./each.js";
import { defaultStageOptions, parseGraph } from "./graph.js";
import type { JobId, ObjectBase, ObjectId } from "./ids.js";
import { argSpec } from "./messages/stage.js";

const object = (digit: string): ObjectId => `c${digit.repeat(32)}-0` as ObjectId;
const of: readonly EachRun[] = [[4, 10, 5], object("1"), [2, 0, 1], [4, 0, 3]];

test("refs that follow each other in a stage are one run; what each task takes is what was given", () => {
  const runs = new EachRuns();
  for (let i = 0; i < 5; i++) runs.tasks(4, 10 + i);
  runs.object(object("1"));
  runs.tasks(2, 0);
  runs.tasks(4, 0, 3);
  expect(runs.of).toEqual(of);
  expect(eachCount(of)).toBe(10);
  const taken = Array.from({ length: 10 }, (_, i) => takenBy(of, i));
  expect(taken).toEqual([
    ...[10, 11, 12, 13, 14].map((task) => ({ stage: 4, task })),
    { id: object("1") },
    { stage: 2, task: 0 },
    ...[0, 1, 2].map((task) => ({ stage: 4, task })),
  ]);
});

test("a part of the runs gives its tasks what the whole gave them", () => {
  for (let from = 0; from < 10; from++)
    for (let to = from + 1; to <= 10; to++) {
      const cut = cutEach(of, from, to);
      expect(eachCount(cut)).toBe(to - from);
      for (let i = from; i < to; i++) expect(takenBy(cut, i - from)).toEqual(takenBy(of, i));
    }
  expect([...idsOfEach(cutEach(of, 4, 7), (stage) => `p${stage}` as ObjectBase)]).toEqual([
    "p4-14",
    object("1"),
    "p2-0",
  ]);
});

test("the walk over arguments knows what the runs read, and gives objects other names", () => {
  const arg = { a: "list" as const, of: [{ a: "each" as const, of }] };
  expect([...objectsRead([arg])]).toEqual([object("1")]);
  expect([...stagesRead([arg])]).toEqual([4, 2, 4]);
  expect([...objectsRead([renameObjects(arg, () => object("2"))])]).toEqual([object("2")]);
  expect(argsBytes([arg]) - argsBytes([{ a: "list", of: [{ a: "index" }] }])).toBe(48 + 3 * 12);
});

test("what is no run is refused where messages are taken in", () => {
  expect(argSpec.safeParse({ a: "each", of }).success).toBe(true);
  for (const wrong of [[], [[1, 2]], [[1, 0, 0]], [[-1, 0, 1]], [["1", 0, 1]], ["no object"], [[0, 0, 2 ** 40]], 7])
    expect(argSpec.safeParse({ a: "each", of: wrong }).success, JSON.stringify(wrong)).toBe(false);
});

test("the address of a stage follows from every run, and from what it names alone", () => {
  const base = (runs: readonly EachRun[]) =>
    stageBase(
      "j" as JobId,
      {
        index: 9,
        fn: { kernel: "k", version: 1 },
        count: eachCount(runs),
        args: [{ a: "each", of: runs }],
        options: { ...defaultStageOptions, pure: true },
      },
      (stage) => `p${String(stage).repeat(32)}` as ObjectBase,
    );
  expect(base(of)).toBe("pc63fd24edc9d74dfe3f07403fedd55af");
  expect(base([...of].reverse())).not.toBe(base(of));
  expect(base([[4, 10, 5], object("3"), [2, 0, 1], [4, 0, 3]])).not.toBe(base(of));
});

const stage = (name: string, more: object) => ({ name, fn: { kernel: "k" }, ...more });

test("a graph names what its tasks take one by one, and their number follows", () => {
  const graph = parseGraph({
    stages: [
      stage("many", { args: [{ items: [1, 2, 3] }] }),
      stage("one", {}),
      stage("each", {
        args: [{ each: [{ stage: "one" }, { stage: "many", task: 1 }, { stage: "many" }, { object: object("1") }] }],
      }),
    ],
  });
  expect(graph.stages[2]).toMatchObject({
    count: 6,
    args: [{ a: "each", of: [[1, 0, 1], [0, 1, 1], [0, 0, 3], object("1")] }],
  });
});

test.each([
  ["more tasks than objects", { count: 3, args: [{ each: [{ stage: "one" }, { stage: "one" }] }] }, "stages.1.args.0"],
  [
    "a task that is not there",
    { args: [{ each: [{ stage: "one" }, { stage: "one", task: 4 }] }] },
    "stages.1.args.0.of.1",
  ],
  ["a stage that is not there", { args: [{ each: [{ stage: "none" }] }] }, "stages.1.args.0.each.0.stage"],
  ["a stage that comes later", { args: [{ each: [{ stage: "reader" }] }] }, "stages.1.args.0.each.0.stage"],
])("a graph with %s is refused by the path of the fault", (_, reader, path) => {
  expect(() => parseGraph({ stages: [stage("one", {}), stage("reader", reader)] })).toThrow(
    expect.objectContaining({ code: "INVALID_GRAPH", details: { path } }),
  );
});
