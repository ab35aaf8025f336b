import { expect, test } from "vitest";
import { measure, quantile, tableOf } from "./report.js";

test("quantiles interpolate between neighbours", () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([1, 2, 3, 4, 5], 0.99)).toBeCloseTo(4.96);
  expect(quantile([], 0.5)).toBeNaN();
});

test("the ratio says how many times better, whichever way better is", () => {
  expect(
    measure("rate", "1/s", [90, 100, 500], { better: "higher", peer: "P", peerRepeats: [10, 20, 30] }),
  ).toMatchObject({
    value: 100,
    peer: "P",
    peerValue: 20,
    ratio: 5,
  });
  expect(measure("time", "ms", [2], { better: "lower", peer: "P", peerRepeats: [6] })).toMatchObject({ ratio: 3 });
});

test("without a peer, peer, value and ratio are null, and the table shows dashes", () => {
  const alone = measure("rate", "1/s", [1_234_567], { better: "higher", peer: "P", peerRepeats: [], note: "alone" });
  expect(alone).toMatchObject({ peer: null, peerValue: null, ratio: null });
  expect(tableOf([alone])).toMatch(/rate.*1,230,000.*–.*\n[\s\S]*rate: alone/);
});
