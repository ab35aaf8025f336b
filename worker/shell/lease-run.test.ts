import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { digestOf, sha256Hex } from "../../proto/digest.js";
import { objectBlobName } from "../../proto/durable/objects.js";
import { modelDurable } from "../../proto/durable/testing/model.js";
import { VolleyError } from "../../proto/errors.js";
import { type JobId, type LeaseId, type ObjectBase, objectIdOf } from "../../proto/ids.js";
import type { Lease } from "../../proto/messages/worker.js";
import { realRuntime } from "../../proto/runtime.js";
import { patienceMs } from "../../proto/testing/patience.js";
import type { WorkerEvent } from "../core/events.js";
import type { SlotPool } from "../pool/pool.js";
import { ObjectStore } from "../store/store.js";
import { LeaseRun, type LeaseRunContext } from "./lease-run.js";

const base = "sj_0" as ObjectBase;
const lease: Lease = {
  lease: "1.1" as LeaseId,
  job: "j" as JobId,
  stage: 0,
  base,
  fn: { kernel: "noop", version: 1 },
  from: 0,
  to: 1,
  attempt: 1,
  args: [],
  bases: [],
  inputs: [],
  durable: true,
  options: { retries: 0, timeoutMs: patienceMs, pure: false, priority: 0 },
};
const data = new Uint8Array(10_000).fill(5);
const digest = digestOf(3, data);
const sha256 = createHash("sha256").update(data).digest();

/** One task with a large result, whose durable store is away so many times. */
async function run(
  failures: number,
  kill = false,
  later?: Uint8Array,
): Promise<{ events: WorkerEvent[]; executions: number; kept: boolean; tries: number }> {
  const durable = modelDurable().objects;
  const events: WorkerEvent[] = [];
  let executions = 0;
  let tries = 0;
  let ended = (): void => undefined;
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const put = async (name: string, bytes: Uint8Array, sha256?: string): Promise<void> => {
    expect(sha256).toBe(sha256Hex(bytes));
    if (++tries <= failures) {
      if (kill && tries === 3) leaseRun.kill();
      throw new VolleyError("DISCONNECTED", "NATS is away");
    }
    await durable.put(name, bytes);
  };
  const pool: Pick<SlotPool, "run"> = {
    run: (_slot, _spec, listener) => {
      executions++;
      listener.large({ task: 0, kind: 3, data, digest, sha256, slotTimeUs: 1, stored: () => undefined });
      return {
        vacated: Promise.resolve(),
        done: Promise.resolve(),
        limit: (to) => to,
        recall: () => false,
        kill: () => undefined,
      };
    },
  };
  const store = new ObjectStore({ budgetBytes: 2 ** 22, reservedBytes: 0 });
  if (later) await store.put(objectIdOf(base, 0), later, { kind: 3, digest: digestOf(3, later) }, { order: 2 });
  const context = {
    pool,
    store,
    inputs: { prepareNow: () => ({ args: [], release: () => undefined }) },
    durable: { put },
    runtime: realRuntime,
    emit: (event: WorkerEvent) => {
      events.push(event);
      if (event.e === "ended") ended();
    },
    onSlotTime: () => undefined,
    onEnded: () => undefined,
    onFault: () => undefined,
  } as unknown as LeaseRunContext;
  const leaseRun = new LeaseRun(context, lease, 1);
  leaseRun.prepare();
  expect(events.map(({ e }) => e)).toEqual(["ready"]);
  leaseRun.start(0, 0, 1);
  await end;
  const kept = await durable.has(objectBlobName(objectIdOf(base, 0), digest));
  store.close();
  return { events, executions, kept, tries };
}

test("a result that was computed while NATS was away is kept when it is back, however long that took, and not computed again", async () => {
  const { events, executions, kept, tries } = await run(20);
  expect(events.map(({ e }) => e)).toEqual(["ready", "vacated", "results", "ended"]);
  expect([executions, kept, tries]).toEqual([1, true, 21]);
});

test("a lease that is stopped gives up at the next failure", async () => {
  const { events, kept, tries } = await run(100, true);
  expect(events.map(({ e }) => e)).toEqual(["ready", "vacated", "ended"]);
  expect([kept, tries]).toEqual([false, 3]);
});

test("a store that stays away ends the lease without the result, so that the task goes elsewhere", async () => {
  const { events, kept } = await run(1_000);
  expect(events.map(({ e }) => e)).toEqual(["ready", "vacated", "ended"]);
  expect(kept).toBe(false);
});

test("a result that is in the durable store counts, though this worker's store has another content under its id", async () => {
  const { events, kept } = await run(0, false, new Uint8Array(100).fill(6));
  expect(events.map(({ e }) => e)).toEqual(["ready", "vacated", "results", "ended"]);
  expect(kept).toBe(true);
});
