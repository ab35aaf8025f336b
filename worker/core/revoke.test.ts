import { describe, expect, test } from "vitest";
import type { LeaseId } from "../../proto/ids.js";
import { Harness, inline, leaseOf } from "../../sim/worker-rig.js";

describe("revoke and cancel", () => {
  test("the unstarted rest of a waiting lease goes back at once", () => {
    const h = new Harness().join();
    h.lease("1.1");
    h.commands([{ o: "revoke", lease: "1.1" as LeaseId, keepTo: 4 }]);
    expect(h.flush()).toMatchObject([{ back: [{ lease: "1.1", from: 4, to: 10 }], done: [] }]);
    expect(h.do({ e: "ready", lease: "1.1" as LeaseId })).toContainEqual({
      c: "run",
      lease: leaseOf("1.1"),
      slot: 0,
      from: 0,
      to: 4,
    });
  });

  test("a running lease is limited, and gives back from where the thread surely stops", () => {
    const h = new Harness().join().running("1.1");
    expect(h.commands([{ o: "revoke", lease: "1.1" as LeaseId, keepTo: 3 }])).toEqual([
      { c: "limit", lease: "1.1", to: 3 },
    ]);
    h.do({ e: "limited", lease: "1.1" as LeaseId, to: 6 });
    expect(h.flush()).toMatchObject([{ back: [{ from: 6, to: 10 }], done: [] }]);
    h.commands([{ o: "revoke", lease: "1.1" as LeaseId, keepTo: 6 }]);
    h.results("1.1", inline(0, 6));
    h.ended("1.1");
    expect(h.flush()).toMatchObject([{ back: [], done: ["1.1"] }]);
  });

  test("a revocation that meets nothing unstarted is answered all the same: by an empty range, or by the end of the lease", () => {
    const h = new Harness().join().running("1.1");
    h.commands([{ o: "revoke", lease: "1.1" as LeaseId, keepTo: 9 }]);
    h.do({ e: "limited", lease: "1.1" as LeaseId, to: 10 });
    expect(h.flush()).toMatchObject([{ back: [{ lease: "1.1", from: 10, to: 10 }], done: [] }]);
    h.results("1.1", inline(0, 10));
    h.ended("1.1");
    for (const message of h.flush()) if (message.t === "commits") h.commands([{ o: "ack", seq: message.seq }]);
    h.commands([{ o: "ack", seq: 1 }]);
    h.commands([{ o: "revoke", lease: "1.1" as LeaseId, keepTo: 9 }]);
    expect(h.flush()).toMatchObject([{ back: [], done: ["1.1"] }]);
  });

  test("a limit before the first task gives everything back exactly once, when the run has ended", () => {
    const h = new Harness().join().running("1.1");
    h.do({ e: "limited", lease: "1.1" as LeaseId, to: 0 });
    h.ended("1.1");
    expect(h.flush()).toMatchObject([{ back: [{ from: 0, to: 10 }], done: ["1.1"] }]);
  });

  test("cancel kills what runs, ends what waits, and outruns a lease that is still under way", () => {
    const h = new Harness().join().running("1.1");
    expect(h.commands([{ o: "cancel", lease: "1.1" as LeaseId }])).toEqual([{ c: "kill", lease: "1.1" }]);
    h.lease("1.2");
    h.commands([
      { o: "cancel", lease: "1.2" as LeaseId },
      { o: "cancel", lease: "1.3" as LeaseId },
    ]);
    expect(h.lease("1.3").filter((c) => c.c === "prepare")).toEqual([]);
    h.ended("1.1");
    const [message] = h.flush();
    expect(message?.t === "commits" && new Set(message.done)).toEqual(new Set(["1.1", "1.2", "1.3"]));
  });
});
