import { expect, test } from "vitest";
import { EpochWatch } from "./epoch-watch.js";

test("the epoch to believe is the highest heard", () => {
  const watch = new EpochWatch(1_000);
  const received = [3, 3, 2, 5, 3, 5].map((epoch) => watch.admits(epoch, 0));
  expect(received).toEqual([true, true, false, true, false, true]);
  expect(watch.admits(3, 900)).toBe(false);
});

test("a lower one is believed when nothing else has been heard for long", () => {
  const watch = new EpochWatch(1_000);
  watch.admits(5, 0);
  // Silence alone says nothing: the first word after it may be a deposed scheduler's.
  expect(watch.admits(2, 10_000)).toBe(false);
  expect(watch.admits(2, 10_900)).toBe(false);
  watch.admits(5, 10_900);
  expect(watch.admits(2, 11_800)).toBe(false);
  expect(watch.admits(2, 12_900)).toBe(true);
  expect(watch.epoch).toBe(2);
  expect(watch.admits(1, 12_900)).toBe(false);
});
