import { describe, expect, it } from "vitest";
import { VolleyError } from "../../proto/errors.js";
import { type JsonGraphInput, parseGraph } from "../../proto/graph.js";
import { bootstrapGraph, cpcvGraph, overfittingGraph, walkForwardGraph } from "./validation.js";

const prices = `c${"0".repeat(32)}-0`;
const strategy = { prices, family: "ma-cross", grid: { fast: [5, 10], slow: [20, 50] } } as const;
const tasks = (graph: JsonGraphInput): Record<string, number> =>
  Object.fromEntries(parseGraph(graph).stages.map(({ name, count }) => [name, count]));

describe("validation graphs", () => {
  it("walk-forward has a task per split and one path", () => {
    expect(tasks(walkForwardGraph({ ...strategy, splits: 12 }))).toEqual({
      splits: 1,
      folds: 12,
      choices: 1,
      paths: 1,
      statistics: 1,
      report: 1,
    });
  });

  it.each([
    [6, 2, 15, 5],
    [10, 2, 45, 9],
    [8, 4, 70, 35],
    [5, 1, 5, 1],
  ])(
    "CPCV of %i groups with %i tested has %i splits and %i paths, C(N, k) k / N",
    (groups, testGroups, splits, paths) => {
      expect(tasks(cpcvGraph({ ...strategy, groups, testGroups }))).toMatchObject({
        folds: splits,
        paths,
        statistics: paths,
      });
      expect((splits * testGroups) / groups).toBe(paths);
    },
  );

  it("a bootstrap's tasks share the replicates, each once", () => {
    const graph = bootstrapGraph({ returns: prices, seed: 1, replicates: 1_000, tasks: 7, periodsPerYear: 252 });
    const [, argument] = (graph.stages[0] as { args: readonly unknown[] }).args;
    const { items } = argument as { items: { first: number; replicates: number }[] };
    expect(items).toHaveLength(7);
    items.forEach(({ first }, i) =>
      expect(first).toBe(items.slice(0, i).reduce((sum, { replicates }) => sum + replicates, 0)),
    );
    expect(items.reduce((sum, { replicates }) => sum + replicates, 0)).toBe(1_000);
    expect(tasks(graph)).toEqual({ replicates: 7, intervals: 1 });
  });

  it("overfitting has a task per value of the first parameter", () => {
    expect(tasks(overfittingGraph(strategy))).toEqual({ returns: 2, overfitting: 1 });
  });

  it.each<[string, () => unknown, RegExp]>([
    [
      "half a split",
      () => walkForwardGraph({ ...strategy, splits: 1.5 }),
      /splits is 1\.5; expected a whole number from 1 to 10000/,
    ],
    [
      "all groups tested",
      () => cpcvGraph({ ...strategy, groups: 4, testGroups: 4 }),
      /testGroups is 4; expected a whole number from 1 to 3/,
    ],
    [
      "too many splits",
      () => cpcvGraph({ ...strategy, groups: 30, testGroups: 10 }),
      /give 30045015 splits, over the limit of 10000/,
    ],
    [
      "more tasks than replicates",
      () => bootstrapGraph({ returns: prices, seed: 1, replicates: 3, tasks: 4, periodsPerYear: 252 }),
      /tasks is 4/,
    ],
  ])("refuses %s", (_, make, message) => {
    expect(make).toThrow(VolleyError);
    expect(make).toThrow(message);
  });
});
