import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { ObjectId } from "../../proto/ids.js";
import { fc } from "../../proto/testing/drawn.js";
import { InputRoom } from "./input-room.js";

const KiB = 1024;
const never = new AbortController().signal;
const wants = (sizes: Record<string, number>): Map<ObjectId, number> =>
  new Map(Object.entries(sizes).map(([id, kib]) => [id as ObjectId, kib * KiB]));

test("two leases whose inputs do not fit together go one after the other, and none holds a part while it waits", async () => {
  const room = new InputRoom(100 * KiB);
  const order: string[] = [];
  const enter = async (name: string, sizes: Record<string, number>): Promise<() => void> => {
    const leave = await room.enter(wants(sizes), never, () => order.push(`${name} waits`));
    order.push(name);
    return leave;
  };
  const first = await enter("a", { x: 40, y: 40 });
  const second = enter("b", { z: 40, u: 40 });
  // It would fit, but it came later.
  const third = enter("c", { v: 10 });
  await turn();
  expect(order).toEqual(["a", "b waits", "c waits"]);
  expect(room.waiting).toBe(2);
  first();
  first();
  (await second)();
  (await third)();
  expect(order).toEqual(["a", "b waits", "c waits", "b", "c"]);
});

test("what leases share counts once", async () => {
  const room = new InputRoom(100 * KiB);
  const leave = await room.enter(wants({ shared: 80, a: 10 }), never, () => expect.fail("waits"));
  await room.enter(wants({ shared: 80, b: 10 }), never, () => expect.fail("waits"));
  leave();
  // The shared one stays for the other.
  let waits = false;
  void room.enter(wants({ c: 20 }), never, () => {
    waits = true;
  });
  expect(waits).toBe(true);
});

test("what can never fit is refused with the figures; a lease that is over leaves the line", async () => {
  const room = new InputRoom(100 * KiB);
  const tooMuch = room.enter(wants({ a: 60, b: 41 }), never, () => undefined);
  await expect(tooMuch).rejects.toMatchObject({
    code: "OUT_OF_MEMORY",
    details: { neededBytes: 101 * KiB, storeBytes: 100 * KiB },
  });
  await room.enter(wants({ a: 60 }), never, () => undefined);
  const stop = new AbortController();
  const waiting = room.enter(wants({ b: 60 }), stop.signal, () => undefined);
  const behind = room.enter(wants({ c: 40 }), never, () => undefined);
  stop.abort(new Error("over"));
  await expect(waiting).rejects.toThrow("over");
  await behind;
});

test("any sequence: never more than the budget is in, and everybody gets in", async () => {
  const lease = fc.uniqueArray(fc.record({ id: fc.nat(9), kib: fc.constant(0) }), {
    selector: ({ id }) => id,
    minLength: 1,
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(lease, { maxLength: 30 }), async (leases) => {
      const room = new InputRoom(60 * KiB);
      const size = (id: number): number => id + 3;
      const inside = new Set<readonly { id: number }[]>();
      let entered = 0;
      await Promise.all(
        leases.map(async (items) => {
          const leave = await room.enter(
            wants(Object.fromEntries(items.map(({ id }) => [`o${id}`, size(id)]))),
            never,
            () => undefined,
          );
          inside.add(items);
          entered++;
          const ids = new Set([...inside].flatMap((one) => one.map(({ id }) => id)));
          expect([...ids].reduce((sum, id) => sum + size(id), 0)).toBeLessThanOrEqual(60);
          await turn();
          inside.delete(items);
          leave();
        }),
      );
      expect(entered).toBe(leases.length);
    }),
    { numRuns: 200 },
  );
});
