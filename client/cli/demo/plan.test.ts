import { describe, expect, it } from "vitest";
import { stageBase } from "../../../proto/address.js";
import { parseGraph } from "../../../proto/graph.js";
import type { JobId, ObjectBase } from "../../../proto/ids.js";
import { combinationsIn, demoFamilies, slicesOf, sweepGraph } from "./plan.js";

const prices = `c${"0".repeat(32)}-0`;

describe("the demo's plan", () => {
  it("runs at least 20,000 combinations in a hundred to three hundred tasks", () => {
    expect(demoFamilies.reduce((sum, family) => sum + combinationsIn(family), 0)).toBeGreaterThanOrEqual(20_000);
    const tasks = parseGraph(sweepGraph(prices)).stages.reduce((sum, stage) => sum + stage.count, 0);
    expect(tasks).toBeGreaterThanOrEqual(100);
    expect(tasks).toBeLessThanOrEqual(300);
  });

  it("cuts every grid so that each combination is in exactly one slice", () => {
    for (const family of demoFamilies) {
      const names = Object.keys(family.grid);
      const seen = new Set<string>();
      const visit = (slice: Record<string, number[]>, chosen: number[]): void => {
        const name = names[chosen.length];
        if (name !== undefined) {
          for (const value of slice[name] ?? []) visit(slice, [...chosen, value]);
          return;
        }
        if (!family.allows(Object.fromEntries(names.map((n, i) => [n, chosen[i] as number])))) return;
        expect(seen.has(chosen.join(" ")), `${family.name} ${chosen}`).toBe(false);
        seen.add(chosen.join(" "));
      };
      for (const slice of slicesOf(family)) visit(slice, []);
      expect(seen.size).toBe(combinationsIn(family));
    }
  });

  it("has the same content addresses after a journey as JSON", () => {
    const bases = (graph: unknown): ObjectBase[] => {
      const done: ObjectBase[] = [];
      for (const stage of parseGraph(graph).stages)
        done.push(stageBase("any" as JobId, stage, (index) => done[index] as ObjectBase));
      return done;
    };
    const graph = sweepGraph(prices);
    expect(bases(JSON.parse(JSON.stringify(graph)))).toEqual(bases(graph));
    expect(bases(graph).every((base) => base.startsWith("p"))).toBe(true);
  });
});
