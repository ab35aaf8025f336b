import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { asofConformance } from "./asof/testing/conformance-rows.js";
import { backtestConformance } from "./backtest/testing/conformance-rows.js";
import { features } from "./features/index.js";
import { featureConformance } from "./features/testing/conformance-rows.js";
import { panelConformance } from "./panel/testing/conformance-rows.js";
import { statisticsConformance } from "./statistics/testing/conformance-rows.js";
import { barsMin, Differences, renderConformance, unexplainedRelMax, worstOf } from "./testing/conformance.js";

const rows = [
  ...featureConformance(),
  ...asofConformance(),
  ...backtestConformance(),
  ...panelConformance(),
  ...statisticsConformance(),
];

describe("conformance", () => {
  it.each(rows.map((row) => [`${row.kernel}, ${row.option}, ${row.peer}, ${row.peerOption}`, row] as const))(
    "%s: agrees to rounding and on nulls, or has a note that says why not and stays within its limits",
    (_, row) => {
      expect(row.limits !== undefined).toBe(row.note !== undefined);
      const { rel, nullsDiffer } = row.limits ?? { rel: unexplainedRelMax, nullsDiffer: 0 };
      expect(worstOf(row)).toBeLessThanOrEqual(rel);
      expect(row.nullsDiffer).toBeLessThanOrEqual(nullsDiffer);
      expect(row.bars ?? row.n).toBeGreaterThanOrEqual(barsMin);
      expect(row.singly).toBeGreaterThan(0);
      expect(row.uncompared).toBe(0);
    },
  );

  it("every feature has a peer", () => {
    const compared = new Set(rows.map(({ kernel }) => kernel));
    expect(features.map(({ kernel }) => kernel.name).filter((name) => !compared.has(name))).toEqual([]);
  });

  it("a note stands only where there is something to explain", () => {
    const idle = rows.filter(
      (row) =>
        row.note !== undefined &&
        !rows.some((other) => other.note === row.note && (other.nullsDiffer > 0 || worstOf(other) > unexplainedRelMax)),
    );
    expect(idle).toEqual([]);
  });

  it("no cell of docs/conformance.md has changed (`npm run docs` writes it anew)", async () => {
    await expect(renderConformance(rows)).toMatchFileSnapshot(
      fileURLToPath(new URL("../../docs/conformance.md", import.meta.url)),
    );
  });

  it("counts differences in bars where only one side has a value", () => {
    const differences = new Differences();
    differences.add([Number.NaN, 1, 2, 3], [1, Number.NaN, 2, 3.5], true);
    expect(differences.result()).toEqual({
      maxAbs: 0.5,
      maxRel: 0.5 / 3.5,
      n: 4,
      uncompared: 0,
      singly: 4,
      nullsDiffer: 2,
    });
  });
});
