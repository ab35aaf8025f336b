/**
 * No request costs more than in proportion to what it names: each scenario is run with n and with 4 n of something, and
 * four times as many may take a good four times the processor time, not sixteen times. (Processor time of this thread,
 * the least of a few runs: a busy machine does not count.)
 */
import { describe, expect, test } from "vitest";
import type { JobId, ObjectId, WorkerId } from "../../proto/ids.js";
import type { ArgSpec, StageSpec } from "../../proto/messages/stage.js";
import type { Commit, Lease } from "../../proto/messages/worker.js";
import { client, fill, leasesIn, Rig, session, spec, stored, tenant, w1, w2 } from "../../sim/core-rig.js";

const pure = { pure: true };
const refs = (of: ArgSpec[]): ArgSpec[] => [{ a: "list", of }];

function rig(): Rig {
  const made = new Rig(undefined, { checked: false });
  made.open();
  return made;
}
const stages = (made: Rig, list: StageSpec[]): unknown => made.ask({ t: "stages", session, client, stages: list });
const submit = (made: Rig, list: StageSpec[], outputs: number[], job = "job" as JobId): unknown =>
  made.ask({ t: "submit", client, tenant, job, name: "job", stages: list, outputs });
const range = <T>(n: number, of: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => of(i));

/** Answers every lease with a commit of its own step, until there is nothing to do. */
function work(made: Rig, make: (lease: Lease) => Commit = fill): void {
  let from = 0;
  for (
    let leases = leasesIn(made.commands.slice(from));
    leases.length > 0;
    leases = leasesIn(made.commands.slice(from))
  ) {
    from = made.commands.length;
    for (const lease of leases) made.commit(w1, [make(lease)], { done: [lease.lease] });
  }
  made.commands.length = 0;
}

const scenarios: Record<string, { n: number; run(n: number): void }> = {
  "a task that reads n separate tasks, from their submission to its own end": {
    n: 5_000,
    run(n) {
      const made = rig();
      stages(
        made,
        range(n, (i) => spec(i, 1)),
      );
      stages(made, [spec(n, 1, refs(range(n, (i) => ({ a: "task", stage: i, task: 0 }))))]);
      made.join(w1, 8);
      work(made);
      expect(made.state.jobs.get(session)?.tally[4]).toBe(n + 1);
    },
  },
  "a task that reads each of n tasks of one stage, which end one by one": {
    n: 2_000,
    run(n) {
      const made = rig();
      stages(made, [spec(0, n), spec(1, 1, refs(range(n, (i) => ({ a: "task", stage: 0, task: i }))))]);
      made.join(w1, 1_000);
      const lease = leasesIn(made.commands);
      made.commands.length = 0;
      for (const each of lease)
        for (let i = each.from; i < each.to; i++)
          made.commit(w1, [{ ...fill({ ...each, from: i, to: i + 1 }), lease: each.lease }]);
      work(made);
      expect(made.state.jobs.get(session)?.tally[4]).toBe(n + 1);
    },
  },
  "n tasks that read one each of a stage's n tasks, and are dropped": {
    n: 1_500,
    run(n) {
      const made = rig();
      made.join(w1, 8);
      stages(made, [spec(0, n)]);
      stages(
        made,
        range(n, (i) => spec(i + 1, 1, [{ a: "task", stage: 0, task: i }])),
      );
      made.ask({
        t: "heartbeat",
        client,
        session,
        epoch: made.state.epoch,
        waiting: [],
        released: range(n + 1, (i) => i),
      });
      work(made);
      expect(made.state.jobs.get(session)?.stages.size).toBe(0);
    },
  },
  "n equal calls of a pure function that nobody runs yet": {
    n: 4_000,
    run(n) {
      const made = rig();
      stages(
        made,
        range(n, (i) => ({ ...spec(0, 1, [], pure), index: i })),
      );
      stages(
        made,
        range(n, (i) => ({
          ...spec(0, 1, [{ a: "object", id: `${made.state.jobs.get(session)?.stages.get(0)?.base}-0` as ObjectId }]),
          index: n + i,
        })),
      );
      expect(made.state.jobs.get(session)?.stages.size).toBe(2 * n);
    },
  },
  "a durable job that reads n objects": {
    n: 3_000,
    run(n) {
      const made = rig();
      made.join(w1);
      const ids = range(n, (i) => `c${i.toString(16).padStart(32, "0")}-0` as ObjectId);
      for (const id of ids) made.ask({ t: "put", session, id, kind: 3, bytes: 1, digest: new Uint8Array(16) });
      submit(made, [spec(0, 1, refs(ids.map((id) => ({ a: "object", id }))))], [0]);
      work(made);
      expect(made.state.jobs.get("job" as JobId)?.state).toBe("succeeded");
    },
  },
  "a durable job of n stages": {
    n: 2_500,
    run(n) {
      const made = rig();
      made.join(w1, 8);
      submit(
        made,
        range(n, (i) => spec(i, 1)),
        [0],
      );
      work(made);
      expect(made.state.jobs.get("job" as JobId)?.state).toBe("succeeded");
    },
  },
  "the loss of n results that one task reads": {
    n: 2_000,
    run(n) {
      const made = rig();
      made.join(w1, 8);
      stages(
        made,
        range(n, (i) => ({ ...spec(0, 1, [{ a: "value", kind: 3, data: Uint8Array.of(i, i >> 8) }], pure), index: i })),
      );
      work(made, stored);
      made.receive({ t: "deregister", worker: w1, epoch: made.state.epoch });
      made.join(w2, 1);
      made.commands.length = 0;
      stages(made, [spec(n, 1, refs(range(n, (i) => ({ a: "task", stage: i, task: 0 }))))]);
      expect(made.state.jobs.get(session)?.stages.get(n)?.blockers).toBe(n);
    },
  },
  "n tasks of a durable job that is cancelled while all of them run": {
    n: 1_000,
    run(n) {
      const made = rig();
      submit(
        made,
        range(n, (i) => spec(i, 1)),
        [0],
      );
      for (let at = 0; at < n; at += 1_000) made.join(`w${at}` as WorkerId, 1_000);
      expect(made.state.leases.size).toBe(n);
      made.ask({ t: "cancel", job: "job" as JobId });
      expect(made.state.leases.size).toBe(0);
    },
  },
};

function cpuMs(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

describe("four times as many take about four times as long", () => {
  test.each(Object.entries(scenarios))("%s", (_name, { n, run }) => {
    run(n); // The compiler's warming up is not the question.
    let ratio = Number.POSITIVE_INFINITY;
    // A quadratic one shows a ratio near 16 every time; one good look is enough for the others.
    for (let tries = 0; tries < 4 && ratio >= 9; tries++) {
      const one = Math.max(
        2,
        cpuMs(() => run(n)),
      );
      ratio = Math.min(ratio, cpuMs(() => run(4 * n)) / one);
    }
    expect(ratio).toBeLessThan(9);
  });
});
