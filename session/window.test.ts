import { describe, expect, test } from "vitest";
import { SendWindow, windowBytes } from "./window.js";

describe("the window of what is at the scheduler", () => {
  test("holds back what is beyond, in order, and lets it go as results come", () => {
    const window = new SendWindow<string>(2);
    const [a, b, c, d, e] = ["a", "b", "c", "d", "e"] as const;
    for (const stage of [a, b]) window.add(stage, 10);
    expect(window.isFull).toBe(true);
    for (const stage of [c, d, e]) window.hold(stage, false);
    expect(window.take()).toEqual([]);
    expect(window.settle(a)).toBe(true);
    const taken = window.take();
    expect(taken).toEqual([c]);
    window.hold(c, true);
    expect(window.settle(b)).toBe(false);
    expect(window.take()).toEqual([c, d]);
    expect(window.take()).toEqual([e]);
    expect(window.take()).toEqual([]);
  });

  test("counts bytes as well, and a stage sent again once", () => {
    const window = new SendWindow<string>();
    const [a, b] = ["a", "b"] as const;
    window.add(a, windowBytes - 1);
    window.add(a, windowBytes - 1);
    expect(window.isFull).toBe(false);
    window.add(b, 1);
    expect(window.isFull).toBe(true);
    expect(window.settle(b)).toBe(true);
    expect(window.settle(b)).toBe(false);
  });
});
