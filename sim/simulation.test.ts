import { beforeAll, describe, expect, it } from "vitest";
import { type Outcome, simulate } from "./simulation.js";

describe("the simulated cluster", () => {
  const seeds = Array.from({ length: 50 }, (_, i) => i + 1);
  const outcomes = new Map<number, Outcome>();
  beforeAll(async () => {
    for (const seed of seeds) outcomes.set(seed, await simulate({ seed, storyKept: 40 }));
  }, 600_000);

  it("keeps every invariant and every value from 50 seeds", () => {
    const violations = [...outcomes.values()].filter(({ violation }) => violation !== undefined);
    expect(violations.map(({ seed, violation, story }) => ({ seed, violation, story }))).toEqual([]);
  });

  it("has had work, results to check, and every kind of misfortune meanwhile", () => {
    const total = {
      executions: 0,
      resultsChecked: 0,
      replayChecks: 0,
      restores: 0,
      workerCrashes: 0,
      schedulerCrashes: 0,
      schedulerTakeovers: 0,
      drains: 0,
      partitions: 0,
      pauses: 0,
      outages: 0,
      clientCrashes: 0,
    };
    const network = { lost: 0, duplicated: 0, reordered: 0, cut: 0 };
    for (const { counts, network: seen } of outcomes.values()) {
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += counts[key];
      for (const key of Object.keys(network) as (keyof typeof network)[]) network[key] += seen[key];
    }
    for (const [name, count] of Object.entries({ ...total, ...network })) expect(count, name).toBeGreaterThan(0);
    expect(total.resultsChecked).toBeGreaterThan(5_000);
  });

  it("tells the same story twice from one seed, and another from another", async () => {
    for (const seed of [7, 12, 25])
      expect((await simulate({ seed, storyKept: 1 })).storyHash).toBe(outcomes.get(seed)?.storyHash);
    expect(new Set([...outcomes.values()].map(({ storyHash }) => storyHash)).size).toBe(seeds.length);
  });
});
