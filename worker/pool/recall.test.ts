/** A run that waits behind another can be taken back, until its thread has it: then it is never run a second time. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { SlotRig } from "./testing/slot-rig.js";

let rig: SlotRig;
beforeAll(() => {
  rig = new SlotRig();
});
afterAll(() => rig.close());

/** The agent's loop stands still, as it does while it is busy; threads go on. */
function stall(ms: number): void {
  for (const endMs = performance.now() + ms; performance.now() < endMs; );
}

test("what no thread has taken is over at once, and its place is free", async () => {
  const first = rig.start(rig.spec("idle", 0, 4));
  const second = rig.start(rig.spec("double", 0, 1));
  expect(second.run.recall()).toBe(true);
  const third = rig.start(rig.spec("double", 7, 8));
  await Promise.all([first.done, second.done]);
  expect((await third.done).values.get(7)).toBe(14);
  expect(second.outcome.order).toEqual([]);
});

test("what has been executed, and not been heard of yet, is not", async () => {
  await rig.execute("double", 0, 1);
  const run = rig.start(rig.spec("double", 3, 4));
  // It is given to the thread within these; nothing is heard from there before a turn of the loop.
  for (let i = 0; i < 20; i++) await Promise.resolve();
  stall(500);
  expect([run.run.recall(), run.run.limit(3)]).toEqual([false, 4]);
  expect((await run.done).values.get(3)).toBe(6);
});

test("what loads its module is not: it keeps its place, and executes", async () => {
  const loads = rig.module("await new Promise((r) => setTimeout(r, 700)); export const f = () => 5;");
  const fn = { bundle: "e".repeat(64), url: loads, export: "f" };
  const run = rig.start(rig.spec("f", 0, 1, { fn, args: [] }));
  await new Promise((resolve) => setImmediate(resolve));
  stall(300);
  expect(run.run.recall()).toBe(false);
  expect((await run.done).values.get(0)).toBe(5);
});
