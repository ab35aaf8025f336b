/**
 * Stealing by hand: one worker full of leases, another that idles, and answers that come, do not come, or come late.
 */
import { expect, test } from "vitest";
import type { Lease } from "../../proto/messages/worker.js";
import { client, leasesIn, Rig, runAll, session, spec, w1, w2 } from "../../sim/core-rig.js";
import type { Command } from "./index.js";

const revokesIn = (commands: readonly Command[]): string[] =>
  commands.flatMap((c) =>
    c.c === "command" && c.command.o === "revoke" ? [`${c.command.lease} ${c.command.keepTo}`] : [],
  );
const known = (revokes: readonly string[]): Set<string> =>
  new Set(revokes.map((revoke) => revoke.split(" ")[0] as string));

/**
 * w1 holds four leases of tasks that were thought to be short and are not; w2 has nothing more to do, and w1 was asked
 * for some of what it has.
 */
function scene(idleSlots = 1): { rig: Rig; held: Lease[]; first: string[] } {
  const rig = new Rig();
  rig.open();
  rig.state.costs.set("kernel/k0/1", 1_000);
  rig.join(w1, 2);
  rig.ask({ t: "stages", session, client, stages: [spec(0, 40)] });
  const held = leasesIn(rig.commands);
  expect(held).toHaveLength(4);
  runAll(rig, w2, rig.join(w2, idleSlots));
  expect([rig.state.queued, rig.state.leases.size]).toEqual([0, 4]);
  rig.commands.length = 0;
  rig.state.costs.set("kernel/k0/1", 1_000_000);
  rig.pass(100);
  return { rig, held, first: revokesIn(rig.commands) };
}

const heartbeats = (rig: Rig): void => {
  const leases = [...(rig.state.workers.get(w1)?.leases.values() ?? [])].map(({ id, next, to }) => ({
    lease: id,
    next,
    to,
    running: true,
  }));
  rig.heartbeat(w1, leases);
  rig.heartbeat(w2);
};

test("an idle slot asks one lease at a time, however many events pass", () => {
  const { rig, first } = scene();
  expect(first).toHaveLength(1);
  for (let i = 0; i < 20; i++) rig.pass(100);
  expect(known(revokesIn(rig.commands)).size).toBe(1);
  const two = scene(2);
  two.rig.pass(500);
  expect(known(revokesIn(two.rig.commands)).size).toBe(2);
});

test("a revocation that is not answered does not keep others from being asked", () => {
  const { rig, first } = scene();
  const [silent] = known(first);
  for (let i = 0; i < 5; i++) {
    rig.pass(1_000);
    heartbeats(rig);
  }
  const others = [...known(revokesIn(rig.commands))].filter((lease) => lease !== silent);
  expect(others.length).toBeGreaterThan(0);
});

test("what comes back after the patience is over was asked for: it is queued at once, and no failure of the infrastructure", () => {
  const { rig, first } = scene();
  const [id, keepTo] = (first[0] as string).split(" ") as [string, string];
  for (let i = 0; i < 5; i++) {
    rig.pass(1_000);
    heartbeats(rig);
  }
  const lease = [...rig.state.leases.values()].find((one) => one.id === id);
  const { to } = lease as { to: number };
  rig.commands.length = 0;
  rig.commit(w1, [], { back: [{ lease: id as Lease["lease"], from: Number(keepTo), to }] });
  expect(leasesIn(rig.commands).some((granted) => granted.from === Number(keepTo))).toBe(true);
  expect(lease?.stage.failureRecords.size).toBe(0);
});

test("a lease that has started everything says so, is not asked again, and another is asked at once", () => {
  const { rig, held, first } = scene();
  const [id] = (first[0] as string).split(" ") as [string];
  const lease = held.find((one) => one.lease === id) as Lease;
  rig.commands.length = 0;
  rig.commit(w1, [], { back: [{ lease: lease.lease, from: lease.to, to: lease.to }] });
  expect(known(revokesIn(rig.commands)).size).toBe(1);
  expect(known(revokesIn(rig.commands)).has(id)).toBe(false);
  for (let i = 0; i < 60; i++) {
    rig.pass(1_000);
    heartbeats(rig);
  }
  expect(known(revokesIn(rig.commands)).has(id)).toBe(false);
});
