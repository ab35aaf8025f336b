/** How many tasks go out at once, by what a task of their function takes. */
import { expect, test } from "vitest";
import type { StageSpec } from "../../proto/messages/stage.js";
import { client, leasesIn, Rig, session, spec, w1 } from "../../sim/core-rig.js";

/** Tasks of the first lease of a map of so many, on one slot. */
function firstLease(count: number, taskUs: number, others: readonly StageSpec[] = []): number {
  const rig = new Rig();
  rig.open();
  rig.state.costs.set("kernel/k0/1", taskUs);
  rig.ask({ t: "stages", session, client, stages: [spec(0, count), ...others] });
  rig.commands.length = 0;
  const [lease] = leasesIn(rig.join(w1, 1));
  return lease ? lease.to - lease.from : 0;
}

test("a lease is of 20 ms of work, of sixteen tasks if they take longer, and of 100 ms at most", () => {
  expect(firstLease(100_000, 1)).toBe(20_000);
  expect(firstLease(100_000, 1_000)).toBe(20);
  expect(firstLease(1_000, 5_000)).toBe(16);
  expect(firstLease(1_000, 30_000)).toBe(3);
  expect(firstLease(1_000, 100_000)).toBe(1);
  expect(firstLease(1_000, 3_600_000)).toBe(1);
});

test("beside another stage that is ready it is of 20 ms, whatever that one's priority", () => {
  const { options } = spec(1, 1);
  for (const priority of [0, -1]) {
    const other = { ...spec(1, 1), options: { ...options, priority } };
    expect(firstLease(1_000, 5_000, [other])).toBe(4);
  }
});

test("towards the end it is the fair part of what is left", () => {
  expect(firstLease(8, 5_000)).toBe(4);
  expect(firstLease(2, 5_000)).toBe(1);
});
