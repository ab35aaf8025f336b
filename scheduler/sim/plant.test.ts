/** A simulation that finds nothing proves nothing until it finds what was put there: every planted bug is caught, and by an oracle that fits it. */
import { describe, expect, it } from "vitest";
import { mutatedFiles } from "./mutant-tree.js";
import { mutants } from "./mutants.js";
import { plants } from "./plant.js";
import { simulate } from "./simulation.js";

/** Seeds within which each is caught, with some room: other seeds of theirs catch it too. */
const caught: Record<string, { seeds: number; rules: readonly string[] }> = {
  "commit-acknowledged-before-append": { seeds: 10, rules: ["I6"] },
  "fence-dropped": { seeds: 20, rules: ["once", "I1", "epochs", "I9", "invariant"] },
  "stale-commits-accepted": { seeds: 40, rules: ["I2", "values", "invariant"] },
  "worker-epoch-check-dropped": { seeds: 20, rules: ["I2"] },
  "second-commit-wins": { seeds: 10, rules: ["I1", "once"] },
  "lost-lease-never-requeued": { seeds: 20, rules: ["I11"] },
  "results-not-resent": { seeds: 60, rules: ["I11"] },
  "recovery-skips-last-entry": { seeds: 10, rules: ["once", "I1", "I6", "epochs", "invariant"] },
  "commit-not-resent": { seeds: 30, rules: ["I11", "I7"] },
  "leases-not-resent": { seeds: 40, rules: ["I11"] },
};

describe("a planted bug is caught:", () => {
  it("each has an expectation here", () => {
    expect(Object.keys(plants).sort()).toEqual(Object.keys(caught).sort());
  });

  for (const [plant, { seeds, rules }] of Object.entries(caught)) {
    it(`${plant} (${plants[plant]?.doc})`, () => {
      for (let seed = 1; seed <= seeds; seed++) {
        const { violation } = simulate({ seed, plant, faults: plants[plant]?.faults ?? {}, storyKept: 1 });
        if (!violation) continue;
        expect(rules).toContain(violation.rule);
        return;
      }
      expect.fail(`not caught within ${seeds} seeds`);
    }, 120_000);
  }
});

describe("bugs planted in the compiled cores", () => {
  it("change one place each, which is still there", () => {
    const stale = Object.entries(mutants).flatMap(([name, { edits }]) => {
      try {
        return mutatedFiles(edits).size > 0 ? [] : [`${name} changes nothing`];
      } catch (error) {
        return [`${name}: ${error instanceof Error ? error.message : error}`];
      }
    });
    expect(stale).toEqual([]);
  });

  it("are told when the text they change is not there, or there twice", () => {
    const edit = { file: "scheduler/core/commits.js", put: "" };
    expect(() => mutatedFiles([{ ...edit, find: "no such text" }])).toThrow("0 times");
    expect(() => mutatedFiles([{ ...edit, find: "import" }])).toThrow(/\d+ times/);
  });
});
