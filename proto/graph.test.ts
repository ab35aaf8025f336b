import { describe, expect, it } from "vitest";
import type { VolleyError } from "./errors.js";
import { type CompiledGraph, parseGraph, validateStages } from "./graph.js";
import { limits } from "./limits.js";
import { stageSpec } from "./messages/stage.js";
import { PackReader } from "./values/pack.js";
import { decodeValue } from "./values/value.js";

const sma = { kernel: "sma" };
const faultOf = (json: unknown): { path: unknown; message: string } => {
  try {
    parseGraph(json);
  } catch (error) {
    expect(error).toMatchObject({ code: "INVALID_GRAPH" });
    const { details, message } = error as VolleyError;
    return { path: details?.path, message };
  }
  throw new Error("the graph was taken");
};
const stage = (name: string, more: object = {}): object => ({ name, fn: sma, ...more });

describe("graphs as JSON", () => {
  it("have the version of every kernel in their wire form: the one told, else what is known to be meant, else the first", () => {
    const stages = [stage("a"), stage("b", { fn: { kernel: "sma", version: 2 } })];
    const functionsOf = (graph: CompiledGraph): unknown[] => graph.stages.map(({ fn }) => fn);
    expect(functionsOf(parseGraph({ stages }))).toEqual([
      { kernel: "sma", version: 1 },
      { kernel: "sma", version: 2 },
    ]);
    const newest = (name: string, version = 5) => ({ kernel: `${name}_now`, version });
    expect(functionsOf(parseGraph({ stages }, newest))).toEqual([
      { kernel: "sma_now", version: 5 },
      { kernel: "sma_now", version: 2 },
    ]);
  });

  it("become stages with indexes, counts, kernels made pure, and defaults", () => {
    const graph: CompiledGraph = parseGraph({
      name: "sweep",
      stages: [
        stage("prices"),
        stage("each", {
          args: [{ items: [{ fast: 5 }, { fast: 10 }, null] }, { stage: "prices", edge: "broadcast" }],
          options: { retries: 2, seed: 7 },
        }),
        stage("score", { args: [{ stage: "each", edge: "one-to-one" }, { value: 1.5 }, { index: true }] }),
        {
          name: "best",
          fn: { bundle: "a".repeat(64), export: "best" },
          args: [
            {
              list: [
                { stage: "score", edge: "all" },
                { stage: "score", task: 2 },
              ],
            },
          ],
        },
      ],
    });
    expect(graph.stages.map(({ index, count }) => [index, count])).toEqual([
      [0, 1],
      [1, 3],
      [2, 3],
      [3, 1],
    ]);
    expect(graph.outputs).toEqual([3]);
    expect(graph.stages.map(({ options }) => options.pure)).toEqual([true, true, true, false]);
    expect(graph.stages[1]?.options).toEqual({
      retries: 2,
      timeoutMs: limits.taskTimeoutMsDefault,
      pure: true,
      priority: 0,
      seed: 7,
    });
    const items = graph.stages[1]?.args[0] as { a: "item"; pack: Uint8Array };
    const reader = new PackReader(items.pack);
    expect([0, 1, 2].map((i) => decodeValue(reader.at(i)))).toEqual([{ fast: 5 }, { fast: 10 }, null]);
    expect(graph.stages[3]?.args).toEqual([
      {
        a: "list",
        of: [
          { a: "stage", stage: 2, edge: "all" },
          { a: "task", stage: 2, task: 2 },
        ],
      },
    ]);
    for (const compiled of graph.stages) expect(stageSpec.safeParse(compiled).success).toBe(true);
  });

  it("name their outputs, or have the last stage for one", () => {
    expect(parseGraph({ stages: [stage("a"), stage("b")] }).outputs).toEqual([1]);
    expect(parseGraph({ stages: [stage("a"), stage("b")], outputs: ["b", "a"] }).outputs).toEqual([1, 0]);
    expect(parseGraph({ stages: [stage("a")] }).name).toBe("job");
  });

  it.each([
    ["nothing", undefined, "(root)"],
    ["a list", [], "(root)"],
    ["no stages", { stages: [] }, "stages"],
    ["an unknown key", { stages: [stage("a")], extra: 1 }, "(root)"],
    ["a stage without a name", { stages: [{ fn: sma }] }, "stages.0.name"],
    ["a name used twice", { stages: [stage("a"), stage("a")] }, "stages.1.name"],
    ["a function that is none", { stages: [{ name: "a", fn: {} }] }, "stages.0.fn"],
    ["no tasks", { stages: [stage("a", { count: 0 })] }, "stages.0.count"],
    ["too many tasks", { stages: [stage("a", { count: limits.tasksPerStageMax + 1 })] }, "stages.0.count"],
    ["an argument that is none", { stages: [stage("a", { args: [{ what: 1 }] })] }, "stages.0.args.0"],
    ["an object id that is none", { stages: [stage("a", { args: [{ object: "x" }] })] }, "stages.0.args.0.object"],
    [
      "a kernel version that is none",
      { stages: [{ name: "a", fn: { kernel: "sma", version: 0 } }] },
      "stages.0.fn.version",
    ],
    [
      "an edge that is none",
      { stages: [stage("a"), stage("b", { args: [{ list: [{ stage: "a", edge: "some" }] }] })] },
      "stages.1.args.0.list.0.edge",
    ],
    [
      "a stage that comes later",
      { stages: [stage("a", { args: [{ stage: "b", edge: "all" }] }), stage("b")] },
      "stages.0.args.0.stage",
    ],
    [
      "a stage that reads itself",
      { stages: [stage("a", { args: [{ stage: "a", edge: "all" }] })] },
      "stages.0.args.0.stage",
    ],
    [
      "an unknown stage in a list",
      { stages: [stage("a", { args: [{ list: [{ stage: "x", task: 0 }] }] })] },
      "stages.0.args.0.list.0.stage",
    ],
    [
      "items that are not one per task",
      { stages: [stage("a", { count: 3, args: [{ items: [1, 2] }] })] },
      "stages.0.args.0",
    ],
    [
      "one-to-one of other lengths",
      { stages: [stage("a", { count: 2 }), stage("b", { count: 3, args: [{ stage: "a", edge: "one-to-one" }] })] },
      "stages.1.args.0.edge",
    ],
    [
      "broadcast of a long stage",
      { stages: [stage("a", { count: 2 }), stage("b", { args: [{ stage: "a", edge: "broadcast" }] })] },
      "stages.1.args.0.edge",
    ],
    [
      "a task beyond the end",
      { stages: [stage("a", { count: 2 }), stage("b", { args: [{ stage: "a", task: 2 }] })] },
      "stages.1.args.0.task",
    ],
    ["an unknown output", { stages: [stage("a")], outputs: ["b"] }, "outputs.0"],
    ["an option out of bounds", { stages: [stage("a", { options: { retries: -1 } })] }, "stages.0.options.retries"],
  ])("with %s are refused with the path of the fault", (_what, json, path) => {
    const fault = faultOf(json);
    expect(fault.path).toBe(path);
    expect(fault.message.startsWith(`${path}: `)).toBe(true);
  });
});

describe("stages on the wire", () => {
  const two = parseGraph({
    stages: [stage("a", { count: 2 }), stage("b", { args: [{ stage: "a", edge: "all" }] })],
  }).stages;

  it("must come in order, read only what is before them, and have their outputs among them", () => {
    validateStages(two, [0, 1]);
    expect(() => validateStages([...two].reverse(), [])).toThrow(/stages.0.index: expected 0, got 1/);
    expect(() => validateStages(two, [2])).toThrow(/outputs.0/);
    const [a, b] = two as [(typeof two)[number], (typeof two)[number]];
    expect(() => validateStages([a, { ...b, args: [{ a: "stage", stage: 1, edge: "all" }] }], [])).toThrow(
      /does not come before/,
    );
    expect(() =>
      validateStages([a, { ...b, args: [{ a: "list", of: [{ a: "task", stage: 0, task: 2 }] }] }], []),
    ).toThrow(/stages.1.args.0.of.0.task/);
  });

  it("of a session go on where it stands, and read its earlier stages", () => {
    const later = [
      {
        ...(two[1] as (typeof two)[number]),
        index: 7,
        args: [{ a: "stage" as const, stage: 5, edge: "one-to-one" as const }],
        count: 4,
      },
    ];
    validateStages(later, [], 7, (earlier) => (earlier === 5 ? 4 : undefined));
    expect(() => validateStages(later, [], 7, () => undefined)).toThrow(/stage 5 does not come before stage 7/);
    expect(() => validateStages(later, [], 6, () => 4)).toThrow(/expected 6, got 7/);
  });

  it("are refused when a job has more tasks than the scheduler will keep, however few bytes say so", () => {
    const sleep = { fn: { kernel: "volley.sleep" }, count: limits.tasksPerStageMax, args: [{ value: 1 }] };
    const json = (stages: number): unknown => ({
      stages: Array.from({ length: stages }, (_, i) => ({ name: `s${i}`, ...sleep })),
    });
    const most = limits.tasksPerJobMax / limits.tasksPerStageMax;
    expect(parseGraph(json(most)).stages).toHaveLength(most);
    for (const stages of [most + 1, limits.stagesPerJobMax])
      expect(() => parseGraph(json(stages))).toThrow(
        expect.objectContaining({
          code: "TOO_LARGE",
          message: expect.stringMatching(
            new RegExp(`^stages.${most}: .* over the limit of ${limits.tasksPerJobMax} .*divide it`),
          ),
          details: { path: `stages.${most}.count`, limit: limits.tasksPerJobMax },
        }),
      );
  });

  it("with a broken pack of items are refused", () => {
    const broken = [{ ...(two[0] as (typeof two)[number]), args: [{ a: "item" as const, pack: Uint8Array.of(1, 2) }] }];
    expect(() => validateStages(broken, [])).toThrow(expect.objectContaining({ code: "CORRUPT" }));
  });
});
