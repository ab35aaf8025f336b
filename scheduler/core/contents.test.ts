/** Which bytes an id stands for: those of its commit, whatever workers hold under the same name. */

import { describe, expect, test } from "vitest";
import type { Epoch, JobId, ObjectId } from "../../proto/ids.js";
import type { Commit, Lease, StoredObject } from "../../proto/messages/worker.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";
import {
  client,
  inline,
  leasesIn,
  one,
  Rig,
  session,
  spec,
  stored,
  tenant,
  updatesIn,
  w1,
  w2,
} from "../../sim/core-rig.js";
import type { Command } from "./index.js";

const id = `s${session}_0-0` as ObjectId;
const held = (seed: number, of = id): StoredObject => ({
  id: of,
  bytes: 1e6,
  kind: 2,
  digest: new Uint8Array(16).fill(seed),
});
const freedBy = (commands: Command[], worker: string): unknown[] =>
  commands.flatMap((c) => (c.c === "command" && c.worker === worker && c.command.o === "free" ? [c.command] : []));
const workersOf = (rig: Rig, of = id): string[] => {
  const reply = rig.ask({ t: "locate", ids: [of] });
  return reply?.t === "located" ? (reply.locations[0]?.workers ?? []) : [];
};
let seq = 100;
const emit = (rig: Rig, worker: typeof w1, added: StoredObject[]): Command[] =>
  rig.receive({ t: "objects", worker, epoch: rig.state.epoch as Epoch, seq: seq++, added, removed: [] });

function started(...stages: ReturnType<typeof spec>[]): Rig {
  const rig = new Rig();
  rig.join(w1);
  rig.join(w2);
  rig.open();
  rig.ask({ t: "stages", session, client, stages });
  return rig;
}

describe("holders", () => {
  test("of another content than the committed are none: they are told to drop that content, and only that", () => {
    const rig = started(spec(0, 1));
    rig.commit(w1, [stored(one(leasesIn(rig.commands)), 1)]);
    expect(freedBy(emit(rig, w2, [held(2)]), w2)).toEqual([
      { o: "free", ids: [id], digests: [new Uint8Array(16).fill(2)] },
    ]);
    expect(workersOf(rig)).toEqual([w1]);
    emit(rig, w2, [held(1)]);
    expect(workersOf(rig)).toEqual([w1, w2]);
  });

  test("of a result that is not committed yet count only once it is, and only if it is that", () => {
    const rig = started(spec(0, 1));
    emit(rig, w2, [held(2)]);
    rig.commit(w1, [stored(one(leasesIn(rig.commands)), 1)]);
    expect(workersOf(rig)).toEqual([w1]);
    expect(freedBy(emit(rig, w2, [held(2)]), w2)).toHaveLength(1);
  });

  test("that say they hold something else now have lost it", () => {
    const rig = started(spec(0, 1));
    rig.commit(w1, [stored(one(leasesIn(rig.commands)), 1)]);
    emit(rig, w1, [held(2)]);
    expect(updatesIn(rig.commands).at(-1)).toMatchObject({ r: "failed", error: { code: "OBJECT_LOST" } });
  });
});

describe("a function that is declared pure and is not", () => {
  const other = { client: "other" as typeof client, session: "session2" as JobId };
  function twice(first: (lease: Lease) => Commit, second: (lease: Lease) => Commit): Rig {
    const rig = started(spec(0, 3, [], { pure: true }));
    rig.ask({ t: "open", ...other, tenant, version: PROTOCOL_VERSION });
    rig.ask({ t: "stages", ...other, stages: [spec(0, 3, [], { pure: true })] });
    // Both are being executed before either has a result.
    const leases = leasesIn(rig.commands);
    for (let i = 0, done = 0; done < 6 && i < leases.length; i++) {
      const lease = leases[i] as Lease;
      const worker = [w1, w2].find((w) => rig.state.workers.get(w)?.leases.has(lease.lease)) as typeof w1;
      leases.push(
        ...leasesIn(rig.commit(worker, [(lease.job === session ? first : second)(lease)], { done: [lease.lease] })),
      );
      done += lease.to - lease.from;
    }
    return rig;
  }

  test("raises the alarm in the job that gave the second result; the first stays", () => {
    const rig = twice(
      (lease) => stored(lease, 1),
      (lease) => stored(lease, 2),
    );
    expect(rig.count("nondeterminism_alarms")).toBeGreaterThan(0);
    expect(updatesIn(rig.commands).some((s) => s.r === "failed" && s.error.code === "NONDETERMINISTIC")).toBe(true);
  });

  test("also with results that travel inside commits, and only for the tasks that differ", () => {
    const values = (lease: Lease, odd: number): Commit =>
      inline(
        lease,
        Array.from({ length: lease.to - lease.from }, (_, i) => (lease.from + i === 1 ? odd : lease.from + i)),
      );
    const rig = twice(
      (lease) => values(lease, 7),
      (lease) => values(lease, 8),
    );
    expect(rig.count("nondeterminism_alarms")).toBe(1);
    const failures = updatesIn(rig.commands).filter((s) => s.r === "failed");
    expect(failures).toMatchObject([{ from: 1, to: 2, error: { code: "NONDETERMINISTIC" } }]);
  });

  test("equal results raise none", () => {
    const rig = twice(
      (lease) => stored(lease, 1),
      (lease) => stored(lease, 1),
    );
    expect(rig.count("nondeterminism_alarms")).toBe(0);
    expect(updatesIn(rig.commands).filter((s) => s.r === "failed")).toEqual([]);
  });
});
