/**
 * Results that a client was shown before the scheduler restarted, and of which a worker tells before the client does,
 * while another call of the same content is known.
 */
import { describe, expect, test } from "vitest";
import { type ClientId, type JobId, type ObjectBase, objectIdOf } from "../../proto/ids.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";
import { client, Rig, session, spec, tenant, w1, w2 } from "../../sim/core-rig.js";

const digest = new Uint8Array(16).fill(7);
const pure = spec(0, 1, [], { pure: true });

/** Its client says that it was shown a large result. */
const resume = (rig: Rig, base: ObjectBase) => {
  const segments = [{ r: "stored" as const, stage: 0, from: 0, to: 1, stored: [{ bytes: 1e6, kind: 2, digest }] }];
  return rig.ask({ t: "resume", session, client, stages: [{ spec: pure, base, segments, last: true }] });
};

describe("a large result that a worker told of while another call of the same content was known, and had none", () => {
  const theirs = "theirs" as JobId;
  const start = (): { rig: Rig; id: ReturnType<typeof objectIdOf>; told: () => void } => {
    const rig = new Rig();
    rig.ask({ t: "open", client: "other" as ClientId, session: theirs, tenant, version: PROTOCOL_VERSION });
    rig.ask({ t: "stages", session: theirs, client: "other" as ClientId, stages: [pure] });
    const base = rig.state.jobs.get(theirs)?.stages.get(0)?.base as ObjectBase;
    const id = objectIdOf(base, 0);
    rig.join(w1);
    rig.receive({
      t: "objects",
      worker: w1,
      epoch: rig.state.epoch,
      seq: 1,
      added: [{ id, bytes: 1e6, kind: 2, digest }],
      removed: [],
    });
    rig.open();
    return { rig, id, told: () => resume(rig, base) };
  };

  test("is found when its client says that it was shown this, whatever the worker says later", () => {
    const { rig, id, told } = start();
    told();
    expect(rig.ask({ t: "locate", ids: [id] })).toMatchObject({ locations: [{ state: "ready", workers: [w1] }] });
  });

  test("keeps the worker from leaving until the client may have said so", () => {
    const { rig, id, told } = start();
    const drain = { leases: [], slotsBusy: 0, storeBytes: 0, spilledBytes: 0, draining: true };
    rig.join(w2);
    rig.ask({ t: "cancel", job: theirs, stage: 0, from: 0, to: 1 });
    rig.receive({ t: "heartbeat", worker: w1, epoch: rig.state.epoch, ...drain });
    const commandsIn = () => rig.commands.flatMap((c) => (c.c === "command" && c.worker !== w2 ? [c.command] : []));
    expect(commandsIn()).not.toContainEqual({ o: "leave", needed: 0 });
    told();
    const moved = rig.commands.flatMap((c) => (c.c === "command" && c.command.o === "fetch" ? c.command.objects : []));
    expect(moved.map((object) => object.id)).toEqual([id]);
  });

  test("is not called there when the worker has said since that it is gone", () => {
    const { rig, id, told } = start();
    rig.receive({ t: "objects", worker: w1, epoch: rig.state.epoch, seq: 2, added: [], removed: [id] });
    told();
    expect(rig.ask({ t: "locate", ids: [id] })).toMatchObject({ locations: [{ state: "pending" }] });
  });
});
