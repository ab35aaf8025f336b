/**
 * Who keeps what: copies that become kept, and workers that leave only when nothing is needed of them alone (K1, K2 of
 * copies.ts).
 */
import { describe, expect, test } from "vitest";
import type { Epoch, ObjectId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { Lease, SchedulerCommand, StoredObject } from "../../proto/messages/worker.js";
import { client, leasesIn, Rig, runAll, session, spec, stored, updatesIn, w1, w2 } from "../../sim/core-rig.js";
import { type Command, createState } from "./index.js";

const w3 = "w3" as WorkerId;
const commandsTo = (commands: Command[], worker: WorkerId, o: SchedulerCommand["o"]): SchedulerCommand[] =>
  commands.flatMap((c) => (c.c === "command" && c.worker === worker && c.command.o === o ? [c.command] : []));

/** Results of `tasks` impure tasks, which cannot be made again, on w1; then the others join. */
function start(tasks: number, others: readonly WorkerId[] = [w2], storeBudgetBytes = 1e9): Rig {
  const rig = new Rig();
  rig.join(w1, 4);
  rig.open();
  rig.ask({ t: "stages", session, client, stages: [spec(0, tasks)] });
  runAll(rig, w1, rig.commands.slice(), (lease: Lease) => stored(lease));
  for (const other of others) rig.join(other, 1, { storeBudgetBytes });
  return rig;
}
const idOf = (task: number): ObjectId => `s${session}_0-${task}` as ObjectId;
const object = (id: ObjectId, copy = false): StoredObject => ({
  id,
  bytes: 1e6,
  kind: 2,
  digest: new Uint8Array(16).fill(1),
  ...(copy ? { copy: true as const } : {}),
});
let seq = 10_000;
const emit = (rig: Rig, worker: WorkerId, added: StoredObject[], removed: ObjectId[] = []): Command[] =>
  rig.receive({ t: "objects", worker, epoch: rig.state.epoch as Epoch, seq: seq++, added, removed });
const drainHeartbeat = (rig: Rig, worker: WorkerId): Command[] =>
  rig.receive({
    t: "heartbeat",
    worker,
    epoch: rig.state.epoch,
    leases: [],
    slotsBusy: 0,
    storeBytes: 0,
    spilledBytes: 0,
    draining: true,
  });
const wait = (rig: Rig, seconds: number): void => {
  for (let i = 0; i < seconds; i++) {
    rig.pass(1_000);
    drainHeartbeat(rig, w1);
    rig.heartbeat(w2);
  }
};
const deregister = (rig: Rig, worker: WorkerId): Command[] =>
  rig.receive({ t: "deregister", worker, epoch: rig.state.epoch });
const holders = (rig: Rig, task = 0): string[] => [...(rig.state.holders.get(idOf(task)) ?? [])];
const losses = (rig: Rig): unknown[] => updatesIn(rig.commands).filter((s) => s.r === "failed");
const movesTo = (commands: Command[], worker: WorkerId): ObjectId[] =>
  commandsTo(commands, worker, "fetch").flatMap((o) => (o.o === "fetch" ? o.objects.map(({ id }) => id) : []));
const lastLeave = (commands: Command[], worker: WorkerId): unknown => commandsTo(commands, worker, "leave").at(-1);

describe("copies", () => {
  test("a copy outlives the worker that made the object, and is kept from then on", () => {
    const rig = start(1);
    expect(commandsTo(emit(rig, w2, [object(idOf(0), true)]), w2, "keep")).toEqual([]);
    const out = deregister(rig, w1);
    expect(commandsTo(out, w2, "keep")).toEqual([{ o: "keep", ids: [idOf(0)] }]);
    expect(holders(rig)).toEqual([w2]);
    expect(losses(rig)).toEqual([]);
  });

  test("the word to keep it is said again to a worker that still calls it a copy", () => {
    const rig = start(1);
    emit(rig, w2, [object(idOf(0), true)]);
    deregister(rig, w1);
    expect(commandsTo(emit(rig, w2, [object(idOf(0), true)]), w2, "keep")).toHaveLength(1);
    expect(commandsTo(emit(rig, w2, [object(idOf(0))]), w2, "keep")).toHaveLength(0);
  });

  test("a copy that is dropped meanwhile counts no more", () => {
    const rig = start(1);
    emit(rig, w2, [object(idOf(0), true)]);
    emit(rig, w2, [], [idOf(0)]);
    deregister(rig, w1);
    expect(losses(rig)).toMatchObject([{ error: { code: "OBJECT_LOST" } }]);
  });

  test("of what a client put the second holder keeps it as well, the third need not", () => {
    const rig = start(1, [w2, w3]);
    const put = `c${"1".repeat(32)}-0` as ObjectId;
    rig.ask({
      t: "hold",
      client,
      session,
      objects: [{ id: put, kind: 2, bytes: 1e6, digest: object(put).digest, generation: 1 }],
    } as never);
    emit(rig, w1, [object(put)]);
    expect(commandsTo(emit(rig, w2, [object(put, true)]), w2, "keep")).toHaveLength(1);
    expect(commandsTo(emit(rig, w3, [object(put, true)]), w3, "keep")).toHaveLength(0);
  });
});

describe("a worker that leaves", () => {
  test("hands over what it alone holds, and may go when all of it is elsewhere", () => {
    const rig = start(3);
    const out = drainHeartbeat(rig, w1);
    expect(movesTo(out, w2).sort()).toEqual([idOf(0), idOf(1), idOf(2)]);
    expect(lastLeave(out, w1)).toEqual({ o: "leave", needed: 3 });
    emit(rig, w2, [object(idOf(0)), object(idOf(1))]);
    expect(lastLeave(drainHeartbeat(rig, w1), w1)).toEqual({ o: "leave", needed: 1 });
    expect(lastLeave(emit(rig, w2, [object(idOf(2))]), w1)).toEqual({ o: "leave", needed: 0 });
    deregister(rig, w1);
    expect(losses(rig)).toEqual([]);
    expect(holders(rig, 2)).toEqual([w2]);
    expect(rig.state.drains.size).toBe(0);
  });

  test("keeps what an other has a copy of there, instead of sending it again", () => {
    const rig = start(1);
    emit(rig, w2, [object(idOf(0), true)]);
    const out = drainHeartbeat(rig, w1);
    expect(commandsTo(out, w2, "keep")).toHaveLength(1);
    expect(movesTo(out, w2)).toEqual([]);
    expect(lastLeave(out, w1)).toEqual({ o: "leave", needed: 0 });
  });

  test("tries another worker when one cannot take an object, or dies of it", () => {
    const rig = start(1, [w2, w3]);
    const first = movesTo(drainHeartbeat(rig, w1), w2).length > 0 ? w2 : w3;
    const second = first === w2 ? w3 : w2;
    expect(movesTo(emit(rig, first, [], [idOf(0)]), second)).toEqual([idOf(0)]);
    expect(movesTo(deregister(rig, second), first)).toEqual([idOf(0)]);
    expect(lastLeave(emit(rig, first, [object(idOf(0))]), w1)).toEqual({ o: "leave", needed: 0 });
  });

  test("asks again when nothing is heard of a move", () => {
    const rig = start(1);
    drainHeartbeat(rig, w1);
    const before = rig.commands.length;
    wait(rig, 8);
    expect(movesTo(rig.commands.slice(before), w2)).toEqual([idOf(0)]);
  });

  test.each<[string, WorkerId[], number]>([
    ["there is no other worker", [], 1e9],
    ["no other is large enough", [w2], 1e5],
  ])("goes at once when %s, and the log says what is lost with it", (_why, others, budget) => {
    const rig = start(2, others, budget);
    const out = drainHeartbeat(rig, w1);
    expect(lastLeave(out, w1)).toMatchObject({ needed: 0 });
    expect(out).toContainEqual(
      expect.objectContaining({
        c: "log",
        level: "warn",
        fields: expect.objectContaining({ worker: w1, objects: 2, bytes: 2e6 }),
      }),
    );
  });

  test("goes when all that can take its objects leave as well", () => {
    const rig = start(1);
    drainHeartbeat(rig, w1);
    drainHeartbeat(rig, w2);
    expect(lastLeave(emit(rig, w2, [], [idOf(0)]), w1)).toEqual({ o: "leave", needed: 0 });
  });

  test("stays for what it makes while it leaves, and hands that over too", () => {
    const rig = start(1);
    rig.ask({ t: "stages", session, client, stages: [spec(1, 1)] });
    const lease = leasesIn(rig.commands).at(-1) as Lease;
    const holder = rig.state.workers.get(w1)?.leases.has(lease.lease) ? w1 : w2;
    const other = holder === w1 ? w2 : w1;
    drainHeartbeat(rig, holder);
    const out = rig.commit(holder, [stored(lease)], { done: [lease.lease] });
    expect(movesTo(out, other)).toContain(`s${session}_1-0`);
  });

  test("leaves nothing of what nobody needs any more", () => {
    const rig = start(1);
    drainHeartbeat(rig, w1);
    const out = rig.commands.length;
    rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [], released: [0] });
    wait(rig, 8);
    expect(lastLeave(rig.commands.slice(out), w1)).toEqual({ o: "leave", needed: 0 });
  });
});

describe("a worker that leaves while the only other one is silent", () => {
  const silentMs = limits.heartbeatTimeoutMs + 2_000;
  const leftIn = (commands: Command[]): unknown => commands.find((c) => c.c === "log" && /leaves with/.test(c.text));
  /** w2 has said nothing for so long that it counts as lost; w1 heartbeats. */
  function scene(): Rig {
    const rig = start(1);
    for (let ms = 0; ms < silentMs; ms += 1_000) {
      rig.pass(1_000);
      rig.heartbeat(w1);
    }
    expect(rig.state.workers.has(w2)).toBe(false);
    return rig;
  }
  const stay = (rig: Rig, seconds: number): Command[] => {
    const from = rig.commands.length;
    for (let i = 0; i < seconds; i++) {
      rig.pass(1_000);
      drainHeartbeat(rig, w1);
    }
    return rig.commands.slice(from);
  };

  test("stays until that one is back, and hands over what it alone holds", () => {
    const rig = scene();
    expect(lastLeave(drainHeartbeat(rig, w1), w1)).toEqual({ o: "leave", needed: 1 });
    expect(lastLeave(stay(rig, 30), w1)).toEqual({ o: "leave", needed: 1 });
    expect(movesTo(rig.join(w2), w2)).toEqual([idOf(0)]);
    expect(lastLeave(emit(rig, w2, [object(idOf(0))]), w1)).toEqual({ o: "leave", needed: 0 });
    deregister(rig, w1);
    expect(losses(rig)).toEqual([]);
  });

  test("goes when that one has not come back in time", () => {
    const rig = scene();
    const out = stay(rig, limits.silentWorkerPatienceMs / 1_000);
    expect(lastLeave(out, w1)).toEqual({ o: "leave", needed: 0 });
    expect(leftIn(out)).toBeDefined();
  });

  test("goes when others fall silent one after the other for as long as one may be waited for", () => {
    const rig = scene();
    drainHeartbeat(rig, w1);
    let leave: unknown;
    for (let i = 0; i < limits.silentWorkerPatienceMs / 1_000 + 1; i++) {
      rig.pass(1_000);
      rig.join(`x${i}` as WorkerId, 1, { storeBudgetBytes: 1 });
      leave = lastLeave(drainHeartbeat(rig, w1), w1);
    }
    expect(leave).toEqual({ o: "leave", needed: 0 });
  });

  test("goes when what it holds is needed no more", () => {
    const rig = scene();
    drainHeartbeat(rig, w1);
    rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [], released: [0] });
    expect(lastLeave(stay(rig, 8), w1)).toEqual({ o: "leave", needed: 0 });
  });

  test("hands over to one that joins after the word that it may go, if it is still there", () => {
    const rig = start(1, []);
    expect(lastLeave(drainHeartbeat(rig, w1), w1)).toEqual({ o: "leave", needed: 0 });
    expect(movesTo(rig.join(w2), w2)).toEqual([idOf(0)]);
    expect(lastLeave(drainHeartbeat(rig, w1), w1)).toEqual({ o: "leave", needed: 1 });
  });

  test("waits for sessions that have not said to a new scheduler what they were shown", () => {
    const restarted = (): Rig => {
      const rig = new Rig(createState({ epoch: 2 as Epoch }));
      rig.join(w1, 4);
      rig.join(w2, 4);
      emit(rig, w1, [object(idOf(0))]);
      return rig;
    };
    const both = (rig: Rig, seconds: number): void => {
      for (let i = 0; i < seconds; i++) {
        rig.pass(1_000);
        drainHeartbeat(rig, w1);
        rig.heartbeat(w2);
      }
    };
    const rig = restarted();
    both(rig, 30);
    expect(lastLeave(rig.commands, w1)).toEqual({ o: "leave", needed: 1 });
    rig.open();
    const result = { bytes: 1e6, kind: 2, digest: new Uint8Array(16).fill(1) };
    const segments = [{ r: "stored" as const, stage: 0, from: 0, to: 1, stored: [result] }];
    rig.ask({ t: "resume", session, client, stages: [{ spec: spec(0, 1), segments, last: true }] });
    expect(movesTo(rig.commands, w2)).toEqual([idOf(0)]);
    expect(lastLeave(emit(rig, w2, [object(idOf(0))]), w1)).toEqual({ o: "leave", needed: 0 });
    deregister(rig, w1);
    expect(losses(rig)).toEqual([]);
    // One that is there and does not name it is not waited for; nor is one that does not come.
    const unnamed = restarted();
    unnamed.open();
    both(unnamed, 12);
    expect(lastLeave(unnamed.commands, w1)).toEqual({ o: "leave", needed: 0 });
    const alone = restarted();
    both(alone, limits.silentWorkerPatienceMs / 1_000 + 1);
    expect(lastLeave(alone.commands, w1)).toEqual({ o: "leave", needed: 0 });
  });

  test("waits for those that have not registered to a new scheduler yet", () => {
    const rig = new Rig(createState({ epoch: 2 as Epoch }));
    rig.join(w1, 4);
    rig.open();
    rig.ask({ t: "stages", session, client, stages: [spec(0, 1)] });
    runAll(rig, w1, rig.commands.slice(), (lease: Lease) => stored(lease));
    expect(lastLeave(drainHeartbeat(rig, w1), w1)).toEqual({ o: "leave", needed: 1 });
    expect(lastLeave(stay(rig, 20), w1)).toEqual({ o: "leave", needed: 0 });
  });
});
