/** A result of a durable job that a session was shown outlives the workers that had copies of it. */
import { expect, test } from "vitest";
import { stageBase } from "../../proto/address.js";
import { type JobId, objectIdOf } from "../../proto/ids.js";
import { client, leasesIn, one, Rig, session, spec, stored, tenant, w1 } from "../../sim/core-rig.js";

test.each(["before", "after"])(
  "a result that a durable job has in the durable store is not lost to a resumed session when its worker goes %s it comes back",
  (when) => {
    const rig = new Rig();
    const job = "job" as JobId;
    const stage = spec(0, 1, [], { pure: true });
    const base = stageBase(job, stage, () => base);
    rig.join(w1);
    rig.ask({ t: "submit", job, client, tenant, name: "n", stages: [stage], outputs: [0] });
    const lease = one(leasesIn(rig.commands));
    rig.commit(w1, [stored(lease)], { done: [lease.lease] });
    // The worker goes, and with it its copy; the session comes back to a scheduler that has the journal.
    const leave = () => rig.receive({ t: "deregister", worker: w1, epoch: rig.state.epoch });
    if (when === "before") leave();
    rig.open();
    const digest = new Uint8Array(16).fill(1);
    rig.ask({
      t: "resume",
      session,
      client,
      stages: [
        {
          spec: stage,
          base,
          segments: [{ r: "stored", stage: 0, from: 0, to: 1, stored: [{ bytes: 1e6, kind: 2, digest }] }],
          last: true,
        },
      ],
    });
    if (when === "after") leave();
    const results = rig.ask({ t: "results", job: session, stage: 0, from: 0, to: 1 });
    expect(results).toMatchObject({ t: "results", segments: [{ r: "stored", stored: [{ digest }] }] });
    const located = rig.ask({ t: "locate", ids: [objectIdOf(base, 0)] });
    expect(located).toMatchObject({ t: "located", locations: [{ state: "ready", durable: true, digest }] });
  },
);
