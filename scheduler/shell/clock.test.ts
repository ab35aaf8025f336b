import { expect, test } from "vitest";
import { MonotonicClock } from "./clock.js";

test("a journal from a time when the clock was hours ahead does not stop time: it passes from there", () => {
  let read = 1_000_000;
  const clock = new MonotonicClock(() => read);
  const ahead = read + 8 * 3_600_000;
  clock.atLeast(ahead);
  expect(clock.nowMs()).toBe(ahead);
  read += 1_500;
  expect(clock.nowMs()).toBe(ahead + 1_500);
});

test("a journal from the past changes nothing", () => {
  let read = 1_000_000;
  const clock = new MonotonicClock(() => read);
  clock.atLeast(10);
  expect(clock.nowMs()).toBe(1_000_000);
  read += 20;
  clock.atLeast(1_000_005);
  expect(clock.nowMs()).toBe(1_000_020);
});

test("what is read going back does not take time back", () => {
  let read = 5_000;
  const clock = new MonotonicClock(() => read);
  expect(clock.nowMs()).toBe(5_000);
  read = 4_000;
  expect(clock.nowMs()).toBe(5_000);
  read = 5_001;
  expect(clock.nowMs()).toBe(5_001);
});
