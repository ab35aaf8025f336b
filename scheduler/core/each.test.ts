/** `each`: task i goes when object i is there, whatever becomes of the others. */
import { describe, expect, test } from "vitest";
import type { EachRun } from "../../proto/each.js";
import type { JobId, ObjectId } from "../../proto/ids.js";
import type { ClientReplyOf } from "../../proto/messages/client.js";
import type { Lease } from "../../proto/messages/worker.js";
import {
  client,
  failed,
  fill,
  leasesIn,
  one,
  Rig,
  runAll,
  session,
  spec,
  stored,
  tenant,
  updatesIn,
  w1,
  w2,
} from "../../sim/core-rig.js";
import { checkInvariants } from "./index.js";
import { Picks } from "./picks.js";

const id = `c${"1".repeat(32)}-0` as ObjectId;
const facts = { id, kind: 3, bytes: 100_000, digest: new Uint8Array(16).fill(0x11) };

function started(slots = 1): Rig {
  const rig = new Rig();
  rig.join(w1, slots);
  rig.open();
  return rig;
}

const submit = (rig: Rig, ...stages: ReturnType<typeof spec>[]): void => {
  rig.ask({ t: "stages", session, client, stages });
};

const putIt = (rig: Rig): void => {
  rig.receive({ t: "objects", worker: w1, epoch: rig.state.epoch, seq: 1_000, added: [facts], removed: [] });
  rig.ask({ t: "hold", client, session, objects: [{ ...facts, generation: 1 }] });
};

describe("a stage whose task i takes object i", () => {
  test("lets each task go when its own object is there, in whatever order they come", () => {
    const rig = started(3);
    submit(rig, spec(0, 1), spec(1, 1), spec(2, 1));
    const made = leasesIn(rig.commands);
    expect(made.map((l) => l.stage)).toEqual([0, 1, 2]);
    submit(
      rig,
      spec(3, 3, [
        {
          a: "each",
          of: [
            [2, 0, 1],
            [0, 0, 1],
            [1, 0, 1],
          ],
        },
      ]),
    );
    const first = made[0] as (typeof made)[number];
    const next = one(leasesIn(rig.commit(w1, [fill(first)], { done: [first.lease] })));
    expect([next.stage, next.from, next.to]).toEqual([3, 1, 2]);
    checkInvariants(rig.state);
    const last = made[2] as (typeof made)[number];
    const then = one(leasesIn(rig.commit(w1, [fill(last)], { done: [last.lease] })));
    expect([then.from, then.to]).toEqual([0, 1]);
  });

  test("gives a lease its own part of the runs, with the bases and places of that part alone", () => {
    const rig = started();
    submit(
      rig,
      spec(0, 40),
      spec(1, 1),
      spec(2, 21, [
        {
          a: "each",
          of: [
            [0, 20, 20],
            [1, 0, 1],
          ],
        },
      ]),
    );
    runAll(rig, w1, rig.commands.slice());
    const leases = leasesIn(rig.commands).filter((l) => l.stage === 2);
    expect(leases.length).toBeGreaterThan(1);
    for (const { from, to, args, bases, inputs } of leases) {
      const whole = from < 20 ? [[0, 20 + from, Math.min(to, 20) - from]] : [];
      expect(args).toEqual([{ a: "each", of: [...whole, ...(to > 20 ? [[1, 0, 1]] : [])] }]);
      expect(bases.map(([index]) => index)).toEqual([...(from < 20 ? [0] : []), ...(to > 20 ? [1] : [])]);
      expect(inputs).toHaveLength(to - from);
    }
  });

  test("fails those tasks alone whose objects failed, whether they fail before or after it is submitted", () => {
    const rig = started(4);
    submit(rig, spec(0, 1), spec(1, 1), spec(2, 1));
    const [a, b, c] = leasesIn(rig.commands) as [ReturnType<typeof one>, never, never] as never as Parameters<
      typeof fill
    >[0][];
    if (!a || !b || !c) throw new Error("three leases were expected");
    rig.commit(w1, [failed(a)], { done: [a.lease] });
    submit(
      rig,
      spec(3, 4, [
        {
          a: "each",
          of: [
            [2, 0, 1],
            [0, 0, 1],
            [1, 0, 1],
            [2, 0, 1],
          ],
        },
      ]),
    );
    rig.commit(w1, [failed(b)], { done: [b.lease] });
    runAll(rig, w1, rig.commit(w1, [fill(c)], { done: [c.lease] }));
    const ends = updatesIn(rig.commands).filter(({ stage }) => stage === 3);
    expect(ends.filter(({ r }) => r === "failed").map(({ from, to }) => [from, to])).toEqual([
      [1, 2],
      [2, 3],
    ]);
    expect(ends.filter(({ r }) => r === "inline").map(({ from, to }) => [from, to])).toEqual([
      [0, 1],
      [3, 4],
    ]);
    checkInvariants(rig.state);
  });

  test("waits with those tasks alone whose put is gone, and goes on when it is put again", () => {
    const rig = started();
    putIt(rig);
    submit(rig, spec(0, 1));
    const blocker = one(leasesIn(rig.commands));
    submit(rig, spec(1, 2, [{ a: "each", of: [id, [0, 0, 1]] }]));
    rig.receive({ t: "objects", worker: w1, epoch: rig.state.epoch, seq: 1_001, added: [], removed: [id] });
    const out = runAll(rig, w1, rig.commit(w1, [fill(blocker)], { done: [blocker.lease] }));
    expect(leasesIn(out).map((l) => [l.stage, l.from, l.to])).toEqual([[1, 1, 2]]);
    const why = rig.ask({ t: "explain", job: session, stage: 1, task: 0 }) as ClientReplyOf<"explanation">;
    expect(why.explanation.text).toContain(id);
    const again = rig.receive({
      t: "objects",
      worker: w1,
      epoch: rig.state.epoch,
      seq: 1_002,
      added: [facts],
      removed: [],
    });
    expect(one(leasesIn(again))).toMatchObject({ stage: 1, from: 0, to: 1 });
  });

  test("ends those tasks alone with OBJECT_NOT_FOUND whose object nobody has, with OBJECT_LOST whose put is given up", () => {
    const rig = started();
    putIt(rig);
    const stranger = `c${"2".repeat(32)}-0` as ObjectId;
    submit(rig, spec(0, 1));
    submit(rig, spec(1, 3, [{ a: "each", of: [stranger, id, [0, 0, 1]] }]));
    rig.ask({
      t: "heartbeat",
      client,
      session,
      epoch: rig.state.epoch,
      waiting: [],
      released: [],
      dropped: [{ id, generation: 1 }],
    });
    rig.receive({ t: "objects", worker: w1, epoch: rig.state.epoch, seq: 1_001, added: [], removed: [id] });
    runAll(rig, w1, rig.commands.slice());
    const ends = updatesIn(rig.commands).filter(({ stage }) => stage === 1);
    expect(ends.map((s) => [s.from, s.to, s.r === "failed" ? s.error.code : s.r])).toEqual([
      [0, 1, "OBJECT_NOT_FOUND"],
      [1, 2, "OBJECT_LOST"],
      [2, 3, "inline"],
    ]);
    expect(rig.state.puts.size).toBe(0);
    checkInvariants(rig.state);
  });

  test("keeps what it reads, also when its refs are gone, until its tasks have ended; then nothing is left", () => {
    const rig = started();
    submit(rig, spec(0, 4));
    runAll(rig, w1, rig.commands.slice(), (lease) => stored(lease));
    submit(
      rig,
      spec(1, 2, [
        {
          a: "each",
          of: [
            [0, 3, 1],
            [0, 1, 1],
          ],
        },
      ]),
    );
    rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [1], released: [0] });
    expect(rig.state.jobs.get(session)?.stages.has(0)).toBe(true);
    const lease = leasesIn(rig.commands).at(-1) as Parameters<typeof fill>[0];
    runAll(rig, w1, rig.commit(w1, [fill(lease)], { done: [lease.lease] }));
    expect([...(rig.state.jobs.get(session)?.stages.keys() ?? [])]).toEqual([1]);
    expect(rig.state.holders.size).toBe(0);
  });

  test("makes again what was lost of what the open tasks read, and no more", () => {
    const rig = started();
    submit(rig, spec(0, 6, [], { pure: true }));
    runAll(rig, w1, rig.commands.slice(), (lease) => stored(lease));
    submit(rig, spec(1, 1));
    const before = rig.commands.length;
    rig.join(w2, 1);
    submit(rig, spec(2, 2, [{ a: "each", of: [[0, 4, 2]] }]));
    rig.receive({ t: "deregister", worker: w1, epoch: rig.state.epoch });
    const out = runAll(rig, w2, rig.commands.slice(before), (lease) =>
      lease.stage === 0 ? stored(lease) : fill(lease),
    );
    expect(updatesIn(out).filter((s) => s.r === "failed")).toEqual([]);
    expect(
      updatesIn(out)
        .filter((s) => s.stage === 2)
        .map((s) => s.r),
    ).toEqual(expect.arrayContaining(["inline"]));
    checkInvariants(rig.state);
  });

  test("counts a hundred thousand stages one by one without a walk over all for each", () => {
    const rig = new Rig(undefined, { checked: false });
    rig.join(w1, 2);
    rig.open();
    const n = 100_000;
    for (let i = 0; i < n; i += 1_000) submit(rig, ...Array.from({ length: 1_000 }, (_, k) => spec(i + k, 1)));
    const began = performance.now();
    submit(rig, spec(n, n, [{ a: "each", of: Array.from({ length: n }, (_, i) => [n - 1 - i, 0, 1] as const) }]));
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(rig.state.jobs.get(session)?.stages.get(n)?.each).toHaveLength(1);
  });
});

test("who reads a range is found among overlapping picks in any order", () => {
  const picks = new Picks();
  for (const [at, task, count] of [
    [0, 50, 10],
    [10, 0, 5],
    [15, 52, 1],
    [16, 40, 30],
  ] as const)
    picks.add(at, task, count);
  expect([...picks.readersOf(52, 53)].sort((a, b) => a.from - b.from)).toEqual([
    { from: 2, to: 3 },
    { from: 15, to: 16 },
    { from: 28, to: 29 },
  ]);
  expect([...picks.readersOf(5, 40)]).toEqual([]);
  expect([...picks.readBy(8, 11)]).toEqual([
    { from: 0, to: 1 },
    { from: 58, to: 60 },
  ]);
});

test.each([0, 8])(
  "an input that a durable job has is read there while the session makes its own again (%i more links)",
  (more) => {
    const rig = started(4);
    const job = "job" as JobId;
    const content = spec(0, 2, [], { pure: true });
    const make = (lease: Lease) => (lease.stage === 0 ? stored(lease) : fill(lease));
    rig.ask({ t: "submit", job, client, tenant, name: "n", stages: [content], outputs: [0] });
    runAll(rig, w1, rig.commands.slice(), make);
    rig.commands.length = 0;
    submit(rig, content, ...Array.from({ length: more }, (_, i) => spec(i + 2, 1)));
    runAll(rig, w1, rig.commands.slice(), make);
    const base = rig.state.jobs.get(job)?.stages.get(0)?.base;
    const made = `${base}-1` as ObjectId;
    const others = Array.from({ length: more }, (_, i) => ({ a: "task" as const, stage: i + 2, task: 0 }));
    const of = [[0, 0, 1], made] as EachRun[];
    rig.receive({ t: "deregister", worker: w1, epoch: rig.state.epoch });
    submit(rig, spec(1, 2, [{ a: "each", of }, ...others]));
    rig.commands.length = 0;
    rig.join(w2, 4);
    expect(updatesIn(rig.commands).filter(({ r }) => r === "failed")).toEqual([]);
    const lease = leasesIn(rig.commands).find((one) => one.stage === 1);
    expect(lease).toMatchObject({ from: 1, to: 2 });
    expect(lease?.inputs).toContainEqual(expect.objectContaining({ id: made, state: "ready", durable: true }));
  },
);
