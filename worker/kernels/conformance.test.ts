import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { asofConformance } from "./asof/conformance-rows.js";
import { backtestConformance } from "./backtest/conformance-rows.js";
import { Differences, renderConformance, unexplainedRelMax } from "./conformance.js";
import { featureConformance } from "./features/conformance-rows.js";
import { features } from "./features/index.js";
import { panelConformance } from "./panel/conformance-rows.js";
import { statisticsConformance } from "./statistics/conformance-rows.js";

const rows = [...featureConformance(), ...asofConformance(), ...backtestConformance(), ...panelConformance(), ...statisticsConformance()];

describe("conformance", () => {
  it("every row compares values, agrees on nulls and to rounding, or has a note that says why not", () => {
    expect(rows.length).toBeGreaterThan(50);
    for (const row of rows) {
      expect(row.n, row.kernel).toBeGreaterThan(0);
      const unexplained = row.note === undefined && (row.nullsDiffer > 0 || row.maxRel > unexplainedRelMax);
      expect(unexplained ? row : "explained or equal").toBe("explained or equal");
    }
  });

  it("every feature has a peer", () => {
    const compared = new Set(rows.map(({ kernel }) => kernel));
    expect(features.map(({ kernel }) => kernel.name).filter((name) => !compared.has(name))).toEqual([]);
  });

  it("a note stands only where there is something to explain", () => {
    const idle = rows.filter(
      (row) => row.note !== undefined && !rows.some((other) => other.note === row.note && (other.nullsDiffer > 0 || other.maxRel > unexplainedRelMax)),
    );
    expect(idle).toEqual([]);
  });

  it("no cell of docs/conformance.md has changed (`npm run docs` writes it anew)", async () => {
    await expect(renderConformance(rows)).toMatchFileSnapshot(fileURLToPath(new URL("../../../docs/conformance.md", import.meta.url)));
  });

  it("counts differences in bars where only one side has a value", () => {
    const differences = new Differences();
    differences.add([Number.NaN, 1, 2, 3], [1, Number.NaN, 2, 3.5], true);
    expect(differences.result()).toEqual({ maxAbs: 0.5, maxRel: 0.5 / 3.5, n: 4, nullsDiffer: 2 });
  });
});
