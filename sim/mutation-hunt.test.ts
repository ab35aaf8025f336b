/**
 * A simulation that finds nothing proves nothing until it finds what was put there: every mutation is caught, and by
 * an oracle that fits it.
 */
import { describe, expect, it } from "vitest";
import { mutate, mutatedFiles } from "./mutated-tree.js";
import { huntAll } from "./mutation-hunt.js";
import { mutations } from "./mutations.js";

/** Those that show soon, with the rules that see them; `npm run sim -- --mutations` hunts for all of them. */
const soon: Record<string, readonly string[]> = {
  "commit-acknowledged-before-append": ["I6"],
  "recovery-skips-last-entry": ["I9", "once", "I1", "I6", "I7", "epochs", "blobs", "invariant"],
  "lost-digest-forgotten": ["I1", "values"],
  "digests-compared-by-length": ["I1", "values"],
  "executing-task-not-blamed": ["strike"],
  "quarantined-late": ["strike"],
  "keys-shared-across-tenants": ["tenants", "submit", "I7"],
  "lease-closed-early": ["needless", "retries"],
  "one-try-too-many": ["retries"],
  "own-failures-free": ["I9", "retries"],
  "backoff-does-not-grow": ["retries"],
  "priorities-upside-down": ["command"],
  "keys-outlive-their-jobs": ["I7"],
  "ended-jobs-kept": ["I7"],
  "objects-outlive-their-jobs": ["I7"],
  "drain-drops-unstarted": ["invariant", "agent"],
};

describe("a mutation is caught", () => {
  it("soon, and by a judge that fits it", async () => {
    const caught = await huntAll(12, Object.keys(soon));
    expect(caught.map(({ mutation }) => mutation).sort()).toEqual(Object.keys(soon).sort());
    const wrong = caught.filter(({ mutation, rule }) => rule === undefined || !soon[mutation]?.includes(rule));
    expect(
      wrong.map(
        ({ mutation, seeds, rule, message }) => `${mutation}: ${rule ?? "not caught"} after ${seeds} seeds: ${message}`,
      ),
    ).toEqual([]);
  }, 600_000);
});

describe("Mutations of the compiled cores", () => {
  it("change one place each, which is still there", () => {
    const stale = Object.entries(mutations).flatMap(([name, { edits }]) => {
      try {
        return mutatedFiles(edits).size > 0 ? [] : [`${name} changes nothing`];
      } catch (error) {
        return [`${name}: ${error instanceof Error ? error.message : error}`];
      }
    });
    expect(stale).toEqual([]);
  });

  it("are found however the text is set", () => {
    const edit = { file: "x.js", find: "if (a.has(b))\n return f(a, b);", put: "x();" };
    expect(mutate("y(); if (a\n  .has(b)) return f(\n  a,\n  b,\n);", edit)).toBe("y(); x();");
    expect(() => mutate("if (aa.has(b)) return f(a, b);", edit)).toThrow("0 times");
    expect(() => mutate("if (a.has(b)) returnf(a, b);", edit)).toThrow("0 times");
    expect(() => mutate("undo(a)", { ...edit, find: "do(a)" })).toThrow("0 times");
  });

  it("are told when the text they change is not there, or there twice", () => {
    const edit = { file: "scheduler/core/commits.js", put: "" };
    expect(() => mutatedFiles([{ ...edit, find: "no such text" }])).toThrow("0 times");
    expect(() => mutatedFiles([{ ...edit, find: "import" }])).toThrow(/\d+ times/);
  });
});
