/** Against pandas, numpy, scipy and polars: what bench/peers/panel_fixtures.py got from them. */
import { describe, expect, it } from "vitest";
import { panelKernels } from "./index.js";
import { conformancePanel } from "./testing/conformance-panel.js";
import { panelConformance } from "./testing/conformance-rows.js";

const rows = panelConformance();
/** The summary is that of panel.ic_decay; no peer has a universe. */
const without = ["panel.universe", "panel.ic_summary"];

describe("panel kernels against pandas, numpy, scipy and polars", () => {
  it.each(rows.map((row) => [row.kernel, row.option, row.peer, row.peerOption, row] as const))(
    "%s, %s: %s %s",
    (kernel, option, _, __, row) => {
      // Order and position give the same numbers; others differ by the order of additions.
      const exact = [
        "panel.rank",
        "panel.quantile",
        "panel.select",
        "panel.pivot",
        "panel.unpivot",
        "panel.turnover",
      ].includes(kernel);
      expect(row.nullsDiffer).toBe(0);
      expect(row.maxRel).toBeLessThanOrEqual(exact ? 0 : option.includes("regress") ? 1e-10 : 1e-11);
    },
  );

  it("on more than ten thousand rows, at three scales", () => {
    expect(conformancePanel(1).numRows).toBeGreaterThanOrEqual(10_240);
    const onRows = rows.filter(({ kernel }) => kernel === "panel.zscore");
    for (const { n } of onRows) expect(n).toBe(3 * conformancePanel(1).numRows);
  });

  it("covers every kernel that a peer has", () => {
    expect([...new Set(rows.map(({ kernel }) => kernel)), ...without].sort()).toEqual(
      panelKernels.map(({ name }) => name).sort(),
    );
  });
});
