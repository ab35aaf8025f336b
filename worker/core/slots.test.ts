/** Who runs where, and what each slot begins next (L1 to L4 of slots.ts). */

import { describe, expect, test } from "vitest";
import type { LeaseId } from "../../proto/ids.js";
import { fc } from "../../proto/testing/drawn.js";
import { Harness, inline, kinds, leaseOf } from "../../sim/worker-rig.js";
import type { WorkerCommand } from "./events.js";
import { slotsBusy } from "./state.js";

const runs = (commands: readonly WorkerCommand[]): string[] =>
  commands.flatMap((c) => (c.c === "run" ? [`${c.lease.lease} on ${c.slot}`] : []));
const phaseOf = (h: Harness, id: string): unknown => h.state.leases.get(id as LeaseId)?.phase;
const ready = (h: Harness, id: string, priority = 0): WorkerCommand[] => {
  const lease = leaseOf(id);
  h.commands([{ o: "lease", lease: { ...lease, options: { ...lease.options, priority } } }]);
  return h.do({ e: "ready", lease: id as LeaseId });
};

describe("staging", () => {
  test("free slots are filled first, then each busy slot has one lease behind it, and no more", () => {
    const h = new Harness().join();
    const given = ["1.1", "1.2", "1.3", "1.4", "1.5"].flatMap((id) => runs(ready(h, id)));
    expect(given).toEqual(["1.1 on 0", "1.2 on 1", "1.3 on 0", "1.4 on 1"]);
    expect(phaseOf(h, "1.3")).toEqual({ p: "staged", slot: 0, recalled: false });
    expect(phaseOf(h, "1.5")).toEqual({ p: "ready" });
  });

  test("when a slot's thread returns, what is staged there runs, and the next is staged, before anything is stored", () => {
    const h = new Harness().join();
    for (const id of ["1.1", "1.2", "1.3", "1.4", "1.5"]) ready(h, id);
    expect(runs(h.vacated("1.1"))).toEqual(["1.5 on 0"]);
    expect([phaseOf(h, "1.1"), phaseOf(h, "1.3")]).toEqual([{ p: "storing" }, { p: "running", slot: 0 }]);
    h.results("1.1", inline(0, 10));
    h.do({ e: "ended", lease: "1.1" as LeaseId });
    expect(h.flush()).toMatchObject([{ t: "commits", done: ["1.1"], commits: [{ lease: "1.1" }] }]);
  });

  test("a slot that is free recalls what waits behind another; if that has begun, nothing changes", () => {
    const h = new Harness().join();
    for (const id of ["1.1", "1.2", "1.3"]) ready(h, id);
    expect(phaseOf(h, "1.3")).toMatchObject({ p: "staged", slot: 0 });
    expect(h.vacated("1.2")).toContainEqual({ c: "recall", lease: "1.3" });
    expect(kinds(h.tick(100))).not.toContain("recall");
    expect(runs(h.do({ e: "recalled", lease: "1.3" as LeaseId }))).toEqual(["1.3 on 1"]);
    h.vacated("1.1");
    expect(h.do({ e: "recalled", lease: "1.3" as LeaseId })).toEqual([]);
    expect(phaseOf(h, "1.3")).toEqual({ p: "running", slot: 1 });
  });

  test("a lease of higher priority goes before what is staged", () => {
    const h = new Harness().join();
    for (const id of ["1.1", "1.2", "1.3", "1.4"]) ready(h, id);
    expect(ready(h, "1.5", 3)).toContainEqual({ c: "recall", lease: "1.3" });
    expect(runs(h.do({ e: "recalled", lease: "1.3" as LeaseId }))).toEqual(["1.5 on 0"]);
    expect(phaseOf(h, "1.3")).toEqual({ p: "ready" });
  });

  test("the scheduler hears that a slot is free only when the results are not there in the same turn", () => {
    const h = new Harness().join().running("1.1").running("1.2");
    h.vacated("1.1");
    expect(h.flush()).toMatchObject([{ ran: ["1.1"], done: [], commits: [] }]);
    h.results("1.1", inline(0, 10));
    h.do({ e: "ended", lease: "1.1" as LeaseId });
    h.results("1.2", inline(0, 10));
    h.ended("1.2");
    const [message] = h.flush();
    expect(message).toMatchObject({ done: ["1.1", "1.2"] });
    expect(message).not.toHaveProperty("ran");
  });

  test("a revocation reaches what is staged; what is stored already answers with nothing", () => {
    const h = new Harness().join();
    for (const id of ["1.1", "1.2", "1.3"]) ready(h, id);
    const revoke = (id: string): WorkerCommand[] => h.commands([{ o: "revoke", lease: id as LeaseId, keepTo: 0 }]);
    expect(revoke("1.3")).toEqual([{ c: "limit", lease: "1.3", to: 0 }]);
    h.do({ e: "limited", lease: "1.3" as LeaseId, to: 0 });
    h.ended("1.3");
    expect(h.flush()).toMatchObject([{ back: [{ lease: "1.3", from: 0, to: 10 }], done: ["1.3"] }]);
    h.vacated("1.1");
    revoke("1.1");
    h.do({ e: "limited", lease: "1.1" as LeaseId, to: 10 });
    expect(h.flush()).toMatchObject([{ back: [{ lease: "1.1", from: 10, to: 10 }], done: [], ran: ["1.1"] }]);
  });

  test("draining gives back what is staged, and a new epoch voids it", () => {
    const h = new Harness().join();
    for (const id of ["1.1", "1.2", "1.3"]) ready(h, id);
    expect(h.do({ e: "drain" })).toContainEqual({ c: "limit", lease: "1.3", to: 0 });
    const other = new Harness().join();
    for (const id of ["1.1", "1.2", "1.3"]) ready(other, id);
    other.commands([{ o: "welcome", heartbeatIntervalMs: 1000 }], 2);
    expect(phaseOf(other, "1.3")).toEqual({ p: "void", slot: 0 });
    other.ended("1.3");
    other.ended("1.1");
    expect(other.state.slots[0]).toEqual({ now: undefined, next: undefined });
    expect(other.state.leases.has("1.3" as LeaseId)).toBe(false);
  });
});

describe("a task that awaits others", () => {
  test("gives its slot back, and has it again before anything that is not staged there", () => {
    const h = new Harness().join();
    for (const id of ["1.1", "1.2", "1.3"]) ready(h, id);
    h.do({ e: "blocked", lease: "1.1" as LeaseId });
    expect([phaseOf(h, "1.1"), phaseOf(h, "1.3")]).toEqual([
      { p: "blocked", slot: 0, wants: false },
      { p: "running", slot: 0 },
    ]);
    expect(kinds(h.do({ e: "unblocked", lease: "1.1" as LeaseId }))).not.toContain("resume");
    // Nothing is staged behind 1.3 while 1.1 waits for the slot.
    expect(runs(ready(h, "1.4"))).toEqual(["1.4 on 1"]);
    expect(runs(ready(h, "1.5"))).toEqual([]);
    expect(h.vacated("1.3")).toContainEqual({ c: "resume", lease: "1.1" });
    expect(phaseOf(h, "1.1")).toEqual({ p: "running", slot: 0 });
  });

  test("holds no slot: another runs there meanwhile, also if it is killed", () => {
    const h = new Harness().join().running("1.1").running("1.2");
    h.do({ e: "blocked", lease: "1.1" as LeaseId });
    expect(slotsBusy(h.state)).toBe(1);
    expect(h.commands([{ o: "cancel", lease: "1.1" as LeaseId }])).toContainEqual({ c: "kill", lease: "1.1" });
    expect(runs(ready(h, "1.3"))).toEqual(["1.3 on 0"]);
    h.ended("1.1");
    expect(h.flush()).toMatchObject([{ back: [{ lease: "1.1", from: 0, to: 10 }], done: ["1.1"] }]);
    expect(phaseOf(h, "1.3")).toEqual({ p: "running", slot: 0 });
  });
});

test("whatever the order of events, slots and leases agree, and nothing waits beside a free slot", () => {
  const step = fc.record({ what: fc.nat(7), which: fc.nat(5), priority: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const h = new Harness().join();
      let next = 1;
      const held = (p: string): LeaseId[] =>
        [...h.state.leases].flatMap(([id, entry]) => (entry.phase.p === p ? [id] : []));
      for (const { what, which, priority } of steps) {
        const pick = (p: string): LeaseId | undefined => held(p)[which % Math.max(1, held(p).length)];
        const running = pick("running");
        const staged = pick("staged");
        const storing = pick("storing");
        const blocked = pick("blocked");
        if (what <= 1) ready(h, `1.${next++}`, priority);
        else if (what === 2 && running) h.do({ e: "vacated", lease: running });
        else if (what === 3 && staged) h.do({ e: "recalled", lease: staged });
        else if (what === 4 && storing) h.do({ e: "ended", lease: storing });
        else if (what === 5 && running) h.do({ e: "blocked", lease: running });
        else if (what === 6 && blocked) h.do({ e: "unblocked", lease: blocked });
        else if (what === 7 && running) h.commands([{ o: "cancel", lease: running }]);
        // The harness checks the invariants after every step.
        if (slotsBusy(h.state) < 2) expect(held("ready")).toEqual([]);
      }
    }),
  );
});
