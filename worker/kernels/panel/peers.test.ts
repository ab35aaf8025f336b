/** Against the values that bench/peers/panel_fixtures.py got from pandas, numpy and scipy. */
import { describe, expect, it } from "vitest";
import { peerComparisons } from "./conformance-rows.js";

const comparisons = peerComparisons();

describe("panel kernels against pandas, numpy and scipy", () => {
  const named = comparisons.map((one) => [`${one.cell.kernel} ${JSON.stringify(one.cell.params)} of ${one.cell.column}`, one.cell.option, one] as const);

  it.each(named)("%s: %s", (_, __, { cell, ours, theirs }) => {
    expect(ours.length).toBe(theirs.length);
    // Whole numbers are to be the same; others differ by the order of additions.
    const tolerance = cell.kernel === "rank" || cell.kernel === "quantile" ? 0 : cell.params.method === "regress" ? 1e-11 : 1e-13;
    const scale = theirs.reduce((most, value) => Math.max(most, Number.isNaN(value) ? 0 : Math.abs(value)), 0);
    const wrong = [...theirs].flatMap((value, i) => {
      const mine = ours[i] as number;
      return (Number.isNaN(value) && Number.isNaN(mine)) || Math.abs(value - mine) <= tolerance * scale ? [] : [{ row: i, theirs: value, ours: mine }];
    });
    expect(wrong).toEqual([]);
  });

  it("covers every kernel that a peer has", () => {
    expect(new Set(comparisons.map(({ cell }) => cell.kernel))).toEqual(
      new Set([
        ...["rank", "quantile", "zscore", "demean", "neutralise", "winsorize", "forward_returns"],
        ...["ic", "ic_decay", "quantile_returns", "turnover", "rank_autocorrelation"],
      ]),
    );
    expect(comparisons[0]?.ours.length).toBeGreaterThan(300);
  });
});
